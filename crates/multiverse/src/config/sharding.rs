//! How the rows of a cluster are spread over shards, as `sharding` says.

use indexmap::IndexMap;
use serde_json::Value as Json;

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
