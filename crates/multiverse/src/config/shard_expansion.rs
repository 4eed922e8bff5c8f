//! The configuration with the shards of a cluster in its place: clusters of their own.

use serde_json::{Map, Value as Json, json};

use super::report::{ConfigError, Report};
use super::section::Section;
use super::sharding::{OwnShards, Sharding};

/// The configuration in which every cluster that is spread over shards is replaced by its shards: clusters of their own,
/// called `<cluster>/<number>`. What is malformed stays as it is.
///
/// # Errors
/// It cannot be told which servers are the shards of a cluster.
pub fn expand_shards(json: &Json) -> Result<Json, ConfigError> {
    let Some(clusters) = super::unwrapped(json).as_object() else { return Ok(json.clone()) };
    let mut expanded = Map::new();
    for (id, cluster) in clusters {
        match shards_of(id, cluster)? {
            Some(shards) => expanded.extend(shards),
            None => drop(expanded.insert(id.clone(), cluster.clone())),
        }
    }
    Ok(Json::Object(expanded))
}

fn shards_of(id: &str, cluster: &Json) -> Result<Option<Vec<(String, Json)>>, ConfigError> {
    let Some(fields) = cluster.get("sharding").and_then(Json::as_object) else { return Ok(None) };
    let path = format!("{id}.sharding");
    let mut report = Report::default();
    let section = Section::open(path.clone(), &cluster["sharding"], &mut report);
    let Some(sharding) = section.and_then(Sharding::read) else { return Ok(None) };
    if sharding.member.is_some() {
        return Ok(None);
    }
    let servers = match fields.get("shards").and_then(Json::as_array) {
        Some(shards) => shards.iter().map(named_shard).collect(),
        None => {
            let replicas: Vec<&Json> =
                cluster.get("replicas").and_then(Json::as_array).into_iter().flatten().collect();
            let count = sharding.count();
            let own = count.own_shards(replicas.len());
            let primary = match own
                .map_err(|problem| ConfigError { field: format!("{path}.{}", count.field), problem })?
            {
                OwnShards::None => return Ok(None),
                OwnShards::Replicas => None,
                OwnShards::All => cluster.get("primary"),
            };
            primary.into_iter().chain(replicas).map(|server| Some((server.clone(), json!([])))).collect()
        }
    };
    // A shard without a primary is told by whoever reads the configuration.
    let servers: Option<Vec<(Json, Json)>> = servers;
    Ok(servers.and_then(|servers| {
        servers.into_iter().enumerate().map(|(number, servers)| shard(id, cluster, number, servers)).collect()
    }))
}

fn named_shard(shard: &Json) -> Option<(Json, Json)> {
    Some((shard.get("primary")?.clone(), shard.get("replicas").cloned().unwrap_or_else(|| json!([]))))
}

fn shard(
    id: &str,
    cluster: &Json,
    number: usize,
    (primary, replicas): (Json, Json),
) -> Option<(String, Json)> {
    let mut shard = cluster.as_object()?.clone();
    shard.insert("primary".to_owned(), primary);
    shard.insert("replicas".to_owned(), replicas);
    let mut sharding = cluster.get("sharding")?.as_object()?.clone();
    sharding.shift_remove("shards");
    sharding.insert("member".to_owned(), json!({"cluster": id, "number": number}));
    shard.insert("sharding".to_owned(), Json::Object(sharding));
    Some((format!("{id}/{number}"), Json::Object(shard)))
}
