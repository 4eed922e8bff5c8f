//! Slaves that this library feeds, in the manager: fed from when they are added until they are removed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::{Manager, SharedState, lock};
use crate::cdc::RemovalFailure;
use crate::managed::ManagedFeed;
use crate::topology::{Replica, Role};

/// How long the addition of a slave waits for it to hold everything. A larger one is used for reads when it does.
pub(super) const FED_AT_FIRST: Duration = Duration::from_secs(2);

/// Has the slaves of a project fed, and waits so long at the most until those that are new hold everything.
pub(crate) async fn begin_feeds(shared: &Arc<SharedState>, project: &str, most: Duration) {
    let begun =
        lock(shared).topology.begin_feeds(project, |slave| ManagedFeed::start(shared, project, slave));
    join_all(begun.iter().map(|(_, feed)| feed.settled(most))).await;
}

impl Manager {
    pub(super) async fn begin_feeds(&self, project: &str, most: Duration) {
        // A slave without a master waits for that.
        if self.connected_master(project).is_some() {
            begin_feeds(&self.state, project, most).await;
        }
    }

    /// Ends the feed of a removed slave, or those from a removed master, and removes what they have left.
    pub(super) async fn end_feeds_of(&self, project: &str, removed: &mut Replica) {
        let name = removed.config.name.clone();
        let feeds = match removed.config.role {
            Role::Slave => removed.feed.take().map(|feed| (name, feed)).into_iter().collect(),
            Role::Master => self.state().topology.take_feeds(Some(project)),
        };
        for (slave, feed) in feeds {
            let Some(error) = feed.remove().await else { continue };
            tracing::warn!(code = error.code(), "the feed of a slave has left something behind: {error}");
            let failure = RemovalFailure { rule: format!("{project}/{slave}"), message: error.to_string() };
            let failures = Arc::clone(&self.state().removal_failures);
            failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(failure);
        }
    }
}
