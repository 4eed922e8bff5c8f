//! Reading cursors to their end.

use futures_util::{Stream, StreamExt};
use mongodb::bson::RawDocument;
use mongodb::raw_batch_cursor::RawBatch;

use super::error::{driver_error, malformed};
use super::transaction::Loan;
use crate::error::{Error, Result};

/// Why a cursor was not read to its end.
pub(super) enum Failure {
    Driver(mongodb::error::Error),
    Ours(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Driver(error) => driver_error(&error),
            Failure::Ours(error) => error,
        }
    }
}

/// Hands every document of a cursor on.
pub(super) async fn each_document(
    cursor: impl Stream<Item = mongodb::error::Result<RawBatch>>,
    mut take: impl FnMut(&RawDocument) -> Result<()>,
) -> Result<(), Failure> {
    let mut cursor = std::pin::pin!(cursor);
    while let Some(batch) = cursor.next().await {
        let batch = batch.map_err(Failure::Driver)?;
        for document in batch.doc_slices().map_err(Failure::Driver)? {
            let document = document.map_err(|error| Failure::Ours(malformed(error)))?;
            let document =
                document.as_document().ok_or_else(|| Failure::Ours(malformed("no document in a batch")))?;
            take(document).map_err(Failure::Ours)?;
        }
    }
    Ok(())
}

/// The outcome of reading a cursor, noted in the transaction.
pub(super) fn settle(loan: &mut Loan<'_>, outcome: Result<(), Failure>) -> Result<()> {
    match outcome {
        Ok(()) => Ok(()),
        Err(Failure::Driver(error)) => loan.check(Err(error)),
        Err(Failure::Ours(error)) => Err(error),
    }
}
