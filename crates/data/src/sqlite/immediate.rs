//! Statements answered at once, on the thread that asks: those that read or write one row by its key.
//!
//! SQLite needs some microseconds for such a statement, and handing it to another thread and back takes several times as
//! long. These connections never wait: when another connection holds the lock, when a value is large, or when anything
//! else is out of the ordinary, the statement goes the ordinary way.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};

use super::raw::{RawConnection, Step};
use crate::error::{ErrorKind, Result};
use crate::rows::CellSink;
use crate::sql::Access;
use crate::value::Value;

/// Bytes of a row beyond which it is left to another thread.
const MOST_BYTES: usize = 64 * 1024;
/// Pages in the write-ahead log from which on the ordinary connection writes, which copies them into the database; that
/// takes long enough to be kept from the thread that asks.
const MOST_LOG_PAGES: i32 = 4096;

/// A connection that reads and one that writes, opened when they are first needed.
pub(super) struct ImmediateConnections {
    path: PathBuf,
    reader: Mutex<Slot>,
    writer: Mutex<Slot>,
    /// Pages in the write-ahead log after the last write here.
    log_pages: Box<AtomicI32>,
}

enum Slot {
    Unopened,
    Open(RawConnection),
    Closed,
}

impl ImmediateConnections {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            reader: Mutex::new(Slot::Unopened),
            writer: Mutex::new(Slot::Unopened),
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
        let slot = match access {
            Access::ReadRow => &self.reader,
            Access::WriteRow if self.log_pages.load(Ordering::Relaxed) < MOST_LOG_PAGES => &self.writer,
            _ => return None,
        };
        if params.iter().map(bytes_of).sum::<usize>() > MOST_BYTES {
            return None;
        }
        let mut slot = slot.try_lock().ok()?;
        let connection = self.open(&mut slot, access)?;
        let most_bytes = if access == Access::ReadRow { MOST_BYTES } else { usize::MAX };
        match connection.fetch(sql, params, most_bytes, rows) {
            Ok(Step::Done) => Some(Ok(())),
            Ok(Step::TooLarge) => None,
            Ok(Step::Broken(error)) => Some(Err(error)),
            // Only these say something of the row; of anything else the ordinary way gives the full account. An insert that
            // failed was undone by SQLite, and a row brings its id along: one that is written again is not there twice.
            Err(error) if is_of_row(error.kind()) => Some(Err(error)),
            Err(_) => None,
        }
    }

    /// Tells that the ordinary connection has written, and has shortened the log if that was due.
    pub(super) fn written_elsewhere(&self) {
        self.log_pages.store(0, Ordering::Relaxed);
    }

    /// Closes both for good.
    pub(super) fn close(&self) {
        for slot in [&self.reader, &self.writer] {
            *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Slot::Closed;
        }
    }

    fn open<'a>(&self, slot: &'a mut Slot, access: Access) -> Option<&'a mut RawConnection> {
        if matches!(slot, Slot::Unopened) {
            *slot = match RawConnection::open(&self.path, access == Access::WriteRow) {
                Ok(connection) => {
                    if access == Access::WriteRow {
                        connection.count_log_pages(&self.log_pages);
                    }
                    Slot::Open(connection)
                }
                Err(error) => {
                    tracing::debug!(%error, "rows will not be answered at once");
                    Slot::Closed
                }
            };
        }
        match slot {
            Slot::Open(connection) => Some(connection),
            Slot::Unopened | Slot::Closed => None,
        }
    }
}

impl Drop for ImmediateConnections {
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
