//! A change stream of the database at the server, read in batches.

use std::time::Duration;

use futures_util::StreamExt;
use mongodb::bson::{Bson, Document, RawDocument, doc};
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};

use super::failure::{has_images, of_streaming};
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

/// A change stream.
pub(super) struct ChangeCursor(RawBatchCursor);

/// What the server has told at a time.
pub(super) struct EventBatch(RawBatch);

impl ChangeCursor {
    /// Begins to read. Without a token, what is told begins with the position itself and not behind it.
    ///
    /// # Errors
    /// [`ErrorKind::LogLost`] if the log does not reach back so far, [`ErrorKind::Capture`].
    pub(super) async fn open(
        connection: &Connection,
        collections: &[String],
        from: &Position,
    ) -> Result<Self> {
        connection.trace("aggregate", "$changeStream");
        let mut stream = Document::new();
        match &from.token {
            Some(token) => stream.insert("resumeAfter", resume_token(token)?),
            None => stream.insert("startAtOperationTime", Bson::Timestamp(cluster_time(from))),
        };
        if has_images(connection) {
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
        cursor.map(Self).map_err(|error| of_streaming(&error, connection))
    }

    /// Waits for the next batch, which may be empty. Dropping the future loses nothing.
    pub(super) async fn next(&mut self, connection: &Connection) -> Result<EventBatch> {
        match self.0.next().await {
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
