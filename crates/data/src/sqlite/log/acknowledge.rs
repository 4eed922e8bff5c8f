//! Telling the database how far a reader has got, and deleting what no reader needs any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::super::pool::SqlitePools;
use super::super::session::{ForeignKeys, WriteTransaction, execute_on};
use super::own_tables::{CHANGE, CONFLICT, READER};
use crate::error::Result;
use crate::value::Value;

/// The time between two writes of the position.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// Changes after which the position is written before that time.
const FLUSH_CHANGES: u64 = 10_000;
/// Changes that are deleted in one transaction.
const DELETED_AT_ONCE: i64 = 5_000;
/// How long closing waits for a connection that the application holds.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Writes the position of a reader, apart from its stream, which never waits for the right to write.
pub(super) struct Acknowledger {
    pools: Arc<SqlitePools>,
    reader: String,
    acknowledged: u64,
    /// What was last written, or is being written.
    flushed: u64,
    flushed_at: Instant,
    flush: Option<JoinHandle<Result<()>>>,
}

impl Acknowledger {
    pub(super) fn new(pools: Arc<SqlitePools>, reader: String) -> Self {
        Self { pools, reader, acknowledged: 0, flushed: 0, flushed_at: Instant::now(), flush: None }
    }

    /// Everything up to a change is stored.
    pub(super) fn acknowledge(&mut self, order: u64) {
        self.acknowledged = self.acknowledged.max(order);
        self.flush_if_due();
    }

    /// Begins to write the position if it is time to.
    pub(super) fn flush_if_due(&mut self) {
        let behind = self.acknowledged.saturating_sub(self.flushed);
        let is_due = behind > 0 && (behind >= FLUSH_CHANGES || self.flushed_at.elapsed() >= FLUSH_INTERVAL);
        let is_running = self.flush.as_ref().is_some_and(|flush| !flush.is_finished());
        if !is_due || is_running {
            return;
        }
        self.flushed = self.acknowledged;
        self.flushed_at = Instant::now();
        let (pools, reader, order) = (Arc::clone(&self.pools), self.reader.clone(), self.acknowledged);
        self.flush = Some(tokio::spawn(async move {
            let result = write(&pools, &reader, order).await;
            if let Err(error) = &result {
                tracing::warn!(%error, "how far the changes were read could not be written; it will be tried again");
            }
            result
        }));
    }

    /// Writes the position for the last time.
    pub(super) async fn close(mut self) {
        let last = async {
            let is_written = match self.flush.take() {
                Some(flush) => matches!(flush.await, Ok(Ok(()))),
                None => self.flushed > 0,
            };
            if is_written && self.flushed == self.acknowledged || self.acknowledged == 0 {
                return Ok(());
            }
            write(&self.pools, &self.reader, self.acknowledged).await
        };
        match tokio::time::timeout(CLOSE_DEADLINE, last).await {
            Ok(Ok(())) => {}
            // The next stream begins at the position that its reader has stored, and acknowledges anew.
            Ok(Err(error)) => tracing::debug!(%error, "how far the changes were read could not be written"),
            Err(_) => tracing::debug!("how far the changes were read could not be written in time"),
        }
    }
}

/// Writes the position of a reader, and deletes the changes that all have read but the last of them.
async fn write(pools: &SqlitePools, reader: &str, order: u64) -> Result<()> {
    let order = Value::Int64(i64::try_from(order).unwrap_or(i64::MAX));
    let mut transaction = WriteTransaction::begin(pools, ForeignKeys::Enforced).await?;
    let connection = transaction.connection()?;
    let sql = format!(
        "UPDATE {READER} SET acknowledged = min(?, (SELECT max(seq) FROM {CHANGE})) \
         WHERE name = ? AND acknowledged < ?"
    );
    execute_on(connection, &sql, &[order.clone(), reader.into(), order]).await?;
    // Nobody else writes now, so no statement is under way that its notes are needed for.
    execute_on(connection, &format!("DELETE FROM {CONFLICT}"), &[]).await?;
    transaction.commit().await?;
    while delete_some(pools).await? > 0 {}
    Ok(())
}

async fn delete_some(pools: &SqlitePools) -> Result<u64> {
    let sql = format!(
        "DELETE FROM {CHANGE} WHERE seq < (SELECT min(acknowledged) FROM {READER}) \
         AND seq < (SELECT min(seq) FROM {CHANGE}) + {DELETED_AT_ONCE}"
    );
    let mut transaction = WriteTransaction::begin(pools, ForeignKeys::Enforced).await?;
    let deleted = execute_on(transaction.connection()?, &sql, &[]).await?;
    transaction.commit().await?;
    Ok(deleted)
}
