//! The log of changes of a database, as capture reads it: what its dialect provides under one form.
//!
//! A reader opens the log under a name of its own ([`ChangeLog::open`]), copies what is there already from the snapshot
//! it is given, and then streams every later transaction ([`ChangeLog::stream`]), each whole and in the order of their
//! commits. What it has stored safely it acknowledges, so that the database need not keep it.

mod change;
pub(crate) mod change_table;
pub(crate) mod joint;
mod position;
mod queue;
pub(crate) mod task_stream;

pub use change::{Change, LogEvent, LoggedTransaction, Operation, Unchanged};
pub use position::{Position, PositionForm};
pub use queue::{Arrived, EventReceiver, EventSender, ReceiverLeft, event_queue};

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::table::{ReadSnapshot, Table};
use crate::value::Value;

/// Where changes are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogKind {
    /// The database's own log.
    Log,
    /// A table that triggers fill.
    Trigger,
}

/// Who reads a log, and what of it.
#[derive(Debug, Clone)]
pub struct LogReader {
    /// The reader's own name, at most 40 characters of `a-z`, `0-9` and `_`, beginning with
    /// [`OWN_TABLE_PREFIX`](crate::table::OWN_TABLE_PREFIX); the database's objects for this reader are named by it.
    pub name: String,
    /// The tables whose changes are read, as they were described.
    pub tables: Vec<Arc<Table>>,
}

/// What opening a log came to.
pub enum OpenedLog {
    /// The reader is new to the log: it copies the snapshot, and then streams from its position.
    Created(LogSnapshot),
    /// The log has been kept for the reader. Tables that it had not read before are among those it reads now; they are
    /// named, and what they hold is to be copied from a [`ChangeLog::snapshot`] taken from now on.
    Existing {
        /// The names of tables that are new to the reader.
        added: Vec<String>,
    },
}

/// A consistent view of the tables, and where in the log it lies: it shows every transaction up to the position, and
/// none behind it.
pub struct LogSnapshot {
    /// The position.
    pub position: Position,
    /// The view.
    pub snapshot: Box<dyn ReadSnapshot>,
}

/// What a log keeps for a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStatus {
    /// Bytes of the log that the database keeps for the reader; for a change table, of the table.
    pub retained_bytes: u64,
    /// Why the log is of no use to the reader any more, if that is so: its changes are lost and the tables must be
    /// synchronised anew.
    pub lost: Option<String>,
    /// Whether some connection reads it at present.
    pub active: bool,
}

/// The log of a database.
#[async_trait]
pub trait ChangeLog: Send + Sync {
    /// Why changes cannot be read here, as was seen when the database was opened; then another kind of log may be taken. `None`
    /// where that shows only when it is opened.
    fn obstacle(&self) -> Option<&str> {
        None
    }

    /// How its positions are written for people.
    fn position_form(&self) -> PositionForm {
        PositionForm::Number
    }

    /// Prepares the log for a reader: checks that the server and the user allow it, creates what is missing, and brings
    /// what exists up to the reader's tables.
    ///
    /// # Errors
    /// [`ErrorKind::Capture`](crate::ErrorKind::Capture) with the setting to change or the statement to run, where
    /// changes could not be captured safely: the log is not kept, a privilege is missing, no slot is free, a table's
    /// rows cannot be told apart.
    async fn open(&self, reader: &LogReader) -> Result<OpenedLog>;

    /// A view of the tables at a known position, for what is copied later than when the log was opened.
    async fn snapshot(&self, reader: &LogReader) -> Result<LogSnapshot>;

    /// Starts to read behind a position. Only one stream of a reader is open at a time.
    ///
    /// # Errors
    /// [`ErrorKind::LogLost`](crate::ErrorKind::LogLost) if the log does not reach back to the position.
    async fn stream(&self, reader: &LogReader, from: &Position) -> Result<Box<dyn ChangeStream>>;

    /// As [`stream`](Self::stream), for a reader that is going to read for long: once it has come to where the log stands, it may
    /// be read for together with others of this process, by one stream for all of them. Messages may be left out.
    ///
    /// # Errors
    /// As [`stream`](Self::stream).
    async fn stream_jointly(&self, reader: &LogReader, from: &Position) -> Result<Box<dyn ChangeStream>> {
        self.stream(reader, from).await
    }

    /// Whether the tables that bear the names of the reader's are those that its log tells of: another one may have been made, or
    /// renamed, in the place of one. What the log itself would tell is not looked for.
    async fn tells_of_tables(&self, reader: &LogReader) -> Result<bool> {
        let _ = reader;
        Ok(true)
    }

    /// A position that no transaction committed before the call lies behind.
    async fn head(&self) -> Result<Position>;

    /// What databases have in common of which one may take the place of another in the middle of its log, as after a failover: a
    /// position means something only where this is the same. `None` where it means nothing at any other database.
    fn lineage(&self) -> Option<String> {
        None
    }

    /// Whether this log goes on behind a position of another database of this lineage: it is proven to hold everything that was
    /// read up to there.
    async fn goes_on(&self, position: &Position) -> Result<bool> {
        let _ = position;
        Ok(false)
    }

    /// Which course of its history the server is on: another one after a standby was promoted or a backup was recovered, so that
    /// what was committed before may be lost. `None` where the server does not tell.
    async fn course(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// What the log keeps for a reader; `None` if it does not know the reader.
    async fn status(&self, name: &str) -> Result<Option<LogStatus>>;

    /// Forgets a reader and removes everything that was created for it. A reader that is unknown is no error.
    ///
    /// # Errors
    /// With the statements to run by hand in the message.
    async fn remove(&self, name: &str) -> Result<()>;

    /// Waits until everybody can read what these transactions have changed. Their names are those that the log has told, which a
    /// database may do a moment before.
    async fn await_visible(&self, transactions: &[String]) -> Result<()> {
        let _ = transactions;
        Ok(())
    }

    /// How the rows of a table may be copied in parts: keys in ascending order of the database, each the last of its part;
    /// behind the last one lies one part more. Empty for a table that is worth one part.
    async fn split(&self, table: &Table, rows_per_part: u64) -> Result<Vec<Vec<Value>>> {
        let _ = (table, rows_per_part);
        Ok(Vec::new())
    }

    /// In which of the parts between these bounds each key lies, by the order of the database.
    async fn locate(&self, table: &Table, bounds: &[Vec<Value>], keys: &[Vec<Value>]) -> Result<Vec<usize>> {
        let _ = (table, bounds);
        Ok(vec![0; keys.len()])
    }
}

/// A log being read.
#[async_trait]
pub trait ChangeStream: Send {
    /// Waits for the next event. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Connection`](crate::ErrorKind::Connection) after which the stream is to be started again from what was
    /// stored; [`ErrorKind::LogLost`](crate::ErrorKind::LogLost).
    async fn next(&mut self) -> Result<LogEvent>;

    /// Says that everything up to a position is stored safely, so that the database need not keep it.
    fn acknowledge(&mut self, position: &Position);

    /// Ends reading in good order, after telling the database what was acknowledged.
    async fn close(self: Box<Self>);
}
