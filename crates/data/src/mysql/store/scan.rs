//! Reading whole tables in one consistent view, row by row as the server sends them.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use sqlx::{AssertSqlSafe, Executor};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::super::catalog::{self, CataloguedColumn, Described};
use super::super::cell::{CellKind, Form, cell};
use super::super::parameters::{arguments, datetime_text};
use super::super::pool::{Link, Pool};
use super::super::session::fetch_on;
use super::super::syntax::quote;
use super::stored::StoredTable;
use super::unknown_table;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Access;
use crate::table::{
    BatchSender, BatchStream, ChangedSince, ColumnType, ReadSnapshot, RowBatch, ScanOptions, Table,
    spawn_scan,
};
use crate::value::{Timestamp, Value};

/// A batch is handed on when it has this many rows or bytes.
const BATCH_ROWS: usize = 10_000;
const BATCH_BYTES: usize = 4 << 20;
/// Batches that wait for their reader.
const WAITING_BATCHES: usize = 2;
/// How long the server waits for a reader, and for the next statement, in seconds. A slow target is no reason to give up.
const PATIENCE: u32 = 604_800;

/// A connection in a transaction that sees the database as it was when it began.
pub(in crate::mysql) struct MysqlSnapshot {
    pool: Pool,
    link: Arc<Mutex<Link>>,
    /// By which the server knows the connection.
    number: i64,
}

impl MysqlSnapshot {
    pub(in crate::mysql) async fn begin(pool: Pool) -> Result<Self> {
        let mut link = pool.connect_apart().await?;
        let number = fetch_on(&mut link, Access::Read, "SELECT CONNECTION_ID()", &[]).await?.into_scalar();
        link.run(&format!(
            "SET net_write_timeout = {PATIENCE}, wait_timeout = {PATIENCE}; \
             SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
             START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
        ))
        .await?;
        let number = number.and_then(|number| number.as_integer()).unwrap_or_default();
        Ok(Self { pool, link: Arc::new(Mutex::new(link)), number })
    }

    /// The connection that sees the view.
    pub(in crate::mysql) async fn link(&self) -> OwnedMutexGuard<Link> {
        Arc::clone(&self.link).lock_owned().await
    }
}

#[async_trait]
impl ReadSnapshot for MysqlSnapshot {
    async fn scan(&self, table: Arc<Table>, options: ScanOptions) -> Result<BatchStream> {
        // The guard goes along with the scan, so the next one waits for it.
        let mut link = Arc::clone(&self.link).lock_owned().await;
        if link.is_lost() {
            return Err(Error::new(ErrorKind::Connection, "the connection of the snapshot was lost"));
        }
        let described = catalog::describe(&mut link, &table.name).await?;
        let described = described.ok_or_else(|| unknown_table(&table.name))?;
        let (pool, number) = (self.pool.clone(), self.number);
        Ok(spawn_scan(WAITING_BATCHES, |sender| async move {
            let stored = StoredTable::new(&table, &described);
            let stored = if options.keys_only { stored.only_key() } else { stored };
            let (condition, params) = conditions(&options, &described);
            let sql = format!("SELECT {} FROM {}{condition}", stored.selection(), quote(&table.name));
            let batch = Batch::new(&options);
            run(link, &stored, (sql, params), batch, &sender, (&pool, number)).await
        }))
    }
}

/// What stands behind FROM for these options, with its parameters.
fn conditions(options: &ScanOptions, described: &Described) -> (String, Vec<Value>) {
    let (mut conditions, mut params) = (Vec::new(), Vec::new());
    if let Some(discriminator) = &options.discriminator {
        conditions.push(format!("{} = ?", quote(&discriminator.column)));
        params.push(Value::Text(discriminator.value.clone()));
    }
    if let Some((condition, moments)) =
        options.changed_since.as_ref().and_then(|since| changed(since, described))
    {
        conditions.push(condition);
        params.extend(moments);
    }
    let condition =
        if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    (condition, params)
}

/// The condition that a row was changed. None where a column holds no moments, whatever an entity takes it for, or the
/// server cannot compare them with this one; then every row is read.
fn changed(since: &ChangedSince, described: &Described) -> Option<(String, Vec<Value>)> {
    let reached = |name: &str| {
        let column = described.columns.iter().find(|own| own.column.name == name)?;
        let moment = cut_off(since.moment, column)?;
        Some((format!("{} >= ?", quote(name)), Value::Timestamp(moment)))
    };
    let column = quote(&since.column);
    let (own, moment) = reached(&since.column)?;
    let mut params = vec![moment];
    // Old data may hold days that do not exist, which are before every other.
    let mut condition = format!("({own} OR {column} IS NULL OR {column} < '0001-01-01'");
    if let Some(name) = &since.or_column {
        let (further, moment) = reached(name)?;
        params.push(moment);
        condition.push_str(&format!(" OR {further}"));
    }
    condition.push(')');
    Some((condition, params))
}

/// A moment as a column would hold it: digits that it has no place for are cut off.
fn cut_off(moment: Timestamp, column: &CataloguedColumn) -> Option<Timestamp> {
    const DIGITS: u32 = 6;
    if !matches!(column.column.column_type, ColumnType::Timestamp { .. }) {
        return None;
    }
    let lost = DIGITS.saturating_sub(column.second_digits.unwrap_or(DIGITS));
    let moment = Timestamp(moment.0.saturating_sub(moment.0.rem_euclid(10_i64.pow(lost))));
    datetime_text(moment).is_ok().then_some(moment)
}

/// Runs the statement with its parameters. The server knows the connection by its number.
async fn run(
    mut link: OwnedMutexGuard<Link>,
    stored: &StoredTable<'_>,
    (sql, params): (String, Vec<Value>),
    mut batch: Batch,
    sender: &BatchSender,
    (pool, number): (&Pool, i64),
) -> Result<()> {
    let query = sqlx::query_with(AssertSqlSafe(sql.clone()), arguments(&params, link.server().max_packet)?);
    let mut rows = link.start().fetch(query.persistent(false));
    let mut kinds = Vec::new();
    let mut failure = None;
    let mut is_left = false;
    while let Some(row) = rows.next().await {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                failure = Some(error);
                break;
            }
        };
        if is_left {
            continue;
        }
        if kinds.is_empty() {
            kinds = CellKind::of_row(&row);
        }
        let values: Result<Vec<Value>> =
            kinds.iter().enumerate().map(|(i, kind)| cell(&row, i, *kind, Form::Binary)).collect();
        let full = values.map(|values| batch.push(stored.declare(values)));
        let failed = full.is_err();
        if let Some(full) = full.transpose() {
            is_left = sender.send(full).await.is_err() || failed;
        } else if batch.rows.len().is_multiple_of(256) {
            is_left = sender.is_closed();
        }
        if is_left {
            // What is left of the rows is read and thrown away; told to stop, the server sends few more.
            stop(pool, number).await;
        }
    }
    drop(rows);
    match failure {
        // The server reports the statement that it was told to stop.
        Some(error) if is_left => {
            let _ = link.done::<()>(Err(error), &sql);
            Ok(())
        }
        Some(error) => link.done(Err(error), &sql),
        None => {
            link.done(Ok(()), &sql)?;
            if !is_left && !batch.rows.is_empty() {
                drop(sender.send(Ok(RowBatch::Rows(batch.rows))).await);
            }
            Ok(())
        }
    }
}

/// Has the server stop the statement of a connection. If that fails, its rows are read to their end.
async fn stop(pool: &Pool, number: i64) {
    let stopped = match pool.get().await {
        Ok(mut link) => link.run(&format!("KILL QUERY {number}")).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = stopped {
        tracing::debug!(%error, "a scan could not be stopped and is read to its end");
    }
}

/// Rows that wait to be handed on.
struct Batch {
    rows: Vec<Vec<Value>>,
    bytes: usize,
    most_rows: usize,
}

impl Batch {
    fn new(options: &ScanOptions) -> Self {
        let most_rows = options.batch_rows.unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS);
        Self { rows: Vec::new(), bytes: 0, most_rows }
    }

    /// Adds a row; all of them, once they are enough.
    fn push(&mut self, row: Vec<Value>) -> Option<RowBatch> {
        self.bytes += row.iter().map(bytes_of).sum::<usize>();
        self.rows.push(row);
        if self.rows.len() < self.most_rows && self.bytes < BATCH_BYTES {
            return None;
        }
        self.bytes = 0;
        Some(RowBatch::Rows(std::mem::take(&mut self.rows)))
    }
}

fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len() + 8,
        Value::Bytes(bytes) => bytes.len() + 8,
        Value::Array(items) => items.iter().map(bytes_of).sum::<usize>() + 8,
        Value::Object(object) => {
            object.iter().map(|(key, value)| key.len() + bytes_of(value)).sum::<usize>() + 8
        }
        _ => 8,
    }
}
