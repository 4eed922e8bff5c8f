//! Writing rows into SQLite in batches.

use sqlx::sqlite::LockedSqliteHandle;

use super::super::error::sqlite_error;
use super::super::pool::SqlitePools;
use super::super::raw::blocking;
use super::super::session::{ForeignKeys, WriteTransaction};
use super::bulk::BulkStatement;
use super::columns::{placeholders, selected};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::double_quoted as quote;
use crate::table::{PackedRows, Row, RowBatch, Table};

/// Parameters of one statement. SQLite takes 32,766, but beyond some hundreds more are not faster.
const PARAMETERS: usize = 500;
/// What a failed statement has written, the transaction undoes. So SQLite need not keep a journal of the statement, for
/// which it would copy each page of an index that it changes.
const INSERT: &str = "INSERT OR FAIL";

/// Inserts rows that do not exist yet.
pub(super) async fn insert(pools: &SqlitePools, table: &Table, batch: &RowBatch) -> Result<()> {
    in_transaction(pools, |connection| insert_on(connection, table, batch)).await
}

/// Inserts rows, or overwrites those under the same key.
pub(super) async fn upsert(pools: &SqlitePools, table: &Table, rows: &[Row]) -> Result<()> {
    in_transaction(pools, |connection| upsert_on(connection, table, rows)).await
}

/// Runs what writes rows as one transaction.
async fn in_transaction(
    pools: &SqlitePools,
    run: impl FnOnce(&mut LockedSqliteHandle<'_>) -> Result<()> + Send,
) -> Result<()> {
    let mut transaction = WriteTransaction::begin(pools, ForeignKeys::Ignored).await?;
    {
        let mut connection = transaction.connection()?.lock_handle().await.map_err(sqlite_error)?;
        blocking(|| run(&mut connection))?;
    }
    transaction.commit().await
}

/// Inserts rows within a transaction or savepoint, which undoes what a failed call has written.
pub(super) fn insert_on(
    connection: &mut LockedSqliteHandle<'_>,
    table: &Table,
    batch: &RowBatch,
) -> Result<()> {
    let load = Load::new(table, INSERT, String::new());
    match batch {
        RowBatch::Rows(rows) => load.run(connection, rows),
        RowBatch::Packed(packed) => load.run_packed(connection, packed),
        RowBatch::PgBinary { .. } => Err(Error::new(
            ErrorKind::Internal,
            "tuples of PostgreSQL were handed to SQLite, which does not take them",
        )),
    }
}

/// Inserts or overwrites rows within a transaction or savepoint, which undoes what a failed call has written.
pub(super) fn upsert_on(connection: &mut LockedSqliteHandle<'_>, table: &Table, rows: &[Row]) -> Result<()> {
    let key: Vec<_> = table.key.iter().filter_map(|position| table.columns.get(*position)).collect();
    let changed: Vec<_> = writable(table)
        .filter(|(position, _)| !table.key.contains(position))
        .map(|(_, name)| format!("{0} = excluded.{0}", quote(name)))
        .collect();
    let action =
        if changed.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", changed.join(", ")) };
    let on_conflict = format!(" ON CONFLICT ({}) DO {action}", selected(key));
    Load::new(table, "INSERT", on_conflict).run(connection, rows)
}

pub(super) fn writable(table: &Table) -> impl Iterator<Item = (usize, &str)> {
    let columns = table.columns.iter().enumerate();
    columns.filter(|(_, column)| !column.generated).map(|(i, column)| (i, column.name.as_str()))
}

fn wrong_width(table: &Table, width: usize) -> Error {
    let message = format!("table \"{}\": a row has {width} values, not {}", table.name, table.columns.len());
    Error::new(ErrorKind::Internal, message)
}

/// How rows are written into a table.
struct Load<'a> {
    table: &'a Table,
    positions: Vec<usize>,
    names: Vec<String>,
    verb: &'a str,
    on_conflict: String,
}

impl<'a> Load<'a> {
    fn new(table: &'a Table, verb: &'a str, on_conflict: String) -> Self {
        let (positions, names) = writable(table).map(|(i, name)| (i, quote(name))).unzip();
        Self { table, positions, names, verb, on_conflict }
    }

    fn run(&self, connection: &mut LockedSqliteHandle<'_>, rows: &[Row]) -> Result<()> {
        if let Some(row) = rows.iter().find(|row| row.len() != self.table.columns.len()) {
            return Err(wrong_width(self.table, row.len()));
        }
        if self.names.is_empty() {
            return Ok(());
        }
        self.run_in_chunks(connection, rows, 1, |statement, row| {
            self.positions
                .iter()
                .filter_map(|position| {
                    Some((self.table.columns.get(*position)?, row.first()?.get(*position)?))
                })
                .try_for_each(|(column, value)| statement.bind_as(&column.column_type, value))
        })
    }

    fn run_packed(&self, connection: &mut LockedSqliteHandle<'_>, packed: &PackedRows) -> Result<()> {
        if packed.width != self.table.columns.len() || packed.width != self.names.len() {
            return Err(wrong_width(self.table, packed.width));
        }
        self.run_in_chunks(connection, &packed.cells, packed.width, |statement, row| {
            row.iter().try_for_each(|cell| statement.bind_packed(packed.value(*cell)))
        })
    }

    /// Runs the statement over rows of so many items each, as many at a time as are worth it.
    fn run_in_chunks<'values, T>(
        &self,
        connection: &mut LockedSqliteHandle<'_>,
        items: &'values [T],
        width: usize,
        bind: impl Fn(&mut BulkStatement<'_, 'values>, &'values [T]) -> Result<()>,
    ) -> Result<()> {
        let most_rows = (PARAMETERS / self.names.len()).max(1);
        let (full, rest) = items.split_at(items.len() - items.len() % (most_rows * width));
        for (items, rows) in [(full, most_rows), (rest, rest.len() / width)] {
            if items.is_empty() {
                continue;
            }
            let mut statement = BulkStatement::prepare(connection, &self.statement(rows))?;
            for chunk in items.chunks(rows * width) {
                chunk.chunks(width).try_for_each(|row| bind(&mut statement, row))?;
                statement.run()?;
            }
        }
        Ok(())
    }

    fn statement(&self, rows: usize) -> String {
        let tuple = format!("({})", placeholders(self.names.len()));
        let (table, names) = (quote(&self.table.name), self.names.join(", "));
        let tuples = vec![tuple.as_str(); rows].join(", ");
        format!("{} INTO {table} ({names}) VALUES {tuples}{}", self.verb, self.on_conflict)
    }
}
