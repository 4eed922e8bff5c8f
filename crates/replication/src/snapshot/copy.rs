//! Copying the rows of one collection: read, convert, compare where the target had rows, write.

use std::collections::HashSet;
use std::sync::Arc;

use data::table::{ChangedSince, ReadSnapshot, Row, RowBatch, ScanOptions};
use data::{Error, ErrorKind, Result, Timestamp, Value};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};

use super::isolate::{Refused, Write, write_again, write_isolating};
use super::lookup::held_by;
use super::mapping::moment;
use super::passage::Passage;
use super::progress::Reporter;
use super::sweep::delete_rows;
use super::{Collection, canonical_key};
use crate::rule::ConflictResolution;
use crate::stats::CollectionStats;

/// How many refused rows are kept to be tried again at the end of the collection.
const RETRIED_ROWS: usize = 1000;

/// How often rows are compared with those of the target, if others write the same ones meanwhile.
const LOOKS: u32 = 3;

/// What one batch came to.
#[derive(Default)]
struct BatchOutcome {
    stats: CollectionStats,
    /// Rows that the target refused, by their keys at the source.
    refused: Vec<(Vec<Value>, Refused)>,
}

/// Which of the rows are read where changes are polled, and what the rows said of their age.
pub(crate) struct Window {
    /// Only rows changed since; all without.
    pub(crate) changed_since: Option<ChangedSince>,
    /// Position of `updatedAt` in the source.
    pub(crate) updated_at: usize,
    /// The latest `updatedAt` that was read.
    pub(crate) newest: Option<Timestamp>,
}

impl Window {
    fn look_at(&mut self, rows: &[Row]) {
        let moments = rows.iter().filter_map(|row| row.get(self.updated_at).and_then(moment));
        self.newest = self.newest.max(moments.filter(|moment| !moment.is_infinite()).max());
    }
}

/// Copies every row. While batches are written, the next one is converted and the one after that is read; no more
/// are held. On an error the batches on their way are finished first, so that none is cut off and the stats are true.
pub(crate) async fn copy_rows(
    collection: &Arc<Collection>,
    snapshot: &dyn ReadSnapshot,
    window: Option<&mut Window>,
    reporter: &Reporter,
    stats: &mut CollectionStats,
) -> Result<()> {
    let concurrency = collection.target.tables()?.write_concurrency();
    let mut copy = Copy { stats, refused: Vec::new(), reporter, tasks: JoinSet::new() };
    let read = copy.read_all(collection, snapshot, window, concurrency).await;
    let mut settled = Ok(());
    while let Some(finished) = copy.tasks.join_next().await {
        settled = settled.and(copy.settle(finished));
    }
    read.and(settled)?;
    let refused = copy.refused;
    retry_refused(collection, refused, stats).await
}

/// Copies rows that were read already, into a target that may hold them.
pub(crate) async fn copy_fetched(
    collection: &Collection,
    rows: Vec<Row>,
    stats: &mut CollectionStats,
) -> Result<()> {
    let mut outcome = BatchOutcome::default();
    let rows = admit(collection, rows, &mut outcome).await?;
    let rows = collection.mapping.convert(rows, &mut outcome.stats);
    merge(collection, rows, &mut outcome).await?;
    stats.add(outcome.stats);
    for (key, refused) in outcome.refused {
        stats.fail_row(key, refused.error.to_string());
    }
    Ok(())
}

/// A copy on its way.
struct Copy<'a> {
    stats: &'a mut CollectionStats,
    refused: Vec<Refused>,
    reporter: &'a Reporter,
    tasks: JoinSet<(usize, Result<BatchOutcome>)>,
}

impl Copy<'_> {
    async fn read_all(
        &mut self,
        collection: &Arc<Collection>,
        snapshot: &dyn ReadSnapshot,
        mut window: Option<&mut Window>,
        concurrency: usize,
    ) -> Result<()> {
        let mapping = &collection.mapping;
        let passage = Arc::new(Passage::of(collection)?);
        let options = ScanOptions {
            keys_only: false,
            // Tuples take a fraction of the memory of decoded rows, so that those that wait are decoded when they are due.
            binary_tuples: window.is_none(),
            batch_rows: passage.batch_rows(collection.target.tables()?),
            discriminator: mapping.source_discriminator.clone(),
            changed_since: window.as_ref().and_then(|window| window.changed_since.clone()),
            range: None,
        };
        let slots = Arc::new(Semaphore::new(concurrency.max(1)));
        let mut batches = collection.source.scan_in(snapshot, Arc::clone(&mapping.source), options).await?;
        while let Some(batch) = batches.recv().await {
            let batch = batch?;
            if let (Some(window), RowBatch::Rows(rows)) = (&mut window, &batch) {
                window.look_at(rows);
            }
            while self.tasks.len() > concurrency {
                if let Some(finished) = self.tasks.join_next().await {
                    self.settle(finished)?;
                }
            }
            self.tasks.spawn(copy_batch(
                Arc::clone(collection),
                batch,
                Arc::clone(&passage),
                Arc::clone(&slots),
            ));
        }
        Ok(())
    }

    fn settle(&mut self, finished: Result<(usize, Result<BatchOutcome>), JoinError>) -> Result<()> {
        let (rows, outcome) = finished
            .map_err(|error| Error::new(ErrorKind::Internal, format!("a batch was not finished: {error}")))?;
        let outcome = outcome?;
        self.stats.add(outcome.stats);
        for (key, refused) in outcome.refused {
            if refused.may_fit_later() && self.refused.len() < RETRIED_ROWS {
                self.refused.push(refused);
            } else {
                self.stats.fail_row(key, refused.error.to_string());
            }
        }
        self.reporter.add(rows);
        Ok(())
    }
}

impl BatchOutcome {
    fn refuse(&mut self, collection: &Collection, refused: Vec<Refused>) {
        let key = |refused: &Refused| source_key(collection, &refused.row);
        self.refused.extend(refused.into_iter().map(|refused| (key(&refused), refused)));
    }
}

/// The key at the source of a row in the types of the target.
fn source_key(collection: &Collection, row: &[Value]) -> Vec<Value> {
    let key = collection.mapping.target.key_of(row);
    collection.mapping.source_key(&key).unwrap_or(key)
}

async fn copy_batch(
    collection: Arc<Collection>,
    batch: RowBatch,
    passage: Arc<Passage>,
    slots: Arc<Semaphore>,
) -> (usize, Result<BatchOutcome>) {
    let rows = batch.len();
    (rows, write_batch(&collection, batch, &passage, &slots).await)
}

async fn write_batch(
    collection: &Collection,
    batch: RowBatch,
    passage: &Passage,
    slots: &Semaphore,
) -> Result<BatchOutcome> {
    let mut outcome = BatchOutcome::default();
    let batch = match collection.mapping.is_choosy() {
        true => RowBatch::Rows(admit(collection, batch.into_rows()?, &mut outcome).await?),
        false => batch,
    };
    let batch = passage.prepare(collection, batch, &mut outcome.stats)?;
    // The semaphore is never closed.
    let _slot = slots.acquire().await.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
    if collection.fresh {
        insert_fresh(collection, batch, &mut outcome).await?;
    } else {
        merge(collection, batch.into_rows()?, &mut outcome).await?;
    }
    Ok(outcome)
}

/// The rows that are carried. Those that are not are deleted at the target, where it may have them.
async fn admit(collection: &Collection, rows: Vec<Row>, outcome: &mut BatchOutcome) -> Result<Vec<Row>> {
    let mapping = &collection.mapping;
    if !mapping.is_choosy() {
        return Ok(rows);
    }
    let admitted = mapping.admit_copied(rows).await?;
    for (refused, error) in admitted.refused {
        outcome.stats.fail_row(mapping.source.key_of(&refused.row), error.to_string());
    }
    if mapping.deletes_dropped && !collection.fresh {
        let keys = admitted.dropped.iter().map(|dropped| mapping.source.key_of(&dropped.row));
        let keys = keys.filter_map(|key| mapping.target_key(&key)).collect();
        delete_rows(collection, keys, &mut outcome.stats).await?;
    }
    Ok(admitted.kept.into_iter().map(|kept| kept.row).collect())
}

/// Inserts a batch into a table that was empty; only if it is refused are its rows looked at one by one.
async fn insert_fresh(collection: &Collection, batch: RowBatch, outcome: &mut BatchOutcome) -> Result<()> {
    let rows = match batch {
        RowBatch::Rows(rows) => rows,
        tuples => match collection.target.tables()?.insert(&collection.mapping.target, &tuples).await {
            Ok(()) => {
                outcome.stats.created += u64::try_from(tuples.len()).unwrap_or(u64::MAX);
                return Ok(());
            }
            Err(error) if super::isolate::concerns_rows(&error) => {
                collection.mapping.convert(tuples.into_rows()?, &mut outcome.stats)
            }
            Err(error) => return Err(error),
        },
    };
    let crossed = insert_missing(collection, rows, true, outcome).await?;
    merge(collection, crossed, outcome).await
}

/// Inserts rows that the target did not have a moment ago. If another one has written such a key since, all of them are handed
/// back where they `may_cross`, to be looked at again; else the rows at fault are found.
async fn insert_missing(
    collection: &Collection,
    rows: Vec<Row>,
    may_cross: bool,
    outcome: &mut BatchOutcome,
) -> Result<Vec<Row>> {
    let batch = RowBatch::Rows(rows);
    let rows = match batch.len() {
        0 => return Ok(Vec::new()),
        count if may_cross => {
            match collection.target.tables()?.insert(&collection.mapping.target, &batch).await {
                Ok(()) => {
                    outcome.stats.created += u64::try_from(count).unwrap_or(u64::MAX);
                    return Ok(Vec::new());
                }
                Err(error) if error.kind() == ErrorKind::UniqueViolation => return batch.into_rows(),
                // Whatever else it is, it is found with the rows at fault.
                Err(_) => batch.into_rows()?,
            }
        }
        _ => batch.into_rows()?,
    };
    let written = write_isolating(collection, Write::Insert, rows).await?;
    outcome.stats.created += written.rows;
    outcome.refuse(collection, written.refused);
    Ok(Vec::new())
}

/// Compares a batch with what the target holds under the same keys, and writes what differs.
async fn merge(collection: &Collection, mut rows: Vec<Row>, outcome: &mut BatchOutcome) -> Result<()> {
    for look in 1..=LOOKS {
        if rows.is_empty() {
            break;
        }
        rows = merge_once(collection, rows, look < LOOKS, outcome).await?;
    }
    Ok(())
}

/// The rows that are handed back are to be looked at again, which only happens where they `may_cross` those of others.
async fn merge_once(
    collection: &Collection,
    rows: Vec<Row>,
    may_cross: bool,
    outcome: &mut BatchOutcome,
) -> Result<Vec<Row>> {
    let mapping = &collection.mapping;
    let keys: Vec<_> = rows.iter().map(|row| mapping.target.key_of(row)).collect();
    let existing = held_by(&collection.target, mapping, &keys).await?;
    let mut missing = Vec::new();
    let mut changed = Vec::new();
    let mut seen = HashSet::with_capacity(keys.len());
    for (row, key) in rows.into_iter().zip(keys) {
        let canonical = canonical_key(&key);
        if !seen.insert(canonical.clone()) {
            let reason = "another row has the same primary key at the target".to_owned();
            outcome.stats.fail_row(source_key(collection, &row), reason);
            continue;
        }
        if let Some(problem) = existing.problem(&canonical) {
            outcome.stats.fail_row(source_key(collection, &row), problem.to_owned());
            continue;
        }
        match existing.row(&canonical) {
            None => missing.push(row),
            Some(own) if !collection.mapping.is_of_entity(own) => {
                let reason = "a row of another entity has this primary key at the target".to_owned();
                outcome.stats.fail_row(source_key(collection, &row), reason);
            }
            Some(own) if mapping.is_same(&row, own) => outcome.stats.skipped += 1,
            Some(own) if wins(collection, &row, own) => changed.push(row),
            Some(_) => outcome.stats.skipped += 1,
        }
    }
    // The target has no such rows, and another one under the same key must not be overwritten.
    let crossed = insert_missing(collection, missing, may_cross, outcome).await?;
    let written = write_isolating(collection, Write::Upsert, changed).await?;
    outcome.stats.updated += written.rows;
    let refused = written.refused.into_iter().map(|refused| Refused { existed: true, ..refused }).collect();
    outcome.refuse(collection, refused);
    Ok(crossed)
}

fn wins(collection: &Collection, row: &Row, own: &Row) -> bool {
    match collection.resolution {
        ConflictResolution::SourceWins => true,
        ConflictResolution::TargetWins => false,
        ConflictResolution::Timestamp | ConflictResolution::Resolve => collection.mapping.is_newer(row, own),
    }
}

/// Tries rows once more that were refused for the sake of other rows, which may be in place by now.
async fn retry_refused(
    collection: &Collection,
    refused: Vec<Refused>,
    stats: &mut CollectionStats,
) -> Result<()> {
    let keys: Vec<_> = refused.iter().map(|refused| source_key(collection, &refused.row)).collect();
    let existed: Vec<_> = refused.iter().map(|refused| refused.existed).collect();
    let write = |refused: &Refused| if refused.existed { Write::Upsert } else { Write::Insert };
    let rows = refused.into_iter().map(|refused| (write(&refused), refused.row)).collect();
    for ((error, key), existed) in write_again(collection, rows).await?.into_iter().zip(keys).zip(existed) {
        match error {
            Some(error) => stats.fail_row(key, error.to_string()),
            None if existed => stats.updated += 1,
            None => stats.created += 1,
        }
    }
    Ok(())
}
