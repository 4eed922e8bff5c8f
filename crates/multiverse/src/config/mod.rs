//! The configuration of clusters, as an application gives it.

mod cluster;
mod load_balancing;
mod pool;
mod report;
mod section;
mod settings;
mod shard_expansion;
mod sharding;
mod tls;

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::Value as Json;

pub use cluster::ClusterConfig;
pub use pool::PoolConfig;
pub(crate) use pool::usize_of;
pub use report::{ConfigError, Report};
pub(crate) use section::{Section, whole};
pub use settings::ManagerSettings;
pub use shard_expansion::expand_shards;
pub use sharding::{ShardMember, ShardRange, ShardServers, Sharding, ShardingStrategy};
pub use tls::{TlsConfig, TlsIdentity};

/// Clusters by id, in the order in which the application names them.
pub type Clusters = IndexMap<String, ClusterConfig>;

/// Which servers answer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadPreference {
    /// Replicas, the primary where there is none.
    #[default]
    Replica,
    /// The primary.
    Primary,
    /// Both.
    Any,
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConsistencyLevel {
    /// A replica may be behind.
    #[default]
    Eventual,
    /// A replica may answer once it has replayed what the caller's session has written.
    Session,
    /// As on the primary.
    Strong,
}

/// How a replica is chosen among several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balancing {
    /// Each in turn.
    #[default]
    RoundRobin,
    /// In proportion to their weights.
    Weighted,
    /// The one with the fewest queries running or waiting.
    LeastConnections,
    /// The one that answers fastest.
    ResponseTime,
    /// In proportion to their health, the ill ones left out.
    HealthAware,
}

impl ClusterConfig {
    /// Reads the clusters of an application, `{id: {…}}` or `{clusters: {id: {…}}}`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the first setting that is missing or malformed.
    pub fn read_all(json: &Json) -> Result<Clusters, ConfigError> {
        let (clusters, report) = read_clusters(json);
        match report.errors.into_iter().next() {
            None => Ok(clusters),
            Some(error) => Err(error),
        }
    }
}

/// Reads the clusters of an application, and notes everything that is wrong with them. Where the report has errors, the
/// clusters are incomplete.
#[must_use]
pub fn read_clusters(json: &Json) -> (Clusters, Report) {
    let mut report = Report::default();
    let clusters = unwrapped(json).as_object().filter(|clusters| !clusters.is_empty());
    let Some(clusters) = clusters else {
        report.error("clusters", "No cluster configuration provided: No clusters configured");
        return (Clusters::new(), report);
    };
    let read = clusters.iter().filter_map(|(id, json)| {
        if id.is_empty() {
            report.error("clusters", "the id of a cluster must not be empty");
        }
        ClusterConfig::read(id, json, &mut report).map(|cluster| (id.clone(), cluster))
    });
    let read: Clusters = read.collect();
    refuse_duplicate_schemas(&read, &mut report);
    (read, report)
}

/// The clusters themselves, where a file has other things beside them.
fn unwrapped(json: &Json) -> &Json {
    match json.get("clusters") {
        Some(clusters) if clusters.is_object() && clusters.get("primary").is_none() => clusters,
        _ => json,
    }
}

/// A schema may live on several clusters only where their priorities tell which one is meant.
fn refuse_duplicate_schemas(clusters: &Clusters, report: &mut Report) {
    let mut homes: HashMap<(&str, i32), &str> = HashMap::new();
    let mut duplicates = Vec::new();
    for (id, cluster) in clusters {
        // The shards of a cluster have its schemas in common.
        let member = cluster.sharding.as_ref().and_then(|sharding| sharding.member.as_ref());
        if member.is_some_and(|member| member.number > 0) {
            continue;
        }
        for schema in &cluster.schemas {
            let options = cluster.schema_options.get(schema);
            let priority = options.and_then(|options| options.priority).unwrap_or(cluster.priority);
            let earlier = homes.insert((schema, priority), id);
            if earlier.is_some() && !duplicates.contains(&schema.as_str()) {
                duplicates.push(schema);
            }
        }
    }
    if !duplicates.is_empty() {
        let problem = format!(
            "Duplicate schemas found: {}; name each once, or give the clusters that have it different priorities",
            duplicates.join(", ")
        );
        report.error("schemas", problem);
    }
}

#[cfg(test)]
mod tests;
