//! What an application has written last, so that its reads of consistency `session` see it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::route::{ReplayPosition, RouteOptions};

/// The last writes by cluster. Positions are only known of writes that asked for consistency `session`.
#[derive(Debug, Default)]
pub struct Written(RwLock<HashMap<Arc<str>, ReplayPosition>>);

impl Written {
    /// Notes a write.
    pub fn note(&self, cluster: &Arc<str>, position: ReplayPosition) {
        let mut by_cluster = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let last = by_cluster.entry(Arc::clone(cluster)).or_insert(position);
        *last = (*last).max(position);
    }

    /// The last write on a cluster.
    #[must_use]
    pub fn on(&self, cluster: &str) -> Option<ReplayPosition> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(cluster).copied()
    }

    /// What must be visible to a statement on this route. Where the route does not name its cluster, it is the furthest of
    /// all positions: at worst, a primary is asked where a replica would have done.
    #[must_use]
    pub fn visible_to(&self, route: &RouteOptions) -> Option<ReplayPosition> {
        match &route.cluster_id {
            Some(cluster) => self.on(cluster),
            None => self.0.read().unwrap_or_else(PoisonError::into_inner).values().max().copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_furthest_write_of_the_cluster_counts() {
        let written = Written::default();
        let at = |lsn| ReplayPosition { timeline: 1, lsn };
        let route = |cluster: Option<&str>| RouteOptions {
            cluster_id: cluster.map(Arc::from),
            ..RouteOptions::default()
        };
        assert_eq!(written.visible_to(&route(None)), None);
        for (cluster, lsn) in [("us", 5), ("us", 3), ("eu", 9)] {
            written.note(&Arc::from(cluster), at(lsn));
        }
        assert_eq!(written.visible_to(&route(Some("us"))), Some(at(5)));
        assert_eq!(written.visible_to(&route(Some("asia"))), None);
        assert_eq!(written.visible_to(&route(None)), Some(at(9)));
    }
}
