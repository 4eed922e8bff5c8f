//! What happens to the replicas of a project without anybody asking for it.

use std::sync::Arc;

use serde::Serialize;

use super::replica::{FedBy, Replica, State};

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum TopologyEvent {
    /// A replica went away, came back, or became too stale or fresh enough to serve reads.
    #[serde(rename = "replica.state")]
    ReplicaState {
        /// The project.
        project: String,
        /// The replica.
        name: String,
        /// Whether it can be used.
        status: State,
        /// Whether it is too far behind to serve reads.
        stale: bool,
        /// Milliseconds behind, where that has been measured.
        #[serde(skip_serializing_if = "Option::is_none")]
        lag: Option<u64>,
        /// Why it cannot be used.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// It was found out what feeds a slave, or why nothing does.
    #[serde(rename = "replica.feed")]
    ReplicaFeed {
        /// The project.
        project: String,
        /// The slave.
        name: String,
        /// What feeds it.
        feed: FedBy,
        /// Why it is not fed, or not whole.
        #[serde(skip_serializing_if = "Option::is_none")]
        warning: Option<String>,
    },
    /// Rows of a master of before that the present one does not have, or has with other values. They are given up.
    #[serde(rename = "rows.lost")]
    RowsLost {
        /// The project.
        project: String,
        /// The master of before.
        name: String,
        /// The table.
        collection: String,
        /// How many there are.
        count: u64,
        /// Their primary keys, the parts joined by commas; as many as can be named.
        keys: Vec<String>,
    },
    /// This process has come to reach a majority of the replicas, or does not any more and takes no writes.
    #[serde(rename = "quorum")]
    Quorum {
        /// The project.
        project: String,
        /// Whether it reaches a majority.
        has_majority: bool,
        /// How many replicas it reaches.
        reachable: usize,
        /// How many there are.
        replicas: usize,
    },
    /// A dead master was replaced.
    #[serde(rename = "failover")]
    Failover {
        /// The project.
        project: String,
        /// The master from now on.
        new_master: String,
        /// The one before.
        old_master: String,
        /// Bytes of log that the old master is known to have had and the new one lacks; `None` where they cannot be told.
        #[serde(skip_serializing_if = "Option::is_none")]
        missing_bytes: Option<u64>,
    },
    /// A dead master could not be replaced; told once while it is dead.
    #[serde(rename = "failover.refused")]
    FailoverRefused {
        /// The project.
        project: String,
        /// The dead master.
        master: String,
        /// Why no other took its place.
        reason: String,
    },
}

/// Takes events as they happen; it must return soon.
pub type TopologyListener = Arc<dyn Fn(TopologyEvent) + Send + Sync>;

/// What listeners are told of a replica, to be compared before and after a look at it.
#[derive(PartialEq, Eq)]
pub(super) struct Appearance {
    status: State,
    stale: bool,
    error: Option<String>,
}

impl Appearance {
    pub(super) fn of(replica: &Replica) -> Self {
        Self { status: replica.state, stale: replica.is_stale(), error: replica.error.clone() }
    }

    /// The event that tells of this replica.
    pub(super) fn event(self, project: &str, replica: &Replica) -> TopologyEvent {
        TopologyEvent::ReplicaState {
            project: project.to_owned(),
            name: replica.config.name.clone(),
            status: self.status,
            stale: self.stale,
            lag: replica.standing.lag,
            error: self.error,
        }
    }
}
