//! Bidirectional mode: after a run both sides hold the same rows.
//!
//! Rows that one side lacks are copied to it, and of two versions of a row one is written over the other. No row is ever
//! deleted: without a record of what both sides once held, a deleted row cannot be told from one that is new on the
//! other side.

mod compare;
mod pair;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

use data::table::{ReadSnapshot, Row, ScanOptions};
use data::{Result as DataResult, Value};

use crate::error::{Error, Result};
use crate::rule::Rule;
use crate::snapshot::{
    CollectionPlan, End, ProgressListener, Reporter, TakenTables, canonical_key, count_or_stop,
    open_snapshot, orphans_among, parents_first, resolve_both, taken_reason,
};
use crate::stats::{CollectionStats, Conflict, Winner};
use crate::untangle::may_be_rewritten;
pub(crate) use compare::Difference;
pub(crate) use pair::{Column, Pair};
use write::{Pending, Side};

/// Makes every collection of a rule equal on both sides.
///
/// # Errors
/// Only what stops the whole run. What concerns one row or one collection is counted in its stats. A run that broke off
/// leaves whole rows, and the next one goes on from there.
pub(crate) async fn converge(
    rule: &Rule,
    source: &End,
    target: &End,
    listener: Option<ProgressListener>,
    outcomes: &mut Vec<CollectionStats>,
) -> Result<()> {
    let plans = resolve_both(rule, source, target)
        .await
        .map_err(Error::database_in(format!("rule \"{}\"", rule.name)))?;
    *outcomes = plans.iter().map(|plan| CollectionStats::new(&plan.label)).collect();
    let pairs = prepare_all(rule, &plans, source, target, outcomes).await?;
    for (position, pair) in parents_first(pairs, |(_, pair)| &pair.to_target.mapping) {
        let Some(stats) = outcomes.get_mut(position) else { continue };
        let reporter = Reporter::start(listener.clone(), rule, &pair.to_target).await;
        if let Err(error) = converge_collection(&pair, &reporter, stats).await {
            count_or_stop(stats, error)?;
        }
        drop(stats.take_failed_keys());
        reporter.finish();
    }
    Ok(())
}

async fn prepare_all(
    rule: &Rule,
    plans: &[CollectionPlan],
    source: &End,
    target: &End,
    outcomes: &mut [CollectionStats],
) -> Result<Vec<(usize, Pair)>> {
    let mut pairs = Vec::with_capacity(plans.len());
    let mut taken = TakenTables::default();
    for (position, (plan, outcome)) in plans.iter().zip(outcomes).enumerate() {
        match Pair::prepare(rule, plan, source, target).await {
            Ok(pair) if !taken.take(&pair.to_target.mapping) => {
                outcome.fail(String::new(), taken_reason(plan));
            }
            Ok(pair) => pairs.push((position, pair)),
            Err(error) => {
                count_or_stop(outcome, error)?;
                taken.reserve(plan, target).await;
            }
        }
    }
    for side in [Side::Source, Side::Target] {
        let tables = pairs.iter().flat_map(|(_, pair)| &side.collection(pair).mapping.target.references);
        let references: Vec<String> = tables.cloned().collect();
        for (_, pair) in &mut pairs {
            // They are shared only later.
            if let Some(collection) = Arc::get_mut(side.collection_mut(pair)) {
                collection.rewrites =
                    may_be_rewritten(&collection.target, &collection.mapping, references.iter());
            }
        }
    }
    Ok(pairs)
}

async fn converge_collection(
    pair: &Pair,
    reporter: &Reporter,
    stats: &mut CollectionStats,
) -> DataResult<()> {
    let mut pending = Pending::default();
    let snapshot = open(&pair.to_target.source).await?;
    let options = ScanOptions {
        batch_rows: pair.to_target.target.tables()?.batch_rows(),
        discriminator: pair.to_target.mapping.source_discriminator.clone(),
        ..ScanOptions::default()
    };
    let mut batches = snapshot.scan(Arc::clone(&pair.to_target.mapping.source), options).await?;
    while let Some(batch) = batches.recv().await {
        let rows = batch?.into_rows()?;
        let count = rows.len();
        meet(pair, rows, &mut pending, stats).await?;
        reporter.add(count);
    }
    drop((batches, snapshot));
    copy_what_only_the_target_has(pair, &mut pending, stats).await?;
    pending.retry(pair, stats).await
}

async fn open(end: &End) -> DataResult<Box<dyn ReadSnapshot>> {
    open_snapshot(end).await
}

/// Brings rows of the source together with what the target holds under the same keys.
async fn meet(
    pair: &Pair,
    rows: Vec<Row>,
    pending: &mut Pending,
    stats: &mut CollectionStats,
) -> DataResult<()> {
    let mut missing = Vec::new();
    let mut differing = Vec::new();
    let met = find_at_target(pair, rows, stats).await?;
    for (row, own) in met {
        match own {
            None => missing.push(row),
            Some(own) if !pair.is_of_entity_at_target(&own) => {
                let reason = "a row of another entity has this primary key at the target".to_owned();
                stats.fail_row(pair.to_target.mapping.source.key_of(&row), reason);
            }
            Some(own) if pair.difference(&row, &own).is_none() => stats.skipped += 1,
            Some(_) => differing.push(pair.to_target.mapping.source.key_of(&row)),
        }
    }
    let created = Side::Target.create(pair, missing, pending, stats).await?;
    stats.created += created;
    settle(pair, differing, pending, stats).await
}

/// Decides rows that differ. Both versions are read again first: the scan may have begun long ago.
async fn settle(
    pair: &Pair,
    keys: Vec<Vec<Value>>,
    pending: &mut Pending,
    stats: &mut CollectionStats,
) -> DataResult<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let mapping = &pair.to_target.mapping;
    let rows = pair.to_target.source.tables()?.fetch(&mapping.source, &keys).await?;
    let (mut for_source, mut for_target) = (Vec::new(), Vec::new());
    for (row, own) in find_at_target(pair, rows, stats).await? {
        // What was deleted meanwhile is left to the next run.
        let Some(own) = own else { continue };
        let Some(Difference { winner, fields }) = pair.difference(&row, &own) else {
            stats.skipped += 1;
            continue;
        };
        let key = mapping.source.key_of(&row);
        let merged = match winner {
            Winner::Target => pair.for_source(&row, &own),
            _ => pair.for_target(&row, &own),
        };
        stats.conflict(|| Conflict { key: crate::snapshot::key_text(&key), winner, fields });
        match (merged, winner) {
            (Err(error), _) => stats.fail_row(key, error.to_string()),
            (Ok((merged, losses)), Winner::Target) => {
                pair.to_source.mapping.count_losses(losses, stats);
                for_source.push(merged);
            }
            (Ok((merged, losses)), _) => {
                mapping.count_losses(losses, stats);
                for_target.push(merged);
            }
        }
    }
    stats.updated += Side::Target.overwrite(pair, for_target, pending).await?;
    stats.updated += Side::Source.overwrite(pair, for_source, pending).await?;
    Ok(())
}

/// Each row of the source with the row that the target holds under its key. A row whose key the target cannot hold, or
/// cannot tell from another's, is counted as failed.
async fn find_at_target(
    pair: &Pair,
    rows: Vec<Row>,
    stats: &mut CollectionStats,
) -> DataResult<Vec<(Row, Option<Row>)>> {
    let mapping = &pair.to_target.mapping;
    let mut keyed: Vec<(Row, String)> = Vec::with_capacity(rows.len());
    let mut keys = Vec::with_capacity(rows.len());
    for row in rows {
        let key = mapping.source.key_of(&row);
        match mapping.target_key(&key) {
            Some(target_key) => {
                keyed.push((row, canonical_key(&target_key)));
                keys.push(target_key);
            }
            None => stats.fail_row(key, "the target cannot hold this primary key as it is".to_owned()),
        }
    }
    let table = &pair.to_source.mapping.source;
    let found = pair.to_target.target.tables()?.fetch(table, &keys).await?;
    let mut found: HashMap<String, Row> =
        found.into_iter().map(|own| (canonical_key(&table.key_of(&own)), own)).collect();
    Ok(keyed.into_iter().map(|(row, key)| (row, found.remove(&key))).collect())
}

/// Copies rows to the source that only the target has.
async fn copy_what_only_the_target_has(
    pair: &Pair,
    pending: &mut Pending,
    stats: &mut CollectionStats,
) -> DataResult<()> {
    let table = &pair.to_source.mapping.source;
    let snapshot = open(&pair.to_target.target).await?;
    let options = ScanOptions {
        keys_only: true,
        batch_rows: pair.to_target.source.tables()?.batch_rows(),
        discriminator: pair.to_target.mapping.target_discriminator.clone(),
        ..ScanOptions::default()
    };
    let mut batches = snapshot.scan(Arc::clone(table), options).await?;
    while let Some(batch) = batches.recv().await {
        let keys = batch?.into_rows()?;
        let only = orphans_among(&pair.to_target.mapping, &pair.to_target.source, keys).await?;
        let rows = pair.to_target.target.tables()?.fetch(table, &only).await?;
        stats.created += Side::Source.create(pair, rows, pending, stats).await?;
    }
    Ok(())
}
