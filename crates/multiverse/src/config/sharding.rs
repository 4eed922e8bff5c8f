//! How the rows of a cluster are spread over shards, as `sharding` says.

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::pool::usize_of;
use super::section::{Section, whole};
use crate::server::ServerConfig;

/// `sharding: {strategy, key, …}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sharding {
    /// The column that says where a row lives.
    pub key: String,
    /// How its value leads to a shard.
    pub strategy: ShardingStrategy,
    /// The primaries of the shards with their replicas, where they are not the cluster's own servers.
    pub shards: Vec<ShardServers>,
    /// Which shard of which cluster this one is, in a configuration that was expanded.
    pub member: Option<ShardMember>,
}

/// The servers of a shard.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardServers {
    /// The server that takes its writes.
    pub primary: ServerConfig,
    /// Servers that follow it.
    pub replicas: Vec<ServerConfig>,
}

/// A cluster's place among the shards of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardMember {
    /// The id of the cluster that is spread over shards.
    pub cluster: String,
    /// The number of the shard, from 0.
    pub number: u32,
}

/// How the value of a shard key leads to a shard.
#[derive(Debug, Clone, PartialEq)]
pub enum ShardingStrategy {
    /// By its hash, modulo the number of partitions.
    Hash {
        /// The number of partitions.
        partitions: u32,
    },
    /// By the range it lies in; the position of the range is the shard.
    Range {
        /// The ranges, each from its `min` up to but without its `max`.
        ranges: Vec<ShardRange>,
    },
    /// By a list of values, each with its shard.
    Directory {
        /// Shard by value.
        shards: IndexMap<String, u32>,
    },
}

/// A range of shard key values: two numbers or two strings.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardRange {
    /// The first value in it.
    pub min: Json,
    /// The first value past it.
    pub max: Json,
}

/// The words for strategies.
const STRATEGIES: [(&str, Kind); 3] =
    [("hash", Kind::Hash), ("range", Kind::Range), ("directory", Kind::Directory)];

#[derive(Clone, Copy)]
enum Kind {
    Hash,
    Range,
    Directory,
}

impl Sharding {
    /// Reads the field `sharding`; `None` when it is switched off or malformed, which is then noted.
    pub(super) fn read(mut section: Section<'_, '_>) -> Option<Self> {
        if section.flag("enabled") == Some(false) {
            return None;
        }
        if section.value("strategy").is_none() {
            section.error("strategy", "is required: hash, range or directory");
        }
        let kind = section.choice("strategy", &STRATEGIES);
        let key = section.required_text("key", "the column that says where a row lives");
        // All of them are read, so that none is taken for unknown.
        let partitions = section.count("partitions", 1, "must be a positive number");
        let ranges = read_ranges(&mut section);
        let directory = read_directory(&mut section);
        let shards = read_shards(&mut section);
        let member = section.section("member").map(ShardMember::read);
        let mut needed = |field: &str, strategy: &str, is_given: bool| {
            if !is_given && section.value_is_missing(field) {
                section.error(field, &format!("is required for {strategy} strategy"));
            }
        };
        let strategy = match kind? {
            Kind::Hash => {
                needed("partitions", "hash", partitions.is_some());
                ShardingStrategy::Hash { partitions: u32::try_from(partitions?).unwrap_or(u32::MAX) }
            }
            Kind::Range => {
                needed("ranges", "range", ranges.is_some());
                ShardingStrategy::Range { ranges: ranges? }
            }
            Kind::Directory => {
                needed("directory", "directory", directory.is_some());
                ShardingStrategy::Directory { shards: directory? }
            }
        };
        section.warn_of_unknown();
        Some(Self { key, strategy, shards, member })
    }

    /// What is wrong with the number of shards, where that is so many; as field and problem.
    pub(super) fn count_problem(&self, servers: usize) -> Option<(&'static str, String)> {
        let (field, wanted) = match &self.strategy {
            ShardingStrategy::Hash { partitions } => ("partitions", usize_of((*partitions).into())),
            ShardingStrategy::Range { ranges } => ("ranges", ranges.len()),
            ShardingStrategy::Directory { shards } => {
                let highest = shards.values().copied().max().unwrap_or(0);
                let fits = usize_of(highest.into()) < servers;
                ("directory", if fits { servers } else { usize_of(highest.into()) + 1 })
            }
        };
        let problem = format!(
            "must fit the shards: it has {wanted}, and there are {servers} (the primary is shard 0 and each replica one \
             more, unless sharding.shards names a primary for each)"
        );
        (wanted != servers).then_some((field, problem))
    }
}

impl ShardMember {
    fn read(mut section: Section<'_, '_>) -> Self {
        let cluster = section.required_text("cluster", "the cluster that is spread over shards");
        let number = section.count("number", 0, "must be a number from 0").unwrap_or(0);
        Self { cluster, number: u32::try_from(number).unwrap_or(u32::MAX) }
    }
}

fn read_shards(section: &mut Section<'_, '_>) -> Vec<ShardServers> {
    let path = format!("{}.shards", section.path());
    let items = match section.value("shards") {
        None => return Vec::new(),
        Some(Json::Array(items)) if !items.is_empty() => items,
        Some(_) => {
            section.error("shards", "must be a list of {primary, replicas}");
            return Vec::new();
        }
    };
    let mut shards = Vec::new();
    for (number, json) in items.iter().enumerate() {
        let path = format!("{path}[{number}]");
        let Some(mut shard) = Section::open(path.clone(), json, section.report()) else { continue };
        let Some(primary) = shard.section("primary") else {
            if shard.value("primary").is_none() {
                shard.error("primary", "is required: the server that takes the shard's writes");
            }
            continue;
        };
        let primary = ServerConfig::read(primary);
        let mut replicas = Vec::new();
        match shard.value("replicas") {
            None => {}
            Some(Json::Array(list)) => {
                for (position, json) in list.iter().enumerate() {
                    let path = format!("{path}.replicas[{position}]");
                    replicas.extend(Section::open(path, json, shard.report()).map(ServerConfig::read));
                }
            }
            Some(_) => shard.error("replicas", "must be a list of servers"),
        }
        shard.warn_of_unknown();
        shards.push(ShardServers { primary, replicas });
    }
    shards
}

/// The configuration in which every cluster that is spread over shards is replaced by its shards: clusters of their own,
/// called `<cluster>/<number>`. What is malformed stays as it is.
#[must_use]
pub fn expand_shards(json: &Json) -> Json {
    let Some(clusters) = super::unwrapped(json).as_object() else { return json.clone() };
    let mut expanded = serde_json::Map::new();
    for (id, cluster) in clusters {
        match shards_of(id, cluster) {
            Some(shards) => expanded.extend(shards),
            None => drop(expanded.insert(id.clone(), cluster.clone())),
        }
    }
    Json::Object(expanded)
}

fn shards_of(id: &str, cluster: &Json) -> Option<Vec<(String, Json)>> {
    let sharding = cluster.get("sharding")?.as_object()?;
    if sharding.get("enabled") == Some(&Json::Bool(false)) || sharding.contains_key("member") {
        return None;
    }
    let servers: Vec<(Json, Json)> = match sharding.get("shards").and_then(Json::as_array) {
        Some(shards) => shards
            .iter()
            .map(|shard| {
                Some((
                    shard.get("primary")?.clone(),
                    shard.get("replicas").cloned().unwrap_or(Json::Array(Vec::new())),
                ))
            })
            .collect::<Option<_>>()?,
        None => {
            let replicas = cluster.get("replicas").and_then(Json::as_array);
            let servers = cluster.get("primary").into_iter().chain(replicas.into_iter().flatten());
            servers.map(|server| (server.clone(), Json::Array(Vec::new()))).collect()
        }
    };
    let shard = |(number, (primary, replicas)): (usize, (Json, Json))| {
        let mut shard = cluster.as_object()?.clone();
        shard.insert("primary".to_owned(), primary);
        shard.insert("replicas".to_owned(), replicas);
        let mut sharding = sharding.clone();
        sharding.shift_remove("shards");
        sharding.insert("member".to_owned(), serde_json::json!({"cluster": id, "number": number}));
        shard.insert("sharding".to_owned(), Json::Object(sharding));
        Some((format!("{id}/{number}"), Json::Object(shard)))
    };
    servers.into_iter().enumerate().map(shard).collect()
}

fn read_ranges(section: &mut Section<'_, '_>) -> Option<Vec<ShardRange>> {
    let Json::Array(items) = section.value("ranges")? else {
        section.error("ranges", "must be a list of {min, max}");
        return None;
    };
    let ranges: Option<Vec<ShardRange>> = items.iter().map(read_range).collect();
    let Some(ranges) = ranges.filter(|ranges| !ranges.is_empty()) else {
        section.error(
            "ranges",
            "must be a list of {min, max}, each two numbers or two strings with min below max",
        );
        return None;
    };
    for (position, range) in ranges.iter().enumerate() {
        if ranges.iter().take(position).any(|earlier| overlap(earlier, range)) {
            section.error("ranges", &format!("must not overlap, as that of position {position} does"));
            return None;
        }
    }
    Some(ranges)
}

fn read_range(json: &Json) -> Option<ShardRange> {
    let range = ShardRange { min: json.get("min")?.clone(), max: json.get("max")?.clone() };
    is_below(&range.min, &range.max).filter(|below| *below).map(|_| range)
}

fn overlap(one: &ShardRange, other: &ShardRange) -> bool {
    is_below(&one.min, &other.max) != Some(false) && is_below(&other.min, &one.max) != Some(false)
}

/// Whether one value is below another; `None` when they are not of one kind.
fn is_below(one: &Json, other: &Json) -> Option<bool> {
    match (one, other) {
        (Json::String(one), Json::String(other)) => Some(one < other),
        (Json::Number(one), Json::Number(other)) => Some(one.as_f64()? < other.as_f64()?),
        _ => None,
    }
}

fn read_directory(section: &mut Section<'_, '_>) -> Option<IndexMap<String, u32>> {
    let shards = section.value("directory")?.as_object().and_then(|entries| {
        let shard = |json: &Json| whole(json).and_then(|shard| u32::try_from(shard).ok());
        entries.iter().map(|(value, json)| Some((value.clone(), shard(json)?))).collect()
    });
    if shards.is_none() {
        section.error("directory", "must be an object of whole numbers, the shard of each value");
    }
    shards
}
