//! What leaves the cache: invalidated, given by a cluster that has changed, or kept for long enough.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::command::{CountReply, EvictionListener};
use super::core::Core;
use super::timers::{Routine, Timer};
use crate::cache::{Invalidation, ResultCache, Scope, scope_names};

/// Entries whose time is over are dropped no more often than this.
const DROPPING_PAUSE: Duration = Duration::from_secs(1);

/// What keeps the cache tidy.
#[derive(Default)]
pub(crate) struct CacheUpkeep {
    /// When old entries are dropped next.
    due: Option<Instant>,
    listener: Option<EvictionListener>,
}

impl Core {
    pub(super) fn invalidate(&mut self, what: &Invalidation, reply: CountReply) {
        reply(self.drop_results(what));
    }

    /// Drops results; gives their number.
    pub(super) fn drop_results(&mut self, what: &Invalidation) -> usize {
        self.has_answered = true;
        self.cache.as_mut().map_or(0, |cache| cache.invalidate(what))
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
        if let Some(cluster) = self.clusters.get(cluster) {
            self.definition_changes.note(&cluster.id);
        }
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
        let Some(end) = self.cache.as_mut().and_then(ResultCache::next_end) else { return };
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

    pub(super) fn tell_of_evictions(&mut self) {
        let (Some(cache), Some(listener)) = (&mut self.cache, &mut self.cache_upkeep.listener) else {
            return;
        };
        for eviction in cache.take_evictions() {
            listener(&eviction.key, eviction.reason);
            self.has_answered = true;
        }
    }
}
