//! The rows of a read that are more than one batch.

use std::future::Future;
use std::sync::Arc;

use data::{Error, ErrorKind, Result};
use napi::Env;
use napi::bindgen_prelude::{AsyncBlock, Either};
use napi_derive::napi;
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::error::js_error;
use crate::task::{promise_of, without_panic};
use crate::value::{Batch, RowWriter, SomeRows, row_batches};

/// The rows of a read, batch by batch.
#[napi]
pub struct NativeRowBatches {
    batches: Arc<Mutex<Batches>>,
}

struct Batches {
    /// The first batch, until it is taken.
    first: Option<SomeRows>,
    receiver: UnboundedReceiver<Batch>,
    /// Whether the last one has been taken.
    is_whole: bool,
}

#[napi]
impl NativeRowBatches {
    /// The next rows, at once if they are there already; null after the last.
    ///
    /// # Errors
    /// The read has failed. What was returned before stands, but there are other rows.
    #[napi(
        ts_return_type = "string | [string, ArrayBuffer, ...string[]] | null | Promise<string | [string, ArrayBuffer, ...string[]] | null>"
    )]
    pub fn next(&self, env: &Env) -> napi::Result<Either<Option<SomeRows>, AsyncBlock<Option<SomeRows>>>> {
        let ready = self.batches.try_lock().ok().and_then(|mut batches| batches.take_ready());
        if let Some(ready) = ready {
            return ready.map(Either::A).map_err(|error| js_error(&error));
        }
        let batches = Arc::clone(&self.batches);
        promise_of(env, async move { batches.lock().await.take().await }).map(Either::B)
    }
}

impl Batches {
    fn take_ready(&mut self) -> Option<Result<Option<SomeRows>>> {
        if self.first.is_some() || self.is_whole {
            return Some(Ok(self.first.take()));
        }
        let batch = self.receiver.try_recv().ok()?;
        Some(self.taken(Some(batch)))
    }

    async fn take(&mut self) -> Result<Option<SomeRows>> {
        if self.is_whole {
            return Ok(None);
        }
        let batch = self.receiver.recv().await;
        self.taken(batch)
    }

    fn taken(&mut self, batch: Option<Batch>) -> Result<Option<SomeRows>> {
        match batch {
            Some(Batch::Rows(rows)) => Ok(Some(rows)),
            Some(Batch::Last(rows)) => {
                self.is_whole = true;
                Ok(Some(rows))
            }
            Some(Batch::Failed(error)) => Err(error),
            None => Err(Error::new(ErrorKind::Closed, "the read was given up before its end")),
        }
    }
}

/// Has rows read by a task of its own: all of them if they are one batch, else the batches.
pub(super) async fn read_rows<F, O>(read: O) -> Result<Either<SomeRows, NativeRowBatches>>
where
    F: Future<Output = Result<RowWriter>> + Send + 'static,
    O: FnOnce(RowWriter) -> F,
{
    let (rows, receiver) = row_batches();
    let failed = rows.sender();
    let reading = read(rows);
    tokio::spawn(async move {
        let outcome = without_panic(async move { reading.await?.finish() }).await;
        if let Err(error) = outcome {
            // If nobody waits for rows any more, nobody wants to know why there are none either.
            drop(failed.send(Batch::Failed(error)));
        }
    });
    let mut batches = Batches { first: None, receiver, is_whole: false };
    match batches.take().await? {
        Some(rows) if batches.is_whole => Ok(Either::A(rows)),
        first => {
            batches.first = first;
            Ok(Either::B(NativeRowBatches { batches: Arc::new(Mutex::new(batches)) }))
        }
    }
}

#[cfg(test)]
mod tests {
    use data::{Cell, CellSink as _};

    use super::*;

    /// How many rows of one text there are, and how long the texts are together.
    fn counted(rows: &SomeRows) -> (usize, usize) {
        match rows {
            Either::B(packed) => packed.counted(),
            Either::A(text) => panic!("{text:?}"),
        }
    }

    /// Some rows, of which there are more than one batch.
    fn many(rows: &mut RowWriter) -> Result<()> {
        rows.columns(&["text"])?;
        (0..4).try_for_each(|_| {
            rows.cell(Cell::Text(&"x".repeat(100_000)));
            rows.end_row()
        })
    }

    #[tokio::test]
    async fn few_rows_are_one_batch() {
        let read = |mut rows: RowWriter| async move { rows.columns(&["id"]).map(|()| rows) };
        let Either::A(rows) = read_rows(read).await.unwrap() else { panic!("there are batches") };
        assert_eq!(counted(&rows), (0, 0));
    }

    #[tokio::test]
    async fn many_rows_are_batches_with_an_end() {
        let read = |mut rows: RowWriter| async move { many(&mut rows).map(|()| rows) };
        let Either::B(batches) = read_rows(read).await.unwrap() else { panic!("there is one batch") };
        let mut batches = batches.batches.lock().await;
        let mut taken = 0;
        while let Some(rows) = match batches.take_ready() {
            Some(ready) => ready.unwrap(),
            None => batches.take().await.unwrap(),
        } {
            assert_eq!(counted(&rows), (1, 100_000));
            taken += 1;
        }
        assert_eq!(taken, 4);
        assert!(matches!(batches.take_ready(), Some(Ok(None))));
    }

    #[tokio::test]
    async fn a_read_that_fails_on_the_way_has_no_end() {
        let read = |mut rows: RowWriter| async move {
            many(&mut rows)?;
            Err(Error::new(ErrorKind::Connection, "the server is gone"))
        };
        let Either::B(batches) = read_rows(read).await.unwrap() else { panic!("there is one batch") };
        let mut batches = batches.batches.lock().await;
        let error = loop {
            match batches.take_ready() {
                Some(Ok(Some(_))) => {}
                Some(Ok(None)) => panic!("the rows have an end"),
                Some(Err(error)) => break error,
                None => match batches.take().await {
                    Ok(rows) => assert!(rows.is_some(), "the rows have an end"),
                    Err(error) => break error,
                },
            }
        };
        assert_eq!(error.kind(), ErrorKind::Connection);
    }

    #[tokio::test]
    async fn a_read_that_fails_at_once_or_panics_is_an_error() {
        let fails = |_: RowWriter| async { Err(Error::new(ErrorKind::Filter, "no such field")) };
        assert_eq!(read_rows(fails).await.err().unwrap().kind(), ErrorKind::Filter);
        let panics = |_: RowWriter| async { panic!("a defect") };
        assert_eq!(read_rows(panics).await.err().unwrap().kind(), ErrorKind::Internal);
    }
}
