//! The oplog of MongoDB as a log of changes: a change stream of the database for each reader.
//!
//! The server keeps its log for as long as there is room in it, and knows nothing of who reads it; so a reader leaves nothing
//! at the source, and may be one that can only read. Its position is the cluster time of a transaction, with the resume
//! token by which reading goes on behind it.
//!
//! The log tells of updates by the fields that they change. Where that is a part of a value, the rest is taken from the
//! image of the document, if the collection keeps images (`changeStreamPreAndPostImages`) when the stream begins, else from the
//! document as it is when the change is read: it may be newer than the change, and is what later changes come to.

mod assemble;
mod collection;
mod cursor;
mod event;
mod failure;
mod partition;
mod place;
mod renamed;
mod stream;
mod view;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::connect::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::log::change_table::ActiveReaders;
use crate::log::joint::{Joint, SharedLog};
use crate::log::{ChangeLog, ChangeStream, LogReader, LogSnapshot, LogStatus, OpenedLog, Position};
use crate::table::Table;
use crate::value::Value;
use failure::check_server;
use view::ViewAt;

/// The log of one database.
#[derive(Clone)]
pub(super) struct MongoLog {
    connection: Arc<Connection>,
    active: ActiveReaders,
    /// Readers that are to begin anew.
    forgotten: Arc<Mutex<HashSet<String>>>,
    joint: Arc<Joint>,
}

impl MongoLog {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        let active = ActiveReaders::default();
        Self { connection, active, forgotten: Arc::default(), joint: Arc::default() }
    }

    fn forgotten(&self) -> MutexGuard<'_, HashSet<String>> {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ChangeLog for MongoLog {
    /// Every reader counts as known, unless it was removed before: whether the log still holds what it needs shows when it is
    /// read.
    async fn open(&self, reader: &LogReader) -> Result<OpenedLog> {
        check_server(&self.connection)?;
        if reader.tables.is_empty() {
            return Err(Error::new(ErrorKind::Config, "a reader of the log needs a table at the least"));
        }
        if self.forgotten().remove(&reader.name) {
            return Ok(OpenedLog::Created(self.snapshot(reader).await?));
        }
        Ok(OpenedLog::Existing { added: Vec::new() })
    }

    async fn snapshot(&self, _reader: &LogReader) -> Result<LogSnapshot> {
        check_server(&self.connection)?;
        let at = view::present(&self.connection).await?;
        let snapshot = Box::new(ViewAt::new(Arc::clone(&self.connection), at));
        Ok(LogSnapshot { position: Position::at(place::order_of(at)), snapshot })
    }

    async fn stream(&self, reader: &LogReader, from: &Position) -> Result<Box<dyn ChangeStream>> {
        let tables: Vec<&Arc<Table>> = reader.tables.iter().collect();
        stream::start(&self.connection, &tables, from, vec![self.active.enter(&reader.name)]).await
    }

    /// Where several shards tell of one moment, a stream for others would not begin exactly behind what was told.
    async fn stream_jointly(&self, reader: &LogReader, from: &Position) -> Result<Box<dyn ChangeStream>> {
        if self.connection.is_sharded {
            return self.stream(reader, from).await;
        }
        self.joint.stream(Arc::new(self.clone()), reader, from).await
    }

    async fn head(&self) -> Result<Position> {
        check_server(&self.connection)?;
        Ok(Position::at(place::order_of(view::present(&self.connection).await?)))
    }

    async fn status(&self, name: &str) -> Result<Option<LogStatus>> {
        if self.forgotten().contains(name) {
            return Ok(None);
        }
        // The log takes the same room whoever reads it.
        Ok(Some(LogStatus { retained_bytes: 0, lost: None, active: self.active.contains(name) }))
    }

    async fn remove(&self, name: &str) -> Result<()> {
        self.forgotten().insert(name.to_owned());
        Ok(())
    }

    async fn split(&self, table: &Table, rows_per_part: u64) -> Result<Vec<Vec<Value>>> {
        check_server(&self.connection)?;
        partition::split(&self.connection, table, rows_per_part).await
    }

    async fn locate(&self, table: &Table, bounds: &[Vec<Value>], keys: &[Vec<Value>]) -> Result<Vec<usize>> {
        partition::locate(&self.connection, table, bounds, keys).await
    }
}

#[async_trait]
impl SharedLog for MongoLog {
    async fn stream_for(&self, readers: &[Arc<LogReader>], from: &Position) -> Result<Box<dyn ChangeStream>> {
        let active = readers.iter().map(|reader| self.active.enter(&reader.name)).collect();
        let mut tables: Vec<&Arc<Table>> = Vec::new();
        for table in readers.iter().flat_map(|reader| &reader.tables) {
            if !tables.contains(&table) {
                tables.push(table);
            }
        }
        stream::start(&self.connection, &tables, from, active).await
    }

    /// Without the token of an event that a stream of the reader's own would not tell.
    fn passed(&self, end: &Position) -> Position {
        Position::at(end.order)
    }

    /// Which fields are columns, and what becomes of others, is a matter of the target.
    fn tells_by_descriptions(&self) -> bool {
        true
    }
}
