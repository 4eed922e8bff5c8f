//! The epoch of the cache: what was found in it may be handed out again, without a look at it, until the epoch ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts everything after which a request might find something else in the cache, or not be answered from it: writes,
/// invalidations, changes that a log tells of, other configurations.
#[derive(Debug, Clone, Default)]
pub(crate) struct CacheEpoch(Arc<AtomicU32>);

impl CacheEpoch {
    /// The present one. It begins again after four thousand million, which nothing found outlives.
    pub(crate) fn number(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    /// Ends the present one.
    pub(crate) fn end(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}
