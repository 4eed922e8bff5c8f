//! Changes of several tables in one transaction, as apply writes them.

use async_trait::async_trait;

use super::{Row, RowBatch, Table};
use crate::error::Result;
use crate::schema::Discriminator;
use crate::value::Value;

/// New values of some columns of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct RowPatch {
    /// The primary key of the row.
    pub key: Vec<Value>,
    /// Positions of columns and their new values.
    pub values: Vec<(usize, Value)>,
}

/// A transaction on the tables of one database. Rows are written without setting off triggers or checks that have already
/// run at the source, as far as the user may. Every call changes everything it was given or, on an error, nothing, and
/// after an error of a row the transaction can go on. Dropped before its end, it is rolled back.
///
/// A MongoDB server without transactions carries every call out at once; what is done twice must come to the same.
#[async_trait]
pub trait TableTransaction: Send {
    /// Whether commit and rollback mean what they say.
    fn is_atomic(&self) -> bool {
        true
    }

    /// Names the session of the transaction, where the server keeps that, and its locks, although the client has died.
    /// [`end_sessions`](super::TableStore::end_sessions) takes the name.
    fn session(&self) -> Option<String> {
        None
    }

    /// The rows with these keys, in any order. Nobody else changes them before the end of the transaction.
    async fn fetch(&mut self, table: &Table, keys: &[Vec<Value>]) -> Result<Vec<Row>>;

    /// Inserts rows that do not exist yet.
    async fn insert(&mut self, table: &Table, batch: &RowBatch) -> Result<()>;

    /// Inserts rows, or overwrites those that exist under the same key. No key stands twice among them.
    async fn upsert(&mut self, table: &Table, rows: &[Row]) -> Result<()>;

    /// Changes columns of rows. No key stands twice among them. How many of the rows exist.
    async fn patch(&mut self, table: &Table, patches: &[RowPatch]) -> Result<u64>;

    /// Deletes the rows with these keys, although others may refer to them until the end of the transaction; how many there
    /// were.
    async fn delete(&mut self, table: &Table, keys: &[Vec<Value>]) -> Result<u64>;

    /// Deletes every row; how many there were, where that is told: counting them may take longer than deleting.
    async fn truncate(&mut self, table: &Table) -> Result<Option<u64>>;

    /// Deletes every row that holds this text in this column, which is part of the primary key; how many there were.
    async fn delete_part(&mut self, table: &Table, part: &Discriminator) -> Result<u64>;

    /// Deletes every row whose text in this column, the first of the primary key, begins so; how many there were.
    async fn delete_beginning(&mut self, table: &Table, beginning: &Discriminator) -> Result<u64>;

    /// Makes the changes permanent.
    async fn commit(self: Box<Self>) -> Result<()>;

    /// Undoes the changes.
    async fn rollback(self: Box<Self>) -> Result<()>;
}
