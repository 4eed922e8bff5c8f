//! A bounded store: what is found by its key, lives for its time, goes in a certain order, and is dropped by scope.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use slab::Slab;

use super::members::Members;
use super::options::EvictionReason;
use super::queue::Queue;
use super::settings::EvictionStrategy;

/// How much a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimits {
    /// The most entries.
    pub entries: usize,
    /// The most bytes, as the entries' sizes tell.
    pub bytes: usize,
    /// What goes first.
    pub strategy: EvictionStrategy,
}

/// What a store holds now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreFigures {
    /// Entries.
    pub entries: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Entries that went because of their time or for want of room, so far.
    pub evictions: u64,
}

/// An entry that has gone by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eviction<K> {
    /// Its key.
    pub key: K,
    /// Why.
    pub reason: EvictionReason,
}

/// What a store has for a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<'a, V> {
    /// Nothing.
    Absent,
    /// This.
    Fresh(&'a V),
    /// This, whose time is over, and which may be handed out while it is fetched anew.
    Stale(&'a V),
}

#[derive(Debug)]
struct Entry<K, V, S> {
    key: K,
    value: V,
    size: usize,
    scopes: Box<[S]>,
    fresh_until: Option<Instant>,
    kept_until: Option<Instant>,
    /// Its place in the order of going.
    rank: u64,
    turn: u64,
    /// Its first turn, by which it is told from those that had its slot before.
    born: u64,
}

/// Values by key. Each belongs to any number of scopes, by which it is dropped without a search.
#[derive(Debug)]
pub struct Store<K, V, S> {
    limits: StoreLimits,
    entries: Slab<Entry<K, V, S>>,
    by_key: HashMap<K, usize, RandomState>,
    by_scope: HashMap<S, Members, RandomState>,
    /// The first goes first: rank, turn, entry.
    order: Queue<(u64, u64, usize)>,
    by_end: Queue<(Instant, usize)>,
    turns: u64,
    /// The rank of the last that had to go under LFU, on which the ranks of new entries build.
    merit: u64,
    bytes: usize,
    evictions: u64,
    /// What has gone by itself, while somebody wants to know.
    gone: Option<Vec<Eviction<K>>>,
    /// What was dropped by hand, until it is freed.
    dropped: Dropped<K, V, S>,
}

/// What has been dropped, and is freed with this. Many entries take a while, for which nobody needs to wait.
#[derive(Debug)]
pub struct Dropped<K, V, S>(Vec<Entry<K, V, S>>);

impl<K, V, S> Default for Dropped<K, V, S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Clone + Eq + Hash, V, S: Clone + Eq + Hash> Store<K, V, S> {
    /// An empty store.
    #[must_use]
    pub fn new(limits: StoreLimits) -> Self {
        Self {
            limits,
            entries: Slab::new(),
            by_key: HashMap::default(),
            by_scope: HashMap::default(),
            order: Queue::new(),
            by_end: Queue::new(),
            turns: 0,
            merit: 0,
            bytes: 0,
            evictions: 0,
            gone: None,
            dropped: Dropped::default(),
        }
    }

    /// Begins or ends to note what goes.
    pub fn note_evictions(&mut self, wanted: bool) {
        self.gone = wanted.then(Vec::new);
    }

    /// What has gone since this was asked last.
    pub fn take_evictions(&mut self) -> Vec<Eviction<K>> {
        self.gone.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What there is for a key.
    pub fn get<Q>(&mut self, key: &Q, now: Instant) -> Lookup<'_, V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let Some(slot) = self.by_key.get(key).copied() else { return Lookup::Absent };
        let Some(entry) = self.entries.get(slot) else { return Lookup::Absent };
        if entry.kept_until.is_some_and(|end| end <= now) {
            self.evict(slot, EvictionReason::Ttl);
            return Lookup::Absent;
        }
        let is_fresh = entry.fresh_until.is_none_or(|end| end > now);
        self.used(slot);
        match self.entries.get(slot) {
            Some(entry) if is_fresh => Lookup::Fresh(&entry.value),
            Some(entry) => Lookup::Stale(&entry.value),
            None => Lookup::Absent,
        }
    }

    /// What there is for a key, without counting as a use.
    pub fn peek<Q>(&self, key: &Q, now: Instant) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entry = self.entries.get(*self.by_key.get(key)?)?;
        entry.fresh_until.is_none_or(|end| end > now).then_some(&entry.value)
    }

    /// How much longer what there is for a key is fresh: `None` where nothing ends it but want of room.
    pub fn fresh_for<Q>(&self, key: &Q, now: Instant) -> Option<Duration>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entry = self.by_key.get(key).and_then(|slot| self.entries.get(*slot));
        entry.map_or(Some(Duration::ZERO), |entry| Some(entry.fresh_until?.saturating_duration_since(now)))
    }

    /// Keeps a value, in place of one of the same key. `ttl` is `None` for as long as there is room; it may be handed out
    /// for `grace` longer. Returns whether it was kept: one that needs more than all the room is not.
    pub fn insert(
        &mut self,
        key: K,
        value: V,
        size: usize,
        scopes: Box<[S]>,
        (ttl, grace): (Option<Duration>, Duration),
        now: Instant,
    ) -> bool {
        self.remove(&key);
        self.expire(now);
        if size > self.limits.bytes || self.limits.entries == 0 {
            return false;
        }
        while self.entries.len() >= self.limits.entries || self.bytes + size > self.limits.bytes {
            let Some((rank, slot)) = self.first_to_go() else { break };
            self.merit = self.merit.max(rank);
            self.evict(slot, EvictionReason::Size);
        }
        self.turns += 1;
        let rank = if self.limits.strategy == EvictionStrategy::Lfu { self.merit + 1 } else { 0 };
        let fresh_until = ttl.and_then(|ttl| now.checked_add(ttl));
        let kept_until = fresh_until.and_then(|end| end.checked_add(grace));
        let turn = self.turns;
        let (indexed, kept_key) = (scopes.clone(), key.clone());
        let slot = self.entries.insert(Entry {
            key,
            value,
            size,
            scopes,
            fresh_until,
            kept_until,
            rank,
            turn,
            born: turn,
        });
        self.by_key.insert(kept_key, slot);
        self.put_in_order(rank, turn, slot);
        if let Some(end) = kept_until {
            let entries = &self.entries;
            self.by_end.push((end, slot), entries.len(), |item| ends_then(entries, item));
        }
        for scope in indexed {
            self.by_scope.entry(scope).or_default().add(slot, turn);
        }
        self.bytes += size;
        true
    }

    /// Drops the entry of a key, and gives its value.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let slot = self.by_key.get(key).copied()?;
        self.take(slot).map(|entry| entry.value)
    }

    /// Drops all entries of a scope, and gives their number.
    pub fn drop_scope(&mut self, scope: &S) -> usize {
        let Some(members) = self.by_scope.remove(scope) else { return 0 };
        let before = self.entries.len();
        for (slot, born) in members.places {
            if self.entries.get(slot).is_some_and(|entry| entry.born == born) {
                self.drop_by_hand(slot);
            }
        }
        before - self.entries.len()
    }

    /// How many entries there are.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// How many entries a scope has.
    pub fn count_of(&self, scope: &S) -> usize {
        self.by_scope.get(scope).map_or(0, |members| members.count)
    }

    /// What was dropped since this was asked last. It takes room until it is asked.
    pub fn take_dropped(&mut self) -> Dropped<K, V, S> {
        std::mem::take(&mut self.dropped)
    }

    /// Drops the entries whose key is chosen, and gives their number.
    pub fn drop_where(&mut self, mut is_chosen: impl FnMut(&K) -> bool) -> usize {
        let chosen: Vec<usize> =
            self.entries.iter().filter(|(_, entry)| is_chosen(&entry.key)).map(|(slot, _)| slot).collect();
        for slot in &chosen {
            self.drop_by_hand(*slot);
        }
        chosen.len()
    }

    /// Drops everything, and gives how many entries there were.
    pub fn clear(&mut self) -> usize {
        self.drop_where(|_| true)
    }

    /// Drops what may not be handed out any more.
    pub fn expire(&mut self, now: Instant) {
        while let Some((end, slot)) = self.first_to_end()
            && end <= now
        {
            self.evict(slot, EvictionReason::Ttl);
        }
    }

    /// When the next entry is over.
    #[must_use]
    pub fn next_end(&mut self) -> Option<Instant> {
        self.first_to_end().map(|(end, _)| end)
    }

    fn first_to_end(&mut self) -> Option<(Instant, usize)> {
        self.by_end.first(|item| ends_then(&self.entries, item))
    }

    /// The rank and the slot of the entry that has to go first.
    fn first_to_go(&mut self) -> Option<(u64, usize)> {
        let (rank, _, slot) = self.order.first(|item| is_its_turn(&self.entries, item))?;
        Some((rank, slot))
    }

    fn put_in_order(&mut self, rank: u64, turn: u64, slot: usize) {
        let entries = &self.entries;
        self.order.push((rank, turn, slot), entries.len(), |item| is_its_turn(entries, item));
    }

    /// The keys of all entries.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.iter().map(|(_, entry)| &entry.key)
    }

    /// All values.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, entry)| &entry.value)
    }

    /// What it holds.
    #[must_use]
    pub fn figures(&self) -> StoreFigures {
        StoreFigures { entries: self.entries.len(), bytes: self.bytes, evictions: self.evictions }
    }

    /// Whether nothing is left, in the indexes neither.
    #[cfg(test)]
    pub(super) fn is_empty_throughout(&self) -> bool {
        let indexes = [self.by_key.len(), self.by_scope.len(), self.bytes];
        self.entries.is_empty() && indexes == [0; 3]
    }

    fn used(&mut self, slot: usize) {
        if self.limits.strategy == EvictionStrategy::Fifo {
            return;
        }
        self.turns += 1;
        let Some(entry) = self.entries.get_mut(slot) else { return };
        entry.turn = self.turns;
        if self.limits.strategy == EvictionStrategy::Lfu {
            entry.rank += 1;
        }
        let (rank, turn) = (entry.rank, entry.turn);
        self.put_in_order(rank, turn, slot);
    }

    fn evict(&mut self, slot: usize, reason: EvictionReason) {
        if let Some(entry) = self.take(slot) {
            self.evictions += 1;
            if let Some(gone) = &mut self.gone {
                gone.push(Eviction { key: entry.key, reason });
            }
        }
    }

    fn drop_by_hand(&mut self, slot: usize) {
        let Some(entry) = self.take(slot) else { return };
        if let Some(gone) = &mut self.gone {
            gone.push(Eviction { key: entry.key.clone(), reason: EvictionReason::Manual });
        }
        self.dropped.0.push(entry);
    }

    fn take(&mut self, slot: usize) -> Option<Entry<K, V, S>> {
        let entry = self.entries.try_remove(slot)?;
        self.by_key.remove(&entry.key);
        for scope in &entry.scopes {
            let Some(members) = self.by_scope.get_mut(scope) else { continue };
            let entries = &self.entries;
            members.leave(|(slot, born)| entries.get(slot).is_some_and(|entry| entry.born == born));
            if members.count == 0 {
                self.by_scope.remove(scope);
            }
        }
        self.bytes -= entry.size;
        if self.entries.is_empty() {
            self.order.clear();
            self.by_end.clear();
        }
        Some(entry)
    }
}

/// Whether an item of the order says where its entry is now. No two entries ever have the same turn.
fn is_its_turn<K, V, S>(entries: &Slab<Entry<K, V, S>>, (_, turn, slot): (u64, u64, usize)) -> bool {
    entries.get(slot).is_some_and(|entry| entry.turn == turn)
}

/// Whether the entry of a slot ends then.
fn ends_then<K, V, S>(entries: &Slab<Entry<K, V, S>>, (end, slot): (Instant, usize)) -> bool {
    entries.get(slot).is_some_and(|entry| entry.kept_until == Some(end))
}
