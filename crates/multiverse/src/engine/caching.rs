//! Requests whose results are cached: found, fetched once for all who ask meanwhile, kept, dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wire::{Column, RowBatch};

use super::command::{CountReply, EvictionListener};
use super::core::Core;
use super::log_following::scopes_of;
use super::pending::{Fill, Pending, Place};
use super::timers::{Routine, Timer};
use crate::answer::{Answer, Completed, Flow};
use crate::cache::log::Reading;
use crate::cache::{
    CacheKey, Found, Invalidation, Landed, RemoteAnswer, RemoteEntry, ResultCache, Scope, Wish, exchange,
    scope_names,
};
use crate::config::ConsistencyLevel;
use crate::error::{Error, ErrorKind};
use crate::request::{Request, RequestId};
use crate::route::{ClusterIndex, Decision};

/// Entries whose time is over are dropped no more often than this.
const DROPPING_PAUSE: Duration = Duration::from_secs(1);

/// Classes of errors that come from the state of a connection or server: connections, read-only transactions, rollbacks,
/// want of resources, locks, interventions, the system, and faults within.
const STATE_OF_SERVER: [&str; 9] = ["08", "25", "40", "53", "55", "57", "58", "F0", "XX"];

/// The log does not tell of every change of what a request reads.
struct Untold;

/// What keeps the cache tidy.
#[derive(Default)]
pub(crate) struct CacheUpkeep {
    /// When old entries are dropped next.
    due: Option<Instant>,
    listener: Option<EvictionListener>,
}

impl Core {
    /// Answers those requests that the cache can answer, and gives the others back.
    pub(super) fn answer_from_cache(&mut self, requests: Vec<Request>) -> Vec<Request> {
        if self.cache.is_none() {
            return requests;
        }
        self.now = Instant::now();
        let left = requests.into_iter().filter_map(|request| self.answer_one(request));
        let left: Vec<Request> = left.collect();
        self.tell_of_evictions();
        left
    }

    fn answer_one(&mut self, request: Request) -> Option<Request> {
        // A text that is not known takes too long for the caller's thread.
        let may_be_there = request.cache.is_some() || self.router.caches_unasked();
        if !may_be_there || request.session.is_some() || !self.texts.knows(&request.sql) {
            return Some(request);
        }
        let Ok(decision) = self.decide(&request.sql, &request.route) else { return Some(request) };
        if self.wish(&request, &decision).is_none() {
            return Some(request);
        }
        let cache = self.cache.as_mut()?;
        match cache.find(self.now) {
            Found::Result { result, must_refresh: false } => {
                let key = told_key(&request, cache);
                self.hand_out(request, key.as_ref(), decision.cluster, |answer| result.replay(answer));
                None
            }
            _ => Some(request),
        }
    }

    /// Looks for the result of a request, if it is one to be cached. Gives it back if it is to run; with a fill, what it is
    /// answered is cached.
    pub(super) fn look_up(
        &mut self,
        request: Request,
        decision: &Decision,
    ) -> Option<(Request, Option<Box<Fill>>)> {
        let Some(wish) = self.wish(&request, decision) else { return Some((request, None)) };
        let Some(cache) = &mut self.cache else { return Some((request, None)) };
        let found = cache.find(self.now);
        let key = told_key(&request, cache);
        match found {
            Found::Result { result, must_refresh } => {
                // It stays known, so that the caller's thread finds it by itself.
                self.texts.get(&request.sql, &[]);
                let refresh = must_refresh.then(|| self.refreshing(&request));
                self.hand_out(request, key.as_ref(), decision.cluster, |answer| result.replay(answer));
                if let Some(refresh) = refresh {
                    self.fetch_anew(refresh, decision, wish);
                }
                None
            }
            Found::Awaited { flight } => {
                self.await_flight(request, key, decision, flight);
                None
            }
            Found::Nothing => {
                let reading = self.reading_of(&request, decision);
                let Ok(reading) = reading else { return Some((request, None)) };
                let fill = self.begin_fill(wish, reading);
                if self.ask_remote(fill.flight) {
                    self.await_flight(request, key, decision, fill.flight);
                    return None;
                }
                let mut request = request;
                self.count_miss(decision.cluster.0);
                if let Some(key) = &key {
                    request.answer.looked_up(false, key);
                }
                Some((request, Some(fill)))
            }
        }
    }

    /// How the result of a request is to be cached; `None` where it is not. The cache then stands at its key.
    fn wish(&mut self, request: &Request, decision: &Decision) -> Option<Wish> {
        let options = request.cache.as_deref();
        let schema = request.route.schema.as_ref();
        let strategy = schema
            .and_then(|schema| self.router.schema_homes(schema))
            .and_then(|homes| homes.iter().find(|home| home.cluster == decision.cluster))
            .map(|home| home.options.cache_strategy)
            .unwrap_or_default();
        let is_wanted = strategy.caches(options.and_then(|options| options.wanted));
        if self.cache.is_none()
            || !is_wanted
            || (self.follows_logs() && !self.is_followed(decision.cluster.0))
            || !decision.reads
            || request.streamed
            || request.session.is_some()
            || request.route.consistency_level == Some(ConsistencyLevel::Strong)
            || (request.route.written.is_some() && self.wants_session(&request.route, decision.cluster.0))
            || !self.router.may_cache(decision.cluster, &request.sql)
        {
            return None;
        }
        let cluster = Arc::clone(&self.clusters.get(decision.cluster.0)?.id);
        let cache = self.cache.as_mut()?;
        let name = options.and_then(|options| options.key.as_deref());
        let question = (&*request.sql, &request.parameters);
        cache.set_key(&cluster, schema.map(|schema| &**schema), name, question);
        let tags = options.map(|options| Arc::clone(&options.tags)).unwrap_or_default();
        let ttl = cache.ttl(options.and_then(|options| options.ttl));
        Some(Wish { ttl, cluster, schema: schema.cloned(), tags })
    }

    /// From what a request reads, where the log is followed.
    ///
    /// # Errors
    /// The log does not tell of every change of it.
    fn reading_of(&mut self, request: &Request, decision: &Decision) -> Result<Option<Reading>, Untold> {
        if !self.follows_logs() {
            return Ok(None);
        }
        self.reading(decision.cluster, request, &decision.verdict).map(Some).ok_or(Untold)
    }

    fn begin_fill(&mut self, wish: Wish, reading: Option<Reading>) -> Box<Fill> {
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

    /// Answers a request with a result that is there.
    fn hand_out(
        &mut self,
        request: Request,
        key: Option<&CacheKey>,
        cluster: ClusterIndex,
        replay: impl FnOnce(&mut dyn Answer),
    ) {
        let mut answer = request.answer;
        if let Some(key) = key {
            answer.looked_up(true, key);
        }
        replay(&mut *answer);
        self.count_hit(cluster.0);
        let Some(cluster) = self.clusters.get(cluster.0) else { return };
        self.has_answered = true;
        answer.end(Ok(from_cache(&cluster.id, Duration::ZERO)));
    }

    fn count_miss(&mut self, cluster: usize) {
        if let Some(cache) = &mut self.cache {
            cache.count_miss();
        }
        if let Some(cluster) = self.clusters.get_mut(cluster) {
            cluster.counts.cache_misses += 1;
        }
    }

    /// Has a request wait for what another one fetches, or for what the shared cache has.
    fn await_flight(&mut self, request: Request, key: Option<CacheKey>, decision: &Decision, flight: u64) {
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
    fn ask_remote(&mut self, flight: u64) -> bool {
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
    fn refreshing(&mut self, request: &Request) -> Request {
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

    fn fetch_anew(&mut self, request: Request, decision: &Decision, wish: Wish) {
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

    fn count_hit(&mut self, cluster: usize) {
        if let Some(cache) = &mut self.cache {
            cache.count_hit();
        }
        if let Some(cluster) = self.clusters.get_mut(cluster) {
            cluster.counts.cache_hits += 1;
        }
    }

    pub(super) fn invalidate(&mut self, what: &Invalidation, reply: CountReply) {
        let count = self.cache.as_mut().map_or(0, |cache| cache.invalidate(what));
        reply(count);
        self.has_answered = true;
    }

    /// Drops everything that a cluster gave from the memory of this process.
    pub(crate) fn drop_cached_of(&mut self, cluster: usize) {
        if let (Some(cache), Some(cluster)) = (&mut self.cache, self.clusters.get(cluster)) {
            cache.drop_scope(&Scope::Cluster(Arc::clone(&cluster.id)));
        }
    }

    /// Drops everything that a cluster gave, also where other processes find it: it may not be true any more.
    pub(crate) fn drop_cached_everywhere(&mut self, cluster: usize) {
        self.drop_cached_of(cluster);
        if let (Some(remote), Some(cluster)) = (&mut self.remote, self.clusters.get(cluster)) {
            remote.invalidate(&scope_names(&[Scope::Cluster(Arc::clone(&cluster.id))]));
            self.has_answered = true;
        }
    }

    /// A statement of this engine has changed definitions.
    pub(crate) fn redefined(&mut self, cluster: usize) {
        self.drop_cached_everywhere(cluster);
        self.definitions_changed(cluster);
    }

    /// Drops everything of the clusters whose primary is another than before, given by the pools there were.
    pub(super) fn drop_cached_of_new(&mut self, before: &[usize]) {
        let changed = self.clusters.iter().enumerate().filter(|(_, cluster)| {
            cluster.pools.get(cluster.primary).is_none_or(|primary| !before.contains(primary))
        });
        let changed: Vec<usize> = changed.map(|(position, _)| position).collect();
        for cluster in changed {
            self.drop_cached_of(cluster);
        }
    }

    pub(super) fn tell_evictions(&mut self, listener: Option<EvictionListener>) {
        if let Some(cache) = &mut self.cache {
            cache.note_evictions(listener.is_some());
        }
        self.cache_upkeep.listener = listener;
    }

    /// At the end of a turn.
    pub(super) fn keep_cache_up(&mut self) {
        if self.follows_logs() {
            self.follow_logs();
        }
        self.tell_of_evictions();
        let Some(end) = self.cache.as_ref().and_then(ResultCache::next_end) else { return };
        let due = end.max(self.now + DROPPING_PAUSE);
        if self.cache_upkeep.due.is_none_or(|planned| due < planned) {
            self.cache_upkeep.due = Some(due);
            self.timers.add(due, Timer::Routine(Routine::CacheEntries));
        }
    }

    /// Drops the entries whose time is over.
    pub(super) fn drop_old_entries(&mut self) {
        // A timer that was set before an earlier one was needed.
        if self.cache_upkeep.due.is_some_and(|due| due > self.now) {
            return;
        }
        self.cache_upkeep.due = None;
        if let Some(cache) = &mut self.cache {
            cache.expire(self.now);
        }
    }

    fn tell_of_evictions(&mut self) {
        let (Some(cache), Some(listener)) = (&mut self.cache, &mut self.cache_upkeep.listener) else {
            return;
        };
        for eviction in cache.take_evictions() {
            listener(&eviction.key, eviction.reason);
            self.has_answered = true;
        }
    }
}

/// What is known of a request that the cache has answered.
fn from_cache(cluster: &Arc<str>, duration: Duration) -> Completed {
    let cluster = Arc::clone(cluster);
    Completed { server: Arc::clone(&cluster), cluster, is_read: true, duration, written: None }
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

/// The key at which the cache stands, if the caller wants to be told of it.
fn told_key(request: &Request, cache: &ResultCache) -> Option<CacheKey> {
    request.cache.as_ref().filter(|options| options.told).map(|_| cache.key())
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
