//! Whether this process reaches a majority of a project's replicas. Where failover is on, it writes only for as long as it does.

use std::time::{Duration, Instant};

use super::watch::{Look, Looked};
use super::{Project, Topology, TopologyEvent};

/// The shortest time after which a master counts as dead, whatever was asked for: within it, looks must come and go.
const SHORTEST: Duration = Duration::from_secs(1);

/// The pace of a project in which a dead master is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// How long a master is dead before it is replaced.
    pub(super) after: Duration,
}

impl Pace {
    pub(super) fn of(after: Duration) -> Self {
        Self { after: after.max(SHORTEST) }
    }

    /// How long writes are let through after a look that found a majority. It ends before another process, which has lost the
    /// master at the same moment, replaces it.
    fn lease(self) -> Duration {
        self.after * 3 / 4
    }

    /// The longest pause between two looks.
    pub(super) fn interval(self) -> Duration {
        self.after / 5
    }

    /// How long a replica may take to answer.
    pub(super) fn patience(self) -> Duration {
        self.after / 10
    }
}

impl Topology {
    /// The pace of a project; `None` if a dead master is not replaced there.
    pub(super) fn pace(&self, project: &str) -> Option<Pace> {
        self.failover.get(project).copied().map(Pace::of)
    }

    /// Lets the master of a project take writes for some time, if a look that was begun then found a majority of the replicas;
    /// an event if that is news.
    pub(super) fn count_majority(
        &mut self,
        project: &str,
        looked: &[Looked],
        begun: Instant,
    ) -> Option<TopologyEvent> {
        let pace = self.pace(project);
        let entry = self.projects.get_mut(project)?;
        let Some(pace) = pace else {
            for replica in entry.replicas.values() {
                replica.fence.lease_until(None);
            }
            entry.lacks_majority = false;
            return None;
        };
        let answering = looked.iter().filter(|looked| matches!(looked.look, Look::Answers(_))).count();
        let all = entry.replicas.len();
        let has_majority = is_majority(answering, all);
        if has_majority {
            entry.grant_lease(begun + pace.lease());
        } else {
            // There may never have been a majority, and what nobody has limited would go on for ever.
            entry.replicas.values().for_each(|replica| replica.fence.limit(begun + pace.lease()));
        }
        let is_news = std::mem::replace(&mut entry.lacks_majority, !has_majority) == has_majority;
        is_news.then(|| TopologyEvent::Quorum {
            project: project.to_owned(),
            has_majority,
            reachable: answering,
            replicas: all,
        })
    }
}

impl Topology {
    /// Lets the master of a project take writes for some time from a moment at which this process had a majority.
    pub(super) fn grant_lease(&self, project: &str, since: Instant) {
        if let (Some(pace), Some(entry)) = (self.pace(project), self.projects.get(project)) {
            entry.grant_lease(since + pace.lease());
        }
    }
}

impl Project {
    fn grant_lease(&self, until: Instant) {
        // The fences of slaves go along, as each may become the master.
        self.replicas.values().for_each(|replica| replica.fence.lease_until(Some(until)));
    }
}

/// Whether these are more than half.
pub(super) fn is_majority(some: usize, all: usize) -> bool {
    some * 2 > all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_end_before_another_process_may_replace_the_master() {
        for millis in [0, 200, 1000, 5000, 60_000] {
            let pace = Pace::of(Duration::from_millis(millis));
            assert!(pace.lease() < pace.after);
            // One look follows another before the lease of the one before ends, however late replicas answer.
            assert!(pace.interval() + pace.patience() * 4 < pace.lease());
        }
        assert!(is_majority(2, 3) && !is_majority(1, 2) && !is_majority(0, 0));
    }
}
