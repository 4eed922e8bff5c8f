//! The batches of a scan on their way from the task that reads them.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;

use super::RowBatch;
use crate::error::{Error, ErrorKind, Result};

/// Batches as a scan delivers them. The channel is short, so that a slow reader slows the database. The stream ends
/// without an error only if the whole table has been read.
pub type BatchStream = mpsc::Receiver<Result<RowBatch>>;

/// Where the task of a scan puts its batches. Sending fails once nobody reads any more, and then the task should end.
pub type BatchSender = mpsc::Sender<Result<RowBatch>>;

/// Starts the task of a scan. Its error, and a panic in it, is what the reader is given last, so that a scan that broke
/// off cannot be taken for the end of the table.
pub fn spawn_scan<F>(batches_ahead: usize, scan: impl FnOnce(BatchSender) -> F) -> BatchStream
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(batches_ahead);
    let scan = AssertUnwindSafe(scan(sender.clone())).catch_unwind();
    tokio::spawn(async move {
        let outcome = scan.await.unwrap_or_else(|panic| Err(defect(&*panic)));
        if let Err(error) = outcome {
            // A reader that has left does not want to know.
            drop(sender.send(Err(error)).await);
        }
    });
    receiver
}

fn defect(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    Error::new(
        ErrorKind::Internal,
        format!("a scan broke off by a defect in replicaverse, please report it: {text}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> RowBatch {
        RowBatch::Rows(Vec::new())
    }

    #[tokio::test]
    async fn a_scan_that_panics_ends_with_an_error_and_not_like_the_end_of_the_table() {
        let mut stream = spawn_scan(2, |sender| async move {
            let _ = sender.send(Ok(rows())).await;
            assert!(sender.is_closed(), "half-way");
            Ok(())
        });
        assert!(stream.recv().await.unwrap().is_ok());
        let error = stream.recv().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.to_string().contains("half-way"), "{error}");
        assert!(stream.recv().await.is_none());
    }

    #[tokio::test]
    async fn the_error_of_a_scan_comes_last() {
        let mut stream = spawn_scan(2, |sender| async move {
            let _ = sender.send(Ok(rows())).await;
            Err(Error::new(ErrorKind::Connection, "lost"))
        });
        assert!(stream.recv().await.unwrap().is_ok());
        assert_eq!(stream.recv().await.unwrap().unwrap_err().kind(), ErrorKind::Connection);
        assert!(stream.recv().await.is_none());
    }
}
