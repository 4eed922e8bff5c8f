//! Replicas in the manager: connected when they are added, and closed when they are removed.

use std::sync::Arc;
use std::time::Duration;

use data::{Dialect, EntitySchema};

use super::feeds::FED_AT_FIRST;
use super::{Manager, ManagerState};
use crate::error::{Error, Result};
use crate::stats::SyncStats;
use crate::topology::{Fenced, ReadRouting, Replica, ReplicaConfig, ReplicaStatus, State, Watch, ask_term};

/// How long a replica may take to say whether it was made the master.
const TERM_ASKED: Duration = Duration::from_secs(2);

/// A place in the topology for a replica that is yet to be connected.
#[must_use]
pub struct ReservedReplica {
    project: String,
    config: ReplicaConfig,
    schemas: Vec<Arc<EntitySchema>>,
}

impl Manager {
    /// Enters a replica, connects it and brings the tables of its entities into being.
    ///
    /// # Errors
    /// Those of [`reserve_replica`](Self::reserve_replica) and [`connect_replica`](Self::connect_replica).
    pub async fn add_replica(
        &self,
        project: &str,
        config: ReplicaConfig,
        schemas: Vec<Arc<EntitySchema>>,
    ) -> Result<Arc<dyn Dialect>> {
        self.connect_replica(self.reserve_replica(project, config, schemas)?).await
    }

    /// Enters a replica that is about to be connected. From now on its name and, if it is a master, its part are taken, and
    /// [`disconnect_all`](Self::disconnect_all) counts for it.
    ///
    /// # Errors
    /// [`Error::DuplicateReplica`] or [`Error::SecondMaster`].
    pub fn reserve_replica(
        &self,
        project: &str,
        config: ReplicaConfig,
        schemas: Vec<Arc<EntitySchema>>,
    ) -> Result<ReservedReplica> {
        self.state().topology.reserve(project, Replica::connecting(config.clone(), schemas.clone()))?;
        Ok(ReservedReplica { project: project.to_owned(), config, schemas })
    }

    /// Connects a replica that was entered, and brings the tables of its entities into being.
    ///
    /// # Errors
    /// [`Error::Database`] if it cannot be connected, and then it stays listed with [`State::Error`] until it is removed;
    /// [`Error::Removed`] if it was removed or disconnected meanwhile.
    pub async fn connect_replica(&self, reserved: ReservedReplica) -> Result<Arc<dyn Dialect>> {
        let connecting = connect(reserved.config.clone(), reserved.schemas.clone());
        self.connect_replica_by(reserved, connecting).await
    }

    /// As [`connect_replica`](Self::connect_replica), for a database that the caller knows how to connect and to prepare.
    ///
    /// # Errors
    /// As [`connect_replica`](Self::connect_replica).
    pub async fn connect_replica_by(
        &self,
        reserved: ReservedReplica,
        connecting: impl Future<Output = data::Result<Arc<dyn Dialect>>> + Send,
    ) -> Result<Arc<dyn Dialect>> {
        let ReservedReplica { project, config, .. } = reserved;
        let connected = connecting.await;
        let term = match &connected {
            Ok(dialect) => ask_term(&project, dialect, TERM_ASKED).await,
            Err(_) => None,
        };
        let outcome = self.settle(&project, &config.name, connected, term).await;
        if outcome.is_ok() {
            self.begin_feeds(&project, FED_AT_FIRST).await;
        }
        self.persist()?;
        outcome
    }

    /// The database of a connected replica, for whoever could not be given it because the tree file could not be written.
    pub fn connection_of(&self, project: &str, name: &str) -> Option<Arc<dyn Dialect>> {
        let state = self.state();
        let replica = state.topology.replicas(project).find(|replica| replica.config.name == name)?;
        let connection = replica.connection.clone().filter(|_| replica.state == State::Connected)?;
        Some(Arc::new(Fenced::new(connection, Arc::clone(&replica.fence))))
    }

    /// Enters the outcome of connecting a replica.
    async fn settle(
        &self,
        project: &str,
        name: &str,
        connected: data::Result<Arc<dyn Dialect>>,
        term: Option<i64>,
    ) -> Result<Arc<dyn Dialect>> {
        let outcome = {
            let mut state = self.state();
            let replica = state.topology.replica_mut(project, name).ok();
            let replica = replica.filter(|replica| replica.awaits_connection);
            match (connected, replica) {
                (Ok(dialect), Some(replica)) => {
                    replica.connected(Arc::clone(&dialect));
                    let fence = Arc::clone(&replica.fence);
                    state.topology.note_term(project, name, term);
                    state.topology.watch(project, || Watch::start(&self.state, project));
                    state
                        .stats
                        .insert(format!("{project}/{name}"), SyncStats::none(format!("{project}/{name}")));
                    return Ok(Arc::new(Fenced::new(dialect, fence)));
                }
                (Err(error), Some(replica)) => {
                    replica.state = State::Error;
                    replica.error = Some(error.to_string());
                    return Err(Error::database_in(format!("replica \"{name}\" of project \"{project}\""))(
                        error,
                    ));
                }
                (outcome, None) => outcome,
            }
        };
        if let Ok(orphaned) = outcome {
            close(&orphaned).await;
        }
        Err(Error::Removed { project: project.to_owned(), replica: name.to_owned() })
    }

    /// Removes a replica and closes its connections; the last one takes its project along.
    ///
    /// # Errors
    /// [`Error::NoReplicas`] or [`Error::UnknownReplica`]; [`Error::Promotion`] while a promotion in the project has not ended.
    pub async fn remove_replica(&self, project: &str, name: &str) -> Result<()> {
        let (removed, was_kept) = {
            let mut state = self.state();
            (state.topology.remove(project, name), state.forget_kept(project, name))
        };
        if was_kept && removed.is_err() {
            return self.persist();
        }
        let mut removed = removed?;
        self.state().stats.shift_remove(&format!("{project}/{name}"));
        self.end_feeds_of(project, &mut removed).await;
        if let Some(connection) = removed.take_connection() {
            close(&connection).await;
        }
        self.persist()
    }

    /// Sets how reads of a project are routed; it need not have replicas yet.
    ///
    /// # Errors
    /// [`Error::TreeFile`] if the change cannot be persisted.
    pub fn set_read_routing(&self, project: &str, routing: ReadRouting) -> Result<()> {
        self.state().topology.set_routing(project, routing);
        self.persist()
    }

    /// How reads of a project are routed.
    pub fn read_routing(&self, project: &str) -> ReadRouting {
        self.state().topology.routing(project)
    }

    /// The name of the connected master of a project.
    pub fn connected_master(&self, project: &str) -> Option<String> {
        self.state().topology.connected_master(project).map(|master| master.config.name.clone())
    }

    /// The state of every replica of a project, in the order they were added.
    pub fn status(&self, project: &str) -> Vec<ReplicaStatus> {
        self.state().topology.replicas(project).map(Replica::status).collect()
    }

    /// The projects that have replicas.
    pub fn projects(&self) -> Vec<String> {
        self.state().topology.projects().cloned().collect()
    }
}

impl ManagerState {
    /// A replica that is removed is not to come back by the file. Whether the file had it.
    fn forget_kept(&mut self, project: &str, name: &str) -> bool {
        let Some(replicas) = self.kept.get_mut(project) else { return false };
        let was_kept = replicas.shift_remove(name).is_some();
        if replicas.is_empty() {
            self.kept.shift_remove(project);
        }
        was_kept
    }
}

async fn connect(config: ReplicaConfig, schemas: Vec<Arc<EntitySchema>>) -> data::Result<Arc<dyn Dialect>> {
    let dialect = data::connect(&config.connection()?).await?;
    if let Err(error) = dialect.init_schema(&schemas).await {
        close(&dialect).await;
        return Err(error);
    }
    Ok(dialect)
}

/// A connection that cannot be closed in good order is gone all the same.
pub(super) async fn close(dialect: &Arc<dyn Dialect>) {
    if let Err(error) = dialect.disconnect().await {
        tracing::warn!(code = error.code(), "a replica did not disconnect in good order: {error}");
    }
}
