//! Reading and writing whole tables in batches.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{BatchStream, ColumnChange, Limits, PackedRows, Packing, StoredForm, Table, TableTransaction};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{ChangeLog, LogKind};
use crate::schema::Discriminator;
use crate::value::{Timestamp, Value};

/// One row, its values in the order of the table's columns.
pub type Row = Vec<Value>;

/// Rows on their way from a source to a target.
#[derive(Debug, Clone)]
pub enum RowBatch {
    /// Decoded rows.
    Rows(Vec<Row>),
    /// Rows as tuples of PostgreSQL's binary COPY format, without header and trailer.
    PgBinary {
        /// How many tuples there are.
        rows: usize,
        /// The tuples.
        tuples: Bytes,
        /// The table they were read from, which says how to decode them.
        table: Arc<Table>,
    },
    /// Rows in the form in which the target stores them.
    Packed(PackedRows),
}

impl RowBatch {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.len(),
            Self::PgBinary { rows, .. } => *rows,
            Self::Packed(packed) => packed.rows,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows decoded, as they were read.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the tuples are malformed.
    pub fn into_rows(self) -> Result<Vec<Row>> {
        match self {
            Self::Rows(rows) => Ok(rows),
            Self::PgBinary { tuples, table, .. } | Self::Packed(PackedRows { tuples, table, .. }) => {
                crate::postgres::decode_tuples(&table, &tuples)
            }
        }
    }
}

/// How a table is scanned.
#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    /// Whether only the columns of the primary key are read; rows then hold only those, in key order.
    pub keys_only: bool,
    /// Whether the reader takes [`RowBatch::PgBinary`].
    pub binary_tuples: bool,
    /// How many rows a batch holds at the most, where that is fewer than the database would hand on.
    pub batch_rows: Option<usize>,
    /// Only the rows of this entity, where several share a table.
    pub discriminator: Option<Discriminator>,
    /// Only rows that were changed at this moment or later.
    pub changed_since: Option<ChangedSince>,
    /// Only rows whose keys lie in a range.
    pub range: Option<KeyRange>,
}

/// Keys in the order of their database, between two bounds that [`ChangeLog::split`] gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeyRange {
    /// The last key before the range; none where it begins with the table.
    pub after: Option<Vec<Value>>,
    /// The last key of the range; none where it ends with the table.
    pub up_to: Option<Vec<Value>>,
}

/// Which rows count as changed: those whose column holds this moment or a later one. A database may deliver further
/// rows, and must deliver those whose column holds no moment that it can compare, such as NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedSince {
    /// The column.
    pub column: String,
    /// A further column in which the moment counts as well; NULL does not there.
    pub or_column: Option<String>,
    /// The moment; never one of the infinities.
    pub moment: Timestamp,
}

/// A consistent view of a source, held until it is dropped. MongoDB, whose snapshots end after minutes, reads
/// each collection as it is when its scan gets there.
#[async_trait]
pub trait ReadSnapshot: Send + Sync {
    /// Starts to read a table. One scan at a time: a second one waits until the first was read to its end or dropped.
    async fn scan(&self, table: Arc<Table>, options: ScanOptions) -> Result<BatchStream>;

    /// A second reader of the same view, so that two scans run at a time; `None` where there can be none.
    async fn fork(&self) -> Result<Option<Box<dyn ReadSnapshot>>> {
        Ok(None)
    }
}

/// The tables of a database. Rows handed in are already in the types of the target table's columns
/// (see [`coerce`](super::coerce)); keys are the values of the primary key, in its order.
#[async_trait]
pub trait TableStore: Send + Sync {
    /// What the database cannot hold.
    fn limits(&self) -> Limits;

    /// Whether the types of its columns are only those that its values seem to have, so that those of the other end are
    /// better.
    fn is_untyped(&self) -> bool {
        false
    }

    /// Whether rows are written by their primary key, so that a table must have one.
    fn needs_keys(&self) -> bool {
        true
    }

    /// In which form each column of a table keeps the values of its type. The table was described before.
    fn stored_forms(&self, table: &Table) -> Vec<StoredForm> {
        vec![StoredForm::Same; table.columns.len()]
    }

    /// Every table of the application, sorted by name, without system tables and the library's own.
    async fn list_tables(&self) -> Result<Vec<String>>;

    /// Further tables of the application that can be read, but neither written like others nor followed, since no log tells of their
    /// changes; sorted by name.
    async fn list_unfollowed(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// A table's description, or `None` if it does not exist.
    async fn describe(&self, name: &str) -> Result<Option<Table>>;

    /// Creates a table like one of another database, with the nearest types and the same primary key, unless it
    /// exists, and describes it. A column that an existing table lacks is added. Foreign keys and secondary
    /// indexes are not made.
    async fn create_like(&self, source: &Table) -> Result<Table>;

    /// A consistent view for reading.
    async fn snapshot(&self) -> Result<Box<dyn ReadSnapshot>>;

    /// About how many rows the table holds; `None` where only counting them all would tell.
    async fn estimate_rows(&self, _table: &Table) -> Result<Option<u64>> {
        Ok(None)
    }

    /// The present by the clock of the database, or the start of the oldest transaction that may still commit, where the
    /// database tells of it. Microseconds may be cut off.
    async fn clock(&self) -> Result<Timestamp> {
        Ok(Timestamp::now())
    }

    /// Whether the table holds no row (of the entity).
    async fn is_empty(&self, table: &Table, discriminator: Option<&Discriminator>) -> Result<bool>;

    /// The rows with these keys, in any order, as they are now.
    async fn fetch(&self, table: &Table, keys: &[Vec<Value>]) -> Result<Vec<Row>>;

    /// Whether [`insert`](Self::insert) takes tuples of `source` as they are.
    fn takes_binary_tuples(&self, _source: &Table, _target: &Table) -> bool {
        false
    }

    /// How tuples of `source` are packed for [`insert`](Self::insert), if their values need not be looked at one by one.
    /// `positions` says where each column of `target` stands in `source`. The table was described before.
    fn packing(&self, _source: &Table, _target: &Table, _positions: &[usize]) -> Option<Packing> {
        None
    }

    /// How many rows are worth writing at a time, unless they are packed; `None` for as many as come.
    fn batch_rows(&self) -> Option<usize> {
        None
    }

    /// How many batches are worth writing at the same time; 0 if each must be written before the next one is begun,
    /// because their order matters.
    fn write_concurrency(&self) -> usize {
        1
    }

    /// Inserts rows that do not exist yet; all of them or, on an error, none.
    async fn insert(&self, table: &Table, batch: &RowBatch) -> Result<()>;

    /// Inserts rows, or overwrites those that exist under the same key; all of them or, on an error, none.
    async fn upsert(&self, table: &Table, rows: &[Row]) -> Result<()>;

    /// Deletes the rows with these keys; all of them or, on an error, none. How many there were.
    async fn delete(&self, table: &Table, keys: &[Vec<Value>]) -> Result<u64>;

    /// Deletes rows of several tables, which may refer to each other in a circle; all of them or, on an error, none. How many
    /// there were in each.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the database looks at each row by itself.
    async fn delete_together(&self, _rows: &[(Arc<Table>, Vec<Vec<Value>>)]) -> Result<Vec<u64>> {
        Err(Error::new(ErrorKind::Unsupported, "rows that refer to each other in a circle cannot be deleted"))
    }

    /// What tells this database from every other one, whatever address it is reached by. It holds no password.
    async fn identity(&self) -> Result<String> {
        Err(no_changes("told apart from other databases"))
    }

    /// The present by the clock of the database.
    async fn now(&self) -> Result<Timestamp> {
        self.clock().await
    }

    /// Starts a transaction in which changes are applied. A database that one connection at a time can write has no other
    /// writer until its end.
    async fn begin(&self) -> Result<Box<dyn TableTransaction>> {
        Err(no_changes("the target of captured changes"))
    }

    /// Ends what sessions of clients that have died still hold open at the server; those that it does not know are
    /// passed over.
    async fn end_sessions(&self, _sessions: &[String]) -> Result<()> {
        Ok(())
    }

    /// Changes the columns of a table, all of them or none where the database has that, and describes it.
    async fn alter(&self, table: &str, changes: &[ColumnChange]) -> Result<Table> {
        let _ = (table, changes);
        Err(no_changes("changed in its columns"))
    }

    /// The log of changes of this kind; `None` where there is no such thing.
    fn change_log(&self, _kind: LogKind) -> Option<&dyn ChangeLog> {
        None
    }

    /// The log that is read where nobody has chosen one: the database's own, unless something is known to be in its way
    /// and triggers can take its place.
    fn automatic_log(&self) -> Option<LogKind> {
        let is_free = |kind: &LogKind| {
            self.change_log(*kind).is_some_and(|log| match log.obstacle() {
                Some(obstacle) => {
                    tracing::debug!("changes are not read from the log: {obstacle}");
                    false
                }
                None => true,
            })
        };
        [LogKind::Log, LogKind::Trigger].into_iter().find(is_free)
    }
}

/// Only files and the dialects that applications bring leave these out.
fn no_changes(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("files and dialects of an application's own cannot be {what}"))
}
