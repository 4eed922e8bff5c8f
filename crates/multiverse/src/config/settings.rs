//! The settings of an instance that concern all of its clusters.

use std::time::Duration;

/// `new PgMultiverse({cluster: {…}})`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagerSettings {
    /// Time between health checks, 30 s when not given.
    pub health_check_interval: Duration,
    /// How often what is safe to repeat is tried again, 3 when not given.
    pub retry_attempts: u32,
    /// The wait before it is tried again, 1 s when not given.
    pub retry_delay: Duration,
    /// Failed checks in a row after which a cluster counts as down, 3 when not given.
    pub max_failures_before_mark_down: u32,
    /// Time between checks of a cluster that is down, 60 s when not given.
    pub recovery_check_interval: Duration,
}

impl Default for ManagerSettings {
    fn default() -> Self {
        Self {
            health_check_interval: Duration::from_secs(30),
            retry_attempts: 3,
            retry_delay: Duration::from_secs(1),
            max_failures_before_mark_down: 3,
            recovery_check_interval: Duration::from_secs(60),
        }
    }
}
