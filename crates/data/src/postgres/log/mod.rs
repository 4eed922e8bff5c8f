//! The write-ahead log of PostgreSQL as a log of changes: a publication and a replication slot for each reader.
//!
//! The log does not tell statements that define things. Rows that vanish with a partition that is dropped, detached or
//! truncated by itself are not deleted for a reader of its root, and a table that is dropped and created anew is read
//! from when the reader is opened the next time.

mod assemble;
mod failure;
mod generated;
mod head;
pub(super) mod logged_table;
pub(super) mod partition;
mod publication;
mod requirement;
mod slot;
mod snapshot;
mod stream;
mod timeline;
mod tuple;
mod visible;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use wire::Connection;

use super::catalog;
use super::pool::Pool;
use crate::error::{Error, ErrorKind, Result};
use crate::log::joint::{Joint, SharedLog};
use crate::log::{
    ChangeLog, ChangeStream, LogReader, LogSnapshot, LogStatus, OpenedLog, Position, PositionForm,
};
use crate::table::Table;
use crate::value::Value;
use publication::{Publication, Wanted};
use slot::SlotState;

/// What [`ChangeLog::head`] writes into the log has this prefix; no reader is told of it.
const OWN_MESSAGE_PREFIX: &str = "replicaverse";

/// The log of one database.
#[derive(Clone)]
pub(super) struct PostgresLog {
    pool: Pool,
    /// The readers that have met a type without a binary form of ours, so that they are sent text.
    text_readers: TextReaders,
    joint: Arc<Joint>,
}

/// Names of readers, shared with their streams.
#[derive(Clone, Default)]
struct TextReaders(Arc<Mutex<HashSet<String>>>);

impl TextReaders {
    fn insert(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }

    fn contains(&self, name: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }
}

impl PostgresLog {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool, text_readers: TextReaders::default(), joint: Arc::default() }
    }
}

/// The tables of a reader in the catalogue, in the reader's order.
async fn wanted_tables(connection: &mut Connection, reader: &LogReader) -> Result<Vec<Wanted>> {
    if reader.tables.is_empty() {
        return Err(Error::new(ErrorKind::Config, "a reader of the log needs a table at the least"));
    }
    let mut wanted = Vec::with_capacity(reader.tables.len());
    for table in &reader.tables {
        let Some(relation) = catalog::find(connection, &table.name).await? else {
            let message = format!("table \"{}\" does not exist", table.name);
            return Err(Error::new(ErrorKind::UnknownTable, message));
        };
        wanted.push(Wanted { name: table.name.clone(), relation });
    }
    Ok(wanted)
}

#[async_trait]
impl ChangeLog for PostgresLog {
    fn position_form(&self) -> PositionForm {
        PositionForm::Lsn
    }

    async fn tells_of_tables(&self, reader: &LogReader) -> Result<bool> {
        let mut connection = self.pool.get().await?;
        publication::has_all(&mut connection, reader).await
    }

    async fn open(&self, reader: &LogReader) -> Result<OpenedLog> {
        let mut connection = self.pool.get().await?;
        let server = requirement::check_server(&mut connection).await?;
        let wanted = wanted_tables(&mut connection, reader).await?;
        let owners = requirement::check_tables(&mut connection, &server, &wanted).await?;
        let publication =
            Publication { name: &reader.name, server: &server, wanted: &wanted, owners: &owners };
        let standing = publication.read(&mut connection).await?;
        let slot = SlotState::read(&mut connection, &reader.name).await?;
        if let (Some(standing), Some(slot)) = (&standing, &slot)
            && standing.is_whole
            && slot.is_readable_here
        {
            let added = publication.bring_up(&mut connection, standing).await?;
            if slot.is_failover == Some(false) {
                self.keep_at_standbys(&server.user, &reader.name).await;
            }
            return Ok(OpenedLog::Existing { added });
        }
        // The privileges of replication show in connecting; what is made before would have to be undone.
        let mut exporter = self.connect_replication(&server.user).await?;
        let timeline = exporter.identify_system().await?.timeline;
        if slot.is_some() {
            slot::drop_unused(&mut connection, &reader.name).await?;
        }
        // It must stand in the log before the slot begins, as the server looks it up as of each change.
        publication.create(&mut connection, standing.as_ref()).await?;
        drop(connection);
        let created = match slot::create(&mut exporter, &reader.name, false).await {
            Ok(created) => created,
            Err(error) => {
                publication::drop_existing(&mut *self.pool.get().await?, &reader.name).await?;
                return Err(error);
            }
        };
        Ok(OpenedLog::Created(snapshot::exported(&self.pool, exporter, created, timeline).await?))
    }

    async fn snapshot(&self, reader: &LogReader) -> Result<LogSnapshot> {
        let user = requirement::check_server(&mut *self.pool.get().await?).await?.user;
        let mut exporter = self.connect_replication(&user).await?;
        let timeline = exporter.identify_system().await?.timeline;
        let name = format!("{}_{}", reader.name, &uuid::Uuid::new_v4().simple().to_string()[..12]);
        let created = slot::create(&mut exporter, &name, true).await?;
        snapshot::exported(&self.pool, exporter, created, timeline).await
    }

    async fn stream(&self, reader: &LogReader, from: &Position) -> Result<Box<dyn ChangeStream>> {
        stream::start(self, &[reader], from).await
    }

    async fn stream_jointly(&self, reader: &LogReader, from: &Position) -> Result<Box<dyn ChangeStream>> {
        // The connection is given back first: opening a stream takes one too, and many at once would wait for each other.
        let may_rest = slot::may_rest(&mut *self.pool.get().await?).await?;
        if !may_rest {
            return self.stream(reader, from).await;
        }
        self.joint.stream(Arc::new(self.clone()), reader, from).await
    }

    async fn head(&self) -> Result<Position> {
        head::head(&mut *self.pool.get().await?).await
    }

    async fn course(&self) -> Result<Option<String>> {
        super::course::course(&self.pool).await
    }

    async fn status(&self, name: &str) -> Result<Option<LogStatus>> {
        let mut connection = self.pool.get().await?;
        let Some(slot) = SlotState::read(&mut connection, name).await? else { return Ok(None) };
        let mut lost = slot.lost(name);
        if lost.is_none() && !publication::exists(&mut connection, name).await? {
            lost = Some(publication::gone(name));
        }
        let active = slot.is_active || self.joint.reads_for(name);
        Ok(Some(LogStatus { retained_bytes: slot.retained_bytes, lost, active }))
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let removed = async {
            let mut connection = self.pool.get().await?;
            slot::drop_used(&mut connection, name).await?;
            publication::drop_existing(&mut connection, name).await
        };
        removed.await.map_err(|error: Error| {
            error.in_context(format!(
                "the reader \"{name}\" could not be removed from the log; run SELECT pg_drop_replication_slot('{name}') \
                 and DROP PUBLICATION IF EXISTS {}",
                catalog::quoted(name)
            ))
        })
    }

    async fn await_visible(&self, transactions: &[String]) -> Result<()> {
        visible::await_visible(&self.pool, transactions).await
    }

    async fn split(&self, table: &Table, rows_per_part: u64) -> Result<Vec<Vec<Value>>> {
        partition::split(&mut *self.pool.get().await?, table, rows_per_part).await
    }

    async fn locate(&self, table: &Table, bounds: &[Vec<Value>], keys: &[Vec<Value>]) -> Result<Vec<usize>> {
        partition::locate(&mut *self.pool.get().await?, table, bounds, keys).await
    }
}

/// One stream of the slot of the first reader, with the publications of all of them.
#[async_trait]
impl SharedLog for PostgresLog {
    async fn stream_for(&self, readers: &[Arc<LogReader>], from: &Position) -> Result<Box<dyn ChangeStream>> {
        let readers: Vec<&LogReader> = readers.iter().map(Arc::as_ref).collect();
        stream::start(self, &readers, from).await
    }

    fn leads_to(&self, from: &Position, to: &Position) -> bool {
        from.order <= to.order && from.token == to.token
    }

    async fn keep_up(&self, reader: &str, acknowledged: &Position) -> Result<()> {
        slot::advance(&mut *self.pool.get().await?, reader, acknowledged.order.into()).await
    }
}

impl PostgresLog {
    /// Has standbys keep the slot of a reader that was made when the server or this library could not have that. Without it the
    /// reader goes on as before.
    async fn keep_at_standbys(&self, user: &str, name: &str) {
        let altered =
            async { Ok::<_, Error>(self.connect_replication(user).await?.make_failover_slot(name).await?) };
        if let Err(error) = altered.await {
            tracing::warn!(
                code = error.code(),
                "the replication slot \"{name}\" does not come through a failover: {error}"
            );
        }
    }

    /// A connection for the commands of replication.
    async fn connect_replication(&self, user: &str) -> Result<Connection> {
        self.pool.connect_replication().await.map_err(|error| failure::of_connecting(error, user))
    }
}
