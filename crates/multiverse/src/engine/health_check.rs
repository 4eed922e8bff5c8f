//! Health checks, and the other queries of the engine itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::HealthReply;
use super::core::Core;
use super::own_query::{OwnAnswer, OwnResult, Purpose};
use super::pending::Pending;
use super::timers::{Routine, Timer};
use crate::health::ServerHealth;
use crate::request::{BindParameters, Request, RequestId, Retry};
use crate::route::RouteOptions;
use crate::session::position;

/// How long a server may take to give a sign of life.
const HEALTH_LIMIT: Duration = Duration::from_secs(5);
/// Time between two questions how far a standby has replayed, while somebody wants to know.
const SAMPLING: Duration = Duration::from_millis(100);

/// The checks that are under way.
#[derive(Default)]
pub(crate) struct HealthChecks {
    last: u64,
    running: HashMap<u64, Check>,
}

struct Check {
    awaited: usize,
    found: Vec<ServerHealth>,
    reply: HealthReply,
}

impl Core {
    /// Asks every server for a sign of life.
    pub(super) fn check_health(&mut self, reply: HealthReply) {
        let pools: Vec<usize> =
            self.clusters.iter().flat_map(|cluster| cluster.pools.iter().copied()).collect();
        if pools.is_empty() {
            self.has_answered = true;
            return reply(Vec::new());
        }
        self.health.last += 1;
        let check = self.health.last;
        self.health.running.insert(check, Check { awaited: pools.len(), found: Vec::new(), reply });
        for pool in pools {
            self.ask(pool, "SELECT '1'::text", Purpose::Health { check, pool }, HEALTH_LIMIT);
        }
    }

    /// Sends a query of the engine itself to a server.
    pub(super) fn ask(&mut self, pool_key: usize, sql: &str, purpose: Purpose, limit: Duration) {
        let Some(pool) = self.pools.get(pool_key) else { return };
        let cluster = pool.cluster;
        let sql: Arc<str> = sql.into();
        let verdict = self.router.verdict(&sql);
        let text = self.texts.get(&sql, &[]);
        self.next_own_id += 1;
        let answer = OwnAnswer { purpose, started: self.now, rows: Vec::new(), events: self.events.clone() };
        let request = Request {
            id: RequestId(self.next_own_id),
            sql,
            parameters: BindParameters::none(),
            route: RouteOptions::default(),
            session: None,
            timeout: Some(limit),
            retry: Retry::default(),
            streamed: false,
            answer: Box::new(answer),
        };
        let pending = Pending::new(request, text, verdict, (cluster, pool_key), self.now);
        let key = self.keep(Pending { is_own: true, is_counted: false, ..pending });
        self.enqueue(key);
    }

    pub(super) fn own_query_answered(&mut self, purpose: Purpose, started: Instant, result: OwnResult) {
        match purpose {
            Purpose::Health { check, pool } => self.found_health(check, pool, started, result),
            Purpose::Replay { pool } => self.found_replay(pool, result),
            Purpose::Catalogue { cluster, configuration } => {
                self.found_catalogue(cluster, configuration, result);
            }
        }
    }

    fn found_health(&mut self, number: u64, pool: usize, started: Instant, result: OwnResult) {
        let Some(check) = self.health.running.get_mut(&number) else { return };
        if let Some(pool) = self.pools.get(pool)
            && let Some(cluster) = self.clusters.get(pool.cluster)
        {
            check.found.push(ServerHealth {
                cluster: Arc::clone(&cluster.id),
                server: Arc::clone(&pool.id),
                is_primary: cluster.primary == pool.server.0,
                response_time: self.now.saturating_duration_since(started),
                error: result.err(),
            });
        }
        check.awaited = check.awaited.saturating_sub(1);
        if check.awaited == 0
            && let Some(mut check) = self.health.running.remove(&number)
        {
            check.found.sort_by(|a, b| (&a.cluster, &a.server).cmp(&(&b.cluster, &b.server)));
            (check.reply)(check.found);
            self.has_answered = true;
        }
    }

    /// Ends the checks that are under way, as the engine does.
    pub(super) fn end_health_checks(&mut self) {
        for (_, check) in std::mem::take(&mut self.health.running) {
            (check.reply)(check.found);
        }
    }

    /// Has the replay position of a cluster's standbys sampled for the next seconds.
    pub(super) fn sample_replay(&mut self, cluster: usize) {
        const WANTED_FOR: Duration = Duration::from_secs(5);
        let (now, mut fresh) = (self.now, Vec::new());
        let Some(cluster) = self.clusters.get(cluster) else { return };
        for (position, key) in cluster.pools.iter().enumerate() {
            let Some(pool) = self.pools.get_mut(*key).filter(|_| position != cluster.primary) else {
                continue;
            };
            if pool.sampled_until.replace(now + WANTED_FOR).is_none() {
                fresh.push(*key);
            }
        }
        for pool in fresh {
            self.ask(pool, position::REPLAYED, Purpose::Replay { pool }, HEALTH_LIMIT);
        }
    }

    fn found_replay(&mut self, key: usize, result: OwnResult) {
        let next = self.now + SAMPLING;
        let Some(pool) = self.pools.get_mut(key) else { return };
        pool.replayed = result.ok().and_then(|rows| match rows.into_iter().next()?.as_slice() {
            [Some(lsn), Some(timeline)] => position::parse(lsn, timeline),
            _ => None,
        });
        self.timers.add(next, Timer::Routine(Routine::Replay { pool: key }));
    }

    pub(super) fn do_routine(&mut self, routine: Routine) {
        let key = match routine {
            Routine::Replay { pool } => pool,
            Routine::Catalogues => return self.look_at_catalogues(),
        };
        let Some(pool) = self.pools.get_mut(key) else { return };
        if pool.sampled_until.is_some_and(|until| until > self.now) {
            self.ask(key, position::REPLAYED, Purpose::Replay { pool: key }, HEALTH_LIMIT);
        } else {
            pool.sampled_until = None;
            // What is not sampled any more is not known any more.
            pool.replayed = None;
        }
    }
}
