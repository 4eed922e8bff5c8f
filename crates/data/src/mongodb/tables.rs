//! Collections as tables: what replication reads and writes.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use mongodb::bson::doc;
use mongodb::options::ReadConcern;

use super::alter::alter;
use super::apply::CollectionTransaction;
use super::bulk::{Owner, run};
use super::connect::Connection;
use super::cursor::each_document;
use super::error::{driver_error, malformed};
use super::fields::KEY;
use super::identity::identity;
use super::infer::describe;
use super::key::Layout;
use super::log::MongoLog;
use super::scan::{CollectionReader, Decoder, Unknown, entity_query, primary};
use super::schema::create_collection;
use super::transaction::end_sessions;
use super::write;
use crate::error::Result;
use crate::log::{ChangeLog, LogKind};
use crate::schema::Discriminator;
use crate::table::{
    ColumnChange, ColumnType, Limits, OWN_TABLE_PREFIX, ReadSnapshot, Row, RowBatch, Table, TableColumn,
    TableStore, TableTransaction,
};
use crate::value::{Timestamp, Value};

/// How many batches are written at the same time. Measured on two cores, in thousands of rows per second: 210 with one,
/// 260 with two, 263 with three, 265 with four.
const WRITE_CONCURRENCY: usize = 3;

/// How many rows are written at a time. More are not faster, and so many are held several times over while several
/// batches are on their way.
const WRITE_ROWS: usize = 2500;

/// The collections of one database.
pub(super) struct Tables {
    connection: Arc<Connection>,
    log: MongoLog,
}

impl Tables {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self { log: MongoLog::new(Arc::clone(&connection)), connection }
    }

    /// The collections of the application of this kind.
    async fn names_of(&self, kind: &str) -> Result<Vec<String>> {
        let listing = self.connection.database.list_collection_names().filter(doc! {"type": kind});
        let mut names = listing.await.map_err(|error| driver_error(&error))?;
        names.retain(|name| !name.starts_with("system.") && !name.starts_with(OWN_TABLE_PREFIX));
        names.sort_unstable();
        Ok(names)
    }
}

#[async_trait]
impl TableStore for Tables {
    fn limits(&self) -> Limits {
        Limits { nan: true, infinity: true, microseconds: false, infinite_timestamp: false }
    }

    async fn list_tables(&self) -> Result<Vec<String>> {
        self.connection.check_open()?;
        self.names_of("collection").await
    }

    /// Time series, of which MongoDB tells no changes.
    async fn list_unfollowed(&self) -> Result<Vec<String>> {
        self.connection.check_open()?;
        self.names_of("timeseries").await
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
        let query = write::keys_query(table, keys)?;
        self.connection.trace("find", &table.name);
        let collection = self.connection.collection(&table.name);
        let mut find = collection.find(query).selection_criteria(primary());
        if self.connection.has_transactions {
            // What could still be undone by a failover is not carried anywhere.
            find = find.read_concern(ReadConcern::majority());
        }
        let cursor = find.batch().await.map_err(|error| driver_error(&error))?;
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
        let rows = write::decoded(batch)?;
        let commands = write::inserts(&self.connection, Owner::Call, table, rows)?;
        self.connection.trace("insert", &table.name);
        let Err(failed) = run(&self.connection, &commands).await else { return Ok(()) };
        let written: Vec<_> =
            failed.written.iter().filter_map(|row| rows.get(*row)).map(|row| table.key_of(row)).collect();
        if !written.is_empty() {
            // The first error is the one to report; a failed clean-up can only have the same cause.
            drop(self.delete(table, &written).await);
        }
        Err(write::in_row(failed, table, rows))
    }

    /// Documents are replaced as a whole. On a standalone server, which has no transactions, an error leaves what was
    /// written before it.
    async fn upsert(&self, table: &Table, rows: &[Row]) -> Result<()> {
        self.connection.check_open()?;
        let text_keys = self.text_keys(table, rows).await?;
        let commands = write::replacements(&self.connection, Owner::Call, table, rows, &text_keys)?;
        self.connection.trace("update", &table.name);
        run(&self.connection, &commands).await.map_err(|failed| write::in_row(failed, table, rows))?;
        Ok(())
    }

    async fn delete(&self, table: &Table, keys: &[Vec<Value>]) -> Result<u64> {
        self.connection.check_open()?;
        let commands = write::deletions(&self.connection, Owner::Call, table, keys)?;
        self.connection.trace("delete", &table.name);
        let replies = run(&self.connection, &commands).await.map_err(|failed| failed.error)?;
        Ok(write::count(&replies))
    }

    async fn identity(&self) -> Result<String> {
        self.connection.check_open()?;
        identity(&self.connection).await
    }

    async fn alter(&self, table: &str, changes: &[ColumnChange]) -> Result<Table> {
        self.connection.check_open()?;
        alter(&self.connection, table, changes).await
    }

    async fn begin(&self) -> Result<Box<dyn TableTransaction>> {
        self.connection.check_open()?;
        Ok(Box::new(CollectionTransaction::begin(Arc::clone(&self.connection)).await?))
    }

    async fn end_sessions(&self, sessions: &[String]) -> Result<()> {
        self.connection.check_open()?;
        end_sessions(&self.connection, sessions).await
    }

    fn change_log(&self, kind: LogKind) -> Option<&dyn ChangeLog> {
        (kind == LogKind::Log).then_some(&self.log as &dyn ChangeLog)
    }
}

impl Tables {
    /// Which of the rows' keys of 24 hexadecimal digits belong to documents whose `_id` is that text.
    async fn text_keys(&self, table: &Table, rows: &[Row]) -> Result<HashSet<String>> {
        let mut found = HashSet::new();
        let Some(query) = write::text_keys_query(table, rows) else { return Ok(found) };
        let collection = self.connection.collection(&table.name);
        let find = collection.find(query).projection(doc! {KEY: 1});
        let cursor = find.batch().await.map_err(|error| driver_error(&error))?;
        each_document(cursor, |document| write::note_text_key(document, &mut found)).await?;
        Ok(found)
    }
}

/// The type in which MongoDB holds the values of another database's column.
pub(super) fn stored_type(source: &ColumnType) -> ColumnType {
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
