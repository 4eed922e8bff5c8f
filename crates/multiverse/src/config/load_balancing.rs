//! How a cluster's reads are spread over its servers, as `loadBalancing` says.

use std::collections::HashMap;

use super::Balancing;
use super::cluster::ClusterConfig;
use super::section::Section;
use crate::route::ServerIndex;

/// The health score under which a server is left out, when not given.
pub(super) const HEALTH_THRESHOLD: f64 = 50.0;

/// The words for strategies.
const STRATEGIES: [(&str, Balancing); 5] = [
    ("round_robin", Balancing::RoundRobin),
    ("weighted", Balancing::Weighted),
    ("least_connections", Balancing::LeastConnections),
    ("response_time", Balancing::ResponseTime),
    ("health_aware", Balancing::HealthAware),
];

/// `loadBalancing: {strategy, weights, healthThreshold}`.
pub(super) struct LoadBalancing {
    strategy: Balancing,
    weights: HashMap<ServerIndex, f64>,
    health_threshold: f64,
}

impl LoadBalancing {
    /// Reads it. Weights may also stand with the servers.
    pub(super) fn read(
        cluster_id: &str,
        mut section: Section<'_, '_>,
        cluster: &ClusterConfig,
        servers_have_weights: bool,
    ) -> Self {
        if section.value("strategy").is_none() {
            let words = STRATEGIES.map(|(word, _)| word).join(", ");
            section.error("strategy", &format!("is required: one of {words}"));
        }
        let strategy = section.choice("strategy", &STRATEGIES).unwrap_or_default();
        let weights = read_weights(cluster_id, &mut section, cluster);
        if strategy == Balancing::Weighted && section.value("weights").is_none() && !servers_have_weights {
            section.error("weights", "are required for weighted strategy: {replica_1: 2, replica_2: 1}");
        }
        let health_threshold = section.number("healthThreshold", 0.0, 100.0).unwrap_or(HEALTH_THRESHOLD);
        section.warn_of_unknown();
        Self { strategy, weights, health_threshold }
    }

    pub(super) fn apply(self, cluster: &mut ClusterConfig) {
        cluster.balancing = self.strategy;
        cluster.health_threshold = self.health_threshold;
        for (server, weight) in self.weights {
            match server.0.checked_sub(1) {
                None => cluster.primary.weight = weight,
                Some(replica) => {
                    if let Some(replica) = cluster.replicas.get_mut(replica) {
                        replica.weight = weight;
                    }
                }
            }
        }
    }
}

/// Weights by `replica_1` to `replica_n`, or by the ids of the pools, `<cluster>_primary` and `<cluster>_replica_<i>`
/// from 0 on.
fn read_weights(
    cluster_id: &str,
    section: &mut Section<'_, '_>,
    cluster: &ClusterConfig,
) -> HashMap<ServerIndex, f64> {
    let Some(mut section) = section.section("weights") else { return HashMap::new() };
    let path = section.path().to_owned();
    let mut weights = HashMap::new();
    for (name, json) in section.entries() {
        let Some(server) = server_named(name, cluster_id).filter(|server| cluster.server(*server).is_some())
        else {
            let problem = format!(
                "names no server of the cluster: use replica_1 to replica_{count} or {cluster_id}_replica_0 and so on",
                count = cluster.replicas.len()
            );
            section.report().error(format!("{path}.{name}"), problem);
            continue;
        };
        match json.as_f64().filter(|weight| weight.is_finite() && *weight >= 0.0) {
            Some(weight) => {
                weights.insert(server, weight);
            }
            None => section.report().error(format!("{path}.{name}"), "must be a number from 0"),
        }
    }
    weights
}

fn server_named(name: &str, cluster_id: &str) -> Option<ServerIndex> {
    let of_pool = name.strip_prefix(cluster_id).and_then(|rest| rest.strip_prefix('_'));
    match of_pool {
        Some("primary") => Some(ServerIndex(0)),
        Some(pool) if pool.starts_with("replica_") => {
            let position: usize = pool.strip_prefix("replica_")?.parse().ok()?;
            Some(ServerIndex(position.checked_add(1)?))
        }
        _ => {
            let position: usize = name.strip_prefix("replica_")?.parse().ok()?;
            Some(ServerIndex(position)).filter(|server| server.0 > 0)
        }
    }
}
