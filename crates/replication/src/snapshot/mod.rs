//! Snapshot mode: a full mirror of the source's collections on the target, streamed in batches.

mod copy;
mod end;
mod isolate;
mod key;
mod links;
mod lookup;
mod mapping;
mod order;
mod passage;
mod plan;
mod progress;
mod sweep;
mod taken;

pub(crate) use copy::{Window, copy_fetched, copy_rows};
pub(crate) use end::End;
pub(crate) use isolate::{Refused, Write, write_again, write_isolating};
pub(crate) use key::{canonical_key, key_text};
pub(crate) use lookup::held_by;
pub(crate) use mapping::{Candidate, Converted, Creation, GivenUp, Mapping, moment};
pub(crate) use order::parents_first;
pub(crate) use passage::Passage;
pub(crate) use plan::{CollectionPlan, RestOfDocuments, names_everything, resolve, resolve_both};
pub(crate) use progress::Reporter;
pub use progress::{Progress, ProgressListener};
pub(crate) use sweep::{delete_rows, key_columns, orphans_among};
pub(crate) use taken::{TakenTables, taken_reason};

use std::sync::Arc;

use data::ErrorKind;

use crate::error::{Error, Result};
use crate::rule::{ConflictResolution, Rule};
use crate::stats::CollectionStats;
use crate::untangle::may_be_rewritten;

/// A collection of a rule with everything needed to copy it; shared by the tasks that write its batches.
pub(crate) struct Collection {
    pub(crate) label: String,
    pub(crate) source: End,
    pub(crate) target: End,
    pub(crate) mapping: Mapping,
    pub(crate) resolution: ConflictResolution,
    /// Whether the target held no row when the copy began, so that nothing needs to be compared.
    pub(crate) fresh: bool,
    /// Whether rows of the target may be taken away and written again.
    pub(crate) rewrites: bool,
}

/// Mirrors every collection of a rule. Orphans are deleted first, children before parents, so that a unique value
/// that moved to another row is free again; then rows are written, parents before children.
///
/// # Errors
/// Only what stops the whole run, such as a lost connection or a full disk. What concerns one row or one collection
/// is counted in its stats.
pub(crate) async fn mirror(
    rule: &Rule,
    source: End,
    target: End,
    listener: Option<ProgressListener>,
    outcomes: &mut Vec<CollectionStats>,
) -> Result<()> {
    let plans = resolve(rule, &source, &target)
        .await
        .map_err(Error::database_in(format!("rule \"{}\"", rule.name)))?;
    *outcomes = plans.iter().map(|plan| CollectionStats::new(&plan.label)).collect();
    let collections = prepare_all(rule, &plans, &source, &target, outcomes).await?;
    let mut sweep_again = Vec::new();
    for (position, collection) in collections.iter().rev().filter(|(_, collection)| !collection.fresh) {
        match sweep::delete_orphans(collection).await {
            // A row that is still referred to may be free once its children have been rewritten.
            Ok(sweep) => {
                outcomes[*position].deleted += sweep.stats.deleted;
                if !sweep.is_complete() {
                    sweep_again.push((*position, Arc::clone(collection)));
                }
            }
            Err(error) => count_or_stop(&mut outcomes[*position], error)?,
        }
    }
    let snapshot = open_snapshot(&source).await.map_err(Error::database_in("source snapshot"))?;
    for (position, collection) in &collections {
        let reporter = Reporter::start(listener.clone(), rule, collection).await;
        let stats = &mut outcomes[*position];
        if let Err(error) = copy_rows(collection, snapshot.as_ref(), None, &reporter, stats).await {
            count_or_stop(stats, error)?;
        }
        reporter.finish();
    }
    sweep_once_more(sweep_again, outcomes).await?;
    // Only a run that polls changes tries its failed rows again.
    outcomes.iter_mut().for_each(|outcome| drop(outcome.take_failed_keys()));
    Ok(())
}

/// Deletes orphans that others referred to before, which may be gone by now, or may have to go together with them.
async fn sweep_once_more(
    collections: Vec<(usize, Arc<Collection>)>,
    outcomes: &mut [CollectionStats],
) -> Result<()> {
    let mut sweeps = Vec::new();
    for (position, collection) in collections {
        match sweep::delete_orphans(&collection).await {
            Ok(sweep) => sweeps.push((position, collection, sweep)),
            Err(error) => count_or_stop(&mut outcomes[position], error)?,
        }
    }
    let are_gone = sweep::delete_entangled(&sweeps).await.map_err(Error::database_in("deleting orphans"))?;
    for (position, _, sweep) in sweeps {
        outcomes[position].add(sweep.settle(are_gone));
    }
    Ok(())
}

/// Prepares the collections, parents before children, each with the position of its plan. One that cannot be prepared is
/// counted as failed.
pub(crate) async fn prepare_all(
    rule: &Rule,
    plans: &[CollectionPlan],
    source: &End,
    target: &End,
    outcomes: &mut [CollectionStats],
) -> Result<Vec<(usize, Arc<Collection>)>> {
    let mut collections = Vec::with_capacity(plans.len());
    let mut taken = TakenTables::default();
    for (position, (plan, outcome)) in plans.iter().zip(outcomes).enumerate() {
        match prepare(rule, plan, source, target).await {
            Ok(collection) if !taken.take(&collection.mapping) => {
                outcome.fail(String::new(), taken_reason(plan));
            }
            Ok(collection) => collections.push((position, collection)),
            Err(error) => {
                count_or_stop(outcome, error)?;
                taken.reserve(plan, target).await;
            }
        }
    }
    let targets = collections.iter().flat_map(|(_, collection)| &collection.mapping.target.references);
    let references: Vec<String> = targets.cloned().collect();
    let collections = collections.into_iter().map(|(position, mut collection)| {
        collection.rewrites = may_be_rewritten(&collection.target, &collection.mapping, references.iter());
        (position, Arc::new(collection))
    });
    Ok(parents_first(collections.collect(), |(_, collection)| &collection.mapping))
}

pub(crate) async fn open_snapshot(source: &End) -> data::Result<Box<dyn data::table::ReadSnapshot>> {
    source.tables()?.snapshot().await
}

async fn prepare(rule: &Rule, plan: &CollectionPlan, source: &End, target: &End) -> data::Result<Collection> {
    let (source, target) = plan.ends(source, target);
    let mapping = Mapping::prepare(plan, &source, &target, true).await?;
    let fresh = target.tables()?.is_empty(&mapping.target, mapping.part_of_target()).await?;
    Ok(Collection {
        label: plan.label.clone(),
        source,
        target,
        mapping,
        resolution: rule.conflict_resolution,
        fresh,
        rewrites: false,
    })
}

/// Prepares one collection. A table that the target has is only given further columns where its schema strategy lets it.
pub(crate) async fn prepare_one(
    rule: &Rule,
    plan: &CollectionPlan,
    source: &End,
    target: &End,
) -> data::Result<Collection> {
    let (source, target) = plan.ends(source, target);
    let may_change = target.follows_schema() || target.is_schemaless();
    let create = may_change || target.tables()?.describe(&plan.target_table).await?.is_none();
    let mapping = Mapping::prepare(plan, &source, &target, create).await?;
    let fresh = target.tables()?.is_empty(&mapping.target, mapping.part_of_target()).await?;
    Ok(Collection {
        label: plan.label.clone(),
        source,
        target,
        mapping,
        resolution: rule.conflict_resolution,
        fresh,
        rewrites: false,
    })
}

/// Counts an error that concerns one collection; passes on one that stops the run.
pub(crate) fn count_or_stop(stats: &mut CollectionStats, error: data::Error) -> Result<()> {
    if stops_the_run(error.kind()) {
        return Err(Error::database_in(format!("collection \"{}\"", stats.collection))(error));
    }
    stats.fail(String::new(), error.to_string());
    Ok(())
}

/// Whether no other collection could fare better.
pub(crate) fn stops_the_run(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Connection
            | ErrorKind::Authentication
            | ErrorKind::Timeout
            | ErrorKind::ReadOnly
            | ErrorKind::DiskFull
            | ErrorKind::Closed
            | ErrorKind::Stopped
            | ErrorKind::Internal
    )
}
