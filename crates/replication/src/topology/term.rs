//! Since when each replica's database has been the master: what tells the rightful one where configurations disagree.
//!
//! A process that was started with an old configuration holds another replica for the master than the processes that run. The
//! database that was promoted later keeps that in a row of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use data::progress::ServerRole;
use data::{Dialect, DialectKind};

use super::{Project, Role, State, Topology};
use crate::managed::term;
use crate::snapshot::End;

/// Asks a database when it was made the master of a project, in microseconds; 0 where nobody promoted it, `None` where it does
/// not say so in time.
pub(crate) async fn ask_term(project: &str, dialect: &Arc<dyn Dialect>, patience: Duration) -> Option<i64> {
    // Every question to it would run code of the application.
    if dialect.kind() == DialectKind::Foreign {
        return None;
    }
    let end = End::database(Arc::clone(dialect), Vec::new());
    tokio::time::timeout(patience, term(&end, project)).await.ok()?.ok()
}

impl Topology {
    /// Enters what a replica has said of its term.
    pub(crate) fn note_term(&mut self, project: &str, name: &str, seen: Option<i64>) {
        let Ok(replica) = self.replica_mut(project, name) else { return };
        // A look may have been begun before a promotion that is known by now.
        replica.term = replica.term.max(seen);
        self.cut_off_usurped(project);
    }

    /// Refuses writes to a master that another replica has replaced, until this process follows that one.
    pub(super) fn cut_off_usurped(&self, project: &str) {
        if self.usurper(project).is_none() {
            return;
        }
        if let Some(entry) = self.projects.get(project) {
            let now = Instant::now();
            entry.replicas.values().for_each(|replica| replica.fence.lease_until(Some(now)));
        }
    }

    /// A slave that somebody else has made the master, in a project where dead masters are replaced.
    pub(super) fn usurper(&self, project: &str) -> Option<&str> {
        self.failover.get(project)?;
        let entry = self.projects.get(project).filter(|entry| !entry.is_promoting)?;
        entry.usurper()
    }
}

impl Project {
    /// A standby that was seen to become a primary, or the slave that was made the master last, and later than the present one.
    pub(super) fn usurper(&self) -> Option<&str> {
        let slaves = || {
            self.replicas
                .values()
                .filter(|replica| replica.config.role == Role::Slave && replica.state == State::Connected)
        };
        let promoted = slaves().find(|slave| slave.became_primary);
        let crowned = || {
            let present = self.master()?.term?;
            // What a standby says is its master's word.
            let own = slaves().filter(|slave| slave.standing.role != Some(ServerRole::Standby));
            own.max_by_key(|slave| slave.term).filter(|slave| slave.term > Some(present))
        };
        promoted.or_else(crowned).map(|usurper| usurper.config.name.as_str())
    }

    /// Has a replica that was just promoted count as the latest master, also if its database could not be told so.
    pub(super) fn note_promoted(&mut self, name: &str) {
        let latest = self.replicas.values().filter_map(|replica| replica.term).max();
        let others = self.replicas.values().filter(|replica| replica.config.name != name);
        let is_latest =
            others.filter_map(|other| other.term).max() < self.replicas.get(name).and_then(|own| own.term);
        if let (Some(replica), false) = (self.replicas.get_mut(name), is_latest) {
            replica.term = latest.map(|latest| latest.saturating_add(1));
        }
    }
}
