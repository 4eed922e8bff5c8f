//! A source that is watched while it is read: how much was read, whether reading failed, and whether to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use data::table::{BatchStream, ReadSnapshot, ScanOptions, Table};
use data::{Error, ErrorKind, Result};
use tokio::sync::mpsc;

/// Asks a copy to stop: batches on their way are finished, and no more are read.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks to stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The error that ends what was stopped.
    pub(super) fn error() -> Error {
        Error::new(ErrorKind::Stopped, "the copy was stopped")
    }
}

/// A view of the source that counts what is read from it.
pub(super) struct Watched {
    inner: Box<dyn ReadSnapshot>,
    stop: Stop,
    batch_rows: Option<usize>,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    rows: AtomicU64,
    failed: AtomicBool,
}

impl Watched {
    pub(super) fn new(inner: Box<dyn ReadSnapshot>, stop: Stop, batch_rows: Option<usize>) -> Self {
        Self { inner, stop, batch_rows, seen: Arc::default() }
    }

    /// How many rows have been read since the last call.
    pub(super) fn take_rows(&self) -> u64 {
        self.seen.rows.swap(0, Ordering::Relaxed)
    }

    /// Whether the source could not be read.
    pub(super) fn has_failed(&self) -> bool {
        self.seen.failed.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl ReadSnapshot for Watched {
    async fn scan(&self, table: Arc<Table>, mut options: ScanOptions) -> Result<BatchStream> {
        options.batch_rows = match (options.batch_rows, self.batch_rows) {
            (Some(own), Some(asked)) => Some(own.min(asked)),
            (own, asked) => own.or(asked),
        };
        let mut batches = match self.inner.scan(table, options).await {
            Ok(batches) => batches,
            Err(error) => {
                self.seen.failed.store(true, Ordering::Relaxed);
                return Err(error);
            }
        };
        let (sender, receiver) = mpsc::channel(1);
        let (stop, seen) = (self.stop.clone(), Arc::clone(&self.seen));
        tokio::spawn(async move {
            while let Some(batch) = batches.recv().await {
                let batch = if stop.is_requested() { Err(Stop::error()) } else { batch };
                match &batch {
                    Ok(rows) => drop(seen.rows.fetch_add(rows.len() as u64, Ordering::Relaxed)),
                    Err(error) if error.kind() == ErrorKind::Stopped => {}
                    Err(_) => seen.failed.store(true, Ordering::Relaxed),
                }
                let is_last = batch.is_err();
                if sender.send(batch).await.is_err() || is_last {
                    return;
                }
            }
        });
        Ok(receiver)
    }
}
