//! A slave and the master that is to feed it, as they are found in the topology.

use std::sync::{Arc, Weak};

use data::Dialect;
use data::SchemaStrategy;

use super::rewind::SharedRewinder;
use crate::manager::{SharedState, lock};
use crate::rule::Rule;
use crate::snapshot::End;
use crate::topology::{FedBy, Feed, Replica, State, TopologyEvent};

/// Which slave of which project, seen from a task that does not keep the manager alive.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) state: Weak<SharedState>,
    pub(super) project: String,
    pub(super) slave: String,
}

/// Both sides of a feed.
#[derive(Clone)]
pub(super) struct Parties {
    pub(super) master: Party,
    pub(super) slave: Party,
    pub(super) wanted: Feed,
    /// Whether the slave was the master before.
    pub(super) was_master: bool,
}

/// One side.
#[derive(Clone)]
pub(super) struct Party {
    pub(super) name: String,
    pub(super) dialect: Arc<dyn Dialect>,
    strategy: SchemaStrategy,
    schemas: Vec<Arc<data::EntitySchema>>,
}

impl Party {
    fn of(replica: &Replica) -> Option<Self> {
        Some(Self {
            name: replica.config.name.clone(),
            dialect: replica.connection.clone()?,
            strategy: replica.config.schema_strategy,
            schemas: replica.schemas.clone(),
        })
    }

    pub(super) fn end(&self) -> End {
        End::database(Arc::clone(&self.dialect), self.schemas.clone()).with_strategy(self.strategy)
    }
}

impl Place {
    /// The rule that feeds the slave. It stands beside the application's rules and is listed nowhere.
    pub(super) fn rule(&self) -> Rule {
        Rule { name: self.rule_of(&self.slave), ..Rule::of_project(&self.project) }
    }

    /// Both sides, if both are connected; `None` otherwise, or when the slave is none any more.
    pub(super) fn parties(&self) -> Option<Parties> {
        let state = self.state.upgrade()?;
        let state = lock(&state);
        let slave = state.topology.slave(&self.project, &self.slave)?;
        let master = state.topology.connected_master(&self.project)?;
        Some(Parties {
            master: Party::of(master)?,
            slave: Party::of(slave).filter(|_| slave.state == State::Connected)?,
            wanted: slave.config.feed,
            was_master: slave.demoted.is_some(),
        })
    }

    /// Whoever reads the log of the project's master for a rule: the other replicas as slaves, and the rules of the application,
    /// each with its target if that is connected.
    pub(super) fn readers(&self) -> Vec<(String, Option<End>)> {
        let Some(state) = self.state.upgrade() else { return Vec::new() };
        let state = lock(&state);
        let others =
            state.topology.replicas(&self.project).filter(|replica| replica.config.name != self.slave);
        let slaves =
            others.map(|other| (self.rule_of(&other.config.name), Party::of(other).map(|party| party.end())));
        slaves.chain(state.readers_of(&self.project)).collect()
    }

    fn rule_of(&self, slave: &str) -> String {
        format!("feed:{}/{slave}", self.project)
    }

    /// What brings a master of before back as a standby.
    pub(super) fn rewinder(&self) -> Option<SharedRewinder> {
        let state = self.state.upgrade()?;
        lock(&state).rewinder.clone()
    }

    /// Whether this is still the connected master.
    pub(super) fn is_master(&self, name: &str) -> bool {
        self.state.upgrade().is_some_and(|state| {
            lock(&state)
                .topology
                .connected_master(&self.project)
                .is_some_and(|master| master.config.name == name)
        })
    }

    /// Changes the slave in the topology.
    pub(super) fn change(&self, change: impl FnOnce(&mut Replica)) {
        let Some(state) = self.state.upgrade() else { return };
        let mut state = lock(&state);
        if let Ok(replica) = state.topology.replica_mut(&self.project, &self.slave) {
            change(replica);
        }
    }

    /// Enters what feeds the slave and tells of it, if that is news or there is something to warn of.
    pub(super) fn enter(&self, fed_by: FedBy, warning: Option<String>) {
        let mut is_news = warning.is_some();
        self.change(|replica| {
            is_news |= replica.fed_by != Some(fed_by);
            replica.fed_by = Some(fed_by);
        });
        if is_news {
            self.tell(TopologyEvent::ReplicaFeed {
                project: self.project.clone(),
                name: self.slave.clone(),
                feed: fed_by,
                warning,
            });
        }
    }

    /// Tells the application.
    pub(super) fn tell(&self, event: TopologyEvent) {
        let listener = self.state.upgrade().and_then(|state| lock(&state).listener.clone());
        if let Some(listener) = listener {
            listener(event);
        }
    }
}
