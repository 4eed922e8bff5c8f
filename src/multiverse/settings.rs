//! The settings of an engine, as JSON text.

use multiverse::{EngineSettings, Error, ManagerSettings};
use serde_json::Value as Json;

/// Reads settings; what is left out has the default of the core.
///
/// # Errors
/// [`Error::Config`] naming the first setting that is not of its type.
pub(super) fn read_settings(text: &str) -> Result<EngineSettings, Error> {
    let mut json: Json = serde_json::from_str(text).unwrap_or_default();
    let application_name = json.as_object_mut().and_then(|settings| settings.remove("applicationName"));
    let (manager, report) = ManagerSettings::read(&json);
    match report.errors.into_iter().next() {
        Some(error) => Err(error.into()),
        None => Ok(EngineSettings {
            application_name: application_name.and_then(|name| name.as_str().map(str::to_owned)),
            manager,
            ..EngineSettings::default()
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
