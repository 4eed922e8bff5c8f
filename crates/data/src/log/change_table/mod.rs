//! A log that triggers fill: a table of changes, which one stream looks at for each reader.

mod acknowledge;
mod active;
mod stream;

use async_trait::async_trait;

use super::{Change, LogReader, Position};
use crate::error::{Error, ErrorKind, Result};
use crate::value::Timestamp;
pub(crate) use active::{ActiveReader, ActiveReaders};
pub(crate) use stream::TableStream;

/// Changes of an event at the most.
pub(crate) const EVENT_CHANGES: usize = 500;
/// Bytes of an event, beyond which it ends.
pub(crate) const EVENT_BYTES: usize = 1 << 20;
/// Changes that are deleted in one transaction.
pub(crate) const DELETED_AT_ONCE: u64 = 5_000;

/// What a database keeps its changes in. Changes are numbered in the order in which they became visible; what was seen
/// once as committed never changes, and nothing comes to stand before it.
#[async_trait]
pub(crate) trait ChangeTable: Send + Sync + 'static {
    /// What is to be known of the tables' columns to read their changes.
    type Layouts: Send + Sync;

    /// Looks at how far the log goes, and that it is still the one in which the reader stands at this position.
    ///
    /// # Errors
    /// [`ErrorKind::LogLost`] if it is not.
    async fn look(&self, reader: &LogReader, position: &Position) -> Result<Look>;

    /// Has the triggers follow tables that have changed. Up to the change `seen`, they were as the triggers know them.
    async fn follow(&self, seen: u64) -> Result<()>;

    /// The layouts of a reader's tables.
    async fn layouts(&self, reader: &LogReader) -> Result<Self::Layouts>;

    /// Reads some of the changes behind one number, up to another.
    async fn read(&self, layouts: &Self::Layouts, behind: u64, up_to: u64) -> Result<Chunk>;

    /// Stores how far a reader has got, and deletes what no reader needs any more, but for the last change.
    async fn acknowledge(&self, reader: &str, order: u64) -> Result<()>;
}

/// What a look at a log showed.
#[derive(Debug)]
pub(crate) struct Look {
    /// The position behind the last change.
    pub(crate) end: Position,
    /// When that was recorded.
    pub(crate) committed_at: Timestamp,
    /// Up to where the reader has acknowledged.
    pub(crate) acknowledged: u64,
    /// The newest layout that the changes have.
    pub(crate) newest_layout: i64,
    /// Whether the tables are as the triggers know them.
    pub(crate) is_verified: bool,
}

/// Some changes, and the number of the last one that was read.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) changes: Vec<Change>,
    pub(crate) last: u64,
    /// Whether there may be more.
    pub(crate) is_cut: bool,
}

/// That the changes behind the reader's position are not to be had any more.
pub(crate) fn lost(reason: &str) -> Error {
    let message =
        format!("the log of changes is of no use any more, the tables must be synchronised anew: {reason}");
    Error::new(ErrorKind::LogLost, message)
}

/// That the log does not know the reader.
pub(crate) fn unknown_reader() -> Error {
    lost("the database knows nothing of the reader")
}

/// What it means if a table of ours is missing.
pub(crate) fn lost_table(error: Error) -> Error {
    if error.kind() != ErrorKind::UnknownTable {
        return error;
    }
    lost("its tables were dropped").with_source(error)
}

/// Whether a change at which a reader stands is the one that it has read: it bears the same mark.
pub(crate) fn check_mark(position: &Position, mark: Option<&str>) -> Result<()> {
    let is_same = mark.is_some_and(|mark| position.token.as_deref().is_none_or(|token| token == mark));
    if is_same {
        return Ok(());
    }
    Err(lost("the database is another one, or an older copy of it, than the one that was read before"))
}
