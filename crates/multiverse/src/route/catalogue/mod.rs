//! What the functions, operators, types and relations of a database do when a statement that reads uses them.
//!
//! A statement whose text only reads may still write: by a volatile function, by a view or a row policy that calls one, by
//! an operator, a cast or the check of a domain. The catalogue is read from the server by [`SYSTEM_SQL`] and [`OWN_SQL`],
//! which name for each object what it depends on; whatever depends on something that needs the primary needs it too.
//! Names are looked up without the search path: if one object of the name needs the primary, the name does.

pub(crate) mod body;
mod builtin;
mod rows;

use std::collections::{HashMap, HashSet};

pub use self::rows::{COLUMNS, CatalogueError, CatalogueRow};

use self::rows::{Fact, Object, ObjectId, ObjectKind};
use crate::route::verdict::{ObjectName, Verdict};

/// The query for what is built into the server; once per server is enough.
pub const SYSTEM_SQL: &str = include_str!("system.sql");

/// The query for what the users of the database have made; to be asked again from time to time.
pub const OWN_SQL: &str = include_str!("own.sql");

/// Whether a statement whose text only reads does so in this database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judgement {
    /// It reads.
    Reads,
    /// It names something that the catalogue does not know, perhaps because it is new.
    Unknown,
    /// It writes, or a standby cannot run it.
    NeedsPrimary,
}

/// What is known of one database.
#[derive(Debug, Default)]
pub struct Catalogue {
    functions: Names,
    operators: Names,
    types: Names,
    relations: Names,
}

/// The names of one kind of object.
#[derive(Debug, Default)]
struct Names {
    known: HashSet<Box<str>>,
    /// Names that need the primary, with the schemas in which they do.
    need_primary: HashMap<Box<str>, Vec<Box<str>>>,
    /// Names that give other values each time.
    varying: HashSet<Box<str>>,
}

impl Catalogue {
    /// Reads the rows of [`SYSTEM_SQL`] and [`OWN_SQL`], in any order.
    ///
    /// # Errors
    /// [`CatalogueError`] when a row is not as the queries give it.
    pub fn read<'a>(rows: impl IntoIterator<Item = &'a CatalogueRow>) -> Result<Self, CatalogueError> {
        let mut catalogue = Self::default();
        let mut objects = Vec::new();
        for row in rows {
            match rows::fact(row)? {
                Fact::Names(kind, names) => catalogue.names_mut(kind).known.extend(names),
                Fact::Object(object) => objects.push(object),
            }
        }
        for object in &objects {
            catalogue.names_mut(object.id.kind).known.insert(object.name.into());
        }
        for name in builtin::REFUSED_BY_STANDBY {
            catalogue.functions.need_primary.insert(name.into(), vec!["pg_catalog".into()]);
        }
        catalogue.mark(&objects);
        catalogue.mark_varying(&objects);
        Ok(catalogue)
    }

    /// Whether nothing that a statement names gives another value each time, as a volatile function does.
    #[must_use]
    pub fn is_steady(&self, verdict: &Verdict) -> bool {
        let functions = verdict.functions.iter().map(|name| (name, &self.functions));
        let operators = verdict.operators.iter().map(|name| (name, &self.operators));
        let types = verdict.types.iter().map(|name| (name, &self.types));
        let relations = verdict.relations.iter().map(|name| (name, &self.relations));
        let mut all = functions.chain(operators).chain(types).chain(relations);
        !all.any(|(name, names)| names.varying.contains(&name.name))
            && !verdict.attributes.iter().any(|name| self.functions.varying.contains(name))
    }

    /// Whether a statement whose text only reads does so here.
    #[must_use]
    pub fn judge(&self, verdict: &Verdict) -> Judgement {
        let functions = verdict.functions.iter().map(|name| self.judge_function(name));
        let operators = verdict.operators.iter().map(|name| self.operators.judge(name));
        let types = verdict.types.iter().map(|name| self.judge_type(name));
        let relations = verdict.relations.iter().map(|name| self.judge_relation(name, verdict));
        let attributes = verdict.attributes.iter().map(|name| self.judge_attribute(name));
        let all = functions.chain(operators).chain(types).chain(relations).chain(attributes);
        all.max().unwrap_or(Judgement::Reads)
    }

    /// `name(value)` is also a cast to the type of that name.
    fn judge_function(&self, name: &ObjectName) -> Judgement {
        match self.functions.judge(name) {
            Judgement::Unknown => self.judge_type(name),
            judgement => judgement,
        }
    }

    /// Each relation is also a type, that of its rows.
    fn judge_type(&self, name: &ObjectName) -> Judgement {
        match self.types.judge(name) {
            Judgement::Unknown => self.relations.judge(name),
            judgement => judgement,
        }
    }

    fn judge_relation(&self, name: &ObjectName, verdict: &Verdict) -> Judgement {
        match self.relations.judge(name) {
            Judgement::Unknown if name.schema.is_none() && verdict.common_tables.contains(&name.name) => {
                Judgement::Reads
            }
            judgement => judgement,
        }
    }

    /// `row.name` is a column almost always, so that only a function that is known to need the primary counts.
    fn judge_attribute(&self, name: &str) -> Judgement {
        if self.functions.need_primary.contains_key(name) {
            Judgement::NeedsPrimary
        } else {
            Judgement::Reads
        }
    }

    fn names_mut(&mut self, kind: ObjectKind) -> &mut Names {
        match kind {
            ObjectKind::Function => &mut self.functions,
            ObjectKind::Operator => &mut self.operators,
            ObjectKind::Type => &mut self.types,
            ObjectKind::Relation => &mut self.relations,
        }
    }

    /// Marks the names of volatile functions, with what depends on them.
    fn mark_varying(&mut self, objects: &[Object<'_>]) {
        let dependents = dependents_of(objects);
        let is_volatile =
            |object: &&Object<'_>| object.id.kind == ObjectKind::Function && object.needs_primary;
        let mut marked = HashSet::new();
        let mut pending: Vec<_> = objects.iter().filter(is_volatile).collect();
        while let Some(object) = pending.pop() {
            if marked.insert(object.id) {
                self.names_mut(object.id.kind).varying.insert(object.name.into());
                pending.extend(dependents.get(&object.id).into_iter().flatten().copied());
            }
        }
    }

    /// Marks all names that need the primary, with what depends on them.
    fn mark(&mut self, objects: &[Object<'_>]) {
        let dependents = dependents_of(objects);
        let mut marked = HashSet::new();
        let mut pending: Vec<_> = objects.iter().filter(|object| needs_primary(object)).collect();
        while !pending.is_empty() {
            while let Some(object) = pending.pop() {
                if marked.insert(object.id) {
                    self.names_mut(object.id.kind).mark(object);
                    pending.extend(dependents.get(&object.id).into_iter().flatten().copied());
                }
            }
            // The sources mention names, so they are searched again as long as new names are marked.
            let unmarked = objects.iter().filter(|object| !marked.contains(&object.id));
            pending = unmarked
                .filter(|object| object.body.is_some_and(|body| self.mentions_marked(body)))
                .collect();
        }
    }

    /// Whether the source of a function calls, reads or may run something that needs the primary.
    fn mentions_marked(&self, source: &str) -> bool {
        body::words(source).any(|word| {
            let folded = word.text.to_lowercase();
            let is_marked = |names: &Names, name: &str| names.need_primary.contains_key(name);
            folded == "execute"
                || is_marked(&self.relations, word.text)
                || is_marked(&self.relations, &folded)
                || (word.is_called
                    && (is_marked(&self.functions, word.text) || is_marked(&self.functions, &folded)))
        })
    }
}

impl Names {
    fn judge(&self, name: &ObjectName) -> Judgement {
        match (self.need_primary.get(&name.name), &name.schema) {
            (Some(_), None) => Judgement::NeedsPrimary,
            (Some(schemas), Some(schema)) if schemas.contains(schema) => Judgement::NeedsPrimary,
            _ if self.known.contains(&name.name) => Judgement::Reads,
            _ => Judgement::Unknown,
        }
    }

    fn mark(&mut self, object: &Object<'_>) {
        let schemas = self.need_primary.entry(object.name.into()).or_default();
        if !schemas.iter().any(|schema| **schema == *object.schema) {
            schemas.push(object.schema.into());
        }
    }
}

/// By object, what depends on it.
fn dependents_of<'o, 'a>(objects: &'o [Object<'a>]) -> HashMap<ObjectId, Vec<&'o Object<'a>>> {
    let mut dependents: HashMap<ObjectId, Vec<&Object<'_>>> = HashMap::new();
    for object in objects {
        for target in &object.targets {
            dependents.entry(*target).or_default().push(object);
        }
    }
    dependents
}

fn needs_primary(object: &Object<'_>) -> bool {
    match object.id.kind {
        ObjectKind::Function if object.needs_primary => {
            // Only the built-in function of the name is known to be harmless; what users made may do anything.
            object.schema != "pg_catalog" || !builtin::is_harmless_though_volatile(object.name)
        }
        ObjectKind::Function => builtin::runs_given_text(object.name),
        _ => object.needs_primary,
    }
}
