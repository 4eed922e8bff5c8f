//! The binary log of MySQL and MariaDB as a log of changes: this library reads it as a replica would.
//!
//! The server keeps its log for as long as it is set to, and knows nothing of who reads it; so a reader leaves nothing at the
//! source. Its position is the set of transactions that it has seen, which means the same at every server that has them:
//! after a failover, reading goes on at the new primary.
//!
//! The connection, with its encryption and authentication, is that of `mysql_async`, which also takes apart packets and
//! unpacks compressed transactions. Events are read here: those of MariaDB are not known to it, and rows become values
//! as they are read.
//!
//! What the log does not tell: what a foreign key changes in other tables, so that tables with one that cascades are refused,
//! and the end of XA transactions together with their changes.

#[cfg(test)]
mod arbitrary;
mod assemble;
mod bytes;
mod charset;
mod client;
mod decimal;
mod event;
mod failure;
mod json_binary;
mod json_diff;
mod layout;
mod mapped_table;
mod place;
mod requirement;
mod snapshot;
mod statement;
mod stream;
mod succession;
mod table_map;
mod value;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::pool::Pool;
use super::trigger_log::MysqlTriggerLog;
use crate::error::{Error, ErrorKind, Result};
use crate::log::change_table::ActiveReaders;
use crate::log::joint::{Joint, SharedLog};
use crate::log::{ChangeLog, ChangeStream, LogReader, LogSnapshot, LogStatus, OpenedLog, Position};
use place::Place;

/// The log of one database.
#[derive(Clone)]
pub(super) struct MysqlLog {
    pool: Pool,
    /// Where a reader that reads the log now may have read before.
    triggers: Arc<MysqlTriggerLog>,
    /// Why the log could not be read when the database was opened.
    obstacle: Option<String>,
    active: ActiveReaders,
    /// Readers that are to begin anew.
    forgotten: Arc<Mutex<HashSet<String>>>,
    joint: Arc<Joint>,
}

impl MysqlLog {
    /// Looks at what the server is set to.
    pub(super) async fn new(pool: Pool, triggers: Arc<MysqlTriggerLog>) -> Result<Self> {
        let obstacle = match requirement::obstacle(&mut *pool.get().await?).await {
            Err(error) if error.kind() != ErrorKind::Connection => Some(error.to_string()),
            obstacle => obstacle?,
        };
        let active = ActiveReaders::default();
        Ok(Self { pool, triggers, obstacle, active, forgotten: Arc::default(), joint: Arc::default() })
    }

    fn forgotten(&self) -> MutexGuard<'_, HashSet<String>> {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ChangeLog for MysqlLog {
    fn obstacle(&self) -> Option<&str> {
        self.obstacle.as_deref()
    }

    /// Every reader counts as known, unless it was removed before: whether the log still holds what it needs shows when it is
    /// read.
    async fn open(&self, reader: &LogReader) -> Result<OpenedLog> {
        {
            let link = &mut *self.pool.get().await?;
            if let Some(obstacle) = requirement::obstacle(link).await? {
                return Err(Error::new(ErrorKind::Capture, obstacle));
            }
            requirement::check_tables(link, reader).await?;
        }
        if self.forgotten().remove(&reader.name) {
            return Ok(OpenedLog::Created(self.snapshot(reader).await?));
        }
        Ok(OpenedLog::Existing { added: Vec::new() })
    }

    async fn snapshot(&self, _reader: &LogReader) -> Result<LogSnapshot> {
        snapshot::snapshot(&self.pool).await
    }

    async fn stream(&self, reader: &LogReader, from: &Position) -> Result<Box<dyn ChangeStream>> {
        stream::start(&self.pool, reader, from, vec![self.active.enter(&reader.name)]).await
    }

    async fn stream_jointly(&self, reader: &LogReader, from: &Position) -> Result<Box<dyn ChangeStream>> {
        self.joint.stream(Arc::new(self.clone()), reader, from).await
    }

    /// Servers that replicate from each other have their databases by the same names.
    fn lineage(&self) -> Option<String> {
        Some(format!("{}/{}", self.pool.server().kind.name(), self.pool.database()))
    }

    async fn goes_on(&self, position: &Position) -> Result<bool> {
        let Ok(place) = Place::of(position) else { return Ok(false) };
        let head = snapshot::head(&mut *self.pool.get().await?).await?;
        succession::goes_on(&self.pool, &place, &head).await
    }

    async fn head(&self) -> Result<Position> {
        Ok(snapshot::head(&mut *self.pool.get().await?).await?.position())
    }

    /// A reader that the triggers know has read there before, so that its position is none of this log.
    async fn status(&self, name: &str) -> Result<Option<LogStatus>> {
        if self.forgotten().contains(name) || self.triggers.knows(name).await? {
            return Ok(None);
        }
        // The log takes the same room whoever reads it.
        Ok(Some(LogStatus { retained_bytes: 0, lost: None, active: self.active.contains(name) }))
    }

    async fn remove(&self, name: &str) -> Result<()> {
        if self.triggers.knows(name).await? {
            self.triggers.remove(name).await?;
        }
        self.forgotten().insert(name.to_owned());
        Ok(())
    }
}

#[async_trait]
impl SharedLog for MysqlLog {
    async fn stream_for(&self, readers: &[Arc<LogReader>], from: &Position) -> Result<Box<dyn ChangeStream>> {
        let active = readers.iter().map(|reader| self.active.enter(&reader.name)).collect();
        let name = readers.first().map(|lead| lead.name.clone()).unwrap_or_default();
        let mut all = LogReader { name, tables: Vec::new() };
        for table in readers.iter().flat_map(|reader| &reader.tables) {
            if !all.tables.iter().any(|known| known.name == table.name) {
                all.tables.push(Arc::clone(table));
            }
        }
        stream::start(&self.pool, &all, from, active).await
    }

    /// A place that was read at another server may lack transactions that come first at this one.
    fn leads_to(&self, from: &Position, to: &Position) -> bool {
        match (Place::of(from), Place::of(to)) {
            (Ok(from), Ok(to)) => from.leads_to(&to),
            _ => false,
        }
    }

    fn counts_transactions(&self) -> bool {
        true
    }
}
