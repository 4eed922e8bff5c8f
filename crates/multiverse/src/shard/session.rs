//! Pinned connections: each is to one shard.

use std::sync::Arc;

use super::layout::ShardedCluster;
use super::option_key::shard_of_option;
use super::{Inner, ShardError, Shards, learning, lock};
use crate::engine::SessionReply;
use crate::error::Error;
use crate::route::RouteOptions;

impl Shards {
    /// Pins a connection, as [`crate::Engine::open_session`] does; on a sharded cluster to the shard of the route's key. The
    /// answer is an error where it says none.
    pub fn open_session(&self, mut route: RouteOptions, reply: SessionReply) {
        let inner = Arc::clone(&self.0);
        let Some(cluster) = inner.layout().cluster_of(&route).cloned() else {
            inner.engine.open_session(route, reply);
            return;
        };
        let Some(key) = route.shard_key.clone() else {
            return reply(Err(Error::Shard(ShardError::key_required(
                "a connection to a sharded cluster is to one of its shards: pass shardKey, or name a shard by clusterId \
                 (<cluster>/0, <cluster>/1, …)",
            ))));
        };
        self.0.engine.runtime().spawn(async move {
            let shard = inner.shard_of_key(&cluster, route.schema.as_deref(), &key).await;
            match shard {
                Ok(shard) => {
                    route.cluster_id = cluster.shards.get(shard as usize).cloned();
                    inner.engine.open_session(route, reply);
                }
                Err(error) => reply(Err(error)),
            }
        });
    }
}

impl Inner {
    async fn shard_of_key(
        &self,
        cluster: &ShardedCluster,
        schema: Option<&str>,
        key: &str,
    ) -> Result<u32, Error> {
        let known = lock(&self.known).get(&cluster.id).and_then(|known| known.catalogue().cloned());
        let catalogue = match known {
            Some(catalogue) => catalogue,
            None => learning::read_any(&self.engine, &cluster.shards).await?,
        };
        shard_of_option(cluster, &catalogue, schema, key).map_err(Error::Shard)
    }
}
