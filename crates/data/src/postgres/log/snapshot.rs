//! The view of the database as of the beginning of a slot, and further readers of it.

use std::sync::Arc;

use async_trait::async_trait;
use wire::replication::CreatedSlot;
use wire::{Connection, IsolationLevel};

use super::timeline::position_on;
use crate::error::{Error, ErrorKind, Result};
use crate::log::LogSnapshot;
use crate::postgres::pool::Pool;
use crate::postgres::scan::Snapshot;
use crate::table::{BatchStream, ReadSnapshot, ScanOptions, Table};

/// What exports a snapshot: the connection that created the slot, which takes no command until its last reader is gone.
struct Exporter {
    pool: Pool,
    name: String,
    _connection: Connection,
}

impl Exporter {
    async fn import(self: Arc<Self>) -> Result<ExportedSnapshot> {
        let mut connection = self.pool.connect_to_copy().await?;
        connection.begin(Some(IsolationLevel::RepeatableRead), true).await?;
        let name = self.name.replace('\'', "''");
        connection.simple_query(&format!("SET TRANSACTION SNAPSHOT '{name}'")).await?;
        Ok(ExportedSnapshot { snapshot: Snapshot::begun(connection), exporter: self })
    }
}

/// A reader of an exported snapshot.
struct ExportedSnapshot {
    snapshot: Snapshot,
    exporter: Arc<Exporter>,
}

#[async_trait]
impl ReadSnapshot for ExportedSnapshot {
    async fn scan(&self, table: Arc<Table>, options: ScanOptions) -> Result<BatchStream> {
        self.snapshot.scan(table, options).await
    }

    async fn fork(&self) -> Result<Option<Box<dyn ReadSnapshot>>> {
        Ok(Some(Box::new(Arc::clone(&self.exporter).import().await?)))
    }
}

/// The view that a new slot has exported, and the position of it, on the timeline of the server.
pub(super) async fn exported(
    pool: &Pool,
    connection: Connection,
    created: CreatedSlot,
    timeline: u32,
) -> Result<LogSnapshot> {
    let Some(name) = created.snapshot_name else {
        return Err(Error::new(ErrorKind::Internal, "the server created a slot without a snapshot"));
    };
    let exporter = Arc::new(Exporter { pool: pool.clone(), name, _connection: connection });
    let snapshot = Box::new(exporter.import().await?);
    Ok(LogSnapshot { position: position_on(timeline, created.consistent_point), snapshot })
}
