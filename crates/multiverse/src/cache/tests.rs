//! The store against a plain list with a clock, under random operations; results that are invalidated while fetched.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::results::{Found, ResultCache, Wish};
use super::store::{Eviction, Lookup, Store, StoreLimits};
use super::{CacheSettings, EvictionReason, EvictionStrategy, Invalidation, Recording, Scope};
use crate::request::BindParameters;

/// Numbers that look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[derive(Clone, Debug)]
struct Kept {
    key: u64,
    value: u64,
    size: usize,
    scopes: Vec<u64>,
    fresh_until: Option<Instant>,
    kept_until: Option<Instant>,
    rank: u64,
    turn: u64,
}

/// What the store should do, done by searching a list.
struct Model {
    limits: StoreLimits,
    kept: Vec<Kept>,
    turns: u64,
    merit: u64,
    gone: Vec<Eviction<u64>>,
}

impl Model {
    fn get(&mut self, key: u64, now: Instant) -> Option<(u64, bool)> {
        if let Some(at) = self.kept.iter().position(|kept| kept.key == key)
            && self.kept[at].kept_until.is_some_and(|end| end <= now)
        {
            self.kept.remove(at);
            self.gone.push(Eviction { key, reason: EvictionReason::Ttl });
        }
        let (turns, strategy) = (&mut self.turns, self.limits.strategy);
        let kept = self.kept.iter_mut().find(|kept| kept.key == key)?;
        if strategy != EvictionStrategy::Fifo {
            *turns += 1;
            kept.turn = *turns;
        }
        if strategy == EvictionStrategy::Lfu {
            kept.rank += 1;
        }
        Some((kept.value, kept.fresh_until.is_none_or(|end| end > now)))
    }

    fn expire(&mut self, now: Instant) {
        let mut over: Vec<_> =
            self.kept.iter().filter_map(|kept| kept.kept_until.map(|end| (end, kept.key))).collect();
        over.retain(|(end, _)| *end <= now);
        for (_, key) in over {
            self.kept.retain(|kept| kept.key != key);
            self.gone.push(Eviction { key, reason: EvictionReason::Ttl });
        }
    }

    fn insert(&mut self, new: Kept, now: Instant) -> bool {
        self.kept.retain(|kept| kept.key != new.key);
        self.expire(now);
        if new.size > self.limits.bytes {
            return false;
        }
        while self.kept.len() >= self.limits.entries
            || self.kept.iter().map(|kept| kept.size).sum::<usize>() + new.size > self.limits.bytes
        {
            let first = self.kept.iter().enumerate().min_by_key(|(_, kept)| (kept.rank, kept.turn));
            let at = first.map(|(at, _)| at).expect("there is one to go");
            let kept = self.kept.remove(at);
            self.merit = self.merit.max(kept.rank);
            self.gone.push(Eviction { key: kept.key, reason: EvictionReason::Size });
        }
        self.turns += 1;
        let rank = if self.limits.strategy == EvictionStrategy::Lfu { self.merit + 1 } else { 0 };
        self.kept.push(Kept { rank, turn: self.turns, ..new });
        true
    }

    fn drop_where(&mut self, is_chosen: impl Fn(&Kept) -> bool) -> usize {
        let (gone, kept): (Vec<_>, Vec<_>) = self.kept.drain(..).partition(is_chosen);
        self.kept = kept;
        let reason = EvictionReason::Manual;
        self.gone.extend(gone.iter().map(|kept| Eviction { key: kept.key, reason }));
        gone.len()
    }
}

fn sorted(mut gone: Vec<Eviction<u64>>) -> Vec<(u64, u8)> {
    let mut gone: Vec<_> = gone.drain(..).map(|eviction| (eviction.key, eviction.reason as u8)).collect();
    gone.sort_unstable();
    gone
}

fn run_against_model(strategy: EvictionStrategy, seed: u64) {
    let mut dice = Dice(seed);
    let limits = StoreLimits { entries: 12, bytes: 400, strategy };
    let mut store: Store<u64, u64, u64> = Store::new(limits);
    store.note_evictions(true);
    let mut model = Model { limits, kept: Vec::new(), turns: 0, merit: 0, gone: Vec::new() };
    let mut now = Instant::now();
    for step in 0..3_000 {
        let key = dice.below(30);
        match dice.below(10) {
            0..4 => {
                let found = match store.get(&key, now) {
                    Lookup::Absent => None,
                    Lookup::Fresh(value) => Some((*value, true)),
                    Lookup::Stale(value) => Some((*value, false)),
                };
                assert_eq!(found, model.get(key, now), "get at step {step} of seed {seed}");
            }
            4..7 => {
                let size = usize::try_from(dice.below(90)).unwrap() + usize::from(dice.below(50) == 0) * 400;
                let ttl = (dice.below(3) > 0).then(|| Duration::from_millis(1 + dice.below(80)));
                let grace = Duration::from_millis(dice.below(2) * 20);
                let scopes: BTreeSet<u64> = (0..dice.below(4)).map(|_| dice.below(6)).collect();
                let scopes: Vec<u64> = scopes.into_iter().collect();
                let fresh_until = ttl.map(|ttl| now + ttl);
                let kept_until = fresh_until.map(|end| end + grace);
                let new = Kept { key, value: step, size, scopes, fresh_until, kept_until, rank: 0, turn: 0 };
                let scopes = new.scopes.clone().into_boxed_slice();
                let was_kept = store.insert(key, step, size, scopes, (ttl, grace), now);
                assert_eq!(was_kept, model.insert(new, now), "insert at step {step} of seed {seed}");
            }
            7 => {
                let scope = dice.below(6);
                let dropped = model.drop_where(|kept| kept.scopes.contains(&scope));
                assert_eq!(store.drop_scope(&scope), dropped, "drop at step {step} of seed {seed}");
            }
            8 => {
                let removed = store.remove(&key);
                let at = model.kept.iter().position(|kept| kept.key == key);
                assert_eq!(removed, at.map(|at| model.kept.remove(at).value));
            }
            _ => {
                now += Duration::from_millis(dice.below(30));
                store.expire(now);
                model.expire(now);
            }
        }
        let figures = store.figures();
        assert_eq!(figures.entries, model.kept.len());
        assert_eq!(figures.bytes, model.kept.iter().map(|kept| kept.size).sum::<usize>());
        assert_eq!(store.next_end(), model.kept.iter().filter_map(|kept| kept.kept_until).min());
        assert_eq!(sorted(store.take_evictions()), sorted(std::mem::take(&mut model.gone)), "step {step}");
    }
    store.clear();
    assert!(store.is_empty_throughout(), "an index outlives its entries");
}

#[test]
fn a_store_does_what_a_plain_list_with_a_clock_does() {
    for seed in 1..=20 {
        for strategy in [EvictionStrategy::Lru, EvictionStrategy::Lfu, EvictionStrategy::Fifo] {
            run_against_model(strategy, seed * 7_919);
        }
    }
}

fn wish(tags: &[&str]) -> Wish {
    Wish {
        ttl: Some(Duration::from_secs(60)),
        cluster: "us".into(),
        schema: Some("shop".into()),
        tags: tags.iter().map(|tag| Arc::from(*tag)).collect(),
    }
}

fn recorded() -> Recording {
    let mut recording = Recording::new(1_000);
    recording.result("SELECT 0");
    recording
}

fn asking(cache: &mut ResultCache, sql: &str) -> Found {
    cache.set_key("us", Some("shop"), None, (sql, &BindParameters::none()));
    cache.find(Instant::now())
}

#[test]
fn what_is_invalidated_while_it_is_fetched_is_not_kept() {
    let invalidations = [
        Invalidation::Tags(vec!["other".to_owned(), "red".to_owned()]),
        Invalidation::Schema("shop".to_owned()),
        Invalidation::Cluster("us".to_owned()),
        Invalidation::Keys(vec!["us:shop:SELECT 1:[]".to_owned()]),
        Invalidation::All,
    ];
    for invalidation in invalidations {
        let mut cache = ResultCache::new(CacheSettings::default());
        assert!(matches!(asking(&mut cache, "SELECT 1"), Found::Nothing));
        let first = cache.begin(wish(&["red"]), Vec::new(), &[]);
        cache.wait(first, 7);
        assert_eq!(cache.invalidate(&invalidation), 0);
        // Whoever asks now fetches it anew.
        assert!(matches!(asking(&mut cache, "SELECT 1"), Found::Nothing), "{invalidation:?}");
        let second = cache.begin(wish(&["red"]), Vec::new(), &[]);
        let landed = cache.land(first, recorded(), true, Instant::now());
        assert!(landed.result.is_some() && !landed.is_valid);
        assert_eq!(landed.waiters, [7]);
        assert!(matches!(asking(&mut cache, "SELECT 1"), Found::Awaited { flight } if flight == second));
        cache.land(second, recorded(), true, Instant::now());
        assert!(matches!(asking(&mut cache, "SELECT 1"), Found::Result { must_refresh: false, .. }));
        assert_eq!(cache.invalidate(&invalidation), 1, "{invalidation:?}");
        assert!(matches!(asking(&mut cache, "SELECT 1"), Found::Nothing));
    }
}

#[test]
fn invalidating_something_else_leaves_what_is_fetched_alone() {
    let mut cache = ResultCache::new(CacheSettings::default());
    asking(&mut cache, "SELECT 1");
    let flight = cache.begin(wish(&["red"]), vec![Scope::Table("us".into(), 16_400)], &[16_400]);
    cache.invalidate(&Invalidation::Tags(vec!["blue".to_owned()]));
    cache.drop_scope(&Scope::Table("us".into(), 16_401));
    cache.land(flight, recorded(), true, Instant::now());
    assert!(matches!(asking(&mut cache, "SELECT 1"), Found::Result { .. }));
    assert_eq!(cache.drop_scope(&Scope::Table("us".into(), 16_400)), 1);
}

#[test]
fn a_result_that_is_over_is_handed_out_once_more_while_one_request_fetches_it_anew() {
    let settings =
        CacheSettings { stale_while_revalidate: Duration::from_secs(60), ..CacheSettings::default() };
    let mut cache = ResultCache::new(settings);
    asking(&mut cache, "SELECT 1");
    let short = Wish { ttl: Some(Duration::from_nanos(1)), ..wish(&[]) };
    let flight = cache.begin(short, Vec::new(), &[]);
    cache.land(flight, recorded(), true, Instant::now() - Duration::from_secs(1));
    assert!(matches!(asking(&mut cache, "SELECT 1"), Found::Result { must_refresh: true, .. }));
    cache.begin(wish(&[]), Vec::new(), &[]);
    assert!(matches!(asking(&mut cache, "SELECT 1"), Found::Result { must_refresh: false, .. }));
}
