//! What the engine has counted so far.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::CacheFigures;

/// The figures of all clusters at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    /// The clusters in the order of the configuration.
    pub clusters: Vec<ClusterMetrics>,
    /// Requests that are waiting or running.
    pub requests: usize,
    /// Pinned connections, waited for or held.
    pub sessions: usize,
    /// The cache of results, where there is one.
    pub cache: Option<CacheFigures>,
}

/// The figures of one cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterMetrics {
    /// The cluster's id.
    pub id: Arc<str>,
    /// Whether the database's catalogue has been read, without which all statements run on the primary.
    pub knows_catalogue: bool,
    /// Requests that succeeded and only read.
    pub reads: u64,
    /// Requests that succeeded and wrote, or may have written.
    pub writes: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Requests answered from the cache.
    pub cache_hits: u64,
    /// Requests that might have been answered from the cache, and ran.
    pub cache_misses: u64,
    /// Whether the cache follows the log of the primary at this moment.
    pub follows_log: bool,
    /// The time that the requests took that have ended, waiting included.
    pub total_duration: Duration,
    /// The primary, then the replicas.
    pub servers: Vec<ServerMetrics>,
}

/// The figures of one server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerMetrics {
    /// Its pool id.
    pub id: Arc<str>,
    /// Whether it is believed to accept connections.
    pub is_up: bool,
    /// Connections that are doing something or are pinned.
    pub active: usize,
    /// Connections that are free.
    pub idle: usize,
    /// Connections being opened.
    pub connecting: usize,
    /// The most connections.
    pub max: usize,
    /// Connections opened so far.
    pub created: u64,
    /// Connections closed or lost so far.
    pub destroyed: u64,
    /// Requests that wait for a connection.
    pub waiting: usize,
    /// Requests that run or stand in a pipeline.
    pub running: usize,
    /// The moving average of response times.
    pub response_time: Option<Duration>,
    /// The moving average of failures by connection loss or timeout, from 0 to 1.
    pub error_rate: f64,
    /// Why the last connection could not be opened or was lost, if that was the last thing that happened.
    pub last_error: Option<Arc<str>>,
}
