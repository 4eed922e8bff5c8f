//! Taking a configuration into force: servers that stay keep their pools, the others get new ones or lose theirs.

use std::sync::Arc;

use wire::ConnectConfig;

use super::DoneReply;
use super::core::{Cluster, Core};
use super::thread::Plan;
use super::timers::Timer;
use crate::config::{ClusterConfig, ConsistencyLevel};
use crate::error::Error;
use crate::pool::{Pool, Ticket};
use crate::request::SessionId;
use crate::route::{Router, ServerIndex};

impl Core {
    /// Takes a configuration into force. One that changes the servers of a cluster waits for a promotion that is under way
    /// there: until that has ended, the primary must take no writes under any name.
    pub(super) fn reload_when_settled(&mut self, plan: Plan, reply: DoneReply) {
        self.reloads.push_back((plan, reply));
        self.reload_if_settled();
    }

    /// Takes into force what was left until no promotion is under way.
    pub(super) fn reload_if_settled(&mut self) {
        while self.reloads.front().is_some_and(|(plan, _)| self.may_go_over_to(plan))
            && let Some((plan, reply)) = self.reloads.pop_front()
        {
            self.reload(&plan);
            reply();
            self.has_answered = true;
        }
    }

    /// Whether no promotion is under way on a cluster whose servers would change.
    fn may_go_over_to(&self, plan: &Plan) -> bool {
        let mut promoting = self.clusters.iter().filter(|cluster| cluster.watch.order.is_some());
        promoting.all(|cluster| self.keeps_servers(cluster, plan))
    }

    /// Whether the servers of a cluster stay exactly what they are.
    fn keeps_servers(&self, cluster: &Cluster, plan: &Plan) -> bool {
        let Some(config) = plan.clusters.get(&*cluster.id) else { return false };
        let stays = |(place, key): (usize, &usize)| {
            let server = ServerIndex(place);
            self.pools.get(*key).is_some_and(|pool| {
                config.server(server) == Some(&pool.config) && config.pool_of(server) == pool.settings
            })
        };
        config.server_count() == cluster.pools.len() && cluster.pools.iter().enumerate().all(stays)
    }

    pub(super) fn reload(&mut self, plan: &Plan) {
        self.cache_epoch.end();
        self.pools.retain(|_, pool| !pool.has_left());
        let mut before: Vec<usize> = self.pools.iter().map(|(key, _)| key).collect();
        let known_pools = before.clone();
        let mut known: Vec<Cluster> = self.clusters.drain(..).collect();
        let places = Places::new(&known, plan);
        for (position, (id, config)) in plan.clusters.iter().enumerate() {
            let servers = 0..config.server_count();
            let pools = servers.filter_map(|server| {
                let server = ServerIndex(server);
                let connect = plan.connect.get(&pool_id(id, server))?;
                Some(self.pool_for((position, id), config, server, connect, &mut before))
            });
            let pools: Vec<usize> = pools.collect();
            let known = known.iter().position(|cluster| *cluster.id == **id).map(|at| known.swap_remove(at));
            let primary = known.as_ref().map_or(0, |cluster| self.primary_after_reload(cluster, &pools));
            let (counts, watch) = known.map(|cluster| (cluster.counts, cluster.watch)).unwrap_or_default();
            self.clusters.push(Cluster {
                id: id.as_str().into(),
                pools,
                primary,
                has_sessions: config.consistency_level == ConsistencyLevel::Session,
                counts,
                watch,
            });
            self.watch_after_reload(position);
        }
        if !std::mem::replace(&mut self.is_checking, true) {
            self.plan_regular_check();
        }
        self.drop_cached_of_new(&known_pools);
        self.router = Router::new(&plan.clusters);
        self.register_again();
        self.forget_catalogues();
        self.renumber(&places);
        for pool in before {
            self.leave(pool);
        }
        self.let_all_held_go();
    }

    /// What is under way knows its cluster by its position, which may be another now.
    fn renumber(&mut self, places: &Places) {
        for (_, pending) in &mut self.requests {
            pending.cluster = places.now(pending.cluster);
        }
        for session in self.sessions.values_mut() {
            session.cluster = places.now(session.cluster);
        }
        self.logs.renumber(|cluster| places.now(cluster));
    }

    /// The position of the server that takes the writes: the same server as before, if it is still there.
    fn primary_after_reload(&self, before: &Cluster, pools: &[usize]) -> usize {
        let address = |key: &usize| self.pools.get(*key).map(|pool| (&pool.config.host, pool.config.port));
        // An application that names another one is believed.
        if before.pools.first().map(address) != pools.first().map(address) {
            return 0;
        }
        let Some(key) = before.pools.get(before.primary) else { return 0 };
        pools.iter().position(|other| other == key || address(other) == address(key)).unwrap_or(0)
    }

    /// A search goes on with the servers there are now.
    fn watch_after_reload(&mut self, index: usize) {
        let Some(cluster) = self.clusters.get_mut(index) else { return };
        let was_searching = cluster.watch.search.take().is_some();
        let primary = cluster.pools.get(cluster.primary).copied();
        for key in cluster.pools.clone() {
            if Some(key) != primary
                && let Some(pool) = self.pools.get_mut(key)
            {
                pool.is_held = false;
            }
        }
        if was_searching {
            self.search(index);
        }
        self.check_order(index);
    }

    /// The pool of a server: the one it has, if nothing about it has changed, else a new one.
    fn pool_for(
        &mut self,
        (position, id): (usize, &str),
        cluster: &ClusterConfig,
        server: ServerIndex,
        connect: &ConnectConfig,
        before: &mut Vec<usize>,
    ) -> usize {
        let settings = cluster.pool_of(server);
        let config = cluster.server(server).unwrap_or(&cluster.primary);
        let pool_id: Arc<str> = pool_id(id, server).into();
        let kept = before.iter().position(|key| {
            self.pools.get(*key).is_some_and(|pool| {
                pool.id == pool_id && pool.config == *config && pool.settings == settings && !pool.is_leaving
            })
        });
        if let Some(kept) = kept {
            let key = before.swap_remove(kept);
            if let Some(pool) = self.pools.get_mut(key) {
                pool.cluster = position;
            }
            return key;
        }
        let warmup = settings.warmup;
        self.serials += 1;
        let number = self.serials;
        let key = self.pools.insert(Pool::new(
            (number, pool_id, id.into()),
            (position, server),
            config,
            settings,
            connect.clone(),
        ));
        if warmup {
            self.grow(key);
        }
        if let Some(pool) = self.pools.get(key) {
            self.timers.add(self.now + pool.maintenance_pause(), Timer::Maintain { pool: key, number });
        }
        key
    }

    /// Winds up a pool: those who wait go elsewhere, what runs runs to its end.
    fn leave(&mut self, key: usize) {
        let Some(pool) = self.pools.get_mut(key) else { return };
        pool.is_leaving = true;
        let server = pool.server;
        let queue = std::mem::take(&mut pool.queue);
        pool.waiting = 0;
        for ticket in queue {
            match ticket {
                Ticket::Request { key, id } => self.move_elsewhere(key, id),
                Ticket::Session(id) => self.move_session(id, server),
            }
        }
        self.empty_pool(key);
    }

    /// A session that waits for a server that has gone waits for the one in its place: the primary, or the server of the same
    /// position.
    fn move_session(&mut self, id: SessionId, server: ServerIndex) {
        let Some(session) = self.sessions.get_mut(&id.0).filter(|session| session.is_waiting()) else {
            return;
        };
        let pools = self.clusters.get(session.cluster).map(|cluster| (&cluster.pools, cluster.primary));
        let place = pools.and_then(|(pools, primary)| {
            pools.get(if server.0 == 0 { primary } else { server.0 }).or(pools.get(primary)).copied()
        });
        let Some(place) = place else { return self.fail_session(id, Error::Cancelled) };
        session.pool = place;
        if let Some(pool) = self.pools.get_mut(place) {
            pool.queue.push_back(Ticket::Session(id));
            pool.waiting += 1;
        }
        self.call_dispatch(place);
    }
}

/// Where the clusters have gone, by the positions they had.
struct Places(Vec<usize>);

impl Places {
    /// The position of a cluster that is not configured any more.
    const NOWHERE: usize = usize::MAX;

    fn new(before: &[Cluster], plan: &Plan) -> Self {
        let now = |cluster: &Cluster| plan.clusters.keys().position(|id| **id == *cluster.id);
        Self(before.iter().map(|cluster| now(cluster).unwrap_or(Self::NOWHERE)).collect())
    }

    fn now(&self, before: usize) -> usize {
        self.0.get(before).copied().unwrap_or(Self::NOWHERE)
    }
}

/// The id of a server's pool.
pub(crate) fn pool_id(cluster: &str, server: ServerIndex) -> String {
    match server.0.checked_sub(1) {
        None => format!("{cluster}_primary"),
        Some(replica) => format!("{cluster}_replica_{replica}"),
    }
}
