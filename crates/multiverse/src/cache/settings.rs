//! How much is kept, for how long, and what has to go first.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use crate::config::{Report, Section};

/// The publication by which logs are followed, when none is named.
const PUBLICATION: &str = "replicaverse_cache";

/// What goes first when there is no more room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EvictionStrategy {
    /// What was not used for longest.
    #[default]
    Lru,
    /// What was used least often; what was used often long ago loses its merit with each eviction.
    Lfu,
    /// What was kept first.
    Fifo,
}

/// The settings of a cache of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSettings {
    /// The most entries, 1,000 when not given.
    pub max_entries: usize,
    /// The most bytes of all entries together, 64 MiB when not given. No entry takes more than a quarter of it.
    pub max_bytes: usize,
    /// How long an entry is valid when its call does not say, 5 min when not given.
    pub ttl: Duration,
    /// What goes first.
    pub strategy: EvictionStrategy,
    /// Results of more bytes than this are compressed by LZ4; `None` for none.
    pub compress_above: Option<usize>,
    /// For how long after its end an entry is still handed out while it is fetched anew; zero for not at all.
    pub stale_while_revalidate: Duration,
    /// The publication by which the log of each cluster is followed, so that what a commit has touched is dropped; `None`
    /// if entries only end by their time and by hand.
    pub publication: Option<Arc<str>>,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            max_entries: 1_000,
            max_bytes: 64 << 20,
            ttl: Duration::from_secs(300),
            strategy: EvictionStrategy::Lru,
            compress_above: None,
            stale_while_revalidate: Duration::ZERO,
            publication: None,
        }
    }
}

impl CacheSettings {
    /// Reads the settings; what is wrong is noted in the report, and replaced by the default.
    #[must_use]
    pub fn read(json: &Json) -> (Self, Report) {
        let mut report = Report::default();
        let settings = Section::open("cache".to_owned(), json, &mut report).map(Self::read_section);
        (settings.unwrap_or_default(), report)
    }

    fn read_section(mut section: Section<'_, '_>) -> Self {
        use EvictionStrategy::{Fifo, Lfu, Lru};
        let default = Self::default();
        let count = |section: &mut Section<'_, '_>, key, default| {
            let read = section.count(key, 1, "must be a whole number from 1");
            read.map_or(default, |count| usize::try_from(count).unwrap_or(usize::MAX))
        };
        let threshold = section.count("compressionThreshold", 0, "must be a number of bytes");
        let threshold = threshold.map_or(1024, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let follows_log = section.choice("invalidate", &[("ttl", false), ("wal", true)]).unwrap_or(false);
        let publication = section.text("publication");
        let settings = Self {
            max_entries: count(&mut section, "maxSize", default.max_entries),
            max_bytes: count(&mut section, "maxBytes", default.max_bytes),
            ttl: section.duration_or_never("ttl").unwrap_or(default.ttl),
            strategy: section
                .choice("strategy", &[("lru", Lru), ("lfu", Lfu), ("fifo", Fifo)])
                .unwrap_or_default(),
            compress_above: section.flag("enableCompression").unwrap_or(false).then_some(threshold),
            stale_while_revalidate: section
                .count("staleWhileRevalidate", 0, "must be a number of milliseconds")
                .map_or(Duration::ZERO, Duration::from_millis),
            publication: follows_log.then(|| publication.as_deref().unwrap_or(PUBLICATION).into()),
        };
        section.warn_of_unknown();
        settings
    }
}
