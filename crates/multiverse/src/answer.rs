//! Where the results of a request go.

use std::sync::Arc;
use std::time::Duration;

use wire::{Column, RowBatch};

use crate::cache::CacheKey;
use crate::error::Error;
use crate::route::ReplayPosition;

/// Takes the results of one request.
///
/// All calls come from the engine's thread, or, where a request fails while it is submitted, from the thread that
/// submits it, and must not block. For each result: [`Answer::columns`] if it has rows,
/// [`Answer::rows`] any number of times, [`Answer::result`]. At last, exactly once and whatever happens,
/// [`Answer::end`]; after a failure it may come in the middle of a result.
pub trait Answer: Send {
    /// A result with rows begins. The same statement on the same server mostly comes with the same `Arc`.
    fn columns(&mut self, columns: &Arc<[Column]>);

    /// Rows of the result that has begun.
    fn rows(&mut self, rows: RowBatch) -> Flow;

    /// A result has ended: its command tag, as `INSERT 0 5`, empty for an empty statement.
    fn result(&mut self, command_tag: &str);

    /// The result is in the cache, or is not and will be fetched. Called before all else, and only where
    /// [`crate::CacheOptions::told`] asks for it.
    fn looked_up(&mut self, _is_hit: bool, _key: &CacheKey) {}

    /// The result that follows was found in the cache, in this epoch of it: until [`crate::Engine::cache_epoch`] gives another
    /// one, and for as long as is said here, if anything is, the same request would find the same. Hits that are answered
    /// without a request are told by [`crate::Engine::count_hits`].
    fn holds(&mut self, _epoch: u32, _fresh_for: Option<Duration>) {}

    /// There is nothing more to come.
    fn end(self: Box<Self>, outcome: Result<Completed, Error>);
}

/// Whether an [`Answer`] takes more rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Continue,
    /// Not before [`crate::Engine::resume`]: the connection is not read until then.
    Pause,
}

/// What is known of a request that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// The cluster's id.
    pub cluster: Arc<str>,
    /// The server's pool id, `<cluster>_primary` or `<cluster>_replica_<i>`.
    pub server: Arc<str>,
    /// Whether the statement counts as a read.
    pub is_read: bool,
    /// From submitting to the end.
    pub duration: Duration,
    /// What the caller's session has written up to here, where it asks for `ConsistencyLevel::Session`.
    pub written: Option<ReplayPosition>,
}
