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
    /// How long the reads took that succeeded, waiting included.
    pub read_latency: Histogram,
    /// The same of writes.
    pub write_latency: Histogram,
    /// Checks in a row that found no server that takes writes.
    pub failures: u32,
    /// So many of them that the cluster counts as down.
    pub is_down: bool,
    /// The primary, then the replicas.
    pub servers: Vec<ServerMetrics>,
}

/// The figures of one server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerMetrics {
    /// Its pool id.
    pub id: Arc<str>,
    /// Whether it takes the cluster's writes.
    pub is_primary: bool,
    /// Whether it is believed to accept connections, and to be of the cluster's history.
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

/// How many durations were at most so long.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Histogram {
    /// The durations up to each of [`Histogram::BOUNDS`] that are over the one before, and at last those over all.
    counts: [u64; Self::BOUNDS.len() + 1],
    total: Duration,
}

impl Histogram {
    /// The upper bounds of the buckets, in microseconds.
    pub const BOUNDS: [u64; 15] = [
        250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
        2_500_000, 5_000_000, 10_000_000,
    ];

    pub(crate) fn record(&mut self, duration: Duration) {
        let micros = duration.as_micros();
        let bucket = Self::BOUNDS.partition_point(|bound| u128::from(*bound) < micros);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.total += duration;
    }

    /// The count of each bucket, those over all bounds at last.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// All durations together.
    pub fn total(&self) -> Duration {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_bucket_of_the_first_bound_that_it_does_not_exceed() {
        let mut histogram = Histogram::default();
        for micros in [0, 250, 251, 10_000_000, 10_000_001] {
            histogram.record(Duration::from_micros(micros));
        }
        let counts = histogram.counts();
        assert_eq!((counts[0], counts[1], counts[14], counts[15]), (2, 1, 1, 1));
        assert_eq!(counts.iter().sum::<u64>(), 5);
        assert_eq!(histogram.total(), Duration::from_micros(20_000_502));
    }
}
