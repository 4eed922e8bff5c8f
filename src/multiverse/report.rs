//! Sessions, figures and health as JSON text.

use std::sync::Arc;
use std::time::Duration;

use multiverse::{Histogram, Metrics, ServerHealth, ServerMetrics, Session, ShardedTable};
use serde_json::{Value as Json, json};

use super::failure::failure_text;

pub(super) fn session_text(session: &Session) -> String {
    session_json(session).to_string()
}

pub(super) fn session_json(session: &Session) -> Json {
    json!({
        "id": session.id.0,
        "cluster": &*session.cluster,
        "server": &*session.server,
        "processId": session.process_id,
    })
}

pub(super) fn metrics_text(metrics: &Metrics) -> String {
    let clusters = metrics.clusters.iter().map(|cluster| {
        json!({
            "id": &*cluster.id,
            "reads": cluster.reads,
            "writes": cluster.writes,
            "errors": cluster.errors,
            "cacheHits": cluster.cache_hits,
            "cacheMisses": cluster.cache_misses,
            "followsLog": cluster.follows_log,
            "totalDuration": millis(cluster.total_duration),
            "readLatency": histogram(&cluster.read_latency),
            "writeLatency": histogram(&cluster.write_latency),
            "failures": cluster.failures,
            "isDown": cluster.is_down,
            "servers": cluster.servers.iter().map(server).collect::<Json>(),
        })
    });
    clusters.collect::<Json>().to_string()
}

/// The figures of the cache, `null` without one.
pub(super) fn cache_text(metrics: &Metrics) -> String {
    let cache = metrics.cache.map(|cache| {
        json!({
            "hits": cache.hits,
            "misses": cache.misses,
            "evictions": cache.evictions,
            "itemCount": cache.entries,
            "totalSize": cache.bytes,
            "rawBytes": cache.raw_bytes,
            "storedBytes": cache.stored_bytes,
        })
    });
    Json::from(cache).to_string()
}

fn server(server: &ServerMetrics) -> Json {
    json!({
        "id": &*server.id,
        "isPrimary": server.is_primary,
        "isUp": server.is_up,
        "active": server.active,
        "idle": server.idle,
        "connecting": server.connecting,
        "max": server.max,
        "created": server.created,
        "destroyed": server.destroyed,
        "waiting": server.waiting,
        "running": server.running,
        "responseTime": server.response_time.map(millis),
        "errorRate": server.error_rate,
        "lastError": server.last_error.as_deref(),
    })
}

/// Bounds in milliseconds, and how many durations were over the bound before and at most so long; those over all at last.
fn histogram(histogram: &Histogram) -> Json {
    let bounds: Vec<f64> = Histogram::BOUNDS.iter().map(|micros| *micros as f64 / 1_000.0).collect();
    json!({"bounds": bounds, "counts": histogram.counts(), "total": millis(histogram.total())})
}

pub(super) fn health_text(servers: &[ServerHealth]) -> String {
    health(servers).to_string()
}

pub(super) fn health(servers: &[ServerHealth]) -> Json {
    let servers = servers.iter().map(|server| {
        json!({
            "cluster": &*server.cluster,
            "server": &*server.server,
            "isPrimary": server.is_primary,
            "responseTime": millis(server.response_time),
            "error": server.error.as_ref().map(failure_text),
        })
    });
    servers.collect()
}

pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// The shards of a cluster, and the tables that are spread over them.
pub(super) fn survey_text((shards, tables): &(Vec<Arc<str>>, Vec<ShardedTable>)) -> String {
    let shards: Vec<&str> = shards.iter().map(|shard| &**shard).collect();
    let table = |table: &ShardedTable| {
        let ShardedTable { schema, name, key, shard_sql } = table;
        let problem = shard_sql.as_ref().err().map(ToString::to_string);
        json!({"schema": schema, "name": name, "key": key, "shardSql": shard_sql.as_ref().ok(), "problem": problem})
    };
    let tables: Vec<_> = tables.iter().map(table).collect();
    json!({"shards": shards, "tables": tables}).to_string()
}
