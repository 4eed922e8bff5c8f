//! What a call says about where it runs, as JSON text.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use multiverse::route::{Operation, RouteOptions};
use multiverse::{CacheOptions, ConsistencyLevel, ReadPreference, SessionId};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RouteText {
    cluster_id: Option<String>,
    schema: Option<String>,
    operation: Option<OperationText>,
    read_preference: Option<ReadPreferenceText>,
    consistency_level: Option<ConsistencyLevelText>,
    shard_key: Option<String>,
    branches: Option<HashMap<String, u32>>,
    cache: Option<CacheText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CacheText {
    wanted: Option<bool>,
    /// Milliseconds.
    ttl: Option<u64>,
    key: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    told: bool,
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

/// What a call says, besides its statement and parameters.
#[derive(Debug, Clone, Default)]
pub(super) struct CallOptions {
    pub(super) route: RouteOptions,
    pub(super) cache: Option<Arc<CacheOptions>>,
}

/// Reads what a call says.
///
/// # Errors
/// What is wrong, as text.
pub(super) fn read_call(text: &str) -> Result<CallOptions, String> {
    let mut route: RouteText = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let cache = route.cache.take().map(|cache| Arc::new(cache_options(cache)));
    Ok(CallOptions { route: route_options(route), cache })
}

/// Reads a route.
///
/// # Errors
/// What is wrong, as text.
pub(super) fn read_route(text: &str) -> Result<RouteOptions, String> {
    read_call(text).map(|call| call.route)
}

fn cache_options(cache: CacheText) -> CacheOptions {
    CacheOptions {
        wanted: cache.wanted,
        ttl: cache.ttl.map(Duration::from_millis),
        key: cache.key.map(Into::into),
        tags: cache.tags.into_iter().map(Into::into).collect(),
        told: cache.told,
    }
}

fn route_options(route: RouteText) -> RouteOptions {
    RouteOptions {
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
        shard_key: route.shard_key.map(Into::into),
        branches: route.branches.map(|branches| {
            branches.into_iter().map(|(id, session)| (id.into(), SessionId(session.into()))).collect()
        }),
        ..RouteOptions::default()
    }
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
        assert!(read_call("{}").unwrap().cache.is_none());
        let call = read_call(r#"{"cache":{"wanted":true,"ttl":5,"tags":["a"]}}"#).unwrap();
        let cache = call.cache.unwrap();
        assert_eq!(
            (cache.wanted, cache.ttl, cache.told),
            (Some(true), Some(Duration::from_millis(5)), false)
        );
        assert_eq!(&*cache.tags, [Arc::from("a")]);
    }
}
