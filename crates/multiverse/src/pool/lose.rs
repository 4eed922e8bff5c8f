//! Connections that end: closed by us, or lost, and what becomes of what stood in their pipelines.

use std::sync::Arc;
use std::time::Duration;

use wire::CancelToken;

use super::{CancelState, Pool, PooledConnection, Work};
use crate::engine::{Core, Token};
use crate::error::Error;
use crate::route::ClusterIndex;
use crate::session::{SessionEnd, SessionNews};

/// A connection that is lost so soon after it was opened tells nothing good of the server.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// The pause before a server that is down is tried for the first time.
const PROBE_AFTER: Duration = Duration::from_millis(50);

impl Core {
    /// Closes a connection in whose pipeline nothing stands.
    pub(crate) fn close_connection(&mut self, pool: usize, slot: usize) {
        if let Some(mut connection) = self.take_connection(pool, slot) {
            connection.pipeline.terminate();
        }
        self.call_dispatch(pool);
    }

    fn take_connection(&mut self, pool: usize, slot: usize) -> Option<PooledConnection> {
        let pool = self.pools.get_mut(pool)?;
        let connection = pool.connections.try_remove(slot)?;
        pool.destroyed += 1;
        pool.idle.retain(|idle| *idle != slot);
        Some(connection)
    }

    /// A connection is lost: its server ended it, broke the protocol or has fallen silent.
    pub(crate) fn lose(&mut self, token: Token, reason: wire::Error) {
        if self.connection(token).is_none() {
            return;
        }
        self.hand_on_notifications(token);
        let Some(connection) = self.take_connection(token.pool, token.slot) else { return };
        let now = self.now;
        let Some(pool) = self.pools.get_mut(token.pool) else { return };
        tracing::debug!(server = %pool.id, %reason, "a connection is lost");
        let server = Arc::clone(&pool.id);
        pool.last_error = Some(reason.to_string().into());
        if is_server_down(&reason) || pool.reads_nothing() && !connection.in_flight.is_empty() {
            pool.is_up = false;
            // Nobody is sent there now, so the pool must try by itself.
            pool.set_grow_timer(now + PROBE_AFTER, token.pool, &mut self.timers);
        }
        if now.saturating_duration_since(connection.opened) < SHORT_LIFE {
            // A server that lets in and throws out is not to be asked without a pause.
            let until = pool.back_off.fail(now, SHORT_LIFE);
            pool.set_grow_timer(until, token.pool, &mut self.timers);
        }
        let text: Arc<str> = reason.to_string().into();
        // A server that says why it ends the session says so at the statement it is at, before it looks at the next.
        let has_spoken = matches!(reason, wire::Error::Server(_));
        for (position, entry) in connection.in_flight.iter().enumerate() {
            let Some(key) = entry.work.request() else { continue };
            let sent = connection.pipeline.was_sent(position) && !(has_spoken && position > 0);
            let error = match &reason {
                // The server's last words are about the statement it was at.
                wire::Error::Server(error) if position == 0 => Error::Server(error.clone()),
                _ => Error::ConnectionLost { server: Arc::clone(&server), sent, reason: Arc::clone(&text) },
            };
            self.lose_request(token.pool, key, entry.work, sent, error);
        }
        if let Some(session) = connection.session {
            self.tell_session(session, SessionNews::Lost(text));
            self.end_session(session, SessionEnd::Lost);
        }
        self.call_dispatch(token.pool);
    }

    fn lose_request(&mut self, pool: usize, key: usize, work: Work, sent: bool, error: Error) {
        let Some(pending) = self.requests.get_mut(key) else { return };
        if pending.wants_position && matches!(work, Work::Request(_)) {
            // Its position stands behind it and decides.
            pending.failure = None;
            pending.succeeded = false;
            pending.lost = Some((sent, error));
            return;
        }
        if let Some(pool) = self.pools.get_mut(pool) {
            pool.running = pool.running.saturating_sub(1);
        }
        if pending.answer.is_none() {
            return self.forget(key);
        }
        if pending.succeeded {
            return self.end(key, Ok(()));
        }
        let (sent, error) = pending.lost.take().unwrap_or((sent, error));
        // What precedes the statement may be repeated always: the statement was not sent.
        let was_refused = std::mem::take(&mut pending.is_due_again);
        let was_sent = sent && !was_refused && !matches!(work, Work::Path { .. });
        pending.failure = None;
        if pending.session.is_some() {
            return self.end(key, Err(error));
        }
        if !was_sent {
            return self.reroute(key);
        }
        // Where it went did not depend on the catalogue, it may have been sent before that was read.
        pending.reads |= self.router.only_reads(ClusterIndex(pending.cluster), &pending.sql);
        if pending.may_repeat() && pending.retry.attempts > 0 {
            return self.read_again(key);
        }
        self.end(key, Err(error));
    }

    /// Has a read that was lost with its connection tried again: at once where another server may answer it.
    fn read_again(&mut self, key: usize) {
        let Some(pending) = self.requests.get_mut(key) else { return };
        let (cluster, lost) = (pending.cluster, pending.pool);
        let is_of_use = |other: &usize| *other != lost && self.pools.get(*other).is_some_and(Pool::is_of_use);
        if self.clusters.get(cluster).is_some_and(|cluster| cluster.pools.iter().any(is_of_use)) {
            pending.retry.attempts = pending.retry.attempts.saturating_sub(1);
            return self.reroute(key);
        }
        self.retry_later(key);
    }

    /// Ends a connection that its server has ended or does not keep any more. It may have ended others too.
    pub(crate) fn lose_to_server(&mut self, token: Token, reason: wire::Error) {
        self.lose(token, reason);
        self.suspect(token.pool);
    }

    /// Has all connections of a pool closed as soon as they are free, and new ones opened.
    pub(crate) fn empty_pool(&mut self, key: usize) {
        let Some(pool) = self.pools.get_mut(key) else { return };
        pool.generation += 1;
        for (_, connection) in &mut pool.connections {
            connection.is_outdated = true;
        }
        for slot in std::mem::take(&mut pool.idle) {
            self.close_connection(key, slot);
        }
    }

    /// Tells all servers that the sessions end. Returns what it takes to cancel those of them that are at work: a server
    /// notices that its client has left only when it has something to say.
    pub(crate) fn terminate_all(&mut self) -> Vec<CancelToken> {
        let mut at_work = Vec::new();
        for (_, pool) in &mut self.pools {
            pool.is_leaving = true;
            for mut connection in pool.connections.drain() {
                if !connection.in_flight.is_empty() {
                    at_work.push(connection.pipeline.cancel_token());
                }
                connection.pipeline.terminate();
            }
        }
        at_work
    }

    /// Notes that the server has taken note of a cancellation, whatever came of it.
    pub(crate) fn end_delivery(&mut self, token: Token) {
        if let Some(connection) = self.connection(token) {
            connection.cancel = CancelState::None;
        }
    }
}

/// Whether other connections to the server are likely to be lost too.
fn is_server_down(reason: &wire::Error) -> bool {
    match reason {
        wire::Error::Timeout { .. } => true,
        wire::Error::Server(error) => matches!(error.code.as_str(), "57P02" | "57P03"),
        _ => false,
    }
}
