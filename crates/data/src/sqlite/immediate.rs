//! Statements answered at once, on the thread that asks: those that read or write one row by its key.
//!
//! SQLite needs some microseconds for such a statement, and handing it to another thread and back takes several times as
//! long. This connection never waits: when another connection holds the lock, when a value is large, or when anything
//! else is out of the ordinary, the statement goes the ordinary way.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use super::raw::{RawConnection, Step};
use crate::dialect::SharedTransaction;
use crate::error::{ErrorKind, Result};
use crate::rows::CellSink;
use crate::sql::Access;
use crate::value::Value;

/// Bytes of a row beyond which it is left to another thread.
const MOST_BYTES: usize = 64 * 1024;
/// Pages in the write-ahead log from which on the ordinary connection writes, which copies them into the database; that
/// takes long enough to be kept from the thread that asks.
const MOST_LOG_PAGES: i32 = 4096;

/// A connection that is opened when it is first needed. It reads and writes: what another connection writes, also of the
/// same process, would make it forget the pages that it has in memory.
pub(super) struct ImmediateConnection {
    path: PathBuf,
    slot: Mutex<Slot>,
    /// Pages in the write-ahead log after the last write here.
    log_pages: Box<AtomicI32>,
}

enum Slot {
    Unopened,
    Open(Immediate),
    Closed,
}

/// A connection, and the transaction that is open on it.
struct Immediate {
    connection: RawConnection,
    shared: Option<Shared>,
}

/// A transaction that the statements of one thread share.
struct Shared {
    thread: ThreadId,
    /// Whether it has to be rolled back.
    is_broken: bool,
}

impl ImmediateConnection {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            slot: Mutex::new(Slot::Unopened),
            log_pages: Box::new(AtomicI32::new(0)),
        }
    }

    /// Answers a statement of one row; `None` if it has to go the ordinary way, and then nothing has happened.
    pub(super) fn fetch(
        &self,
        access: Access,
        sql: &str,
        params: &[Value],
        rows: &mut dyn CellSink,
    ) -> Option<Result<()>> {
        match access {
            Access::ReadRow => {}
            Access::WriteRow if self.log_pages.load(Ordering::Relaxed) < MOST_LOG_PAGES => {}
            _ => return None,
        }
        if params.iter().map(bytes_of).sum::<usize>() > MOST_BYTES {
            return None;
        }
        let mut slot = self.slot.try_lock().ok()?;
        let Immediate { connection, shared } = self.open(&mut slot)?;
        if shared.as_ref().is_some_and(|shared| shared.is_broken || shared.thread != thread_id()) {
            return None;
        }
        let most_bytes = if access == Access::ReadRow { MOST_BYTES } else { usize::MAX };
        let outcome = connection.fetch(sql, params, most_bytes, rows);
        match shared {
            Some(shared) => shared.is_broken = !is_intact(connection, &outcome),
            None if !matches!(outcome, Ok(Step::Done | Step::TooLarge)) => connection.undo(),
            None => {}
        }
        match outcome {
            Ok(Step::Done) => Some(Ok(())),
            Ok(Step::TooLarge) => None,
            Ok(Step::Broken(error)) => Some(Err(error)),
            // Only these say something of the row; of anything else the ordinary way gives the full account. An insert that
            // failed was undone by SQLite, and a row brings its id along: one that is written again is not there twice.
            Err(error) if is_of_row(error.kind()) => Some(Err(error)),
            Err(_) => None,
        }
    }

    /// Has the statements that this thread runs from now on share a transaction.
    pub(super) fn share_transaction(&self) -> Option<Sharing<'_>> {
        if self.log_pages.load(Ordering::Relaxed) >= MOST_LOG_PAGES {
            return None;
        }
        let mut slot = self.slot.try_lock().ok()?;
        let Immediate { connection, shared } = self.open(&mut slot)?;
        if shared.is_some() || connection.run("BEGIN IMMEDIATE").is_err() {
            return None;
        }
        *shared = Some(Shared { thread: thread_id(), is_broken: false });
        Some(Sharing { slot: &self.slot })
    }

    /// Tells that the ordinary connection has written, and has shortened the log if that was due.
    pub(super) fn written_elsewhere(&self) {
        self.log_pages.store(0, Ordering::Relaxed);
    }

    /// Closes it for good.
    pub(super) fn close(&self) {
        *lock(&self.slot) = Slot::Closed;
    }

    fn open<'a>(&self, slot: &'a mut Slot) -> Option<&'a mut Immediate> {
        if matches!(slot, Slot::Unopened) {
            *slot = match RawConnection::open(&self.path) {
                Ok(connection) => {
                    connection.count_log_pages(&self.log_pages);
                    Slot::Open(Immediate { connection, shared: None })
                }
                Err(error) => {
                    tracing::debug!(%error, "rows will not be answered at once");
                    Slot::Closed
                }
            };
        }
        match slot {
            Slot::Open(immediate) => Some(immediate),
            Slot::Unopened | Slot::Closed => None,
        }
    }
}

/// The share of a thread in a connection.
pub(super) struct Sharing<'a> {
    slot: &'a Mutex<Slot>,
}

impl Sharing<'_> {
    /// Ends the transaction; whether it was committed. Afterwards there is none.
    fn finish(&mut self, commits: bool) -> bool {
        let mut slot = lock(self.slot);
        // It may have been closed meanwhile, which undoes what was written.
        let Slot::Open(Immediate { connection, shared }) = &mut *slot else { return false };
        let Some(Shared { is_broken, .. }) = shared.take() else { return false };
        let is_committed = commits && !is_broken && connection.run("COMMIT").is_ok();
        if !is_committed {
            connection.undo();
        }
        is_committed
    }
}

impl SharedTransaction for Sharing<'_> {
    fn end(mut self: Box<Self>) -> bool {
        self.finish(true)
    }
}

impl Drop for Sharing<'_> {
    fn drop(&mut self) {
        self.finish(false);
    }
}

/// Whether a shared transaction goes on after a statement as if the statement had been alone: it is still open, what failed
/// has been undone, and no row refers to one that is not there yet, which would be refused by a commit.
fn is_intact(connection: &RawConnection, outcome: &Result<Step>) -> bool {
    let is_undone = match outcome {
        Ok(Step::Done | Step::TooLarge) => true,
        Ok(Step::Broken(_)) => false,
        Err(error) => is_of_row(error.kind()),
    };
    is_undone && connection.is_in_transaction() && !connection.defers_references()
}

fn thread_id() -> ThreadId {
    std::thread::current().id()
}

/// What a panic left half-done is at worst a transaction that is rolled back.
fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for ImmediateConnection {
    fn drop(&mut self) {
        // The counter must outlive the connection that counts into it.
        self.close();
    }
}

fn is_of_row(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UniqueViolation
            | ErrorKind::ForeignKeyViolation
            | ErrorKind::NotNullViolation
            | ErrorKind::CheckViolation
    )
}

/// Documents are bound as text, whose length is not known before.
fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(items) => items.iter().map(bytes_of).sum(),
        Value::Object(object) => object.iter().map(|(key, value)| key.len() + bytes_of(value)).sum(),
        _ => 8,
    }
}
