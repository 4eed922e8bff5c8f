//! Whether a cluster is up: counted by the checks that found nobody who takes its writes, and told to who listens.

use std::sync::Arc;
use std::time::Instant;

use super::{ClusterEvent, ClusterListener};
use crate::engine::{Core, Routine, Timer};
use crate::error::Error;
use crate::health::ServerHealth;

/// How a cluster stands.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Checks in a row that found no primary, and when the first of them was.
    pub(crate) failures: u32,
    failing_since: Option<Instant>,
    pub(crate) is_down: bool,
}

impl Core {
    pub(crate) fn listen(&mut self, listener: ClusterListener) {
        self.listener = Some(listener);
    }

    pub(crate) fn tell(&mut self, event: ClusterEvent) {
        if let Some(listener) = &mut self.listener {
            listener(event);
        }
    }

    /// A check has found nobody who takes the writes of a cluster.
    pub(super) fn note_failure(&mut self, index: usize, reason: &str) {
        let (now, most) = (self.now(), self.settings.manager.max_failures_before_mark_down);
        let Some(cluster) = self.clusters.get_mut(index) else { return };
        let standing = &mut cluster.watch.standing;
        standing.failures = standing.failures.saturating_add(1);
        standing.failing_since.get_or_insert(now);
        if standing.is_down || standing.failures < most {
            return;
        }
        standing.is_down = true;
        let (cluster, health) = (Arc::clone(&cluster.id), self.known_health(index));
        tracing::warn!(%cluster, reason, "the cluster is down");
        self.tell(ClusterEvent::Down { cluster, reason: reason.into(), health });
    }

    /// The primary of a cluster takes writes.
    pub(super) fn note_success(&mut self, index: usize) {
        let now = self.now();
        let Some(cluster) = self.clusters.get_mut(index) else { return };
        let standing = std::mem::take(&mut cluster.watch.standing);
        if !standing.is_down {
            return;
        }
        let downtime = now.saturating_duration_since(standing.failing_since.unwrap_or(now));
        let (cluster, health) = (Arc::clone(&cluster.id), self.known_health(index));
        self.tell(ClusterEvent::Recovered { cluster, downtime, health });
    }

    /// What is known of the servers of a cluster without asking them.
    fn known_health(&self, index: usize) -> Vec<ServerHealth> {
        let Some(cluster) = self.clusters.get(index) else { return Vec::new() };
        let pools = cluster.pools.iter().enumerate();
        let known = pools.filter_map(|(position, key)| {
            let pool = self.pools.get(*key)?;
            Some(ServerHealth {
                cluster: Arc::clone(&cluster.id),
                server: Arc::clone(&pool.id),
                is_primary: cluster.primary == position,
                response_time: std::time::Duration::from_secs_f64(pool.response_time.get().unwrap_or(0.0)),
                error: self.known_error(*key),
            })
        });
        known.collect()
    }

    /// Why a server cannot be used for what it is there for, if that is known.
    pub(crate) fn known_error(&self, key: usize) -> Option<Error> {
        let pool = self.pools.get(key)?;
        let server = Arc::clone(&pool.id);
        match &pool.unreachable {
            Some(source) if !pool.is_up => Some(Error::Connect { server, source: Arc::clone(source) }),
            _ if pool.is_held => Some(Error::NoPrimary { server }),
            _ => None,
        }
    }

    /// Plans the next regular check, once the one before has ended.
    pub(crate) fn plan_regular_check(&mut self) {
        let next = self.now() + self.settings.manager.health_check_interval;
        self.timers.add(next, Timer::Routine(Routine::Check));
    }
}
