//! Removing what a rule has left in its databases: its readers of the source's log, and its rows in the control tables.

use std::sync::Arc;

use data::Value;
use data::table::{ScanOptions, Table};
use serde::Serialize;

use super::Ends;
use super::control_tables::{ControlTables, Fields};
use super::identity::{Purpose, reader_name};
use super::runner::log_kind;
use crate::rule::Rule;
use crate::snapshot::End;

/// What a removed rule has left behind.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemovalFailure {
    /// The rule.
    pub rule: String,
    /// What could not be removed and why, with the statements to run.
    pub message: String,
}

/// Removes everything of a rule; what could not be.
pub(crate) async fn remove_reader(rule: &Rule, (source, target): Ends) -> Vec<RemovalFailure> {
    let Ok(kind) = log_kind(rule, &source) else { return Vec::new() };
    let mut failures = Vec::new();
    for purpose in [Purpose::Apply, Purpose::Changes] {
        let removed = async {
            let name = reader_name(&rule.name, &source, &target, purpose).await?;
            if let Some(log) = source.tables()?.change_log(kind) {
                log.remove(&name).await?;
            }
            if purpose == Purpose::Apply { remove_rows(&target, &name).await } else { Ok(()) }
        };
        if let Err(error) = removed.await {
            failures.push(RemovalFailure { rule: rule.name.clone(), message: error.to_string() });
        }
    }
    failures
}

/// Removes the rows of a reader from the control tables, if there are any.
pub(crate) async fn remove_rows(target: &End, reader: &str) -> data::Result<()> {
    let tables = target.tables()?;
    let Some(control) = ControlTables::existing(tables).await? else { return Ok(()) };
    for table in [&control.chunk, &control.dead_letter] {
        let keys = keys_of(target, table, reader).await?;
        if !keys.is_empty() {
            tables.delete(table, &keys).await?;
        }
    }
    for table in [&control.checkpoint, &control.lease] {
        tables.delete(table, &[vec![Value::from(reader)]]).await?;
    }
    Ok(())
}

async fn keys_of(target: &End, table: &Table, reader: &str) -> data::Result<Vec<Vec<Value>>> {
    let snapshot = target.tables()?.snapshot().await?;
    let mut batches = snapshot.scan(Arc::new(table.clone()), ScanOptions::default()).await?;
    let mut keys = Vec::new();
    while let Some(batch) = batches.recv().await {
        for row in batch?.into_rows()? {
            let fields = Fields::of(table, &row);
            if fields.text("reader") == Some(reader) {
                keys.push(vec![Value::from(fields.key())]);
            }
        }
    }
    Ok(keys)
}
