//! Which replicas a project has, what they are, and which of them serves a read.

mod event;
mod failover;
mod fence;
mod lag;
mod observe;
mod operations;
mod promote;
mod quorum;
mod replica;
mod routing;
mod term;
mod token;
mod vote;
mod watch;

pub use event::{TopologyEvent, TopologyListener};
pub use promote::Promoted;
pub use replica::{FedBy, Feed, ReplicaConfig, ReplicaStatus, Role, State};
pub use routing::ReadRouting;
pub use token::WriteToken;

use std::sync::Arc;
use std::time::{Duration, Instant};

use data::Dialect;
use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::managed::ManagedFeed;
pub(crate) use fence::Fenced;
pub(crate) use replica::Replica;
pub(crate) use term::ask_term;
pub(crate) use watch::Watch;

use lag::Timeline;

/// How often the replicas are looked at, unless the application says otherwise.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

/// The projects, their replicas and their read routing.
#[derive(Default)]
pub(crate) struct Topology {
    projects: IndexMap<String, Project>,
    routing: IndexMap<String, ReadRouting>,
    /// After how long a dead master is replaced, in the projects that want that.
    failover: IndexMap<String, Duration>,
    interval: Option<Duration>,
}

#[derive(Default)]
struct Project {
    replicas: IndexMap<String, Replica>,
    reads: u64,
    /// Where the log of the master was seen.
    timeline: Timeline,
    /// Where the log was seen from which slaves are fed by us; its positions need not be those of the other.
    feed_timeline: Timeline,
    /// The task that looks at the replicas; there is none without a slave.
    watch: Option<Watch>,
    /// Whether the master waited for a standby with each commit when it was last looked at.
    is_synchronous: bool,
    /// Since when the master does not answer.
    master_gone_at: Option<Instant>,
    is_promoting: bool,
    /// Whether this process was found not to reach a majority of the replicas.
    lacks_majority: bool,
    /// Whether it was told that the dead master cannot be replaced.
    is_refusal_told: bool,
}

impl Project {
    fn master(&self) -> Option<&Replica> {
        self.replicas.values().find(|replica| replica.config.role == Role::Master)
    }
}

impl Topology {
    /// Enters a replica that is about to be connected, so that neither its name nor a second master can be taken
    /// meanwhile.
    pub(crate) fn reserve(&mut self, project: &str, replica: Replica) -> Result<()> {
        let entry = self.projects.entry(project.to_owned()).or_default();
        let name = replica.config.name.clone();
        if entry.replicas.contains_key(&name) {
            return Err(Error::DuplicateReplica { project: project.to_owned(), replica: name });
        }
        if let (Role::Master, Some(master)) = (replica.config.role, entry.master()) {
            return Err(Error::SecondMaster {
                project: project.to_owned(),
                master: master.config.name.clone(),
            });
        }
        entry.replicas.insert(name, replica);
        Ok(())
    }

    pub(crate) fn remove(&mut self, project: &str, name: &str) -> Result<Replica> {
        let entry = self.project_mut(project)?;
        if entry.is_promoting && entry.replicas.contains_key(name) {
            return Err(Error::Promotion {
                replica: name.to_owned(),
                problem: "a promotion in its project has not ended yet; remove it afterwards".to_owned(),
            });
        }
        let replicas = &mut entry.replicas;
        let removed = replicas.shift_remove(name).ok_or_else(|| unknown_replica(project, name))?;
        if replicas.is_empty() {
            self.projects.shift_remove(project);
        }
        Ok(removed)
    }

    pub(crate) fn replica_mut(&mut self, project: &str, name: &str) -> Result<&mut Replica> {
        self.project_mut(project)?.replicas.get_mut(name).ok_or_else(|| unknown_replica(project, name))
    }

    /// A slave of a project.
    pub(crate) fn slave(&self, project: &str, name: &str) -> Option<&Replica> {
        self.projects.get(project)?.replicas.get(name).filter(|replica| replica.config.role == Role::Slave)
    }

    /// The connected master of a project.
    pub(crate) fn connected_master(&self, project: &str) -> Option<&Replica> {
        self.projects.get(project)?.master().filter(|master| master.state == State::Connected)
    }

    /// The name of the replica that serves the next read: a slave by the project's strategy, else the master, else
    /// none. With a token, a slave that is known to have the write.
    pub(crate) fn next_read(&mut self, project: &str, after: Option<&WriteToken>) -> Option<String> {
        let routing = self.routing(project);
        let entry = self.projects.get_mut(project)?;
        let turn = entry.reads;
        entry.reads = entry.reads.wrapping_add(1);
        let master = entry.master();
        let master_name = master.map(|master| master.config.name.as_str());
        let has_write = |replica: &&Replica| after.is_none_or(|token| token.is_seen_by(replica, master_name));
        let usable = entry.replicas.values().filter(|replica| replica.is_usable_slave());
        let usable: Vec<&Replica> = usable.filter(has_write).collect();
        let chosen = routing.choose(&usable, turn);
        let master = || master.filter(|master| master.state == State::Connected);
        chosen.or_else(master).map(|replica| replica.config.name.clone())
    }

    /// How often the replicas of a project are looked at.
    pub(crate) fn interval_of(&self, project: &str) -> Duration {
        let interval = self.interval.unwrap_or(DEFAULT_INTERVAL);
        self.pace(project).map_or(interval, |pace| interval.min(pace.interval()))
    }

    pub(crate) fn set_interval(&mut self, interval: Duration) {
        self.interval = Some(interval);
    }

    /// Has the replicas of a project looked at by a task, unless that is done or there is no slave.
    pub(crate) fn watch(&mut self, project: &str, start: impl FnOnce() -> Watch) {
        let Some(entry) = self.projects.get_mut(project) else { return };
        if entry.watch.is_none() && entry.replicas.values().any(|replica| replica.config.role == Role::Slave)
        {
            entry.watch = Some(start());
        }
    }

    /// Marks a replica on which a connection was lost; the next looks tell whether it is back. Whether that was news.
    pub(crate) fn lost(&mut self, project: &str, name: &str, reason: &str) -> Option<TopologyEvent> {
        let entry = self.projects.get_mut(project)?;
        let is_watched = entry.watch.is_some();
        let replica = entry.replicas.get_mut(name)?;
        // Nothing would ever find out that it is back.
        if !is_watched || replica.state != State::Connected {
            return None;
        }
        replica.state = State::Error;
        replica.error = Some(reason.to_owned());
        let event = event::Appearance::of(replica).event(project, replica);
        entry.note_master(Instant::now());
        Some(event)
    }

    pub(crate) fn set_routing(&mut self, project: &str, routing: ReadRouting) {
        self.routing.insert(project.to_owned(), routing);
    }

    pub(crate) fn routing(&self, project: &str) -> ReadRouting {
        self.routing.get(project).copied().unwrap_or_default()
    }

    pub(crate) fn routings(&self) -> impl Iterator<Item = (&String, ReadRouting)> {
        self.routing.iter().map(|(project, routing)| (project, *routing))
    }

    pub(crate) fn projects(&self) -> impl Iterator<Item = &String> {
        self.projects.keys()
    }

    pub(crate) fn replicas(&self, project: &str) -> impl Iterator<Item = &Replica> {
        self.projects.get(project).into_iter().flat_map(|project| project.replicas.values())
    }

    /// Has every slave of a project fed, or found out what feeds it, for which that is not done yet; those that were begun.
    pub(crate) fn begin_feeds(
        &mut self,
        project: &str,
        mut start: impl FnMut(&str) -> Arc<ManagedFeed>,
    ) -> Vec<(String, Arc<ManagedFeed>)> {
        let Some(entry) = self.projects.get_mut(project) else { return Vec::new() };
        let mut begun = Vec::new();
        for (name, replica) in &mut entry.replicas {
            if replica.wants_feed() {
                let feed = start(name);
                replica.feed = Some(Arc::clone(&feed));
                begun.push((name.clone(), feed));
            }
        }
        begun
    }

    /// The feed of the slave that is called so with its project before it.
    pub(crate) fn feed_of(&self, name: &str) -> Option<&Arc<ManagedFeed>> {
        let slaves = self.projects.iter().flat_map(|(project, entry)| {
            entry.replicas.iter().map(move |(slave, replica)| (project, slave, replica))
        });
        let mut found = slaves.filter(|(project, slave, _)| {
            name.strip_prefix(project.as_str()).and_then(|rest| rest.strip_prefix('/')) == Some(slave)
        });
        found.next()?.2.feed.as_ref()
    }

    /// Takes the feeds of a project, or of all projects.
    pub(crate) fn take_feeds(&mut self, project: Option<&str>) -> Vec<(String, Arc<ManagedFeed>)> {
        let projects =
            self.projects.iter_mut().filter(|(name, _)| project.is_none_or(|wanted| wanted == *name));
        let replicas = projects.flat_map(|(_, entry)| &mut entry.replicas);
        replicas.filter_map(|(name, replica)| Some((name.clone(), replica.feed.take()?))).collect()
    }

    /// Takes every open connection and marks its replica as disconnected.
    pub(crate) fn take_connections(&mut self) -> Vec<Arc<dyn Dialect>> {
        let replicas = self.projects.values_mut().flat_map(|project| {
            project.watch = None;
            project.replicas.values_mut()
        });
        replicas.filter_map(Replica::take_connection).collect()
    }

    fn project_mut(&mut self, project: &str) -> Result<&mut Project> {
        self.projects.get_mut(project).ok_or_else(|| Error::NoReplicas(project.to_owned()))
    }
}

fn unknown_replica(project: &str, name: &str) -> Error {
    Error::UnknownReplica { project: project.to_owned(), replica: name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(replicas: &[(&str, Role)]) -> Topology {
        let mut topology = Topology::default();
        for (name, role) in replicas {
            let mut replica = Replica::connecting(ReplicaConfig::for_tests(name, *role), Vec::new());
            replica.state = State::Connected;
            topology.reserve("shop", replica).unwrap();
        }
        topology
    }

    #[test]
    fn round_robin_visits_every_slave_in_turn() {
        let mut topology = topology(&[("m", Role::Master), ("a", Role::Slave), ("b", Role::Slave)]);
        let reads: Vec<_> = (0..4).map(|_| topology.next_read("shop", None).unwrap()).collect();
        assert_eq!(reads, ["a", "b", "a", "b"]);
    }

    #[test]
    fn the_master_serves_reads_when_no_slave_can() {
        let mut topology = topology(&[("m", Role::Master), ("a", Role::Slave)]);
        topology.replica_mut("shop", "a").unwrap().state = State::Error;
        assert_eq!(topology.next_read("shop", None).as_deref(), Some("m"));
        assert_eq!(topology.next_read("nowhere", None), None);
    }

    #[test]
    fn a_stale_slave_is_passed_over() {
        let mut topology = topology(&[("m", Role::Master), ("a", Role::Slave), ("b", Role::Slave)]);
        let stale = topology.replica_mut("shop", "a").unwrap();
        (stale.config.lag_tolerance, stale.standing.lag) = (Some(100), Some(101));
        assert!((0..4).all(|_| topology.next_read("shop", None).as_deref() == Some("b")));
    }

    #[test]
    fn least_lag_takes_the_freshest() {
        let mut topology = topology(&[("a", Role::Slave), ("b", Role::Slave)]);
        topology.set_routing("shop", ReadRouting::LeastLag);
        topology.replica_mut("shop", "a").unwrap().standing.lag = Some(50);
        topology.replica_mut("shop", "b").unwrap().standing.lag = Some(5);
        assert!((0..3).all(|_| topology.next_read("shop", None).as_deref() == Some("b")));
    }

    #[test]
    fn a_read_after_a_write_goes_to_a_slave_that_has_it_else_to_the_master() {
        let mut topology = topology(&[("m", Role::Master), ("a", Role::Slave), ("b", Role::Slave)]);
        let token = WriteToken::new("m", data::DialectKind::Postgres, Some(100));
        assert_eq!(topology.next_read("shop", Some(&token)).as_deref(), Some("m"));
        topology.replica_mut("shop", "a").unwrap().standing.applied = Some(99);
        topology.replica_mut("shop", "b").unwrap().standing.applied = Some(100);
        assert!((0..4).all(|_| topology.next_read("shop", Some(&token)).as_deref() == Some("b")));
    }

    #[test]
    fn an_errored_master_still_counts_as_the_master() {
        let mut topology = topology(&[("m", Role::Master)]);
        topology.replica_mut("shop", "m").unwrap().state = State::Error;
        let second = Replica::connecting(ReplicaConfig::for_tests("n", Role::Master), Vec::new());
        assert!(
            topology.reserve("shop", second).unwrap_err().to_string().contains("a deja un master: \"m\"")
        );
        assert!(topology.connected_master("shop").is_none());
    }

    #[test]
    fn the_last_replica_takes_its_project_along() {
        let mut topology = topology(&[("m", Role::Master)]);
        topology.remove("shop", "m").unwrap();
        assert_eq!(topology.projects().count(), 0);
        assert!(
            topology
                .remove("shop", "m")
                .is_err_and(|error| error.to_string().contains("n'a pas de replicas"))
        );
    }
}
