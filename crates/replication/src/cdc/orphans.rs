//! Rows of a target that its source does not have: a first copy leaves them alone, and tells of them.

use std::sync::Arc;

use data::Result;
use data::table::ScanOptions;

use crate::snapshot::{Collection, key_text, orphans_among};
use crate::stats::CollectionStats;

const UNKNOWN_TO_SOURCE: &str = "the source does not have this row; it is kept, as it may never have had it";

/// Counts the rows of the target that the source does not have.
pub(super) async fn count_orphans(collection: &Collection, stats: &mut CollectionStats) -> Result<()> {
    let mapping = &collection.mapping;
    let snapshot = collection.target.tables()?.snapshot().await?;
    let options = ScanOptions {
        keys_only: true,
        discriminator: mapping.part_of_target().cloned(),
        ..ScanOptions::default()
    };
    let mut batches = snapshot.scan(Arc::clone(&mapping.target), options).await?;
    while let Some(batch) = batches.recv().await {
        for key in orphans_among(mapping, &collection.source, batch?.into_rows()?).await? {
            stats.skip(key_text(&key), UNKNOWN_TO_SOURCE);
        }
    }
    Ok(())
}
