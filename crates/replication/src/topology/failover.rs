//! The replacement of a dead master without anybody asking for it, where the project wants that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use data::progress::ServerRole;

use super::promote::{Promoted, follow, promote};
use super::quorum::Pace;
use super::vote::ask_for_mandate;
use super::{Project, Role, State, Topology, TopologyEvent};
use crate::manager::{SharedState, lock};

/// What there is to be done about a dead master.
enum Verdict {
    /// It lives, or has not been dead for long enough, or is not to be replaced.
    Wait,
    /// This one takes its place.
    Promote(String),
    /// Another process has made this one the master.
    Follow(String),
    /// None can.
    Refuse(String),
}

/// Promotes a replica, if a majority of the replicas lets this process do so.
async fn with_mandate(
    shared: &Arc<SharedState>,
    project: &str,
    name: &str,
) -> Result<Option<Promoted>, String> {
    let mandate = ask_for_mandate(shared, project).await?;
    let promoted = promote(shared, project, name, false).await.map_err(|error| error.to_string());
    if promoted.is_ok() {
        // The votes are as good as a look that finds a majority.
        lock(shared).topology.grant_lease(project, Instant::now());
    }
    mandate.give_back().await;
    promoted
}

/// Promotes the standby that has received the most, if the master has been dead for as long as the project says. That the
/// standbys receive nothing either is the second evidence that it is dead and not only out of our reach.
pub(super) async fn replace_dead_master(shared: &Arc<SharedState>, project: &str) {
    let (verdict, master) = {
        let state = lock(shared);
        (state.topology.verdict(project), state.topology.master_name(project).unwrap_or_default())
    };
    let outcome = match verdict {
        Verdict::Wait => return,
        Verdict::Refuse(reason) => Err(reason),
        Verdict::Promote(name) => match with_mandate(shared, project, &name).await {
            Ok(Some(promoted)) => Ok((name, promoted)),
            Ok(None) => return,
            Err(reason) => Err(reason),
        },
        Verdict::Follow(name) => {
            let promoted = Promoted { old_master: Some(master.clone()), missing_bytes: None };
            follow(shared, project, &name).await;
            Ok((name, promoted))
        }
    };
    let project = project.to_owned();
    let event = match outcome {
        Ok((new_master, promoted)) => TopologyEvent::Failover {
            project,
            new_master,
            old_master: master,
            missing_bytes: promoted.missing_bytes,
        },
        Err(reason) if lock(shared).topology.is_first_refusal(&project) => {
            TopologyEvent::FailoverRefused { project, master, reason }
        }
        Err(_) => return,
    };
    let (listener, persisted) = {
        let state = lock(shared);
        (state.listener.clone(), state.persist())
    };
    if let Err(error) = persisted {
        tracing::warn!(code = error.code(), "the tree file does not tell of a failover: {error}");
    }
    if let Some(listener) = listener {
        listener(event);
    }
}

impl Topology {
    /// After how long a dead master is replaced; never if `None`.
    pub(crate) fn set_failover(&mut self, project: &str, after: Option<Duration>) {
        match after {
            Some(after) => {
                self.failover.insert(project.to_owned(), after);
                // The first look at the replicas is yet to come.
                self.grant_lease(project, Instant::now());
                self.cut_off_usurped(project);
            }
            None => drop(self.failover.shift_remove(project)),
        }
    }

    fn verdict(&self, project: &str) -> Verdict {
        let (Some(entry), Some(after)) = (self.projects.get(project), self.failover.get(project)) else {
            return Verdict::Wait;
        };
        match entry.master_gone_at {
            _ if entry.is_promoting => Verdict::Wait,
            _ if entry.usurper().is_some() => Verdict::Follow(entry.usurper().unwrap_or_default().to_owned()),
            Some(gone_at) if gone_at.elapsed() >= Pace::of(*after).after => entry.successor(),
            _ => Verdict::Wait,
        }
    }

    fn master_name(&self, project: &str) -> Option<String> {
        Some(self.projects.get(project)?.master()?.config.name.clone())
    }

    fn is_first_refusal(&mut self, project: &str) -> bool {
        let entry = self.projects.get_mut(project);
        entry.is_some_and(|entry| !std::mem::replace(&mut entry.is_refusal_told, true))
    }
}

impl Project {
    /// Notes since when the master has been gone.
    pub(super) fn note_master(&mut self, now: Instant) {
        let is_gone = self.master().is_some_and(|master| master.state == State::Error);
        if !is_gone {
            (self.master_gone_at, self.is_refusal_told) = (None, false);
        } else if self.master_gone_at.is_none() {
            self.master_gone_at = Some(now);
        }
    }

    fn successor(&self) -> Verdict {
        let standbys = self.replicas.values().filter(|replica| {
            replica.config.role == Role::Slave
                && replica.state == State::Connected
                && replica.demoted.is_none()
                && replica.standing.role == Some(ServerRole::Standby)
        });
        let standbys: Vec<_> = standbys.collect();
        if let Some(fed) = standbys.iter().find(|standby| standby.standing.receiving) {
            let name = &fed.config.name;
            return Verdict::Refuse(format!(
                "the master does not answer here, but replica \"{name}\" still receives from it: it lives"
            ));
        }
        match standbys.into_iter().max_by_key(|standby| standby.standing.received) {
            Some(furthest) => Verdict::Promote(furthest.config.name.clone()),
            None => {
                Verdict::Refuse("the project has no connected standby that could take its place".to_owned())
            }
        }
    }
}
