//! Where requests run: the router, and the live figures it stands on.

use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use super::core::{Cluster, Core};
use crate::balance::LiveServers;
use crate::error::Error;
use crate::pool::Pool;
use crate::route::{
    ClusterIndex, Decision, ReplayPosition, RouteError, RouteOptions, SchemaOptions, ServerIndex,
};

/// A schema that the application has registered, which outlives a change of the configuration.
pub(crate) struct RegisteredSchema {
    pub(crate) schema: String,
    pub(crate) cluster: String,
    pub(crate) options: SchemaOptions,
}

/// What is known of the servers at this moment.
struct Live<'a> {
    clusters: &'a [Cluster],
    pools: &'a Slab<Pool>,
}

impl Live<'_> {
    fn pool(&self, cluster: ClusterIndex, server: ServerIndex) -> Option<&Pool> {
        self.pools.get(*self.clusters.get(cluster.0)?.pools.get(server.0)?)
    }
}

impl LiveServers for Live<'_> {
    fn primary(&self, cluster: ClusterIndex) -> ServerIndex {
        ServerIndex(self.clusters.get(cluster.0).map_or(0, |cluster| cluster.primary))
    }

    fn is_up(&self, cluster: ClusterIndex, server: ServerIndex) -> bool {
        self.pool(cluster, server).is_some_and(Pool::is_of_use)
    }

    fn in_use(&self, cluster: ClusterIndex, server: ServerIndex) -> usize {
        self.pool(cluster, server).map_or(0, |pool| pool.running + pool.waiting)
    }

    fn response_time(&self, cluster: ClusterIndex, server: ServerIndex) -> Option<Duration> {
        self.pool(cluster, server)?.response_time.get().map(Duration::from_secs_f64)
    }

    fn error_rate(&self, cluster: ClusterIndex, server: ServerIndex) -> f64 {
        self.pool(cluster, server).and_then(|pool| pool.error_rate.get()).unwrap_or(0.0)
    }

    fn replayed(&self, cluster: ClusterIndex, server: ServerIndex) -> Option<ReplayPosition> {
        self.pool(cluster, server)?.replayed
    }
}

impl Core {
    pub(super) fn decide(&mut self, sql: &Arc<str>, route: &RouteOptions) -> Result<Decision, RouteError> {
        let Self { router, clusters, pools, .. } = self;
        let decision = router.route(sql, route, &Live { clusters, pools })?;
        // A text that reads, but perhaps calls what writes: the catalogue may not be known yet.
        if !decision.reads && decision.verdict.is_read() {
            self.catalogues.is_wanted = true;
        }
        Ok(decision)
    }

    /// Where a pinned connection is taken from.
    pub(crate) fn decide_session(
        &mut self,
        route: &RouteOptions,
    ) -> Result<(ClusterIndex, ServerIndex), RouteError> {
        let Self { router, clusters, pools, .. } = self;
        router.route_session(route, &Live { clusters, pools })
    }

    pub(super) fn register_schema(&mut self, registered: RegisteredSchema) -> Result<(), Error> {
        let RegisteredSchema { schema, cluster, options } = &registered;
        self.router.register_schema(schema, cluster, options.clone())?;
        self.registered.push(registered);
        Ok(())
    }

    /// Registers anew what the application has registered, after the router was made anew. Clusters that have gone took
    /// their schemas with them.
    pub(super) fn register_again(&mut self) {
        let Self { registered, router, .. } = self;
        registered.retain(|registered| {
            let RegisteredSchema { schema, cluster, options } = registered;
            router.register_schema(schema, cluster, options.clone()).is_ok()
        });
    }
}
