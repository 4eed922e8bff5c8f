//! Snapshot mode: a full mirror of the source's collections on the target, streamed in batches.

mod copy;
mod isolate;
mod key;
mod mapping;
mod order;
mod plan;
mod progress;
mod sweep;

pub(crate) use copy::copy_rows;
pub(crate) use key::{canonical_key, key_text};
pub(crate) use mapping::{Creation, Mapping};
pub(crate) use order::parents_first;
pub(crate) use plan::{CollectionPlan, resolve};
pub(crate) use progress::Reporter;
pub use progress::{Progress, ProgressListener};
pub(crate) use sweep::{delete_rows, orphans_among};

use std::collections::HashSet;
use std::sync::Arc;

use data::table::TableStore;
use data::{Dialect, EntitySchema, ErrorKind};

use crate::error::{Error, Result};
use crate::rule::{ConflictResolution, Rule};
use crate::stats::CollectionStats;

/// One end of a rule or copy: tables, and the entities registered on them.
#[derive(Clone)]
pub(crate) struct End {
    place: Place,
    pub(crate) schemas: Vec<Arc<EntitySchema>>,
}

/// Where the tables are.
#[derive(Clone)]
enum Place {
    Database(Arc<dyn Dialect>),
    Files(Arc<dyn TableStore>),
}

impl End {
    /// A database.
    pub(crate) fn database(dialect: Arc<dyn Dialect>, schemas: Vec<Arc<EntitySchema>>) -> Self {
        Self { place: Place::Database(dialect), schemas }
    }

    /// Files that are read or written.
    pub(crate) fn files(files: Arc<dyn TableStore>, schemas: Vec<Arc<EntitySchema>>) -> Self {
        Self { place: Place::Files(files), schemas }
    }

    /// The tables of the database, or those in the files.
    pub(crate) fn tables(&self) -> data::Result<&dyn TableStore> {
        match &self.place {
            Place::Database(dialect) => dialect.tables().ok_or_else(|| {
                data::Error::new(
                    ErrorKind::Unsupported,
                    "a transaction cannot be an end of a replication rule",
                )
            }),
            Place::Files(files) => Ok(files.as_ref()),
        }
    }

    /// Whether rows may have any fields.
    pub(crate) fn is_schemaless(&self) -> bool {
        matches!(&self.place, Place::Database(dialect) if dialect.kind().is_schemaless())
    }
}

/// A collection of a rule with everything needed to copy it; shared by the tasks that write its batches.
pub(crate) struct Collection {
    pub(crate) label: String,
    pub(crate) source: End,
    pub(crate) target: End,
    pub(crate) mapping: Mapping,
    pub(crate) resolution: ConflictResolution,
    /// Whether the target held no row when the copy began, so that nothing needs to be compared.
    pub(crate) fresh: bool,
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
) -> Result<Vec<CollectionStats>> {
    let plans = resolve(rule, &source, &target)
        .await
        .map_err(Error::database_in(format!("rule \"{}\"", rule.name)))?;
    let mut outcomes: Vec<CollectionStats> =
        plans.iter().map(|plan| CollectionStats::new(&plan.label)).collect();
    let mut collections: Vec<(usize, Arc<Collection>)> = Vec::with_capacity(plans.len());
    let mut taken = HashSet::new();
    for (position, plan) in plans.iter().enumerate() {
        match prepare(rule, plan, &source, &target).await {
            Ok(collection) if !taken.insert(collection.mapping.target_identity()) => {
                let reason = format!(
                    "another collection of the rule is already \"{}\" at the target",
                    plan.target_table
                );
                outcomes[position].fail(String::new(), reason);
            }
            Ok(collection) => collections.push((position, Arc::new(collection))),
            Err(error) => count_or_stop(&mut outcomes[position], error)?,
        }
    }
    let collections = parents_first(collections, |(_, collection)| &collection.mapping);
    let mut sweep_again = Vec::new();
    for (position, collection) in collections.iter().rev().filter(|(_, collection)| !collection.fresh) {
        match sweep::delete_orphans(collection).await {
            // A row that is still referred to may be free once its children have been rewritten.
            Ok(stats) if stats.errors > 0 => {
                outcomes[*position].deleted += stats.deleted;
                sweep_again.push((*position, Arc::clone(collection)));
            }
            Ok(stats) => outcomes[*position].add(stats),
            Err(error) => count_or_stop(&mut outcomes[*position], error)?,
        }
    }
    let snapshot = open_snapshot(&source).await.map_err(Error::database_in("source snapshot"))?;
    for (position, collection) in &collections {
        let reporter = Reporter::start(listener.clone(), rule, collection).await;
        let stats = &mut outcomes[*position];
        if let Err(error) = copy_rows(collection, snapshot.as_ref(), &reporter, stats).await {
            count_or_stop(stats, error)?;
        }
        reporter.finish();
    }
    for (position, collection) in sweep_again {
        match sweep::delete_orphans(&collection).await {
            Ok(stats) => outcomes[position].add(stats),
            Err(error) => count_or_stop(&mut outcomes[position], error)?,
        }
    }
    Ok(outcomes)
}

async fn open_snapshot(source: &End) -> data::Result<Box<dyn data::table::ReadSnapshot>> {
    source.tables()?.snapshot().await
}

async fn prepare(rule: &Rule, plan: &CollectionPlan, source: &End, target: &End) -> data::Result<Collection> {
    let mapping = Mapping::prepare(plan, source, target, true).await?;
    let fresh = target.tables()?.is_empty(&mapping.target, mapping.target_discriminator.as_ref()).await?;
    Ok(Collection {
        label: plan.label.clone(),
        source: source.clone(),
        target: target.clone(),
        mapping,
        resolution: rule.conflict_resolution,
        fresh,
    })
}

/// Counts an error that concerns one collection; passes on one that stops the run.
fn count_or_stop(stats: &mut CollectionStats, error: data::Error) -> Result<()> {
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
