//! Results that are on their way to the cache: fetched once for all who ask meanwhile, from a server or from the cache that
//! processes share.

use std::sync::Arc;

use wire::{Column, RowBatch};

use super::caching::from_cache;
use super::core::Core;
use super::log_following::scopes_of;
use super::pending::{Fill, Pending, Place};
use crate::answer::{Answer, Completed, Flow};
use crate::cache::log::Reading;
use crate::cache::{CacheKey, Landed, RemoteAnswer, RemoteEntry, Scope, Wish, exchange, scope_names};
use crate::error::{Error, ErrorKind};
use crate::request::{Request, RequestId};
use crate::route::Decision;

/// Classes of errors that come from the state of a connection or server: connections, read-only transactions, rollbacks,
/// want of resources, locks, interventions, the system, and faults within.
const STATE_OF_SERVER: [&str; 9] = ["08", "25", "40", "53", "55", "57", "58", "F0", "XX"];

impl Core {
    pub(super) fn begin_fill(&mut self, wish: Wish, reading: Option<Reading>) -> Box<Fill> {
        let is_shared = self.remote.is_some();
        let mut scopes =
            reading.as_ref().map(|reading| scopes_of(&wish.cluster, reading)).unwrap_or_default();
        let tables = reading.as_ref().map(Reading::tables).unwrap_or_default();
        let (flight, longest) = self.cache.as_mut().map_or((0, 0), |cache| {
            // Other processes know it by its digest.
            scopes.extend(is_shared.then(|| Scope::Digest(cache.key().digest().into())));
            (cache.begin(wish, scopes, tables), cache.longest())
        });
        Box::new(Fill::new(flight, longest))
    }

    /// Has a request wait for what another one fetches, or for what the shared cache has.
    pub(super) fn await_flight(
        &mut self,
        request: Request,
        key: Option<CacheKey>,
        decision: &Decision,
        flight: u64,
    ) {
        let text = self.texts.get(&request.sql, request.parameters.types());
        let path = request.route.schema.as_ref().map_or(0, |schema| self.paths.number(schema));
        let pool = self.pool_of(decision.cluster.0, decision.server.0).unwrap_or_default();
        let place = (decision.cluster.0, pool);
        let key = self.keep(Pending {
            on_replica: decision.on_replica,
            reads: decision.reads,
            path,
            place: Place::Awaiting { flight },
            told_key: key,
            ..Pending::new(request, text, Arc::clone(&decision.verdict), place, self.now)
        });
        if let Some(cache) = &mut self.cache {
            cache.wait(flight, key);
        }
    }

    /// Asks the shared cache, if there is one that can be asked.
    pub(super) fn ask_remote(&mut self, flight: u64) -> bool {
        let Some(remote) = self.remote.as_mut().filter(|remote| remote.is_ready()) else { return false };
        let Some(asked) = self.cache.as_ref().and_then(|cache| cache.flight(flight)) else { return false };
        remote.look_up(flight, &asked.key, &scope_names(&asked.scopes));
        self.has_answered = true;
        true
    }

    /// The shared cache has answered.
    pub(super) fn remote_answered(&mut self, flight: u64, answer: Option<RemoteAnswer>) {
        let Some(cache) = &mut self.cache else { return };
        let Some(key) = cache.flight(flight).map(|flight| flight.key.clone()) else { return };
        let found = answer.and_then(|RemoteAnswer { bytes, ttl }| {
            Some((exchange::read(&key, &bytes, &self.text_types)?, ttl))
        });
        let Some((result, ttl)) = found else { return self.next_fetches(flight) };
        let may_keep = self.remote.as_ref().is_some_and(|remote| remote.may_keep_near());
        let landed = cache.land_remote(flight, result, ttl, may_keep, self.now);
        self.hand_to_waiters(landed, true);
        self.finish_remote(flight, None);
    }

    /// The first of those who wait for a result is to fetch it.
    fn next_fetches(&mut self, flight: u64) {
        let Some(cache) = &mut self.cache else { return };
        let longest = cache.longest();
        let Some(key) = cache.hand_over(flight) else { return self.finish_remote(flight, None) };
        let Some(pending) = self.requests.get_mut(key) else { return };
        pending.fill = Some(Box::new(Fill::new(flight, longest)));
        let (cluster, told) = (pending.cluster, pending.told_key.take());
        if let (Some(told), Some(answer)) = (told, &mut pending.answer) {
            answer.looked_up(false, &told);
        }
        self.count_miss(cluster);
        self.reroute(key);
        // It is sent when all that is at hand has been done.
        self.mark_fill(key);
    }

    fn finish_remote(&mut self, flight: u64, entry: Option<RemoteEntry<'_>>) {
        if let Some(remote) = &mut self.remote {
            remote.finish(flight, entry);
            self.has_answered = true;
        }
    }

    /// A request that fetches the same once more, for nobody but the cache.
    pub(super) fn refreshing(&mut self, request: &Request) -> Request {
        self.next_own_id += 1;
        Request {
            id: RequestId(self.next_own_id),
            sql: Arc::clone(&request.sql),
            parameters: request.parameters.clone(),
            route: request.route.clone(),
            session: None,
            timeout: request.timeout,
            retry: request.retry,
            streamed: false,
            cache: request.cache.clone(),
            answer: Box::new(Unheard),
        }
    }

    pub(super) fn fetch_anew(&mut self, request: Request, decision: &Decision, wish: Wish) {
        let Some(pool) = self.pool_of(decision.cluster.0, decision.server.0) else { return };
        let Ok(reading) = self.reading_of(&request, decision) else { return };
        let fill = self.begin_fill(wish, reading);
        let path = request.route.schema.as_ref().map_or(0, |schema| self.paths.number(schema));
        let text = self.texts.get(&request.sql, request.parameters.types());
        let place = (decision.cluster.0, pool);
        let key = self.keep(Pending {
            on_replica: decision.on_replica,
            reads: decision.reads,
            path,
            // Its caller was answered, and is counted.
            is_counted: false,
            fill: Some(fill),
            ..Pending::new(request, text, Arc::clone(&decision.verdict), place, self.now)
        });
        self.mark_fill(key);
        self.enqueue(key);
    }

    /// A request that fetched a result for the cache has ended.
    pub(super) fn land(&mut self, fill: Fill, answered_by: usize, failure: Option<Error>) {
        let is_current = !self.follows_logs() || fill.may_be_kept(answered_by);
        let may_keep = is_current && self.remote.as_ref().is_none_or(|remote| remote.may_keep_near());
        let Fill { flight, recording, .. } = fill;
        let Some(cache) = &mut self.cache else { return };
        match failure {
            None => {
                let mut landed = cache.land(flight, recording, may_keep, self.now);
                landed.is_valid &= is_current;
                self.share(flight, &landed);
                self.hand_to_waiters(landed, false);
            }
            // What the server says of the statement it says to all who ask for the same.
            Some(error) if is_about_statement(&error) => {
                for waiter in cache.fail(flight) {
                    self.end(waiter, Err(error.clone()));
                }
                self.finish_remote(flight, None);
            }
            // That was the caller's own affair.
            Some(error) if matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Timeout) => {
                self.next_fetches(flight);
            }
            // No server could be asked. If each waited for the one before it to try in vain, the last would wait for ever.
            Some(_) => {
                let waiters = cache.fail(flight);
                self.finish_remote(flight, None);
                waiters.into_iter().for_each(|waiter| self.fetch_alone(waiter));
            }
        }
    }

    /// A request that has waited for a result fetches it for itself. Its time for a connection began when it was asked.
    fn fetch_alone(&mut self, key: usize) {
        let Some(pending) = self.requests.get_mut(key) else { return };
        let (cluster, told, submitted) = (pending.cluster, pending.told_key.take(), pending.submitted);
        if let (Some(told), Some(answer)) = (told, &mut pending.answer) {
            answer.looked_up(false, &told);
        }
        self.count_miss(cluster);
        self.reroute(key);
        let Some(pending) = self.requests.get_mut(key).filter(|pending| pending.place == Place::Queued)
        else {
            return;
        };
        pending.queued = submitted;
        let place = pending.pool;
        let Some(pool) = self.pools.get(place) else { return };
        let (server, limit) = (Arc::clone(&pool.id), pool.settings.acquire_timeout);
        if submitted + limit <= self.now {
            let reason = self.known_error(place).map(|error| error.to_string().into());
            self.end(key, Err(Error::AcquireTimeout { server, reason, limit }));
        }
    }

    /// Gives what was fetched to the shared cache.
    fn share(&mut self, flight: u64, landed: &Landed) {
        if self.remote.is_none() {
            return;
        }
        match landed {
            Landed { result: Some(result), is_valid: true, origin: Some((key, scopes, wish)), .. } => {
                let (scopes, bytes) = (scope_names(scopes), exchange::write(key, result));
                self.finish_remote(flight, Some(RemoteEntry { key, scopes: &scopes, ttl: wish.ttl, bytes }));
            }
            _ => self.finish_remote(flight, None),
        }
    }

    /// Gives a result to those who wait for it. Without one they fetch it themselves: it is too long to be kept.
    fn hand_to_waiters(&mut self, landed: Landed, is_hit: bool) {
        let result = landed.result.and_then(|result| result.opened());
        for key in landed.waiters {
            let Some(pending) = self.requests.get_mut(key) else { continue };
            let (cluster, told) = (pending.cluster, pending.told_key.take());
            if let Some(answer) = &mut pending.answer {
                if let Some(told) = &told {
                    answer.looked_up(is_hit, told);
                }
                if let Some(result) = &result {
                    result.replay(&mut **answer);
                }
            }
            if is_hit {
                self.count_hit(cluster);
            } else {
                self.count_miss(cluster);
            }
            match &result {
                Some(_) if is_hit => self.end_found(key),
                Some(_) => self.end(key, Ok(())),
                None => self.reroute(key),
            }
        }
    }

    /// Ends a request whose result was found, which no server has answered.
    fn end_found(&mut self, key: usize) {
        if let Some(pending) = self.requests.get_mut(key)
            && let Some(answer) = pending.answer.take()
            && let Some(cluster) = self.clusters.get(pending.cluster)
        {
            let duration = self.now.saturating_duration_since(pending.submitted);
            self.has_answered = true;
            answer.end(Ok(from_cache(&cluster.id, duration)));
        }
        self.forget(key);
    }
}

/// Whether a failure tells of the statement, so that it would be the same for everybody: not one of the server's state, of
/// the session, or by an intervention.
fn is_about_statement(error: &Error) -> bool {
    match error {
        Error::Server(report) => {
            !report.is_fatal() && !STATE_OF_SERVER.iter().any(|class| report.code.starts_with(class))
        }
        _ => false,
    }
}

/// Takes a result that only the cache wants.
struct Unheard;

impl Answer for Unheard {
    fn columns(&mut self, _: &Arc<[Column]>) {}

    fn rows(&mut self, _: RowBatch) -> Flow {
        Flow::Continue
    }

    fn result(&mut self, _: &str) {}

    fn end(self: Box<Self>, _: Result<Completed, Error>) {}
}
