//! Which tables are captured, and how their triggers follow the tables.

use std::collections::BTreeSet;

use sqlx::sqlite::SqliteConnection;

use super::super::catalog;
use super::super::session::{execute_on, fetch_on};
use super::layout::Layout;
use super::own_tables::{
    CHANGE, LOG, OPERATION_DELETE, OPERATION_INSERT, OPERATION_UPDATE, SOURCE, integer, lose, readers, widen,
};
use super::triggers::{self, value_names};
use super::unique;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::double_quoted as quote;
use crate::table::Table;
use crate::value::Value;

/// A layout, as it is stored.
pub(super) struct Source {
    pub(super) id: i64,
    pub(super) table: String,
    pub(super) layout: Layout,
    /// Whether its triggers record.
    is_current: bool,
}

/// Every layout.
pub(super) async fn sources(connection: &mut SqliteConnection) -> Result<Vec<Source>> {
    let sql = format!("SELECT id, name, layout, is_current FROM {SOURCE} ORDER BY id");
    let mut sources = Vec::new();
    for row in fetch_on(connection, &sql, &[]).await?.rows {
        let [id, Value::Text(table), Value::Text(layout), is_current] = row.as_slice() else { continue };
        sources.push(Source {
            id: id.as_integer().unwrap_or(0),
            table: table.clone(),
            layout: Layout::from_text(layout)?,
            is_current: is_current.as_integer() == Some(1),
        });
    }
    Ok(sources)
}

/// Captures these tables as well.
pub(super) async fn add(connection: &mut SqliteConnection, tables: &[String]) -> Result<()> {
    let captured = sources(connection).await?;
    for name in tables {
        if captured.iter().any(|source| source.is_current && &source.table == name) {
            continue;
        }
        let Some(layout) = live_layout(connection, name).await? else {
            let message = format!("table \"{name}\" does not exist");
            return Err(Error::new(ErrorKind::UnknownTable, message));
        };
        start(connection, name, &layout).await?;
    }
    Ok(())
}

/// Stops capturing the tables that no reader reads any more.
pub(super) async fn release(connection: &mut SqliteConnection) -> Result<()> {
    let read: BTreeSet<String> =
        readers(connection).await?.into_iter().flat_map(|(_, tables)| tables).collect();
    for source in sources(connection).await? {
        if source.is_current && !read.contains(&source.table) {
            stop(connection, source.id).await?;
        }
    }
    Ok(())
}

/// Brings the triggers up to tables that the application has changed. Changes up to `seen` were read when the tables were
/// as the triggers know them.
pub(super) async fn follow(connection: &mut SqliteConnection, seen: u64) -> Result<()> {
    if is_verified(connection).await? {
        return Ok(());
    }
    let captured: Vec<Source> =
        sources(connection).await?.into_iter().filter(|source| source.is_current).collect();
    for source in &captured {
        match live_layout(connection, &source.table).await? {
            // A table that is dropped or renamed has no more changes.
            None => stop(connection, source.id).await?,
            Some(_) if !has_triggers(connection, source).await? => {
                stop(connection, source.id).await?;
                lose_rebuilt(connection, &source.table).await?;
            }
            Some(live) if live == source.layout => {}
            Some(live) => adapt(connection, source, &live, seen).await?,
        }
    }
    // A table that is back has other rows than the one that was dropped.
    let read: BTreeSet<String> =
        readers(connection).await?.into_iter().flat_map(|(_, tables)| tables).collect();
    for name in read {
        let is_captured = captured.iter().any(|source| source.table == name);
        if !is_captured && catalog::describe(connection, &name).await?.is_some() {
            lose_rebuilt(connection, &name).await?;
        }
    }
    Ok(())
}

async fn lose_rebuilt(connection: &mut SqliteConnection, table: &str) -> Result<()> {
    let reason = format!("table \"{table}\" was dropped and made anew, or its triggers were dropped");
    lose(connection, table, &reason).await
}

/// Whether the tables are as they were when the triggers were last looked at.
async fn is_verified(connection: &mut SqliteConnection) -> Result<bool> {
    let sql =
        format!("SELECT schema_version = (SELECT schema_version FROM pragma_schema_version) FROM {LOG}");
    Ok(integer(fetch_on(connection, &sql, &[]).await?.into_scalar()) == Some(1))
}

/// Notes that the triggers fit the tables as they are now. It comes last in its transaction.
pub(super) async fn set_verified(connection: &mut SqliteConnection) -> Result<()> {
    let sql = format!("UPDATE {LOG} SET schema_version = (SELECT schema_version FROM pragma_schema_version)");
    execute_on(connection, &sql, &[]).await.map(drop)
}

async fn live_layout(connection: &mut SqliteConnection, name: &str) -> Result<Option<Layout>> {
    let Some(table) = catalog::describe(connection, name).await? else { return Ok(None) };
    check(&table)?;
    let sql = "SELECT type FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid";
    let rows = fetch_on(connection, sql, &[name.into()]).await?.rows;
    let declared = rows.into_iter().map(|row| row.first().and_then(Value::as_text).unwrap_or("").to_owned());
    let unique = unique::constraints(connection, &table).await?;
    Ok(Some(Layout::new(&table, declared.collect(), unique)))
}

fn check(table: &Table) -> Result<()> {
    table.require_key().map_err(|error| {
        Error::new(ErrorKind::Capture, format!("changes cannot be captured: {error}")).with_source(error)
    })
}

async fn start(connection: &mut SqliteConnection, table: &str, layout: &Layout) -> Result<i64> {
    widen(connection, layout).await.map_err(|error| refused(table, error))?;
    let sql = format!("INSERT INTO {SOURCE} (name, layout, is_current) VALUES (?, ?, 1)");
    execute_on(connection, &sql, &[table.into(), layout.to_text()?.into()]).await?;
    let sql = format!("SELECT max(id) FROM {SOURCE}");
    let id = integer(fetch_on(connection, &sql, &[]).await?.into_scalar()).unwrap_or(0);
    create_triggers(connection, id, table, layout).await?;
    Ok(id)
}

async fn create_triggers(
    connection: &mut SqliteConnection,
    source: i64,
    table: &str,
    layout: &Layout,
) -> Result<()> {
    for sql in triggers::create(source, table, layout) {
        execute_on(connection, &sql, &[]).await.map_err(|error| refused(table, error))?;
    }
    Ok(())
}

/// What keeps a table from being captured.
fn refused(table: &str, error: Error) -> Error {
    if error.kind() != ErrorKind::Statement {
        return error;
    }
    let message = format!("changes of table \"{table}\" cannot be captured by triggers: {error}");
    Error::new(ErrorKind::Capture, message).with_source(error)
}

/// Stops recording by a layout, which stays to read what was recorded.
async fn stop(connection: &mut SqliteConnection, source: i64) -> Result<()> {
    drop_triggers(connection, source).await?;
    let sql = format!("UPDATE {SOURCE} SET is_current = 0 WHERE id = ?");
    execute_on(connection, &sql, &[Value::Int64(source)]).await.map(drop)
}

async fn drop_triggers(connection: &mut SqliteConnection, source: i64) -> Result<()> {
    for name in triggers::names(source) {
        execute_on(connection, &format!("DROP TRIGGER IF EXISTS {}", quote(&name)), &[]).await?;
    }
    Ok(())
}

/// Whether all triggers of a source are on its table. Renaming a table takes its triggers along.
async fn has_triggers(connection: &mut SqliteConnection, source: &Source) -> Result<bool> {
    let names = triggers::names(source.id);
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE \
               AND name IN (?, ?, ?, ?, ?)";
    let mut params = vec![Value::from(source.table.as_str())];
    params.extend(names.into_iter().map(Value::from));
    Ok(integer(fetch_on(connection, sql, &params).await?.into_scalar()) == Some(5))
}

/// Makes the triggers of a table anew, and records once more what the old ones have not recorded whole.
async fn adapt(connection: &mut SqliteConnection, source: &Source, live: &Layout, seen: u64) -> Result<()> {
    let has_written = has_written(connection, source.id, seen).await?;
    let is_more_unique = live.unique.iter().any(|unique| !source.layout.unique.contains(unique));
    if is_more_unique && has_written && !is_renamed(source, live) {
        let reason = format!(
            "table \"{}\" was given a unique index while it was written; rows that REPLACE removed through it before the \
             index was noticed are unknown",
            source.table
        );
        lose(connection, &source.table, &reason).await?;
    }
    if live.has_columns_of(&source.layout) {
        drop_triggers(connection, source.id).await?;
        let sql = format!("UPDATE {SOURCE} SET layout = ? WHERE id = ?");
        execute_on(connection, &sql, &[live.to_text()?.into(), Value::Int64(source.id)]).await?;
        return create_triggers(connection, source.id, &source.table, live).await;
    }
    retire(connection, source, live).await?;
    let id = start(connection, &source.table, live).await?;
    if has_written {
        record_again(connection, source, id, live, seen).await?;
    }
    Ok(())
}

/// Whether the columns have only got other names.
fn is_renamed(source: &Source, live: &Layout) -> bool {
    live.columns.len() == source.layout.columns.len() && live.unique.len() == source.layout.unique.len()
}

async fn has_written(connection: &mut SqliteConnection, source: i64, seen: u64) -> Result<bool> {
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM {CHANGE} WHERE seq > ? AND source = ? AND operation <> '{OPERATION_DELETE}')"
    );
    let seen = Value::Int64(i64::try_from(seen).unwrap_or(i64::MAX));
    Ok(integer(fetch_on(connection, &sql, &[seen, Value::Int64(source)]).await?.into_scalar()) == Some(1))
}

/// Ends a layout. What it has recorded since a column was dropped holds NULL there, which is no value of the row, so that
/// column is left out of what is read from now on.
async fn retire(connection: &mut SqliteConnection, source: &Source, live: &Layout) -> Result<()> {
    let name = triggers::names(source.id).into_iter().nth(1).unwrap_or_default();
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?";
    let trigger = fetch_on(connection, sql, &[name.into()]).await?.into_scalar();
    let trigger = trigger.as_ref().and_then(Value::as_text).unwrap_or("");
    let mut layout = source.layout.clone();
    let old: Vec<String> = layout.columns.iter().map(|column| column.name.clone()).collect();
    let has = |name: &str| live.columns.iter().any(|column| column.name == name);
    for (position, column) in layout.columns.iter_mut().enumerate() {
        // SQLite writes a new name of a column into its triggers.
        let replacement = live.columns.get(position).map(|column| column.name.as_str());
        let is_renamed = replacement
            .is_some_and(|name| !old.iter().any(|old| old == name) && trigger.contains(&quote(name)));
        column.is_gone = !has(&column.name) && !is_renamed;
    }
    let sql = format!("UPDATE {SOURCE} SET layout = ? WHERE id = ?");
    execute_on(connection, &sql, &[layout.to_text()?.into(), Value::Int64(source.id)]).await?;
    stop(connection, source.id).await
}

/// Records every row that was written since the table was last known to be as the old triggers knew it, for they have not
/// recorded the columns that are new.
async fn record_again(
    connection: &mut SqliteConnection,
    source: &Source,
    id: i64,
    live: &Layout,
    seen: u64,
) -> Result<()> {
    if source.layout.key.len() != live.key.len() {
        return lose_rebuilt(connection, &source.table).await;
    }
    let keys = source.layout.key.len();
    let table = quote(&source.table);
    let values: Vec<String> = value_names(live.width()).collect();
    let recorded: Vec<String> =
        source.layout.key.iter().map(|position| format!("v{}", keys + position)).collect();
    let names: Vec<String> = live.key_names().map(|name| format!("{table}.{}", quote(name))).collect();
    let key_nulls = vec!["NULL"; keys].join(", ");
    let row: Vec<String> = live.columns.iter().map(|column| quote(&column.name)).collect();
    let sql = format!(
        "INSERT INTO {CHANGE} (source, operation, {}) SELECT {id}, '{OPERATION_UPDATE}', {key_nulls}, {} FROM {table} \
         WHERE ({}) IN (SELECT {} FROM {CHANGE} WHERE seq > ? AND source = ? \
         AND operation IN ('{OPERATION_INSERT}', '{OPERATION_UPDATE}'))",
        values.join(", "),
        row.join(", "),
        names.join(", "),
        recorded.join(", "),
    );
    let seen = Value::Int64(i64::try_from(seen).unwrap_or(i64::MAX));
    execute_on(connection, &sql, &[seen, Value::Int64(source.id)]).await.map(drop)
}
