//! The configuration of clusters, as an application gives it.

mod pool;
mod settings;
mod sharding;
mod tls;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value as Json;

pub use pool::PoolConfig;
pub use settings::ManagerSettings;
pub use sharding::{ShardRange, Sharding, ShardingStrategy};
pub use tls::{TlsConfig, TlsIdentity};

use crate::route::ServerIndex;
use crate::server::ServerConfig;

/// Clusters by id, in the order in which the application names them.
pub type Clusters = IndexMap<String, ClusterConfig>;

/// A setting that is missing or malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConfigError {
    /// The setting, from the cluster's id on, as in `eu.primary.host`.
    pub field: String,
    /// What is wrong, and the fix.
    pub problem: String,
}

/// Which servers answer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balancing {
    /// Each in turn.
    #[default]
    RoundRobin,
    /// In proportion to their weights.
    Weighted,
    /// The one with the fewest connections in use.
    LeastConnections,
    /// The one that answers fastest.
    ResponseTime,
    /// The healthiest.
    HealthAware,
}

/// A primary, its replicas, and what they are for.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterConfig {
    /// The schemas that live here.
    pub schemas: Vec<String>,
    /// The server that takes writes.
    pub primary: ServerConfig,
    /// Servers that follow the primary.
    pub replicas: Vec<ServerConfig>,
    /// Which servers answer reads.
    pub read_preference: ReadPreference,
    /// How fresh a read must be.
    pub consistency_level: ConsistencyLevel,
    /// How a replica is chosen.
    pub balancing: Balancing,
    /// The health score, from 0 to 1, under which `health_aware` leaves a server out where another is above it.
    pub health_threshold: f64,
    /// The pools of its servers, where a server does not say otherwise.
    pub pool: PoolConfig,
    /// How rows are spread over shards.
    pub sharding: Option<Sharding>,
    /// Clusters with a higher number are preferred where several would do.
    pub priority: i32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCluster {
    #[serde(default)]
    schemas: Vec<String>,
    primary: Option<Json>,
    #[serde(default)]
    replicas: Vec<Json>,
    #[serde(default)]
    read_preference: ReadPreference,
    #[serde(default)]
    consistency_level: ConsistencyLevel,
    #[serde(default)]
    load_balancing: RawBalancing,
    #[serde(default)]
    priority: i32,
}

#[derive(Default, Deserialize)]
struct RawBalancing {
    #[serde(default)]
    strategy: Balancing,
}

impl ClusterConfig {
    /// Reads the clusters of an application, `{id: {…}}`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the first setting that is missing or malformed.
    pub fn read_all(json: &Json) -> Result<Clusters, ConfigError> {
        let clusters = json.as_object().filter(|clusters| !clusters.is_empty());
        let Some(clusters) = clusters else {
            return Err(problem("clusters", "No cluster configuration provided"));
        };
        clusters.iter().map(|(id, json)| Ok((id.clone(), Self::read(id, json)?))).collect()
    }

    /// A server by its position, `None` past the last.
    pub fn server(&self, server: ServerIndex) -> Option<&ServerConfig> {
        match server.0.checked_sub(1) {
            None => Some(&self.primary),
            Some(replica) => self.replicas.get(replica),
        }
    }

    /// The number of servers, the primary included.
    pub fn server_count(&self) -> usize {
        1 + self.replicas.len()
    }

    /// The pool of a server: the cluster's settings under the server's own.
    pub fn pool_of(&self, server: ServerIndex) -> PoolConfig {
        let mut pool = self.pool.clone();
        let Some(server) = self.server(server) else { return pool };
        pool.max = server.max_connections.unwrap_or(pool.max);
        pool.min = server.min_connections.unwrap_or(pool.min).min(pool.max);
        pool.create_timeout = server.connection_timeout.unwrap_or(pool.create_timeout);
        pool.idle_timeout = server.idle_timeout.unwrap_or(pool.idle_timeout);
        pool
    }

    fn read(id: &str, json: &Json) -> Result<Self, ConfigError> {
        let raw: RawCluster =
            serde_json::from_value(json.clone()).map_err(|error| problem(id, error.to_string()))?;
        let primary = raw.primary.ok_or_else(|| problem(format!("{id}.primary"), "is required"))?;
        let replicas = raw.replicas.iter().enumerate();
        Ok(Self {
            schemas: raw.schemas,
            primary: ServerConfig::read(&format!("{id}.primary"), &primary)?,
            replicas: replicas
                .map(|(position, json)| ServerConfig::read(&format!("{id}.replicas[{position}]"), json))
                .collect::<Result<_, _>>()?,
            read_preference: raw.read_preference,
            consistency_level: raw.consistency_level,
            balancing: raw.load_balancing.strategy,
            health_threshold: 0.5,
            pool: PoolConfig::default(),
            sharding: None,
            priority: raw.priority,
        })
    }
}

pub(crate) fn problem(field: impl Into<String>, problem: impl Into<String>) -> ConfigError {
    ConfigError { field: field.into(), problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn server(host: &str) -> Json {
        json!({"host": host, "database": "app", "user": "app"})
    }

    #[test]
    fn clusters_keep_their_order_and_have_the_documented_defaults() {
        let json = json!({
            "us": {"schemas": ["users"], "primary": server("a"), "replicas": [server("b")]},
            "eu": {"primary": server("c"), "loadBalancing": {"strategy": "least_connections"}, "readPreference": "any"}
        });
        let clusters = ClusterConfig::read_all(&json).unwrap();
        assert_eq!(clusters.keys().collect::<Vec<_>>(), ["us", "eu"]);
        assert_eq!(clusters["us"].read_preference, ReadPreference::Replica);
        assert_eq!((clusters["us"].primary.port, clusters["us"].replicas.len()), (5432, 1));
        assert_eq!(clusters["eu"].balancing, Balancing::LeastConnections);
    }

    #[test]
    fn no_clusters_at_all_are_refused_in_the_known_words() {
        for json in [json!({}), json!(null), json!([])] {
            let message = ClusterConfig::read_all(&json).unwrap_err().to_string();
            assert!(message.contains("No cluster configuration provided"), "{message}");
        }
    }

    #[test]
    fn a_missing_or_malformed_setting_is_named() {
        for (cluster, field) in [
            (json!({"schemas": []}), "us.primary"),
            (json!({"primary": {"host": "a", "user": "u"}}), "us.primary.database"),
            (json!({"primary": server("a"), "replicas": [{"host": ""}]}), "us.replicas[0].host"),
            (json!({"primary": server("a"), "readPreference": "nearest"}), "us"),
        ] {
            assert_eq!(ClusterConfig::read_all(&json!({"us": cluster})).unwrap_err().field, field);
        }
    }
}
