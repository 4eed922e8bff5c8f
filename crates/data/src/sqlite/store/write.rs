//! Writing rows into SQLite in batches.

use super::super::pool::SqlitePools;
use super::super::session::{ForeignKeys, WriteTransaction};
use super::super::{error::sqlite_error, value::arguments};
use super::columns::{placeholders, selected};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::quote;
use crate::table::{Row, Table};
use sqlx::AssertSqlSafe;

/// Parameters of one statement; SQLite takes 32,766 at the most, but more rows at a time are not written faster.
const PARAMETERS: usize = 1000;

/// Inserts rows that do not exist yet.
pub(super) async fn insert(pools: &SqlitePools, table: &Table, rows: &[Row]) -> Result<()> {
    write(pools, table, rows, "").await
}

/// Inserts rows, or overwrites those under the same key.
pub(super) async fn upsert(pools: &SqlitePools, table: &Table, rows: &[Row]) -> Result<()> {
    let key: Vec<_> = table.key.iter().filter_map(|position| table.columns.get(*position)).collect();
    let changed: Vec<_> = writable(table)
        .filter(|(position, _)| !table.key.contains(position))
        .map(|(_, name)| format!("{0} = excluded.{0}", quote(name)))
        .collect();
    let action =
        if changed.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", changed.join(", ")) };
    write(pools, table, rows, &format!(" ON CONFLICT ({}) DO {action}", selected(key))).await
}

fn writable(table: &Table) -> impl Iterator<Item = (usize, &str)> {
    table
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| !column.generated)
        .map(|(i, column)| (i, column.name.as_str()))
}

async fn write(pools: &SqlitePools, table: &Table, rows: &[Row], on_conflict: &str) -> Result<()> {
    let (positions, names): (Vec<usize>, Vec<String>) =
        writable(table).map(|(i, name)| (i, quote(name))).unzip();
    if rows.is_empty() || names.is_empty() {
        return Ok(());
    }
    if let Some(row) = rows.iter().find(|row| row.len() != table.columns.len()) {
        let message =
            format!("table \"{}\": a row has {} values, not {}", table.name, row.len(), table.columns.len());
        return Err(Error::new(ErrorKind::Internal, message));
    }
    let tuple = format!("({})", placeholders(names.len()));
    let statement = |rows: usize| {
        let tuples = vec![tuple.as_str(); rows].join(", ");
        format!("INSERT INTO {} ({}) VALUES {tuples}{on_conflict}", quote(&table.name), names.join(", "))
    };
    let rows_per_statement = (PARAMETERS / names.len()).max(1);
    let full = statement(rows_per_statement);
    let mut transaction = WriteTransaction::begin(pools, ForeignKeys::Ignored).await?;
    for chunk in rows.chunks(rows_per_statement) {
        let values = chunk.iter().flat_map(|row| positions.iter().filter_map(|position| row.get(*position)));
        let is_full = chunk.len() == rows_per_statement;
        let sql = if is_full { full.clone() } else { statement(chunk.len()) };
        sqlx::query_with(AssertSqlSafe(sql), arguments(values)?)
            .persistent(is_full)
            .execute(transaction.connection()?)
            .await
            .map_err(sqlite_error)?;
    }
    transaction.commit().await
}
