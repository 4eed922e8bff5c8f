//! The changes of a source as a JavaScript class that is asked for them.

use std::sync::Arc;

use data::Record;
use napi::Env;
use napi::bindgen_prelude::{AsyncBlock, AsyncBlockBuilder};
use napi_derive::napi;
use replication::{ChangeFeed, FeedChange, RowOperation};
use serde::Serialize;
use tokio::sync::{Mutex, Notify};

use crate::error::{js_error, replication_error};
use crate::task::OnRuntime;
use crate::value::write_records;

/// Changes of a source, in the order of their commits. They are read only when they are asked for.
#[napi]
pub struct NativeChangeFeed {
    feed: OnRuntime<Arc<Feed>>,
}

struct Feed {
    /// `None` once it has been closed.
    feed: Mutex<Option<ChangeFeed>>,
    /// Told when whoever waits for changes is to give up.
    stop: Notify,
}

/// Changes as JSON: what is known of each, and their rows, of which each change has its key, its old key and its row.
#[napi(object)]
pub struct ChangeBatch {
    /// A list of what is known of each change.
    pub headers: String,
    /// The rows.
    pub rows: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Header<'a> {
    collection: &'a str,
    operation: RowOperation,
    has_old_key: bool,
    has_row: bool,
    unchanged: &'a [String],
    position: &'a str,
    committed_at: i64,
    transaction: &'a str,
}

#[napi]
impl NativeChangeFeed {
    /// Waits for changes; at most so many. `null` when it was stopped or the source was disconnected. Those of the call
    /// before are acknowledged.
    #[napi]
    pub fn next(&self, env: &Env, most: u32) -> napi::Result<AsyncBlock<Option<ChangeBatch>>> {
        let feed = Arc::clone(self.feed.get()?);
        AsyncBlockBuilder::new(async move {
            let mut open = feed.feed.lock().await;
            let Some(open) = open.as_mut() else { return Ok(None) };
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            tokio::select! {
                biased;
                () = feed.stop.notified() => Ok(None),
                changes = open.next(most) => {
                    let changes = changes.map_err(|error| replication_error(&error))?;
                    if changes.is_empty() { Ok(None) } else { batch(changes).map(Some) }
                }
            }
        })
        .build(env)
    }

    /// Ends the waiting of `next`.
    #[napi]
    pub fn stop(&self) -> napi::Result<()> {
        self.feed.get()?.stop.notify_one();
        Ok(())
    }

    /// Removes what was made at the source. Calling it again does nothing.
    #[napi]
    pub fn close(&self, env: &Env) -> napi::Result<AsyncBlock<()>> {
        let feed = Arc::clone(self.feed.get()?);
        AsyncBlockBuilder::new(async move {
            feed.stop.notify_one();
            let open = feed.feed.lock().await.take();
            match open {
                Some(open) => open.close().await.map_err(|error| replication_error(&error)),
                None => Ok(()),
            }
        })
        .build(env)
    }
}

impl NativeChangeFeed {
    pub(crate) fn new(feed: ChangeFeed) -> Self {
        let feed = Feed { feed: Mutex::new(Some(feed)), stop: Notify::new() };
        Self { feed: OnRuntime::new(Arc::new(feed)) }
    }
}

fn batch(changes: Vec<FeedChange>) -> napi::Result<ChangeBatch> {
    let headers: Vec<_> = changes.iter().map(Header::of).collect();
    let internal = |error: serde_json::Error| {
        js_error(&data::Error::new(data::ErrorKind::Internal, format!("changes as JSON: {error}")))
    };
    let headers = serde_json::to_string(&headers).map_err(internal)?;
    let rows = changes.into_iter().flat_map(|change| [Some(change.key), change.old_key, change.row]);
    let rows: Vec<Record> = rows.flatten().collect();
    Ok(ChangeBatch { headers, rows: write_records(&rows).map_err(|error| js_error(&error))? })
}

impl<'a> Header<'a> {
    fn of(change: &'a FeedChange) -> Self {
        Self {
            collection: &change.collection,
            operation: change.operation,
            has_old_key: change.old_key.is_some(),
            has_row: change.row.is_some(),
            unchanged: &change.unchanged,
            position: &change.position,
            committed_at: change.committed_at,
            transaction: &change.transaction,
        }
    }
}
