//! Mode cdc with `capture: 'poll'`: each run copies the rows whose `updatedAt` is later than what was seen before.
//!
//! A run reads from a cursor on. That is the latest `updatedAt` seen, or the start of the last run by the source's clock
//! if that is earlier, less an overlap for rows that were committed late. Rows that are read twice are found equal and
//! left alone. Nothing is ever deleted, as a row that is gone has no `updatedAt`.

mod state;

pub(crate) use state::PollState;

use std::sync::Arc;

use data::Timestamp;
use data::schema::{DELETED_AT, UPDATED_AT};
use data::table::{ChangedSince, ReadSnapshot};

use crate::error::{Error, Result};
use crate::rule::{DEFAULT_POLL_OVERLAP_MS, Rule};
use crate::snapshot::{
    Collection, End, ProgressListener, Reporter, Window, copy_fetched, copy_rows, count_or_stop, moment,
    open_snapshot, prepare_all, resolve,
};
use crate::stats::CollectionStats;
use state::CollectionState;

/// How many failed rows are read again at a time.
const RETRIED_AT_ONCE: usize = 500;

/// Copies what has changed since the last run; on the first run, everything.
///
/// # Errors
/// Only what stops the whole run. What concerns one row or one collection is counted in its stats.
pub(crate) async fn poll(
    rule: &Rule,
    source: End,
    target: End,
    listener: Option<ProgressListener>,
    state: &mut PollState,
    outcomes: &mut Vec<CollectionStats>,
) -> Result<()> {
    state.begin(&source, &target);
    let in_rule = || Error::database_in(format!("rule \"{}\"", rule.name));
    let plans = resolve(rule, &source, &target).await.map_err(in_rule())?;
    *outcomes = plans.iter().map(|plan| CollectionStats::new(&plan.label)).collect();
    let collections = prepare_all(rule, &plans, &source, &target, outcomes).await?;
    // Asked before the snapshot is taken, so that what is changed after it lies behind the next cursor.
    let begun = source.tables().map_err(in_rule())?.clock().await.map_err(in_rule())?;
    let snapshot = open_snapshot(&source).await.map_err(Error::database_in("source snapshot"))?;
    for (position, collection) in &collections {
        let Some(stats) = outcomes.get_mut(*position) else { continue };
        let reporter = Reporter::start(listener.clone(), rule, collection).await;
        let run = Run { rule, collection, snapshot: snapshot.as_ref(), begun };
        let own_state = state.collection(&collection.label);
        if let Err(error) = run.collection(own_state, &reporter, stats).await {
            count_or_stop(stats, error)?;
        }
        reporter.finish();
    }
    Ok(())
}

/// One run of one collection.
struct Run<'a> {
    rule: &'a Rule,
    collection: &'a Arc<Collection>,
    snapshot: &'a dyn ReadSnapshot,
    /// The start of the run by the clock of the source.
    begun: Timestamp,
}

impl Run<'_> {
    async fn collection(
        &self,
        state: &mut CollectionState,
        reporter: &Reporter,
        stats: &mut CollectionStats,
    ) -> data::Result<()> {
        let mapping = &self.collection.mapping;
        let Some(updated_at) = mapping.source.position(UPDATED_AT) else {
            return self.without_updated_at(stats).await;
        };
        // A target that has been emptied needs everything again.
        if self.collection.fresh {
            *state = CollectionState::default();
        }
        self.retry(state, updated_at, stats).await?;
        let changed_since = state.read_from().map(|moment| self.changed_since(moment));
        let mut window = Window { changed_since, updated_at, newest: None };
        copy_rows(self.collection, self.snapshot, Some(&mut window), reporter, stats).await?;
        let failed = stats.take_failed_keys();
        if failed.overflown {
            // Too many to keep: the next run reads the same rows again.
            return Ok(());
        }
        state.advance(self.begun, window.newest, self.overlap(), failed.keys);
        Ok(())
    }

    /// A soft delete sets `deletedAt` alone.
    fn changed_since(&self, moment: Timestamp) -> ChangedSince {
        let mapping = &self.collection.mapping;
        let or_column = mapping.source.position(DELETED_AT).map(|_| DELETED_AT.to_owned());
        ChangedSince { column: UPDATED_AT.to_owned(), or_column, moment }
    }

    /// Reads the rows that failed last time again. Those that the scan is about to read are left to it.
    async fn retry(
        &self,
        state: &mut CollectionState,
        updated_at: usize,
        stats: &mut CollectionStats,
    ) -> data::Result<()> {
        let Some(cursor) = state.read_from() else {
            return Ok(());
        };
        let (source, mapping) = (self.collection.source.tables()?, &self.collection.mapping);
        for keys in state.failed().chunks(RETRIED_AT_ONCE) {
            let mut rows = source.fetch(&mapping.source, keys).await?;
            rows.retain(|row| row.get(updated_at).and_then(moment).is_some_and(|moment| moment < cursor));
            copy_fetched(self.collection, rows, stats).await?;
        }
        Ok(())
    }

    /// A collection without documents has no fields, and nothing to copy.
    async fn without_updated_at(&self, stats: &mut CollectionStats) -> data::Result<()> {
        let (source, mapping) = (&self.collection.source, &self.collection.mapping);
        let is_empty = source.is_schemaless()
            && source.tables()?.is_empty(&mapping.source, mapping.source_discriminator.as_ref()).await?;
        if is_empty {
            return Ok(());
        }
        stats.fail(
            String::new(),
            format!(
                "\"{}\" has no column {UPDATED_AT}, by which capture: 'poll' of rule \"{}\" finds changes; add one that \
                 every write sets, or use mode snapshot",
                mapping.source.name, self.rule.name
            ),
        );
        Ok(())
    }

    fn overlap(&self) -> u64 {
        self.rule.poll_overlap_ms.unwrap_or(DEFAULT_POLL_OVERLAP_MS)
    }
}
