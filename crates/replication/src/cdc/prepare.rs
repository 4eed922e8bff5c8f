//! Changes brought into the types of the target, with what they do not tell looked up, and without what the conflict rule
//! keeps from being written.

use std::collections::{HashMap, HashSet};

use data::table::{Row, TableTransaction, coerce};
use data::{ErrorKind, Result, Timestamp, Value};

use super::apply::{Applier, Refused, RefusedRow};
use super::choose::{Chosen, choose};
use super::coalesce::{RowChanges, Written};
use super::conflict::{Existing, keeps_deleted_row, keeps_own_row};
use super::event::RowOperation;
use super::isolate::Prepared;
use super::routes::Route;
use crate::rule::ConflictResolution;
use crate::snapshot::{Candidate, canonical_key, key_text};

/// The changes of one collection, ready to be written.
#[derive(Default)]
pub(super) struct Ready {
    pub(super) deletes: Vec<Prepared>,
    pub(super) upserts: Vec<Prepared>,
    pub(super) patches: Vec<Prepared>,
}

impl Applier<'_> {
    /// Brings changes into the types of the target, and looks up what they do not tell.
    pub(super) async fn prepare(
        &mut self,
        transaction: &mut dyn TableTransaction,
        index: usize,
        route: &Route,
        changes: RowChanges,
    ) -> Result<Ready> {
        self.supersede(transaction, route, &changes).await?;
        let chosen = match changes.chosen {
            Some(chosen) => chosen,
            None => choose(index, route, changes.nets, changes.relinked).await?,
        };
        let Chosen { writes, deletes, refused, .. } = chosen;
        for refused in refused {
            self.refuse(refused);
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
        let told = changes.nets.values().map(|net| net.key(route));
        let chosen = changes.chosen.iter().flat_map(|chosen| chosen.keys.iter().cloned());
        for key in told.chain(chosen) {
            let id = self.letters.id(route.label(), &key);
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
                // A row that was transformed is no row of the source any more, which is read again then.
                let is_as_read = !mapping.transforms();
                let what = if is_as_read { RefusedRow::Source(written.row) } else { RefusedRow::Lost };
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
    pub(super) async fn complete(
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
        let rows = route.rows_of_source(&keys).await?;
        let mapping = &route.collection.mapping;
        let key_of = |row: &Candidate| canonical_key(&mapping.source.key_of(&row.row));
        let admitted = mapping.admit_copied(rows).await?;
        // What made the target not have them comes later in the log.
        let dropped: HashSet<String> = admitted.dropped.iter().map(key_of).collect();
        let mut refused: HashMap<String, _> =
            admitted.refused.into_iter().map(|(row, error)| (key_of(&row), (row, error))).collect();
        let mut found: HashMap<String, Candidate> =
            admitted.kept.into_iter().map(|row| (key_of(&row), row)).collect();
        for (key, is_new) in lost {
            let canonical = canonical_key(&key);
            if let Some((Candidate { row, .. }, error)) = refused.remove(&canonical) {
                self.refuse(not_transformed(index, route, row, is_new, error));
                continue;
            }
            match found.remove(&canonical) {
                None if dropped.contains(&canonical) => {}
                Some(Candidate { row, .. }) => {
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
pub(super) fn source_typed(route: &Route, key: Vec<Value>) -> Option<Vec<Value>> {
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

/// A row for which the transform failed.
pub(super) fn not_transformed(
    index: usize,
    route: &Route,
    row: Row,
    is_new: bool,
    error: data::Error,
) -> Refused {
    let operation = if is_new { RowOperation::Insert } else { RowOperation::Update };
    let source_key = route.collection.mapping.source.key_of(&row);
    Refused { route: index, operation, source_key, what: RefusedRow::Source(row), error }
}

fn foreign_entity() -> data::Error {
    let message = "a row of another entity has this primary key at the target";
    data::Error::new(ErrorKind::UniqueViolation, message)
}
