//! A log of changes that triggers fill, for PostgreSQL servers whose own log may not be read.
//!
//! One table holds the changes of all tables that readers want, numbered by a sequence. Row triggers fire in the order
//! of the changes of each row, so that the numbers of the changes of one row grow in the order of their commits.
//! Rows that vanish with a partition that is dropped, detached or truncated by itself are not deleted for a reader of
//! its root.

mod change_row;
mod decided;
mod objects;
mod record;
mod stream;
mod view;

use async_trait::async_trait;
use wire::{Connection, Param};

use super::log::partition;
use super::pool::Pool;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{ChangeLog, ChangeStream, LogReader, LogSnapshot, LogStatus, OpenedLog, Position};
use crate::table::Table;
use crate::value::Value;
use objects::Objects;

/// The log of one database.
pub(super) struct TriggerLog {
    pool: Pool,
}

impl TriggerLog {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

/// The lock that whoever streams for a reader holds.
const STREAM_LOCK: &str = "hashtextextended('replicaverse stream ' || $1, 0)";

#[async_trait]
impl ChangeLog for TriggerLog {
    async fn open(&self, reader: &LogReader) -> Result<OpenedLog> {
        if reader.tables.is_empty() {
            return Err(Error::new(ErrorKind::Config, "a reader of the log needs a table at the least"));
        }
        let opened = objects::patiently(|| objects::open(&self.pool, reader)).await?;
        match opened {
            Some(added) => Ok(OpenedLog::Existing { added }),
            None => Ok(OpenedLog::Created(view::view(&self.pool).await?)),
        }
    }

    async fn snapshot(&self, _reader: &LogReader) -> Result<LogSnapshot> {
        view::view(&self.pool).await
    }

    async fn stream(&self, reader: &LogReader, from: &Position) -> Result<Box<dyn ChangeStream>> {
        stream::start(&self.pool, reader, from).await
    }

    async fn head(&self) -> Result<Position> {
        let mut connection = self.pool.get().await?;
        let objects = Objects::find(&mut connection).await?;
        let Some(objects) = objects else { return Ok(Position::at(0)) };
        objects.last_number(&mut connection).await.map(Position::at)
    }

    async fn course(&self) -> Result<Option<String>> {
        super::course::course(&self.pool).await
    }

    async fn status(&self, name: &str) -> Result<Option<LogStatus>> {
        let mut connection = self.pool.get().await?;
        let Some(objects) = Objects::find(&mut connection).await? else { return Ok(None) };
        if objects.reader_position(&mut connection, name).await?.is_none() {
            return Ok(None);
        }
        let sql = format!(
            "SELECT pg_total_relation_size($2::text::regclass),
                    CASE WHEN pg_try_advisory_lock({STREAM_LOCK}) THEN NOT pg_advisory_unlock({STREAM_LOCK}) ELSE true END"
        );
        let result = connection.query(&sql, &[Param::text(name), Param::text(objects.changes())]).await?;
        let row = result.rows.get(0);
        let text = |column: usize| -> Result<&str> {
            Ok(row.map(|row| row.get_str(column)).transpose()?.flatten().unwrap_or_default())
        };
        let retained_bytes = text(0)?.parse().unwrap_or(0);
        Ok(Some(LogStatus { retained_bytes, lost: None, active: text(1)? == "t" }))
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let removed = objects::patiently(|| objects::remove(&self.pool, name)).await;
        removed.map_err(|error| {
            error.in_context(format!(
                "the reader \"{name}\" could not be removed; run DELETE FROM replicaverse_reader WHERE name = '{name}', \
                 and where no reader is left DROP FUNCTION replicaverse_capture() CASCADE; DROP TABLE \
                 replicaverse_change, replicaverse_structure, replicaverse_reader"
            ))
        })
    }

    async fn split(&self, table: &Table, rows_per_part: u64) -> Result<Vec<Vec<Value>>> {
        partition::split(&mut *self.pool.get().await?, table, rows_per_part).await
    }

    async fn locate(&self, table: &Table, bounds: &[Vec<Value>], keys: &[Vec<Value>]) -> Result<Vec<usize>> {
        partition::locate(&mut *self.pool.get().await?, table, bounds, keys).await
    }
}

/// The first value of the first row.
async fn value(connection: &mut Connection, sql: &str, parameters: &[Param<'_>]) -> Result<Option<String>> {
    let result = connection.query(sql, parameters).await?;
    let value = result.rows.get(0).map(|row| row.get_str(0)).transpose()?.flatten();
    Ok(value.map(str::to_owned))
}
