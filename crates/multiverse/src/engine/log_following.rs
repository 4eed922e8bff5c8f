//! The logs that the cache follows: one for each cluster, as long as its primary is the same server.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::event::Event;
use super::own_query::{OwnResult, Purpose};
use super::pending::Fill;
use super::timers::{Routine, Timer};
use crate::cache::Scope;
use crate::cache::log::{
    self, Asking, Changes, Commit, Follower, LogNews, Position, Reading, Sources, Touch, row_key,
};
use crate::request::Request;
use crate::route::{ClusterIndex, Verdict};

/// Whether it is a standby; up to where it has replayed, or which transactions a query sees; the timeline that a standby
/// follows, without which a position says nothing.
const SHOWN: &str = "SELECT pg_catalog.pg_is_in_recovery()::text, CASE WHEN pg_catalog.pg_is_in_recovery() \
     THEN (pg_catalog.pg_last_wal_replay_lsn() - '0/0'::pg_catalog.pg_lsn)::text \
     ELSE pg_catalog.txid_current_snapshot()::text END, CASE WHEN pg_catalog.pg_is_in_recovery() \
     THEN COALESCE((SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver), \
     (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()))::text END";
/// How long a server may take for it.
const SHOWN_LIMIT: Duration = Duration::from_secs(5);
/// Texts whose demands are remembered.
const MOST_TEXTS: usize = 4096;

/// Is told of a cluster whose log is followed, or why it is not. Called on the engine's thread.
pub type LogListener = Box<dyn FnMut(&str, Option<&str>) + Send>;

/// All logs that are followed.
#[derive(Default)]
pub(crate) struct FollowedLogs {
    by_cluster: HashMap<usize, FollowedLog>,
    last: u64,
    listener: Option<LogListener>,
    keys: HashMap<Arc<str>, Arc<[row_key::RowKey]>>,
}

/// The log of a cluster.
struct FollowedLog {
    /// Tells it from those of the cluster before.
    number: u64,
    /// The pool of the server, and its number.
    pool: (usize, u64),
    follower: Follower,
    /// What can be read there; `None` while the log is not followed, so that nothing is cached.
    sources: Option<Arc<Sources>>,
    changes: Changes,
    /// The timeline of the log.
    timeline: u32,
    /// When the servers that do not show everything are asked again.
    asking: Asking,
}

impl FollowedLogs {
    /// Clusters have got other positions; those that have gone are not followed any more.
    pub(super) fn renumber(&mut self, now: impl Fn(usize) -> usize) {
        let logs = std::mem::take(&mut self.by_cluster).into_iter();
        self.by_cluster = logs.map(|(cluster, log)| (now(cluster), log)).collect();
    }

    fn numbered(&mut self, number: u64) -> Option<(usize, &mut FollowedLog)> {
        self.by_cluster.iter_mut().find(|(_, log)| log.number == number).map(|(cluster, log)| (*cluster, log))
    }

    fn tell(&mut self, cluster: &str, lost: Option<&str>) {
        if let Some(listener) = &mut self.listener {
            listener(cluster, lost);
        }
    }
}

impl Core {
    fn publication(&self) -> Option<Arc<str>> {
        self.settings.cache.as_ref()?.publication.clone()
    }

    /// Whether results are cached only as long as the log says so.
    pub(super) fn follows_logs(&self) -> bool {
        self.settings.cache.as_ref().is_some_and(|cache| cache.publication.is_some())
    }

    /// Follows the log of each cluster's primary, anew where that is another server than before.
    pub(super) fn follow_logs(&mut self) {
        let Some(publication) = self.publication() else { return };
        for cluster in 0..self.clusters.len() {
            let Some(primary) = self.clusters.get(cluster).and_then(|it| it.pools.get(it.primary)).copied()
            else {
                continue;
            };
            let Some(pool) = self.pools.get(primary) else { continue };
            let place = (primary, pool.number);
            if self.logs.by_cluster.get(&cluster).is_some_and(|log| log.pool == place) {
                continue;
            }
            let connect = Arc::clone(&pool.connect);
            self.drop_cached_of(cluster);
            self.logs.last += 1;
            let (number, events) = (self.logs.last, self.events.clone());
            // When the engine has ended nobody listens.
            let tell = Box::new(move |news| events.send(Event::Log { number, news }).is_ok());
            let follower = log::follow(&self.runtime, connect, Arc::clone(&publication), tell);
            let followed = FollowedLog {
                number,
                pool: place,
                follower,
                sources: None,
                changes: Changes::default(),
                timeline: 0,
                asking: Asking::default(),
            };
            self.logs.by_cluster.insert(cluster, followed);
        }
        let clusters = self.clusters.len();
        self.logs.by_cluster.retain(|cluster, _| *cluster < clusters);
    }

    pub(super) fn tell_logs(&mut self, listener: Option<LogListener>) {
        self.logs.listener = listener;
    }

    /// Whether the log of a cluster is followed.
    pub(super) fn is_followed(&self, cluster: usize) -> bool {
        self.logs.by_cluster.get(&cluster).is_some_and(|log| log.sources.is_some())
    }

    /// Definitions have changed, as far as this engine knows by itself.
    pub(super) fn definitions_changed(&mut self, cluster: usize) {
        if let Some(log) = self.logs.by_cluster.get_mut(&cluster) {
            // Until they have been read again nothing is cached.
            log.sources = None;
            log.follower.look();
        }
    }

    pub(super) fn take_log_news(&mut self, number: u64, news: LogNews) {
        let Some((cluster, log)) = self.logs.numbered(number) else { return };
        let Some(id) = self.clusters.get(cluster).map(|cluster| Arc::clone(&cluster.id)) else { return };
        match news {
            LogNews::Defined(sources, Position { lsn, timeline }) => {
                log.timeline = timeline;
                let was_followed = log.sources.replace(sources).is_some();
                log.changes.tell_everything(lsn);
                self.drop_cached_of(cluster);
                if !was_followed {
                    self.logs.tell(&id, None);
                    self.has_answered = true;
                }
            }
            LogNews::Committed(commits) => {
                for commit in &commits {
                    log.changes.tell(commit.xid, commit.end, commit.tables.keys().copied());
                }
                for commit in &commits {
                    self.drop_touched(&id, commit);
                }
            }
            LogNews::Lost(reason) => {
                log.sources = None;
                log.changes = Changes::default();
                tracing::warn!(cluster = &*id, %reason, "the cache does not follow the log, and keeps nothing");
                self.logs.tell(&id, Some(&reason));
                self.has_answered = true;
                return self.drop_cached_of(cluster);
            }
        }
        self.ask_what_is_shown(cluster);
    }

    fn drop_touched(&mut self, cluster: &Arc<str>, commit: &Commit) {
        let Some(cache) = &mut self.cache else { return };
        for (table, touch) in &commit.tables {
            cache.drop_scope(&Scope::Table(Arc::clone(cluster), *table));
            match touch {
                Touch::Table => {
                    cache.drop_scope(&Scope::Rows(Arc::clone(cluster), *table));
                }
                Touch::Rows(keys) => {
                    for key in keys {
                        cache.drop_scope(&Scope::Row(Arc::clone(cluster), *table, Arc::clone(key)));
                    }
                }
            }
        }
    }

    /// Asks each server of a cluster which changes it shows, unless it is being asked.
    fn ask_what_is_shown(&mut self, cluster: usize) {
        let Some(pools) = self.clusters.get(cluster).map(|cluster| cluster.pools.clone()) else { return };
        for key in pools {
            let Some(log) = self.logs.by_cluster.get_mut(&cluster) else { return };
            let Some(pool) = self.pools.get(key).map(|pool| pool.number) else { continue };
            let number = log.number;
            if log.changes.ask(pool) {
                self.ask(key, SHOWN, Purpose::Shown { number, pool }, SHOWN_LIMIT);
            }
        }
    }

    pub(super) fn found_shown(&mut self, number: u64, pool: u64, result: OwnResult) {
        let Some((_, log)) = self.logs.numbered(number) else { return };
        let row = result.ok().and_then(|rows| rows.into_iter().next()).unwrap_or_default();
        let has_answered = !row.is_empty();
        let before = log.changes.shown_by(pool);
        let is_behind = match row.as_slice() {
            [Some(is_standby), Some(replayed), Some(timeline)] if is_standby == "true" => {
                // Positions of another timeline are those of another history.
                let is_same = timeline.parse() == Ok(log.timeline);
                log.changes.standby_answered(pool, replayed.parse().ok().filter(|_| is_same))
            }
            // Another server that takes writes has another history.
            [_, Some(snapshot), _] if log.pool.1 == pool => {
                log.changes.primary_answered(pool, Some(snapshot))
            }
            _ => log.changes.primary_answered(pool, None),
        };
        if log.changes.shown_by(pool) > before {
            log.asking.hurry();
        }
        if is_behind && let Some(pause) = log.asking.plan(has_answered) {
            self.timers.add(self.now + pause, Timer::Routine(Routine::Shown { log: number }));
        }
    }

    pub(super) fn ask_again_what_is_shown(&mut self, number: u64) {
        let Some((cluster, log)) = self.logs.numbered(number) else { return };
        log.asking.begin();
        if self.is_followed(cluster) {
            self.ask_what_is_shown(cluster);
        }
    }

    /// From what a request reads; `None` if the log does not tell of every change of it.
    pub(super) fn reading(
        &mut self,
        cluster: ClusterIndex,
        request: &Request,
        verdict: &Verdict,
    ) -> Option<Reading> {
        let sources = Arc::clone(self.logs.by_cluster.get(&cluster.0)?.sources.as_ref()?);
        let keys = self.row_keys(&request.sql);
        sources.reading(verdict, request.route.schema.as_deref(), &keys, &request.parameters)
    }

    fn row_keys(&mut self, sql: &Arc<str>) -> Arc<[row_key::RowKey]> {
        let known = &mut self.logs.keys;
        if let Some(keys) = known.get(sql) {
            return Arc::clone(keys);
        }
        if known.len() >= MOST_TEXTS {
            known.clear();
        }
        let keys: Arc<[row_key::RowKey]> = row_key::find(sql).into();
        known.insert(Arc::clone(sql), Arc::clone(&keys));
        keys
    }

    /// What is asked of a server now may be kept if that server shows every change that was told of what it reads.
    pub(super) fn mark_fill(&mut self, key: usize) {
        let Some(pending) = self.requests.get_mut(key) else { return };
        let Some(fill) = &mut pending.fill else { return };
        let Some(pool) = self.pools.get(pending.pool) else { return };
        fill.pool = pending.pool;
        fill.is_shown = match self.cache.as_ref().and_then(|cache| cache.flight(fill.flight)) {
            Some(flight) => {
                let log = self.logs.by_cluster.get(&pending.cluster);
                log.is_none_or(|log| log.changes.are_shown(pool.number, &flight.tables))
            }
            None => false,
        };
    }
}

/// The scopes of what was read.
pub(super) fn scopes_of(cluster: &Arc<str>, reading: &Reading) -> Vec<Scope> {
    match reading {
        Reading::Tables(tables) => {
            tables.iter().map(|table| Scope::Table(Arc::clone(cluster), *table)).collect()
        }
        Reading::Row(table, key) => vec![
            Scope::Row(Arc::clone(cluster), *table, Arc::clone(key)),
            Scope::Rows(Arc::clone(cluster), *table),
        ],
    }
}

impl Fill {
    /// Whether what it has taken down shows every change that was told before it was asked for.
    pub(super) fn may_be_kept(&self, answered_by: usize) -> bool {
        self.is_shown && self.pool == answered_by
    }
}
