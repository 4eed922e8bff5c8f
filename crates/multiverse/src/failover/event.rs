//! What an engine tells of its clusters by itself.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::health::ServerHealth;

/// Something that has happened to a cluster, or was found out about it.
#[derive(Debug, Clone)]
pub enum ClusterEvent {
    /// The servers were asked for a sign of life, as they are from time to time.
    Checked {
        /// What was found about each server of each cluster.
        health: Vec<ServerHealth>,
    },
    /// So many checks in a row have found no server that takes writes that the cluster counts as down.
    Down {
        /// The cluster's id.
        cluster: Arc<str>,
        /// Why there is none.
        reason: Arc<str>,
        /// What is known of its servers.
        health: Vec<ServerHealth>,
    },
    /// A cluster that was down takes writes again.
    Recovered {
        /// The cluster's id.
        cluster: Arc<str>,
        /// The time from the first failed check on.
        downtime: Duration,
        /// What is known of its servers.
        health: Vec<ServerHealth>,
    },
    /// Writes go to another server from now on.
    Failover {
        /// The cluster's id.
        cluster: Arc<str>,
        /// The pool id of the server that takes writes.
        new_primary: Arc<str>,
        /// The pool id of the server that took them.
        old_primary: Arc<str>,
    },
    /// What transactions have left prepared on a cluster cannot be ended by the role that is used there. Told once of each
    /// cause.
    Left {
        /// The cluster's id.
        cluster: Arc<str>,
        /// What is left, and why.
        problem: String,
    },
}

/// Hears of the clusters of an engine. Called on the engine's thread, and must not block.
pub type ClusterListener = Box<dyn FnMut(ClusterEvent) + Send>;

/// Takes the outcome of a failover that was asked for. Called on the engine's thread.
pub type FailoverReply = Box<dyn FnOnce(Result<(), Error>) + Send>;
