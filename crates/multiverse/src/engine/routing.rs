//! Where requests run: the router, and the live figures it stands on.

use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use super::core::{Cluster, Core};
use crate::balance::LiveServers;
use crate::pool::Pool;
use crate::route::{
    ClusterIndex, Decision, Operation, ReplayPosition, RouteError, RouteOptions, ServerIndex,
};

/// What is known of the servers at this moment.
pub(crate) struct Live<'a> {
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
        self.pool(cluster, server).is_some_and(|pool| pool.is_up)
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
        let Self { routing, clusters, pools, .. } = self;
        routing.decide(sql, route, &Live { clusters, pools })
    }

    /// Where a pinned connection is taken from: a session may write unless its caller says otherwise.
    pub(crate) fn decide_session(&mut self, route: &RouteOptions) -> Result<Decision, RouteError> {
        let sql: Arc<str> = match route.operation {
            Some(Operation::Read) => "SELECT 1".into(),
            _ => "BEGIN".into(),
        };
        self.decide(&sql, route)
    }
}
