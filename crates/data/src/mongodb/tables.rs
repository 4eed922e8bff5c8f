//! Collections as tables: what replication reads and writes.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use mongodb::bson::spec::ElementType;
use mongodb::bson::{Document, RawDocumentBuf, doc};

use super::bson::{Writer, value_of};
use super::bulk::{CommandWriter, DOCUMENT_BYTES, Failed, WriteKind, run};
use super::connect::Connection;
use super::cursor::each_document;
use super::error::{driver_error, malformed, number};
use super::fields::KEY;
use super::infer::describe;
use super::key::{Layout, describe_key, object_id_of};
use super::scan::{CollectionReader, Decoder, Unknown, entity_query};
use super::schema::create_collection;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Discriminator;
use crate::table::{
    ColumnType, Limits, OWN_TABLE_PREFIX, ReadSnapshot, Row, RowBatch, Table, TableColumn, TableStore,
};
use crate::value::{Timestamp, Value};

/// What a document takes beside its values; only used to see whether another row fits a command.
const BYTES_PER_VALUE: usize = 64;

/// How many batches are written at the same time. Measured on two cores, in thousands of rows per second: 210 with one,
/// 260 with two, 263 with three, 265 with four.
const WRITE_CONCURRENCY: usize = 3;

/// How many rows are written at a time. More are not faster, and so many are held several times over while several
/// batches are on their way.
const WRITE_ROWS: usize = 2500;

/// The collections of one database.
pub(super) struct Tables {
    connection: Arc<Connection>,
}

impl Tables {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self { connection }
    }
}

#[async_trait]
impl TableStore for Tables {
    fn limits(&self) -> Limits {
        Limits { nan: true, infinity: true, microseconds: false, infinite_timestamp: false }
    }

    async fn list_tables(&self) -> Result<Vec<String>> {
        self.connection.check_open()?;
        let listing = self.connection.database.list_collection_names().filter(doc! {"type": "collection"});
        let mut names = listing.await.map_err(|error| driver_error(&error))?;
        names.retain(|name| !name.starts_with("system.") && !name.starts_with(OWN_TABLE_PREFIX));
        names.sort_unstable();
        Ok(names)
    }

    async fn describe(&self, name: &str) -> Result<Option<Table>> {
        self.connection.check_open()?;
        describe(&self.connection, name).await
    }

    /// The collection's description has the columns of the source; fields that its documents have besides are
    /// overwritten with the documents.
    async fn create_like(&self, source: &Table) -> Result<Table> {
        self.connection.check_open()?;
        let columns = source.columns.iter().map(|column| TableColumn {
            name: column.name.clone(),
            column_type: stored_type(&column.column_type),
            nullable: column.nullable,
            generated: false,
        });
        let table = Table {
            name: source.name.clone(),
            columns: columns.collect(),
            key: source.key.clone(),
            references: Vec::new(),
        };
        Layout::of(&table)?;
        create_collection(&self.connection, &table.name).await?;
        Ok(table)
    }

    async fn snapshot(&self) -> Result<Box<dyn ReadSnapshot>> {
        self.connection.check_open()?;
        Ok(Box::new(CollectionReader::new(Arc::clone(&self.connection))))
    }

    async fn estimate_rows(&self, table: &Table) -> Result<Option<u64>> {
        self.connection.check_open()?;
        let counted = self.connection.collection(&table.name).estimated_document_count().await;
        counted.map(Some).map_err(|error| driver_error(&error))
    }

    async fn clock(&self) -> Result<Timestamp> {
        self.connection.check_open()?;
        let hello = self.connection.database.run_command(doc! {"hello": 1}).await;
        let hello = hello.map_err(|error| driver_error(&error))?;
        let now = hello.get_datetime("localTime").map_err(malformed)?;
        Ok(Timestamp::from_millis(now.timestamp_millis()))
    }

    async fn is_empty(&self, table: &Table, discriminator: Option<&Discriminator>) -> Result<bool> {
        self.connection.check_open()?;
        let collection = self.connection.collection(&table.name);
        let found = collection.find_one(entity_query(discriminator)).projection(doc! {KEY: 1}).await;
        Ok(found.map_err(|error| driver_error(&error))?.is_none())
    }

    async fn fetch(&self, table: &Table, keys: &[Vec<Value>]) -> Result<Vec<Row>> {
        self.connection.check_open()?;
        let decoder = Decoder::new(table, Unknown::Ignore)?;
        let query = keys_query(&Layout::of(table)?, keys)?;
        self.connection.trace("find", &table.name);
        let collection = self.connection.collection(&table.name);
        let cursor = collection.find(query).batch().await.map_err(|error| driver_error(&error))?;
        let mut rows = Vec::with_capacity(keys.len());
        each_document(cursor, |document| {
            rows.push(decoder.row(document)?);
            Ok(())
        })
        .await?;
        Ok(rows)
    }

    fn batch_rows(&self) -> Option<usize> {
        Some(WRITE_ROWS)
    }

    fn write_concurrency(&self) -> usize {
        WRITE_CONCURRENCY
    }

    /// An error is followed by deleting what this call has inserted. Only if the server stays out of reach does that
    /// remain there; a later [`upsert`](TableStore::upsert) of the same rows overwrites it.
    async fn insert(&self, table: &Table, batch: &RowBatch) -> Result<()> {
        self.connection.check_open()?;
        let rows = match batch {
            RowBatch::Rows(rows) => rows,
            RowBatch::PgBinary { .. } | RowBatch::Packed(_) => {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "MongoDB takes decoded rows, not PostgreSQL's tuples",
                ));
            }
        };
        let layout = Layout::of(table)?;
        let mut writer = CommandWriter::new(&self.connection, WriteKind::Insert, &table.name)?;
        for row in rows {
            writer
                .write(expected_bytes(row), |writer| {
                    sized(writer, |writer| layout.write_row(writer, row, false))
                })
                .map_err(|error| error.in_context(describe_key(&table.key_of(row))))?;
        }
        self.connection.trace("insert", &table.name);
        let commands = writer.finish()?;
        let Err(failed) = run(&self.connection, &commands).await else { return Ok(()) };
        let written: Vec<_> =
            failed.written.iter().filter_map(|row| rows.get(*row)).map(|row| table.key_of(row)).collect();
        if !written.is_empty() {
            // The first error is the one to report; a failed clean-up can only have the same cause.
            drop(self.delete(table, &written).await);
        }
        Err(in_row(failed, table, rows))
    }

    /// Documents are replaced as a whole. On a standalone server, which has no transactions, an error leaves what was
    /// written before it.
    async fn upsert(&self, table: &Table, rows: &[Row]) -> Result<()> {
        self.connection.check_open()?;
        let layout = Layout::of(table)?;
        let text_keys = self.text_keys(table, rows).await?;
        let mut writer = CommandWriter::new(&self.connection, WriteKind::Update, &table.name)?;
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
        self.connection.trace("update", &table.name);
        let commands = writer.finish()?;
        run(&self.connection, &commands).await.map_err(|failed| in_row(failed, table, rows))?;
        Ok(())
    }

    async fn delete(&self, table: &Table, keys: &[Vec<Value>]) -> Result<u64> {
        self.connection.check_open()?;
        let layout = Layout::of(table)?;
        let mut writer = CommandWriter::new(&self.connection, WriteKind::Delete, &table.name)?;
        for chunk in keys.chunks(1000) {
            let expected = chunk.iter().map(|key| expected_bytes(key)).sum();
            writer.write(expected, |writer| {
                let query = writer.open_element(ElementType::EmbeddedDocument, "q")?;
                write_keys_query(writer, &layout, chunk)?;
                writer.close(query);
                writer.element("limit", &Value::Int32(0))
            })?;
        }
        self.connection.trace("delete", &table.name);
        let commands = writer.finish()?;
        let replies = run(&self.connection, &commands).await.map_err(|failed| failed.error)?;
        let deleted = replies.iter().filter_map(|reply| number(reply, "n")).sum::<i64>();
        Ok(u64::try_from(deleted).unwrap_or(0))
    }
}

impl Tables {
    /// Which of the rows' keys of 24 hexadecimal digits belong to documents whose `_id` is that text.
    async fn text_keys(&self, table: &Table, rows: &[Row]) -> Result<HashSet<String>> {
        let mut found = HashSet::new();
        let [position] = table.key.as_slice() else { return Ok(found) };
        let candidates: Vec<&str> = rows
            .iter()
            .filter_map(|row| {
                row.get(*position).filter(|key| object_id_of(key).is_some()).and_then(Value::as_text)
            })
            .collect();
        if candidates.is_empty() {
            return Ok(found);
        }
        let collection = self.connection.collection(&table.name);
        let find = collection.find(doc! {KEY: {"$in": candidates}}).projection(doc! {KEY: 1});
        let cursor = find.batch().await.map_err(|error| driver_error(&error))?;
        each_document(cursor, |document| {
            if let Some(id) = document.get(KEY).map_err(malformed)?
                && let Value::Text(text) = value_of(id)?
            {
                found.insert(text);
            }
            Ok(())
        })
        .await?;
        Ok(found)
    }
}

/// The type in which MongoDB holds the values of another database's column.
fn stored_type(source: &ColumnType) -> ColumnType {
    match source {
        ColumnType::Int16 => ColumnType::Int32,
        ColumnType::Float32 => ColumnType::Float64,
        ColumnType::Decimal(_) => ColumnType::Decimal(None),
        ColumnType::Timestamp { .. } => ColumnType::Timestamp { zoned: true },
        ColumnType::Text(_)
        | ColumnType::Uuid
        | ColumnType::Date
        | ColumnType::Time
        | ColumnType::Interval
        | ColumnType::Native(_) => ColumnType::Text(None),
        ColumnType::Array(element) => ColumnType::Array(Box::new(stored_type(element))),
        same => same.clone(),
    }
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

fn keys_query(layout: &Layout<'_>, keys: &[Vec<Value>]) -> Result<Document> {
    let mut writer = Writer::default();
    let query = writer.open();
    write_keys_query(&mut writer, layout, keys)?;
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
fn in_row(failed: Failed, table: &Table, rows: &[Row]) -> Error {
    match failed.row.and_then(|row| rows.get(row)) {
        Some(row) => failed.error.in_context(describe_key(&table.key_of(row))),
        None => failed.error,
    }
}
