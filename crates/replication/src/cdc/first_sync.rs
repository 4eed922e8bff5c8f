//! The first copy: chunks side by side, each written with its mark in one transaction of the target, so that what is
//! finished stays finished through a crash.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use data::log::{LogSnapshot, Position};
use data::table::{KeyRange, ReadSnapshot, Row, RowBatch, ScanOptions, TableTransaction};
use data::{DialectKind, ErrorKind};
use tokio::task::JoinSet;

use super::apply::{Applier, Refused, RefusedRow, Work};
use super::chunk::{Chunk, is_to_be_copied, store_chunks};
use super::conflict::{Existing, keeps_own_row};
use super::control_tables::ControlTables;
use super::dead_letter::Letters;
use super::event::RowOperation;
use super::isolate::{Prepared, count, write_whole};
use super::lease::Lease;
use super::routes::{Route, Routes};
use crate::error::{Error, Result};
use crate::rule::Rule;
use crate::snapshot::{End, Passage, ProgressListener, Reporter, canonical_key};
use crate::stats::CollectionStats;

/// How many chunks are copied at a time.
const CHUNKS_AT_ONCE: usize = 4;
/// How often a chunk is begun whose transaction collides with others.
const COLLISION_ATTEMPTS: u32 = 5;
/// How many rows a transaction of a document database takes, which must end within a minute.
const ROWS_PER_DOCUMENT_TRANSACTION: usize = 10_000;

/// What the workers of a copy share.
struct Copy {
    rule: Rule,
    target: End,
    reader: String,
    control: Arc<ControlTables>,
    lease: Arc<Lease>,
    routes: Arc<Routes>,
    /// Where in the log the view lies.
    position: Position,
    /// For each collection.
    reporters: Vec<Reporter>,
    waiting: Mutex<VecDeque<(Chunk, Option<KeyRange>)>>,
}

/// What is copied: chunks that are still to be, of all that a reader has.
pub(super) struct CopyPlan<'a> {
    pub(super) rule: &'a Rule,
    pub(super) target: &'a End,
    pub(super) reader: &'a str,
    pub(super) control: &'a Arc<ControlTables>,
    pub(super) lease: &'a Arc<Lease>,
    pub(super) routes: &'a Arc<Routes>,
    pub(super) chunks: &'a [Chunk],
    pub(super) listener: Option<ProgressListener>,
}

/// Copies every chunk that is still to be copied, and counts what was done in `stats`.
pub(super) async fn copy_chunks(
    plan: CopyPlan<'_>,
    view: LogSnapshot,
    stats: &mut [CollectionStats],
) -> Result<()> {
    let waiting = waiting(plan.chunks);
    let tables: HashSet<&str> = waiting.iter().map(|(chunk, _)| chunk.table.as_str()).collect();
    let mut reporters = Vec::with_capacity(plan.routes.list.len());
    for route in &plan.routes.list {
        let listener = plan.listener.clone().filter(|_| tables.contains(route.captured.name.as_str()));
        reporters.push(Reporter::start(listener, plan.rule, &route.collection).await);
    }
    let mut readers = vec![view.snapshot];
    // A transform is given rows in their order.
    let transforms = plan.routes.list.iter().any(|route| route.collection.mapping.transforms());
    let most = if transforms { 1 } else { workers(plan.target).min(waiting.len()) };
    while readers.len() < most {
        let Some(first) = readers.first() else { break };
        match first.fork().await.map_err(Error::database_in("source snapshot"))? {
            Some(reader) => readers.push(reader),
            None => break,
        }
    }
    let copy = Arc::new(Copy {
        rule: plan.rule.clone(),
        target: plan.target.clone(),
        reader: plan.reader.to_owned(),
        control: Arc::clone(plan.control),
        lease: Arc::clone(plan.lease),
        routes: Arc::clone(plan.routes),
        position: view.position,
        reporters,
        waiting: Mutex::new(waiting),
    });
    let mut workers = JoinSet::new();
    for reader in readers {
        workers.spawn(Arc::clone(&copy).work(reader));
    }
    while let Some(finished) = workers.join_next().await {
        let done = finished.map_err(|error| Error::Task(error.to_string()))??;
        for (stats, part) in stats.iter_mut().zip(done) {
            stats.add(part);
        }
    }
    copy.reporters.iter().for_each(Reporter::finish);
    Ok(())
}

fn workers(target: &End) -> usize {
    // SQLite has one writer at a time.
    let one_writer = target.dialect().is_none_or(|dialect| dialect.kind() == DialectKind::Sqlite);
    if one_writer { 1 } else { CHUNKS_AT_ONCE }
}

fn waiting(chunks: &[Chunk]) -> VecDeque<(Chunk, Option<KeyRange>)> {
    let mut waiting = VecDeque::new();
    let mut before: Option<&Chunk> = None;
    for chunk in chunks {
        let range = chunk.range(before.filter(|before| before.table == chunk.table));
        if !chunk.is_copied {
            waiting.push_back((chunk.clone(), range));
        }
        before = Some(chunk);
    }
    waiting
}

impl Copy {
    async fn work(self: Arc<Self>, reader: Box<dyn ReadSnapshot>) -> Result<Vec<CollectionStats>> {
        let mut stats = self.routes.no_stats();
        loop {
            let next = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some((chunk, range)) = next else { return Ok(stats) };
            let mut attempt = 1;
            let done = loop {
                match self.chunk(reader.as_ref(), &chunk, range.clone()).await {
                    Err(error) if is_collision(&error) && attempt < COLLISION_ATTEMPTS => attempt += 1,
                    outcome => break outcome?,
                }
            };
            for (stats, part) in stats.iter_mut().zip(done) {
                stats.add(part);
            }
        }
    }

    /// Copies a chunk and marks it as copied.
    async fn chunk(
        &self,
        reader: &dyn ReadSnapshot,
        chunk: &Chunk,
        range: Option<KeyRange>,
    ) -> Result<Vec<CollectionStats>> {
        let name = chunk.table.clone();
        let in_table = || Error::database_in(format!("table \"{name}\""));
        // The letters of rows that are copied anew were removed when that was planned.
        let mut letters = Letters::none(&self.reader);
        let mut chunk = chunk.clone();
        let mut transaction = self.begin(&mut chunk).await?;
        let mut applier = Applier::new(
            &self.routes,
            &self.control,
            &mut letters,
            Work::none(&self.routes),
            self.position.clone(),
        );
        let mut uncommitted = 0;
        for (index, route) in self.routes.of_table(&name) {
            let collection = &route.collection;
            let passage = Passage::of(collection).map_err(in_table())?;
            let target = collection.target.tables().map_err(in_table())?;
            let options = ScanOptions {
                keys_only: false,
                binary_tuples: true,
                batch_rows: passage.batch_rows(target),
                discriminator: collection.mapping.source_discriminator.clone(),
                changed_since: None,
                range: range.clone(),
            };
            let source = Arc::clone(&collection.mapping.source);
            let mut batches = collection.source.scan_in(reader, source, options).await.map_err(in_table())?;
            while let Some(batch) = batches.recv().await {
                let batch = passage.pack(batch.map_err(in_table())?);
                let rows = batch.len();
                applier.copy(transaction.as_mut(), index, route, batch).await.map_err(in_table())?;
                if let Some(reporter) = self.reporters.get(index) {
                    reporter.add(rows);
                }
                uncommitted += rows;
                if self.target.is_schemaless() && uncommitted >= ROWS_PER_DOCUMENT_TRANSACTION {
                    transaction.commit().await.map_err(in_table())?;
                    transaction = self.begin(&mut chunk).await?;
                    uncommitted = 0;
                }
            }
        }
        applier.settle(transaction.as_mut()).await.map_err(in_table())?;
        applier.work.check(&self.rule)?;
        chunk.position.get_or_insert_with(|| self.position.clone());
        chunk.is_copied = true;
        let stats = applier.work.stats;
        let marked = store_chunks(
            transaction.as_mut(),
            &self.control.chunk,
            &self.reader,
            std::slice::from_ref(&chunk),
        );
        marked.await.map_err(in_table())?;
        transaction.commit().await.map_err(in_table())?;
        Ok(stats)
    }

    /// Begins a transaction for a chunk that nobody else copies. Where a chunk may take several, or a transaction cannot be
    /// undone, its position is kept first: rows that are written before a crash are as old as that.
    async fn begin(&self, chunk: &mut Chunk) -> Result<Box<dyn TableTransaction>> {
        let name = chunk.table.clone();
        let in_table = || Error::database_in(format!("table \"{name}\""));
        let table = &self.control.chunk;
        let mut transaction = self.lease.begin().await.map_err(in_table())?;
        let own =
            is_to_be_copied(transaction.as_mut(), table, &self.reader, chunk).await.map_err(in_table())?;
        if !own {
            return Err(Error::LeaseLost(self.rule.name.clone()));
        }
        if chunk.position.is_some() || (transaction.is_atomic() && !self.target.is_schemaless()) {
            return Ok(transaction);
        }
        let begun = Chunk { position: Some(self.position.clone()), ..chunk.clone() };
        let stored =
            store_chunks(transaction.as_mut(), table, &self.reader, std::slice::from_ref(&begun)).await;
        stored.map_err(in_table())?;
        transaction.commit().await.map_err(in_table())?;
        let transaction = self.lease.begin().await.map_err(in_table())?;
        *chunk = begun;
        Ok(transaction)
    }
}

fn is_collision(error: &Error) -> bool {
    error.database().is_some_and(|error| error.kind() == ErrorKind::Conflict)
}

impl Applier<'_> {
    /// Writes rows of a first copy.
    async fn copy(
        &mut self,
        transaction: &mut dyn TableTransaction,
        index: usize,
        route: &Route,
        batch: RowBatch,
    ) -> data::Result<()> {
        let (collection, mapping) = (&route.collection, &route.collection.mapping);
        let is_ready = match &batch {
            RowBatch::Packed(_) => true,
            RowBatch::PgBinary { .. } => mapping.takes_tuples(collection.target.tables()?),
            RowBatch::Rows(_) => false,
        };
        if is_ready && collection.fresh {
            match transaction.insert(&mapping.target, &batch).await {
                Ok(()) => {
                    if let Some(stats) = self.work.stats.get_mut(route.stats) {
                        stats.created += count(batch.len());
                    }
                    return Ok(());
                }
                Err(error) if !error.kind().is_row_level() => return Err(error),
                // Some row of it is refused; they are looked at one by one.
                Err(_) => {}
            }
        }
        let rows = self.admitted(transaction, index, route, batch.into_rows()?).await?;
        let rows = self.converted(index, route, rows);
        if collection.fresh {
            let outcome = write_whole(transaction, &mapping.target, &route.takes_inserts, rows).await?;
            self.copied(index, route, outcome.done, outcome.refused);
            return Ok(());
        }
        let keys: Vec<_> = rows.iter().map(|row| row.key.clone()).collect();
        let existing = Existing::fetch(transaction, mapping, &keys).await?;
        let rows = self.differing(index, route, rows, &existing);
        let outcome = write_whole(transaction, &mapping.target, &route.takes_inserts, rows).await?;
        self.copied(index, route, outcome.done, outcome.refused);
        Ok(())
    }

    fn converted(&mut self, index: usize, route: &Route, rows: Vec<Row>) -> Vec<Prepared> {
        let mapping = &route.collection.mapping;
        let mut prepared = Vec::with_capacity(rows.len());
        let mut seen = HashSet::with_capacity(rows.len());
        for source_row in rows {
            let source_key = mapping.source.key_of(&source_row);
            let refuse = |what, error| Refused {
                route: index,
                operation: RowOperation::Insert,
                source_key: source_key.clone(),
                what,
                error,
            };
            match mapping.convert_whole(source_row.clone()) {
                // A row that was transformed is no row of the source any more, which is read again then.
                Err(error) if mapping.transforms() => self.refuse(refuse(RefusedRow::Lost, error)),
                Err(error) => self.refuse(refuse(RefusedRow::Source(source_row), error)),
                Ok((row, losses)) => {
                    let key = mapping.target.key_of(&row);
                    let is_first = seen.insert(canonical_key(&key));
                    let row = Prepared {
                        source_key: source_key.clone(),
                        key,
                        row,
                        missing: Vec::new(),
                        is_new: true,
                    };
                    if !is_first {
                        self.refuse(refuse(RefusedRow::Target(row), same_key()));
                        continue;
                    }
                    if let Some(stats) = self.work.stats.get_mut(route.stats) {
                        mapping.count_losses(losses, stats);
                    }
                    prepared.push(row);
                }
            }
        }
        prepared
    }

    /// The rows that the target does not have as they are, and is to have.
    fn differing(
        &mut self,
        index: usize,
        route: &Route,
        rows: Vec<Prepared>,
        existing: &Existing,
    ) -> Vec<Prepared> {
        let (collection, mapping) = (&route.collection, &route.collection.mapping);
        let mut differing = Vec::new();
        for mut row in rows {
            let Some(own) = existing.row(&row.key) else {
                differing.push(row);
                continue;
            };
            row.is_new = false;
            if !mapping.is_of_entity(own) {
                let source_key = row.source_key.clone();
                let (operation, what) = (RowOperation::Insert, RefusedRow::Target(row));
                self.refuse(Refused { route: index, operation, source_key, what, error: other_entity() });
                continue;
            }
            let Some(stats) = self.work.stats.get_mut(route.stats) else { continue };
            if mapping.is_same(&row.row, own) {
                stats.skipped += 1;
            } else if let Some(reason) = keeps_own_row(collection, &row, own) {
                stats.skip(crate::snapshot::key_text(&row.source_key), reason);
            } else {
                differing.push(row);
            }
        }
        differing
    }

    fn copied(
        &mut self,
        index: usize,
        route: &Route,
        done: Vec<Prepared>,
        refused: Vec<(Prepared, data::Error)>,
    ) {
        self.count_written(route, &done);
        self.refuse_all(index, RowOperation::Insert, refused);
    }
}

fn same_key() -> data::Error {
    data::Error::new(ErrorKind::UniqueViolation, "another row has the same primary key at the target")
}

fn other_entity() -> data::Error {
    let message = "a row of another entity has this primary key at the target";
    data::Error::new(ErrorKind::UniqueViolation, message)
}
