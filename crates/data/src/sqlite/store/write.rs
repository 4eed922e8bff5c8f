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
use crate::table::{Row, Table};

/// Parameters of one statement. SQLite takes 32,766, but beyond some hundreds more are not faster.
const PARAMETERS: usize = 500;

/// Inserts rows that do not exist yet.
pub(super) async fn insert(pools: &SqlitePools, table: &Table, rows: &[Row]) -> Result<()> {
    // What a failed statement has written, the transaction undoes. So SQLite need not keep a journal of the statement,
    // for which it would copy each page of an index that it changes.
    write(pools, table, rows, "INSERT OR FAIL", "").await
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
    write(pools, table, rows, "INSERT", &format!(" ON CONFLICT ({}) DO {action}", selected(key))).await
}

fn writable(table: &Table) -> impl Iterator<Item = (usize, &str)> {
    let columns = table.columns.iter().enumerate();
    columns.filter(|(_, column)| !column.generated).map(|(i, column)| (i, column.name.as_str()))
}

async fn write(
    pools: &SqlitePools,
    table: &Table,
    rows: &[Row],
    verb: &str,
    on_conflict: &str,
) -> Result<()> {
    if let Some(row) = rows.iter().find(|row| row.len() != table.columns.len()) {
        let message =
            format!("table \"{}\": a row has {} values, not {}", table.name, row.len(), table.columns.len());
        return Err(Error::new(ErrorKind::Internal, message));
    }
    let load = Load::new(table, verb, on_conflict);
    if rows.is_empty() || load.names.is_empty() {
        return Ok(());
    }
    let mut transaction = WriteTransaction::begin(pools, ForeignKeys::Ignored).await?;
    {
        let mut connection = transaction.connection()?.lock_handle().await.map_err(sqlite_error)?;
        blocking(|| load.run(&mut connection, rows))?;
    }
    transaction.commit().await
}

/// How rows are written into a table.
struct Load<'a> {
    table: &'a Table,
    positions: Vec<usize>,
    names: Vec<String>,
    verb: &'a str,
    on_conflict: &'a str,
}

impl<'a> Load<'a> {
    fn new(table: &'a Table, verb: &'a str, on_conflict: &'a str) -> Self {
        let (positions, names) = writable(table).map(|(i, name)| (i, quote(name))).unzip();
        Self { table, positions, names, verb, on_conflict }
    }

    fn run(&self, connection: &mut LockedSqliteHandle<'_>, rows: &[Row]) -> Result<()> {
        let rows_per_statement = (PARAMETERS / self.names.len()).max(1);
        let (full, rest) = rows.split_at(rows.len() - rows.len() % rows_per_statement);
        self.run_in_chunks(connection, full, rows_per_statement)?;
        self.run_in_chunks(connection, rest, rest.len())
    }

    fn run_in_chunks(
        &self,
        connection: &mut LockedSqliteHandle<'_>,
        rows: &[Row],
        size: usize,
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut statement = BulkStatement::prepare(connection, &self.statement(size))?;
        for chunk in rows.chunks(size) {
            for row in chunk {
                for value in self.positions.iter().filter_map(|position| row.get(*position)) {
                    statement.bind(value)?;
                }
            }
            statement.run()?;
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
