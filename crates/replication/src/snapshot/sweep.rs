//! Deleting the rows of a target that its source does not have.

use std::collections::HashSet;
use std::sync::Arc;

use data::table::{ScanOptions, Table};
use data::{ErrorKind, Result, Value};

use super::isolate::concerns_rows;
use super::{Collection, End, Mapping, canonical_key, key_text};
use crate::stats::CollectionStats;

/// Deletes orphans batch by batch: keys of the target are looked up at the source, so that no side has to be sorted
/// or held in memory.
pub(super) async fn delete_orphans(collection: &Collection) -> Result<CollectionStats> {
    let target = collection.target.tables()?;
    let mapping = &collection.mapping;
    let snapshot = target.snapshot().await?;
    let options = ScanOptions {
        keys_only: true,
        discriminator: mapping.part_of_target().cloned(),
        ..ScanOptions::default()
    };
    let mut batches = snapshot.scan(Arc::clone(&mapping.target), options).await?;
    let mut stats = CollectionStats::default();
    while let Some(batch) = batches.recv().await {
        let orphans = orphans_among(mapping, &collection.source, batch?.into_rows()?).await?;
        delete_rows(collection, orphans, &mut stats).await?;
    }
    Ok(stats)
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
            Some(source_key) => candidates.push((key, source_key)),
            None => orphans.push(key),
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
    let target = collection.target.tables()?;
    let mut pending = if keys.is_empty() { Vec::new() } else { vec![keys] };
    while let Some(mut keys) = pending.pop() {
        match target.delete(&collection.mapping.target, &keys).await {
            Ok(deleted) => stats.deleted += deleted,
            Err(error) if !concerns_rows(&error) => return Err(error),
            Err(error) if keys.len() == 1 => {
                stats.fail(keys.first().map(|key| key_text(key)).unwrap_or_default(), error.to_string())
            }
            Err(_) => {
                let second_half = keys.split_off(keys.len() / 2);
                pending.push(second_half);
                pending.push(keys);
            }
        }
    }
    Ok(())
}
