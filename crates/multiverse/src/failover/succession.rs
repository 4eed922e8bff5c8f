//! Writes go over to another server: who waits goes along, and nothing stays with the server that took them before.

use std::sync::Arc;

use super::{ClusterEvent, Search};
use crate::engine::{Core, Place, Token};
use crate::pool::{Pool, Ticket};

impl Core {
    /// Makes the server at a position of a cluster its primary. The connections to the one before end at once, those of
    /// sessions too: what that server writes from now on is not part of the cluster's history.
    pub(super) fn succeed(&mut self, index: usize, position: usize) {
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(index) else { return };
        let (Some(old), Some(new)) =
            (cluster.pools.get(cluster.primary).copied(), cluster.pools.get(position).copied())
        else {
            return;
        };
        if old == new {
            return;
        }
        cluster.primary = position;
        let id = Arc::clone(&cluster.id);
        // The new primary may lack what they were read from.
        self.drop_cached_everywhere(index);
        let order = self.clusters.get(index).and_then(|cluster| cluster.watch.order.as_ref());
        if order.is_some_and(|order| order.target != new) {
            self.end_promotion(index, Err("another server takes the writes".to_owned()));
        }
        let pool_id = |pool: Option<&Pool>| pool.map(|pool| Arc::clone(&pool.id)).unwrap_or_default();
        let (old_primary, new_primary) = (pool_id(self.pools.get(old)), pool_id(self.pools.get(new)));
        tracing::info!(cluster = %id, %old_primary, %new_primary, "writes go to another server");
        if let Some(pool) = self.pools.get_mut(new) {
            pool.welcome();
            pool.is_fenced = false;
            pool.is_held = false;
        }
        if let Some(pool) = self.pools.get_mut(old) {
            pool.is_held = false;
            // It may go on as if nothing had happened, and is not read before it has told what it is now.
            pool.is_fenced = true;
        }
        self.lose_all(old, "another server takes the writes of the cluster");
        self.forsake_catalogue(old);
        self.move_queue(old, new);
        self.tell(ClusterEvent::Failover { cluster: id, new_primary, old_primary });
        self.note_success(index);
        // The server that was left may come back, and must not pass for a standby then.
        self.search(index);
        if let Some(search) = self.clusters.get_mut(index).and_then(|cluster| cluster.watch.search.as_mut()) {
            Search::keep_vigil(search, now);
        }
        self.call_dispatch(old);
        self.call_dispatch(new);
    }

    /// Ends all connections of a pool as if they had been lost.
    pub(super) fn lose_all(&mut self, key: usize, reason: &str) {
        let Some(pool) = self.pools.get_mut(key) else { return };
        // Attempts that are under way lead to the same server.
        pool.generation += 1;
        let tokens: Vec<Token> = pool.connections.iter().map(|(_, connection)| connection.token).collect();
        for token in tokens {
            self.lose(token, wire::Error::Closed(reason.to_owned()));
        }
    }

    /// Those who wait for a primary wait for the one that there is now.
    fn move_queue(&mut self, old: usize, new: usize) {
        for ticket in self.take_queue(old) {
            match ticket {
                Ticket::Request { key, id } => self.move_elsewhere(key, id),
                Ticket::Session(id) => {
                    let Some(session) = self.sessions.get_mut(&id.0).filter(|session| session.is_waiting())
                    else {
                        continue;
                    };
                    session.pool = new;
                    if let Some(pool) = self.pools.get_mut(new) {
                        pool.queue.push_back(ticket);
                        pool.waiting += 1;
                    }
                }
            }
        }
    }

    /// Decides anew about those who wait for a primary that cannot be used: more is known of the databases now, so that reads
    /// can be told from writes.
    pub(crate) fn decide_held_anew(&mut self, index: usize) {
        let Some(cluster) = self.clusters.get(index) else { return };
        let Some(primary) = cluster.pools.get(cluster.primary).copied() else { return };
        if self.pools.get(primary).is_none_or(|pool| !pool.is_held) {
            return;
        }
        for ticket in self.take_queue(primary) {
            let Ticket::Request { key, id } = ticket else {
                self.hold_ticket(primary, ticket);
                continue;
            };
            let queued = self.requests.get(key).map(|pending| pending.queued);
            self.move_elsewhere(key, id);
            // The time that it may wait does not begin again.
            if let Some(pending) = self.requests.get_mut(key).filter(|pending| pending.id == id) {
                pending.queued = queued.unwrap_or(pending.queued);
            }
        }
    }

    fn take_queue(&mut self, key: usize) -> Vec<Ticket> {
        let Some(pool) = self.pools.get_mut(key) else { return Vec::new() };
        pool.waiting = 0;
        std::mem::take(&mut pool.queue).into()
    }

    /// Has those who need the primary wait until there is one again. Reads that other servers can answer go there. Where
    /// there are no other servers, nobody waits: another primary cannot come.
    pub(super) fn hold(&mut self, key: usize) {
        let Some(pool) = self.pools.get_mut(key) else { return };
        let has_others = self.clusters.get(pool.cluster).is_some_and(|cluster| cluster.pools.len() > 1);
        if !has_others || std::mem::replace(&mut pool.is_held, true) {
            return;
        }
        for ticket in self.take_queue(key) {
            self.hold_ticket(key, ticket);
        }
        // By it reads are told that other servers can answer.
        self.forsake_catalogue(key);
        self.call_dispatch(key);
    }

    /// Keeps somebody in the queue of a primary that cannot be used, unless another server can answer.
    pub(crate) fn hold_ticket(&mut self, pool_key: usize, ticket: Ticket) {
        if let Ticket::Request { key, id } = ticket
            && let Some(pending) = self.requests.get_mut(key)
            && pending.id == id
            && pending.place == Place::Queued
            && pending.reads
            && !pending.rerouted
        {
            pending.place = Place::Delayed;
            pending.rerouted = true;
            return self.reroute(key);
        }
        let still_waits = match ticket {
            Ticket::Request { key, id } => self
                .requests
                .get(key)
                .is_some_and(|pending| pending.id == id && pending.place == Place::Queued),
            Ticket::Session(id) => self.sessions.get(&id.0).is_some_and(|session| session.is_waiting()),
        };
        if let Some(pool) = self.pools.get_mut(pool_key).filter(|_| still_waits) {
            pool.queue.push_back(ticket);
            pool.waiting += 1;
        }
    }

    /// The primary can be used, or says itself why not.
    pub(super) fn release(&mut self, key: usize) {
        if let Some(pool) = self.pools.get_mut(key).filter(|pool| pool.is_held) {
            pool.is_held = false;
            pool.welcome();
            self.call_dispatch(key);
        }
    }
}
