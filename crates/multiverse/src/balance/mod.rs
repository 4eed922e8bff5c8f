//! Which of several servers answers the next read.

mod live;
mod smooth;

use std::time::Duration;

pub use live::LiveServers;

use self::smooth::SmoothRotation;
use crate::config::{Balancing, ClusterConfig};
use crate::route::{ClusterIndex, ServerIndex};

/// One choice in so many goes to the server that was left alone longest, so that its figures do not grow old.
const EXPLORE_EVERY: u64 = 32;

/// Chooses servers of one cluster.
#[derive(Debug)]
pub struct Balancer {
    strategy: Balancing,
    health_threshold: f64,
    /// Of every server, by position.
    weights: Vec<f64>,
    /// The connections that each server may have, by position.
    capacities: Vec<usize>,
    rotation: SmoothRotation,
    /// When each server was chosen last, counted in choices.
    chosen: Vec<u64>,
    choices: u64,
}

impl Balancer {
    /// A balancer as the cluster's `loadBalancing` says.
    #[must_use]
    pub fn new(cluster: &ClusterConfig) -> Self {
        let count = cluster.server_count();
        let servers = || (0..count).map(ServerIndex);
        Self {
            strategy: cluster.balancing,
            health_threshold: cluster.health_threshold,
            weights: servers()
                .map(|server| cluster.server(server).map_or(1.0, |config| config.weight))
                .collect(),
            capacities: servers().map(|server| cluster.pool_of(server).max).collect(),
            rotation: SmoothRotation::new(count),
            chosen: vec![0; count],
            choices: 0,
        }
    }

    /// The server that answers the next read, among those that may; `None` when there is none.
    pub fn choose(
        &mut self,
        cluster: ClusterIndex,
        candidates: &[ServerIndex],
        live: &dyn LiveServers,
    ) -> Option<ServerIndex> {
        let chosen = match candidates {
            [] => return None,
            [only] => *only,
            _ => self.choose_among(cluster, candidates, live)?,
        };
        self.choices += 1;
        if let Some(last) = self.chosen.get_mut(chosen.0) {
            *last = self.choices;
        }
        Some(chosen)
    }

    fn choose_among(
        &mut self,
        cluster: ClusterIndex,
        candidates: &[ServerIndex],
        live: &dyn LiveServers,
    ) -> Option<ServerIndex> {
        match self.strategy {
            Balancing::RoundRobin => self.least_recent(candidates),
            Balancing::Weighted => {
                let weights = &self.weights;
                self.rotation.next(candidates, |server| weights.get(server.0).copied().unwrap_or(1.0))
            }
            Balancing::LeastConnections => {
                self.cheapest(candidates, |server| live.in_use(cluster, server) as f64)
            }
            Balancing::ResponseTime if self.explores() => self.least_recent(candidates),
            Balancing::ResponseTime => self.cheapest(candidates, |server| {
                let response_time = live.response_time(cluster, server).unwrap_or(Duration::ZERO);
                response_time.as_secs_f64() * (1 + live.in_use(cluster, server)) as f64
            }),
            Balancing::HealthAware if self.explores() => self.least_recent(candidates),
            Balancing::HealthAware => self.healthiest(cluster, candidates, live),
        }
    }

    /// Whether this choice only serves to learn how the servers are.
    fn explores(&self) -> bool {
        self.choices % EXPLORE_EVERY == EXPLORE_EVERY - 1
    }

    /// The server whose last turn is longest ago, which makes a rotation.
    fn least_recent(&self, candidates: &[ServerIndex]) -> Option<ServerIndex> {
        candidates.iter().copied().min_by_key(|server| self.last_choice(*server))
    }

    /// The server of the lowest cost; the least recent of those that cost the same.
    fn cheapest(&self, candidates: &[ServerIndex], cost: impl Fn(ServerIndex) -> f64) -> Option<ServerIndex> {
        let keys = candidates.iter().map(|server| (cost(*server), self.last_choice(*server), *server));
        keys.min_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)))
            .map(|(_, _, server)| server)
    }

    fn last_choice(&self, server: ServerIndex) -> u64 {
        self.chosen.get(server.0).copied().unwrap_or(0)
    }

    /// Servers take turns in proportion to their scores; those under the threshold have none while one is above it.
    fn healthiest(
        &mut self,
        cluster: ClusterIndex,
        candidates: &[ServerIndex],
        live: &dyn LiveServers,
    ) -> Option<ServerIndex> {
        let (weights, capacities, threshold) = (&self.weights, &self.capacities, self.health_threshold);
        let score = |server: ServerIndex| {
            let capacity = capacities.get(server.0).copied().unwrap_or(1);
            health_score(cluster, server, capacity, live)
        };
        let any_healthy = candidates.iter().any(|server| score(*server) >= threshold);
        self.rotation.next(candidates, |server| {
            let score = score(server);
            if any_healthy && score < threshold {
                return 0.0;
            }
            score * weights.get(server.0).copied().unwrap_or(1.0)
        })
    }
}

/// How healthy a server is, from 0 to 100: failures cost up to 100, slowness up to 50 (at 500 ms), load up to 30 (when
/// as many queries run or wait as the server may have connections).
#[must_use]
pub fn health_score(
    cluster: ClusterIndex,
    server: ServerIndex,
    capacity: usize,
    live: &dyn LiveServers,
) -> f64 {
    let failures = live.error_rate(cluster, server).clamp(0.0, 1.0) * 100.0;
    let response_time = live.response_time(cluster, server).unwrap_or(Duration::ZERO);
    let slowness = (response_time.as_secs_f64() * 100.0).min(50.0);
    let load = (live.in_use(cluster, server) as f64 / capacity.max(1) as f64).min(1.0) * 30.0;
    (100.0 - failures - slowness - load).max(0.0)
}

#[cfg(test)]
mod tests;
