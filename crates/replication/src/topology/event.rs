//! What happens to the replicas of a project without anybody asking for it.

use std::sync::Arc;

use serde::Serialize;

use super::replica::{Replica, State};

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
