//! One replica of a project: its configuration, its connection and its state.

use std::sync::Arc;
use std::time::Instant;

use data::{ConnectionConfig, Dialect, DialectKind, EntitySchema, PoolSize, SchemaStrategy};
use serde::{Deserialize, Serialize};

use super::fence::Fence;
use super::lag::Standing;
use crate::error::{Error, Result};
use crate::managed::ManagedFeed;

/// Databases that schemas know of and that need a dialect of the application's own.
const APPLICATIONS_OWN: [&str; 7] = ["oracle", "mssql", "db2", "hana", "hsqldb", "spanner", "sybase"];

/// What a replica is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes the writes.
    Master,
    /// Serves reads.
    Slave,
}

/// Whether a replica can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It can.
    Connected,
    /// It is being connected, or was disconnected.
    Disconnected,
    /// Connecting failed.
    Error,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Error => "error",
        }
    }
}

/// What feeds a slave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Feed {
    /// Its database, if that turns out to follow the master; else this library, where the master's changes can be captured.
    #[default]
    Auto,
    /// Its database; if it does not follow the master, the slave cannot be used.
    Native,
    /// This library, which streams the changes of the master to it.
    Managed,
    /// The application; its lag is not known.
    None,
}

impl Feed {
    /// Reads the name that configurations use.
    ///
    /// # Errors
    /// What is wrong, for the field it came from.
    fn parse(name: &str) -> std::result::Result<Self, String> {
        match name {
            "auto" => Ok(Self::Auto),
            "native" => Ok(Self::Native),
            "managed" => Ok(Self::Managed),
            "none" => Ok(Self::None),
            other => Err(format!("expected auto, native, managed or none, found \"{other}\"")),
        }
    }

    /// The name that configurations use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Managed => "managed",
            Self::None => "none",
        }
    }
}

/// What was found to feed a slave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FedBy {
    /// Its database.
    Native,
    /// This library.
    Managed,
    /// Nothing that is known here.
    None,
}

/// How a replica is reached and what it is for.
#[derive(Clone)]
pub struct ReplicaConfig {
    /// Its name within the project.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The dialect's name as given; checked when the replica connects.
    pub dialect: String,
    /// Where it is; may hold a password.
    pub uri: String,
    /// The pool.
    pub pool: PoolSize,
    /// What happens to the tables of registered entities.
    pub schema_strategy: SchemaStrategy,
    /// The lag in ms beyond which it serves no reads; `None` is no limit.
    pub lag_tolerance: Option<u64>,
    /// What feeds it, if it is a slave.
    pub feed: Feed,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(expecting = "the configuration of a replica")]
struct RawReplica {
    name: Option<String>,
    role: Option<String>,
    dialect: Option<String>,
    uri: Option<String>,
    pool: Option<RawPool>,
    schema_strategy: Option<String>,
    lag_tolerance: Option<f64>,
    feed: Option<String>,
}

#[derive(Deserialize)]
#[serde(expecting = "{min, max}")]
struct RawPool {
    min: Option<u32>,
    max: Option<u32>,
}

impl ReplicaConfig {
    /// Reads and checks a configuration from its JSON form. The dialect is checked later, by
    /// [`connection`](Self::connection), because an unknown one leaves the replica listed with its error.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field.
    pub fn from_json(json: serde_json::Value) -> Result<Self> {
        let raw: RawReplica =
            serde_json::from_value(json).map_err(|error| Error::config("replica", error.to_string()))?;
        let name = required("replica.name", raw.name)?;
        let place = |field: &str| format!("replica \"{name}\".{field}");
        let role = match required(&place("role"), raw.role)?.as_str() {
            "master" => Role::Master,
            "slave" => Role::Slave,
            other => {
                return Err(Error::config(
                    place("role"),
                    format!("expected master or slave, found \"{other}\""),
                ));
            }
        };
        let lag_tolerance = match raw.lag_tolerance {
            None => None,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the guard bounds it"
            )]
            Some(ms) if (0.0..=1e15).contains(&ms) => Some(ms as u64),
            Some(ms) => {
                return Err(Error::config(
                    place("lagTolerance"),
                    format!("expected milliseconds from 0, found {ms}"),
                ));
            }
        };
        Ok(Self {
            role,
            dialect: required(&place("dialect"), raw.dialect)?,
            uri: required(&place("uri"), raw.uri)?,
            pool: pool_size(&place("pool"), raw.pool)?,
            schema_strategy: match raw.schema_strategy {
                None => SchemaStrategy::default(),
                Some(name) => SchemaStrategy::parse(&name)
                    .map_err(|error| Error::config(place("schemaStrategy"), error.to_string()))?,
            },
            lag_tolerance,
            feed: match raw.feed {
                None => Feed::default(),
                Some(name) => Feed::parse(&name).map_err(|problem| Error::config(place("feed"), problem))?,
            },
            name,
        })
    }

    /// The data layer's configuration.
    ///
    /// # Errors
    /// The data layer's, if it has no such dialect.
    pub(crate) fn connection(&self) -> data::Result<ConnectionConfig> {
        if APPLICATIONS_OWN.contains(&self.dialect.as_str()) {
            let name = &self.dialect;
            let message = format!(
                "there is no built-in dialect for \"{name}\"; bring one with registerDialect('{name}', factory)"
            );
            return Err(data::Error::new(data::ErrorKind::Unsupported, message));
        }
        let mut config = ConnectionConfig::new(DialectKind::parse(&self.dialect)?, &self.uri);
        config.pool = self.pool;
        config.schema_strategy = self.schema_strategy;
        Ok(config)
    }
}

impl std::fmt::Debug for ReplicaConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URI holds the password.
        let mut debug = f.debug_struct("ReplicaConfig");
        debug.field("name", &self.name).field("role", &self.role).field("dialect", &self.dialect);
        debug.finish_non_exhaustive()
    }
}

fn pool_size(place: &str, raw: Option<RawPool>) -> Result<PoolSize> {
    let default = PoolSize::default();
    let Some(raw) = raw else { return Ok(default) };
    let max = raw.max.map_or(default.max, |max| max as usize);
    let min = raw.min.map_or(default.min.min(max), |min| min as usize);
    if max == 0 || min > max {
        return Err(Error::config(
            place,
            format!("expected 0 <= min <= max and max >= 1, found min {min}, max {max}"),
        ));
    }
    Ok(PoolSize { min, max })
}

fn required(field: &str, value: Option<String>) -> Result<String> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| Error::config(field, "is required"))
}

/// What [`Manager::status`](crate::Manager::status) tells of a replica.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaStatus {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Its dialect.
    pub dialect: String,
    /// Whether it can be used.
    pub status: State,
    /// How far it is behind, in ms, where that has been measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// How many bytes of the master's log it lacks, where that has been measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_bytes: Option<u64>,
    /// What was found to feed it, if it is a slave and that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<FedBy>,
    /// How many entities are registered on it.
    pub schemas_count: usize,
    /// Connections at the most.
    pub pool_max: usize,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A replica in the topology.
pub(crate) struct Replica {
    pub(crate) config: ReplicaConfig,
    pub(crate) schemas: Vec<Arc<EntitySchema>>,
    pub(crate) state: State,
    pub(crate) connection: Option<Arc<dyn Dialect>>,
    pub(crate) error: Option<String>,
    /// How far it has come.
    pub(crate) standing: Standing,
    /// Refuses writes through its service once another replica has taken its place as the master.
    pub(crate) fence: Arc<Fence>,
    /// Since when it is not the master any more, until the new one feeds it.
    pub(crate) demoted: Option<Instant>,
    /// How often in a row it did not answer.
    pub(super) failures: u32,
    /// Streams the changes of the master to it, or finds out whether that is needed.
    pub(crate) feed: Option<Arc<ManagedFeed>>,
    /// What was found to feed it.
    pub(crate) fed_by: Option<FedBy>,
    /// Whether it was a standby and has been made a primary by somebody else.
    pub(crate) became_primary: bool,
    /// When its database was made the master of the project, in microseconds; 0 for never, `None` if that is not known.
    pub(super) term: Option<i64>,
    /// Whether its first copy of the master is not whole yet.
    pub(crate) is_incomplete: bool,
    /// Whether somebody is connecting it and nobody has disconnected it since.
    pub(crate) awaits_connection: bool,
}

impl Replica {
    pub(crate) fn connecting(config: ReplicaConfig, schemas: Vec<Arc<EntitySchema>>) -> Self {
        Self {
            config,
            schemas,
            state: State::Disconnected,
            connection: None,
            error: None,
            standing: Standing::unknown(),
            fence: Arc::default(),
            demoted: None,
            failures: 0,
            feed: None,
            fed_by: None,
            became_primary: false,
            term: None,
            is_incomplete: false,
            awaits_connection: true,
        }
    }

    /// Enters its connection. Until it has been measured, a slave counts as fresh.
    pub(crate) fn connected(&mut self, dialect: Arc<dyn Dialect>) {
        self.state = State::Connected;
        self.connection = Some(dialect);
        self.awaits_connection = false;
        if self.config.role == Role::Slave {
            self.standing = Standing::fresh();
        }
    }

    /// Whether it is a slave that this library is to feed, or to find out what does, and that is not done yet.
    pub(crate) fn wants_feed(&self) -> bool {
        self.config.role == Role::Slave
            && matches!(self.config.feed, Feed::Auto | Feed::Managed)
            && self.connection.is_some()
            && self.feed.is_none()
    }

    pub(crate) fn is_usable_slave(&self) -> bool {
        self.config.role == Role::Slave && self.state == State::Connected && !self.is_stale()
    }

    /// Whether it is too far behind to serve reads. A master of before is, until the new one feeds it, and so is a slave
    /// that does not hold everything yet.
    pub(crate) fn is_stale(&self) -> bool {
        let is_over = match (self.config.lag_tolerance, self.standing.lag) {
            (Some(tolerance), Some(lag)) => lag > tolerance,
            _ => false,
        };
        self.config.role == Role::Slave && (is_over || self.demoted.is_some() || self.is_incomplete)
    }

    pub(crate) fn take_connection(&mut self) -> Option<Arc<dyn Dialect>> {
        self.state = State::Disconnected;
        self.awaits_connection = false;
        self.connection.take()
    }

    pub(crate) fn status(&self) -> ReplicaStatus {
        ReplicaStatus {
            name: self.config.name.clone(),
            role: self.config.role,
            dialect: self.config.dialect.clone(),
            status: self.state,
            lag: self.standing.lag,
            lag_bytes: self.standing.behind_bytes,
            feed: self.fed_by.filter(|_| self.config.role == Role::Slave),
            schemas_count: self.schemas.len(),
            pool_max: self.config.pool.max,
            error: self.error.clone(),
        }
    }
}

#[cfg(test)]
impl ReplicaConfig {
    pub(crate) fn for_tests(name: &str, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            role,
            dialect: "sqlite".to_owned(),
            uri: ":memory:".to_owned(),
            pool: PoolSize::default(),
            schema_strategy: SchemaStrategy::default(),
            lag_tolerance: None,
            feed: Feed::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pool_and_strategy_have_the_documented_defaults() {
        let json = json!({"name": "m", "role": "master", "dialect": "sqlite", "uri": ":memory:"});
        let config = ReplicaConfig::from_json(json).unwrap();
        assert_eq!(
            (config.pool, config.schema_strategy),
            (PoolSize { min: 2, max: 20 }, SchemaStrategy::Update)
        );
    }

    #[test]
    fn bad_settings_are_named() {
        let base = json!({"name": "m", "role": "master", "dialect": "sqlite", "uri": ":memory:"});
        for (field, value) in [
            ("role", json!("leader")),
            ("uri", json!("")),
            ("pool", json!({"min": 5, "max": 2})),
            ("schemaStrategy", json!("wipe")),
            ("lagTolerance", json!(-1)),
            ("feed", json!("both")),
        ] {
            let mut json = base.clone();
            json[field] = value;
            let message = ReplicaConfig::from_json(json).unwrap_err().to_string();
            assert!(message.starts_with(&format!("replica \"m\".{field}")), "{message}");
        }
    }
}
