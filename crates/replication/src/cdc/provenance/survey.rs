//! A look at the keys of a target: how many there are, and which of them the source does not have.

use std::sync::Arc;

use data::table::ScanOptions;
use data::{Result, Value};

use super::key_sums::KeySums;
use crate::snapshot::{Collection, canonical_key, orphans_among};

/// How many rows that the source does not have are kept in memory.
const MOST_ORPHANS: usize = 100_000;

/// What a target holds.
#[derive(Default)]
pub(in crate::cdc) struct Survey {
    /// Every key.
    pub(super) found: KeySums,
    /// Those that the source does not have.
    pub(super) orphaned: KeySums,
    /// The rows of these, unless there are too many.
    pub(super) orphans: Option<Vec<Orphan>>,
}

/// A row of the target that the source does not have.
pub(in crate::cdc) struct Orphan {
    /// The canonical form of its key at the source.
    pub(super) canonical: String,
    /// Its key at the target.
    pub(in crate::cdc) key: Vec<Value>,
}

impl Survey {
    /// How many rows the source does not have.
    pub(in crate::cdc) fn orphans(&self) -> u64 {
        u64::try_from(self.orphaned.count()).unwrap_or(0)
    }
}

/// Looks at every key of a target, batch by batch; with `looks_up` each is looked up at the source, and those that it does not have
/// are told.
pub(in crate::cdc) async fn survey(
    collection: &Collection,
    looks_up: bool,
    mut told: impl FnMut(&[Value]),
) -> Result<Survey> {
    let mapping = &collection.mapping;
    let snapshot = collection.target.tables()?.snapshot().await?;
    let options = ScanOptions {
        keys_only: true,
        discriminator: mapping.part_of_target().cloned(),
        ..ScanOptions::default()
    };
    let mut batches = snapshot.scan(Arc::clone(&mapping.target), options).await?;
    let mut survey = Survey { orphans: Some(Vec::new()), ..Survey::default() };
    // A key that the source could not have stands for itself.
    let canonical =
        |key: &[Value]| mapping.source_key(key).map_or_else(|| canonical_key(key), |own| canonical_key(&own));
    while let Some(batch) = batches.recv().await {
        let keys = batch?.into_rows()?;
        keys.iter().for_each(|key| survey.found.add(&canonical(key)));
        if !looks_up {
            continue;
        }
        for key in orphans_among(mapping, &collection.source, keys).await? {
            let canonical = canonical(&key);
            told(&key);
            survey.orphaned.add(&canonical);
            if let Some(orphans) = &mut survey.orphans {
                orphans.push(Orphan { canonical, key });
            }
        }
        if survey.orphans.as_ref().is_some_and(|orphans| orphans.len() > MOST_ORPHANS) {
            survey.orphans = None;
        }
    }
    Ok(survey)
}
