//! What a call says about where it runs, as JSON text.

use multiverse::route::{Operation, RouteOptions};
use multiverse::{ConsistencyLevel, ReadPreference};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RouteText {
    cluster_id: Option<String>,
    schema: Option<String>,
    operation: Option<OperationText>,
    read_preference: Option<ReadPreferenceText>,
    consistency_level: Option<ConsistencyLevelText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum OperationText {
    Read,
    Write,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ReadPreferenceText {
    Replica,
    Primary,
    Any,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ConsistencyLevelText {
    Eventual,
    Session,
    Strong,
}

/// Reads a route.
///
/// # Errors
/// What is wrong, as text.
pub(super) fn read_route(text: &str) -> Result<RouteOptions, String> {
    let route: RouteText = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(RouteOptions {
        cluster_id: route.cluster_id.map(Into::into),
        schema: route.schema.map(Into::into),
        operation: route.operation.map(|operation| match operation {
            OperationText::Read => Operation::Read,
            OperationText::Write => Operation::Write,
        }),
        read_preference: route.read_preference.map(|preference| match preference {
            ReadPreferenceText::Replica => ReadPreference::Replica,
            ReadPreferenceText::Primary => ReadPreference::Primary,
            ReadPreferenceText::Any => ReadPreference::Any,
        }),
        consistency_level: route.consistency_level.map(|level| match level {
            ConsistencyLevelText::Eventual => ConsistencyLevel::Eventual,
            ConsistencyLevelText::Session => ConsistencyLevel::Session,
            ConsistencyLevelText::Strong => ConsistencyLevel::Strong,
        }),
        ..RouteOptions::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_says_only_what_it_says() {
        let route = read_route(r#"{"clusterId":"us","operation":"write","readPreference":"any"}"#).unwrap();
        assert_eq!(route.cluster_id.as_deref(), Some("us"));
        assert_eq!(route.operation, Some(Operation::Write));
        assert_eq!(route.read_preference, Some(ReadPreference::Any));
        assert_eq!(route.consistency_level, None);
        assert!(read_route(r#"{"operation":"guess"}"#).is_err());
        assert!(read_route(r#"{"cluster":"us"}"#).is_err());
    }
}
