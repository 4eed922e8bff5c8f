//! Truncations that a copy of the table has seen, or half of them, and those of junctions.

use std::sync::Arc;

use data::log::{Change, Operation};
use data::table::{ScanOptions, Table};

use super::batch::Batch;
use super::run::Session;
use crate::error::Result;
use crate::snapshot::{Collection, orphans_among};

impl Session {
    /// Deletions of the rows of a table that was truncated before it was copied, but for those that the source has again.
    pub(super) async fn departed_rows(&self, table: &Arc<Table>) -> Result<Vec<Change>> {
        let mut departed = Vec::new();
        for (_, route) in self.routes.of_table(&table.name) {
            let Collection { mapping, source, target, .. } = route.collection.as_ref();
            let found = async {
                let options = ScanOptions {
                    keys_only: true,
                    discriminator: mapping.part_of_target().cloned(),
                    ..ScanOptions::default()
                };
                let snapshot = target.tables()?.snapshot().await?;
                let mut batches = snapshot.scan(Arc::clone(&mapping.target), options).await?;
                let mut gone = Vec::new();
                while let Some(batch) = batches.recv().await {
                    gone.extend(orphans_among(mapping, source, batch?.into_rows()?).await?);
                }
                Ok(gone)
            };
            let keys = found.await.map_err(self.in_rule())?;
            let delete = |key: Vec<data::Value>| {
                let operation = Operation::Delete { key: mapping.source_key(&key)? };
                Some(Change { table: Arc::clone(table), operation })
            };
            departed.extend(keys.into_iter().filter_map(delete));
        }
        Ok(departed)
    }

    /// Has a table copied again, of which a part was copied before it was truncated and a part afterwards; why.
    pub(super) async fn copy_again(&self, batch: &mut Batch, table: &str) -> Result<String> {
        self.forget_copies(batch, &[table]).await?;
        Ok(format!("table \"{table}\" was truncated while it was copied"))
    }

    /// All rows have lost their links at once: their tables are copied again.
    pub(super) async fn copy_linked_again(&self, batch: &mut Batch, junction: &Table) -> Result<String> {
        let linked = self.routes.junctions_of(&junction.name);
        let linked = linked.filter_map(|junction| self.routes.list.get(junction.route));
        let tables: Vec<&str> = linked.map(|route| route.captured.name.as_str()).collect();
        self.forget_copies(batch, &tables).await?;
        Ok(format!("table \"{}\" was truncated", junction.name))
    }

    /// Takes tables out of the checkpoint, so that the next session copies them.
    async fn forget_copies(&self, batch: &mut Batch, tables: &[&str]) -> Result<()> {
        // It holds the checkpoint, and comes again.
        batch.give_up().await;
        let mut checkpoint = self.checkpoint.clone();
        for table in tables {
            checkpoint.tables.shift_remove(*table);
        }
        let mut transaction = self.begin_fenced().await?;
        let stored = checkpoint.store(transaction.as_mut(), &self.control.checkpoint).await;
        stored.map_err(self.in_rule())?;
        transaction.commit().await.map_err(self.in_rule())
    }
}
