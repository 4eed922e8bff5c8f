//! Settling every key of a collection: in the first exchange, and after one side was emptied.

use std::sync::Arc;

use data::Timestamp;
use data::table::ScanOptions;

use super::Exchange;
use super::dirty::Dirty;
use super::side::Which;
use crate::error::{Error, Result};
use crate::snapshot::{ProgressListener, Reporter, open_snapshot, orphans_among};

/// How many keys are settled at a time.
pub(super) const KEYS_AT_ONCE: usize = 1_000;

impl Exchange {
    /// Settles every key of a collection; where a side was emptied, with the time of that.
    pub(super) async fn settle_all(
        &mut self,
        index: usize,
        emptied_at: [Option<Timestamp>; 2],
        listener: Option<ProgressListener>,
    ) -> Result<()> {
        let Some(pair) = self.pairs.get(index) else { return Ok(()) };
        let reporter = Reporter::start(listener, &self.rule, &pair.to_target).await;
        let mut dirty = Dirty::none(self.pairs.len());
        for which in Which::BOTH {
            self.settle_keys_of(index, which, emptied_at, &reporter, &mut dirty).await?;
        }
        while !dirty.is_empty() {
            self.stop_here()?;
            self.settle(&mut dirty, true).await?;
        }
        reporter.finish();
        Ok(())
    }

    /// Settles the keys that a side has; of the target's those that the source lacks.
    async fn settle_keys_of(
        &mut self,
        index: usize,
        which: Which,
        emptied_at: [Option<Timestamp>; 2],
        reporter: &Reporter,
        dirty: &mut Dirty,
    ) -> Result<()> {
        let Some(pair) = self.pairs.get(index) else { return Ok(()) };
        let label = pair.to_target.label.clone();
        let in_collection = || Error::database_in(format!("collection \"{label}\""));
        let mapping = &pair.to_target.mapping;
        let options = ScanOptions {
            keys_only: true,
            batch_rows: Some(KEYS_AT_ONCE),
            discriminator: match which {
                Which::Source => mapping.source_discriminator.clone(),
                Which::Target => mapping.target_discriminator.clone(),
            },
            ..ScanOptions::default()
        };
        let snapshot = open_snapshot(which.end(pair)).await.map_err(in_collection())?;
        let scan = snapshot.scan(Arc::clone(which.read_table(pair)), options).await;
        let mut batches = scan.map_err(in_collection())?;
        while let Some(batch) = batches.recv().await {
            self.stop_here()?;
            let keys = batch.and_then(data::table::RowBatch::into_rows).map_err(in_collection())?;
            let scanned = keys.len();
            let Some(pair) = self.pairs.get(index) else { return Ok(()) };
            let keys = match which {
                Which::Source => keys,
                Which::Target => {
                    let only = orphans_among(&pair.to_target.mapping, &pair.to_target.source, keys).await;
                    only.map_err(in_collection())?
                }
            };
            let mut refused = Vec::new();
            for key in keys {
                if !dirty.touch(index, pair, which, key.clone(), None) {
                    refused.push(key);
                }
            }
            dirty.empty(index, emptied_at);
            for key in refused {
                self.cannot_be_held(index, which, key, false)?;
            }
            self.set_aside_unheld().await?;
            if dirty.len() >= KEYS_AT_ONCE {
                self.settle(dirty, true).await?;
            }
            reporter.add(scanned);
        }
        Ok(())
    }

    /// Fails if the run is to end.
    fn stop_here(&self) -> Result<()> {
        if self.shared.is_stopping() { Err(Error::stopped(&self.rule.name)) } else { Ok(()) }
    }
}
