//! Which of the rows that changes leave behind the target is to have: those for which the filter of the rule holds, as its
//! transform makes them. A row that it is to have no longer is deleted there.

use std::collections::HashMap;

use data::schema::UPDATED_AT;
use data::table::{Row, TableTransaction};
use data::{Result, Timestamp, Value};
use indexmap::IndexMap;

use super::apply::{Applier, Refused};
use super::coalesce::{Net, RowChanges, Written};
use super::conflict::Existing;
use super::isolate::Prepared;
use super::prepare::{not_transformed, source_typed};
use super::routes::{Route, Routes};
use crate::snapshot::{Candidate, Mapping, canonical_key, moment};

/// A key that loses its row at the target, and when.
type Deletion = (Vec<Value>, Timestamp);

/// What the changes of a collection come to.
#[derive(Default)]
pub(super) struct Chosen {
    /// The keys at the source that have changed.
    pub(super) keys: Vec<Vec<Value>>,
    /// The rows that are written.
    pub(super) writes: Vec<Written>,
    /// The keys that lose their rows.
    pub(super) deletes: Vec<Deletion>,
    /// The rows for which the transform failed.
    pub(super) refused: Vec<Refused>,
}

/// Chooses among changes of collections that do not carry every row as it is. That is done before a transaction of the target is
/// begun, as nobody knows how long the function of an application takes.
pub(super) async fn choose_all(routes: &Routes, changes: &mut [RowChanges]) -> Result<()> {
    for (index, (route, changes)) in routes.list.iter().zip(changes).enumerate() {
        if route.collection.mapping.is_choosy() && !(changes.nets.is_empty() && changes.relinked.is_empty()) {
            let keys = changes.nets.values().map(|net| net.key(route)).collect();
            let (nets, relinked) = (std::mem::take(&mut changes.nets), std::mem::take(&mut changes.relinked));
            changes.chosen = Some(Chosen { keys, ..choose(index, route, nets, relinked).await? });
        }
    }
    Ok(())
}

/// What becomes of the keys of a collection. Rows of which a change does not tell everything are read at the source where that
/// decides.
pub(super) async fn choose(
    index: usize,
    route: &Route,
    nets: IndexMap<String, Net>,
    mut relinked: IndexMap<String, Vec<Value>>,
) -> Result<Chosen> {
    let mut chosen = Chosen::default();
    let mut writes = Vec::with_capacity(nets.len());
    for (canonical, net) in nets {
        match net {
            Net::Delete { key, at, .. } => {
                relinked.swap_remove(&canonical);
                chosen.deletes.push((key, at));
            }
            Net::Write(written) if route.is_linked() => {
                let key = route.collection.mapping.source.key_of(&written.row);
                relinked.entry(canonical).or_insert(key);
            }
            Net::Write(written) => writes.push(written),
        }
    }
    let keys: Vec<_> = relinked.into_values().filter_map(|key| source_typed(route, key)).collect();
    for row in route.rows_of_source(&keys).await? {
        writes.push(Written { row, missing: Vec::new(), origin: None, is_new: false });
    }
    let mapping = &route.collection.mapping;
    if !mapping.is_choosy() {
        chosen.writes = writes;
        return Ok(chosen);
    }
    let (mut whole, mut unsure) = (Vec::new(), Vec::new());
    for written in writes {
        let Written { row, missing, is_new, .. } = &written;
        let is_wanted = mapping.is_wanted(row, missing);
        if is_wanted == Some(false) {
            chosen.deletes.push(deletion(mapping, row));
        } else if missing.is_empty() {
            whole.push(Candidate { row: written.row, is_new: written.is_new });
        } else if !mapping.transforms() && (is_wanted == Some(true) || mapping.is_untouched_by(missing)) {
            // Where nothing that the filter asks for has changed, the target has the row if it is to have it.
            chosen.writes.push(written);
        } else {
            unsure.push((mapping.source.key_of(row), *is_new));
        }
    }
    whole.extend(read(route, unsure, &mut chosen.deletes).await?);
    let admitted = mapping.admit(whole).await?;
    chosen.deletes.extend(admitted.dropped.iter().map(|row| deletion(mapping, &row.row)));
    for (Candidate { row, is_new }, error) in admitted.refused {
        chosen.refused.push(not_transformed(index, route, row, is_new, error));
    }
    let written = |Candidate { row, is_new }| Written { row, missing: Vec::new(), origin: None, is_new };
    chosen.writes.extend(admitted.kept.into_iter().map(written));
    Ok(chosen)
}

impl Applier<'_> {
    /// The rows that are carried. The target loses those that are not, which it may have from an earlier copy.
    pub(super) async fn admitted(
        &mut self,
        transaction: &mut dyn TableTransaction,
        index: usize,
        route: &Route,
        rows: Vec<Row>,
    ) -> Result<Vec<Row>> {
        let (collection, mapping) = (&route.collection, &route.collection.mapping);
        if !mapping.is_choosy() {
            return Ok(rows);
        }
        let admitted = mapping.admit_copied(rows).await?;
        for (Candidate { row, .. }, error) in admitted.refused {
            self.refuse(not_transformed(index, route, row, true, error));
        }
        if !collection.fresh {
            let keys = admitted.dropped.iter().map(|dropped| mapping.source.key_of(&dropped.row));
            let keys: Vec<_> = keys.filter_map(|key| mapping.target_key(&key)).collect();
            let existing = Existing::fetch(transaction, mapping, &keys).await?;
            let own = existing.into_rows().filter(|(_, row)| mapping.is_of_entity(row));
            let gone = own.map(|(_, row)| Prepared::key_only(mapping.target.key_of(&row))).collect();
            self.delete(transaction, index, route, gone).await?;
        }
        Ok(admitted.kept.into_iter().map(|kept| kept.row).collect())
    }
}

/// Rows of the source as they are now. One that is gone is deleted, as the log is about to tell.
async fn read(
    route: &Route,
    keys: Vec<(Vec<Value>, bool)>,
    deletes: &mut Vec<Deletion>,
) -> Result<Vec<Candidate>> {
    let source = &route.collection.mapping.source;
    let wanted: Vec<_> = keys.iter().map(|(key, _)| key.clone()).collect();
    let rows = route.rows_of_source(&wanted).await?;
    let mut found: HashMap<String, _> =
        rows.into_iter().map(|row| (canonical_key(&source.key_of(&row)), row)).collect();
    let mut candidates = Vec::with_capacity(keys.len());
    for (key, is_new) in keys {
        match found.remove(&canonical_key(&key)) {
            Some(row) => candidates.push(Candidate { row, is_new }),
            None => deletes.push((key, Timestamp::INFINITY)),
        }
    }
    Ok(candidates)
}

/// The deletion of a row that the target is not to have. It may have it even if the changes begin with its insert, as they may
/// be read again after a copy.
fn deletion(mapping: &Mapping, row: &[Value]) -> Deletion {
    let changed_at = mapping.source.position(UPDATED_AT).and_then(|at| row.get(at)).and_then(moment);
    (mapping.source.key_of(row), changed_at.unwrap_or(Timestamp::INFINITY))
}
