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

    /// How many shards there are to be.
    pub(super) fn count(&self) -> ShardCount {
        match &self.strategy {
            ShardingStrategy::Hash { partitions } => {
                ShardCount { field: "partitions", least: usize_of((*partitions).into()), is_exact: true }
            }
            ShardingStrategy::Range { ranges } => {
                ShardCount { field: "ranges", least: ranges.len(), is_exact: true }
            }
            ShardingStrategy::Directory { shards } => {
                let highest = shards.values().copied().max().unwrap_or(0);
                ShardCount { field: "directory", least: usize_of(highest.into()) + 1, is_exact: false }
            }
        }
    }
}

/// How many shards a strategy asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShardCount {
    /// The setting that says it.
    pub(super) field: &'static str,
    least: usize,
    is_exact: bool,
}

/// The servers of a cluster that are its shards, where `shards` names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnShards {
    /// None: one part is the whole.
    None,
    /// The replicas, each a shard, as in the README of pg-multiverse.
    Replicas,
    /// The primary, which is shard 0, and the replicas.
    All,
}

impl ShardCount {
    /// What is wrong with so many shards.
    pub(super) fn problem(self, shards: usize) -> Option<String> {
        let problem = format!("must fit the shards: it has {}, and there are {shards}", self.least);
        (!self.fits(shards)).then_some(problem)
    }

    /// Which servers of a cluster with so many replicas are meant.
    ///
    /// # Errors
    /// With what is wrong where that cannot be told.
    pub(super) fn own_shards(self, replicas: usize) -> Result<OwnShards, String> {
        if self.is_exact && self.least == 1 {
            return Ok(OwnShards::None);
        }
        if self.fits(replicas) {
            return Ok(OwnShards::Replicas);
        }
        if self.fits(replicas + 1) {
            return Ok(OwnShards::All);
        }
        Err(format!(
            "must fit the replicas, which are the shards: it has {}, and there are {replicas}; or name the servers by \
             sharding.shards: [{{primary, replicas}}]",
            self.least
        ))
    }

    fn fits(self, shards: usize) -> bool {
        if self.is_exact { shards == self.least } else { shards >= self.least }
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
