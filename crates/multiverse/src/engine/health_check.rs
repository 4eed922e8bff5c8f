//! Health checks, and the other queries of the engine itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::HealthReply;
use super::core::Core;
use super::own_query::{OwnAnswer, OwnResult, Purpose};
use super::pending::Pending;
use super::timers::{Routine, Timer};
use crate::error::Error;
use crate::failover::ClusterEvent;
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
    /// Who asked; `None` for a regular check, of which the listener is told.
    reply: Option<HealthReply>,
}

impl Core {
    /// Asks every server for a sign of life.
    pub(crate) fn check_health(&mut self, reply: Option<HealthReply>) {
        let pools: Vec<usize> =
            self.clusters.iter().flat_map(|cluster| cluster.pools.iter().copied()).collect();
        if pools.is_empty() {
            self.has_answered = true;
            return self.end_check(Check { awaited: 0, found: Vec::new(), reply });
        }
        self.health.last += 1;
        let check = self.health.last;
        self.health.running.insert(check, Check { awaited: pools.len(), found: Vec::new(), reply });
        for pool in pools {
            match self.held_error(pool) {
                Some(error) => self.enter_health(check, pool, self.now, Some(error)),
                None => self.ask_role(pool, Purpose::Health { check, pool }),
            }
        }
    }

    /// Why a server whose queue stands still cannot be asked now; others are looked for at this moment.
    fn held_error(&mut self, key: usize) -> Option<Error> {
        let pool = self.pools.get_mut(key)?;
        if pool.is_held {
            return self.known_error(key);
        }
        if !pool.is_up {
            // Who asks wants to know how it is now, and not after the pause of its pool.
            pool.try_at_once();
        }
        None
    }

    /// Sends a query of the engine itself to a server.
    pub(crate) fn ask(&mut self, pool_key: usize, sql: &str, purpose: Purpose, limit: Duration) {
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
            cache: None,
            answer: Box::new(answer),
        };
        let pending = Pending::new(request, text, verdict, (cluster, pool_key), self.now);
        let key = self.keep(Pending { is_own: true, is_counted: false, ..pending });
        self.enqueue(key);
    }

    pub(super) fn own_query_answered(&mut self, purpose: Purpose, started: Instant, result: OwnResult) {
        match purpose {
            Purpose::Health { check, pool } => self.found_health(check, pool, started, result),
            Purpose::Role { pool } => self.found_role(pool, &result),
            Purpose::Replay { pool } => self.found_replay(pool, result),
            Purpose::Shown { number, pool } => self.found_shown(number, pool, result),
            Purpose::Catalogue { cluster, reading } => self.found_catalogue(cluster, reading, result),
        }
    }

    fn found_health(&mut self, number: u64, key: usize, started: Instant, result: OwnResult) {
        let error = self.take_answer_of_role(key, &result).err();
        if let Some(error) = &error {
            self.found_unwell(key, error);
        }
        self.enter_health(number, key, started, error);
    }

    fn enter_health(&mut self, number: u64, pool: usize, started: Instant, error: Option<Error>) {
        let Some(check) = self.health.running.get_mut(&number) else { return };
        if let Some(pool) = self.pools.get(pool)
            && let Some(cluster) = self.clusters.get(pool.cluster)
        {
            check.found.push(ServerHealth {
                cluster: Arc::clone(&cluster.id),
                server: Arc::clone(&pool.id),
                is_primary: cluster.primary == pool.server.0,
                response_time: self.now.saturating_duration_since(started),
                error,
            });
        }
        check.awaited = check.awaited.saturating_sub(1);
        if check.awaited == 0
            && let Some(mut check) = self.health.running.remove(&number)
        {
            check.found.sort_by(|a, b| (&a.cluster, &a.server).cmp(&(&b.cluster, &b.server)));
            self.end_check(check);
        }
    }

    fn end_check(&mut self, check: Check) {
        let Check { mut found, reply, .. } = check;
        // Which server takes the writes may have become known by this very check.
        for health in &mut found {
            let cluster = self.clusters.iter().find(|cluster| cluster.id == health.cluster);
            let primary = cluster.and_then(|cluster| cluster.pools.get(cluster.primary));
            let primary = primary.and_then(|key| self.pools.get(*key));
            health.is_primary = primary.is_some_and(|pool| pool.id == health.server);
        }
        match reply {
            Some(reply) => {
                self.has_answered = true;
                reply(found);
            }
            None => {
                self.tell(ClusterEvent::Checked { health: found });
                self.plan_regular_check();
            }
        }
    }

    /// Ends the checks that are under way, as the engine does.
    pub(super) fn end_health_checks(&mut self) {
        for (_, check) in std::mem::take(&mut self.health.running) {
            if let Some(reply) = check.reply {
                reply(check.found);
            }
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
            Routine::Check => return self.check_health(None),
            Routine::Silence { pool, number } => return self.look_for_silence(pool, number),
            Routine::Promotion { pool } => return self.go_on_with_promotion(pool),
            Routine::Shown { log } => return self.ask_again_what_is_shown(log),
            Routine::CacheEntries => return self.drop_old_entries(),
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
