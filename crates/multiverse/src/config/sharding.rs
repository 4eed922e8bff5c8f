//! How the rows of a cluster are spread over shards, as `sharding` says.

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::section::{Section, whole};

/// `sharding: {strategy, key, …}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sharding {
    /// The column that says where a row lives.
    pub key: String,
    /// How its value leads to a shard.
    pub strategy: ShardingStrategy,
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
        let shards = read_directory(&mut section);
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
                needed("directory", "directory", shards.is_some());
                ShardingStrategy::Directory { shards: shards? }
            }
        };
        section.warn_of_unknown();
        Some(Self { key, strategy })
    }
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
