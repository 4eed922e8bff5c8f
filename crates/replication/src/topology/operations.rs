//! What the manager does with live replicas: routing of reads, tokens of writes, the pace of looks, failover.

use std::sync::Arc;
use std::time::{Duration, Instant};

use data::progress::end_of_log;
use futures_util::future::join_all;

use super::{FedBy, Topology, TopologyListener, WriteToken};
use crate::error::{Error, Result};
use crate::managed::{ManagedFeed, Rewinder, head_for};
use crate::manager::Manager;

/// The bounds of the interval between looks, in ms.
const INTERVALS: std::ops::RangeInclusive<u64> = 10..=3_600_000;

impl Manager {
    /// The name of the replica that serves the next read of a project; with a token, one that is known to have that write.
    pub fn next_read(&self, project: &str, after: Option<&WriteToken>) -> Option<String> {
        self.state().topology.next_read(project, after)
    }

    /// A token for every write that the master of a project has acknowledged before this call.
    ///
    /// # Errors
    /// [`Error::NoMaster`]; [`Error::Database`].
    pub async fn write_token(&self, project: &str) -> Result<WriteToken> {
        let (master, feeds) = {
            let state = self.state();
            let master = state.topology.connected_master(project);
            let master =
                master.and_then(|master| Some((master.config.name.clone(), master.connection.clone()?)));
            let fed = state.topology.replicas(project).filter(|slave| slave.fed_by == Some(FedBy::Managed));
            (master, fed.filter_map(|slave| slave.feed.clone()).collect::<Vec<_>>())
        };
        let (name, dialect) =
            master.ok_or_else(|| Error::NoMaster { end: "source", project: project.to_owned() })?;
        let position = end_of_log(dialect.as_ref())
            .await
            .map_err(Error::database_in(format!("the position of replica \"{name}\"")))?;
        if let Some(position) = position {
            self.state().topology.reached(project, &name, position);
        }
        Ok(WriteToken::new(&name, dialect.kind(), position).with_fed_position(fed_position(&feeds).await))
    }

    /// Sets how often replicas are looked at, in ms; 1000 unless set.
    ///
    /// # Errors
    /// [`Error::Config`] unless it is from 10 ms to an hour.
    pub fn set_lag_interval(&self, millis: u64) -> Result<()> {
        if !INTERVALS.contains(&millis) {
            return Err(Error::config(
                "lagIntervalMs",
                format!("expected {} to {} ms, found {millis}", INTERVALS.start(), INTERVALS.end()),
            ));
        }
        self.state().topology.set_interval(Duration::from_millis(millis));
        Ok(())
    }

    /// Sets after how long a master that does not answer is replaced by a standby; `None` for never, as it is unless set.
    pub fn set_auto_failover(&self, project: &str, after: Option<Duration>) {
        self.state().topology.set_failover(project, after);
    }

    /// Whom to tell of what happens to replicas by itself.
    pub fn set_topology_listener(&self, listener: TopologyListener) {
        self.state().listener = Some(listener);
    }

    /// What brings the server of a master of before back as a standby of the new one. Of replicas with feed auto; without it, and
    /// when it fails, they are fed by this library.
    pub fn set_rewinder(&self, rewinder: Arc<dyn Rewinder>) {
        self.state().rewinder = Some(rewinder);
    }

    /// Says that a connection to a replica was lost in use, so that no further read is sent there until it answers.
    pub fn connection_lost(&self, project: &str, name: &str, reason: &str) {
        let (event, listener) = {
            let mut state = self.state();
            (state.topology.lost(project, name, reason), state.listener.clone())
        };
        if let (Some(event), Some(listener)) = (event, listener) {
            listener(event);
        }
    }
}

/// Where the log stands from which slaves are fed. `None` also where the master has a table that one of them does not get yet: the
/// write may be there.
async fn fed_position(feeds: &[Arc<ManagedFeed>]) -> Option<u64> {
    let first = feeds.first()?;
    let present = first.tables_of_master().await?;
    let awaiting = join_all(feeds.iter().map(|feed| feed.awaits_tables(&present))).await;
    if awaiting.contains(&true) {
        return None;
    }
    Some(head_for(first).await?.position.order)
}

impl Topology {
    /// Notes that the log of a master has reached a position, so that a standby that lacks it is known to.
    fn reached(&mut self, project: &str, master: &str, position: u64) {
        let Some(entry) = self.projects.get_mut(project) else { return };
        if entry.master().is_some_and(|known| known.config.name == master) {
            entry.timeline.reached(position, Instant::now());
        }
    }
}
