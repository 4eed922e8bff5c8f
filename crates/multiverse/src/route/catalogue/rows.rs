//! The rows of the two queries that read a database's catalogue.

use serde_json::Error as JsonError;

/// A row of the queries in `system.sql` and `own.sql`, whose seven columns are all text or NULL.
///
/// The first column says what the row is: `functions`, `operators`, `types` and `relations` give names that exist, as a
/// JSON array in the column `name`; `f`, `o`, `t` and `r` are one object of that kind each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogueRow {
    /// What the row is.
    pub kind: Option<String>,
    /// The object's oid.
    pub id: Option<String>,
    /// The object's schema.
    pub schema: Option<String>,
    /// The object's name, or a JSON array of names.
    pub name: Option<String>,
    /// Why the object itself needs the primary: `volatile`, `unlogged`, `foreign`.
    pub reason: Option<String>,
    /// What it depends on: kinds with oids, `f1574 r16420`.
    pub targets: Option<String>,
    /// The source of a function whose declaration says that it only reads.
    pub body: Option<String>,
}

/// The number of columns of the queries.
pub const COLUMNS: usize = 7;

impl CatalogueRow {
    /// A row from its columns in order; columns that are missing are NULL.
    pub fn from_columns(columns: impl IntoIterator<Item = Option<String>>) -> Self {
        let mut columns = columns.into_iter();
        let mut next = || columns.next().flatten();
        Self {
            kind: next(),
            id: next(),
            schema: next(),
            name: next(),
            reason: next(),
            targets: next(),
            body: next(),
        }
    }
}

/// The catalogue's rows are not what the queries give.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A column that must have a value has none, or one of another form.
    #[error("the catalogue's row of kind {kind:?} has an unusable {column}")]
    Column {
        /// What the row is.
        kind: String,
        /// The column.
        column: &'static str,
    },
    /// A list of names is not a JSON array of strings.
    #[error("the catalogue's list of {kind} cannot be read")]
    Names {
        /// What the names are of.
        kind: String,
        /// Why.
        #[source]
        source: JsonError,
    },
}

/// A kind of object with its oid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ObjectId {
    pub(super) kind: ObjectKind,
    oid: u32,
}

/// The kinds of objects that a statement can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ObjectKind {
    Function,
    Operator,
    Type,
    Relation,
}

/// What a row says.
pub(super) enum Fact<'a> {
    /// These names exist.
    Names(ObjectKind, Vec<Box<str>>),
    /// This object exists.
    Object(Object<'a>),
}

/// One object of the database.
pub(super) struct Object<'a> {
    pub(super) id: ObjectId,
    pub(super) schema: &'a str,
    pub(super) name: &'a str,
    pub(super) needs_primary: bool,
    pub(super) targets: Vec<ObjectId>,
    pub(super) body: Option<&'a str>,
}

/// Reads a row.
pub(super) fn fact(row: &CatalogueRow) -> Result<Fact<'_>, CatalogueError> {
    let kind = row.kind.as_deref().unwrap_or_default();
    let lacks = |column| CatalogueError::Column { kind: kind.to_owned(), column };
    let names = |of| {
        let names = row.name.as_deref().map_or(Ok(Vec::new()), serde_json::from_str);
        names
            .map(|names| Fact::Names(of, names))
            .map_err(|source| CatalogueError::Names { kind: kind.to_owned(), source })
    };
    match kind {
        "functions" => names(ObjectKind::Function),
        "operators" => names(ObjectKind::Operator),
        "types" => names(ObjectKind::Type),
        "relations" => names(ObjectKind::Relation),
        _ => Ok(Fact::Object(Object {
            id: object_id(kind, row.id.as_deref().unwrap_or_default()).ok_or_else(|| lacks("id"))?,
            schema: row.schema.as_deref().ok_or_else(|| lacks("schema"))?,
            name: row.name.as_deref().ok_or_else(|| lacks("name"))?,
            needs_primary: row.reason.is_some(),
            targets: targets(row.targets.as_deref().unwrap_or_default()).ok_or_else(|| lacks("targets"))?,
            body: row.body.as_deref(),
        })),
    }
}

fn targets(text: &str) -> Option<Vec<ObjectId>> {
    text.split_ascii_whitespace()
        .map(|target| target.split_at_checked(1))
        .map(|parts| {
            let (kind, oid) = parts?;
            object_id(kind, oid)
        })
        .collect()
}

fn object_id(kind: &str, oid: &str) -> Option<ObjectId> {
    let kind = match kind {
        "f" => ObjectKind::Function,
        "o" => ObjectKind::Operator,
        "t" => ObjectKind::Type,
        "r" => ObjectKind::Relation,
        _ => return None,
    };
    Some(ObjectId { kind, oid: oid.parse().ok()? })
}
