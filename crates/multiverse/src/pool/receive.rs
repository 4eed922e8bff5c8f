//! Reading from a connection: what its server answers is handed to the requests in its pipeline, in their order.

use std::sync::Arc;
use std::task::Poll;

use wire::{PipelineEvent, TransactionStatus};

use super::connection::change_of;
use super::{CancelState, SessionChange, Work};
use crate::answer::Flow;
use crate::engine::{Core, Failure, Timer, Token};
use crate::error::Error;
use crate::route::ClusterIndex;

/// After so many reads the other connections have their turn.
const MOST_READS: usize = 8;

/// Refusals for something that is not there: a table, function, schema, column, type. A replica may not have replayed
/// its definition yet.
const MISSING: [&str; 5] = ["42P01", "42883", "3F000", "42703", "42704"];

/// Refusals of a write by a server, or a transaction, that only reads; and of what a server does not do as it is.
const READ_ONLY: &str = "25006";
const UNSUPPORTED: &str = "0A000";

/// The command tag of everything that rolls back: ROLLBACK, ROLLBACK TO a savepoint, and COMMIT of what had failed.
const ROLLED_BACK: &str = "ROLLBACK";

/// Why a server refuses to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadOnlyState {
    /// It is a standby.
    Standby,
    /// Its transactions only read unless they say otherwise.
    ByDefault,
    /// It does not tell, as servers before version 14.
    Unknown,
    /// It does not: the transaction was declared so.
    No,
}

impl Core {
    /// Takes in what a connection has received, until there is nothing more or its rows are not taken.
    pub(crate) fn receive(&mut self, token: Token) {
        self.take_answers(token);
        self.hand_on_notifications(token);
    }

    fn take_answers(&mut self, token: Token) {
        let mut reads = 0;
        loop {
            let Some(connection) = self.connection(token) else { return };
            if connection.is_paused {
                return;
            }
            match connection.pipeline.next_event() {
                Ok(Some(event)) => self.take_answer(token, event),
                Ok(None) if reads == MOST_READS => return connection.wake(),
                Ok(None) => match connection.receive() {
                    Poll::Ready(Ok(())) => {
                        reads += 1;
                        self.note_sign_of_life(token);
                    }
                    Poll::Ready(Err(error)) => return self.lose_to_server(token, error),
                    Poll::Pending => break,
                },
                Err(error) => return self.lose_to_server(token, error),
            }
        }
        // Refusing a COPY writes something while reading.
        if self.connection(token).is_some_and(|connection| connection.pipeline.has_unsent()) {
            self.touch(token);
        }
    }

    fn note_sign_of_life(&mut self, token: Token) {
        let now = self.now;
        if let Some(connection) = self.connection(token) {
            connection.heard = now;
        }
    }

    fn take_answer(&mut self, token: Token, event: PipelineEvent) {
        let Self { pools, requests, .. } = self;
        let Some(pool) = pools.get_mut(token.pool) else { return };
        let Some(connection) = pool.connections.get_mut(token.slot) else { return };
        let Some(work) = connection.in_flight.front().map(|entry| entry.work) else { return };
        if let PipelineEvent::Ready(status) = event {
            return self.head_done(token, work, status);
        }
        let Some(pending) = work.request().and_then(|key| requests.get_mut(key)) else {
            // A step of a reset: it must not fail, and has no rows of interest.
            if let PipelineEvent::Failed { .. } = event {
                connection.is_outdated = true;
            }
            return;
        };
        match (work, event) {
            (_, PipelineEvent::Failed { error, is_stale }) => {
                pending.failure.get_or_insert(Failure { error, is_stale });
            }
            (Work::Position(_), PipelineEvent::Rows(rows)) => {
                pending.position = crate::session::position::read(&rows);
            }
            (Work::Request(_), PipelineEvent::Columns(columns)) => {
                let (columns, is_other) = pending.text.share(columns);
                if is_other {
                    connection.pipeline.share_columns(pending.text.statement_key(pending.path), &columns);
                }
                // They are handed out with what follows them, so that a request that fails first can begin again.
                pending.columns = Some(columns);
            }
            (Work::Request(_), PipelineEvent::Rows(rows)) => {
                pending.deliver_columns();
                if let Some(fill) = &mut pending.fill {
                    fill.recording.rows(&rows);
                }
                if let Some(answer) = &mut pending.answer {
                    connection.is_paused = answer.rows(rows) == Flow::Pause;
                    self.has_answered = true;
                }
            }
            (Work::Request(_), PipelineEvent::Complete) => {
                connection.note(change_of(connection.pipeline.command_tag()));
                if connection.pipeline.command_tag() == ROLLED_BACK {
                    connection.note_rollback();
                }
                pending.deliver_columns();
                if let Some(fill) = &mut pending.fill {
                    fill.recording.result(connection.pipeline.command_tag());
                }
                if let Some(answer) = &mut pending.answer {
                    answer.result(connection.pipeline.command_tag());
                }
            }
            _ => {}
        }
    }

    /// The oldest request of a pipeline is answered completely.
    fn head_done(&mut self, token: Token, work: Work, status: TransactionStatus) {
        let now = self.now;
        let Some(connection) = self.connection(token) else { return };
        let exposed = connection.in_flight.pop_front().is_some_and(|entry| entry.exposed);
        let taken = now.saturating_duration_since(connection.since);
        connection.since = now;
        match work {
            Work::Request(key) => self.request_done(token, key, status, exposed, taken),
            Work::Position(key) => self.position_done(token, key),
            Work::Path { request, path, is_last } => self.path_step_done(token, request, path, is_last),
            Work::Beginning { request } => self.begun_again(token, request, status),
            Work::Reset { is_last } => self.reset_step_done(token, is_last, status),
        }
        self.cancel_if_unwanted(token);
        self.settle(token);
    }

    fn request_done(
        &mut self,
        token: Token,
        key: usize,
        status: TransactionStatus,
        exposed: bool,
        taken: std::time::Duration,
    ) {
        self.note_path(token, key);
        if let Some(connection) = self.connection(token) {
            connection.note_status(status);
        }
        self.note_definitions(token, key, status);
        self.note_beginning(key, status);
        let Some(pending) = self.requests.get_mut(key) else { return };
        let Some(pool) = self.pools.get_mut(token.pool) else { return };
        pending.text.record(taken);
        pool.response_time.record(taken.as_secs_f64());
        let failure = pending.failure.take();
        if failure.is_none() && pending.wants_position && pending.answer.is_some() {
            // Its position comes next in the pipeline.
            pending.succeeded = true;
            return;
        }
        if !pending.wants_position {
            pool.running = pool.running.saturating_sub(1);
        } else {
            // The position that follows means nothing.
            pending.succeeded = false;
        }
        match failure {
            _ if pending.answer.is_none() => self.drop_answered(key),
            None => self.end(key, Ok(())),
            Some(failure) => self.refused(token, key, failure, status, exposed),
        }
    }

    /// A request that brought its connection to its search path has succeeded; one that failed has undone that.
    fn note_path(&mut self, token: Token, key: usize) {
        let Some(pending) = self.requests.get_mut(key) else { return };
        let path = pending.path;
        if std::mem::take(&mut pending.switches_path)
            && pending.failure.is_none()
            && let Some(connection) = self.connection(token)
        {
            connection.path = path;
        }
    }

    /// Tells the router of definitions that have changed, once no transaction hides them any more.
    fn note_definitions(&mut self, token: Token, key: usize, status: TransactionStatus) {
        let Some(pending) = self.requests.get(key) else { return };
        let (verdict, cluster) = (&pending.verdict, pending.cluster);
        let connection = self.pools.get_mut(token.pool).and_then(|pool| pool.connections.get_mut(token.slot));
        let Some(connection) = connection else { return };
        if verdict.changes_definitions {
            connection.definitions = Some(Arc::clone(verdict));
            // Within a transaction, a statement that turns out to mean something else cannot be run again.
            if pending.failure.is_none() {
                connection.pipeline.outdate_statements();
            }
        }
        // What is prepared is seen by nobody until it is committed, on the same connection unless that is lost.
        let is_prepared = pending.sql.starts_with("PREPARE TRANSACTION");
        if status == TransactionStatus::Idle
            && !is_prepared
            && let Some(verdict) = connection.definitions.take()
        {
            self.router.executed(ClusterIndex(cluster), &verdict);
            self.redefined(cluster);
            self.catalogues.is_wanted = true;
        }
    }

    /// Another process has changed definitions: sessions have what their connections have kept prepared anew.
    fn note_outdated(&self, key: usize) {
        let cluster = self.requests.get(key).and_then(|pending| self.clusters.get(pending.cluster));
        if let Some(cluster) = cluster {
            self.definition_changes.note(&cluster.id);
        }
    }

    /// A request that ended for its caller before has now ended on the server too.
    fn drop_answered(&mut self, key: usize) {
        if self.requests.get(key).is_some_and(|pending| !pending.wants_position) {
            self.forget(key);
        }
    }

    /// The server has refused a request. Some refusals are ours to deal with.
    fn refused(
        &mut self,
        token: Token,
        key: usize,
        failure: Failure,
        status: TransactionStatus,
        exposed: bool,
    ) {
        let Failure { error, is_stale } = failure;
        if is_stale {
            if error.is_outdated_plan() {
                self.note_outdated(key);
            }
            if status == TransactionStatus::Failed && self.begin_again(token, key) {
                return;
            }
        }
        let Some(pending) = self.requests.get_mut(key) else { return };
        let is_outside = status == TransactionStatus::Idle;
        let may_repeat = is_outside && !pending.repeated && !pending.delivered;
        // One that was hit by the cancelling of the statement before it has left nothing behind.
        let was_hit = exposed && error.code == "57014" && pending.session.is_none();
        if may_repeat && (is_stale || was_hit) {
            pending.repeated = true;
            if pending.wants_position {
                pending.is_due_again = true;
                return;
            }
            return self.send_again(token, key);
        }
        let may_move = pending.on_replica && !pending.rerouted && !pending.delivered;
        if may_move && MISSING.contains(&error.code.as_str()) && pending.session.is_none() && is_outside {
            return self.redirect_to_primary(key);
        }
        let says_read_only = error.code == READ_ONLY
            // A standby also refuses to begin a transaction that would write, or is serializable.
            || error.code == UNSUPPORTED
                && !pending.on_replica
                && self.read_only_state(token) == ReadOnlyState::Standby;
        let Some(pending) = self.requests.get_mut(key) else { return };
        if says_read_only {
            let is_free = pending.session.is_none() && is_outside;
            if is_free && may_move {
                self.router.refused_on_replica(ClusterIndex(pending.cluster), &pending.sql);
                return self.redirect_to_primary(key);
            }
            if !pending.on_replica {
                return self.refused_as_read_only(token, key, error, is_free);
            }
        }
        self.end_refused(key, Error::Server(error));
    }

    /// The primary has refused a write because it only reads. `is_free` says that the request is nobody's session's and in no
    /// transaction.
    fn refused_as_read_only(
        &mut self,
        token: Token,
        key: usize,
        error: Box<wire::ServerError>,
        is_free: bool,
    ) {
        let state = self.read_only_state(token);
        match state {
            ReadOnlyState::Standby => self.demote(token.pool),
            ReadOnlyState::Unknown => self.suspect(token.pool),
            ReadOnlyState::ByDefault => {
                self.empty_pool(token.pool);
                self.suspect(token.pool);
            }
            ReadOnlyState::No => {}
        }
        if !is_free || matches!(state, ReadOnlyState::No | ReadOnlyState::Unknown) {
            // The transaction itself may have been declared as one that only reads.
            return self.end_refused(key, Error::Server(error));
        }
        let server = self.pools.get(token.pool).map(|pool| Arc::clone(&pool.id)).unwrap_or_default();
        if state == ReadOnlyState::Standby
            && self.pools.get(token.pool).is_some_and(|pool| pool.is_held)
            && let Some(pending) = self.requests.get_mut(key).filter(|pending| !pending.delivered)
        {
            // A standby has carried out nothing of it, so it waits for the primary.
            if pending.wants_position {
                pending.is_due_again = true;
                return;
            }
            return self.send_again(token, key);
        }
        self.empty_pool(token.pool);
        self.end_refused(key, Error::Demoted { server, error });
    }

    fn end_refused(&mut self, key: usize, error: Error) {
        match self.requests.get(key) {
            Some(pending) if pending.wants_position => self.answer(key, Err(error), None),
            _ => self.end(key, Err(error)),
        }
    }

    /// Sends a request anew: on its own connection in a session, else on any.
    fn send_again(&mut self, token: Token, key: usize) {
        match self.requests.get(key).and_then(|pending| pending.session) {
            Some(_) => self.send(token.pool, token.slot, key),
            None => self.enqueue_first(key),
        }
    }

    fn redirect_to_primary(&mut self, key: usize) {
        let Some(pending) = self.requests.get_mut(key) else { return };
        pending.rerouted = true;
        pending.on_replica = false;
        let cluster = pending.cluster;
        let primary =
            self.clusters.get(cluster).and_then(|cluster| cluster.pools.get(cluster.primary)).copied();
        if let (Some(primary), Some(pending)) = (primary, self.requests.get_mut(key)) {
            pending.pool = primary;
        }
        self.enqueue(key);
    }

    /// Why the server behind a connection only reads.
    fn read_only_state(&mut self, token: Token) -> ReadOnlyState {
        let Some(connection) = self.connection(token) else { return ReadOnlyState::Unknown };
        let standby = connection.pipeline.parameter("in_hot_standby");
        let by_default = connection.pipeline.parameter("default_transaction_read_only");
        match (standby, by_default) {
            (Some("on"), _) => ReadOnlyState::Standby,
            (_, Some("on")) => ReadOnlyState::ByDefault,
            (None, _) => ReadOnlyState::Unknown,
            _ => ReadOnlyState::No,
        }
    }

    fn position_done(&mut self, token: Token, key: usize) {
        if let Some(pool) = self.pools.get_mut(token.pool) {
            pool.running = pool.running.saturating_sub(1);
        }
        let Some(pending) = self.requests.get_mut(key) else { return };
        if std::mem::take(&mut pending.is_due_again) {
            return self.send_again(token, key);
        }
        let position = pending.position.take();
        match pending.answer {
            // Whatever became of the position, the request has succeeded.
            Some(_) if pending.succeeded => self.end_with_position(key, Ok(()), position),
            Some(_) | None => self.forget(key),
        }
    }

    /// Decides what becomes of a connection on which something has ended.
    pub(crate) fn settle(&mut self, token: Token) {
        let now = self.now;
        let Some(pool) = self.pools.get_mut(token.pool) else { return };
        let is_leaving = pool.is_leaving;
        let Some(connection) = pool.connections.get_mut(token.slot) else { return };
        if connection.token != token || connection.is_idle {
            return;
        }
        if !connection.is_free() {
            if connection.cancel == CancelState::None && !connection.is_exclusive {
                self.call_dispatch(token.pool);
            }
            return;
        }
        connection.is_exclusive = false;
        if let Some(session) = connection.session {
            return self.go_on_with_session(session);
        }
        if connection.change != SessionChange::None && !connection.is_outdated {
            return self.reset(token);
        }
        if connection.is_worn_out(now) || is_leaving {
            return self.close_connection(token.pool, token.slot);
        }
        connection.is_idle = true;
        connection.since = now;
        pool.idle.push(token.slot);
        if pool.waiting > 0 {
            self.call_dispatch(token.pool);
        }
    }

    /// A reset that does not end makes the connection useless.
    pub(crate) fn watch_reset(&mut self, token: Token) {
        self.timers.add(self.now + self.settings.patience, Timer::Reset { token });
    }
}
