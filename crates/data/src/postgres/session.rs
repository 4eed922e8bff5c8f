//! Statements on a PostgreSQL database: on the pool, and within a transaction on one connection.

use std::sync::Arc;

use async_trait::async_trait;
use wire::{
    Connection, Format, IsolationLevel, Param, QueryOptions, QueryResult, ResultFormat, TransactionStatus,
};

use super::decode::decode;
use super::encode::text_of;
use super::live_columns::live_columns;
use super::own_tables;
use super::pool::{Pool, Pooled, roll_back_later};
use super::text::{decode_text, plain_cell};
use super::types::column_type;
use crate::dialect::{DialectKind, Isolation};
use crate::error::{Error, ErrorKind, Result};
use crate::rows::{Cell, CellSink};
use crate::sql::{Access, Fetched, LiveColumns, Pinned, PinnedSession, SqlSession};
use crate::table::ColumnType;
use crate::value::Value;

/// The key of the lock under which schemas are changed, so that processes that start at once take turns. Its bytes
/// spell `replverse`.
const SCHEMA_CHANGE_LOCK: &str = "SELECT pg_advisory_xact_lock(8243108477894882149)";

/// The types that the server and we write and read faster in binary: boolean, integers, double and timestamps.
const BINARY_TYPES: &[u32] = &[16, 20, 21, 23, 701, 1114, 1184];

/// The pool as a session.
pub(super) struct PostgresSession {
    pool: Pool,
    kind: DialectKind,
}

impl PostgresSession {
    pub(super) fn new(pool: Pool, kind: DialectKind) -> Self {
        Self { pool, kind }
    }

    async fn begin_on_connection(&self, isolation: Option<Isolation>) -> Result<PinnedConnection> {
        let mut connection = self.pool.get().await?;
        connection.begin(isolation.map(isolation_level), false).await?;
        Ok(PinnedConnection { connection: Some(connection), schema_changed: false })
    }
}

#[async_trait]
impl SqlSession for PostgresSession {
    async fn fetch(&self, access: Access, sql: &str, params: &[Value]) -> Result<Fetched> {
        let mut connection = self.pool.get().await?;
        let result = fetch_on(&mut connection, access, sql, params, true).await;
        check_no_transaction(&mut connection).await?;
        result
    }

    async fn fetch_into(
        &self,
        access: Access,
        sql: &str,
        params: &[Value],
        rows: &mut dyn CellSink,
    ) -> Result<()> {
        if access == Access::Raw {
            return self.fetch(access, sql, params).await?.hand_on(rows);
        }
        let mut connection = self.pool.get().await?;
        stream_on(&mut connection, sql, params, true, rows).await
    }

    async fn execute(&self, access: Access, sql: &str, params: &[Value]) -> Result<u64> {
        let mut connection = self.pool.get().await?;
        let result = execute_on(&mut connection, access, sql, params, true).await;
        check_no_transaction(&mut connection).await?;
        result
    }

    async fn live_columns(&self, table: &str) -> Result<Option<LiveColumns>> {
        live_columns(&mut *self.pool.get().await?, table).await
    }

    async fn begin(&self, isolation: Option<Isolation>) -> Result<Arc<dyn SqlSession>> {
        Ok(Arc::new(PinnedSession::new(self.begin_on_connection(isolation).await?)))
    }

    async fn begin_schema_change(&self) -> Result<Arc<dyn SqlSession>> {
        let mut pinned = self.begin_on_connection(None).await?;
        // CockroachDB has no such locks, and restarts one of two transactions instead.
        if self.kind == DialectKind::Postgres {
            pinned.connection()?.simple_query(SCHEMA_CHANGE_LOCK).await?;
        }
        Ok(Arc::new(PinnedSession::new(pinned)))
    }

    async fn close(&self) {
        self.pool.close();
    }
}

/// A raw BEGIN must not leave a connection of the pool in a transaction.
async fn check_no_transaction(connection: &mut Connection) -> Result<()> {
    if connection.is_broken() || connection.transaction_status() == TransactionStatus::Idle {
        return Ok(());
    }
    connection.rollback().await?;
    Err(Error::new(
        ErrorKind::Transaction,
        "the statement left a transaction open, which was rolled back; start transactions with $transaction or beginTx",
    ))
}

async fn fetch_on(
    connection: &mut Connection,
    access: Access,
    sql: &str,
    params: &[Value],
    cache: bool,
) -> Result<Fetched> {
    let results = run(connection, access, sql, params, cache).await?;
    // Of several statements in one text the last that returns rows counts.
    let result = results.into_iter().rfind(|result| !result.columns.is_empty());
    result.as_ref().map_or_else(|| Ok(Fetched::default()), decoded)
}

/// Hands the rows of one statement of ours on as they arrive.
async fn stream_on(
    connection: &mut Connection,
    sql: &str,
    params: &[Value],
    cache: bool,
    rows: &mut dyn CellSink,
) -> Result<()> {
    let params: Vec<Param<'_>> = params.iter().map(|value| text_of(value, None).into()).collect();
    let options = QueryOptions { cache, result_format: ResultFormat::BinaryTypes(BINARY_TYPES) };
    let mut stream = connection.query_stream(sql, &params, &options).await?;
    let columns = Arc::clone(stream.columns());
    rows.columns(&columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>())?;
    let types: Vec<ColumnType> = columns.iter().map(|column| column_type(column.type_oid, -1, "")).collect();
    while let Some(batch) = stream.next_batch().await? {
        for row in batch.iter() {
            for ((i, column), column_type) in columns.iter().enumerate().zip(&types) {
                match row.get(i) {
                    None => rows.cell(Cell::Null),
                    Some(field) if column.format == Format::Binary => {
                        rows.cell(Cell::from(&decode(column_type, field)?));
                    }
                    Some(_) => {
                        let text = row.get_str(i)?.unwrap_or_default();
                        hand_on(column.type_oid, column_type, text, rows);
                    }
                }
            }
            rows.end_row()?;
        }
    }
    Ok(())
}

fn hand_on(oid: u32, column_type: &ColumnType, text: &str, rows: &mut dyn CellSink) {
    match plain_cell(column_type, text) {
        Some(cell) => rows.cell(cell),
        None => rows.cell(Cell::from(&decode_text(oid, text))),
    }
}

async fn execute_on(
    connection: &mut Connection,
    access: Access,
    sql: &str,
    params: &[Value],
    cache: bool,
) -> Result<u64> {
    let results = run(connection, access, sql, params, cache).await?;
    Ok(results.iter().map(|result| result.rows_affected).sum())
}

async fn run(
    connection: &mut Connection,
    access: Access,
    sql: &str,
    params: &[Value],
    cache: bool,
) -> Result<Vec<QueryResult>> {
    // Only the simple protocol takes several statements in one text, as applications write them.
    if access == Access::Raw && params.is_empty() && sql.trim_end().trim_end_matches(';').contains(';') {
        return Ok(connection.simple_query(sql).await?);
    }
    let params: Vec<Param<'_>> = params.iter().map(|value| text_of(value, None).into()).collect();
    let options = QueryOptions { cache, ..QueryOptions::default() };
    Ok(vec![connection.query_with(sql, &params, &options).await?])
}

fn decoded(result: &QueryResult) -> Result<Fetched> {
    let columns = result.columns.iter().map(|column| column.name.clone()).collect();
    let mut rows = Vec::with_capacity(result.rows.len());
    for row in result.rows.iter() {
        let mut values = Vec::with_capacity(result.columns.len());
        for (i, column) in result.columns.iter().enumerate() {
            let text = row.get_str(i)?;
            values.push(text.map_or(Value::Null, |text| decode_text(column.type_oid, text)));
        }
        rows.push(values);
    }
    Ok(Fetched { columns, rows })
}

fn isolation_level(isolation: Isolation) -> IsolationLevel {
    match isolation {
        Isolation::ReadCommitted => IsolationLevel::ReadCommitted,
        Isolation::RepeatableRead => IsolationLevel::RepeatableRead,
        Isolation::Serializable => IsolationLevel::Serializable,
    }
}

/// A connection of the pool with a transaction open on it.
struct PinnedConnection {
    /// Gone after the end.
    connection: Option<Pooled>,
    /// Whether statements kept from before may have another result now, which PostgreSQL refuses within a
    /// transaction.
    schema_changed: bool,
}

impl PinnedConnection {
    fn connection(&mut self) -> Result<&mut Connection> {
        self.connection
            .as_deref_mut()
            .ok_or_else(|| Error::new(ErrorKind::Transaction, "the transaction has already ended"))
    }

    fn note(&mut self, sql: &str) {
        const DATA: [&str; 6] = ["select", "insert", "update", "delete", "with", "savepoint"];
        let word: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
        if !DATA.iter().any(|known| word.eq_ignore_ascii_case(known)) {
            self.schema_changed = true;
        }
    }
}

#[async_trait]
impl Pinned for PinnedConnection {
    async fn fetch(&mut self, access: Access, sql: &str, params: &[Value]) -> Result<Fetched> {
        self.note(sql);
        let cache = !self.schema_changed;
        fetch_on(self.connection()?, access, sql, params, cache).await
    }

    async fn fetch_into(
        &mut self,
        access: Access,
        sql: &str,
        params: &[Value],
        rows: &mut dyn CellSink,
    ) -> Result<()> {
        if access == Access::Raw {
            return self.fetch(access, sql, params).await?.hand_on(rows);
        }
        self.note(sql);
        let cache = !self.schema_changed;
        stream_on(self.connection()?, sql, params, cache, rows).await
    }

    async fn execute(&mut self, access: Access, sql: &str, params: &[Value]) -> Result<u64> {
        self.note(sql);
        let cache = !self.schema_changed;
        execute_on(self.connection()?, access, sql, params, cache).await
    }

    async fn live_columns(&mut self, table: &str) -> Result<Option<LiveColumns>> {
        live_columns(self.connection()?, table).await
    }

    async fn list_tables(&mut self) -> Result<Vec<String>> {
        own_tables::list(self.connection()?).await
    }

    async fn empty_tables(&mut self, quoted: &[String]) -> Result<()> {
        self.schema_changed = true;
        own_tables::empty(self.connection()?, quoted).await
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        let result = self.connection()?.commit().await;
        // A commit that failed has rolled back; on a broken connection the server does.
        self.connection = None;
        Ok(result?)
    }

    async fn rollback(mut self: Box<Self>) -> Result<()> {
        let result = self.connection()?.rollback().await;
        self.connection = None;
        Ok(result?)
    }
}

impl Drop for PinnedConnection {
    /// A transaction that is dropped must not hold its locks until its connection is used again.
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            roll_back_later(connection);
        }
    }
}
