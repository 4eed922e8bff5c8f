//! The settings of an engine, as JSON text.

use std::time::Duration;

use multiverse::{ConfigError, EngineSettings, Error, ManagerSettings};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SettingsText {
    application_name: Option<String>,
    health_check_interval: Option<u64>,
    retry_attempts: Option<u32>,
    retry_delay: Option<u64>,
    max_failures_before_mark_down: Option<u32>,
    recovery_check_interval: Option<u64>,
}

/// Reads settings; what is left out has the default of the core.
///
/// # Errors
/// [`Error::Config`] if a setting is not of its type.
pub(super) fn read_settings(text: &str) -> Result<EngineSettings, Error> {
    let text: SettingsText = serde_json::from_str(text)
        .map_err(|error| ConfigError { field: "cluster".to_owned(), problem: error.to_string() })?;
    let defaults = ManagerSettings::default();
    let millis = |given: Option<u64>, default| given.map_or(default, Duration::from_millis);
    Ok(EngineSettings {
        application_name: text.application_name,
        manager: ManagerSettings {
            health_check_interval: millis(text.health_check_interval, defaults.health_check_interval),
            retry_attempts: text.retry_attempts.unwrap_or(defaults.retry_attempts),
            retry_delay: millis(text.retry_delay, defaults.retry_delay),
            max_failures_before_mark_down: text
                .max_failures_before_mark_down
                .unwrap_or(defaults.max_failures_before_mark_down),
            recovery_check_interval: millis(text.recovery_check_interval, defaults.recovery_check_interval),
        },
        ..EngineSettings::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_the_default() {
        let settings = read_settings(r#"{"retryDelay":5,"applicationName":"shop"}"#).unwrap();
        assert_eq!(settings.manager.retry_delay, Duration::from_millis(5));
        assert_eq!(settings.manager.retry_attempts, ManagerSettings::default().retry_attempts);
        assert_eq!(settings.application_name.as_deref(), Some("shop"));
        assert!(read_settings(r#"{"retryDelay":"soon"}"#).is_err());
    }
}
