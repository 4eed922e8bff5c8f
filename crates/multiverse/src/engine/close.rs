//! The end of an engine, and the figures of all its clusters.

use std::sync::Arc;

use super::DoneReply;
use super::core::Core;
use crate::error::Error;
use crate::metrics::{ClusterMetrics, Metrics};

impl Core {
    pub(super) fn closing_reply(&mut self, reply: DoneReply) {
        self.closed_replies.push(reply);
    }

    /// Ends everything that is under way, and tells the servers that the sessions end.
    pub(super) fn close(&mut self) {
        let keys: Vec<usize> = self.requests.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.end(key, Err(Error::Closed));
        }
        self.end_all_sessions();
        self.end_health_checks();
        self.terminate_all();
    }

    /// Tells those who asked for the end.
    pub(super) fn reply_closed(&mut self) {
        for reply in std::mem::take(&mut self.closed_replies) {
            reply();
        }
    }

    pub(super) fn metrics(&self) -> Metrics {
        let clusters = self.clusters.iter().map(|cluster| ClusterMetrics {
            id: Arc::clone(&cluster.id),
            reads: cluster.counts.reads,
            writes: cluster.counts.writes,
            errors: cluster.counts.errors,
            total_duration: cluster.counts.duration,
            servers: cluster
                .pools
                .iter()
                .filter_map(|key| self.pools.get(*key))
                .map(|pool| pool.metrics())
                .collect(),
        });
        Metrics { clusters: clusters.collect(), requests: self.requests.len(), sessions: self.sessions.len() }
    }
}
