//! How long the router takes for a decision: on a text it knows, by its address and by its content, and on a new one.
//!
//! `cargo bench -p multiverse --bench route` prints the median and the 99th percentile of each.

#![allow(clippy::unwrap_used, reason = "a measurement that fails should stop")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use multiverse::ClusterConfig;
use multiverse::balance::LiveServers;
use multiverse::route::catalogue::CatalogueRow;
use multiverse::route::{ClusterIndex, ReplayPosition, RouteOptions, Router, ServerIndex, classify};
use serde_json::json;

const TEXTS: usize = 256;
const DECISIONS: usize = 200_000;

struct AllUp;

impl LiveServers for AllUp {
    fn primary(&self, _: ClusterIndex) -> ServerIndex {
        ServerIndex(0)
    }
    fn is_up(&self, _: ClusterIndex, _: ServerIndex) -> bool {
        true
    }
    fn in_use(&self, _: ClusterIndex, server: ServerIndex) -> usize {
        server.0
    }
    fn response_time(&self, _: ClusterIndex, _: ServerIndex) -> Option<Duration> {
        Some(Duration::from_micros(300))
    }
    fn error_rate(&self, _: ClusterIndex, _: ServerIndex) -> f64 {
        0.0
    }
    fn replayed(&self, _: ClusterIndex, _: ServerIndex) -> Option<ReplayPosition> {
        None
    }
}

fn main() {
    let texts: Vec<Arc<str>> = (0..TEXTS).map(text).collect();
    let options = RouteOptions { schema: Some(Arc::from("shop")), ..RouteOptions::default() };
    for strategy in ["round_robin", "weighted", "least_connections", "response_time", "health_aware"] {
        let mut router = router(strategy);
        for text in &texts {
            assert!(router.route(text, &options, &AllUp).unwrap().on_replica);
        }
        report(&format!("known text, same address, {strategy}"), DECISIONS, |turn| {
            black_box(router.route(&texts[turn % TEXTS], &options, &AllUp).unwrap());
        });
    }
    let mut router = router("round_robin");
    for text in &texts {
        router.route(text, &options, &AllUp).unwrap();
    }
    report("known text, another address", DECISIONS / 10, |turn| {
        black_box(router.route(&Arc::from(&*texts[turn % TEXTS]), &options, &AllUp).unwrap());
    });
    report("new text", 5_000, |turn| {
        black_box(classify(&texts[turn % TEXTS]));
    });
}

fn text(number: usize) -> Arc<str> {
    Arc::from(format!(
        "SELECT u.id, u.name, count(o.id) AS orders FROM shop.users u LEFT JOIN shop.orders o ON o.user_id = u.id \
         WHERE u.active AND o.total > $1 AND lower(u.name) LIKE $2 GROUP BY u.id, u.name ORDER BY orders DESC LIMIT {number}"
    ))
}

/// A router over three clusters with three replicas each, which knows what the texts name.
fn router(strategy: &str) -> Router {
    let server =
        json!({"host": "h", "port": 5432, "database": "d", "user": "u", "password": "", "weight": 2});
    let cluster = |schema: &str| {
        json!({"schemas": [schema], "primary": server, "replicas": [server, server, server],
            "loadBalancing": {"strategy": strategy, "weights": {}}})
    };
    let clusters = json!({"a": cluster("users"), "b": cluster("shop"), "c": cluster("logs")});
    let mut router = Router::new(&ClusterConfig::read_all(&clusters).unwrap());
    let row = |kind: &str, names: &str| {
        CatalogueRow::from_columns([Some(kind.to_owned()), None, None, Some(names.to_owned())])
    };
    while let Some((cluster, _)) = router.begin_catalogue(Instant::now()) {
        let rows = vec![
            row("functions", r#"["count", "lower"]"#),
            row("operators", r#"["=", ">", "~~"]"#),
            row("relations", r#"["users", "orders"]"#),
        ];
        router.catalogue_was_read(cluster, vec![Vec::new(), rows], Instant::now()).unwrap();
    }
    router
}

fn report(what: &str, turns: usize, mut decide: impl FnMut(usize)) {
    let mut times: Vec<u128> = (0..turns)
        .map(|turn| {
            let start = Instant::now();
            decide(turn);
            start.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 100];
    println!("{what:<55} p50 {:>7} ns   p99 {:>7} ns", at(50), at(99));
}
