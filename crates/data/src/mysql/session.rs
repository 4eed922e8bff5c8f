//! Statements on a MySQL or MariaDB database: on the pool, and within a transaction on one connection.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, Column, Either, Executor, Row, SqlSafeStr, Statement};

use super::catalog;
use super::cell::{CellKind, Form, cell};
use super::error::ended_the_transaction;
use super::parameters::arguments;
use super::pool::{Link, Pool, Pooled};
use super::schema_change::SchemaChange;
use crate::dialect::Isolation;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::{Access, Fetched, LiveColumns, Pinned, PinnedSession, SqlSession};
use crate::value::Value;

/// Statements with more parameters than this hardly come again, so that keeping them prepared would only push out others.
const KEPT_PARAMETERS: usize = 100;
/// The error number under which a server tells that there is no such savepoint.
const NO_SAVEPOINT: &str = "1305";

/// The pool as a session.
pub(super) struct MysqlSession {
    pool: Pool,
}

impl MysqlSession {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl SqlSession for MysqlSession {
    async fn fetch(&self, access: Access, sql: &str, params: &[Value]) -> Result<Fetched> {
        let mut link = self.pool.get().await?;
        let result = fetch_on(&mut link, access, sql, params).await;
        leave(&mut link, access, sql).await?;
        result
    }

    async fn execute(&self, access: Access, sql: &str, params: &[Value]) -> Result<u64> {
        let mut link = self.pool.get().await?;
        let result = execute_on(&mut link, access, sql, params).await;
        leave(&mut link, access, sql).await?;
        result
    }

    async fn live_columns(&self, table: &str) -> Result<Option<LiveColumns>> {
        catalog::live_columns(&mut *self.pool.get().await?, table).await
    }

    async fn begin(&self, isolation: Option<Isolation>) -> Result<Arc<dyn SqlSession>> {
        let transaction = Transaction::begin(self.pool.get().await?, isolation).await?;
        Ok(Arc::new(PinnedSession::new(transaction)))
    }

    /// Not a transaction: each change of a schema is one of its own. But processes take turns.
    async fn begin_schema_change(&self) -> Result<Arc<dyn SqlSession>> {
        let change = SchemaChange::begin(self.pool.get().await?).await?;
        Ok(Arc::new(PinnedSession::new(change)))
    }

    async fn close(&self) {
        self.pool.close();
    }
}

/// A raw BEGIN must not leave a connection of the pool in a transaction, nor a raw SET without autocommit.
async fn leave(link: &mut Link, access: Access, sql: &str) -> Result<()> {
    if access != Access::Raw || is_plain(sql) {
        return Ok(());
    }
    // A savepoint outside of a transaction is gone at once.
    match link.run("SAVEPOINT replicaverse_leave; RELEASE SAVEPOINT replicaverse_leave").await {
        Ok(_) => {
            link.run("ROLLBACK; SET autocommit = 1").await?;
            Err(Error::new(
                ErrorKind::Transaction,
                "the statement left a transaction open, which was rolled back; start transactions with $transaction or \
                 beginTx",
            ))
        }
        Err(error) if error.code() == NO_SAVEPOINT => link.run("SET autocommit = 1").await.map(drop),
        Err(error) => {
            tracing::debug!(%error, "a connection is closed, as a statement of the application left it in an odd state");
            link.break_off();
            Ok(())
        }
    }
}

/// Whether a text is one statement that reads or changes rows, and so leaves nothing behind.
fn is_plain(sql: &str) -> bool {
    const PLAIN: [&str; 6] = ["select", "insert", "update", "delete", "replace", "show"];
    let word: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    PLAIN.iter().any(|known| word.eq_ignore_ascii_case(known))
        && !sql.trim_end().trim_end_matches(';').contains(';')
}

/// Runs a statement and reads all its rows. One of the application without parameters may be several in one text, of
/// which the last that returns rows counts.
pub(super) async fn fetch_on(
    link: &mut Link,
    access: Access,
    sql: &str,
    params: &[Value],
) -> Result<Fetched> {
    if access == Access::Raw && params.is_empty() {
        let result = collect(link.start().fetch_many(AssertSqlSafe(sql.to_owned()))).await;
        return decoded(&link.done(result, sql)?, Form::Text);
    }
    let query = prepared(link, access, sql, params).await?;
    let result = collect(link.start().fetch_many(query)).await;
    decoded(&link.done(result, sql)?, Form::Binary)
}

/// Runs a statement; how many rows it changed, which include those that had the values already.
pub(super) async fn execute_on(link: &mut Link, access: Access, sql: &str, params: &[Value]) -> Result<u64> {
    // Not everything that changes schemas and transactions can be prepared.
    if params.is_empty() {
        return link.run(sql).await;
    }
    let query = prepared(link, access, sql, params).await?;
    let result = link.start().execute(query).await;
    link.done(result, sql).map(|done| done.rows_affected())
}

type Query = sqlx::query::Query<'static, sqlx::MySql, sqlx::mysql::MySqlArguments>;

async fn prepared(link: &mut Link, access: Access, sql: &str, params: &[Value]) -> Result<Query> {
    let arguments = arguments(params, link.server().max_packet)?;
    if access == Access::Raw {
        check_count(link, sql, params.len()).await?;
    }
    let persistent = access != Access::Raw && params.len() <= KEPT_PARAMETERS;
    Ok(sqlx::query_with(AssertSqlSafe(sql.to_owned()), arguments).persistent(persistent))
}

/// With another number of parameters than the statement has, sqlx would wait for an answer that never comes.
async fn check_count(link: &mut Link, sql: &str, given: usize) -> Result<()> {
    let statement = link.start().prepare(AssertSqlSafe(sql.to_owned()).into_sql_str()).await;
    let statement = link.done(statement, sql)?;
    let expected = match statement.parameters() {
        Some(Either::Left(types)) => types.len(),
        Some(Either::Right(count)) => count,
        None => given,
    };
    if expected == given {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Statement, format!("the statement takes {expected} parameters, not {given}")))
}

async fn collect(
    mut steps: impl futures_util::Stream<
        Item = Result<Either<sqlx::mysql::MySqlQueryResult, MySqlRow>, sqlx::Error>,
    > + Unpin,
) -> Result<Vec<MySqlRow>, sqlx::Error> {
    let mut rows = Vec::new();
    let mut is_complete = false;
    while let Some(step) = steps.next().await {
        match step? {
            Either::Left(_) => is_complete = true,
            Either::Right(row) => {
                if std::mem::take(&mut is_complete) {
                    rows.clear();
                }
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

fn decoded(rows: &[MySqlRow], form: Form) -> Result<Fetched> {
    let Some(first) = rows.first() else { return Ok(Fetched::default()) };
    let kinds = CellKind::of_row(first);
    let columns = first.columns().iter().map(|column| column.name().to_owned()).collect();
    let values =
        |row: &MySqlRow| kinds.iter().enumerate().map(|(i, kind)| cell(row, i, *kind, form)).collect();
    Ok(Fetched { columns, rows: rows.iter().map(values).collect::<Result<_>>()? })
}

fn isolation_level(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::ReadCommitted => "READ COMMITTED",
        Isolation::RepeatableRead => "REPEATABLE READ",
        Isolation::Serializable => "SERIALIZABLE",
    }
}

/// A connection of the pool with a transaction open on it.
pub(super) struct Transaction {
    /// Gone after the end.
    link: Option<Pooled>,
    /// Whether the server has ended the transaction. What is run then would be made permanent at once.
    is_lost: bool,
    /// Whether foreign keys may not count on the connection, which outlives the transaction.
    ignores_foreign_keys: bool,
}

impl Transaction {
    pub(super) async fn begin(mut link: Pooled, isolation: Option<Isolation>) -> Result<Self> {
        match isolation {
            None => link.run("START TRANSACTION").await?,
            Some(isolation) => {
                let level = isolation_level(isolation);
                link.run(&format!("SET TRANSACTION ISOLATION LEVEL {level}; START TRANSACTION")).await?
            }
        };
        Ok(Self { link: Some(link), is_lost: false, ignores_foreign_keys: false })
    }

    /// The connection to run the next statement on.
    pub(super) fn link(&mut self) -> Result<&mut Link> {
        if self.is_lost {
            return Err(Error::new(
                ErrorKind::Transaction,
                "the database has rolled the transaction back after an error; start it again",
            ));
        }
        self.link.as_deref_mut().ok_or_else(ended)
    }

    fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        self.is_lost |= result.as_ref().is_err_and(ended_the_transaction);
        result
    }

    /// Makes the changes permanent.
    pub(super) async fn commit(mut self) -> Result<()> {
        let result = self.link()?.run("COMMIT").await.map(drop);
        let is_altered = self.ignores_foreign_keys;
        // A commit that failed has rolled back, or will with its connection.
        if let (Some(link), true) = (self.link.as_deref_mut(), is_altered || result.is_err()) {
            link.break_off();
        }
        self.link = None;
        result
    }

    /// Undoes the changes.
    pub(super) async fn rollback(mut self) -> Result<()> {
        match self.link.take() {
            Some(link) => roll_back(link, self.ignores_foreign_keys).await,
            None => Ok(()),
        }
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Transaction, "the transaction has already ended")
}

/// On a lost connection the server rolls back. One that is not as it was found is closed.
async fn roll_back(mut link: Pooled, is_altered: bool) -> Result<()> {
    let rolled_back = link.run("ROLLBACK").await;
    if is_altered || rolled_back.is_err() {
        link.break_off();
    }
    if let Err(error) = rolled_back {
        tracing::debug!(%error, "a transaction ends with its connection");
    }
    Ok(())
}

impl Drop for Transaction {
    /// A transaction that is dropped must not hold its locks until its connection is used again.
    fn drop(&mut self) {
        let Some(mut link) = self.link.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(roll_back(link, self.ignores_foreign_keys))),
            // Without its connection the server rolls back.
            Err(_) => link.break_off(),
        }
    }
}

#[async_trait]
impl Pinned for Transaction {
    async fn fetch(&mut self, access: Access, sql: &str, params: &[Value]) -> Result<Fetched> {
        let result = fetch_on(self.link()?, access, sql, params).await;
        self.note(result)
    }

    async fn execute(&mut self, access: Access, sql: &str, params: &[Value]) -> Result<u64> {
        let result = execute_on(self.link()?, access, sql, params).await;
        self.note(result)
    }

    async fn live_columns(&mut self, table: &str) -> Result<Option<LiveColumns>> {
        let result = catalog::live_columns(self.link()?, table).await;
        self.note(result)
    }

    async fn list_tables(&mut self) -> Result<Vec<String>> {
        let result = catalog::list_tables(self.link()?).await;
        self.note(result)
    }

    async fn enforce_foreign_keys(&mut self, enforced: bool) -> Result<()> {
        // Noted before, as whoever waits for this may give up meanwhile.
        self.ignores_foreign_keys = true;
        let sql = format!("SET SESSION foreign_key_checks = {}", u8::from(enforced));
        self.execute(Access::Write, &sql, &[]).await?;
        self.ignores_foreign_keys = !enforced;
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        (*self).commit().await
    }

    async fn rollback(self: Box<Self>) -> Result<()> {
        (*self).rollback().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_single_statement_on_rows_leaves_nothing_behind() {
        for sql in ["SELECT 1", " update t set a = 1;", "insert into t values (1)", "SHOW TABLES"] {
            assert!(is_plain(sql), "{sql}");
        }
        for sql in ["BEGIN", "set autocommit = 0", "select 1; begin", "call p()", "/* x */ begin", ""] {
            assert!(!is_plain(sql), "{sql}");
        }
    }
}
