//! Who waits for a connection gets one: a free one, else a new one, else, once the pool cannot grow, room behind fast
//! requests on one in use. First come, first served.

use std::time::{Duration, Instant};

use wire::{PipelinedStatement, TransactionStatus};

use super::connection::may_set_path;
use super::{CancelState, Pool, PooledConnection, SessionChange, Ticket, Work};
use crate::engine::{Core, Pending, Place, Timer, Token};
use crate::error::Error;
use crate::route::StatementKind;

/// A free connection used within this time is taken to be alive; one unused for longer is looked at first.
const TRUSTED_FOR: Duration = Duration::from_millis(500);

/// What the first in the queue needs.
#[derive(Clone, Copy)]
struct Need {
    path: u32,
    own_connection: bool,
}

impl Core {
    /// Serves the queue of a pool from its front for as long as there are connections.
    pub(crate) fn dispatch(&mut self, pool: usize) {
        if self.pools.get(pool).is_some_and(|pool| pool.is_held) {
            self.hurry(pool);
            return self.watch_queue(pool);
        }
        while let Some((ticket, need)) = self.first_in_queue(pool) {
            let Some(slot) = self.choose(pool, need) else { break };
            if let Some(pool) = self.pools.get_mut(pool) {
                pool.queue.pop_front();
                pool.waiting = pool.waiting.saturating_sub(1);
            }
            match ticket {
                Ticket::Request { key, .. } => self.send(pool, slot, key),
                Ticket::Session(id) => self.give_session(id, pool, slot),
            }
        }
        self.grow(pool);
        self.watch_queue(pool);
    }

    /// The first in the queue who still waits. Those given up meanwhile are dropped.
    fn first_in_queue(&mut self, pool: usize) -> Option<(Ticket, Need)> {
        let Self { pools, requests, sessions, settings, .. } = self;
        let pool = pools.get_mut(pool)?;
        while let Some(ticket) = pool.queue.front().copied() {
            match ticket {
                Ticket::Request { key, id } => {
                    if let Some(pending) = requests.get(key)
                        && pending.id == id
                        && pending.place == Place::Queued
                    {
                        let own_connection = pending.needs_own_connection(settings.slow_after);
                        return Some((ticket, Need { path: pending.path, own_connection }));
                    }
                }
                Ticket::Session(id) => {
                    if let Some(session) = sessions.get(&id.0)
                        && session.is_waiting()
                    {
                        return Some((ticket, Need { path: session.path, own_connection: true }));
                    }
                }
            }
            pool.queue.pop_front();
        }
        None
    }

    /// A connection for the first in the queue, taken out of the list of free ones.
    fn choose(&mut self, pool_key: usize, need: Need) -> Option<usize> {
        let (now, depth, slow_after) = (self.now, self.settings.pipeline_depth, self.settings.slow_after);
        let has_read = self.has_read_sockets;
        loop {
            let pool = self.pools.get_mut(pool_key)?;
            let Some(slot) = pool.take_idle(need.path) else { break };
            let Some(connection) = pool.connections.get_mut(slot) else { continue };
            connection.is_idle = false;
            let is_fresh = has_read && now.saturating_duration_since(connection.since) < TRUSTED_FOR;
            if connection.is_worn_out(now) {
                self.close_connection(pool_key, slot);
            } else if is_fresh || connection.pipeline.is_silent() {
                return Some(slot);
            } else {
                // Reading tells whether the server has ended it or only said something.
                let token = connection.token;
                self.receive(token);
                if let Some(connection) = self.connection(token)
                    && connection.is_free()
                    && !connection.is_idle
                {
                    return Some(slot);
                }
            }
        }
        let pool = self.pools.get(pool_key)?;
        if need.own_connection || pool.is_growing(now) || pool.can_grow(now) {
            return None;
        }
        let takers = pool.connections.iter().filter(|(_, connection)| {
            connection.takes_another(need.path, depth, slow_after, now) && !connection.is_worn_out(now)
        });
        takers.min_by_key(|(_, connection)| connection.in_flight.len()).map(|(slot, _)| slot)
    }

    /// Writes a request to a connection, after what it takes to bring its session to the search path wanted.
    pub(crate) fn send(&mut self, pool_key: usize, slot: usize, key: usize) {
        let Self { pools, requests, now, settings, paths, .. } = self;
        let Some(pool) = pools.get_mut(pool_key) else { return };
        let (Some(connection), Some(pending)) = (pool.connections.get_mut(slot), requests.get_mut(key))
        else {
            return;
        };
        pending.place = Place::Running { slot };
        pending.columns = None;
        // Within a transaction nothing has been written yet that others could see.
        let is_in_transaction = connection.pipeline.transaction_status() != TransactionStatus::Idle;
        pending.wants_position &=
            !is_in_transaction || pending.verdict.kind == StatementKind::TransactionControl;
        pending.was_outside = !is_in_transaction;
        pending.pool = pool_key;
        pool.running += 1;
        let is_watched = pool.is_watched;
        let token = connection.token;
        let (prepare, slow_after) = (pool.settings.prepare, settings.slow_after);
        pending.switches_path = false;
        let written = if connection.path == pending.path {
            write(connection, pending, key, (prepare, slow_after), &[], *now)
        } else if is_in_transaction || pending.is_simple() || pending.is_unusual() {
            paths.write_switch(connection, key, pending.path, *now)
        } else {
            pending.switches_path = true;
            paths.with_steps(connection.path == 0, pending.path, |steps| {
                write(connection, pending, key, (prepare, slow_after), steps, *now)
            })
        };
        if let Err(error) = written {
            pool.running = pool.running.saturating_sub(1);
            self.end(key, Err(Error::Request(error.into())));
            return self.settle(token);
        }
        self.touch(token);
        if !is_watched {
            self.watch_silence(pool_key);
        }
    }

    /// Writes the request whose search path has been set.
    pub(crate) fn send_after_switch(&mut self, token: Token, key: usize) -> wire::Result<()> {
        let (now, slow_after) = (self.now, self.settings.slow_after);
        let Self { pools, requests, .. } = self;
        let Some(pool) = pools.get_mut(token.pool) else { return Ok(()) };
        let prepare = pool.settings.prepare;
        let (Some(connection), Some(pending)) = (pool.connections.get_mut(token.slot), requests.get_mut(key))
        else {
            return Ok(());
        };
        write(connection, pending, key, (prepare, slow_after), &[], now)?;
        self.touch(token);
        Ok(())
    }

    /// Sets the timer for whoever waits first.
    fn watch_queue(&mut self, pool_key: usize) {
        let Some((ticket, _)) = self.first_in_queue(pool_key) else { return };
        let queued = self.queued_at(ticket);
        let Some(pool) = self.pools.get_mut(pool_key) else { return };
        if let Some(queued) = queued
            && !std::mem::replace(&mut pool.acquire_timer, true)
        {
            self.timers.add(queued + pool.settings.acquire_timeout, Timer::Acquire { pool: pool_key });
        }
    }

    fn queued_at(&self, ticket: Ticket) -> Option<Instant> {
        match ticket {
            Ticket::Request { key, .. } => self.requests.get(key).map(|pending| pending.queued),
            Ticket::Session(id) => self.sessions.get(&id.0).map(|session| session.queued),
        }
    }

    /// Ends the waiting of those at the front of the queue who have waited for too long.
    pub(crate) fn expire_queue(&mut self, pool_key: usize) {
        let Some(pool) = self.pools.get_mut(pool_key) else { return };
        pool.acquire_timer = false;
        let (limit, server) = (pool.settings.acquire_timeout, pool.id.clone());
        let reason = self.known_error(pool_key).map(|error| error.to_string().into());
        while let Some((ticket, _)) = self.first_in_queue(pool_key) {
            if self.queued_at(ticket).is_none_or(|queued| queued + limit > self.now) {
                break;
            }
            let error = Error::AcquireTimeout { server: server.clone(), reason: reason.clone(), limit };
            match ticket {
                Ticket::Request { key, .. } => self.end(key, Err(error)),
                Ticket::Session(id) => self.fail_session(id, error),
            }
        }
        self.watch_queue(pool_key);
    }
}

impl Pool {
    /// Takes a free connection, best one whose session has this search path, else the one used last.
    fn take_idle(&mut self, path: u32) -> Option<usize> {
        let last = *self.idle.last()?;
        let connections = &self.connections;
        let fits = |slot: &usize| connections.get(*slot).is_some_and(|connection| connection.path == path);
        if fits(&last) {
            return self.idle.pop();
        }
        match self.idle.iter().rposition(fits) {
            Some(position) => Some(self.idle.remove(position)),
            None => self.idle.pop(),
        }
    }
}

/// Writes the statement of a request behind the steps that must precede it, and the question for the position of the log
/// where it is wanted.
fn write(
    connection: &mut PooledConnection,
    pending: &Pending,
    key: usize,
    (prepare, slow_after): (bool, Duration),
    steps: &[PipelinedStatement<'_>],
    now: Instant,
) -> wire::Result<()> {
    debug_assert!(connection.cancel == CancelState::None, "nothing is sent while something is cancelled");
    if pending.is_simple() {
        connection.pipeline.execute_simple(&pending.sql)?;
    } else {
        let statement = PipelinedStatement {
            // What the engine asks by itself comes too rarely to take a place among the statements kept, and names of
            // prepared transactions come once; under a search path that is not known, a statement kept may mean other
            // tables than it did.
            key: (prepare && !pending.comes_rarely() && !connection.has_foreign_path)
                .then(|| pending.text.statement_key(pending.path)),
            sql: &pending.sql,
            parameter_types: pending.parameters.types(),
            parameters: pending.parameters.section(),
        };
        connection.pipeline.execute_after(steps, &statement)?;
    }
    connection.push(Work::Request(key), now);
    // Under which path the connection is shows when the steps have ended.
    if !steps.is_empty() || pending.needs_own_connection(slow_after) {
        connection.is_exclusive = true;
    }
    // Whether a transaction is left open is told by the server itself.
    if pending.verdict.changes_session && pending.verdict.kind != StatementKind::TransactionControl {
        // What this crate sets on connections that it gives back ends with its transaction.
        if pending.is_counted {
            connection.note(SessionChange::Settings);
        }
        connection.has_foreign_path |= may_set_path(&pending.sql, pending.verdict.kind);
    }
    if pending.wants_position {
        crate::session::position::write(&mut connection.pipeline)?;
        connection.push(Work::Position(key), now);
    }
    Ok(())
}
