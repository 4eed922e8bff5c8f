//! Reads that wait a moment for the catalogue of their cluster: without it they would all go to the primary, uncached.

use std::sync::Arc;
use std::time::Instant;

use super::core::Core;
use super::pending::{Pending, Place};
use super::timers::Timer;
use crate::request::Request;
use crate::route::{Decision, Operation};

/// A request that is held, and until when.
pub(super) struct Held {
    key: usize,
    id: u64,
    cluster: usize,
    until: Instant,
}

impl Core {
    /// Holds a read back whose way, or whose place in the cache, depends on a catalogue that will be known before a moment.
    /// Gives any other request back.
    pub(super) fn hold_back(
        &mut self,
        request: Request,
        decision: &Decision,
        until: Instant,
    ) -> Option<Request> {
        let cluster = decision.cluster;
        if decision.reads
            || until <= self.now
            || request.route.operation == Some(Operation::Write)
            || !(self.wants_cache(&request, cluster) || self.router.awaits_replicas(cluster, &request.route))
            || !self.router.awaits_catalogue(cluster, &request.sql, until)
        {
            return Some(request);
        }
        let text = self.texts.get(&request.sql, request.parameters.types());
        let pool = self.pool_of(cluster.0, decision.server.0).unwrap_or_default();
        let cache = request.cache.clone();
        let (id, verdict) = (request.id.0, Arc::clone(&decision.verdict));
        let key = self.keep(Pending {
            place: Place::Delayed,
            cache,
            ..Pending::new(request, text, verdict, (cluster.0, pool), self.now)
        });
        self.timers.add(until, Timer::Held);
        self.catalogues.held.push(Held { key, id, cluster: cluster.0, until });
        None
    }

    /// The catalogue of a cluster was read, or could not be.
    pub(super) fn let_held_go(&mut self, cluster: usize) {
        self.let_go(|held| held.cluster == cluster);
    }

    /// Some have waited for a catalogue for as long as they may.
    pub(super) fn let_overdue_go(&mut self) {
        let now = self.now;
        self.let_go(|held| held.until <= now);
    }

    /// The clusters have changed.
    pub(super) fn let_all_held_go(&mut self) {
        self.let_go(|_| true);
    }

    fn let_go(&mut self, may_go: impl Fn(&Held) -> bool) {
        let all = std::mem::take(&mut self.catalogues.held);
        let (going, held) = all.into_iter().partition(may_go);
        self.catalogues.held = held;
        let going: Vec<Held> = going;
        for Held { key, id, until, .. } in going {
            // One that was given up meanwhile has left.
            if self.requests.get(key).is_some_and(|pending| pending.id == id) {
                self.submit_held(key, until);
            }
        }
    }

    /// Submits a request that was held, as if it were asked now, but for its deadline.
    fn submit_held(&mut self, key: usize, until: Instant) {
        let pending = self.requests.remove(key);
        self.by_id.remove(&pending.id);
        let (id, submitted, timeout) = (pending.id, pending.submitted, pending.timeout);
        let Some(request) = pending.into_request() else { return };
        self.submit_to_pool(request, until);
        let Some(key) = self.by_id.get(&id).copied() else { return };
        if let Some(pending) = self.requests.get_mut(key) {
            pending.submitted = submitted;
        }
        if let Some(timeout) = timeout {
            self.timers.add(submitted + timeout, Timer::Deadline { request: key, id });
        }
    }
}
