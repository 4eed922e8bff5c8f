//! What a read loads besides its rows: the relations that the caller names, and those that are eager.

use indexmap::IndexMap;

use super::link::{Link, link_of};
use super::schemas::Schemas;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::FindOptions;
use crate::schema::{EntitySchema, Relation};

/// How many relations one path may lead through.
const LONGEST_PATH: usize = 32;

/// A relation to load, with what is to be loaded of the rows on its other side.
#[derive(Debug)]
pub(super) struct Branch<'a> {
    pub(super) name: &'a str,
    pub(super) relation: &'a Relation,
    pub(super) target: &'a EntitySchema,
    pub(super) link: Link,
    pub(super) below: Vec<Branch<'a>>,
}

/// Names of relations, with those that were named below each.
#[derive(Debug, Default)]
struct Tree(IndexMap<String, Tree>);

impl Tree {
    /// The tree of paths such as `author.company`.
    ///
    /// # Errors
    /// [`ErrorKind::Filter`] for a path that is too long.
    fn of(paths: &[String]) -> Result<Self> {
        let mut root = Self::default();
        for path in paths {
            if path.split('.').nth(LONGEST_PATH).is_some() {
                let message = format!("a path of more than {LONGEST_PATH} relations cannot be followed");
                return Err(Error::new(ErrorKind::Filter, message));
            }
            let mut place = &mut root;
            for name in path.split('.') {
                place = place.0.entry(name.to_owned()).or_default();
            }
        }
        Ok(root)
    }
}

/// The relations to load with the rows of an entity: those of the paths, and eager ones whose field the options ask
/// for. Eager relations do not lead back to where the way came from, so that those in a circle come to an end.
///
/// # Errors
/// [`ErrorKind::Filter`] for a name that is no relation or a path that is too long, [`ErrorKind::UnknownEntity`], [`ErrorKind::Schema`].
pub(super) fn branches<'a>(
    schemas: &'a Schemas,
    schema: &'a EntitySchema,
    paths: &[String],
    options: &FindOptions,
) -> Result<Vec<Branch<'a>>> {
    if paths.is_empty() && !schema.relations.values().any(|relation| relation.eager) {
        return Ok(Vec::new());
    }
    let mut planner = Planner { schemas, trail: Vec::new() };
    planner.branches(
        schema,
        &Tree::of(paths)?,
        Wanted { selected: &options.select, excluded: &options.exclude },
    )
}

/// The fields that a read returns.
#[derive(Clone, Copy)]
struct Wanted<'w> {
    selected: &'w [String],
    excluded: &'w [String],
}

impl Wanted<'_> {
    /// A relation is also wanted or left out under the name of its column.
    fn has(&self, name: &str, relation: &Relation) -> bool {
        let column = relation.kind.has_column().then(|| relation.column(name));
        let named =
            |names: &[String]| names.iter().any(|given| given == name || Some(given.as_str()) == column);
        (self.selected.is_empty() || named(self.selected)) && !named(self.excluded)
    }
}

struct Planner<'a> {
    schemas: &'a Schemas,
    /// The relations, with their entities, on the way to the present place.
    trail: Vec<(&'a str, &'a str)>,
}

impl<'a> Planner<'a> {
    fn branches(
        &mut self,
        schema: &'a EntitySchema,
        tree: &Tree,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Branch<'a>>> {
        let mut branches = Vec::new();
        for (name, below) in &tree.0 {
            let (name, relation) =
                schema.relations.get_key_value(name).ok_or_else(|| unknown_relation(schema, name))?;
            branches.push(self.branch(schema, name, relation, below)?);
        }
        for (name, relation) in schema.relations.iter().filter(|(_, relation)| relation.eager) {
            let new = !tree.0.contains_key(name) && !self.leads_back(schema, name, relation);
            if new && wanted.has(name, relation) {
                branches.push(self.branch(schema, name, relation, &Tree::default())?);
            }
        }
        Ok(branches)
    }

    /// Whether a relation leads to an entity that the way here came from. One from an entity to itself is followed
    /// once.
    fn leads_back(&self, schema: &EntitySchema, name: &str, relation: &Relation) -> bool {
        if relation.target == schema.name {
            return self.trail.contains(&(schema.name.as_str(), name));
        }
        self.trail.iter().any(|(entity, _)| *entity == relation.target)
    }

    fn branch(
        &mut self,
        schema: &'a EntitySchema,
        name: &'a str,
        relation: &'a Relation,
        below: &Tree,
    ) -> Result<Branch<'a>> {
        let target = self.schemas.target(schema, name, relation)?;
        let link = link_of(self.schemas, schema, name, relation)?;
        let wanted = Wanted { selected: &relation.select, excluded: &[] };
        self.trail.push((&schema.name, name));
        let below = self.branches(target, below, wanted);
        self.trail.pop();
        Ok(Branch { name, relation, target, link, below: below? })
    }
}

fn unknown_relation(schema: &EntitySchema, name: &str) -> Error {
    let known = schema.relations.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let known = if known.is_empty() { "none".to_owned() } else { known };
    Error::new(ErrorKind::Filter, format!("{}: unknown relation {name:?}; known are {known}", schema.name))
}
