//! Deleting the rows of a target that its source does not have.

use std::collections::HashSet;
use std::sync::Arc;

use data::table::{ScanOptions, Table};
use data::{Error, ErrorKind, Result, Value};

use super::isolate::concerns_rows;
use super::{Collection, End, Mapping, canonical_key, key_text};
use crate::stats::CollectionStats;

/// Rows that are kept to be deleted together.
const MOST_REFUSED: usize = 10_000;

/// What became of the orphans of a collection.
#[derive(Default)]
pub(super) struct Sweep {
    pub(super) stats: CollectionStats,
    /// Rows that the target does not let go, and why, the first [`MOST_REFUSED`] of them; the others are counted as failed.
    pub(super) refused: Vec<RefusedKey>,
}

impl Sweep {
    pub(super) fn is_complete(&self) -> bool {
        self.refused.is_empty()
    }

    /// Counts the rows that are kept: they are gone, or have failed.
    pub(super) fn settle(mut self, are_gone: bool) -> CollectionStats {
        for (key, error) in self.refused {
            match are_gone {
                true => self.stats.deleted += 1,
                false => self.stats.fail(key_text(&key), error.to_string()),
            }
        }
        self.stats
    }
}

type RefusedKey = (Vec<Value>, Error);

/// Deletes orphans batch by batch: keys of the target are looked up at the source, so that no side has to be sorted
/// or held in memory.
pub(super) async fn delete_orphans(collection: &Collection) -> Result<Sweep> {
    let target = collection.target.tables()?;
    let mapping = &collection.mapping;
    let snapshot = target.snapshot().await?;
    let options = ScanOptions {
        keys_only: true,
        discriminator: mapping.part_of_target().cloned(),
        ..ScanOptions::default()
    };
    let mut batches = snapshot.scan(Arc::clone(&mapping.target), options).await?;
    let mut sweep = Sweep::default();
    while let Some(batch) = batches.recv().await {
        let orphans = orphans_among(mapping, &collection.source, batch?.into_rows()?).await?;
        let (deleted, refused) = delete_isolating(collection, orphans).await?;
        sweep.stats.deleted += deleted;
        for (key, error) in refused {
            match sweep.refused.len() < MOST_REFUSED {
                true => sweep.refused.push((key, error)),
                false => sweep.stats.fail(key_text(&key), error.to_string()),
            }
        }
    }
    Ok(sweep)
}

/// Deletes rows of several collections that were refused for the sake of others, all of them at once: they may refer to each other
/// in a circle. Whether they are gone; else they are as they were.
pub(super) async fn delete_entangled(sweeps: &[(usize, Arc<Collection>, Sweep)]) -> Result<bool> {
    let entangled: Vec<_> = sweeps.iter().filter(|(_, _, sweep)| !sweep.is_complete()).collect();
    let mut errors = entangled.iter().flat_map(|(_, _, sweep)| &sweep.refused);
    let Some((_, collection, _)) = entangled.first() else { return Ok(true) };
    if !errors.all(|(_, error)| error.kind() == ErrorKind::ForeignKeyViolation) {
        return Ok(false);
    }
    let rows: Vec<_> = entangled
        .iter()
        .map(|(_, collection, sweep)| {
            let keys = sweep.refused.iter().map(|(key, _)| key.clone()).collect();
            (Arc::clone(&collection.mapping.target), keys)
        })
        .collect();
    match collection.target.tables()?.delete_together(&rows).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Unsupported || concerns_rows(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The keys under which the source holds no row that is carried. Those that come from another source are none of them.
pub(crate) async fn orphans_among(
    mapping: &Mapping,
    source: &End,
    keys: Vec<Vec<Value>>,
) -> Result<Vec<Vec<Value>>> {
    let (mut orphans, mut candidates) = (Vec::new(), Vec::with_capacity(keys.len()));
    for key in keys.into_iter().filter(|key| mapping.is_own_key(key)) {
        match mapping.source_key(&key) {
            Some(source_key) if mapping.stands_for(&key, &source_key) => candidates.push((key, source_key)),
            _ => orphans.push(key),
        }
    }
    let source_keys: Vec<_> = candidates.iter().map(|(_, source_key)| source_key.clone()).collect();
    let found = keys_at_source(mapping, source, source_keys).await?;
    let missing =
        candidates.into_iter().filter(|(_, source_key)| !found.contains(&canonical_key(source_key)));
    orphans.extend(missing.map(|(key, _)| key));
    Ok(orphans)
}

/// Under which of the keys the source holds rows that are carried, in their canonical form. A key that the source cannot even read, such as text
/// that is no UUID, is not among them; it is found by halving.
async fn keys_at_source(mapping: &Mapping, source: &End, keys: Vec<Vec<Value>>) -> Result<HashSet<String>> {
    let mut found = HashSet::with_capacity(keys.len());
    let mut pending = vec![keys];
    while let Some(mut keys) = pending.pop() {
        match mapping.keys_carried(source, &keys).await {
            Ok(carried) => found.extend(carried),
            Err(error) if error.kind() != ErrorKind::Value => return Err(error),
            Err(_) if keys.len() <= 1 => {}
            Err(_) => {
                pending.push(keys.split_off(keys.len() / 2));
                pending.push(keys);
            }
        }
    }
    Ok(found)
}

/// The table with nothing but its key, in key order.
pub(crate) fn key_columns(table: &Table) -> Table {
    Table {
        name: table.name.clone(),
        columns: table.key.iter().map(|position| table.columns[*position].clone()).collect(),
        key: (0..table.key.len()).collect(),
        references: Vec::new(),
    }
}

/// Deletes rows by their keys; those that cannot be deleted are counted and named.
pub(crate) async fn delete_rows(
    collection: &Collection,
    keys: Vec<Vec<Value>>,
    stats: &mut CollectionStats,
) -> Result<()> {
    let (deleted, refused) = delete_isolating(collection, keys).await?;
    stats.deleted += deleted;
    refused.into_iter().for_each(|(key, error)| stats.fail(key_text(&key), error.to_string()));
    Ok(())
}

/// Deletes rows by their keys; how many there were, and which are refused.
async fn delete_isolating(collection: &Collection, keys: Vec<Vec<Value>>) -> Result<(u64, Vec<RefusedKey>)> {
    let target = collection.target.tables()?;
    let (mut deleted, mut refused) = (0, Vec::new());
    let mut pending = if keys.is_empty() { Vec::new() } else { vec![keys] };
    while let Some(mut keys) = pending.pop() {
        match target.delete(&collection.mapping.target, &keys).await {
            Ok(count) => deleted += count,
            Err(error) if !concerns_rows(&error) => return Err(error),
            Err(error) if keys.len() == 1 => refused.extend(keys.pop().map(|key| (key, error))),
            Err(_) => {
                let second_half = keys.split_off(keys.len() / 2);
                pending.push(second_half);
                pending.push(keys);
            }
        }
    }
    Ok((deleted, refused))
}
