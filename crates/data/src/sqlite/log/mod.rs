//! The log of changes of a SQLite database: a table that triggers fill.
//!
//! SQLite has no log that tells of rows. So triggers on every table that is read record each change in one table of
//! changes for all readers, in the order in which they happen; see [`triggers`] for what they record. SQLite
//! has one writer at a time, so that the changes of two transactions are never mixed. What the library itself writes is recorded like any other change.
//!
//! Tables may change meanwhile: the version of the schema is compared at each look, and the triggers are made anew before
//! anything that was recorded since is handed on. Until then SQLite refuses one thing: to drop a column whose unique index
//! was dropped just before. A table that is dropped and made anew is lost to its readers.

mod capture;
mod layout;
mod own_tables;
mod read;
mod table;
mod triggers;
mod unique;

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;

use super::pool::SqlitePools;
use super::session::{ForeignKeys, WriteTransaction, execute_on, fetch_on};
use super::store::SqliteSnapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::log::change_table::{ActiveReaders, TableStream};
use crate::log::{ChangeLog, ChangeStream, LogReader, LogSnapshot, LogStatus, OpenedLog, Position};
use crate::value::Value;
use own_tables::{CHANGE, READER, StoredReader};
use table::SqliteChanges;

/// The table of changes of one database.
pub(super) struct SqliteLog {
    pools: Arc<SqlitePools>,
    active: ActiveReaders,
}

impl SqliteLog {
    pub(super) fn new(pools: Arc<SqlitePools>) -> Self {
        Self { pools, active: ActiveReaders::default() }
    }

    /// Creates and changes everything that the reader needs; what was stored of the reader before.
    async fn prepare(&self, reader: &LogReader, tables: &[String]) -> Result<Option<StoredReader>> {
        let mut transaction = WriteTransaction::begin(&self.pools, ForeignKeys::Enforced).await?;
        let connection = transaction.connection()?;
        own_tables::create(connection).await?;
        capture::follow(connection, 0).await?;
        let stored = own_tables::reader(connection, &reader.name).await?;
        capture::add(connection, tables).await?;
        own_tables::store_reader(connection, &reader.name, tables).await?;
        capture::release(connection).await?;
        capture::set_verified(connection).await?;
        transaction.commit().await?;
        Ok(stored)
    }
}

#[async_trait]
impl ChangeLog for SqliteLog {
    async fn open(&self, reader: &LogReader) -> Result<OpenedLog> {
        let tables: Vec<String> = reader.tables.iter().map(|table| table.name.clone()).collect();
        let stored = self.prepare(reader, &tables).await.map_err(read_only)?;
        match stored {
            None => Ok(OpenedLog::Created(self.snapshot(reader).await?)),
            Some(stored) => {
                let added = tables.into_iter().filter(|table| !stored.tables.contains(table)).collect();
                Ok(OpenedLog::Existing { added })
            }
        }
    }

    /// The changes lie in the same database, so that the view shows where it lies itself.
    async fn snapshot(&self, _reader: &LogReader) -> Result<LogSnapshot> {
        let mut connection = self.pools.snapshot().await?;
        let position = own_tables::head(&mut connection).await?;
        Ok(LogSnapshot { position, snapshot: Box::new(SqliteSnapshot::new(connection)) })
    }

    async fn stream(&self, reader: &LogReader, from: &Position) -> Result<Box<dyn ChangeStream>> {
        let active = self.active.enter(&reader.name);
        let table = Arc::new(SqliteChanges::new(Arc::clone(&self.pools)));
        Ok(Box::new(TableStream::start(table, reader, from, active).await?))
    }

    async fn head(&self) -> Result<Position> {
        let connection = &mut *self.pools.read().await?;
        // Nothing is recorded before there is a reader.
        if !own_tables::exist(connection).await? {
            return Ok(Position::at(0));
        }
        own_tables::head(connection).await
    }

    async fn status(&self, name: &str) -> Result<Option<LogStatus>> {
        let connection = &mut *self.pools.read().await?;
        if !own_tables::exist(connection).await? {
            return Ok(None);
        }
        let Some(reader) = own_tables::reader(connection, name).await? else { return Ok(None) };
        Ok(Some(LogStatus {
            retained_bytes: change_bytes(connection).await?,
            lost: reader.lost,
            active: self.active.contains(name),
        }))
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let mut transaction = WriteTransaction::begin(&self.pools, ForeignKeys::Enforced).await?;
        let connection = transaction.connection()?;
        if !own_tables::exist(connection).await? {
            // What is left of tables that somebody has dropped would make every write fail.
            own_tables::drop_all(connection).await?;
            return transaction.commit().await;
        }
        execute_on(connection, &format!("DELETE FROM {READER} WHERE name = ?"), &[name.into()]).await?;
        if own_tables::readers(connection).await?.is_empty() {
            own_tables::drop_all(connection).await?;
        } else {
            capture::follow(connection, 0).await?;
            capture::release(connection).await?;
            capture::set_verified(connection).await?;
        }
        transaction.commit().await
    }
}

/// The bytes of the table of changes.
async fn change_bytes(connection: &mut SqliteConnection) -> Result<u64> {
    let sql = "SELECT pgsize FROM dbstat WHERE name = ? AND aggregate = TRUE";
    let bytes = own_tables::integer(fetch_on(connection, sql, &[Value::from(CHANGE)]).await?.into_scalar());
    Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
}

fn read_only(error: Error) -> Error {
    if error.kind() != ErrorKind::ReadOnly {
        return error;
    }
    let message = format!(
        "changes cannot be captured, as the triggers that record them cannot be created: {error}; make the file and its \
         folder writable, and connect without mode=ro and immutable=1"
    );
    Error::new(ErrorKind::Capture, message).with_source(error)
}
