//! What transactions over several clusters ask of the engine, besides running statements: where a schema is, and what was
//! done on the sessions that are part of them.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::definition_changes::DefinitionChanges;
use super::{Command, DatabaseId, Engine};
use crate::error::Error;
use crate::failover::ClusterEvent;
use crate::request::SessionId;
use crate::route::{RouteError, RouteOptions};

impl Engine {
    /// Where tasks run that belong to the engine: on its thread, between its turns, and until it is closed.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// How often definitions of clusters have changed.
    pub(crate) fn definition_changes(&self) -> &DefinitionChanges {
        &self.definition_changes
    }

    /// The cluster on which a session would be opened. For tasks of [`Engine::runtime`].
    pub(crate) fn locate(&self, route: &RouteOptions) -> Result<Arc<str>, Error> {
        let located = self.shared.with_core(|core| {
            let (cluster, _) = core.decide_session(route)?;
            let cluster = core.clusters.get(cluster.0).ok_or(RouteError::NoActiveCluster)?;
            Ok(Arc::clone(&cluster.id))
        });
        located.unwrap_or(Err(Error::Closed))
    }

    /// The ids of all clusters. For tasks of [`Engine::runtime`].
    pub(crate) fn cluster_ids(&self) -> Vec<Arc<str>> {
        let ids = self.shared.with_core(|core| core.clusters.iter().map(|c| Arc::clone(&c.id)).collect());
        ids.unwrap_or_default()
    }

    /// Has statements of callers refused that would end the transaction of a session. For tasks of [`Engine::runtime`].
    pub(crate) fn guard_session(&self, id: SessionId) {
        self.shared.with_core(|core| {
            if let Some(session) = core.sessions.get_mut(&id.0) {
                session.is_guarded = true;
            }
        });
    }

    /// Whether the text of one of a session's statements says that it writes. For tasks of [`Engine::runtime`].
    pub(crate) fn has_written(&self, id: SessionId) -> bool {
        let known = self.shared.with_core(|core| core.sessions.get(&id.0).map(|session| session.has_written));
        known.flatten().unwrap_or_default()
    }

    /// The database of a session's connection, if it was noted. For tasks of [`Engine::runtime`].
    pub(crate) fn known_database(&self, id: SessionId) -> Option<DatabaseId> {
        self.shared.with_core(|core| core.session_connection(id)?.database).flatten()
    }

    /// Notes the database of a session's connection, unless a pooler may lead the connection elsewhere next time. For tasks of
    /// [`Engine::runtime`].
    pub(crate) fn note_database(&self, id: SessionId, database: DatabaseId) {
        self.shared.with_core(|core| {
            let pool = core.sessions.get(&id.0).and_then(|session| core.pools.get(session.pool));
            let is_direct = pool.is_some_and(|pool| pool.settings.prepare);
            if let Some(connection) = core.session_connection(id).filter(|_| is_direct) {
                connection.database = Some(database);
            }
        });
    }

    /// Tells of something that was found out about a cluster. For tasks of [`Engine::runtime`].
    pub(crate) fn tell_of(&self, event: ClusterEvent) {
        self.shared.with_core(|core| core.tell(event));
    }

    /// Cancels what a session was asked, also on the server; the session stays.
    pub(crate) fn cancel_session(&self, id: SessionId) {
        self.tell(Command::CancelSession(id));
    }
}
