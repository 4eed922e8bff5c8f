//! The configuration of one server of a cluster.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::config::{ConfigError, TlsConfig, problem};

/// How one server is reached.
#[derive(Clone, PartialEq)]
pub struct ServerConfig {
    /// Name, address, or the folder of a unix socket.
    pub host: String,
    /// 5432 when not given.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
    /// The role's password.
    pub password: Option<String>,
    /// The server's share of the reads under weighted balancing, 1 when not given.
    pub weight: f64,
    /// TLS, `None` for a plain connection.
    pub tls: Option<TlsConfig>,
    /// The most connections, in place of the cluster's pool setting.
    pub max_connections: Option<usize>,
    /// The connections kept open, in place of the cluster's pool setting.
    pub min_connections: Option<usize>,
    /// How long opening a connection may take, in place of the cluster's pool setting.
    pub connection_timeout: Option<Duration>,
    /// After how long an unused connection is closed, in place of the cluster's pool setting.
    pub idle_timeout: Option<Duration>,
    /// The `search_path` of its connections; the server's own default when empty.
    pub search_path: Vec<String>,
}

#[derive(Deserialize)]
struct RawServer {
    #[serde(default)]
    host: String,
    port: Option<u16>,
    #[serde(default)]
    database: String,
    #[serde(default)]
    user: String,
    password: Option<String>,
    weight: Option<f64>,
}

impl ServerConfig {
    pub(crate) fn read(place: &str, json: &Json) -> Result<Self, ConfigError> {
        let raw: RawServer =
            serde_json::from_value(json.clone()).map_err(|error| problem(place, error.to_string()))?;
        for (field, value) in [("host", &raw.host), ("database", &raw.database), ("user", &raw.user)] {
            if value.is_empty() {
                return Err(problem(format!("{place}.{field}"), "is required"));
            }
        }
        let weight = raw.weight.unwrap_or(1.0);
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(problem(format!("{place}.weight"), "must be a number from 0"));
        }
        Ok(Self {
            host: raw.host,
            port: raw.port.unwrap_or(5432),
            database: raw.database,
            user: raw.user,
            password: raw.password,
            weight,
            tls: None,
            max_connections: None,
            min_connections: None,
            connection_timeout: None,
            idle_timeout: None,
            search_path: Vec::new(),
        })
    }
}

impl fmt::Debug for ServerConfig {
    /// Leaves out the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("database", &self.database)
            .field("user", &self.user)
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}
