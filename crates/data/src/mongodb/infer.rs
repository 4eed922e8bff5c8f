//! The columns of a collection, found by the server in all of its documents.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, RawDocument, doc};

use super::connect::Connection;
use super::cursor::each_document;
use super::error::{driver_error, malformed};
use super::fields::KEY;
use crate::error::{Error, Result};
use crate::schema::ID;
use crate::table::{ColumnType, Table, TableColumn};

/// A collection's description, or `None` if there is none of this name. The key comes first, as column `id`, or as
/// `_id` where documents have a field `id` of their own; then the fields of the first document in its order, then the
/// others by name.
pub(super) async fn describe(connection: &Connection, name: &str) -> Result<Option<Table>> {
    let kinds = doc! {"$in": ["collection", "timeseries"]};
    let listing = connection.database.list_collection_names().filter(doc! {"name": name, "type": kinds});
    if listing.await.map_err(|error| driver_error(&error))?.is_empty() {
        return Ok(None);
    }
    let mut types = field_types(connection, name).await?;
    let key_types = types.remove(KEY).unwrap_or_default();
    let key_name = if types.contains_key(ID) { KEY } else { ID };
    let key_type = match key_type(&key_types) {
        ColumnType::Bytes if holds_uuids(connection, name, KEY).await? => ColumnType::Any,
        other => other,
    };
    let column = |name: &str, column_type, nullable| TableColumn {
        name: name.to_owned(),
        column_type,
        nullable,
        generated: false,
    };
    let mut columns = vec![column(key_name, key_type, false)];
    let first = first_document_fields(connection, name).await?;
    let rest: Vec<String> = types.keys().filter(|field| !first.contains(field)).cloned().collect();
    for field in first.into_iter().chain(rest) {
        let Some(found) = types.get(&field) else { continue };
        let column_type = match merged_type(found) {
            ColumnType::Bytes if holds_uuids(connection, name, &field).await? => ColumnType::Any,
            other => other,
        };
        columns.push(column(&field, column_type, true));
    }
    Ok(Some(Table { name: name.to_owned(), columns, key: vec![0], references: Vec::new() }))
}

/// The BSON types of every field. Documents are first grouped by their shape, of which there are few, so that the
/// server does not have to take every one of them apart; a shape is written as `type name` of every field, which it
/// makes faster than documents.
async fn field_types(connection: &Connection, name: &str) -> Result<BTreeMap<String, BTreeSet<String>>> {
    connection.trace("aggregate", name);
    let shape = doc! {"$map": {
        "input": {"$objectToArray": "$$ROOT"}, "as": "field",
        "in": {"$concat": [{"$type": "$$field.v"}, " ", "$$field.k"]},
    }};
    let pipeline =
        [doc! {"$group": {"_id": shape}}, doc! {"$unwind": "$_id"}, doc! {"$group": {"_id": "$_id"}}];
    let collection = connection.collection(name);
    let cursor = collection
        .aggregate(pipeline)
        .allow_disk_use(true)
        .batch()
        .await
        .map_err(|error| driver_error(&error))?;
    let mut types: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    each_document(cursor, |document: &RawDocument| {
        let entry = document.get_str("_id").map_err(malformed)?;
        let (found, field) = entry.split_once(' ').ok_or_else(|| malformed("a field without a type"))?;
        types.entry(field.to_owned()).or_default().insert(found.to_owned());
        Ok(())
    })
    .await
    .map_err(Error::from)?;
    Ok(types)
}

async fn first_document_fields(connection: &Connection, name: &str) -> Result<Vec<String>> {
    let first =
        connection.collection(name).find_one(Document::new()).await.map_err(|error| driver_error(&error))?;
    let Some(first) = first else { return Ok(Vec::new()) };
    first.iter().map(|entry| Ok(entry.map_err(malformed)?.0.as_str().to_owned())).collect()
}

/// Whether a field of bytes holds UUIDs, which are bytes of another kind and are not to become plain ones. Bytes are
/// ordered by length, kind and content, so that a range finds them.
async fn holds_uuids(connection: &Connection, name: &str, field: &str) -> Result<bool> {
    for subtype in [BinarySubtype::Uuid, BinarySubtype::UuidOld] {
        let bound = |byte: u8| Binary { subtype, bytes: vec![byte; 16] };
        let range = doc! {field: {"$gte": bound(0), "$lte": bound(0xff)}};
        let found = connection.collection(name).find_one(range).projection(doc! {KEY: 1}).await;
        if found.map_err(|error| driver_error(&error))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Keys made here may be text beside object ids that came back from elsewhere; both are text to other databases.
fn key_type(types: &BTreeSet<String>) -> ColumnType {
    let names: Vec<_> = types.iter().map(String::as_str).collect();
    if names == ["objectId", "string"] { ColumnType::Text(None) } else { merged_type(types) }
}

/// The one type that holds the values of all these BSON types as they are, or `Any`.
fn merged_type(types: &BTreeSet<String>) -> ColumnType {
    let names: Vec<_> =
        types.iter().map(String::as_str).filter(|name| !matches!(*name, "null" | "undefined")).collect();
    match names.as_slice() {
        ["bool"] => ColumnType::Bool,
        ["int"] => ColumnType::Int32,
        ["long"] | ["int", "long"] => ColumnType::Int64,
        ["double"] | ["double", "int"] => ColumnType::Float64,
        ["decimal"] => ColumnType::Decimal(None),
        ["string"] => ColumnType::Text(None),
        ["date"] => ColumnType::Timestamp { zoned: true },
        ["objectId"] => ColumnType::ObjectId,
        ["object"] | ["array"] | ["array", "object"] => ColumnType::Json,
        ["binData"] => ColumnType::Bytes,
        _ => ColumnType::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(types: &[&str]) -> ColumnType {
        merged_type(&types.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn types_merge_only_where_nothing_is_lost() {
        assert_eq!(merged(&["int", "null", "long"]), ColumnType::Int64);
        assert_eq!(merged(&["int", "double"]), ColumnType::Float64);
        assert_eq!(merged(&["long", "double"]), ColumnType::Any);
        assert_eq!(merged(&["object", "array"]), ColumnType::Json);
        assert_eq!(merged(&["string", "int"]), ColumnType::Any);
        assert_eq!(merged(&["null"]), ColumnType::Any);
    }
}
