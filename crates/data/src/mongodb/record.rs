//! Records of entities as documents, both ways.
//!
//! A document's `_id` is the record's `id`. Null and missing are one to the filter language, so a field without a
//! value is left out of the document, which also keeps it out of sparse and partial unique indexes, as SQL keeps NULL
//! out of a unique constraint. A record that is read has every declared field, with null where the document has none.

use mongodb::bson::{RawDocument, RawDocumentBuf};

use super::bson::{Writer, value_of};
use super::error::malformed;
use super::fields::KEY;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::FindOptions;
use crate::record::{Record, fit};
use crate::schema::{Column, EntitySchema, FieldType, ID, RelationKind};
use crate::value::{Object, ObjectId, Value, json_text};

/// Where Mongoose, on which earlier versions of this format were written, keeps its own version number.
const MONGOOSE_VERSION: &str = "__v";
const LARGEST_EXACT_INTEGER: u64 = 1 << 53;

/// The fields of a prepared record as they are stored, without the key. Fields without a value are among them as
/// null. Lists of the other side of a one-to-many relation are not stored.
///
/// # Errors
/// [`ErrorKind::Value`] naming the field.
pub(super) fn stored_fields(schema: &EntitySchema, record: Record) -> Result<Object> {
    let mut fields = Object::with_capacity(record.len());
    for (name, value) in record {
        if name == ID || name == KEY {
            continue;
        }
        if name.is_empty() || name.starts_with('$') || name.contains(['.', '\0']) {
            let message = format!("{}: {name:?} cannot be the name of a field in MongoDB", schema.name);
            return Err(Error::new(ErrorKind::Value, message));
        }
        if let Some(value) = stored_value(schema, &name, value)? {
            fields.insert(name, value);
        }
    }
    Ok(fields)
}

fn stored_value(schema: &EntitySchema, name: &str, value: Value) -> Result<Option<Value>> {
    match schema.relations.get(name).map(|relation| relation.kind) {
        Some(RelationKind::OneToMany) => return Ok(None),
        Some(RelationKind::ManyToMany) => return Ok(Some(Value::Array(listed_ids(value)))),
        _ => {}
    }
    Ok(Some(match schema.column(name) {
        Some(Column::Reference(..)) => reference(key_of(&format!("{}.{name}", schema.name), value)?),
        Some(column) if column.field_type() == FieldType::Number => {
            stored_number(&format!("{}.{name}", schema.name), value)?
        }
        _ => value,
    }))
}

/// An id as documents hold it: an object id stays one, and any other is text, as ids are on SQL databases.
///
/// # Errors
/// [`ErrorKind::Value`] for a value that is no id.
pub(super) fn key_of(place: &str, id: Value) -> Result<Value> {
    match id {
        Value::ObjectId(_) => Ok(id),
        id => fit(&place, FieldType::String, id),
    }
}

/// A reference in the form of the key that it points to: 24 hexadecimal digits are an object id.
pub(super) fn reference(value: Value) -> Value {
    match value.as_text().and_then(ObjectId::parse) {
        Some(id) => Value::ObjectId(id),
        None => value,
    }
}

/// The ids of a many-to-many relation, given as a list, as text with commas, or as one id or row; each once.
pub(super) fn listed_ids(value: Value) -> Vec<Value> {
    let items = match value {
        Value::Array(items) => items,
        Value::Text(text) => text.split(',').map(Value::from).collect(),
        single => vec![single],
    };
    let mut ids: Vec<Value> = Vec::with_capacity(items.len());
    for id in items.into_iter().filter_map(listed_id) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// The reference that one item of a many-to-many relation stands for, which may be the row itself.
fn listed_id(item: Value) -> Option<Value> {
    match item {
        Value::Object(mut row) => row.shift_remove(ID).and_then(listed_id),
        Value::Text(id) => Some(id.trim()).filter(|id| !id.is_empty()).map(|id| reference(id.into())),
        Value::Int32(number) => Some(Value::Text(number.to_string())),
        Value::Int64(number) => Some(Value::Text(number.to_string())),
        id @ Value::ObjectId(_) => Some(id),
        _ => None,
    }
}

/// A number as the double that number fields hold.
///
/// # Errors
/// [`ErrorKind::Value`] for an integer that a double would round.
pub(super) fn stored_number(place: &str, value: Value) -> Result<Value> {
    if let Some(integer) = value.as_integer()
        && integer.unsigned_abs() > LARGEST_EXACT_INTEGER
    {
        let message = format!("{place}: {integer} cannot be held exactly by a number field");
        return Err(Error::new(ErrorKind::Value, message));
    }
    Ok(value.as_f64().map_or(value, Value::Float))
}

/// The document of a record: its key, then the fields that have a value.
///
/// # Errors
/// [`ErrorKind::Value`] for a value without an equivalent in BSON.
pub(super) fn document(id: &Value, fields: &Object) -> Result<RawDocumentBuf> {
    let mut writer = Writer::default();
    let opened = writer.open();
    writer.element(KEY, id)?;
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        writer.element(name, value).map_err(|error| error.in_context(name))?;
    }
    writer.close(opened);
    writer.into_document()
}

/// The record of a document, as far as the options ask for it.
///
/// # Errors
/// [`ErrorKind::Internal`] if the bytes are no BSON.
pub(super) fn record(schema: &EntitySchema, document: &RawDocument, options: &FindOptions) -> Result<Record> {
    let mut record = Record::with_capacity(schema.fields.len() + 4);
    if let Some(id) = document.get(KEY).map_err(malformed)? {
        record.insert(ID.to_owned(), shown_id(value_of(id)?));
    }
    for entry in document {
        let (name, element) = entry.map_err(malformed)?;
        let name = name.as_str();
        if name != KEY && !is_hidden(schema, name) {
            record.insert(name.to_owned(), shown(value_of(element)?));
        }
    }
    for column in schema.columns() {
        if options.returns(column.name()) && !record.contains_key(column.name()) {
            record.insert(column.name().to_owned(), Value::Null);
        }
    }
    for (name, relation) in &schema.relations {
        if relation.kind == RelationKind::ManyToMany && options.returns(name) && !record.contains_key(name) {
            record.insert(name.clone(), Value::Array(Vec::new()));
        }
    }
    Ok(record)
}

/// Whether a field other than the key is not shown.
pub(super) fn is_hidden(schema: &EntitySchema, name: &str) -> bool {
    name == ID || (name == MONGOOSE_VERSION && schema.column(name).is_none())
}

/// An id is shown as text, also where another application has made it a number.
pub(super) fn shown_id(id: Value) -> Value {
    match id {
        Value::Int32(number) => Value::Text(number.to_string()),
        Value::Int64(number) => Value::Text(number.to_string()),
        Value::Float(number) => Value::Text(json_text(&Value::Float(number))),
        id => shown(id),
    }
}

/// Object ids become their 24 hexadecimal digits, at any depth.
pub(super) fn shown(value: Value) -> Value {
    match value {
        Value::ObjectId(id) => Value::Text(id.to_string()),
        Value::Array(items) => Value::Array(items.into_iter().map(shown).collect()),
        Value::Object(object) => {
            Value::Object(Box::new(object.into_iter().map(|(name, value)| (name, shown(value))).collect()))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> EntitySchema {
        EntitySchema::from_json(&json!({
            "name": "Post", "fields": {"score": {"type": "number"}, "title": {"type": "string"}},
            "relations": {
                "author": {"type": "many-to-one", "target": "User", "joinColumn": "authorId"},
                "tags": {"type": "many-to-many", "target": "Tag"},
                "comments": {"type": "one-to-many", "target": "Comment"}
            }
        }))
        .unwrap()
    }

    fn stored(name: &str, value: Value) -> Result<Option<Value>> {
        stored_fields(&schema(), Record::from_iter([(name.to_owned(), value)]))
            .map(|mut fields| fields.shift_remove(name))
    }

    #[test]
    fn numbers_are_doubles_and_references_object_ids() {
        let id = "65a1f0c2d4e5b6a798897766";
        let object_id = Value::ObjectId(ObjectId::parse(id).unwrap());
        assert_eq!(stored("score", 3.into()).unwrap(), Some(Value::Float(3.0)));
        assert_eq!(stored("authorId", id.into()).unwrap(), Some(object_id.clone()));
        assert_eq!(
            stored("tags", Value::Text(format!("a, {id},"))).unwrap(),
            Some(Value::Array(vec!["a".into(), object_id]))
        );
        assert_eq!(stored("comments", Value::Array(vec![])).unwrap(), None);
    }

    #[test]
    fn names_that_would_be_operators_or_paths_are_refused() {
        for name in ["$set", "a.b", "", "a\0"] {
            assert_eq!(stored(name, 1.into()).unwrap_err().kind(), ErrorKind::Value, "{name:?}");
        }
        assert_eq!(stored("score", Value::Int64(i64::MAX)).unwrap_err().kind(), ErrorKind::Value);
    }
}
