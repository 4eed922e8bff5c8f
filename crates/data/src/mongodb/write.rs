//! The commands that write rows: documents inserted, replaced, changed in some fields, or deleted.

use std::collections::HashSet;

use mongodb::bson::spec::ElementType;
use mongodb::bson::{Document, RawDocument, RawDocumentBuf, doc};

use super::bson::{Writer, value_of};
use super::bulk::{CommandWriter, Commands, DOCUMENT_BYTES, Failed, Owner, WriteKind};
use super::connect::Connection;
use super::error::{malformed, number};
use super::fields::KEY;
use super::key::{Layout, describe_key, object_id_of};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{Discriminator, ID};
use crate::table::{ColumnType, Row, RowBatch, RowPatch, Table};
use crate::value::Value;

/// What a document takes beside its values; only used to see whether another row fits a command.
const BYTES_PER_VALUE: usize = 64;
/// Keys of one deletion.
const KEYS_PER_DELETION: usize = 1000;

/// The rows of a batch, which MongoDB takes decoded.
pub(super) fn decoded(batch: &RowBatch) -> Result<&[Row]> {
    match batch {
        RowBatch::Rows(rows) => Ok(rows),
        RowBatch::PgBinary { .. } | RowBatch::Packed(_) => {
            Err(Error::new(ErrorKind::Internal, "MongoDB takes decoded rows, not PostgreSQL's tuples"))
        }
    }
}

/// Inserts rows that do not exist yet.
pub(super) fn inserts(
    connection: &Connection,
    owner: Owner,
    table: &Table,
    rows: &[Row],
) -> Result<Commands> {
    let layout = Layout::of(table)?;
    let mut writer = CommandWriter::new(connection, owner, WriteKind::Insert, &table.name)?;
    for row in rows {
        writer
            .write(expected_bytes(row), |writer| sized(writer, |writer| layout.write_row(writer, row, false)))
            .map_err(|error| error.in_context(describe_key(&table.key_of(row))))?;
    }
    writer.finish()
}

/// Replaces documents as a whole, or inserts them. `text_keys` are those that [`text_keys_query`] has found.
pub(super) fn replacements(
    connection: &Connection,
    owner: Owner,
    table: &Table,
    rows: &[Row],
    text_keys: &HashSet<String>,
) -> Result<Commands> {
    let layout = Layout::of(table)?;
    let mut writer = CommandWriter::new(connection, owner, WriteKind::Update, &table.name)?;
    for row in rows {
        let key = table.key_of(row);
        let text_key = matches!(key.as_slice(), [Value::Text(text)] if text_keys.contains(text));
        writer
            .write(expected_bytes(row), |writer| {
                let query = writer.open_element(ElementType::EmbeddedDocument, "q")?;
                let id = writer.open_element(ElementType::EmbeddedDocument, KEY)?;
                layout.write_key(writer, "$eq", &key, text_key)?;
                writer.close(id);
                writer.close(query);
                let document = writer.open_element(ElementType::EmbeddedDocument, "u")?;
                sized(writer, |writer| layout.write_row(writer, row, text_key))?;
                writer.close(document);
                writer.element("upsert", &Value::Bool(true))
            })
            .map_err(|error| error.in_context(describe_key(&key)))?;
    }
    writer.finish()
}

/// Changes some fields of documents.
pub(super) fn changes(
    connection: &Connection,
    owner: Owner,
    table: &Table,
    patches: &[RowPatch],
) -> Result<Commands> {
    let layout = Layout::of(table)?;
    let mut writer = CommandWriter::new(connection, owner, WriteKind::Update, &table.name)?;
    for patch in patches {
        let expected = expected_bytes(&patch.key)
            + patch
                .values
                .iter()
                .map(|(_, value)| expected_bytes(std::slice::from_ref(value)))
                .sum::<usize>();
        writer
            .write(expected, |writer| {
                let query = writer.open_element(ElementType::EmbeddedDocument, "q")?;
                write_keys_query(writer, &layout, std::slice::from_ref(&patch.key))?;
                writer.close(query);
                write_change(writer, table, patch)
            })
            .map_err(|error| error.in_context(describe_key(&patch.key)))?;
    }
    writer.finish()
}

/// Writes the update of a patch. A field without a value is none.
fn write_change(writer: &mut Writer, table: &Table, patch: &RowPatch) -> Result<()> {
    let mut fields = Vec::with_capacity(patch.values.len());
    for (position, value) in &patch.values {
        let Some(column) = table.columns.get(*position) else { continue };
        if column.column_type == ColumnType::Rest {
            let message = "fields without a column of their own are only written with the whole document";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        match table.key.iter().position(|own| own == position) {
            None => fields.push((column.name.as_str(), value)),
            Some(place) if patch.key.get(place) == Some(value) => {}
            Some(_) => {
                let message = "the key of a document cannot be changed; delete the row and insert it anew";
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        }
    }
    if fields.iter().any(|(name, _)| name.contains('.')) {
        return write_pipeline(writer, &fields);
    }
    let change = writer.open_element(ElementType::EmbeddedDocument, "u")?;
    for (operator, takes_null) in [("$set", false), ("$unset", true)] {
        let mut fields = fields.iter().filter(|(_, value)| value.is_null() == takes_null).peekable();
        if fields.peek().is_some() {
            let operands = writer.open_element(ElementType::EmbeddedDocument, operator)?;
            fields.try_for_each(|(name, value)| writer.element(name, value))?;
            writer.close(operands);
        }
    }
    if fields.is_empty() {
        // Nothing is to change, and the document is only to be counted. No field is called so.
        writer.element("$unset", &Value::object([("replicaverse_nothing", Value::Null)]))?;
    }
    writer.close(change);
    Ok(())
}

/// Operators would take a name with a dot for a path; this one does not.
fn write_pipeline(writer: &mut Writer, fields: &[(&str, &Value)]) -> Result<()> {
    let stages = writer.open_element(ElementType::Array, "u")?;
    for (position, (name, value)) in fields.iter().enumerate() {
        let stage = writer.open_item(position)?;
        let replacement = writer.open_element(ElementType::EmbeddedDocument, "$replaceWith")?;
        let set = writer.open_element(ElementType::EmbeddedDocument, "$setField")?;
        writer.element("field", &Value::object([("$literal", Value::from(*name))]))?;
        writer.element("input", &Value::from("$$ROOT"))?;
        if value.is_null() {
            writer.element("value", &Value::from("$$REMOVE"))?;
        } else {
            let literal = writer.open_element(ElementType::EmbeddedDocument, "value")?;
            writer.element("$literal", value)?;
            writer.close(literal);
        }
        writer.close(set);
        writer.close(replacement);
        writer.close(stage);
    }
    writer.close(stages);
    Ok(())
}

/// Deletes the documents with these keys.
pub(super) fn deletions(
    connection: &Connection,
    owner: Owner,
    table: &Table,
    keys: &[Vec<Value>],
) -> Result<Commands> {
    let layout = Layout::of(table)?;
    let mut writer = CommandWriter::new(connection, owner, WriteKind::Delete, &table.name)?;
    for chunk in keys.chunks(KEYS_PER_DELETION) {
        let expected = chunk.iter().map(|key| expected_bytes(key)).sum();
        writer.write(expected, |writer| {
            let query = writer.open_element(ElementType::EmbeddedDocument, "q")?;
            write_keys_query(writer, &layout, chunk)?;
            writer.close(query);
            writer.element("limit", &Value::Int32(0))
        })?;
    }
    writer.finish()
}

/// Deletes every document.
pub(super) fn truncation(connection: &Connection, owner: Owner, table: &Table) -> Result<Commands> {
    let mut writer = CommandWriter::new(connection, owner, WriteKind::Delete, &table.name)?;
    writer.write(0, |writer| {
        let query = writer.open_element(ElementType::EmbeddedDocument, "q")?;
        writer.close(query);
        writer.element("limit", &Value::Int32(0))
    })?;
    writer.finish()
}

/// Deletes every document that holds a text in a field.
pub(super) fn part_deletion(
    connection: &Connection,
    owner: Owner,
    table: &Table,
    part: &Discriminator,
) -> Result<Commands> {
    let mut writer = CommandWriter::new(connection, owner, WriteKind::Delete, &table.name)?;
    writer.write(part.column.len() + part.value.len(), |writer| {
        let query = writer.open_element(ElementType::EmbeddedDocument, "q")?;
        let equal = writer.open_element(ElementType::EmbeddedDocument, &part.column)?;
        writer.element("$eq", &Value::from(part.value.as_str()))?;
        writer.close(equal);
        writer.close(query);
        writer.element("limit", &Value::Int32(0))
    })?;
    writer.finish()
}

/// Deletes every document whose first key is a text that begins so.
pub(super) fn beginning_deletion(
    connection: &Connection,
    owner: Owner,
    table: &Table,
    beginning: &Discriminator,
) -> Result<Commands> {
    let is_id = table.key.len() == 1 && [ID, KEY].contains(&beginning.column.as_str());
    let field = if is_id { KEY } else { &beginning.column };
    let mut writer = CommandWriter::new(connection, owner, WriteKind::Delete, &table.name)?;
    writer.write(field.len() + 2 * beginning.value.len(), |writer| {
        let query = writer.open_element(ElementType::EmbeddedDocument, "q")?;
        let range = writer.open_element(ElementType::EmbeddedDocument, field)?;
        writer.element("$gte", &Value::from(beginning.value.as_str()))?;
        // No text sorts behind one that goes on with the last of all characters.
        writer.element("$lt", &Value::from(format!("{}\u{10FFFF}", beginning.value)))?;
        writer.close(range);
        writer.close(query);
        writer.element("limit", &Value::Int32(0))
    })?;
    writer.finish()
}

/// How many documents were deleted or found, by the replies to commands.
pub(super) fn count(replies: &[Document]) -> u64 {
    let count = replies.iter().filter_map(|reply| number(reply, "n")).sum::<i64>();
    u64::try_from(count).unwrap_or(0)
}

/// The query for documents whose `_id` is the text of a key of 24 hexadecimal digits; `None` if no row has such a key.
pub(super) fn text_keys_query(table: &Table, rows: &[Row]) -> Option<Document> {
    let [position] = table.key.as_slice() else { return None };
    let keys = rows.iter().filter_map(|row| row.get(*position));
    let texts: Vec<&str> =
        keys.filter(|key| object_id_of(key).is_some()).filter_map(Value::as_text).collect();
    (!texts.is_empty()).then(|| doc! {KEY: {"$in": texts}})
}

/// Notes the `_id` of a document that is text.
pub(super) fn note_text_key(document: &RawDocument, found: &mut HashSet<String>) -> Result<()> {
    if let Some(id) = document.get(KEY).map_err(malformed)?
        && let Value::Text(text) = value_of(id)?
    {
        found.insert(text);
    }
    Ok(())
}

/// Writes a row's document and refuses one that the server would not take.
fn sized(writer: &mut Writer, write: impl FnOnce(&mut Writer) -> Result<()>) -> Result<()> {
    let before = writer.len();
    write(writer)?;
    let bytes = writer.len() - before;
    if bytes > DOCUMENT_BYTES - 8 {
        return Err(Error::new(
            ErrorKind::Value,
            format!("a document of {bytes} bytes exceeds MongoDB's 16 MiB"),
        ));
    }
    Ok(())
}

/// About how many bytes a row takes: enough to begin another command before one overflows.
fn expected_bytes(row: &[Value]) -> usize {
    row.iter()
        .map(|value| match value {
            Value::Text(text) => BYTES_PER_VALUE + text.len(),
            Value::Bytes(bytes) => BYTES_PER_VALUE + bytes.len(),
            Value::Array(items) => BYTES_PER_VALUE + expected_bytes(items),
            Value::Object(object) => {
                let names = object.keys().map(String::len).sum::<usize>();
                BYTES_PER_VALUE
                    + names
                    + object.values().map(|value| expected_bytes(std::slice::from_ref(value))).sum::<usize>()
            }
            _ => BYTES_PER_VALUE,
        })
        .sum()
}

/// The query for the documents with these keys.
pub(super) fn keys_query(table: &Table, keys: &[Vec<Value>]) -> Result<Document> {
    let layout = Layout::of(table)?;
    let mut writer = Writer::default();
    let query = writer.open();
    write_keys_query(&mut writer, &layout, keys)?;
    writer.close(query);
    let query: RawDocumentBuf = writer.into_document()?;
    Document::try_from(query).map_err(malformed)
}

/// Writes `{_id: {$in: […]}}` with both forms of a key that has two.
fn write_keys_query(writer: &mut Writer, layout: &Layout<'_>, keys: &[Vec<Value>]) -> Result<()> {
    let id = writer.open_element(ElementType::EmbeddedDocument, KEY)?;
    let list = writer.open_element(ElementType::Array, "$in")?;
    let mut position = 0usize;
    for key in keys {
        layout.write_key(writer, &position.to_string(), key, false)?;
        position += 1;
        if matches!(key.as_slice(), [single] if object_id_of(single).is_some()) {
            layout.write_key(writer, &position.to_string(), key, true)?;
            position += 1;
        }
    }
    writer.close(list);
    writer.close(id);
    Ok(())
}

/// The error of a failed call, with the key of the row that it is about.
pub(super) fn in_row(failed: Failed, table: &Table, rows: &[Row]) -> Error {
    match failed.row.and_then(|row| rows.get(row)) {
        Some(row) => failed.error.in_context(describe_key(&table.key_of(row))),
        None => failed.error,
    }
}
