//! What a bidirectional rule that was streamed has left in both databases.

use std::sync::Arc;

use data::Value;
use data::log::LogKind;
use data::table::ScanOptions;

use super::super::Ends;
use super::super::control_tables::{ControlTables, Fields};
use super::super::identity::{Purpose, reader_name};
use super::super::letter_view::{DeadLetters, letters_of};
use super::super::removal::{RemovalFailure, remove_rows};
use super::super::runner::log_kind;
use super::super::standing::Checkpoints;
use super::version;
use crate::rule::Rule;
use crate::snapshot::End;

/// Whether a side has a log that may be read.
fn can_be_read(end: &End) -> data::Result<bool> {
    let tables = end.tables()?;
    Ok([LogKind::Log, LogKind::Trigger].into_iter().any(|kind| tables.change_log(kind).is_some()))
}

/// Whether a rule has been streamed between these databases, so that it goes on by their logs.
pub(crate) async fn has_streamed(rule: &Rule, (source, target): &Ends) -> data::Result<bool> {
    if !can_be_read(source)? || !can_be_read(target)? {
        return Ok(false);
    }
    let Some(checkpoints) = Checkpoints::find(target).await? else { return Ok(false) };
    let reader = reader_name(&rule.name, source, target, Purpose::Apply).await?;
    Ok(checkpoints.position(&reader).await?.is_some())
}

/// Removes the readers, checkpoints and versions of a rule; what could not be removed. Its conflicts stay.
pub(crate) async fn remove_both(rule: &Rule, ends: Ends) -> Vec<RemovalFailure> {
    let failure = |error: data::Error| RemovalFailure { rule: rule.name.clone(), message: error.to_string() };
    let (source, target) = &ends;
    match can_be_read(source).and_then(|source| Ok(source && can_be_read(target)?)) {
        // Whatever an earlier removal that was cut off has taken away already, the rest of both sides goes.
        Ok(true) => {}
        Ok(false) => return Vec::new(),
        Err(error) => return vec![failure(error)],
    }
    let mut failures = Vec::new();
    for (from, to) in [(source, target), (target, source)] {
        let removed = async {
            let reader = reader_name(&rule.name, from, to, Purpose::Apply).await?;
            if let Some(log) = log_kind(rule, from).ok().and_then(|kind| from.tables().ok()?.change_log(kind))
            {
                log.remove(&reader).await?;
            }
            let versions = reader_name(&rule.name, source, target, Purpose::Apply).await?;
            remove_versions(to, &versions).await?;
            remove_rows(to, &reader).await
        };
        failures.extend(removed.await.err().map(failure));
    }
    failures
}

/// Removes the versions of a rule that a side keeps.
pub(super) async fn remove_versions(end: &End, reader: &str) -> data::Result<()> {
    let tables = end.tables()?;
    if tables.describe(version::NAME).await?.is_none() {
        return Ok(());
    }
    let table = Arc::new(version::create_table(tables).await?);
    let snapshot = tables.snapshot().await?;
    let mut batches = snapshot.scan(Arc::clone(&table), ScanOptions::default()).await?;
    while let Some(batch) = batches.recv().await {
        let rows = batch?.into_rows()?;
        let own = rows.iter().filter(|row| Fields::of(&table, row).text("reader") == Some(reader));
        let keys: Vec<_> = own.map(|row| vec![Value::from(Fields::of(&table, row).key())]).collect();
        if !keys.is_empty() {
            tables.delete(&table, &keys).await?;
        }
    }
    Ok(())
}

/// The rows of a rule that either side has refused, so many of them at the most.
pub(crate) async fn letters_of_both(
    rule: &Rule,
    (source, target): &Ends,
    most: usize,
) -> data::Result<DeadLetters> {
    let mut letters = DeadLetters::default();
    for (from, to) in [(source, target), (target, source)] {
        if ControlTables::existing(to.tables()?).await?.is_none() {
            continue;
        }
        let reader = reader_name(&rule.name, from, to, Purpose::Apply).await?;
        let found = letters_of(to, &reader, most.saturating_sub(letters.rows.len())).await?;
        letters.count += found.count;
        letters.rows.extend(found.rows);
    }
    Ok(letters)
}
