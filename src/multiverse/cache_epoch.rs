//! Hits of the cache that JavaScript answers by itself, from what the engine had a moment ago.

use napi_derive::napi;

use super::NativeMultiverse;

#[napi]
impl NativeMultiverse {
    /// The epoch of the cache. What was found in it holds no longer than its epoch.
    #[napi]
    pub fn cache_epoch(&self) -> u32 {
        self.engine.cache_epoch()
    }

    /// Counts hits on a cluster that JavaScript has answered.
    #[napi]
    pub fn count_cache_hits(&self, cluster: String, hits: u32) {
        self.engine.count_hits(&cluster, hits.into());
    }
}
