//! Taking a configuration into force: servers that stay keep their pools, the others get new ones or lose theirs.

use std::sync::Arc;

use wire::ConnectConfig;

use super::core::{Cluster, Core};
use super::thread::Plan;
use super::timers::Timer;
use crate::config::{ClusterConfig, ConsistencyLevel};
use crate::pool::{Pool, Ticket};
use crate::route::{Router, ServerIndex};

impl Core {
    pub(super) fn reload(&mut self, plan: &Plan) {
        self.pools.retain(|_, pool| !pool.has_left());
        let mut before: Vec<usize> = self.pools.iter().map(|(key, _)| key).collect();
        let known_pools = before.clone();
        let mut known: Vec<Cluster> = self.clusters.drain(..).collect();
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
        for pool in before {
            self.leave(pool);
        }
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
            (number, pool_id),
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
        let queue = std::mem::take(&mut pool.queue);
        pool.waiting = 0;
        for ticket in queue {
            match ticket {
                Ticket::Request { key, id } => self.move_elsewhere(key, id),
                Ticket::Session(id) => self.fail_session(id, crate::error::Error::Cancelled),
            }
        }
        self.empty_pool(key);
    }
}

/// The id of a server's pool.
pub(crate) fn pool_id(cluster: &str, server: ServerIndex) -> String {
    match server.0.checked_sub(1) {
        None => format!("{cluster}_primary"),
        Some(replica) => format!("{cluster}_replica_{replica}"),
    }
}
