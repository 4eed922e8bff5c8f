//! A transaction as a session: one connection, with savepoints for the transactions within it.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Mutex, MutexGuard, OwnedMutexGuard};

use super::session::{Access, Fetched, LiveColumns, SqlSession, transaction_ended};
use crate::dialect::Isolation;
use crate::error::Result;
use crate::rows::CellSink;
use crate::value::Value;

/// A connection on which a transaction is open. Dropped before its end, it undoes the transaction.
#[async_trait]
pub(crate) trait Pinned: Send + 'static {
    async fn fetch(&mut self, access: Access, sql: &str, params: &[Value]) -> Result<Fetched>;

    /// See [`SqlSession::fetch_into`].
    async fn fetch_into(
        &mut self,
        access: Access,
        sql: &str,
        params: &[Value],
        rows: &mut dyn CellSink,
    ) -> Result<()> {
        self.fetch(access, sql, params).await?.hand_on(rows)
    }

    async fn execute(&mut self, access: Access, sql: &str, params: &[Value]) -> Result<u64>;
    async fn live_columns(&mut self, table: &str) -> Result<Option<LiveColumns>>;

    /// See [`SqlSession::list_tables`].
    async fn list_tables(&mut self) -> Result<Vec<String>>;

    /// See [`SqlSession::empty_tables`].
    async fn empty_tables(&mut self, quoted: &[String]) -> Result<()> {
        for table in quoted {
            self.execute(Access::Write, &format!("DELETE FROM {table}"), &[]).await?;
        }
        Ok(())
    }

    /// Whether foreign keys count in what follows, where a transaction can change that and tables could not be dropped
    /// or emptied otherwise.
    async fn enforce_foreign_keys(&mut self, _enforced: bool) -> Result<()> {
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<()>;
    async fn rollback(self: Box<Self>) -> Result<()>;
}

/// A transaction, or a savepoint within one.
pub(crate) struct PinnedSession {
    connection: Arc<SharedConnection>,
    savepoint: Option<Savepoint>,
    ended: AtomicBool,
    /// Held while anything runs in this session, and by a step within it until that ends: what ran between the statements of a
    /// step would be undone with it.
    gate: Arc<Mutex<()>>,
    /// The gate of the session around it, where this is a step.
    turn: StdMutex<Option<OwnedMutexGuard<()>>>,
}

/// The connection, while nothing else runs in its session.
struct Locked<'a> {
    _turn: MutexGuard<'a, ()>,
    pinned: MutexGuard<'a, Option<Box<dyn Pinned>>>,
}

impl Deref for Locked<'_> {
    type Target = Option<Box<dyn Pinned>>;

    fn deref(&self) -> &Self::Target {
        &self.pinned
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.pinned
    }
}

/// A savepoint within a transaction.
#[derive(Clone)]
struct Savepoint {
    name: String,
    /// Whether it was set for a change of the schema, during which foreign keys do not count.
    changes_schema: bool,
}

/// The connection that a transaction shares with its savepoints.
struct SharedConnection {
    pinned: Mutex<Option<Box<dyn Pinned>>>,
    /// Savepoints that were dropped before their end, to be undone before anything else is done.
    abandoned: StdMutex<Vec<Savepoint>>,
    savepoints: AtomicU32,
}

impl PinnedSession {
    /// A session over a connection on which a transaction has been opened.
    pub(crate) fn new(pinned: impl Pinned) -> Self {
        let connection = SharedConnection {
            pinned: Mutex::new(Some(Box::new(pinned))),
            abandoned: StdMutex::default(),
            savepoints: AtomicU32::new(0),
        };
        Self::over(Arc::new(connection), None, None)
    }

    fn over(
        connection: Arc<SharedConnection>,
        savepoint: Option<Savepoint>,
        turn: Option<OwnedMutexGuard<()>>,
    ) -> Self {
        let ended = AtomicBool::new(false);
        Self { connection, savepoint, ended, gate: Arc::default(), turn: StdMutex::new(turn) }
    }

    /// The connection, once no step within the session is under way.
    async fn lock(&self) -> Result<Locked<'_>> {
        let turn = self.gate.lock().await;
        Ok(Locked { _turn: turn, pinned: self.lock_connection().await? })
    }

    /// The connection, after what was abandoned on it has been undone.
    async fn lock_connection(&self) -> Result<MutexGuard<'_, Option<Box<dyn Pinned>>>> {
        let mut guard = self.connection.pinned.lock().await;
        let abandoned =
            std::mem::take(&mut *self.connection.abandoned.lock().unwrap_or_else(PoisonError::into_inner));
        if let (Some(pinned), false) = (guard.as_mut(), abandoned.is_empty()) {
            for savepoint in abandoned {
                // An abandoned savepoint within an abandoned one is gone already.
                if let Err(error) = undo(pinned.as_mut(), &savepoint).await {
                    tracing::debug!(%error, "an abandoned savepoint was gone");
                }
            }
        }
        Ok(guard)
    }

    /// Sets a savepoint. A step comes with the gate of this session, which it keeps until it ends.
    async fn set_savepoint(
        &self,
        changes_schema: bool,
        turn: Option<OwnedMutexGuard<()>>,
    ) -> Result<Arc<dyn SqlSession>> {
        self.check_open()?;
        let number = self.connection.savepoints.fetch_add(1, Ordering::Relaxed) + 1;
        let savepoint = Savepoint { name: format!("replicaverse_{number}"), changes_schema };
        {
            let _gate = if turn.is_none() { Some(self.gate.lock().await) } else { None };
            let mut guard = self.lock_connection().await?;
            let pinned = guard.as_mut().ok_or_else(transaction_ended)?;
            pinned.execute(Access::Write, &format!("SAVEPOINT {}", savepoint.name), &[]).await?;
        }
        // From here on the session undoes what is done if it is dropped.
        let session = Self::over(Arc::clone(&self.connection), Some(savepoint), turn);
        if changes_schema {
            let mut guard = session.lock().await?;
            guard.as_mut().ok_or_else(transaction_ended)?.enforce_foreign_keys(false).await?;
        }
        Ok(Arc::new(session))
    }

    /// What the session around a step waits for, until this is dropped.
    fn take_turn(&self) -> Option<OwnedMutexGuard<()>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn end(&self) -> Result<()> {
        if self.ended.swap(true, Ordering::AcqRel) { Err(transaction_ended()) } else { Ok(()) }
    }

    fn check_open(&self) -> Result<()> {
        if self.ended.load(Ordering::Acquire) { Err(transaction_ended()) } else { Ok(()) }
    }
}

async fn undo(pinned: &mut dyn Pinned, savepoint: &Savepoint) -> Result<()> {
    let undone =
        pinned.execute(Access::Write, &format!("ROLLBACK TO SAVEPOINT {}", savepoint.name), &[]).await;
    let released = release(pinned, savepoint).await;
    undone.and(released)
}

async fn release(pinned: &mut dyn Pinned, savepoint: &Savepoint) -> Result<()> {
    if savepoint.changes_schema {
        pinned.enforce_foreign_keys(true).await?;
    }
    pinned.execute(Access::Write, &format!("RELEASE SAVEPOINT {}", savepoint.name), &[]).await.map(drop)
}

#[async_trait]
impl SqlSession for PinnedSession {
    async fn fetch(&self, access: Access, sql: &str, params: &[Value]) -> Result<Fetched> {
        self.check_open()?;
        self.lock().await?.as_mut().ok_or_else(transaction_ended)?.fetch(access, sql, params).await
    }

    async fn fetch_into(
        &self,
        access: Access,
        sql: &str,
        params: &[Value],
        rows: &mut dyn CellSink,
    ) -> Result<()> {
        self.check_open()?;
        let mut guard = self.lock().await?;
        guard.as_mut().ok_or_else(transaction_ended)?.fetch_into(access, sql, params, rows).await
    }

    async fn execute(&self, access: Access, sql: &str, params: &[Value]) -> Result<u64> {
        self.check_open()?;
        self.lock().await?.as_mut().ok_or_else(transaction_ended)?.execute(access, sql, params).await
    }

    async fn live_columns(&self, table: &str) -> Result<Option<LiveColumns>> {
        self.check_open()?;
        self.lock().await?.as_mut().ok_or_else(transaction_ended)?.live_columns(table).await
    }

    /// The isolation of a transaction is that of the outermost one, so a savepoint takes none of its own.
    async fn begin(&self, _isolation: Option<Isolation>) -> Result<Arc<dyn SqlSession>> {
        self.set_savepoint(false, None).await
    }

    async fn begin_step(&self, _isolation: Option<Isolation>) -> Result<Arc<dyn SqlSession>> {
        let turn = Arc::clone(&self.gate).lock_owned().await;
        self.set_savepoint(false, Some(turn)).await
    }

    async fn begin_schema_change(&self) -> Result<Arc<dyn SqlSession>> {
        self.set_savepoint(true, None).await
    }

    async fn list_tables(&self) -> Result<Vec<String>> {
        self.check_open()?;
        self.lock().await?.as_mut().ok_or_else(transaction_ended)?.list_tables().await
    }

    async fn empty_tables(&self, quoted: &[String]) -> Result<()> {
        self.check_open()?;
        self.lock().await?.as_mut().ok_or_else(transaction_ended)?.empty_tables(quoted).await
    }

    async fn commit(&self) -> Result<()> {
        self.end()?;
        let _turn = self.take_turn();
        let mut guard = self.lock().await?;
        match &self.savepoint {
            None => guard.take().ok_or_else(transaction_ended)?.commit().await,
            Some(savepoint) => {
                release(guard.as_mut().ok_or_else(transaction_ended)?.as_mut(), savepoint).await
            }
        }
    }

    async fn rollback(&self) -> Result<()> {
        if self.end().is_err() {
            return Ok(());
        }
        let _turn = self.take_turn();
        let mut guard = self.lock().await?;
        match (&self.savepoint, guard.as_mut()) {
            (_, None) => Ok(()),
            (Some(savepoint), Some(pinned)) => undo(pinned.as_mut(), savepoint).await,
            (None, Some(_)) => match guard.take() {
                Some(pinned) => pinned.rollback().await,
                None => Ok(()),
            },
        }
    }

    /// Closing undoes whatever was not committed.
    async fn close(&self) {
        if let Err(error) = self.rollback().await {
            tracing::debug!(%error, "a transaction could not be rolled back on close");
        }
    }
}

impl Drop for PinnedSession {
    fn drop(&mut self) {
        if let (Some(savepoint), false) = (self.savepoint.take(), *self.ended.get_mut()) {
            self.connection.abandoned.lock().unwrap_or_else(PoisonError::into_inner).push(savepoint);
        }
    }
}
