//! Requests whose results are cached: looked for, and handed out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use super::pending::Fill;
use crate::answer::{Answer, Completed};
use crate::cache::log::Reading;
use crate::cache::{CacheKey, Found, ResultCache, Wish};
use crate::config::ConsistencyLevel;
use crate::request::Request;
use crate::route::{ClusterIndex, Decision};

/// The log does not tell of every change of what a request reads.
pub(super) struct Untold;

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
                let (epoch, fresh_for) = (self.cache_epoch.number(), cache.fresh_for(self.now));
                // What its session has written is not known here before its caller is told of it.
                let may_hold = !self.wants_session(&request.route, decision.cluster.0);
                self.hand_out(request, key.as_ref(), decision.cluster, |answer| {
                    if may_hold {
                        answer.holds(epoch, fresh_for);
                    }
                    result.replay(answer);
                });
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
        if !self.wants_cache(request, decision.cluster)
            || (self.follows_logs() && !self.is_followed(decision.cluster.0))
            || !decision.reads
            || request.route.consistency_level == Some(ConsistencyLevel::Strong)
            || (request.route.written.is_some() && self.wants_session(&request.route, decision.cluster.0))
            || !self.router.may_cache(decision.cluster, &request.sql)
        {
            return None;
        }
        let (options, schema) = (request.cache.as_deref(), request.route.schema.as_ref());
        let cluster = Arc::clone(&self.clusters.get(decision.cluster.0)?.id);
        let cache = self.cache.as_mut()?;
        let name = options.and_then(|options| options.key.as_deref());
        let question = (&*request.sql, &request.parameters);
        cache.set_key(&cluster, schema.map(|schema| &**schema), name, question);
        let tags = options.map(|options| Arc::clone(&options.tags)).unwrap_or_default();
        let ttl = cache.ttl(options.and_then(|options| options.ttl));
        Some(Wish { ttl, cluster, schema: schema.cloned(), tags })
    }

    /// Whether a request or its schema asks for the cache, where there is one.
    pub(super) fn wants_cache(&self, request: &Request, cluster: ClusterIndex) -> bool {
        let home = (request.route.schema.as_ref())
            .and_then(|schema| self.router.schema_homes(schema))
            .and_then(|homes| homes.iter().find(|home| home.cluster == cluster));
        let strategy = home.map(|home| home.options.cache_strategy).unwrap_or_default();
        let asked = request.cache.as_deref().and_then(|options| options.wanted);
        self.cache.is_some() && !request.streamed && request.session.is_none() && strategy.caches(asked)
    }

    /// From what a request reads, where the log is followed.
    ///
    /// # Errors
    /// The log does not tell of every change of it.
    pub(super) fn reading_of(
        &mut self,
        request: &Request,
        decision: &Decision,
    ) -> Result<Option<Reading>, Untold> {
        if !self.follows_logs() {
            return Ok(None);
        }
        self.reading(decision.cluster, request, &decision.verdict).map(Some).ok_or(Untold)
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

    pub(super) fn count_miss(&mut self, cluster: usize) {
        if let Some(cache) = &mut self.cache {
            cache.count_miss();
        }
        if let Some(cluster) = self.clusters.get_mut(cluster) {
            cluster.counts.cache_misses += 1;
        }
    }

    pub(super) fn count_hit(&mut self, cluster: usize) {
        self.count_hits(cluster, 1);
    }

    fn count_hits(&mut self, cluster: usize, hits: u64) {
        if let Some(cache) = &mut self.cache {
            cache.count_hits(hits);
        }
        if let Some(cluster) = self.clusters.get_mut(cluster) {
            cluster.counts.cache_hits += hits;
        }
    }

    /// Counts what was handed out again elsewhere.
    pub(super) fn count_hits_of(&mut self, cluster: &str, hits: u64) {
        let place = self.clusters.iter().position(|known| *known.id == *cluster);
        self.count_hits(place.unwrap_or(usize::MAX), hits);
    }
}

/// What is known of a request that the cache has answered.
pub(super) fn from_cache(cluster: &Arc<str>, duration: Duration) -> Completed {
    let cluster = Arc::clone(cluster);
    Completed { server: Arc::clone(&cluster), cluster, is_read: true, duration, written: None }
}

/// The key at which the cache stands, if the caller wants to be told of it.
fn told_key(request: &Request, cache: &ResultCache) -> Option<CacheKey> {
    request.cache.as_ref().filter(|options| options.told).map(|_| cache.key())
}
