//! A change stream of the database at the server, read in batches.

use std::time::Duration;

use futures_util::StreamExt;
use mongodb::bson::{Bson, Document, RawDocument, doc};
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::failure::{can_have_images, of_streaming};
use super::place::{cluster_time, position_of, resume_token};
use crate::error::{Error, ErrorKind, Result};
use crate::log::Position;
use crate::mongodb::connect::Connection;
use crate::mongodb::error::malformed;

/// How long the server waits for a change before it answers that there is none.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// How many events the first batch holds at the most. Later ones are bounded by their bytes alone.
const FIRST_EVENTS: i32 = 5_000;
/// A batch of so many bytes may have been cut where the server's messages end.
const LARGE_BYTES: usize = 8 << 20;

/// A change stream. While a batch is used, the next one is asked for.
pub(super) struct ChangeCursor {
    batches: mpsc::Receiver<mongodb::error::Result<RawBatch>>,
    task: JoinHandle<()>,
}

/// What the server has told at a time.
pub(super) struct EventBatch(RawBatch);

impl ChangeCursor {
    /// Begins to read, with the images that collections keep. Without a token, what is told begins with the position itself and
    /// not behind it.
    ///
    /// # Errors
    /// [`ErrorKind::LogLost`] if the log does not reach back so far, [`ErrorKind::Capture`].
    pub(super) async fn open(
        connection: &Connection,
        collections: &[String],
        has_images: bool,
        from: &Position,
    ) -> Result<Self> {
        connection.trace("aggregate", "$changeStream");
        let mut stream = Document::new();
        match &from.token {
            Some(token) => stream.insert("resumeAfter", resume_token(token)?),
            None => stream.insert("startAtOperationTime", Bson::Timestamp(cluster_time(from))),
        };
        if has_images {
            stream.insert("fullDocument", "whenAvailable");
        }
        let concerned = doc! {"$or": [
            {"ns.coll": {"$in": collections}},
            {"to.coll": {"$in": collections}},
            {"operationType": "invalidate"},
        ]};
        let command = doc! {
            "aggregate": 1,
            "pipeline": [{"$changeStream": stream}, {"$match": concerned}],
            "cursor": {"batchSize": FIRST_EVENTS},
            "readConcern": {"level": "majority"},
        };
        let cursor = connection.database.run_cursor_command(command).max_time(LONGEST_WAIT).batch().await;
        let cursor = cursor.map_err(|error| of_streaming(&error, connection))?;
        let (sender, batches) = mpsc::channel(1);
        Ok(Self { batches, task: tokio::spawn(read(cursor, sender)) })
    }

    /// Waits for the next batch, which may be empty. Dropping the future loses nothing.
    pub(super) async fn next(&mut self, connection: &Connection) -> Result<EventBatch> {
        match self.batches.recv().await {
            Some(Ok(batch)) => Ok(EventBatch(batch)),
            Some(Err(error)) => {
                connection.check_open()?;
                Err(of_streaming(&error, connection))
            }
            None => {
                connection.check_open()?;
                Err(Error::new(ErrorKind::Connection, "the server has ended the stream of changes"))
            }
        }
    }
}

impl Drop for ChangeCursor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads batches until nobody wants them, or reading fails.
async fn read(mut cursor: RawBatchCursor, batches: mpsc::Sender<mongodb::error::Result<RawBatch>>) {
    while let Some(batch) = cursor.next().await {
        let is_last = batch.is_err();
        if batches.send(batch).await.is_err() || is_last {
            break;
        }
    }
}

/// Whether one of the collections keeps images of its documents. To ask for them costs the server a third more for every change,
/// also where there are none.
pub(super) async fn has_images(connection: &Connection, collections: &[String]) -> bool {
    if !can_have_images(connection) {
        return false;
    }
    connection.trace("listCollections", "");
    let keeping = doc! {"name": {"$in": collections}, "options.changeStreamPreAndPostImages.enabled": true};
    match connection.database.list_collections().filter(keeping).await {
        Ok(mut found) => found.next().await.is_some(),
        // Who may not ask that is given those that there are.
        Err(_) => true,
    }
}

impl EventBatch {
    /// The events, as the server has told them.
    pub(super) fn events(&self) -> Result<Vec<&RawDocument>> {
        let events = self.0.doc_slices().map_err(malformed)?;
        let mut found = Vec::new();
        for event in events {
            let event = event.map_err(malformed)?.as_document();
            found.push(event.ok_or_else(|| malformed("no document in a batch"))?);
        }
        Ok(found)
    }

    /// Whether more events may be there already.
    pub(super) fn may_be_cut(&self) -> bool {
        let events = self.0.doc_slices().map_or(0, |events| events.into_iter().count());
        events >= FIRST_EVENTS.unsigned_abs() as usize
            || self.0.as_raw_document().as_bytes().len() >= LARGE_BYTES
    }

    /// Up to where the log has been read for this batch.
    pub(super) fn read_to(&self) -> Result<Option<Position>> {
        let cursor = self.0.as_raw_document().get_document("cursor").map_err(malformed)?;
        match cursor.get_document("postBatchResumeToken") {
            Ok(token) => position_of(token).map(Some),
            Err(_) => Ok(None),
        }
    }
}
