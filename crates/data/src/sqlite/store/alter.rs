//! Changes of a table's columns.

use sqlx::sqlite::SqliteConnection;

use super::super::catalog;
use super::super::session::{execute_on, fetch_on};
use super::columns::{declared_type, selected};
use super::declaration::retyped;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::double_quoted as quote;
use crate::table::{ColumnChange, ColumnType, Table};
use crate::value::Value;

/// The name under which a table is made anew.
const NEW: &str = "replicaverse_new_table";

/// Changes the columns. The caller has begun a transaction in which foreign keys do not count. What is already as it is to
/// be is left so, since another process may have followed the same change.
pub(super) async fn alter(
    connection: &mut SqliteConnection,
    name: &str,
    changes: &[ColumnChange],
) -> Result<()> {
    for change in changes {
        let unknown = || Error::new(ErrorKind::UnknownTable, format!("table \"{name}\" does not exist"));
        let table = catalog::describe(connection, name).await?.ok_or_else(unknown)?;
        let is_there = |name: &str| position(&table, name).is_some();
        let action = match change {
            ColumnChange::Add { name, .. } if is_there(name) => continue,
            ColumnChange::Add { name, column_type } => {
                format!("ADD COLUMN {} {}", quote(name), declared_type(column_type))
            }
            ColumnChange::Drop { name } if !is_there(name) => continue,
            ColumnChange::Drop { name } => {
                drop_indexes(connection, &table, name).await?;
                format!("DROP COLUMN {}", quote(name))
            }
            ColumnChange::Rename { from, to } if !is_there(from) && is_there(to) => continue,
            ColumnChange::Rename { from, to } => format!("RENAME COLUMN {} TO {}", quote(from), quote(to)),
            ColumnChange::Retype { name, column_type } => {
                retype(connection, &table, name, column_type).await?;
                continue;
            }
        };
        execute_on(connection, &format!("ALTER TABLE {} {action}", quote(&table.name)), &[]).await?;
    }
    Ok(())
}

fn position(table: &Table, name: &str) -> Option<usize> {
    table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
}

/// Drops the indexes that a column is part of, as other databases do with the column.
async fn drop_indexes(connection: &mut SqliteConnection, table: &Table, column: &str) -> Result<()> {
    let sql =
        "SELECT DISTINCT list.name FROM pragma_index_list(?) AS list, pragma_index_info(list.name) AS info
               WHERE list.origin = 'c' AND info.name = ? COLLATE NOCASE";
    for index in texts(connection, sql, &[table.name.as_str().into(), column.into()]).await? {
        execute_on(connection, &format!("DROP INDEX {}", quote(&index)), &[]).await?;
    }
    Ok(())
}

/// Gives a column another type, for which SQLite has the table made anew and filled from the old one. Values are brought
/// into the affinity of the type as far as they fit; others stay as they are.
async fn retype(
    connection: &mut SqliteConnection,
    table: &Table,
    column: &str,
    column_type: &ColumnType,
) -> Result<()> {
    let name = quote(&table.name);
    let sql = "SELECT type FROM pragma_table_xinfo(?) WHERE name = ? COLLATE NOCASE";
    let params: [Value; 2] = [table.name.as_str().into(), column.into()];
    let Some(declared) = texts(connection, sql, &params).await?.pop() else {
        let message = format!("table \"{}\" has no column \"{column}\"", table.name);
        return Err(Error::new(ErrorKind::Statement, message));
    };
    let new_type = declared_type(column_type);
    if affinity(&declared) == affinity(new_type) {
        return Ok(());
    }
    let own: [Value; 1] = [table.name.as_str().into()];
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?";
    let declaration = texts(connection, sql, &own).await?.pop();
    let declaration = declaration.and_then(|sql| retyped(&sql, column, new_type)).ok_or_else(|| {
        let message =
            format!("table \"{}\" cannot be made anew, as its declaration is not understood", table.name);
        Error::new(ErrorKind::Unsupported, message)
    })?;
    let sql = "SELECT sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND tbl_name = ? AND sql IS NOT NULL";
    let belongings = texts(connection, sql, &own).await?;
    let columns = selected(table.columns.iter().filter(|column| !column.generated));
    execute_on(connection, &format!("CREATE TABLE {NEW} {declaration}"), &[]).await?;
    let copy = format!("INSERT INTO {NEW} ({columns}) SELECT {columns} FROM {name}");
    execute_on(connection, &copy, &[]).await?;
    execute_on(connection, &format!("DROP TABLE {name}"), &[]).await?;
    rename_plainly(connection, &format!("ALTER TABLE {NEW} RENAME TO {name}")).await?;
    for sql in belongings {
        execute_on(connection, &sql, &[]).await?;
    }
    Ok(())
}

/// Renames a table without a look at views, triggers and foreign keys, which mean the table of the new name already.
async fn rename_plainly(connection: &mut SqliteConnection, sql: &str) -> Result<()> {
    execute_on(connection, "PRAGMA legacy_alter_table = ON", &[]).await?;
    let renamed = execute_on(connection, sql, &[]).await;
    // The setting would outlive the transaction.
    execute_on(connection, "PRAGMA legacy_alter_table = OFF", &[]).await?;
    renamed.map(drop)
}

async fn texts(connection: &mut SqliteConnection, sql: &str, params: &[Value]) -> Result<Vec<String>> {
    let rows = fetch_on(connection, sql, params).await?.rows;
    let first = |row: Vec<Value>| match row.into_iter().next() {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    };
    Ok(rows.into_iter().filter_map(first).collect())
}

/// What SQLite does to values of a column by the words of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

/// The rules are those of SQLite's documentation on datatypes, in their order.
fn affinity(declared: &str) -> Affinity {
    let declared = declared.to_ascii_uppercase();
    let says = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    if says(&["INT"]) {
        Affinity::Integer
    } else if says(&["CHAR", "CLOB", "TEXT"]) {
        Affinity::Text
    } else if declared.is_empty() || says(&["BLOB"]) {
        Affinity::Blob
    } else if says(&["REAL", "FLOA", "DOUB"]) {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}
