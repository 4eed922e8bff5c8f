//! Writing a group of changes into a transaction of the target.

use std::collections::HashMap;

use data::log::Position;
use data::table::{Row, TableTransaction, coerce};
use data::{ErrorKind, Result, Timestamp, Value};
use indexmap::IndexMap;

use super::coalesce::{Net, RowChanges, Written};
use super::conflict::{Existing, keeps_deleted_row, keeps_own_row};
use super::control_tables::ControlTables;
use super::dead_letter::{Content, DeadLetter, Letters};
use super::event::RowOperation;
use super::isolate::{Call, Outcome, Prepared, count, write_rows};
use super::routes::{Route, Routes};
use crate::rule::ConflictResolution;
use crate::snapshot::{canonical_key, key_text};
use crate::stats::CollectionStats;

/// How many refused rows a transaction keeps in memory before they are settled.
const WAITING_REFUSED: usize = 1000;

/// Applies groups of changes within one transaction of the target.
pub(super) struct Applier<'a> {
    pub(super) routes: &'a Routes,
    pub(super) control: &'a ControlTables,
    pub(super) letters: &'a mut Letters,
    /// What the transaction has done so far.
    pub(super) work: Work,
    /// Where in the log the changes lie.
    pub(super) position: Position,
}

/// What a transaction has done so far.
pub(super) struct Work {
    /// For each collection.
    pub(super) stats: Vec<CollectionStats>,
    /// Rows that were refused, by the ids of their letters; they are tried again before the end.
    pub(super) refused: IndexMap<String, Refused>,
}

impl Work {
    pub(super) fn none(routes: &Routes) -> Self {
        Self { stats: routes.no_stats(), refused: IndexMap::new() }
    }
}

/// A row that the target refused, or that does not fit it.
pub(super) struct Refused {
    pub(super) route: usize,
    pub(super) operation: RowOperation,
    pub(super) source_key: Vec<Value>,
    pub(super) what: RefusedRow,
    pub(super) error: data::Error,
}

/// What there is of a refused row.
pub(super) enum RefusedRow {
    /// It could not be brought into the types of the target.
    Source(Row),
    /// The target refused it.
    Target(Prepared),
    /// No change told the whole row.
    Lost,
}

/// The changes of one collection, ready to be written.
#[derive(Default)]
struct Ready {
    deletes: Vec<Prepared>,
    upserts: Vec<Prepared>,
    patches: Vec<Prepared>,
}

impl<'a> Applier<'a> {
    pub(super) fn new(
        routes: &'a Routes,
        control: &'a ControlTables,
        letters: &'a mut Letters,
        work: Work,
        position: Position,
    ) -> Self {
        Self { routes, control, letters, work, position }
    }

    /// Writes changes, given for each collection: deletes children before parents, then rows parents before children.
    pub(super) async fn apply(
        &mut self,
        transaction: &mut dyn TableTransaction,
        changes: &mut [RowChanges],
    ) -> Result<()> {
        let routes = self.routes;
        let mut ready = Vec::with_capacity(changes.len());
        for (index, (route, changes)) in routes.list.iter().zip(changes.iter_mut()).enumerate() {
            let changes = std::mem::take(changes);
            ready.push(match changes.is_empty() {
                true => (false, Ready::default()),
                false => (changes.truncated, self.prepare(transaction, index, route, changes).await?),
            });
        }
        for (index, route) in routes.list.iter().enumerate().rev() {
            let Some((truncated, ready)) = ready.get_mut(index) else { continue };
            if *truncated {
                transaction.truncate(&route.collection.mapping.target).await?;
                self.letters.remove_all(transaction, &self.control.dead_letter, route.label()).await?;
            }
            self.delete(transaction, index, route, std::mem::take(&mut ready.deletes)).await?;
        }
        for (index, (route, (_, ready))) in routes.list.iter().zip(ready).enumerate() {
            self.write(transaction, index, route, Call::Upsert, ready.upserts).await?;
            self.patch(transaction, index, route, ready.patches).await?;
        }
        if self.work.refused.len() > WAITING_REFUSED {
            self.settle(transaction).await?;
        }
        Ok(())
    }

    /// Brings changes into the types of the target, and looks up what they do not tell.
    async fn prepare(
        &mut self,
        transaction: &mut dyn TableTransaction,
        index: usize,
        route: &Route,
        changes: RowChanges,
    ) -> Result<Ready> {
        self.supersede(transaction, route, &changes).await?;
        let (mut deletes, mut writes) = (Vec::new(), Vec::with_capacity(changes.nets.len()));
        let mut relinked = changes.relinked;
        for (canonical, net) in changes.nets {
            match net {
                Net::Delete { key, at, .. } => {
                    relinked.swap_remove(&canonical);
                    deletes.push((key, at));
                }
                Net::Write(written) if route.is_linked() => {
                    let key = route.collection.mapping.source.key_of(&written.row);
                    relinked.entry(canonical).or_insert(key);
                }
                Net::Write(written) => writes.push(written),
            }
        }
        let keys: Vec<_> = relinked.into_values().filter_map(|key| source_typed(route, key)).collect();
        for row in self.rows_of_source(route, &keys).await? {
            writes.push(Written { row, missing: Vec::new(), origin: None, is_new: false });
        }
        let origins = origins(transaction, route, &writes).await?;
        let mut ready = Ready::default();
        let mut lost = Vec::new();
        for written in writes {
            self.convert(index, route, written, &origins, &mut ready, &mut lost);
        }
        self.complete(index, route, lost, &mut ready).await?;
        self.resolve(transaction, index, route, deletes, &mut ready).await?;
        Ok(ready)
    }

    /// A newer change takes the place of what was set aside under its key.
    async fn supersede(
        &mut self,
        transaction: &mut dyn TableTransaction,
        route: &Route,
        changes: &RowChanges,
    ) -> Result<()> {
        if self.letters.is_empty() && self.work.refused.is_empty() {
            return Ok(());
        }
        let mut superseded = Vec::new();
        for net in changes.nets.values() {
            let id = match net {
                Net::Delete { key, .. } => self.letters.id(route.label(), key),
                Net::Write(written) => {
                    let key = route.collection.mapping.source.key_of(&written.row);
                    self.letters.id(route.label(), &key)
                }
            };
            self.work.refused.shift_remove(&id);
            if self.letters.has(&id) {
                superseded.push(id);
            }
        }
        self.letters.remove(transaction, &self.control.dead_letter, superseded).await
    }

    /// Brings a row into the types of the target. One whose missing values the target should have had under another key,
    /// and has not, is `lost`.
    fn convert(
        &mut self,
        index: usize,
        route: &Route,
        written: Written,
        origins: &HashMap<String, Row>,
        ready: &mut Ready,
        lost: &mut Vec<(Vec<Value>, bool)>,
    ) {
        let mapping = &route.collection.mapping;
        let source_key = mapping.source.key_of(&written.row);
        let operation = if written.is_new { RowOperation::Insert } else { RowOperation::Update };
        let (mut row, losses) = match mapping.convert_whole(written.row.clone()) {
            Ok(converted) => converted,
            // Without its missing values the row could not be kept as it is.
            Err(_) if !written.missing.is_empty() => return lost.push((source_key, written.is_new)),
            Err(error) => {
                let what = RefusedRow::Source(written.row);
                return self.refuse(Refused { route: index, operation, source_key, what, error });
            }
        };
        let mut missing: Vec<usize> = (0..mapping.target.columns.len())
            .filter(|column| written.missing.binary_search(&mapping.position(*column)).is_ok())
            .collect();
        if let Some(origin) = written.origin.filter(|_| !missing.is_empty()) {
            let Some(own) = origins.get(&canonical_key(&origin)) else {
                return lost.push((source_key, written.is_new));
            };
            for column in missing.drain(..) {
                if let (Some(slot), Some(value)) = (row.get_mut(column), own.get(column)) {
                    slot.clone_from(value);
                }
            }
        }
        if let Some(stats) = self.work.stats.get_mut(route.stats) {
            mapping.count_losses(losses, stats);
        }
        let key = mapping.target.key_of(&row);
        let prepared = Prepared { source_key, key, row, missing, is_new: written.is_new };
        if prepared.missing.is_empty() {
            ready.upserts.push(prepared);
        } else {
            ready.patches.push(prepared);
        }
    }

    /// Reads rows at the source whose changes did not tell everything.
    async fn complete(
        &mut self,
        index: usize,
        route: &Route,
        lost: Vec<(Vec<Value>, bool)>,
        ready: &mut Ready,
    ) -> Result<()> {
        if lost.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = lost.iter().map(|(key, _)| key.clone()).collect();
        let rows = self.rows_of_source(route, &keys).await?;
        let source = &route.collection.mapping.source;
        let mut found: HashMap<String, Row> =
            rows.into_iter().map(|row| (canonical_key(&source.key_of(&row)), row)).collect();
        for (key, is_new) in lost {
            match found.remove(&canonical_key(&key)) {
                Some(row) => {
                    let written = Written { row, missing: Vec::new(), origin: None, is_new };
                    self.convert(index, route, written, &HashMap::new(), ready, &mut Vec::new());
                }
                // It was deleted meanwhile; that will come.
                None => self.refuse(gone(index, key)),
            }
        }
        Ok(())
    }

    /// Leaves out what the conflict rule of the collection keeps from being written.
    async fn resolve(
        &mut self,
        transaction: &mut dyn TableTransaction,
        index: usize,
        route: &Route,
        deletes: Vec<(Vec<Value>, Timestamp)>,
        ready: &mut Ready,
    ) -> Result<()> {
        let mapping = &route.collection.mapping;
        // A key that the target cannot hold is not there either.
        let target_key = |(key, at): (Vec<Value>, Timestamp)| Some((mapping.target_key(&key)?, key, at));
        let mut deletes: Vec<_> = deletes.into_iter().filter_map(target_key).collect();
        let looks_up = route.collection.resolution != ConflictResolution::SourceWins
            || mapping.target_discriminator.is_some();
        if looks_up {
            let written = ready.upserts.iter().chain(&ready.patches).map(|row| row.key.clone());
            let keys: Vec<_> = written.chain(deletes.iter().map(|(key, ..)| key.clone())).collect();
            let existing = Existing::fetch(transaction, mapping, &keys).await?;
            let Some(stats) = self.work.stats.get_mut(route.stats) else { return Ok(()) };
            deletes.retain(|(key, source_key, at)| {
                // Which entity a row was of is only known at the target.
                if existing.row(key).is_some_and(|own| !mapping.is_of_entity(own)) {
                    return false;
                }
                let kept = existing.row(key).and_then(|own| keeps_deleted_row(&route.collection, own, *at));
                kept.is_none_or(|reason| {
                    stats.skip(key_text(source_key), reason);
                    false
                })
            });
            let mut refused = Vec::new();
            for rows in [&mut ready.upserts, &mut ready.patches] {
                for mut row in std::mem::take(rows) {
                    let Some(own) = existing.row(&row.key) else {
                        rows.push(row);
                        continue;
                    };
                    row.is_new = false;
                    if !mapping.is_of_entity(own) {
                        refused.push((row, foreign_entity()));
                    } else if let Some(reason) = keeps_own_row(&route.collection, &row, own) {
                        stats.skip(key_text(&row.source_key), reason);
                    } else {
                        rows.push(row);
                    }
                }
            }
            self.refuse_all(index, RowOperation::Update, refused);
        }
        ready.deletes = deletes
            .into_iter()
            .map(|(key, source_key, _)| Prepared {
                source_key,
                key,
                row: Vec::new(),
                missing: Vec::new(),
                is_new: false,
            })
            .collect();
        Ok(())
    }

    async fn delete(
        &mut self,
        transaction: &mut dyn TableTransaction,
        index: usize,
        route: &Route,
        keys: Vec<Prepared>,
    ) -> Result<()> {
        let outcome = write_rows(transaction, &route.collection.mapping.target, Call::Delete, keys).await?;
        if let Some(stats) = self.work.stats.get_mut(route.stats) {
            stats.deleted += outcome.rows;
        }
        self.refuse_all(index, RowOperation::Delete, outcome.refused);
        Ok(())
    }

    async fn write(
        &mut self,
        transaction: &mut dyn TableTransaction,
        index: usize,
        route: &Route,
        call: Call,
        rows: Vec<Prepared>,
    ) -> Result<()> {
        let outcome = write_rows(transaction, &route.collection.mapping.target, call, rows).await?;
        self.count_written(route, &outcome.done);
        self.refuse_all(index, RowOperation::Update, outcome.refused);
        Ok(())
    }

    /// Changes the columns that are known. Rows that the target lacks are read whole at the source.
    async fn patch(
        &mut self,
        transaction: &mut dyn TableTransaction,
        index: usize,
        route: &Route,
        rows: Vec<Prepared>,
    ) -> Result<()> {
        let target = &route.collection.mapping.target;
        let Outcome { mut done, rows: existed, refused } =
            write_rows(transaction, target, Call::Patch, rows).await?;
        self.refuse_all(index, RowOperation::Update, refused);
        if existed < count(done.len()) {
            let keys: Vec<_> = done.iter().map(|row| row.key.clone()).collect();
            let existing = Existing::fetch(transaction, &route.collection.mapping, &keys).await?;
            let (there, missing) = done.into_iter().partition(|row| existing.row(&row.key).is_some());
            done = there;
            let missing: Vec<Prepared> = missing;
            let lost = missing.into_iter().map(|row| (row.source_key, true)).collect();
            let mut ready = Ready::default();
            self.complete(index, route, lost, &mut ready).await?;
            self.write(transaction, index, route, Call::Upsert, ready.upserts).await?;
        }
        self.count_written(route, &done);
        Ok(())
    }

    pub(super) fn count_written(&mut self, route: &Route, rows: &[Prepared]) {
        let Some(stats) = self.work.stats.get_mut(route.stats) else { return };
        let created = count(rows.iter().filter(|row| row.is_new).count());
        stats.created += created;
        stats.updated += count(rows.len()) - created;
    }

    async fn rows_of_source(&self, route: &Route, keys: &[Vec<Value>]) -> Result<Vec<Row>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rows = route.collection.source.tables()?.fetch(&route.collection.mapping.source, keys).await?;
        Ok(rows.into_iter().filter(|row| route.is_meant(row)).collect())
    }

    pub(super) fn refuse(&mut self, refused: Refused) {
        let Some(route) = self.routes.list.get(refused.route) else { return };
        let id = self.letters.id(route.label(), &refused.source_key);
        self.work.refused.insert(id, refused);
    }

    pub(super) fn refuse_all(
        &mut self,
        route: usize,
        operation: RowOperation,
        refused: Vec<(Prepared, data::Error)>,
    ) {
        for (row, error) in refused {
            let operation = if row.is_new { RowOperation::Insert } else { operation };
            let source_key = row.source_key.clone();
            self.refuse(Refused { route, operation, source_key, what: RefusedRow::Target(row), error });
        }
    }

    /// The letter of a refused row.
    pub(super) fn letter(&self, id: String, refused: Refused) -> Option<DeadLetter> {
        let route = self.routes.list.get(refused.route)?;
        let mapping = &route.collection.mapping;
        let content = match refused.what {
            RefusedRow::Source(row) => Content::Source(Content::columns(&mapping.source, &row, &[])),
            RefusedRow::Lost => Content::Lost(refused.source_key.clone()),
            RefusedRow::Target(row) if refused.operation == RowOperation::Delete => Content::Key(row.key),
            RefusedRow::Target(row) => {
                Content::Target(Content::columns(&mapping.target, &row.row, &row.missing))
            }
        };
        let now = Timestamp::now();
        Some(DeadLetter {
            id,
            collection: route.label().to_owned(),
            row_key: key_text(&refused.source_key),
            operation: refused.operation,
            content,
            error_code: refused.error.code().to_owned(),
            error: refused.error.to_string(),
            position: self.position.order,
            attempts: 1,
            first_at: now,
            last_at: now,
        })
    }
}

/// What the target held, before the group, under keys that have changed and whose rows are not told whole.
async fn origins(
    transaction: &mut dyn TableTransaction,
    route: &Route,
    writes: &[Written],
) -> Result<HashMap<String, Row>> {
    let mapping = &route.collection.mapping;
    let mut by_target_key = HashMap::new();
    let mut keys = Vec::new();
    for origin in writes.iter().filter_map(|written| written.origin.as_ref()) {
        if let Some(key) = mapping.target_key(origin) {
            by_target_key.insert(canonical_key(&key), canonical_key(origin));
            keys.push(key);
        }
    }
    let existing = Existing::fetch(transaction, mapping, &keys).await?;
    let rows = existing.into_rows().filter_map(|(key, row)| Some((by_target_key.remove(&key)?, row)));
    Ok(rows.collect())
}

/// A key, as a junction has it, in the types of the table that it points to.
fn source_typed(route: &Route, key: Vec<Value>) -> Option<Vec<Value>> {
    let mapping = &route.collection.mapping;
    let columns = mapping.source.key.iter().filter_map(|position| mapping.source.columns.get(*position));
    let limits = route.collection.source.tables().ok()?.limits();
    let fit = |(value, column): (Value, &data::table::TableColumn)| {
        coerce(value, &column.column_type, &limits).ok().map(|coerced| coerced.value)
    };
    key.into_iter().zip(columns).map(fit).collect()
}

fn gone(route: usize, source_key: Vec<Value>) -> Refused {
    let message =
        "the change does not tell the whole row, the target does not have it, and it is gone from the source";
    Refused {
        route,
        operation: RowOperation::Update,
        what: RefusedRow::Lost,
        source_key,
        error: data::Error::new(ErrorKind::Value, message),
    }
}

fn foreign_entity() -> data::Error {
    let message = "a row of another entity has this primary key at the target";
    data::Error::new(ErrorKind::UniqueViolation, message)
}
