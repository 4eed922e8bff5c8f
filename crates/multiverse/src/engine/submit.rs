//! The way of a request into the queue of a pool: which text, which server, which search path.

use std::sync::Arc;
use std::time::Instant;

use super::core::Core;
use super::pending::{Pending, Place};
use super::timers::Timer;
use crate::answer::Answer;
use crate::config::ConsistencyLevel;
use crate::error::Error;
use crate::migration::leaves_transaction;
use crate::pool::Ticket;
use crate::request::{Request, SessionId};
use crate::route::{ClusterIndex, RouteError, RouteOptions};

/// What the engine does with prepared transactions. Each name comes once: nothing is to be found out about it, nor kept.
const ABOUT_PREPARED: [&str; 3] = ["PREPARE TRANSACTION ''", "COMMIT PREPARED ''", "ROLLBACK PREPARED ''"];

/// Timers of requests that ended in time are dropped when there are more than these, and more than there are requests.
const MOST_ENDED_TIMERS: usize = 4096;

impl Core {
    pub(super) fn submit(&mut self, request: Request) {
        match request.session {
            Some(session) => self.submit_to_session(request, session),
            None => self.submit_to_pool(request, self.now + self.settings.longest_hold),
        }
    }

    /// Submits a request to the pool of the server that it is routed to. Before a moment it may be held back instead.
    pub(super) fn submit_to_pool(&mut self, request: Request, held_until: Instant) {
        let decision = match self.decide(&request.sql, &request.route) {
            Ok(decision) => decision,
            Err(error) => return self.refuse(request.answer, error.into()),
        };
        let Some(request) = self.hold_back(request, &decision, held_until) else { return };
        let Some(pool) = self.pool_of(decision.cluster.0, decision.server.0) else {
            return self.refuse(request.answer, Error::Route(RouteError::NoActiveCluster));
        };
        let Some((request, fill)) = self.look_up(request, &decision) else { return };
        let wants_session = self.wants_session(&request.route, decision.cluster.0);
        // A query may write too, by a function or a view.
        let wants_position = wants_session && !decision.reads && !decision.on_replica;
        if wants_session && request.route.written.is_some() {
            self.sample_replay(decision.cluster.0);
        }
        let path = request.route.schema.as_ref().map_or(0, |schema| self.paths.number(schema));
        let text = self.texts.get(&request.sql, request.parameters.types());
        let pending = Pending {
            on_replica: decision.on_replica,
            reads: decision.reads,
            path,
            wants_position,
            fill,
            ..Pending::new(request, text, decision.verdict, (decision.cluster.0, pool), self.now)
        };
        let key = self.keep(pending);
        self.mark_fill(key);
        self.enqueue(key);
    }

    /// Whether a call is to see what its caller's session has written.
    pub(super) fn wants_session(&self, route: &RouteOptions, cluster: usize) -> bool {
        match route.consistency_level {
            Some(level) => level == ConsistencyLevel::Session,
            None => self.clusters.get(cluster).is_some_and(|cluster| cluster.has_sessions),
        }
    }

    fn submit_to_session(&mut self, request: Request, id: SessionId) {
        let Some(session) = self.sessions.get(&id.0).filter(|session| !session.is_releasing()) else {
            return self.refuse(request.answer, Error::NoSession(id));
        };
        let (pool, cluster, session_path) = (session.pool, session.cluster, session.path);
        let is_guarded = session.is_guarded && !request.id.is_own();
        let known_as = without_name(&request);
        let verdict = self.router.verdict(&known_as);
        if is_guarded && verdict.transaction_control && leaves_transaction(&request.sql) {
            return self.refuse(request.answer, Error::TransactionControl);
        }
        let path = request.route.schema.as_ref().map_or(session_path, |schema| self.paths.number(schema));
        let text = self.texts.get(&known_as, request.parameters.types());
        let wants_position = self.wants_session(&request.route, cluster)
            && !self.router.only_reads(ClusterIndex(cluster), &known_as);
        let has_written = verdict.surely_writes();
        // Savepoints of a transaction ask for nothing.
        let is_counted = !(request.id.is_own() || is_guarded && verdict.transaction_control);
        let key = self.keep(Pending {
            path,
            place: Place::InSession,
            wants_position,
            is_counted,
            ..Pending::new(request, text, verdict, (cluster, pool), self.now)
        });
        if let Some(session) = self.sessions.get_mut(&id.0) {
            session.queue.push_back(key);
            session.has_written |= has_written;
        }
        self.go_on_with_session(id);
    }

    /// Keeps a request and sets its timer.
    pub(super) fn keep(&mut self, pending: Pending) -> usize {
        let (id, timeout, submitted) = (pending.id, pending.timeout, pending.submitted);
        let key = self.requests.insert(pending);
        self.by_id.insert(id, key);
        if let Some(timeout) = timeout {
            self.timers.add(submitted + timeout, Timer::Deadline { request: key, id });
            if self.timers.len() > MOST_ENDED_TIMERS + 2 * self.requests.len() {
                let requests = &self.requests;
                self.timers.drop_ended(|key, id| requests.get(key).is_some_and(|pending| pending.id == id));
            }
        }
        key
    }

    /// Puts a request at the end of the queue of its pool.
    pub(crate) fn enqueue(&mut self, key: usize) {
        let Some(pending) = self.requests.get_mut(key) else { return };
        pending.place = Place::Queued;
        pending.queued = self.now;
        if self.pools.get(pending.pool).is_none_or(|pool| pool.is_leaving) {
            // There is no other place: it was decided a moment ago, or it is the engine's own.
            pending.place = Place::Delayed;
            return self.end(key, Err(Error::Closed));
        }
        let (pool, ticket) = (pending.pool, Ticket::Request { key, id: pending.id });
        if let Some(pool) = self.pools.get_mut(pool) {
            pool.queue.push_back(ticket);
            pool.waiting += 1;
        }
        self.call_dispatch(pool);
    }

    /// Puts a request that already had its turn at the front of the queue of its pool.
    pub(crate) fn enqueue_first(&mut self, key: usize) {
        let Some(pending) = self.requests.get_mut(key) else { return };
        if self.pools.get(pending.pool).is_none_or(|pool| pool.is_leaving) {
            pending.place = Place::Delayed;
            return self.reroute(key);
        }
        pending.place = Place::Queued;
        let (pool, ticket) = (pending.pool, Ticket::Request { key, id: pending.id });
        if let Some(pool) = self.pools.get_mut(pool) {
            pool.queue.push_front(ticket);
            pool.waiting += 1;
        }
        self.call_dispatch(pool);
    }

    /// Decides anew where a request runs, and puts it there: its server has failed or refused it.
    pub(crate) fn reroute(&mut self, key: usize) {
        let Some(pending) = self.requests.get(key) else { return };
        if !pending.is_own {
            let (sql, route) = (pending.sql.clone(), pending.route.clone());
            match self.decide(&sql, &route) {
                Ok(decision) => {
                    let pool = self.pool_of(decision.cluster.0, decision.server.0);
                    if let (Some(pending), Some(pool)) = (self.requests.get_mut(key), pool) {
                        pending.pool = pool;
                        pending.cluster = decision.cluster.0;
                        pending.on_replica = decision.on_replica;
                        pending.reads = decision.reads;
                        pending.verdict = decision.verdict;
                    }
                }
                // With no server to go to it waits for the one it had.
                Err(RouteError::NoActiveCluster) => {}
                Err(error) => return self.end(key, Err(error.into())),
            }
        }
        self.enqueue(key);
    }

    /// Decides anew where a request runs whose pool has been wound up.
    pub(crate) fn move_elsewhere(&mut self, key: usize, id: u64) {
        let Some(pending) = self.requests.get_mut(key).filter(|pending| pending.id == id) else { return };
        if pending.place == Place::Queued {
            // Its pool counts it no more.
            pending.place = Place::Delayed;
            self.reroute(key);
        }
    }

    /// Has a request wait before its next attempt.
    pub(crate) fn retry_later(&mut self, key: usize) {
        let Some(pending) = self.requests.get_mut(key) else { return };
        pending.retry.attempts = pending.retry.attempts.saturating_sub(1);
        pending.place = Place::Delayed;
        pending.failure = None;
        let (id, delay) = (pending.id, pending.retry.delay);
        self.timers.add(self.now + delay, Timer::Retry { request: key, id });
    }

    pub(super) fn retry_now(&mut self, key: usize, id: u64) {
        if self.requests.get(key).is_some_and(|pending| pending.id == id && pending.place == Place::Delayed) {
            self.reroute(key);
        }
    }

    /// The pool of a cluster's server.
    pub(crate) fn pool_of(&self, cluster: usize, server: usize) -> Option<usize> {
        self.clusters.get(cluster)?.pools.get(server).copied()
    }

    pub(crate) fn refuse(&mut self, answer: Box<dyn Answer>, error: Error) {
        self.has_answered = true;
        answer.end(Err(error));
    }

    /// The time at the start of the turn.
    pub(crate) fn now(&self) -> Instant {
        self.now
    }
}

/// The text by which a request is known: its own, but for the name of a prepared transaction in those of the engine.
fn without_name(request: &Request) -> Arc<str> {
    let is_about = |form: &&str| request.sql.starts_with(form.trim_end_matches('\''));
    match ABOUT_PREPARED.into_iter().find(is_about) {
        Some(form) if request.id.is_own() => form.into(),
        _ => Arc::clone(&request.sql),
    }
}
