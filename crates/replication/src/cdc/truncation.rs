//! Truncations that concern more than the rows of one collection as they are.

use std::sync::Arc;

use data::Value;
use data::table::{ScanOptions, Table};

use super::run::Session;
use crate::error::Result;
use crate::snapshot::{Collection, orphans_among};

impl Session {
    /// Deletes the rows of some parts of a table, which had been copied when it was truncated; those of the others were
    /// copied later.
    pub(super) async fn empty_parts(&self, table: &Table, parts: &[usize]) -> Result<()> {
        for (_, route) in self.routes.of_table(&table.name) {
            let mapping = &route.collection.mapping;
            let emptied = async {
                let target = route.collection.target.tables()?;
                let snapshot = target.snapshot().await?;
                let options = ScanOptions {
                    keys_only: true,
                    discriminator: mapping.target_discriminator.clone(),
                    ..ScanOptions::default()
                };
                let mut batches = snapshot.scan(Arc::clone(&mapping.target), options).await?;
                let log = self.source.tables()?.change_log(self.kind);
                let mut gone: Vec<Vec<Value>> = Vec::new();
                while let Some(batch) = batches.recv().await {
                    let keys: Vec<_> = batch?
                        .into_rows()?
                        .into_iter()
                        .filter_map(|key| Some((mapping.source_key(&key)?, key)))
                        .collect();
                    let source_keys: Vec<_> = keys.iter().map(|(source_key, _)| source_key.clone()).collect();
                    let Some(log) = log else { break };
                    let found = self.watermarks.parts_of(log, table, &source_keys).await?;
                    let old = keys.into_iter().zip(found).filter(|(_, part)| parts.contains(part));
                    gone.extend(old.map(|((_, key), _)| key));
                }
                drop(batches);
                drop(snapshot);
                if gone.is_empty() { Ok(0) } else { target.delete(&mapping.target, &gone).await }
            };
            emptied.await.map_err(self.in_rule())?;
        }
        Ok(())
    }

    /// Deletes the rows of a table that was truncated before it was copied, but for those that the source has again.
    pub(super) async fn delete_departed(&self, table: &Table) -> Result<()> {
        for (_, route) in self.routes.of_table(&table.name) {
            let Collection { mapping, source, target, .. } = route.collection.as_ref();
            let deleted = async {
                let target = target.tables()?;
                let options = ScanOptions {
                    keys_only: true,
                    discriminator: mapping.target_discriminator.clone(),
                    ..ScanOptions::default()
                };
                let snapshot = target.snapshot().await?;
                let mut batches = snapshot.scan(Arc::clone(&mapping.target), options).await?;
                let mut gone = Vec::new();
                while let Some(batch) = batches.recv().await {
                    gone.extend(orphans_among(mapping, source, batch?.into_rows()?).await?);
                }
                drop(batches);
                drop(snapshot);
                if gone.is_empty() { Ok(0) } else { target.delete(&mapping.target, &gone).await }
            };
            deleted.await.map_err(self.in_rule())?;
        }
        Ok(())
    }

    /// All rows have lost their links at once: their tables are copied again.
    pub(super) async fn truncated_junction(&self, table: &Table) -> Result<String> {
        let mut checkpoint = self.checkpoint.clone();
        for junction in self.routes.junctions_of(&table.name) {
            if let Some(route) = self.routes.list.get(junction.route) {
                checkpoint.tables.shift_remove(&route.captured.name);
            }
        }
        let mut transaction = self.begin_fenced().await?;
        let stored = checkpoint.store(transaction.as_mut(), &self.control.checkpoint).await;
        stored.map_err(self.in_rule())?;
        transaction.commit().await.map_err(self.in_rule())?;
        Ok(format!("table \"{}\" was truncated", table.name))
    }
}
