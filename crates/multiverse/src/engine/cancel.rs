//! Ending a request before its time: for its caller at once, on the server without harm to anybody else.
//!
//! The server is asked to cancel whatever a session is doing, so the statement it is meant for must be the one that is
//! running. Nothing is sent to the session until the server has taken note; what stood behind the statement already
//! and is hit in its place has left nothing behind, and is sent again.

use std::time::Duration;

use super::core::Core;
use super::pending::Place;
use super::timers::Timer;
use super::{Event, Token};
use crate::error::Error;
use crate::pool::{CancelState, Work};
use crate::request::{RequestId, SessionId};

/// A statement nobody waits for may end by itself for so long before it is cancelled, once it is its turn.
const GRACE: Duration = Duration::from_millis(5);
/// A statement that was cancelled before the server had begun with it is cancelled again after this time.
const AGAIN: Duration = Duration::from_millis(50);

impl Core {
    pub(super) fn cancel(&mut self, id: RequestId) {
        if let Some(key) = self.by_id.get(&id.0).copied() {
            self.give_up(key, Error::Cancelled);
        }
    }

    /// Cancels everything that a session was asked; the session itself stays.
    pub(super) fn cancel_session(&mut self, session: SessionId) {
        let requests = self.requests.iter().filter(|(_, pending)| pending.session == Some(session));
        let keys: Vec<usize> = requests.map(|(key, _)| key).collect();
        for key in keys {
            self.give_up(key, Error::Cancelled);
        }
    }

    pub(super) fn deadline(&mut self, key: usize, id: u64) {
        let Some(pending) = self.requests.get(key).filter(|pending| pending.id == id) else { return };
        let limit = pending.timeout.unwrap_or_default();
        self.give_up(key, Error::Timeout { limit });
    }

    /// Goes on reading what was paused.
    pub(super) fn resume(&mut self, id: RequestId) {
        let Some(pending) = self.by_id.get(&id.0).and_then(|key| self.requests.get(*key)) else { return };
        let Place::Running { slot } = pending.place else { return };
        self.read_on(pending.pool, slot);
    }

    fn read_on(&mut self, pool: usize, slot: usize) {
        let connection = self.pools.get_mut(pool).and_then(|pool| pool.connections.get_mut(slot));
        if let Some(connection) = connection
            && std::mem::take(&mut connection.is_paused)
        {
            connection.wake();
        }
    }

    /// Ends a request for its caller, and on the server where it is there.
    fn give_up(&mut self, key: usize, error: Error) {
        let Some(pending) = self.requests.get(key) else { return };
        let (place, pool, session) = (pending.place, pending.pool, pending.session);
        match place {
            Place::Queued | Place::Delayed => self.end(key, Err(error)),
            Place::Awaiting { flight } => {
                if let Some(cache) = &mut self.cache {
                    cache.leave(flight, key);
                }
                self.end(key, Err(error));
            }
            Place::InSession => {
                if let Some(session) = session.and_then(|id| self.sessions.get_mut(&id.0)) {
                    session.queue.retain(|queued| *queued != key);
                }
                self.end(key, Err(error));
            }
            Place::Running { slot } => {
                if pending.answer.is_none() {
                    return;
                }
                self.answer(key, Err(error), None);
                self.stop(pool, slot, key);
            }
        }
    }

    /// Sees to it that the server ends a request nobody waits for.
    fn stop(&mut self, pool: usize, slot: usize, key: usize) {
        let patience = self.settings.patience;
        let connection = self.pools.get_mut(pool).and_then(|pool| pool.connections.get_mut(slot));
        let Some(connection) = connection else { return };
        if connection.position(key) != Some(0) {
            // It is dealt with when it comes to the head.
            return;
        }
        let token = connection.token;
        connection.cancelled_since = Some(self.now);
        self.read_on(pool, slot);
        let Some(id) = self.requests.get(key).map(|pending| pending.id) else { return };
        self.timers.add(self.now + patience, Timer::Cancel { token, request: key, id });
        self.deliver(token);
    }

    /// A request that nobody waits for has come to the head of its pipeline.
    pub(crate) fn cancel_if_unwanted(&mut self, token: Token) {
        let Some(connection) = self.connection(token) else { return };
        connection.cancelled_since = None;
        let Some(Work::Request(key)) = connection.in_flight.front().map(|entry| entry.work) else { return };
        let Some(pending) = self.requests.get(key) else { return };
        if pending.answer.is_none() {
            let id = pending.id;
            self.timers.add(self.now + GRACE, Timer::Cancel { token, request: key, id });
        }
    }

    /// The head of a pipeline is to be cancelled, or has not ended although it was.
    pub(super) fn cancel_head(&mut self, token: Token, key: usize, id: u64) {
        if self.requests.get(key).is_none_or(|pending| pending.id != id || pending.answer.is_some()) {
            return;
        }
        let (now, limit) = (self.now, self.settings.patience);
        let Some(connection) = self.connection(token) else { return };
        if connection.position(key) != Some(0) {
            return;
        }
        let since = *connection.cancelled_since.get_or_insert(now);
        if since + limit <= now {
            let silence = wire::Error::Timeout { context: "cancelling a statement".to_owned(), limit };
            return self.lose_to_server(token, silence);
        }
        self.timers.add(since + limit, Timer::Cancel { token, request: key, id });
        self.deliver(token);
    }

    /// Asks the server to cancel what the connection is doing.
    fn deliver(&mut self, token: Token) {
        let Some(connection) = self.connection(token) else { return };
        if connection.cancel == CancelState::Delivering {
            return;
        }
        connection.cancel = CancelState::Delivering;
        for entry in connection.in_flight.iter_mut().skip(1) {
            entry.exposed = true;
        }
        let (cancel, events) = (connection.pipeline.cancel_token(), self.events.clone());
        self.runtime.spawn(async move {
            let result = cancel.cancel().await;
            // When the engine has ended nobody asks any more.
            let _ = events.send(Event::CancelDelivered { token, result });
        });
    }

    pub(super) fn cancel_delivered(&mut self, token: Token, result: Result<(), wire::Error>) {
        if let Err(error) = result {
            tracing::debug!(%error, "a statement could not be cancelled");
        }
        self.end_delivery(token);
        let now = self.now;
        let Some(connection) = self.connection(token) else { return };
        if let Some(entry) = connection.in_flight.front()
            && let Some(key) = entry.work.request()
            && connection.cancelled_since.is_some()
            && let Some(pending) = self.requests.get(key)
            && pending.answer.is_none()
        {
            // The server may not have begun with the statement when the signal came.
            let id = pending.id;
            self.timers.add(now + AGAIN, Timer::Cancel { token, request: key, id });
        }
        self.settle(token);
    }
}
