//! The settings of an engine, as JSON text.

use multiverse::{CacheSettings, EngineSettings, Error, ManagerSettings};
use serde_json::Value as Json;

/// Reads settings; what is left out has the default of the core.
///
/// # Errors
/// [`Error::Config`] naming the first setting that is not of its type.
pub(super) fn read_settings(text: &str) -> Result<EngineSettings, Error> {
    let mut json: Json = serde_json::from_str(text).unwrap_or_default();
    let cache = json.as_object_mut().and_then(|settings| settings.remove("cache"));
    let cache = cache.filter(|cache| !cache.is_null()).map(|cache| CacheSettings::read(&cache));
    let application_name = json.as_object_mut().and_then(|settings| settings.remove("applicationName"));
    let (manager, report) = ManagerSettings::read(&json);
    let (cache, cache_report) = cache.unzip();
    let cache_errors = cache_report.map(|report| report.errors).unwrap_or_default();
    match report.errors.into_iter().chain(cache_errors).next() {
        Some(error) => Err(error.into()),
        None => Ok(EngineSettings {
            application_name: application_name.and_then(|name| name.as_str().map(str::to_owned)),
            manager,
            cache,
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
        assert_eq!(settings.cache, None);
        let cached = read_settings(r#"{"cache":{"maxSize":7}}"#).unwrap();
        assert_eq!(cached.cache.map(|cache| cache.max_entries), Some(7));
        assert!(read_settings(r#"{"cache":{"strategy":"mru"}}"#).is_err());
    }
}
