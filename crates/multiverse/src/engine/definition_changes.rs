//! How often this process has changed the definitions of clusters, for those who keep what they say.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts the changes that are visible to everybody: those of a transaction once it is committed.
#[derive(Debug, Default)]
pub(crate) struct DefinitionChanges {
    all: AtomicU64,
    by_cluster: Mutex<HashMap<Arc<str>, u64>>,
}

impl DefinitionChanges {
    /// Definitions of a cluster have changed.
    pub(crate) fn note(&self, cluster: &Arc<str>) {
        let mut by_cluster = self.by_cluster.lock().unwrap_or_else(PoisonError::into_inner);
        *by_cluster.entry(Arc::clone(cluster)).or_default() += 1;
        self.all.fetch_add(1, Ordering::Release);
    }

    /// How often those of any cluster have.
    pub(crate) fn of_all(&self) -> u64 {
        self.all.load(Ordering::Acquire)
    }

    /// How often those of these clusters have.
    pub(crate) fn of(&self, clusters: &[Arc<str>]) -> u64 {
        let by_cluster = self.by_cluster.lock().unwrap_or_else(PoisonError::into_inner);
        clusters.iter().filter_map(|cluster| by_cluster.get(cluster)).sum()
    }
}
