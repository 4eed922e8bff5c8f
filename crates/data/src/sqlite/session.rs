//! Statements on a SQLite database: on the pool, and within a transaction on its writing connection.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection, Either, Executor, Sqlite};

use super::application;
use super::catalog;
use super::error::sqlite_error;
use super::pool::{SqlitePools, enforce_foreign_keys};
use super::raw::stream_rows;
use super::value::{arguments, fetched};
use crate::dialect::{Isolation, SharedTransaction};
use crate::error::{Error, ErrorKind, Result};
use crate::rows::CellSink;
use crate::sql::{Access, Collected, Fetched, LiveColumns, Pinned, PinnedSession, SqlSession};
use crate::value::Value;

/// The pool as a session.
pub(super) struct SqliteSession {
    pools: Arc<SqlitePools>,
}

impl SqliteSession {
    pub(super) fn new(pools: Arc<SqlitePools>) -> Self {
        Self { pools }
    }

    /// Answers a statement of one row on this thread, where that can be done.
    fn at_once(
        &self,
        access: Access,
        sql: &str,
        params: &[Value],
        rows: &mut dyn CellSink,
    ) -> Option<Result<()>> {
        self.pools.immediate().and_then(|immediate| immediate.fetch(access, sql, params, rows))
    }

    async fn connection(&self, access: Access, sql: &str) -> Result<PoolConnection<Sqlite>> {
        match access {
            Access::Read | Access::ReadRow => self.pools.read().await,
            Access::Raw if only_reads(sql) => self.pools.read().await,
            Access::Write | Access::WriteRow | Access::Raw => self.pools.write().await,
        }
    }
}

/// Whether a statement is a plain SELECT. Anything else may write, also WITH.
fn only_reads(sql: &str) -> bool {
    let single = !sql.trim_end().trim_end_matches(';').contains(';');
    single && sql.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select"))
}

#[async_trait]
impl SqlSession for SqliteSession {
    async fn fetch(&self, access: Access, sql: &str, params: &[Value]) -> Result<Fetched> {
        let mut rows = Collected::default();
        if let Some(answer) = self.at_once(access, sql, params, &mut rows) {
            return answer.map(|()| rows.into_fetched());
        }
        let mut connection = self.connection(access, sql).await?;
        let result = fetch_as(&mut connection, access, sql, params).await;
        end(&mut connection, access, result).await
    }

    async fn fetch_into(
        &self,
        access: Access,
        sql: &str,
        params: &[Value],
        rows: &mut dyn CellSink,
    ) -> Result<()> {
        if let Some(answer) = self.at_once(access, sql, params, rows) {
            return answer;
        }
        let mut connection = self.connection(access, sql).await?;
        let result = stream_as(&mut connection, access, sql, params, rows).await;
        end(&mut connection, access, result).await
    }

    fn share_transaction(&self) -> Option<Box<dyn SharedTransaction + '_>> {
        let shared = self.pools.immediate()?.share_transaction()?;
        Some(Box::new(shared))
    }

    async fn execute(&self, access: Access, sql: &str, params: &[Value]) -> Result<u64> {
        let mut connection = self.connection(access, sql).await?;
        let result = execute_as(&mut connection, access, sql, params).await;
        end(&mut connection, access, result).await
    }

    async fn live_columns(&self, table: &str) -> Result<Option<LiveColumns>> {
        catalog::live_columns(&mut *self.pools.read().await?, table).await
    }

    /// Transactions on SQLite are serializable, whatever was asked for.
    async fn begin(&self, _isolation: Option<Isolation>) -> Result<Arc<dyn SqlSession>> {
        let transaction = WriteTransaction::begin(&self.pools, ForeignKeys::Enforced).await?;
        Ok(Arc::new(PinnedSession::new(transaction)))
    }

    async fn begin_schema_change(&self) -> Result<Arc<dyn SqlSession>> {
        let transaction = WriteTransaction::begin(&self.pools, ForeignKeys::Ignored).await?;
        Ok(Arc::new(PinnedSession::new(transaction)))
    }

    async fn close(&self) {
        self.pools.close().await;
    }
}

/// A raw BEGIN must not leave the writing connection of everybody in a transaction.
async fn check_no_transaction(connection: &mut SqliteConnection, access: Access) -> Result<()> {
    if access != Access::Raw || connection.execute("ROLLBACK").await.is_err() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Transaction,
        "the statement left a transaction open, which was rolled back; start transactions with $transaction or beginTx",
    ))
}

/// Leaves a connection fit for the next statement, or has it closed.
async fn end<T>(connection: &mut PoolConnection<Sqlite>, access: Access, result: Result<T>) -> Result<T> {
    if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Connection) {
        connection.close_on_drop();
        return result;
    }
    check_no_transaction(connection, access).await?;
    result
}

/// Runs a statement. Ours name their columns: of a table that another connection has changed, sqlx would read `*` by the
/// columns it had before.
async fn fetch_as(
    connection: &mut SqliteConnection,
    access: Access,
    sql: &str,
    params: &[Value],
) -> Result<Fetched> {
    match access {
        Access::Raw => application::fetch(connection, sql, params).await,
        Access::Read | Access::ReadRow => {
            let mut rows = Collected::default();
            stream_rows(connection, sql, params, &mut rows).await?;
            Ok(rows.into_fetched())
        }
        Access::Write | Access::WriteRow => {
            let query = sqlx::query_with(AssertSqlSafe(sql), arguments(params)?);
            fetched(&collect(connection, query).await?)
        }
    }
}

/// As [`fetch_as`], with the rows handed on, those of a read as they are read.
async fn stream_as(
    connection: &mut SqliteConnection,
    access: Access,
    sql: &str,
    params: &[Value],
    rows: &mut dyn CellSink,
) -> Result<()> {
    match access {
        Access::Read | Access::ReadRow => stream_rows(connection, sql, params, rows).await,
        _ => fetch_as(connection, access, sql, params).await?.hand_on(rows),
    }
}

async fn execute_as(
    connection: &mut SqliteConnection,
    access: Access,
    sql: &str,
    params: &[Value],
) -> Result<u64> {
    if access == Access::Raw {
        return application::execute(connection, sql, params).await;
    }
    let query = sqlx::query_with(AssertSqlSafe(sql), arguments(params)?);
    Ok(query.execute(connection).await.map_err(sqlite_error)?.rows_affected())
}

/// Reads all rows. If the thread of the connection dies meanwhile, sqlx ends the rows without an error; whether it
/// still lives tells an early end from a real one.
async fn collect(
    connection: &mut SqliteConnection,
    query: Query<'_, Sqlite, SqliteArguments>,
) -> Result<Vec<SqliteRow>> {
    let mut rows = Vec::new();
    let mut is_complete = false;
    let mut steps = (&mut *connection).fetch_many(query);
    while let Some(step) = steps.next().await {
        match step.map_err(sqlite_error)? {
            Either::Left(_) => is_complete = true,
            Either::Right(row) => {
                is_complete = false;
                rows.push(row);
            }
        }
    }
    drop(steps);
    if !is_complete {
        connection.ping().await.map_err(sqlite_error)?;
    }
    Ok(rows)
}

pub(super) async fn fetch_on(
    connection: &mut SqliteConnection,
    sql: &str,
    params: &[Value],
) -> Result<Fetched> {
    fetch_as(connection, Access::Read, sql, params).await
}

pub(super) async fn execute_on(
    connection: &mut SqliteConnection,
    sql: &str,
    params: &[Value],
) -> Result<u64> {
    execute_as(connection, Access::Write, sql, params).await
}

/// Whether foreign keys count during a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ForeignKeys {
    Enforced,
    /// Tables are dropped, or filled in any order.
    Ignored,
}

/// A transaction on the writing connection. Dropped before its end, it is rolled back.
pub(super) struct WriteTransaction {
    /// Gone after the end.
    connection: Option<PoolConnection<Sqlite>>,
    /// What holds for the whole transaction.
    foreign_keys: ForeignKeys,
    /// Whether a change of the schema within the transaction has them ignored at the moment.
    suspended: bool,
}

impl WriteTransaction {
    pub(super) async fn begin(pools: &SqlitePools, foreign_keys: ForeignKeys) -> Result<Self> {
        let mut transaction = Self { connection: Some(pools.write().await?), foreign_keys, suspended: false };
        if foreign_keys == ForeignKeys::Ignored {
            transaction.run("PRAGMA foreign_keys = OFF").await?;
        }
        match transaction.run("BEGIN IMMEDIATE").await {
            // A database that cannot be written can still be read in a transaction.
            Err(error) if error.kind() == ErrorKind::ReadOnly => transaction.run("BEGIN").await?,
            result => result?,
        }
        Ok(transaction)
    }

    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection> {
        self.connection
            .as_deref_mut()
            .ok_or_else(|| Error::new(ErrorKind::Transaction, "the transaction has ended"))
    }

    /// Whether foreign keys must be enforced again at the end.
    fn ignores_foreign_keys(&self) -> bool {
        self.suspended || self.foreign_keys == ForeignKeys::Ignored
    }

    async fn run(&mut self, sql: &'static str) -> Result<()> {
        self.connection()?.execute(sql).await.map(drop).map_err(sqlite_error)
    }

    /// Makes the changes permanent; if that fails, undoes them.
    pub(super) async fn commit(mut self) -> Result<()> {
        self.run("COMMIT").await?;
        if let Some(connection) = self.connection.take() {
            release(connection, self.ignores_foreign_keys()).await;
        }
        Ok(())
    }

    pub(super) async fn rollback(mut self) -> Result<()> {
        if let Some(connection) = self.connection.take() {
            undo(connection, self.ignores_foreign_keys()).await;
        }
        Ok(())
    }
}

/// Rolls back and gives the connection back. A full disk or the like may have rolled back already.
async fn undo(mut connection: PoolConnection<Sqlite>, ignores_foreign_keys: bool) {
    match connection.execute("ROLLBACK").await {
        Ok(_) => {}
        Err(sqlx::Error::Database(error)) => tracing::debug!(%error, "there was no transaction to roll back"),
        Err(_) => connection.close_on_drop(),
    }
    release(connection, ignores_foreign_keys).await;
}

async fn release(mut connection: PoolConnection<Sqlite>, ignores_foreign_keys: bool) {
    if ignores_foreign_keys && let Err(error) = connection.execute("PRAGMA foreign_keys = ON").await {
        tracing::warn!(%error, "a connection is closed, because foreign keys could not be enforced on it again");
        connection.close_on_drop();
    }
}

impl Drop for WriteTransaction {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(undo(connection, self.ignores_foreign_keys()))),
            // Closing rolls back as well.
            Err(_) => connection.close_on_drop(),
        }
    }
}

#[async_trait]
impl Pinned for WriteTransaction {
    async fn fetch(&mut self, access: Access, sql: &str, params: &[Value]) -> Result<Fetched> {
        fetch_as(self.connection()?, access, sql, params).await
    }

    async fn fetch_into(
        &mut self,
        access: Access,
        sql: &str,
        params: &[Value],
        rows: &mut dyn CellSink,
    ) -> Result<()> {
        stream_as(self.connection()?, access, sql, params, rows).await
    }

    async fn execute(&mut self, access: Access, sql: &str, params: &[Value]) -> Result<u64> {
        execute_as(self.connection()?, access, sql, params).await
    }

    async fn live_columns(&mut self, table: &str) -> Result<Option<LiveColumns>> {
        catalog::live_columns(self.connection()?, table).await
    }

    async fn list_tables(&mut self) -> Result<Vec<String>> {
        catalog::list_tables(self.connection()?).await
    }

    async fn enforce_foreign_keys(&mut self, enforced: bool) -> Result<()> {
        match self.foreign_keys {
            // Only the end of the transaction brings them back.
            ForeignKeys::Ignored => Ok(()),
            ForeignKeys::Enforced => {
                // Noted first, and taken back last: the future may be dropped in between.
                self.suspended = true;
                enforce_foreign_keys(self.connection()?, enforced).await.map_err(sqlite_error)?;
                self.suspended = !enforced;
                Ok(())
            }
        }
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        (*self).commit().await
    }

    async fn rollback(self: Box<Self>) -> Result<()> {
        (*self).rollback().await
    }
}
