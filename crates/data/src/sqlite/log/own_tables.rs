//! The tables in which the triggers record, and what is kept there of readers.
//!
//! All are made with the first reader and dropped with the last. The last change is never deleted, so that the numbers
//! go on behind it and a position can be recognised by the mark of its change.

use sqlx::sqlite::SqliteConnection;

use super::super::session::{execute_on, fetch_on};
use super::layout::Layout;
use super::triggers::value_names;
use crate::error::{Error, ErrorKind, Result};
use crate::log::Position;
use crate::value::Value;

/// The changes, one row each, with the values of the old key and behind them those of the row; a value keeps its storage
/// class in a column without a type.
pub(super) const CHANGE: &str = "replicaverse_change";
/// The layouts of captured tables.
pub(super) const SOURCE: &str = "replicaverse_source";
/// Who reads, and how far.
pub(super) const READER: &str = "replicaverse_reader";
/// What holds for all.
pub(super) const LOG: &str = "replicaverse_log";
/// Rows that the statement being run may replace.
pub(super) const CONFLICT: &str = "replicaverse_replaced";
const CONFLICT_INDEX: &str = "replicaverse_replaced_signature";

pub(super) const OPERATION_INSERT: &str = "i";
pub(super) const OPERATION_UPDATE: &str = "u";
pub(super) const OPERATION_DELETE: &str = "d";
/// What stands first in the change table, so that there always is a last change.
const OPERATION_BEGIN: &str = "b";

/// A reader, as it is stored.
pub(super) struct StoredReader {
    /// The names of the tables that it reads.
    pub(super) tables: Vec<String>,
    /// Why its changes are lost.
    pub(super) lost: Option<String>,
}

/// Whether the tables are there.
pub(super) async fn exist(connection: &mut SqliteConnection) -> Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN (?, ?, ?, ?, ?)";
    let names: Vec<Value> = [CHANGE, SOURCE, READER, LOG, CONFLICT].map(Value::from).into();
    Ok(integer(fetch_on(connection, sql, &names).await?.into_scalar()) == Some(5))
}

/// Creates what is missing. If some tables have gone, so has what the others mean: all are made anew.
pub(super) async fn create(connection: &mut SqliteConnection) -> Result<()> {
    if exist(connection).await? {
        return Ok(());
    }
    drop_all(connection).await?;
    let moment = "CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)";
    for sql in [
        format!(
            "CREATE TABLE {CHANGE} (seq INTEGER PRIMARY KEY, source INTEGER, operation TEXT NOT NULL, \
             at INTEGER NOT NULL DEFAULT ({moment}), mark TEXT NOT NULL DEFAULT (hex(randomblob(8))))"
        ),
        format!(
            "CREATE TABLE {SOURCE} (id INTEGER PRIMARY KEY, name TEXT NOT NULL, layout TEXT NOT NULL, \
             is_current INTEGER NOT NULL)"
        ),
        format!(
            "CREATE TABLE {READER} (name TEXT NOT NULL PRIMARY KEY, acknowledged INTEGER NOT NULL, \
             tables TEXT NOT NULL, lost TEXT)"
        ),
        format!("CREATE TABLE {LOG} (schema_version INTEGER)"),
        format!("CREATE TABLE {CONFLICT} (source INTEGER NOT NULL, signature TEXT NOT NULL)"),
        format!("CREATE INDEX {CONFLICT_INDEX} ON {CONFLICT} (source, signature)"),
        format!("INSERT INTO {CHANGE} (operation) VALUES ('{OPERATION_BEGIN}')"),
        format!("INSERT INTO {LOG} VALUES (NULL)"),
    ] {
        execute_on(connection, &sql, &[]).await?;
    }
    Ok(())
}

/// Drops every table and every trigger of ours.
pub(super) async fn drop_all(connection: &mut SqliteConnection) -> Result<()> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name GLOB 'replicaverse_[0-9]*_*'";
    for row in fetch_on(connection, sql, &[]).await?.rows {
        let Some(Value::Text(name)) = row.first() else { continue };
        let sql = format!("DROP TRIGGER {}", crate::sql::double_quoted(name));
        execute_on(connection, &sql, &[]).await?;
    }
    for table in [CHANGE, SOURCE, READER, LOG, CONFLICT] {
        execute_on(connection, &format!("DROP TABLE IF EXISTS {table}"), &[]).await?;
    }
    Ok(())
}

/// Gives the tables room for the values of a layout.
pub(super) async fn widen(connection: &mut SqliteConnection, layout: &Layout) -> Result<()> {
    for (table, width) in [(CHANGE, layout.width()), (CONFLICT, layout.key.len())] {
        let sql = "SELECT count(*) FROM pragma_table_info(?) WHERE name GLOB 'v[0-9]*'";
        let has = integer(fetch_on(connection, sql, &[table.into()]).await?.into_scalar()).unwrap_or(0);
        for name in value_names(width).skip(usize::try_from(has).unwrap_or(0)) {
            execute_on(connection, &format!("ALTER TABLE {table} ADD COLUMN {name}"), &[]).await?;
        }
    }
    Ok(())
}

/// The position behind the last change.
pub(super) async fn head(connection: &mut SqliteConnection) -> Result<Position> {
    let sql = format!("SELECT seq, mark FROM {CHANGE} ORDER BY seq DESC LIMIT 1");
    let rows = fetch_on(connection, &sql, &[]).await?.rows;
    match rows.first().map(Vec::as_slice) {
        Some([seq, Value::Text(mark)]) => Ok(position(seq, mark)),
        _ => Err(Error::new(ErrorKind::LogLost, "the table of changes holds nothing any more")),
    }
}

/// The position of a change.
pub(super) fn position(seq: &Value, mark: &str) -> Position {
    let order = seq.as_integer().and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0);
    Position { order, token: Some(mark.to_owned()) }
}

/// The reader of this name.
pub(super) async fn reader(connection: &mut SqliteConnection, name: &str) -> Result<Option<StoredReader>> {
    let sql = format!("SELECT tables, lost FROM {READER} WHERE name = ?");
    let rows = fetch_on(connection, &sql, &[name.into()]).await?.rows;
    let Some([Value::Text(tables), lost]) = rows.first().map(Vec::as_slice) else { return Ok(None) };
    Ok(Some(StoredReader { tables: names_from_text(tables), lost: lost.as_text().map(str::to_owned) }))
}

/// Stores what a reader reads. A new one has acknowledged everything so far.
pub(super) async fn store_reader(
    connection: &mut SqliteConnection,
    name: &str,
    tables: &[String],
) -> Result<()> {
    let sql = format!(
        "INSERT INTO {READER} (name, acknowledged, tables) VALUES (?, (SELECT max(seq) FROM {CHANGE}), ?) \
         ON CONFLICT (name) DO UPDATE SET tables = excluded.tables"
    );
    let tables = serde_json::to_string(tables)
        .map_err(|error| Error::new(ErrorKind::Internal, "names cannot be stored").with_source(error))?;
    execute_on(connection, &sql, &[name.into(), tables.into()]).await.map(drop)
}

/// Every reader, with the tables that it reads.
pub(super) async fn readers(connection: &mut SqliteConnection) -> Result<Vec<(String, Vec<String>)>> {
    let sql = format!("SELECT name, tables FROM {READER} ORDER BY name");
    let rows = fetch_on(connection, &sql, &[]).await?.rows;
    Ok(rows
        .into_iter()
        .filter_map(|row| match <[Value; 2]>::try_from(row) {
            Ok([Value::Text(name), Value::Text(tables)]) => Some((name, names_from_text(&tables))),
            _ => None,
        })
        .collect())
}

/// Notes for every reader of a table that its changes are lost.
pub(super) async fn lose(connection: &mut SqliteConnection, table: &str, reason: &str) -> Result<()> {
    for (name, tables) in readers(connection).await? {
        if tables.iter().any(|read| read == table) {
            let sql = format!("UPDATE {READER} SET lost = ? WHERE name = ? AND lost IS NULL");
            execute_on(connection, &sql, &[reason.into(), name.into()]).await?;
        }
    }
    Ok(())
}

/// A list of names, as it is stored; nothing else can write there.
fn names_from_text(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_default()
}

pub(super) fn integer(value: Option<Value>) -> Option<i64> {
    value.and_then(|value| value.as_integer())
}
