//! Telling the database how far a reader has got, now and then and apart from its stream.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::ChangeTable;
use crate::error::Result;

/// The time between two writes of the position.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// Changes after which the position is written before that time.
const FLUSH_CHANGES: u64 = 10_000;
/// How long closing waits for a connection that the application holds.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Writes the position of a reader, apart from its stream, which never waits for the right to write.
pub(super) struct Acknowledger<T: ChangeTable> {
    table: Arc<T>,
    reader: String,
    acknowledged: u64,
    /// What was last written, or is being written.
    flushed: u64,
    flushed_at: Instant,
    flush: Option<JoinHandle<Result<()>>>,
}

impl<T: ChangeTable> Acknowledger<T> {
    pub(super) fn new(table: Arc<T>, reader: String) -> Self {
        Self { table, reader, acknowledged: 0, flushed: 0, flushed_at: Instant::now(), flush: None }
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
        let (table, reader, order) = (Arc::clone(&self.table), self.reader.clone(), self.acknowledged);
        self.flush = Some(tokio::spawn(async move {
            let result = table.acknowledge(&reader, order).await;
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
            self.table.acknowledge(&self.reader, self.acknowledged).await
        };
        match tokio::time::timeout(CLOSE_DEADLINE, last).await {
            Ok(Ok(())) => {}
            // The next stream begins at the position that its reader has stored, and acknowledges anew.
            Ok(Err(error)) => tracing::debug!(%error, "how far the changes were read could not be written"),
            Err(_) => tracing::debug!("how far the changes were read could not be written in time"),
        }
    }
}
