//! The log of changes of a MySQL or MariaDB database that triggers fill, for where the binary log is not available.
//!
//! Triggers on every table that is read record each change; see [`sequence`] for how that becomes an order. What they
//! cannot see: TRUNCATE, for which the server runs no triggers and which is not captured, and what a foreign key changes,
//! so that tables with a foreign key that cascades are refused.
//!
//! Tables may change meanwhile: before anything is handed on, the tables are compared with what the triggers know, and the
//! triggers are made anew. A column that triggers name can be dropped, but the server then refuses to write its table
//! until the triggers are made anew, which a stream does within a second; so no column is to be dropped while nothing
//! streams, unless the reader is removed before. A table that is dropped and made anew is lost to its readers.

mod capture;
mod layout;
mod own_tables;
mod read;
mod sequence;
mod table;
mod triggers;

use std::sync::Arc;

use async_trait::async_trait;

use super::pool::{Link, Pool};
use super::session::{execute_on, fetch_on};
use super::store::MysqlSnapshot;
use crate::error::Result;
use crate::log::change_table::{ActiveReaders, TableStream};
use crate::log::{ChangeLog, ChangeStream, LogReader, LogSnapshot, LogStatus, OpenedLog, Position};
use crate::sql::Access;
use own_tables::{INBOX, READER, StoredReader, order};
use sequence::Sequencer;
use table::MysqlChanges;

/// The table of changes of one database.
pub(super) struct MysqlTriggerLog {
    pool: Pool,
    active: ActiveReaders,
}

impl MysqlTriggerLog {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool, active: ActiveReaders::default() }
    }
}

/// Creates and changes everything that the reader needs; what was stored of the reader before.
async fn prepare(link: &mut Link, name: &str, tables: &[String]) -> Result<Option<StoredReader>> {
    own_tables::create(link).await?;
    capture::follow(link, 0).await?;
    let stored = own_tables::readers(link).await?.into_iter().find(|reader| reader.name == name);
    let added = capture::add(link, tables).await;
    if added.is_ok() {
        own_tables::store_reader(link, name, tables).await?;
    }
    // What was created for nobody goes again, as there are no transactions for it.
    release(link).await?;
    added.map(|()| stored)
}

/// Removes what no reader needs.
async fn release(link: &mut Link) -> Result<()> {
    if own_tables::readers(link).await?.is_empty() {
        return own_tables::drop_all(link).await;
    }
    capture::release(link).await
}

#[async_trait]
impl ChangeLog for MysqlTriggerLog {
    /// TRUNCATE is not captured: the server runs no triggers for it.
    async fn open(&self, reader: &LogReader) -> Result<OpenedLog> {
        let tables: Vec<String> = reader.tables.iter().map(|table| table.name.clone()).collect();
        let mut sequencer = Sequencer::begin(&self.pool).await?;
        let link = sequencer.link()?;
        let stored = match prepare(link, &reader.name, &tables).await {
            Ok(stored) => stored,
            Err(error) => return Err(own_tables::with_grant(link, error).await),
        };
        sequencer.end().await?;
        match stored {
            None => Ok(OpenedLog::Created(self.snapshot(reader).await?)),
            Some(stored) => {
                let added = tables.into_iter().filter(|table| !stored.tables.contains(table)).collect();
                Ok(OpenedLog::Existing { added })
            }
        }
    }

    /// While nobody else numbers changes, those that the view shows get their numbers, and the last of them is where the
    /// view lies.
    async fn snapshot(&self, _reader: &LogReader) -> Result<LogSnapshot> {
        let mut sequencer = Sequencer::begin(&self.pool).await?;
        sequencer.run().await?;
        let snapshot = MysqlSnapshot::begin(self.pool.clone()).await?;
        let ids: Vec<u64> = {
            let mut link = snapshot.link().await;
            let sql = format!("SELECT id FROM {INBOX} ORDER BY id");
            let rows = fetch_on(&mut link, Access::Read, &sql, &[]).await?.rows;
            rows.iter().filter_map(|row| row.first()).map(order).collect()
        };
        sequencer.run_on(&ids).await?;
        let position = own_tables::head(sequencer.link()?).await?;
        sequencer.end().await?;
        Ok(LogSnapshot { position, snapshot: Box::new(snapshot) })
    }

    async fn stream(&self, reader: &LogReader, from: &Position) -> Result<Box<dyn ChangeStream>> {
        let active = self.active.enter(&reader.name);
        let table = Arc::new(MysqlChanges::new(self.pool.clone()));
        Ok(Box::new(TableStream::start(table, reader, from, active).await?))
    }

    async fn head(&self) -> Result<Position> {
        if !own_tables::exist(&mut *self.pool.get().await?).await? {
            // Nothing is recorded before there is a reader.
            return Ok(Position::at(0));
        }
        let mut sequencer = Sequencer::begin(&self.pool).await?;
        sequencer.run().await?;
        let head = own_tables::head(sequencer.link()?).await?;
        sequencer.end().await?;
        Ok(head)
    }

    async fn status(&self, name: &str) -> Result<Option<LogStatus>> {
        let link = &mut *self.pool.get().await?;
        if !own_tables::exist(link).await? {
            return Ok(None);
        }
        let readers = own_tables::readers(link).await?;
        let Some(reader) = readers.into_iter().find(|reader| reader.name == name) else { return Ok(None) };
        let sql = "SELECT COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM information_schema.TABLES \
                   WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME REGEXP '^replicaverse_(change|inbox|values_[0-9]+)$'";
        let bytes = fetch_on(link, Access::Read, sql, &[]).await?.into_scalar();
        Ok(Some(LogStatus {
            retained_bytes: bytes.as_ref().map(order).unwrap_or(0),
            lost: reader.lost,
            active: self.active.contains(name),
        }))
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let mut sequencer = Sequencer::begin(&self.pool).await?;
        let link = sequencer.link()?;
        if own_tables::exist(link).await? {
            let sql = format!("DELETE FROM {READER} WHERE name = ?");
            execute_on(link, Access::Write, &sql, &[name.into()]).await?;
            release(link).await?;
        } else {
            // What is left of tables that somebody has dropped would make every write fail.
            own_tables::drop_all(link).await?;
        }
        sequencer.end().await
    }
}
