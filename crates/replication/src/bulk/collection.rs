//! Copying one collection to one destination.

use std::sync::Arc;

use data::table::{ReadSnapshot as _, ScanOptions};
use data::{Error, ErrorKind, Result};

use super::end::{CopyOptions, OpenTarget};
use super::watch::{Stop, Watched};
use crate::snapshot::{Collection, CollectionPlan, Creation, End, Mapping, Reporter, copy_rows, delete_rows};
use crate::stats::CollectionStats;

/// Finds the tables at both ends, and makes what the destination lacks if it may.
pub(super) async fn prepare(
    plan: &CollectionPlan,
    source: &End,
    target: &OpenTarget,
    options: &CopyOptions,
) -> Result<Collection> {
    let creation = match (&target.files, target.create_tables) {
        // A file has no table before it is written.
        (Some(_), _) => Creation::Missing,
        (None, false) => Creation::Nothing,
        (None, true) if options.dry_run => Creation::Imagined,
        (None, true) => Creation::Missing,
    };
    let (source, end) = plan.ends(source, &target.end);
    let mapping = Mapping::prepare_with(plan, &source, &end, creation).await?;
    Ok(Collection {
        label: plan.label.clone(),
        source,
        target: end,
        mapping,
        resolution: options.existing,
        // It is looked at again when its turn comes, because other collections may fill the same table.
        fresh: false,
        rewrites: false,
    })
}

/// Deletes every row of the collection at the destination.
pub(super) async fn empty(collection: &Collection, stop: &Stop, stats: &mut CollectionStats) -> Result<()> {
    let mapping = &collection.mapping;
    let snapshot = collection.target.tables()?.snapshot().await?;
    let options = ScanOptions {
        keys_only: true,
        discriminator: mapping.target_discriminator.clone(),
        ..ScanOptions::default()
    };
    let mut batches = snapshot.scan(Arc::clone(&mapping.target), options).await?;
    while let Some(batch) = batches.recv().await {
        if stop.is_requested() {
            return Err(Stop::error());
        }
        delete_rows(collection, batch?.into_rows()?, stats).await?;
    }
    Ok(())
}

/// Copies every row. A file is put in its place only when all of them were read.
pub(super) async fn copy_to(
    mut collection: Collection,
    target: &OpenTarget,
    snapshot: &Watched,
    reporter: &Reporter,
    stats: &mut CollectionStats,
) -> Result<()> {
    let mapping = &collection.mapping;
    collection.fresh =
        collection.target.tables()?.is_empty(&mapping.target, mapping.target_discriminator.as_ref()).await?;
    let Some(files) = &target.files else {
        return copy_rows(&Arc::new(collection), snapshot, None, reporter, stats).await;
    };
    files.begin(&collection.label, &mapping.target)?;
    let copied = copy_rows(&Arc::new(collection), snapshot, None, reporter, stats).await;
    match copied {
        Ok(()) => files.finish(),
        Err(error) => {
            files.abandon();
            Err(error)
        }
    }
}

/// Reads and converts every row, so that what does not fit is known, and writes none.
pub(super) async fn try_out(
    collection: &Collection,
    snapshot: &Watched,
    reporter: &Reporter,
    stats: &mut CollectionStats,
) -> Result<()> {
    let mapping = &collection.mapping;
    let options =
        ScanOptions { discriminator: mapping.source_discriminator.clone(), ..ScanOptions::default() };
    let mut batches = snapshot.scan(Arc::clone(&mapping.source), options).await?;
    while let Some(batch) = batches.recv().await {
        let batch = batch?;
        let count = batch.len();
        drop(mapping.convert(batch.into_rows()?, stats));
        reporter.add(count);
    }
    Ok(())
}

/// Whether another collection fills the same rows of the destination.
pub(super) fn already_filled(table: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("another collection of the copy is already \"{table}\" at the destination"),
    )
}
