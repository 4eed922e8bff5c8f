//! Rows within the value of a relation, as an application gives them.

use super::cascade::Cascade;
use super::link::{is_owning, key_of};
use crate::error::{Error, ErrorKind};
use crate::record::Record;
use crate::schema::{EntitySchema, ID, Relation, RelationKind};
use crate::value::Value;

/// The rows or ids in the value of a relation.
pub(super) fn items(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.into_iter().filter(|item| !item.is_null()).collect(),
        Value::Null => Vec::new(),
        Value::Text(text) if text.is_empty() => Vec::new(),
        one => vec![one],
    }
}

/// The id of a row within a value, if it has one.
pub(super) fn id_of(row: &Record) -> Option<&Value> {
    row.get(ID).filter(|id| key_of(id).is_some())
}

/// Whether writing a record takes more than one write of its own row and lists.
pub(super) fn concerns_others(schema: &EntitySchema, record: &Record, updating: bool) -> bool {
    schema.relations.iter().any(|(name, relation)| {
        let column = relation.kind.has_column().then(|| relation.column(name));
        let value = record.get(name).or_else(|| column.and_then(|column| record.get(column)));
        value.is_some_and(|value| passes_on(relation, value, updating))
    })
}

fn passes_on(relation: &Relation, value: &Value, updating: bool) -> bool {
    let cascade = Cascade::of(relation);
    let orphans = updating && relation.orphan_removal;
    let mut rows = rows_in(value);
    match relation.kind {
        RelationKind::OneToMany => cascade.writes() || orphans || rows.any(|row| id_of(row).is_none()),
        RelationKind::OneToOne if is_owning(relation) && orphans => true,
        // Every row that is read has a column of this name, without a value.
        RelationKind::OneToOne if !is_owning(relation) => !value.is_null(),
        _ if is_owning(relation) => rows.any(|row| cascade.writes() || id_of(row).is_none()),
        _ => true,
    }
}

fn rows_in(value: &Value) -> impl Iterator<Item = &Record> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    items.iter().filter_map(|item| match item {
        Value::Object(row) => Some(row.as_ref()),
        _ => None,
    })
}

/// Rows of which a record says no more than their ids become these.
pub(super) fn without_bare_rows(schema: &EntitySchema, mut record: Record) -> Record {
    for (name, relation) in &schema.relations {
        let column = relation.kind.has_column().then(|| relation.column(name));
        for key in [Some(name.as_str()), column].into_iter().flatten() {
            match record.get_mut(key) {
                Some(Value::Array(items)) => items.iter_mut().for_each(bare_to_id),
                Some(one) => bare_to_id(one),
                None => {}
            }
        }
    }
    record
}

fn bare_to_id(value: &mut Value) {
    if let Value::Object(row) = value
        && row.len() == 1
        && let Some(id) = id_of(row).cloned()
    {
        *value = id;
    }
}

/// The error that a row was given where only an id can stand.
pub(super) fn needs_cascade(schema: &EntitySchema, name: &str) -> Error {
    let message = format!(
        "{}.{name}: an object without an id can only be stored by a relation with cascade \"persist\"",
        schema.name
    );
    Error::new(ErrorKind::Value, message)
}

/// The error that a row is referred to that does not exist.
pub(super) fn no_such_row(schema: &EntitySchema, name: &str, relation: &Relation, id: &Value) -> Error {
    let id = key_of(id).unwrap_or_default();
    let message = format!("{}.{name}: there is no {} with the id {id:?}", schema.name, relation.target);
    Error::new(ErrorKind::ForeignKeyViolation, message)
}
