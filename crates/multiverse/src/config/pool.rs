//! How many connections each server gets and how long things may take.

use std::time::Duration;

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
