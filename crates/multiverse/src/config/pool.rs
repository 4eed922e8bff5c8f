//! How many connections each server gets and how long things may take.

use std::time::Duration;

use super::section::Section;

/// The pool of one server: the cluster's `connectionPool` under what the server says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// Connections kept open when nothing runs, 2 when not given.
    pub min: usize,
    /// The most connections, 20 when not given.
    pub max: usize,
    /// How long a query waits for a connection, 30 s when not given.
    pub acquire_timeout: Duration,
    /// How long opening a connection may take, 10 s when not given.
    pub create_timeout: Duration,
    /// After how long an unused connection above `min` is closed, 5 min when not given.
    pub idle_timeout: Duration,
    /// After how long a connection is replaced, 1 h when not given; `None` never.
    pub max_lifetime: Option<Duration>,
    /// Whether `min` connections are opened at the start, before the first query, as is the default.
    pub warmup: bool,
    /// Whether statements are prepared by name, as is the default; poolers between us and the server may demand otherwise.
    pub prepare: bool,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            min: 2,
            max: 20,
            acquire_timeout: Duration::from_secs(30),
            create_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            max_lifetime: Some(Duration::from_secs(3600)),
            warmup: true,
            prepare: true,
        }
    }
}

impl PoolConfig {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let default = Self::default();
        let size = "must be a positive number";
        let max = section.count("max", 1, size).map(usize_of).unwrap_or(default.max);
        let min = section.count("min", 0, "must be a number from 0").map(usize_of);
        if let Some(min) = min.filter(|min| *min > max) {
            section.error("min", &format!("must not be more than max: {min} > {max}"));
        }
        let lifetime =
            section.count("maxLifetimeMillis", 0, "must be a number of milliseconds, or 0 for no limit");
        let pool = Self {
            min: min.unwrap_or(default.min).min(max),
            max,
            acquire_timeout: section
                .duration_or_never("acquireTimeoutMillis")
                .unwrap_or(default.acquire_timeout),
            create_timeout: section
                .duration_or_never("createTimeoutMillis")
                .unwrap_or(default.create_timeout),
            idle_timeout: section.duration_or_never("idleTimeoutMillis").unwrap_or(default.idle_timeout),
            max_lifetime: match lifetime {
                Some(0) => None,
                Some(millis) => Some(Duration::from_millis(millis)),
                None => default.max_lifetime,
            },
            warmup: section.flag("warmupConnections").unwrap_or(default.warmup),
            prepare: section.flag("prepare").unwrap_or(default.prepare),
        };
        section.warn_of_unknown();
        pool
    }
}

/// A number of connections; more than fits is more than any server has.
pub(crate) fn usize_of(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
