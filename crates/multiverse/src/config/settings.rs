//! The settings of an instance that concern all of its clusters.

use std::time::Duration;

use serde_json::Value as Json;

use super::report::Report;
use super::section::Section;

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

impl ManagerSettings {
    /// Reads the settings; what is wrong is noted in the report, and replaced by the default.
    #[must_use]
    pub fn read(json: &Json) -> (Self, Report) {
        let mut report = Report::default();
        let settings = Section::open("cluster".to_owned(), json, &mut report).map(Self::read_section);
        (settings.unwrap_or_default(), report)
    }

    fn read_section(mut section: Section<'_, '_>) -> Self {
        let default = Self::default();
        let number = |section: &mut Section<'_, '_>, key, least, default| {
            let read = section.count(key, least, &format!("must be a whole number from {least}"));
            read.map_or(default, |count| u32::try_from(count).unwrap_or(u32::MAX))
        };
        let settings = Self {
            health_check_interval: section
                .duration("healthCheckInterval")
                .unwrap_or(default.health_check_interval),
            retry_attempts: number(&mut section, "retryAttempts", 0, default.retry_attempts),
            retry_delay: section
                .count("retryDelay", 0, "must be a number of milliseconds")
                .map_or(default.retry_delay, Duration::from_millis),
            max_failures_before_mark_down: number(
                &mut section,
                "maxFailuresBeforeMarkDown",
                1,
                default.max_failures_before_mark_down,
            ),
            recovery_check_interval: section
                .duration("recoveryCheckInterval")
                .unwrap_or(default.recovery_check_interval),
        };
        section.warn_of_unknown();
        settings
    }
}
