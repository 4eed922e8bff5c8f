//! Which clusters a schema lives on, and what was said of it when it was registered.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{ClusterConfig, Clusters, ConsistencyLevel, ReadPreference};
use crate::route::decision::ClusterIndex;

/// Whether reads of a schema are cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheStrategy {
    /// All reads that may be, unless the call says no.
    Aggressive,
    /// Reads whose call asks for it.
    #[default]
    Conservative,
    /// None.
    None,
}

impl CacheStrategy {
    /// Whether a read is to be cached, given what its call says.
    #[must_use]
    pub fn caches(self, asked: Option<bool>) -> bool {
        match self {
            Self::Aggressive => asked != Some(false),
            Self::Conservative => asked == Some(true),
            Self::None => false,
        }
    }
}

/// What is said of a schema when it is registered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SchemaOptions {
    /// Whether its reads are cached.
    pub cache_strategy: CacheStrategy,
    /// Of several clusters that have the schema, the one with the highest number is used; the cluster's own priority
    /// when not given.
    pub priority: Option<i32>,
    /// The column by which its rows are spread over shards.
    pub shard_key: Option<String>,
    /// Which servers may answer reads, in place of the cluster's setting.
    pub read_preference: Option<ReadPreference>,
    /// How fresh reads must be, in place of the cluster's setting.
    pub consistency_level: Option<ConsistencyLevel>,
}

/// A schema on one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaHome {
    /// The cluster.
    pub cluster: ClusterIndex,
    /// What was said of the schema there.
    pub options: SchemaOptions,
    priority: i32,
}

/// All schemas with their homes, the preferred one first.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    homes: HashMap<Arc<str>, Vec<SchemaHome>>,
    caches_unasked: bool,
}

impl Schemas {
    pub(super) fn of(clusters: &Clusters) -> Self {
        let mut schemas = Self::default();
        for (index, cluster) in clusters.values().enumerate() {
            for schema in &cluster.schemas {
                let options = cluster.schema_options.get(schema).cloned().unwrap_or_default();
                schemas.add(schema, ClusterIndex(index), cluster, options);
            }
        }
        schemas
    }

    /// Adds a home; the same cluster's former one is replaced. Of equal priorities the one added first comes first, so
    /// that the order of the configuration decides.
    pub(super) fn add(
        &mut self,
        schema: &str,
        cluster: ClusterIndex,
        config: &ClusterConfig,
        options: SchemaOptions,
    ) {
        self.caches_unasked |= options.cache_strategy == CacheStrategy::Aggressive;
        let priority = options.priority.unwrap_or(config.priority);
        let homes = self.homes.entry(Arc::from(schema)).or_default();
        homes.retain(|home| home.cluster != cluster);
        let place = homes.partition_point(|home| home.priority >= priority);
        homes.insert(place, SchemaHome { cluster, options, priority });
    }

    pub(super) fn caches_unasked(&self) -> bool {
        self.caches_unasked
    }

    pub(super) fn homes(&self, schema: &str) -> Option<&[SchemaHome]> {
        self.homes.get(schema).map(Vec::as_slice)
    }
}
