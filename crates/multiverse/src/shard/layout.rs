//! Which clusters are shards of which, as the configuration says.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{Clusters, Sharding};
use crate::route::RouteOptions;

/// A cluster whose rows are spread over others, its shards.
#[derive(Debug)]
pub(crate) struct ShardedCluster {
    pub(crate) id: Arc<str>,
    pub(crate) sharding: Sharding,
    /// The clusters by their number as shards.
    pub(crate) shards: Vec<Arc<str>>,
    /// The columns by which the tables of single schemas are spread instead.
    pub(crate) keys: HashMap<String, String>,
    /// Where names without a schema are looked up.
    pub(crate) search_path: Vec<String>,
}

impl ShardedCluster {
    /// The column by which the tables of a schema are spread.
    pub(crate) fn key_of(&self, schema: &str) -> &str {
        self.keys.get(schema).unwrap_or(&self.sharding.key)
    }
}

/// All sharded clusters.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    clusters: Vec<Arc<ShardedCluster>>,
    by_schema: HashMap<String, usize>,
    /// The cluster of statements that name none.
    usual: Option<usize>,
}

impl Layout {
    pub(crate) fn of(clusters: &Clusters) -> Self {
        let mut layout = Self::default();
        let mut by_id: HashMap<String, usize> = HashMap::new();
        let best = clusters.values().map(|cluster| cluster.priority).max();
        let mut has_usual = false;
        for (id, cluster) in clusters {
            let is_usual = !has_usual && Some(cluster.priority) == best;
            has_usual |= is_usual;
            let Some((sharding, member)) =
                cluster.sharding.as_ref().and_then(|sharding| Some((sharding, sharding.member.as_ref()?)))
            else {
                continue;
            };
            let at = *by_id.entry(member.cluster.clone()).or_insert_with(|| {
                let keys = cluster.schema_options.iter();
                let keys =
                    keys.filter_map(|(schema, options)| Some((schema.clone(), options.shard_key.clone()?)));
                layout.clusters.push(Arc::new(ShardedCluster {
                    id: member.cluster.as_str().into(),
                    sharding: sharding.clone(),
                    shards: Vec::new(),
                    keys: keys.collect(),
                    search_path: match cluster.primary.search_path.as_slice() {
                        [] => vec!["public".to_owned()],
                        path => path.to_vec(),
                    },
                }));
                layout.clusters.len() - 1
            });
            if is_usual {
                layout.usual = Some(at);
            }
            for schema in &cluster.schemas {
                layout.by_schema.entry(schema.clone()).or_insert(at);
            }
            // The expansion of the configuration names them in order.
            if let Some(sharded) = layout.clusters.get_mut(at).and_then(Arc::get_mut) {
                sharded.shards.push(id.as_str().into());
            }
        }
        layout
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.clusters.is_empty()
    }

    /// The sharded cluster to which a route leads; `None` for one that is not sharded, or a single shard.
    pub(crate) fn cluster_of(&self, route: &RouteOptions) -> Option<&Arc<ShardedCluster>> {
        match (&route.cluster_id, &route.schema) {
            (Some(id), _) => self.cluster(id),
            (None, Some(schema)) => self.by_schema.get(&**schema).and_then(|at| self.clusters.get(*at)),
            (None, None) => self.usual.and_then(|at| self.clusters.get(at)),
        }
    }

    pub(crate) fn cluster(&self, id: &str) -> Option<&Arc<ShardedCluster>> {
        self.clusters.iter().find(|cluster| *cluster.id == *id)
    }
}
