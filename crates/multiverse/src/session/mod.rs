//! Pinned connections: waited for in the queue of a pool, used by one caller, given back as they were.

mod begin_again;
mod news;
mod path;
pub(crate) mod position;
mod reset;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::engine::{Core, Haste, Release, Session, SessionReply, Token};
use crate::error::Error;
use crate::pool::{PooledConnection, Ticket};
use crate::request::SessionId;
use crate::route::{RouteError, RouteOptions};
pub use news::{SessionListener, SessionNews};
pub(crate) use path::{Paths, UNKNOWN};

/// A session of a caller.
pub(crate) struct PinnedSession {
    pub(crate) pool: usize,
    pub(crate) cluster: usize,
    /// The search path of its requests, unless they say otherwise.
    pub(crate) path: u32,
    /// When it began to wait.
    pub(crate) queued: Instant,
    hold: Hold,
    /// Its requests that have not been sent.
    pub(crate) queue: VecDeque<usize>,
    /// It is given back when they have run.
    release: Option<Release>,
    /// It is part of a transaction that this crate ends.
    pub(crate) is_guarded: bool,
    /// The text of one of its statements says that it writes.
    pub(crate) has_written: bool,
    /// What its transaction was begun by, while nothing else has run in it.
    begun_by: Option<Arc<str>>,
    pub(crate) haste: Haste,
    listener: Option<SessionListener>,
}

enum Hold {
    /// It waits for a connection.
    Waiting(SessionReply),
    Connection(Token),
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionEnd {
    Released,
    Lost,
}

impl PinnedSession {
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.hold, Hold::Waiting(_))
    }

    pub(crate) fn is_releasing(&self) -> bool {
        self.release.is_some()
    }
}

impl Core {
    pub(crate) fn open_session(
        &mut self,
        id: SessionId,
        route: RouteOptions,
        haste: Haste,
        reply: SessionReply,
    ) {
        let (cluster, server) = match self.decide_session(&route) {
            Ok(place) => place,
            Err(error) => return self.answer_session(reply, Err(error.into())),
        };
        let Some(pool) = self.pool_of(cluster.0, server.0) else {
            return self.answer_session(reply, Err(RouteError::NoActiveCluster.into()));
        };
        let session = PinnedSession {
            pool,
            cluster: cluster.0,
            path: route.schema.as_ref().map_or(0, |schema| self.paths.number(schema)),
            queued: self.now(),
            hold: Hold::Waiting(reply),
            queue: VecDeque::new(),
            release: None,
            is_guarded: false,
            has_written: false,
            begun_by: None,
            haste,
            listener: None,
        };
        self.sessions.insert(id.0, session);
        if let Some(pool) = self.pools.get_mut(pool) {
            pool.queue.push_back(Ticket::Session(id));
            pool.waiting += 1;
        }
        self.call_dispatch(pool);
    }

    /// Gives a connection to the session that has waited for it.
    pub(crate) fn give_session(&mut self, id: SessionId, pool: usize, slot: usize) {
        let Some(pool) = self.pools.get_mut(pool) else { return };
        let Some(connection) = pool.connections.get_mut(slot) else { return };
        let token = connection.token;
        let Some(session) = self.sessions.get_mut(&id.0) else { return self.settle(token) };
        connection.session = Some(id);
        // A transaction cannot run a statement again whose meaning has changed since it was kept.
        connection.outdate_statements(self.definition_changes.of_all());
        let cluster =
            self.clusters.get(session.cluster).map(|cluster| cluster.id.clone()).unwrap_or_default();
        let opened =
            Session { id, cluster, server: pool.id.clone(), process_id: connection.pipeline.process_id() };
        if let Hold::Waiting(reply) = std::mem::replace(&mut session.hold, Hold::Connection(token)) {
            self.answer_session(reply, Ok(opened));
        }
        self.go_on_with_session(id);
    }

    /// The connection that a session has.
    pub(crate) fn session_connection(&mut self, id: SessionId) -> Option<&mut PooledConnection> {
        match self.sessions.get(&id.0)?.hold {
            Hold::Connection(token) => self.connection(token),
            Hold::Waiting(_) => None,
        }
    }

    /// Sends the next request of a session whose connection is free, or gives the connection back.
    pub(crate) fn go_on_with_session(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id.0) else { return };
        let Hold::Connection(token) = session.hold else { return };
        if !self.connection(token).is_some_and(|connection| connection.is_free()) {
            return;
        }
        let Some(session) = self.sessions.get_mut(&id.0) else { return };
        match (session.queue.pop_front(), session.release) {
            (Some(key), _) => self.send(token.pool, token.slot, key),
            (None, Some(release)) => self.give_back(id, token, release),
            (None, None) => {}
        }
    }

    pub(crate) fn release_session(&mut self, id: SessionId, release: Release) {
        let Some(session) = self.sessions.get_mut(&id.0) else { return };
        session.release = Some(release);
        match session.hold {
            Hold::Waiting(_) => {
                if let Some(pool) = self.pools.get_mut(session.pool) {
                    pool.waiting = pool.waiting.saturating_sub(1);
                }
                self.end_session(id, SessionEnd::Released);
            }
            Hold::Connection(token) if release == Release::Close => {
                self.lose(token, wire::Error::Closed("the client was closed".to_owned()));
            }
            Hold::Connection(_) => self.go_on_with_session(id),
        }
    }

    fn give_back(&mut self, id: SessionId, token: Token, release: Release) {
        self.end_session(id, SessionEnd::Released);
        if release == Release::Close {
            return self.close_connection(token.pool, token.slot);
        }
        if let Some(connection) = self.connection(token) {
            connection.session = None;
        }
        self.settle(token);
    }

    /// Ends a session; its requests that were not sent are refused.
    pub(crate) fn end_session(&mut self, id: SessionId, end: SessionEnd) {
        let Some(session) = self.sessions.remove(&id.0) else { return };
        for key in session.queue {
            self.end(key, Err(Error::NoSession(id)));
        }
        if let Hold::Waiting(reply) = session.hold {
            let error = if end == SessionEnd::Lost { Error::Closed } else { Error::Cancelled };
            self.answer_session(reply, Err(error));
        }
    }

    /// A session that waits cannot be given a connection.
    pub(crate) fn fail_session(&mut self, id: SessionId, error: Error) {
        let Some(session) = self.sessions.remove(&id.0) else { return };
        if let Some(pool) = self.pools.get_mut(session.pool) {
            pool.waiting = pool.waiting.saturating_sub(1);
        }
        for key in session.queue {
            self.end(key, Err(error.clone()));
        }
        if let Hold::Waiting(reply) = session.hold {
            self.answer_session(reply, Err(error));
        }
    }

    /// All sessions end because the engine does.
    pub(crate) fn end_all_sessions(&mut self) {
        for (_, session) in std::mem::take(&mut self.sessions) {
            if let Hold::Waiting(reply) = session.hold {
                self.answer_session(reply, Err(Error::Closed));
            }
        }
    }

    fn answer_session(&mut self, reply: SessionReply, answer: Result<Session, Error>) {
        self.has_answered = true;
        reply(answer);
    }
}
