//! A copy from its beginning to its end: one destination after the other, all from one view of the source.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use super::collection::{already_filled, copy_to, empty, prepare, try_out};
use super::end::{CopyEnd, CopyOptions, CopyTarget, OpenSource, OpenTarget};
use super::report::{CollectionReport, CopyReport, DestinationReport, Problem, millis};
use super::watch::{Stop, Watched};
use crate::error::{Error, Result};
use crate::rule::Rule;
use crate::snapshot::{
    Collection, Progress, ProgressListener, Reporter, TakenTables, parents_first, resolve, stops_the_run,
};
use crate::stats::CollectionStats;

/// How far the copy of a collection to a destination has come.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyProgress {
    /// The destination's place in the list.
    pub destination: usize,
    /// The entity or table.
    pub collection: String,
    /// Rows dealt with so far.
    pub rows: u64,
    /// How many rows the source is thought to hold; `None` where it cannot tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<u64>,
    /// Whether the collection is finished.
    pub done: bool,
}

/// Is told of progress after every batch. It must not block.
pub type CopyListener = Arc<dyn Fn(CopyProgress) + Send + Sync>;

/// Copies to every destination. One that fails does not keep the others from being filled: its report says why.
///
/// # Errors
/// The source cannot be opened or read any more, or the collections are malformed. What concerns one destination, one
/// collection or one row is in the report.
pub async fn copy(
    source: CopyEnd,
    destinations: Vec<CopyTarget>,
    options: CopyOptions,
    listener: Option<CopyListener>,
    stop: Stop,
) -> Result<CopyReport> {
    let started = Instant::now();
    let in_source = || Error::database_in("source");
    let source = OpenSource::open(source).await.map_err(in_source())?;
    let snapshot = source.end.tables().map_err(in_source())?.snapshot().await.map_err(in_source())?;
    let snapshot = Watched::new(snapshot, stop.clone(), options.batch_rows);
    let mut reports = Vec::with_capacity(destinations.len());
    for (position, destination) in destinations.into_iter().enumerate() {
        let started = Instant::now();
        let mut run = Run {
            rule: rule_of(&options, &destination.label)?,
            listener: listener.clone().map(|listener| told_by(listener, position)),
            source: &source,
            snapshot: &snapshot,
            options: &options,
            stop: &stop,
            outcomes: Vec::new(),
        };
        let copied = run.copy_to(OpenTarget::open(destination.end, destination.create_tables)).await;
        let error = match copied {
            Err(error) if snapshot.has_failed() && stops_the_run(error.kind()) => {
                return Err(in_source()(error));
            }
            Err(error) if stop.is_requested() && error.kind() == data::ErrorKind::Stopped => None,
            Err(error) => Some(Problem::of(&error)),
            Ok(()) => None,
        };
        let collections = run.outcomes.into_iter().map(Outcome::report).collect();
        reports.push(DestinationReport {
            label: destination.label,
            error,
            collections,
            duration: millis(started.elapsed()),
        });
        if stop.is_requested() {
            break;
        }
    }
    Ok(CopyReport {
        destinations: reports,
        notes: source.notes(),
        stopped: stop.is_requested(),
        duration: millis(started.elapsed()),
    })
}

/// The copy to one destination in the form in which the snapshot engine takes its work.
fn rule_of(options: &CopyOptions, label: &str) -> Result<Rule> {
    Rule::from_json(json!({
        "name": "copy", "source": "source", "target": if label.is_empty() { "destination" } else { label },
        "mode": "snapshot", "collections": options.collections,
    }))
}

fn told_by(listener: CopyListener, destination: usize) -> ProgressListener {
    Arc::new(move |Progress { collection, rows, estimate, done, .. }: Progress| {
        listener(CopyProgress { destination, collection, rows, estimate, done });
    })
}

/// The copy to one destination on its way.
struct Run<'a> {
    rule: Rule,
    listener: Option<ProgressListener>,
    source: &'a OpenSource,
    snapshot: &'a Watched,
    options: &'a CopyOptions,
    stop: &'a Stop,
    outcomes: Vec<Outcome>,
}

/// What became of one collection.
struct Outcome {
    stats: CollectionStats,
    read: u64,
    duration: Duration,
}

impl Outcome {
    fn report(self) -> CollectionReport {
        CollectionReport::of(self.stats, self.read, self.duration)
    }
}

impl Run<'_> {
    /// Copies every collection, parents before children.
    async fn copy_to(&mut self, target: OpenTarget) -> data::Result<()> {
        let plans = resolve(&self.rule, &self.source.end, &target.end).await?;
        if let Some(files) = &target.files {
            files.expect_tables(plans.len())?;
        }
        let mut collections: Vec<(usize, Collection)> = Vec::with_capacity(plans.len());
        let mut taken = TakenTables::default();
        for (position, plan) in plans.iter().enumerate() {
            self.stop_if_asked()?;
            self.outcomes.push(Outcome {
                stats: CollectionStats::new(&plan.label),
                read: 0,
                duration: Duration::ZERO,
            });
            match prepare(plan, &self.source.end, &target, self.options).await {
                Ok(collection) if !taken.take(&collection.mapping) => {
                    self.count_or_stop(position, already_filled(&plan.target_table))?;
                }
                Ok(collection) => collections.push((position, collection)),
                Err(error) => {
                    self.count_or_stop(position, error)?;
                    taken.reserve(plan, &target.end).await;
                }
            }
        }
        let collections = parents_first(collections, |(_, collection)| &collection.mapping);
        if self.options.truncate && !self.options.dry_run && target.files.is_none() {
            for (position, collection) in collections.iter().rev() {
                let mut stats = CollectionStats::default();
                let emptied = empty(collection, self.stop, &mut stats).await;
                self.add(*position, stats);
                if let Err(error) = emptied {
                    self.count_or_stop(*position, error)?;
                }
            }
        }
        for (position, collection) in collections {
            self.stop_if_asked()?;
            self.copy_collection(position, collection, &target).await?;
        }
        match &target.files {
            Some(files) if !self.options.dry_run => files.close(),
            _ => Ok(()),
        }
    }

    async fn copy_collection(
        &mut self,
        position: usize,
        collection: Collection,
        target: &OpenTarget,
    ) -> data::Result<()> {
        let started = Instant::now();
        let reporter = Reporter::start(self.listener.clone(), &self.rule, &collection).await;
        let mut stats = CollectionStats::default();
        let copied = if self.options.dry_run {
            try_out(&collection, self.snapshot, &reporter, &mut stats).await
        } else {
            copy_to(collection, target, self.snapshot, &reporter, &mut stats).await
        };
        reporter.finish();
        self.add(position, stats);
        if let Some(outcome) = self.outcomes.get_mut(position) {
            outcome.read = self.snapshot.take_rows();
            outcome.duration = started.elapsed();
        }
        match copied {
            Err(error) => self.count_or_stop(position, error),
            Ok(()) => Ok(()),
        }
    }

    fn add(&mut self, position: usize, stats: CollectionStats) {
        if let Some(outcome) = self.outcomes.get_mut(position) {
            outcome.stats.add(stats);
        }
    }

    /// Counts an error that concerns one collection; passes on one that no other collection could avoid.
    fn count_or_stop(&mut self, position: usize, error: data::Error) -> data::Result<()> {
        if stops_the_run(error.kind()) {
            return Err(error);
        }
        if let Some(outcome) = self.outcomes.get_mut(position) {
            outcome.stats.fail(String::new(), error.to_string());
        }
        Ok(())
    }

    fn stop_if_asked(&self) -> data::Result<()> {
        if self.stop.is_requested() { Err(Stop::error()) } else { Ok(()) }
    }
}
