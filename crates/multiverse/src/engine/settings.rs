//! The settings of an engine that are not about one cluster.

use std::time::Duration;

use crate::cache::CacheSettings;
use crate::config::ManagerSettings;

/// How an engine works, whatever its clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSettings {
    /// The name its sessions bear in `pg_stat_activity`.
    pub application_name: Option<String>,
    /// The most requests that stand on one connection at a time, once a pool has grown to its maximum.
    pub pipeline_depth: usize,
    /// Nothing is sent behind a statement that has been running for so long, nor behind or as one that takes so long
    /// on average.
    pub slow_after: Duration,
    /// The most statements that each connection keeps prepared.
    pub prepared_statements: usize,
    /// How long a server may take to end a statement that is cancelled, and to reset a connection, before the
    /// connection is given up.
    pub patience: Duration,
    /// How long a read waits for a catalogue that is about to be read, which says whether it may go to a replica and be cached.
    pub longest_hold: Duration,
    /// How long a server may be out of reach before its connections count as lost, also while they wait for a result.
    pub dead_after: Duration,
    /// What concerns all clusters. The pools use the interval of recovery checks; the rest is for who calls the engine.
    pub manager: ManagerSettings,
    /// The cache of results; `None` for none.
    pub cache: Option<CacheSettings>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            application_name: None,
            pipeline_depth: 8,
            slow_after: Duration::from_millis(5),
            prepared_statements: 256,
            patience: Duration::from_secs(5),
            longest_hold: Duration::from_millis(500),
            dead_after: Duration::from_secs(60),
            manager: ManagerSettings::default(),
            cache: None,
        }
    }
}
