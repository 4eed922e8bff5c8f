//! The live figures on which balancing stands.

use std::time::Duration;

use crate::route::{ClusterIndex, ReplayPosition, ServerIndex};

/// What is known of the servers at this moment. All answers come from memory.
pub trait LiveServers {
    /// The server that takes writes; [`ServerIndex`] 0 as long as there was no failover.
    fn primary(&self, cluster: ClusterIndex) -> ServerIndex;
    /// Whether the server is believed to accept connections.
    fn is_up(&self, cluster: ClusterIndex, server: ServerIndex) -> bool;
    /// Queries that are running on the server or wait for it.
    fn in_use(&self, cluster: ClusterIndex, server: ServerIndex) -> usize;
    /// The moving average of its response times, `None` before the first response.
    fn response_time(&self, cluster: ClusterIndex, server: ServerIndex) -> Option<Duration>;
    /// The moving average of failures by connection loss or timeout, from 0 (none fails) to 1 (all fail).
    fn error_rate(&self, cluster: ClusterIndex, server: ServerIndex) -> f64;
    /// How far a standby has replayed, `None` when it is not known.
    fn replayed(&self, cluster: ClusterIndex, server: ServerIndex) -> Option<ReplayPosition>;
}
