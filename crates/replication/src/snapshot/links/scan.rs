//! Reading a table with the lists of its links.

use std::sync::Arc;

use async_trait::async_trait;
use data::Result;
use data::table::{BatchStream, ReadSnapshot, RowBatch, ScanOptions, Table, spawn_scan};

use super::LinkedTables;
use super::columns::{make_room, single_key, without};

/// Batches of rows that wait for their reader.
const BATCHES_AHEAD: usize = 1;

/// A view of the rows in which lists are filled in as the junctions are now.
pub(super) struct LinkedSnapshot {
    inner: Box<dyn ReadSnapshot>,
    tables: LinkedTables,
}

impl LinkedSnapshot {
    pub(super) fn new(inner: Box<dyn ReadSnapshot>, tables: LinkedTables) -> Self {
        Self { inner, tables }
    }
}

#[async_trait]
impl ReadSnapshot for LinkedSnapshot {
    async fn scan(&self, table: Arc<Table>, options: ScanOptions) -> Result<BatchStream> {
        self.tables.scan_in(self.inner.as_ref(), table, options).await
    }
}

impl LinkedTables {
    /// Reads a table in a snapshot of the plain tables, and fills in the lists.
    pub(in crate::snapshot) async fn scan_in(
        &self,
        snapshot: &dyn ReadSnapshot,
        table: Arc<Table>,
        options: ScanOptions,
    ) -> Result<BatchStream> {
        let places = self.places(&table);
        let plain = Arc::new(without(&table, &places));
        let Some(key) = single_key(&table).filter(|_| !places.is_empty() && !options.keys_only) else {
            return snapshot.scan(plain, options).await;
        };
        let options = ScanOptions { binary_tuples: false, ..options };
        let mut batches = snapshot.scan(plain, options).await?;
        let tables = self.inner.clone();
        Ok(spawn_scan(BATCHES_AHEAD, |sender| async move {
            while let Some(batch) = batches.recv().await {
                let mut rows = batch?.into_rows()?;
                make_room(&mut rows, &places);
                tables.fill(&places, key, &mut rows).await?;
                if sender.send(Ok(RowBatch::Rows(rows))).await.is_err() {
                    break;
                }
            }
            Ok(())
        }))
    }
}
