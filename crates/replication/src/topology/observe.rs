//! What the looks at the replicas of a project mean for their states.

use std::sync::Arc;
use std::time::Instant;

use data::progress::{Progress, ServerRole};

use super::event::Appearance;
use super::lag::{Sighting, Standing, Timeline};
use super::replica::{FedBy, Feed, Replica};
use super::watch::{Look, Looked, failures_needed};
use super::{Role, State, Topology, TopologyEvent};
use crate::managed::FeedHead;

impl Topology {
    /// Takes in what came of a look at the replicas of a project, the master's at `seen_at`; what there is to tell of it.
    pub(super) fn saw(
        &mut self,
        project: &str,
        looked: &[Looked],
        head: Option<&FeedHead>,
        seen_at: Instant,
    ) -> Vec<TopologyEvent> {
        let Some(entry) = self.projects.get_mut(project) else { return Vec::new() };
        let master = looked.iter().find(|looked| looked.target.role == Role::Master);
        let answer = master.map(|master| &master.look);
        let master_answers = matches!(answer, Some(Look::Answers(_)));
        let master = match answer {
            Some(Look::Answers(progress)) => progress.as_ref(),
            _ => None,
        };
        if let Some(master) = master {
            entry.is_synchronous = master.synchronous;
        }
        if let Some(written) = master.and_then(|master| master.written) {
            entry.timeline.saw(written, seen_at);
        }
        if let Some(head) = head {
            entry.feed_timeline.saw(head.position.order, seen_at);
        }
        let feed_master = head.map(FeedHead::master);
        let now = Instant::now();
        let mut events = Vec::new();
        for one in looked {
            let Looked { target, look, fed, term } = one;
            let Some(replica) = entry.replicas.get_mut(&target.name) else { continue };
            // It may have been replaced, or changed its role, during the look.
            let is_same = replica.connection.as_ref().is_some_and(|held| Arc::ptr_eq(held, &target.dialect));
            if !is_same || replica.config.role != target.role {
                continue;
            }
            let before = Appearance::of(replica);
            match look {
                Look::Closed => {}
                Look::Gone(error) => replica.missed(error),
                Look::Answers(slave) => {
                    replica.answered();
                    replica.note_role(slave.as_ref());
                    replica.term = replica.term.max(*term);
                    if one.is_native() {
                        replica.fed_by = Some(FedBy::Native);
                        replica.is_incomplete = false;
                    }
                    match fed {
                        Some(fed) if !one.is_native() => {
                            let (slave, master) = (Some(&fed.slave), feed_master.as_ref());
                            let sighting = Sighting { slave, master, master_answers, now };
                            replica.standing.saw(&sighting, &entry.feed_timeline);
                        }
                        // What it has applied could not be asked in time.
                        None if target.feed.is_some() && !one.is_native() => {}
                        _ if replica.config.role == Role::Slave => {
                            let slave = slave.as_ref();
                            replica
                                .measured(&Sighting { slave, master, master_answers, now }, &entry.timeline);
                        }
                        _ => {}
                    }
                }
            }
            let after = Appearance::of(replica);
            if after != before {
                events.push(after.event(project, replica));
            }
        }
        entry.note_master(now);
        events
    }
}

impl Replica {
    /// Notes that a standby has been made a primary by somebody else.
    fn note_role(&mut self, seen: Option<&Progress>) {
        let Some(seen) = seen.filter(|_| self.config.role == Role::Slave) else { return };
        if self.standing.role == Some(ServerRole::Standby) && seen.role == ServerRole::Primary {
            self.became_primary = true;
        } else if seen.role != ServerRole::Primary {
            self.became_primary = false;
        }
    }

    fn missed(&mut self, error: &data::Error) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= failures_needed(self.config.role, error) && self.state != State::Disconnected {
            self.state = State::Error;
            self.error = Some(error.to_string());
        }
    }

    fn answered(&mut self) {
        self.failures = 0;
        if self.state == State::Error {
            self.state = State::Connected;
            self.error = None;
        }
    }

    fn measured(&mut self, sighting: &Sighting<'_>, timeline: &Timeline) {
        if self.config.feed == Feed::None {
            self.standing = Standing::unknown();
            return;
        }
        self.standing.saw(sighting, timeline);
        let follows = self.standing.applied.is_some();
        if let Some(demoted) = self.demoted {
            if follows && self.standing.receiving {
                self.demoted = None;
            } else {
                // It may lack everything that was committed since.
                let since = sighting.now.saturating_duration_since(demoted).as_millis();
                self.standing.lag = Some(u64::try_from(since).unwrap_or(u64::MAX));
            }
        }
        let is_unfed = self.config.feed == Feed::Native && sighting.master.is_some() && !follows;
        if is_unfed && !sighting.slave.is_some_and(is_starting) {
            self.state = State::Error;
            self.error =
                Some("feed 'native': its database is not fed by the master of the project".to_owned());
        }
    }
}

/// A worker that is not connected yet tells of no position.
fn is_starting(slave: &Progress) -> bool {
    !slave.feeds.is_empty() && slave.applied.is_none()
}
