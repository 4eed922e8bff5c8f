//! The cache of results: looking up, fetching once, keeping, invalidating.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::Recording;
use super::flight::{Flight, Waiters};
use super::key::{self, CacheKey};
use super::options::CacheFigures;
use super::scope::{Invalidation, Scope};
use super::settings::CacheSettings;
use super::store::{Dropped, Eviction, Lookup, Store, StoreLimits};
use super::stored::StoredResult;
use crate::request::BindParameters;

/// How a result is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) ttl: Option<Duration>,
    pub(crate) cluster: Arc<str>,
    pub(crate) schema: Option<Arc<str>>,
    pub(crate) tags: Arc<[Arc<str>]>,
}

impl Wish {
    fn scopes(&self, more: Vec<Scope>) -> Box<[Scope]> {
        let tags = self.tags.iter().map(|tag| Scope::Tag(Arc::clone(tag)));
        let schema = self.schema.iter().map(|schema| Scope::Schema(Arc::clone(schema)));
        let cluster = std::iter::once(Scope::Cluster(Arc::clone(&self.cluster)));
        let mut scopes: Vec<Scope> = tags.chain(schema).chain(cluster).chain(more).collect();
        let mut seen = HashSet::new();
        scopes.retain(|scope| seen.insert(scope.clone()));
        scopes.into()
    }
}

/// What there is for a request.
pub(crate) enum Found {
    /// The result; and whether it is to be fetched anew, since its time is over.
    Result { result: StoredResult, must_refresh: bool },
    /// Nothing; somebody else is fetching it.
    Awaited { flight: u64 },
    /// Nothing.
    Nothing,
}

/// What has become of a flight.
#[derive(Default)]
pub(crate) struct Landed {
    /// What was fetched, if it is one whole result that is not too long.
    pub(crate) result: Option<StoredResult>,
    pub(crate) waiters: Waiters,
    /// There is a result, and it was not invalidated meanwhile.
    pub(crate) is_valid: bool,
    pub(crate) origin: Option<(CacheKey, Box<[Scope]>, Wish)>,
}

/// Results that have been dropped, and are freed with this.
pub(crate) type DroppedResults = Dropped<CacheKey, StoredResult, Scope>;

/// Results of reads.
pub(crate) struct ResultCache {
    settings: CacheSettings,
    store: Store<CacheKey, StoredResult, Scope>,
    flights: HashMap<u64, Flight, RandomState>,
    flying: HashMap<CacheKey, u64, RandomState>,
    last_flight: u64,
    key: Vec<u8>,
    hits: u64,
    misses: u64,
}

impl ResultCache {
    pub(crate) fn new(settings: CacheSettings) -> Self {
        let limits = StoreLimits {
            entries: settings.max_entries,
            bytes: settings.max_bytes,
            strategy: settings.strategy,
        };
        Self {
            store: Store::new(limits),
            settings,
            flights: HashMap::default(),
            last_flight: 0,
            flying: HashMap::default(),
            key: Vec::new(),
            hits: 0,
            misses: 0,
        }
    }

    /// The most bytes that a result may have to be kept.
    pub(crate) fn longest(&self) -> usize {
        self.settings.max_bytes / 4
    }

    /// How long a result is kept.
    pub(crate) fn ttl(&self, asked: Option<Duration>) -> Option<Duration> {
        Some(asked.unwrap_or(self.settings.ttl)).filter(|ttl| !ttl.is_zero())
    }

    /// Writes the key under which a request's result is looked for by the calls that follow.
    pub(crate) fn set_key(
        &mut self,
        cluster: &str,
        schema: Option<&str>,
        name: Option<&str>,
        (sql, parameters): (&str, &BindParameters),
    ) {
        match name {
            Some(name) => key::write_named(&mut self.key, cluster, schema, name),
            None => key::write_full(&mut self.key, cluster, schema, sql, parameters),
        }
    }

    /// The key that was set.
    pub(crate) fn key(&self) -> CacheKey {
        CacheKey::from(&*self.key)
    }

    /// What there is for the key that was set.
    pub(crate) fn find(&mut self, now: Instant) -> Found {
        let (found, is_fresh) = match self.store.get(&*self.key, now) {
            Lookup::Fresh(result) => (result.opened(), true),
            Lookup::Stale(result) => (result.opened(), false),
            Lookup::Absent => (None, false),
        };
        let flight = self.flying.get(&*self.key).copied();
        match (found, flight) {
            (Some(result), _) => Found::Result { result, must_refresh: !is_fresh && flight.is_none() },
            (None, Some(flight)) => Found::Awaited { flight },
            (None, None) => Found::Nothing,
        }
    }

    /// How much longer what was found for the key that was set is fresh: `None` where nothing ends it.
    pub(crate) fn fresh_for(&self, now: Instant) -> Option<Duration> {
        self.store.fresh_for(&*self.key, now)
    }

    pub(crate) fn count_hits(&mut self, hits: u64) {
        self.hits += hits;
    }

    pub(crate) fn count_miss(&mut self) {
        self.misses += 1;
    }

    /// Begins to fetch the result of the key that was set. `more` are scopes besides those of the wish, `tables` what it is
    /// read from.
    pub(crate) fn begin(&mut self, wish: Wish, more: Vec<Scope>, tables: &[u32]) -> u64 {
        let key = self.key();
        let scopes = wish.scopes(more);
        let tables = tables.into();
        let flight =
            Flight { key: key.clone(), wish, scopes, tables, waiters: Waiters::new(), is_void: false };
        self.last_flight += 1;
        let number = self.last_flight;
        self.flights.insert(number, flight);
        self.flying.insert(key, number);
        number
    }

    /// Has a request wait for a result that is on its way.
    pub(crate) fn wait(&mut self, flight: u64, request: usize) {
        if let Some(flight) = self.flights.get_mut(&flight) {
            flight.waiters.push(request);
        }
    }

    /// A request does not wait any more.
    pub(crate) fn leave(&mut self, flight: u64, request: usize) {
        if let Some(flight) = self.flights.get_mut(&flight) {
            flight.waiters.retain(|waiter| *waiter != request);
        }
    }

    /// A result has arrived from a server. It is kept unless it was invalidated meanwhile, or may not be.
    pub(crate) fn land(&mut self, flight: u64, recording: Recording, may_keep: bool, now: Instant) -> Landed {
        let Some(flight) = self.take_flight(flight) else { return Landed::default() };
        let result = recording
            .finished()
            .and_then(|recording| StoredResult::of(recording, self.settings.compress_above));
        let ttl = flight.wish.ttl;
        self.settle(flight, result, ttl, may_keep, now)
    }

    /// A result has arrived from elsewhere, where it is valid for so long.
    pub(crate) fn land_remote(
        &mut self,
        flight: u64,
        result: StoredResult,
        ttl: Option<Duration>,
        may_keep: bool,
        now: Instant,
    ) -> Landed {
        let Some(flight) = self.take_flight(flight) else { return Landed::default() };
        self.settle(flight, Some(result), ttl, may_keep, now)
    }

    fn settle(
        &mut self,
        flight: Flight,
        result: Option<StoredResult>,
        ttl: Option<Duration>,
        may_keep: bool,
        now: Instant,
    ) -> Landed {
        let Flight { key, wish, scopes, waiters, is_void, .. } = flight;
        let is_valid = !is_void && result.is_some();
        if let Some(result) = &result
            && is_valid
            && may_keep
        {
            let times = (ttl, self.settings.stale_while_revalidate);
            let size = result.size() + key.as_bytes().len();
            self.store.insert(key.clone(), result.clone(), size, scopes.clone(), times, now);
        }
        Landed { result, waiters, is_valid, origin: Some((key, scopes, wish)) }
    }

    /// The key and the scopes of what is on its way.
    pub(crate) fn flight(&self, flight: u64) -> Option<&Flight> {
        self.flights.get(&flight)
    }

    /// A result will not arrive. Gives those who wait for it.
    pub(crate) fn fail(&mut self, flight: u64) -> Waiters {
        self.take_flight(flight).map(|flight| flight.waiters).unwrap_or_default()
    }

    /// Whoever fetched a result has given up: the first that waits for it is to fetch it.
    pub(crate) fn hand_over(&mut self, flight: u64) -> Option<usize> {
        let waiting = self.flights.get_mut(&flight)?;
        if waiting.waiters.is_empty() {
            self.take_flight(flight);
            return None;
        }
        Some(waiting.waiters.remove(0))
    }

    fn take_flight(&mut self, number: u64) -> Option<Flight> {
        let flight = self.flights.remove(&number)?;
        if self.flying.get(&flight.key) == Some(&number) {
            self.flying.remove(&flight.key);
        }
        Some(flight)
    }

    /// Drops what an application wants to be dropped; gives the number of entries.
    pub(crate) fn invalidate(&mut self, what: &Invalidation) -> usize {
        match (what, what.scopes()) {
            (_, Some(scopes)) => scopes.iter().map(|scope| self.drop_scope(scope)).sum(),
            (Invalidation::Keys(keys), None) => {
                let keys: HashSet<&str> = keys.iter().map(String::as_str).collect();
                self.void_flights(|flight| keys.contains(&*flight.key.text()));
                self.store.drop_where(|key| keys.contains(&*key.text()))
            }
            (_, None) => {
                self.void_flights(|_| true);
                self.store.clear()
            }
        }
    }

    /// How many entries are looked at to drop what an application wants to be dropped.
    pub(crate) fn reached_by(&self, what: &Invalidation) -> usize {
        match what.scopes() {
            Some(scopes) => scopes.iter().map(|scope| self.store.count_of(scope)).sum(),
            None => self.store.count(),
        }
    }

    /// Drops all of a scope; gives the number of entries.
    pub(crate) fn drop_scope(&mut self, scope: &Scope) -> usize {
        self.void_flights(|flight| flight.scopes.contains(scope));
        self.store.drop_scope(scope)
    }

    /// What was dropped since this was asked last, to be freed when nobody waits.
    pub(crate) fn take_dropped(&mut self) -> DroppedResults {
        self.store.take_dropped()
    }

    /// What is on its way may have been read before the change. Whoever asks from now on fetches it anew.
    fn void_flights(&mut self, is_meant: impl Fn(&Flight) -> bool) {
        let flying = &mut self.flying;
        for (number, flight) in &mut self.flights {
            if !flight.is_void && is_meant(flight) {
                flight.is_void = true;
                if flying.get(&flight.key) == Some(number) {
                    flying.remove(&flight.key);
                }
            }
        }
    }

    /// The keys of all that is kept or on its way, as applications see them.
    pub(crate) fn key_texts(&self) -> Vec<String> {
        let flying = self.flights.values().map(|flight| flight.key.text());
        self.store.keys().map(CacheKey::text).chain(flying).collect()
    }

    /// Drops what may not be handed out any more.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.store.expire(now);
    }

    /// When there is something to drop next.
    pub(crate) fn next_end(&mut self) -> Option<Instant> {
        self.store.next_end()
    }

    pub(crate) fn note_evictions(&mut self, wanted: bool) {
        self.store.note_evictions(wanted);
    }

    pub(crate) fn take_evictions(&mut self) -> Vec<Eviction<CacheKey>> {
        self.store.take_evictions()
    }

    pub(crate) fn figures(&self) -> CacheFigures {
        let store = self.store.figures();
        let sum =
            |size: fn(&StoredResult) -> usize| self.store.values().map(|value| size(value) as u64).sum();
        CacheFigures {
            hits: self.hits,
            misses: self.misses,
            evictions: store.evictions,
            entries: store.entries,
            bytes: store.bytes,
            raw_bytes: sum(StoredResult::raw_size),
            stored_bytes: sum(StoredResult::rows_size),
        }
    }
}
