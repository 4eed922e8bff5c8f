//! Sessions, figures and health as JSON text.

use std::time::Duration;

use multiverse::{Metrics, ServerHealth, ServerMetrics, Session};
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
            "totalDuration": millis(cluster.total_duration),
            "servers": cluster.servers.iter().map(server).collect::<Json>(),
        })
    });
    clusters.collect::<Json>().to_string()
}

fn server(server: &ServerMetrics) -> Json {
    json!({
        "id": &*server.id,
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

pub(super) fn health_text(servers: &[ServerHealth]) -> String {
    let servers = servers.iter().map(|server| {
        json!({
            "cluster": &*server.cluster,
            "server": &*server.server,
            "isPrimary": server.is_primary,
            "responseTime": millis(server.response_time),
            "error": server.error.as_ref().map(failure_text),
        })
    });
    servers.collect::<Json>().to_string()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
