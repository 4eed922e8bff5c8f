//! What a call says about caching, and what the cache tells.

use std::sync::Arc;
use std::time::Duration;

/// What a call says about caching.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheOptions {
    /// Whether its result may come from the cache and is kept there; as its schema says when not given.
    pub wanted: Option<bool>,
    /// How long the result is valid; zero for as long as there is room.
    pub ttl: Option<Duration>,
    /// The name under which the result is kept, in place of the full text of the statement and its parameters. Within
    /// a cluster and schema, the same name means the same result.
    pub key: Option<Arc<str>>,
    /// By these the result can be invalidated.
    pub tags: Arc<[Arc<str>]>,
    /// Whether [`crate::Answer::looked_up`] is called.
    pub told: bool,
}

/// Why an entry has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvictionReason {
    /// Its time was over.
    Ttl,
    /// There was no more room.
    Size,
    /// It was invalidated.
    Manual,
}

/// What a cache has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheFigures {
    /// Requests answered from the cache.
    pub hits: u64,
    /// Requests that might have been.
    pub misses: u64,
    /// Entries that had to go because of their time or for want of room.
    pub evictions: u64,
    /// Entries.
    pub entries: usize,
    /// The bytes that the entries take.
    pub bytes: usize,
    /// The bytes that their rows would take without compression.
    pub raw_bytes: u64,
    /// The bytes that their rows take.
    pub stored_bytes: u64,
}
