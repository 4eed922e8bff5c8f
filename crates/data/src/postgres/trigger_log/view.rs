//! A view of the tables at a known number of changes.

use std::sync::Arc;

use async_trait::async_trait;
use wire::{Connection, IsolationLevel};

use super::objects::{Objects, patiently};
use super::value;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{LogSnapshot, Position};
use crate::postgres::pool::Pool;
use crate::postgres::scan::Snapshot;
use crate::table::{BatchStream, ReadSnapshot, ScanOptions, Table};

/// A view that further transactions can take part in.
struct SharedView {
    snapshot: Snapshot,
    origin: Arc<Origin>,
}

/// The transaction that exports the view, open until the last reader is gone.
struct Origin {
    pool: Pool,
    name: String,
    _connection: Connection,
}

impl Origin {
    async fn import(self: Arc<Self>) -> Result<SharedView> {
        let mut connection = self.pool.connect_to_copy().await?;
        connection.begin(Some(IsolationLevel::RepeatableRead), true).await?;
        let name = self.name.replace('\'', "''");
        connection.simple_query(&format!("SET TRANSACTION SNAPSHOT '{name}'")).await?;
        Ok(SharedView { snapshot: Snapshot::begun(connection), origin: self })
    }
}

#[async_trait]
impl ReadSnapshot for SharedView {
    async fn scan(&self, table: Arc<Table>, options: ScanOptions) -> Result<BatchStream> {
        self.snapshot.scan(table, options).await
    }

    async fn fork(&self) -> Result<Option<Box<dyn ReadSnapshot>>> {
        Ok(Some(Box::new(Arc::clone(&self.origin).import().await?)))
    }
}

/// The present, and the number of the last change that it shows.
pub(super) async fn view(pool: &Pool) -> Result<LogSnapshot> {
    patiently(|| try_view(pool)).await
}

/// While nobody can write changes and none are unfinished, the last number is that of the last change there is. Whoever
/// changes a table meanwhile waits in its trigger, before it is given a number.
async fn try_view(pool: &Pool) -> Result<LogSnapshot> {
    let mut barrier = pool.get().await?;
    let lost = || Error::new(ErrorKind::LogLost, "the table of changes does not exist");
    let objects = Objects::find(&mut barrier).await?.ok_or_else(lost)?;
    let mut connection = pool.connect_to_copy().await?;
    connection.begin(Some(IsolationLevel::RepeatableRead), true).await?;
    barrier.simple_query("BEGIN; SET LOCAL lock_timeout = '500ms'").await?;
    let locked = barrier.simple_query(&format!("LOCK TABLE {} IN SHARE MODE", objects.changes())).await;
    let viewed = async {
        locked?;
        let name = value(&mut connection, "SELECT pg_export_snapshot()", &[]).await?.unwrap_or_default();
        Ok((name, objects.last_number(&mut barrier).await?))
    };
    let viewed: Result<(String, u64)> = viewed.await;
    barrier.rollback().await?;
    drop(barrier);
    let (name, number) = viewed?;
    let origin = Arc::new(Origin { pool: pool.clone(), name, _connection: connection });
    Ok(LogSnapshot { position: Position::at(number), snapshot: Box::new(origin.import().await?) })
}
