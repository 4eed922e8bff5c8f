//! What the SQL dialect needs of a database connection, a pool of them, or a transaction.

use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;

use crate::dialect::{Isolation, SharedTransaction};
use crate::error::{Error, ErrorKind, Result};
use crate::record::Record;
use crate::rows::{Cell, CellSink};
use crate::schema::FieldType;
use crate::value::Value;

/// What a statement does, as far as the choice of a connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Only reads.
    Read,
    /// Reads one row by its key.
    ReadRow,
    /// Writes.
    Write,
    /// Inserts one row.
    WriteRow,
    /// Written by the application: unknown.
    Raw,
}

/// The rows that a statement returned.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Fetched {
    /// The rows with their columns' names; of columns with the same name the last one counts.
    pub(crate) fn into_records(self) -> Vec<Record> {
        let Self { columns, rows } = self;
        rows.into_iter().map(|row| columns.iter().cloned().zip(row).collect()).collect()
    }

    /// Hands the rows on.
    pub(crate) fn hand_on(&self, rows: &mut dyn CellSink) -> Result<()> {
        rows.columns(&self.columns.iter().map(String::as_str).collect::<Vec<_>>())?;
        self.rows.iter().try_for_each(|row| {
            row.iter().for_each(|value| rows.cell(Cell::from(value)));
            rows.end_row()
        })
    }

    /// The only value of the only row.
    pub(crate) fn into_scalar(self) -> Option<Value> {
        self.rows.into_iter().next()?.into_iter().next()
    }
}

/// Takes the rows of a statement to keep them.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    fetched: Fetched,
    /// The row that has not ended.
    row: Vec<Value>,
}

impl Collected {
    /// The rows that ended.
    pub(crate) fn into_fetched(self) -> Fetched {
        self.fetched
    }
}

impl CellSink for Collected {
    fn columns(&mut self, names: &[&str]) -> Result<()> {
        self.fetched.columns = names.iter().map(|name| (*name).to_owned()).collect();
        Ok(())
    }

    fn cell(&mut self, cell: Cell<'_>) {
        self.row.push(cell.to_value());
    }

    fn end_row(&mut self) -> Result<()> {
        let next = Vec::with_capacity(self.row.len());
        self.fetched.rows.push(std::mem::replace(&mut self.row, next));
        Ok(())
    }
}

/// The columns that a table really has, with the field type nearest to each.
pub(crate) type LiveColumns = IndexMap<String, FieldType>;

/// A pool of connections, or one transaction on one of them.
#[async_trait]
pub(crate) trait SqlSession: Send + Sync + 'static {
    /// Runs a statement and reads all its rows.
    async fn fetch(&self, access: Access, sql: &str, params: &[Value]) -> Result<Fetched>;

    /// Runs a statement and hands its rows on as they are read.
    async fn fetch_into(
        &self,
        access: Access,
        sql: &str,
        params: &[Value],
        rows: &mut dyn CellSink,
    ) -> Result<()> {
        self.fetch(access, sql, params).await?.hand_on(rows)
    }

    /// Has the single rows that this thread inserts from now on share a transaction, where that is done at once.
    fn share_transaction(&self) -> Option<Box<dyn SharedTransaction + '_>> {
        None
    }

    /// Runs a statement; how many rows it changed.
    async fn execute(&self, access: Access, sql: &str, params: &[Value]) -> Result<u64>;

    /// The columns of a table, or `None` if there is no such table.
    async fn live_columns(&self, table: &str) -> Result<Option<LiveColumns>>;

    /// Starts a transaction, or a savepoint within one.
    async fn begin(&self, isolation: Option<Isolation>) -> Result<Arc<dyn SqlSession>>;

    /// Starts what an operation does by several statements, as [`begin`](Self::begin). Within a transaction whatever else runs in
    /// it waits until that has ended.
    async fn begin_step(&self, isolation: Option<Isolation>) -> Result<Arc<dyn SqlSession>> {
        self.begin(isolation).await
    }

    /// Starts a transaction for changes of the schema that waits for those of other processes and in which tables
    /// can be dropped in any order.
    async fn begin_schema_change(&self) -> Result<Arc<dyn SqlSession>>;

    /// The names of the tables in which entities are kept, without the library's own. Within a transaction only.
    async fn list_tables(&self) -> Result<Vec<String>> {
        Err(no_transaction())
    }

    /// Deletes every row of these tables, whose names are quoted, and none of others that refer to them. Within a
    /// change of the schema only.
    async fn empty_tables(&self, _quoted: &[String]) -> Result<()> {
        Err(no_transaction())
    }

    /// Ends the transaction.
    async fn commit(&self) -> Result<()> {
        Err(no_transaction())
    }

    /// Undoes the transaction.
    async fn rollback(&self) -> Result<()> {
        Err(no_transaction())
    }

    /// Closes every connection.
    async fn close(&self);
}

fn no_transaction() -> Error {
    Error::new(ErrorKind::Transaction, "there is no transaction to end")
}

/// The error of a transaction that is used after its end.
pub(crate) fn transaction_ended() -> Error {
    Error::new(ErrorKind::Transaction, "the transaction has already ended")
}
