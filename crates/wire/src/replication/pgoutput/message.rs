//! The messages of pgoutput, decoded.

use std::sync::Arc;

use bytes::Bytes;

use super::relation::{Relation, TypeName};
use super::tuple::Tuple;
use crate::replication::{Lsn, Timestamp};

/// A message of pgoutput.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The transaction whose changes follow, up to its [`Message::Commit`].
    Begin(Begin),
    /// The end of the transaction.
    Commit(Commit),
    /// Where the transaction was first committed, when replication has brought it.
    Origin(Origin),
    /// A table is described. The decoder keeps it for the changes that follow.
    Relation(Arc<Relation>),
    /// A type is described.
    Type(TypeName),
    /// A row was inserted.
    Insert(Insert),
    /// A row was updated.
    Update(Update),
    /// A row was deleted.
    Delete(Delete),
    /// Tables were emptied.
    Truncate(Truncate),
    /// A message that `pg_logical_emit_message` has written.
    Logical(LogicalMessage),
    /// A block of changes of a transaction that is not committed yet, up to its [`Message::StreamStop`].
    StreamStart(StreamStart),
    /// The end of the block.
    StreamStop,
    /// A transaction sent in blocks has been committed.
    StreamCommit(StreamCommit),
    /// A transaction sent in blocks, or a part of it, has been rolled back.
    StreamAbort(StreamAbort),
}

/// The beginning of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// The position of its commit, by which transactions are ordered.
    pub final_lsn: Lsn,
    /// When it was committed.
    pub commit_time: Timestamp,
    /// Its id.
    pub xid: u32,
}

/// The end of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// The position of its commit.
    pub commit_lsn: Lsn,
    /// The position after it: what to acknowledge, and where to begin again.
    pub end_lsn: Lsn,
    /// When it was committed.
    pub commit_time: Timestamp,
}

/// Where a transaction was first committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The position of its commit there.
    pub commit_lsn: Lsn,
    /// The name of the replication origin.
    pub name: String,
}

/// A new row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insert {
    /// The transaction or subtransaction, inside a block of a streamed transaction only.
    pub xid: Option<u32>,
    /// The table.
    pub relation: Arc<Relation>,
    /// The row.
    pub new: Tuple,
}

/// A changed row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The transaction or subtransaction, inside a block of a streamed transaction only.
    pub xid: Option<u32>,
    /// The table.
    pub relation: Arc<Relation>,
    /// The row as it was: its key where that has changed, all of it with the replica identity full, else nothing.
    pub old: Option<OldTuple>,
    /// The row as it is. Columns stored out of line that have not changed have no value here; where `old` is a whole
    /// row, their value is there.
    pub new: Tuple,
}

/// A deleted row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    /// The transaction or subtransaction, inside a block of a streamed transaction only.
    pub xid: Option<u32>,
    /// The table.
    pub relation: Arc<Relation>,
    /// The row as it was: its key, or all of it with the replica identity full.
    pub old: OldTuple,
}

/// A row as it was before a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OldTuple {
    /// Only the columns of the replica identity have values.
    Key(Tuple),
    /// All columns have values.
    Full(Tuple),
}

impl OldTuple {
    /// The row, whichever columns of it are there.
    pub fn tuple(&self) -> &Tuple {
        match self {
            Self::Key(tuple) | Self::Full(tuple) => tuple,
        }
    }
}

/// Tables were emptied, all at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truncate {
    /// The transaction or subtransaction, inside a block of a streamed transaction only.
    pub xid: Option<u32>,
    /// The tables, those emptied because of CASCADE included where they are published.
    pub relations: Vec<Arc<Relation>>,
    /// Whether it was said CASCADE.
    pub cascade: bool,
    /// Whether it was said RESTART IDENTITY.
    pub restart_identity: bool,
}

/// A message that was written to the log for its own sake.
#[derive(Clone, PartialEq, Eq)]
pub struct LogicalMessage {
    /// The transaction or subtransaction, inside a block of a streamed transaction only.
    pub xid: Option<u32>,
    /// Whether it belongs to the transaction it comes in. Else it stands by itself, whether or not the transaction
    /// that wrote it was committed.
    pub transactional: bool,
    /// Its position.
    pub lsn: Lsn,
    /// What it is about, as its writer says.
    pub prefix: String,
    /// What it says.
    pub content: Bytes,
}

/// Shows how long the content is, not what it says.
impl std::fmt::Debug for LogicalMessage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("LogicalMessage")
            .field("xid", &self.xid)
            .field("transactional", &self.transactional)
            .field("lsn", &self.lsn)
            .field("prefix", &self.prefix)
            .field("length", &self.content.len())
            .finish_non_exhaustive()
    }
}

/// The beginning of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamStart {
    /// The transaction.
    pub xid: u32,
    /// Whether it is the transaction's first block.
    pub is_first: bool,
}

/// The end of a transaction sent in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamCommit {
    /// The transaction.
    pub xid: u32,
    /// Its commit.
    pub commit: Commit,
}

/// The rollback of a transaction sent in blocks, or of a subtransaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamAbort {
    /// The transaction.
    pub xid: u32,
    /// The subtransaction whose changes are void; the same as `xid` where all are.
    pub subxid: u32,
    /// The position and the time of the rollback, with [`Streaming::Parallel`](crate::replication::Streaming)
    /// only.
    pub aborted_at: Option<(Lsn, Timestamp)>,
}
