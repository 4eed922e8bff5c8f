//! One cluster: its servers, its schemas, and how statements are spread over them.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::load_balancing::LoadBalancing;
use super::pool::PoolConfig;
use super::report::Report;
use super::section::Section;
use super::sharding::Sharding;
use super::{Balancing, ConsistencyLevel, ReadPreference};
use crate::route::{CacheStrategy, SchemaOptions, ServerIndex};
use crate::server::ServerConfig;

/// The words for read preferences.
const READ_PREFERENCES: [(&str, ReadPreference); 3] = [
    ("replica", ReadPreference::Replica),
    ("primary", ReadPreference::Primary),
    ("any", ReadPreference::Any),
];

/// The words for consistency levels.
const CONSISTENCY_LEVELS: [(&str, ConsistencyLevel); 3] = [
    ("eventual", ConsistencyLevel::Eventual),
    ("session", ConsistencyLevel::Session),
    ("strong", ConsistencyLevel::Strong),
];

/// The words for cache strategies.
const CACHE_STRATEGIES: [(&str, CacheStrategy); 3] = [
    ("aggressive", CacheStrategy::Aggressive),
    ("conservative", CacheStrategy::Conservative),
    ("none", CacheStrategy::None),
];

/// A primary, its replicas, and what they are for.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterConfig {
    /// The schemas that live here.
    pub schemas: Vec<String>,
    /// What is said of single schemas.
    pub schema_options: HashMap<String, SchemaOptions>,
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
    /// The health score, from 0 to 100, under which `health_aware` leaves a server out where another is above it.
    pub health_threshold: f64,
    /// The pools of its servers, where a server does not say otherwise.
    pub pool: PoolConfig,
    /// How rows are spread over shards.
    pub sharding: Option<Sharding>,
    /// Clusters with a higher number are preferred where several would do; 1 when not given.
    pub priority: i32,
}

impl ClusterConfig {
    /// A server by its position, `None` past the last.
    #[must_use]
    pub fn server(&self, server: ServerIndex) -> Option<&ServerConfig> {
        match server.0.checked_sub(1) {
            None => Some(&self.primary),
            Some(replica) => self.replicas.get(replica),
        }
    }

    /// The number of servers, the primary included.
    #[must_use]
    pub fn server_count(&self) -> usize {
        1 + self.replicas.len()
    }

    /// The pool of a server: the cluster's settings under the server's own.
    #[must_use]
    pub fn pool_of(&self, server: ServerIndex) -> PoolConfig {
        let mut pool = self.pool.clone();
        let Some(server) = self.server(server) else { return pool };
        pool.max = server.max_connections.unwrap_or(pool.max);
        pool.min = server.min_connections.unwrap_or(pool.min).min(pool.max);
        pool.create_timeout = server.connection_timeout.unwrap_or(pool.create_timeout);
        pool.idle_timeout = server.idle_timeout.unwrap_or(pool.idle_timeout);
        pool
    }

    /// Reads a cluster; what is wrong is noted, and replaced by a default.
    pub(super) fn read(id: &str, json: &Json, report: &mut Report) -> Option<Self> {
        let mut section = Section::open(id.to_owned(), json, report)?;
        // The original's configurations repeat the id in the cluster.
        section.text("id");
        let sharding = section.section("sharding").and_then(Sharding::read);
        let own_shards = sharding.as_ref().map(|sharding| sharding.shards.clone()).unwrap_or_default();
        let (primary, replicas) = match own_shards.into_iter().next() {
            // The shards have the servers; the cluster needs none of its own.
            Some(first) => {
                refuse_own_servers(&mut section);
                (Some(first.primary), first.replicas)
            }
            None => (read_primary(&mut section), read_replicas(&mut section)),
        };
        let schemas = read_schemas(id, &mut section);
        let mut cluster = Self {
            schema_options: read_schema_options(&mut section, &schemas),
            schemas,
            primary: primary?,
            replicas,
            read_preference: section.choice("readPreference", &READ_PREFERENCES).unwrap_or_default(),
            consistency_level: section.choice("consistencyLevel", &CONSISTENCY_LEVELS).unwrap_or_default(),
            balancing: Balancing::default(),
            health_threshold: super::load_balancing::HEALTH_THRESHOLD,
            pool: section.section("connectionPool").map(PoolConfig::read).unwrap_or_default(),
            sharding,
            priority: section.integer("priority").unwrap_or(1),
        };
        if let Some(sharding) = cluster.sharding.as_ref().filter(|sharding| sharding.member.is_none()) {
            let count = sharding.count();
            let field = format!("{id}.sharding.{}", count.field);
            if sharding.shards.is_empty() {
                // pg-multiverse takes such a configuration for one without shards; connecting refuses it.
                if let Err(problem) = count.own_shards(cluster.replicas.len()) {
                    section.report().warning(format!("{field}: {problem}"));
                }
            } else if let Some(problem) = count.problem(sharding.shards.len()) {
                section.report().error(field, problem);
            }
        }
        if let Some(balancing) = section.section("loadBalancing") {
            LoadBalancing::read(id, balancing, &cluster, have_weights(json)).apply(&mut cluster);
        }
        section.warn_of_unknown();
        Some(cluster)
    }
}

/// Whether a server of the cluster says its weight itself.
fn have_weights(cluster: &Json) -> bool {
    let replicas = cluster.get("replicas").and_then(Json::as_array);
    replicas.into_iter().flatten().chain(cluster.get("primary")).any(|server| server.get("weight").is_some())
}

fn refuse_own_servers(section: &mut Section<'_, '_>) {
    for field in ["primary", "replicas"] {
        if section.value(field).is_some() {
            section.error(field, "must be left out where sharding.shards names the servers");
        }
    }
}

fn read_primary(section: &mut Section<'_, '_>) -> Option<ServerConfig> {
    if section.value("primary").is_none() {
        let field = format!("{}.primary", section.path());
        section.report().error(field, "No primary connection configured: give the server that takes writes");
        return None;
    }
    section.section("primary").map(ServerConfig::read)
}

fn read_replicas(section: &mut Section<'_, '_>) -> Vec<ServerConfig> {
    let path = format!("{}.replicas", section.path());
    match section.value("replicas") {
        Some(Json::Array(replicas)) => replicas
            .iter()
            .enumerate()
            .filter_map(|(position, json)| {
                Section::open(format!("{path}[{position}]"), json, section.report()).map(ServerConfig::read)
            })
            .collect(),
        Some(_) => {
            section.error("replicas", "must be a list of servers");
            Vec::new()
        }
        None => {
            let warning =
                format!("Cluster {}: No replicas configured - no read scaling available", section.path());
            section.report().warning(warning);
            Vec::new()
        }
    }
}

fn read_schemas(id: &str, section: &mut Section<'_, '_>) -> Vec<String> {
    let is_given = section.value("schemas").is_some();
    let schemas = section.texts("schemas").unwrap_or_default();
    if !is_given {
        section.report().warning(format!("Cluster {id}: No schemas configured"));
    } else if schemas.is_empty() {
        section.report().warning(format!("Cluster {id}: Empty schemas array"));
    }
    schemas
}

/// `schemaOptions: {schema: {…}}`; what the cluster itself says holds for all of its schemas.
fn read_schema_options(section: &mut Section<'_, '_>, schemas: &[String]) -> HashMap<String, SchemaOptions> {
    let common = SchemaOptions {
        cache_strategy: section.choice("cacheStrategy", &CACHE_STRATEGIES).unwrap_or_default(),
        shard_key: section.text("shardKey"),
        ..SchemaOptions::default()
    };
    let mut options: HashMap<_, _> = schemas.iter().map(|schema| (schema.clone(), common.clone())).collect();
    let Some(mut given) = section.section("schemaOptions") else { return options };
    let path = given.path().to_owned();
    for (schema, json) in given.entries() {
        if let Some(section) = Section::open(format!("{path}.{schema}"), json, given.report()) {
            options.insert(schema.clone(), SchemaOptions::read(section, common.clone()));
        }
    }
    options
}

impl SchemaOptions {
    /// Reads the options of `registerSchema(schema, clusterId, options)`.
    ///
    /// # Errors
    /// The report, when an option is malformed.
    pub fn from_json(schema: &str, json: &Json) -> Result<Self, Report> {
        let mut report = Report::default();
        let options = Section::open(schema.to_owned(), json, &mut report)
            .map(|section| Self::read(section, Self::default()))
            .unwrap_or_default();
        if report.is_valid() { Ok(options) } else { Err(report) }
    }

    fn read(mut section: Section<'_, '_>, common: Self) -> Self {
        // The original passes the cluster's id and a free `options` along.
        section.text("clusterId");
        section.value("options");
        let options = Self {
            cache_strategy: section
                .choice("cacheStrategy", &CACHE_STRATEGIES)
                .unwrap_or(common.cache_strategy),
            priority: section.integer("priority"),
            shard_key: section.text("shardKey").or(common.shard_key),
            read_preference: section.choice("readPreference", &READ_PREFERENCES),
            consistency_level: section.choice("consistencyLevel", &CONSISTENCY_LEVELS),
        };
        section.warn_of_unknown();
        options
    }
}
