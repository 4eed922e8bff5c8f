//! Reading SQLite tables in batches, all as they were at one moment.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteRow;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::super::error::sqlite_error;
use super::super::pool::SnapshotConnection;
use super::super::value::{arguments, by_storage_class, key_as_declared, row_as_declared};
use super::columns::selected;
use crate::error::Result;
use crate::sql::double_quoted as quote;
use crate::table::{
    BatchSender, BatchStream, ColumnType, ReadSnapshot, Row, RowBatch, ScanOptions, Table, spawn_scan,
};
use crate::value::{Timestamp, Value};

/// Rows of a batch at the most.
const BATCH_ROWS: usize = 10_000;
/// Bytes of a batch at the most, as they were stored.
const BATCH_BYTES: usize = 4 << 20;
/// Batches that wait for their reader.
const BATCHES_AHEAD: usize = 2;

/// A connection in a read transaction.
pub(in crate::sqlite) struct SqliteSnapshot {
    connection: Arc<Mutex<SnapshotConnection>>,
}

impl SqliteSnapshot {
    /// The view that a connection of its own has.
    pub(in crate::sqlite) fn new(connection: SnapshotConnection) -> Self {
        Self { connection: Arc::new(Mutex::new(connection)) }
    }
}

#[async_trait]
impl ReadSnapshot for SqliteSnapshot {
    async fn scan(&self, table: Arc<Table>, options: ScanOptions) -> Result<BatchStream> {
        // The guard goes along with the scan, so the next one waits for it.
        let connection = Arc::clone(&self.connection).lock_owned().await;
        Ok(spawn_scan(
            BATCHES_AHEAD,
            |sender| async move { run(connection, &table, &options, &sender).await },
        ))
    }
}

async fn run(
    mut connection: OwnedMutexGuard<SnapshotConnection>,
    table: &Table,
    options: &ScanOptions,
    sender: &BatchSender,
) -> Result<()> {
    let columns: Vec<_> = if options.keys_only {
        table.key.iter().filter_map(|position| table.columns.get(*position)).collect()
    } else {
        table.columns.iter().collect()
    };
    let types: Vec<&ColumnType> = columns.iter().map(|column| &column.column_type).collect();
    let mut sql = format!("SELECT {} FROM {}", selected(columns.iter().copied()), quote(&table.name));
    let (condition, params) = conditions(options);
    sql.push_str(&condition);
    let query = sqlx::query_with(AssertSqlSafe(sql), arguments(&params)?);
    let mut rows = query.fetch(&mut **connection);
    let most_rows = options.batch_rows.unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS);
    let mut batch = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next().await {
        let values = stored_values(&row.map_err(sqlite_error)?, types.len())?;
        let row: Row = match options.keys_only {
            true => types.iter().zip(values).map(|(own, value)| key_as_declared(own, value)).collect(),
            false => row_as_declared(table, values),
        };
        bytes += row.iter().map(size_of_value).sum::<usize>();
        batch.push(row);
        if batch.len() >= most_rows || bytes >= BATCH_BYTES {
            bytes = 0;
            let full = std::mem::take(&mut batch);
            if sender.send(Ok(RowBatch::Rows(full))).await.is_err() {
                return Ok(());
            }
        } else if batch.len() % 256 == 0 && sender.is_closed() {
            return Ok(());
        }
    }
    if !batch.is_empty() {
        let _ = sender.send(Ok(RowBatch::Rows(batch))).await;
    }
    Ok(())
}

/// What stands behind FROM for these options, with its parameters.
fn conditions(options: &ScanOptions) -> (String, Vec<Value>) {
    let (mut conditions, mut params) = (Vec::new(), Vec::new());
    if let Some(discriminator) = &options.discriminator {
        conditions.push(format!("{} = ?", quote(&discriminator.column)));
        params.push(Value::Text(discriminator.value.clone()));
    }
    if let Some(since) = &options.changed_since {
        // Moments are text in several forms, which SQLite's own function tells apart; what it cannot read is NULL. The
        // day's fraction is a double, exact to some ten microseconds.
        let day = |name: &str| format!("julianday({})", quote(name));
        let reached = |name: &str| format!("{} >= julianday(?) - 0.00000002", day(name));
        let own = &since.column;
        let mut parts =
            vec![reached(own), format!("{} IS NULL", day(own)), "julianday(?) IS NULL".to_owned()];
        parts.extend(since.or_column.as_deref().map(reached));
        conditions.push(format!("({})", parts.join(" OR ")));
        let moment = Value::Text(Timestamp::from_millis(since.moment.millis()).to_iso());
        params.extend(std::iter::repeat_n(moment, 2 + usize::from(since.or_column.is_some())));
    }
    let condition =
        if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    (condition, params)
}

fn stored_values(row: &SqliteRow, count: usize) -> Result<Vec<Value>> {
    (0..count).map(|at| by_storage_class(row, at)).collect()
}

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len() + 8,
        Value::Bytes(bytes) => bytes.len() + 8,
        Value::Array(items) => items.iter().map(size_of_value).sum::<usize>() + 8,
        Value::Object(object) => {
            object.iter().map(|(key, value)| key.len() + size_of_value(value)).sum::<usize>() + 8
        }
        _ => 8,
    }
}
