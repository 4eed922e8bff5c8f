//! A batch: transactions of the source that become one transaction of the target.

use std::collections::HashSet;

use data::log::{Change, LoggedTransaction, Operation, Position};
use data::table::{Table, TableTransaction};
use data::{Timestamp, Value};
use tokio::time::Instant;

use super::apply::{Applier, Work};
use super::checkpoint::Checkpoint;
use super::choose::choose_all;
use super::coalesce::RowChanges;
use super::event::{CdcEvent, RowOperation};
use super::isolate::count;
use super::pace::Pace;
use super::provenance::{self, OwnRows};
use super::routes::Routes;
use super::run::{Session, check_fence};
use crate::error::{Error, Result};
use crate::snapshot::{canonical_key, key_columns, key_text};

/// How many changes are held before they are written.
const MOST_CHANGES: u64 = 2_000;
/// How many bytes of values are held before they are written.
const MOST_BYTES: usize = 4 << 20;
/// After how many changes a transaction of the source is split for a document database, whose own must end within a
/// minute.
const MOST_DOCUMENT_CHANGES: u64 = 20_000;

/// And after how many bytes: what a transaction changes stays in the cache of such a server until its end.
const MOST_DOCUMENT_BYTES: usize = 16 << 20;

/// How many changes of rows are kept to be told of when they are committed; of a larger batch they are told before.
const MOST_TOLD: usize = 10_000;

/// What has been read and is not committed at the target.
pub(super) struct Batch {
    /// What waits to be written, for each collection.
    changes: Vec<RowChanges>,
    waiting: u64,
    weight: usize,
    /// How many bytes have been written and are not committed.
    written: usize,
    /// How many transactions of the source have ended in the batch.
    transactions: u64,
    /// How many changes the batch has in all.
    total: u64,
    begun: Instant,
    /// Where the last transaction that has ended in the batch lies, and when it was committed.
    ended: Option<(Position, Timestamp)>,
    /// The transaction of the source whose end has not been read.
    current: Option<LoggedTransaction>,
    /// How many changes of that have been read.
    ordinal: u64,
    /// How many of its changes were applied before.
    to_skip: u64,
    transaction: Option<Box<dyn TableTransaction>>,
    work: Work,
    /// The rows that were changed, if somebody wants to know.
    told: Vec<CdcEvent>,
    /// The keys that the source holds after what was written, where that is kept.
    own_rows: OwnRows,
}

impl Batch {
    /// A batch behind a checkpoint.
    pub(super) fn new(session: &Session) -> Self {
        Self::behind(session, session.checkpoint.ordinal)
    }

    fn behind(session: &Session, to_skip: u64) -> Self {
        Self {
            changes: no_changes(&session.routes),
            waiting: 0,
            weight: 0,
            written: 0,
            transactions: 0,
            total: 0,
            begun: Instant::now(),
            ended: None,
            current: None,
            ordinal: 0,
            to_skip,
            transaction: None,
            work: Work::none(&session.routes),
            told: Vec::new(),
            own_rows: session.checkpoint.own_rows.clone(),
        }
    }

    /// Whether nothing has been read that is to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.total == 0 && self.current.is_none()
    }

    /// Whether a transaction of the source has not ended.
    pub(super) fn is_within_transaction(&self) -> bool {
        self.current.is_some()
    }

    /// Whether it is time to commit, given that no transaction is open, and how long batches of this session are added to.
    pub(super) fn is_full(&self, pace: &Pace) -> bool {
        self.transaction.is_some()
            || self.is_heavy()
            || self.begun.elapsed() >= pace.longest(self.ended.as_ref())
    }

    fn is_heavy(&self) -> bool {
        self.waiting >= MOST_CHANGES || self.weight >= MOST_BYTES
    }

    /// Undoes what has been written into its transaction.
    pub(super) async fn give_up(&mut self) {
        if let Some(transaction) = self.transaction.take()
            && let Err(error) = transaction.rollback().await
        {
            tracing::debug!("a transaction that is given up was not rolled back: {error}");
        }
    }

    /// Up to where everything has been read, if a transaction has ended.
    pub(super) fn ended(&self) -> Option<&Position> {
        self.ended.as_ref().map(|(position, _)| position)
    }

    pub(super) fn begin(&mut self, transaction: LoggedTransaction) {
        if self.is_empty() {
            self.begun = Instant::now();
        }
        self.current = Some(transaction);
        self.ordinal = 0;
    }

    pub(super) fn end(&mut self, position: Position) {
        let committed_at = self.current.take().map_or(Timestamp(0), |current| current.committed_at);
        if self.ordinal > 0 {
            self.to_skip = 0;
        }
        self.transactions += 1;
        self.ended = Some((position, committed_at));
    }
}

impl Session {
    /// Adds changes, and writes them where there are too many to be held.
    pub(super) async fn add(&mut self, batch: &mut Batch, mut changes: Vec<Change>) -> Result<()> {
        let Some(current) = batch.current.clone() else {
            return Err(Error::Task("the log told of changes outside of a transaction".to_owned()));
        };
        let before = batch.ordinal;
        batch.ordinal += count(changes.len());
        if batch.to_skip > before {
            let skipped = usize::try_from(batch.to_skip - before).unwrap_or(usize::MAX);
            changes.drain(..skipped.min(changes.len()));
        }
        let unseen = self.watermarks.unseen(self.log()?, changes, &current.position).await;
        let unseen = unseen.map_err(self.in_rule())?;
        if let Some(table) = unseen.half_truncated {
            return Err(Error::Retry(self.copy_again(batch, &table.name).await?));
        }
        for table in unseen.truncated {
            for change in self.departed_rows(&table).await? {
                self.add_change(batch, change, &current).await?;
            }
        }
        for change in unseen.changes {
            self.add_change(batch, change, &current).await?;
        }
        for (table, keys) in unseen.departed {
            for change in self.still_departed(&table, keys).await? {
                self.add_change(batch, change, &current).await?;
            }
        }
        if batch.is_heavy() {
            self.write(batch).await?;
            let changes = batch.ordinal.saturating_sub(batch.to_skip);
            let is_too_large = changes >= MOST_DOCUMENT_CHANGES || batch.written >= MOST_DOCUMENT_BYTES;
            if self.target.is_schemaless() && is_too_large {
                self.split(batch, current).await?;
            }
        }
        Ok(())
    }

    /// Deletions of keys that the source has no rows for. Those that it has again were copied.
    async fn still_departed(
        &self,
        table: &std::sync::Arc<Table>,
        mut keys: Vec<Vec<Value>>,
    ) -> Result<Vec<Change>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        // Other columns may have had other names when it was logged.
        let Some((_, route)) = self.routes.of_table(&table.name).next() else { return Ok(Vec::new()) };
        let tables = self.source.tables().map_err(self.in_rule())?;
        let rows = tables.fetch(&key_columns(&route.captured), &keys).await.map_err(self.in_rule())?;
        let present: HashSet<String> = rows.iter().map(|key| canonical_key(key)).collect();
        keys.retain(|key| !present.contains(&canonical_key(key)));
        let delete =
            |key| Change { table: std::sync::Arc::clone(table), operation: Operation::Delete { key } };
        Ok(keys.into_iter().map(delete).collect())
    }

    async fn add_change(&self, batch: &mut Batch, change: Change, current: &LoggedTransaction) -> Result<()> {
        let Change { table, operation } = change;
        batch.waiting += 1;
        batch.total += 1;
        batch.weight += operation.weight();
        for junction in self.routes.junctions_of(&table.name) {
            let parent = self.routes.list.get(junction.route).map(|route| route.captured.name.as_str());
            if parent.is_some_and(|parent| self.watermarks.have_copied(parent, &current.position)) {
                continue;
            }
            let parents = match &operation {
                Operation::Insert { row } => vec![junction.parent_of_row(&table, row)],
                Operation::Update { old_key, row, .. } => vec![
                    junction.parent_of_row(&table, row),
                    old_key.as_ref().and_then(|key| junction.parent_of_key(&table, key)),
                ],
                Operation::Delete { key } => vec![junction.parent_of_key(&table, key)],
                Operation::Truncate => {
                    return Err(Error::Retry(self.copy_linked_again(batch, &table).await?));
                }
            };
            let Some(changes) = batch.changes.get_mut(junction.route) else { continue };
            for parent in parents.into_iter().flatten() {
                changes.relinked.insert(crate::snapshot::canonical_key(&parent), parent);
            }
        }
        let mut routes = self.routes.of_table(&table.name).peekable();
        if let Some((_, route)) = routes.peek()
            && self.has_new_fields(route, &table, &operation).await?
        {
            return Err(Error::Retry(format!("documents of \"{}\" have new fields", table.name)));
        }
        if let Some((_, route)) = routes.peek()
            && !std::sync::Arc::ptr_eq(&route.captured, &table)
            && self.columns_changed(&table, route).await?
        {
            return Err(Error::Retry(format!("the columns of table \"{}\" have changed", table.name)));
        }
        while let Some((index, route)) = routes.next() {
            let layout = route.layout(&table);
            if self.shared.wants_changes() && !route.leaves_out(&layout, &operation) {
                batch.told.push(self.told(route.label(), &table, &operation, current.committed_at));
                if batch.told.len() >= MOST_TOLD {
                    batch.told.drain(..).for_each(|event| self.shared.tell(event));
                    self.shared.heard().await;
                }
            }
            let Some(changes) = batch.changes.get_mut(index) else { continue };
            let more = routes.peek().is_some();
            if more {
                changes.add(route, &layout, operation.clone(), current.committed_at);
            } else {
                changes.add(route, &layout, operation, current.committed_at);
                break;
            }
        }
        Ok(())
    }

    fn told(&self, collection: &str, table: &Table, operation: &Operation, at: Timestamp) -> CdcEvent {
        let (operation, key) = match operation {
            Operation::Insert { row } => (RowOperation::Insert, table.key_of(row)),
            Operation::Update { row, .. } => (RowOperation::Update, table.key_of(row)),
            Operation::Delete { key } => (RowOperation::Delete, key.clone()),
            Operation::Truncate => (RowOperation::Truncate, Vec::new()),
        };
        CdcEvent::Change {
            rule: self.rule.name.clone(),
            collection: collection.to_owned(),
            operation,
            key: key_text(&key),
            at: at.millis(),
        }
    }

    /// Writes what waits into the transaction of the batch.
    async fn write(&mut self, batch: &mut Batch) -> Result<()> {
        if self.routes.transform() {
            // Whatever the application's function waits for, it keeps no lock of the target, and nobody from stopping.
            tokio::select! {
                chosen = choose_all(&self.routes, &mut batch.changes) => chosen.map_err(self.in_rule())?,
                () = self.shared.stopping() => return Err(Error::stopped(&self.rule.name)),
            }
        }
        let mut transaction = match batch.transaction.take() {
            Some(transaction) => transaction,
            None => self.begin_fenced().await?,
        };
        let position = batch.current.as_ref().map(|current| &current.position).or(batch.ended());
        let position = position.cloned().unwrap_or_else(|| self.checkpoint.position.clone());
        let work = std::mem::replace(&mut batch.work, Work::none(&self.routes));
        for (route, changes) in self.routes.list.iter().zip(&batch.changes) {
            if let Some(own) = batch.own_rows.get_mut(&route.captured.name) {
                provenance::follow(own, changes);
            }
        }
        let mut applier = Applier::new(&self.routes, &self.control, &mut self.letters, work, position);
        let outcome = applier.apply(transaction.as_mut(), &mut batch.changes).await;
        batch.work = applier.work;
        outcome.map_err(self.in_rule())?;
        batch.waiting = 0;
        batch.written += std::mem::take(&mut batch.weight);
        batch.transaction = Some(transaction);
        Ok(())
    }

    pub(super) async fn begin_fenced(&self) -> Result<Box<dyn TableTransaction>> {
        if self.lease.is_lost() {
            return Err(Error::LeaseLost(self.rule.name.clone()));
        }
        let mut transaction = self.lease.begin().await.map_err(self.in_rule())?;
        check_fence(&self.rule.name, transaction.as_mut(), &self.control, &self.checkpoint).await?;
        Ok(transaction)
    }

    /// Commits a part of a transaction that is too large for the target.
    async fn split(&mut self, batch: &mut Batch, current: LoggedTransaction) -> Result<()> {
        let ordinal = batch.ordinal;
        let (position, committed_at) = batch
            .ended
            .clone()
            .unwrap_or_else(|| (self.checkpoint.position.clone(), self.checkpoint.committed_at));
        let next = Checkpoint { position, ordinal, committed_at, ..self.checkpoint.clone() };
        self.commit(batch, next).await?;
        let done = std::mem::replace(batch, Batch::behind(self, ordinal));
        batch.current = Some(current);
        batch.ordinal = ordinal;
        drop(done);
        Ok(())
    }

    /// Commits whole transactions; up to where, if there were any.
    pub(super) async fn flush(&mut self, batch: &mut Batch) -> Result<Option<Position>> {
        let Some((position, committed_at)) = batch.ended.clone() else { return Ok(None) };
        if batch.total > 0 || batch.transaction.is_some() {
            let next = Checkpoint {
                position: position.clone(),
                ordinal: 0,
                committed_at,
                ..self.checkpoint.clone()
            };
            self.commit(batch, next).await?;
        }
        *batch = Batch::behind(self, batch.to_skip);
        Ok(Some(position))
    }

    async fn commit(&mut self, batch: &mut Batch, next: Checkpoint) -> Result<()> {
        let commit_begun = Instant::now();
        self.write(batch).await?;
        let Some(mut transaction) = batch.transaction.take() else { return Ok(()) };
        let work = std::mem::replace(&mut batch.work, Work::none(&self.routes));
        let position = next.position.clone();
        let mut applier =
            Applier::new(&self.routes, &self.control, &mut self.letters, work, position.clone());
        let settled = applier.settle(transaction.as_mut()).await;
        let work = applier.work;
        settled.map_err(self.in_rule())?;
        if let Err(refused) = work.check(&self.rule) {
            if batch.transactions > 1 && !self.shared.goes_one_by_one() {
                // Those before the one that is refused are to be applied.
                self.shared.go_one_by_one();
                return Err(Error::Retry(refused.to_string()));
            }
            return Err(refused);
        }
        let next = Checkpoint {
            from: self.checkpoint.position.order,
            applied_at: Timestamp::now(),
            own_rows: batch.own_rows.clone(),
            ..next
        };
        let in_rule = || Error::database_in(format!("rule \"{}\"", self.rule.name));
        next.advance(transaction.as_mut(), &self.control.checkpoint).await.map_err(in_rule())?;
        transaction.commit().await.map_err(in_rule())?;
        self.pace.last_commit = commit_begun.elapsed();
        self.letters.committed();
        self.shared.applied(next.committed_at);
        self.checkpoint = next;
        self.committed(batch, work);
        Ok(())
    }

    /// Tells of what was committed.
    fn committed(&self, batch: &mut Batch, work: Work) {
        let sum = |of: fn(&crate::stats::CollectionStats) -> u64| work.stats.iter().map(of).sum();
        self.shared.tell(CdcEvent::Batch {
            rule: self.rule.name.clone(),
            transactions: batch.transactions,
            created: sum(|stats| stats.created),
            updated: sum(|stats| stats.updated),
            deleted: sum(|stats| stats.deleted),
            skipped: sum(|stats| stats.skipped),
            failed: sum(|stats| stats.errors),
            position: self.shared.position_text(&self.checkpoint.position),
            committed_at_ms: self.checkpoint.committed_at.millis(),
            duration_ms: u64::try_from(batch.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        batch.told.drain(..).for_each(|event| self.shared.tell(event));
        self.shared.add(work.stats);
    }
}

fn no_changes(routes: &Routes) -> Vec<RowChanges> {
    routes.list.iter().map(|_| RowChanges::default()).collect()
}
