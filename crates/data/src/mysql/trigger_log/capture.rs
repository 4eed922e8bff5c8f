//! Which tables are captured, and how their triggers follow the tables.

use std::collections::BTreeSet;

use super::super::cascade;
use super::super::pool::Link;
use super::super::session::{execute_on, fetch_on};
use super::super::syntax::quote;
use super::layout::Layout;
use super::own_tables::{CHANGE, OPERATION_DELETE, SOURCE, lose, number, readers, scalar, values_table};
use super::triggers;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Access;
use crate::value::Value;

/// What the values of changes are called in a statement that names a table of the application, too.
const VALUES: &str = "replicaverse_recorded";

/// A layout, as it is stored.
pub(super) struct Source {
    pub(super) id: i64,
    pub(super) table: String,
    pub(super) layout: Layout,
    /// Whether its triggers record.
    is_current: bool,
}

/// Every layout.
pub(super) async fn sources(link: &mut Link) -> Result<Vec<Source>> {
    let sql = format!("SELECT id, name, layout, is_current FROM {SOURCE} ORDER BY id");
    let mut sources = Vec::new();
    for row in fetch_on(link, Access::Read, &sql, &[]).await?.rows {
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
pub(super) async fn add(link: &mut Link, tables: &[String]) -> Result<()> {
    let captured = sources(link).await?;
    for name in tables {
        cascade::check(link, name, "runs no triggers").await?;
        if captured.iter().any(|source| source.is_current && &source.table == name) {
            continue;
        }
        let Some(layout) = Layout::live(link, name).await? else {
            return Err(Error::new(ErrorKind::UnknownTable, format!("table \"{name}\" does not exist")));
        };
        let id = prepare(link, name, &layout).await?;
        create_triggers(link, id, name, &layout).await?;
        set_current(link, id, true).await?;
    }
    Ok(())
}

/// Stops capturing the tables that no reader reads any more.
pub(super) async fn release(link: &mut Link) -> Result<()> {
    let read = read_tables(link).await?;
    for source in sources(link).await? {
        if source.is_current && !read.contains(&source.table) {
            stop(link, source.id).await?;
        }
    }
    Ok(())
}

async fn read_tables(link: &mut Link) -> Result<BTreeSet<String>> {
    Ok(readers(link).await?.into_iter().flat_map(|reader| reader.tables).collect())
}

/// Whether every table that a reader reads is as its triggers know it. A table that is gone has no triggers to fit.
pub(super) async fn is_verified(link: &mut Link, tables: &[String]) -> Result<bool> {
    let captured = sources(link).await?;
    for name in tables {
        let source = captured.iter().rev().find(|source| source.is_current && &source.table == name);
        let live = Layout::live(link, name).await?;
        let is_same = match (source, &live) {
            (None, None) => true,
            (Some(source), Some(live)) => &source.layout == live && has_triggers(link, source).await?,
            _ => false,
        };
        if !is_same {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Brings the triggers up to tables that the application has changed. Changes up to `seen` were read when the tables were
/// as the triggers know them.
pub(super) async fn follow(link: &mut Link, seen: u64) -> Result<()> {
    drop_left_over(link).await?;
    let captured: Vec<Source> = sources(link).await?.into_iter().filter(|source| source.is_current).collect();
    for source in &captured {
        match Layout::live(link, &source.table).await? {
            // A table that is dropped or renamed has no more changes.
            None => stop(link, source.id).await?,
            Some(_) if !has_triggers(link, source).await? => {
                stop(link, source.id).await?;
                lose_rebuilt(link, &source.table).await?;
            }
            Some(live) if live == source.layout => {}
            Some(live) => adapt(link, source, &live, seen).await?,
        }
    }
    // A table that is back has other rows than the one that was dropped.
    for name in read_tables(link).await? {
        let is_captured = captured.iter().any(|source| source.table == name);
        if !is_captured && Layout::live(link, &name).await?.is_some() {
            lose_rebuilt(link, &name).await?;
        }
    }
    Ok(())
}

/// Drops triggers of layouts that do not record any more. Of two layouts of a table, which only a crash leaves, the newer
/// one stays.
async fn drop_left_over(link: &mut Link) -> Result<()> {
    let sources = sources(link).await?;
    for source in &sources {
        let is_outdated =
            |newer: &Source| newer.is_current && newer.table == source.table && newer.id > source.id;
        if source.is_current && sources.iter().any(is_outdated) {
            set_current(link, source.id, false).await?;
        }
        if !source.is_current || sources.iter().any(is_outdated) {
            drop_triggers(link, source.id).await?;
        }
    }
    Ok(())
}

async fn lose_rebuilt(link: &mut Link, table: &str) -> Result<()> {
    let reason = format!("table \"{table}\" was dropped and made anew, or its triggers were dropped");
    lose(link, table, &reason).await
}

/// Stores a layout and creates the table for its values.
async fn prepare(link: &mut Link, table: &str, layout: &Layout) -> Result<i64> {
    if layout.key.is_empty() {
        let message = format!(
            "changes cannot be captured: table \"{table}\" has no primary key; add one, as rows could not be told apart"
        );
        return Err(Error::new(ErrorKind::Capture, message));
    }
    let sql = format!("INSERT INTO {SOURCE} (name, layout, is_current) VALUES (?, ?, 0)");
    execute_on(link, Access::Write, &sql, &[table.into(), layout.to_text()?.into()]).await?;
    let id = scalar(link, &format!("SELECT max(id) FROM {SOURCE}"), &[]).await?.unwrap_or(0);
    link.run(&format!("DROP TABLE IF EXISTS {}", values_table(id))).await?;
    link.run(&triggers::create_values(id, layout)).await.map_err(|error| refused(table, error))?;
    Ok(id)
}

async fn create_triggers(link: &mut Link, id: i64, table: &str, layout: &Layout) -> Result<()> {
    for sql in triggers::create(id, table, layout) {
        link.run(&sql).await.map_err(|error| refused(table, error))?;
    }
    Ok(())
}

async fn set_current(link: &mut Link, source: i64, is_current: bool) -> Result<()> {
    let sql = format!("UPDATE {SOURCE} SET is_current = {} WHERE id = {source}", u8::from(is_current));
    link.run(&sql).await.map(drop)
}

/// What keeps a table from being captured.
fn refused(table: &str, error: Error) -> Error {
    if !matches!(error.kind(), ErrorKind::Statement | ErrorKind::Value) || error.code() == "1419" {
        return error;
    }
    let message = format!("changes of table \"{table}\" cannot be captured by triggers: {error}");
    Error::new(ErrorKind::Capture, message).with_source(error)
}

/// Stops recording by a layout, which stays to read what was recorded.
async fn stop(link: &mut Link, source: i64) -> Result<()> {
    set_current(link, source, false).await?;
    drop_triggers(link, source).await
}

async fn drop_triggers(link: &mut Link, source: i64) -> Result<()> {
    for name in triggers::names(source) {
        link.run(&format!("DROP TRIGGER IF EXISTS {name}")).await?;
    }
    Ok(())
}

/// Whether all triggers of a source are on its table. Renaming a table takes its triggers along.
async fn has_triggers(link: &mut Link, source: &Source) -> Result<bool> {
    let sql = "SELECT count(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() \
               AND EVENT_OBJECT_TABLE = ? AND TRIGGER_NAME IN (?, ?, ?)";
    let mut params = vec![Value::from(source.table.as_str())];
    params.extend(triggers::names(source.id).into_iter().map(Value::from));
    Ok(scalar(link, sql, &params).await? == Some(3))
}

/// Makes the triggers of a table anew, while nobody writes it, and records once more what the old ones have not recorded
/// whole.
async fn adapt(link: &mut Link, source: &Source, live: &Layout, seen: u64) -> Result<()> {
    let id = prepare(link, &source.table, live).await?;
    let table = quote(&source.table);
    link.run(&format!("LOCK TABLES {table} WRITE, {SOURCE} WRITE")).await?;
    // At no time are there no triggers: whoever dies in between leaves some too many, which are dropped the next time.
    let changed = async {
        create_triggers(link, id, &source.table, live).await?;
        set_current(link, id, true).await?;
        stop(link, source.id).await
    };
    let changed = changed.await;
    link.run("UNLOCK TABLES").await?;
    changed?;
    record_again(link, source, id, live, seen).await
}

/// Records every row that was written since the table was last known to be as the old triggers knew it, for they have not
/// recorded the columns that are new.
async fn record_again(link: &mut Link, source: &Source, id: i64, live: &Layout, seen: u64) -> Result<()> {
    if source.layout.key != live.key {
        return lose_rebuilt(link, &source.table).await;
    }
    let table = quote(&source.table);
    let position = |name: &String| source.layout.columns.iter().position(|column| &column.name == name);
    let recorded: Vec<String> =
        live.key.iter().filter_map(position).map(|position| format!("{VALUES}.v{position}")).collect();
    let equal: Vec<String> = live
        .key
        .iter()
        .zip(&recorded)
        .map(|(name, value)| format!("{table}.{} = {value}", quote(name)))
        .collect();
    let values = values_table(source.id);
    let sql = format!(
        "SELECT max(c.id) FROM {CHANGE} AS c JOIN {values} AS {VALUES} ON {VALUES}.id = c.id \
         WHERE c.seq > ? AND c.source = ? AND c.operation <> '{OPERATION_DELETE}' GROUP BY {}",
        recorded.join(", ")
    );
    let rows = fetch_on(link, Access::Read, &sql, &[number(seen), Value::Int64(source.id)]).await?.rows;
    for written in rows.into_iter().filter_map(|row| row.into_iter().next()) {
        let written = super::own_tables::order(&written);
        let condition = format!(
            "EXISTS (SELECT 1 FROM {values} AS {VALUES} WHERE {VALUES}.id = {written} AND {})",
            equal.join(" AND ")
        );
        let [head, row] = triggers::record_again(id, &source.table, live, &condition);
        link.run("START TRANSACTION").await?;
        link.run(&head).await?;
        let is_there = link.run(&row).await? > 0;
        link.run(if is_there { "COMMIT" } else { "ROLLBACK" }).await?;
    }
    Ok(())
}
