//! What is read of a configuration, and what is said of one that cannot be used.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::route::{CacheStrategy, SchemaOptions, ServerIndex};

fn server(host: &str) -> Json {
    json!({"host": host, "port": 5432, "database": "app", "user": "app", "password": "s3cret"})
}

/// A server with some fields set otherwise.
fn server_with(fields: Json) -> Json {
    let mut server = server("a");
    server.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    server
}

/// The errors of a cluster `eu` with a good primary and these fields.
fn errors(fields: Json) -> Vec<String> {
    let mut cluster =
        json!({"schemas": ["users"], "primary": server("a"), "replicas": [server("b"), server("c")]});
    cluster.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let (_, report) = read_clusters(&json!({"eu": cluster}));
    report.errors.iter().map(ToString::to_string).collect()
}

fn assert_error(fields: Json, expected: &str) {
    let errors = errors(fields.clone());
    assert!(errors.iter().any(|error| error.starts_with(expected)), "{fields}\n{expected}\n{errors:?}");
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[test]
fn clusters_keep_their_order_and_have_the_documented_defaults() {
    let json = json!({
        "us": {"schemas": ["users"], "primary": server("a"), "replicas": [server("b")]},
        "eu": {"primary": server("c"), "loadBalancing": {"strategy": "least_connections"}, "readPreference": "any"}
    });
    let clusters = ClusterConfig::read_all(&json).unwrap();
    assert_eq!(clusters.keys().collect::<Vec<_>>(), ["us", "eu"]);
    let us = &clusters["us"];
    assert_eq!(
        (us.read_preference, us.consistency_level),
        (ReadPreference::Replica, ConsistencyLevel::Eventual)
    );
    assert_eq!((us.primary.port, us.replicas.len(), us.priority), (5432, 1, 1));
    assert_eq!((us.pool.min, us.pool.max, us.pool.warmup), (2, 20, true));
    assert_eq!(us.pool.acquire_timeout, Duration::from_secs(30));
    assert_eq!(
        (us.pool.create_timeout, us.pool.idle_timeout),
        (Duration::from_secs(10), Duration::from_secs(300))
    );
    assert_eq!(clusters["eu"].balancing, Balancing::LeastConnections);
}

#[test]
fn clusters_may_stand_under_a_key_of_their_own() {
    let json = json!({"clusters": {"us": {"schemas": ["users"], "primary": server("a")}}, "migrations": {}});
    assert_eq!(ClusterConfig::read_all(&json).unwrap().keys().collect::<Vec<_>>(), ["us"]);
    let named = json!({"clusters": {"schemas": ["users"], "primary": server("a")}});
    assert_eq!(ClusterConfig::read_all(&named).unwrap().keys().collect::<Vec<_>>(), ["clusters"]);
}

#[test]
fn no_clusters_at_all_are_refused_in_the_known_words() {
    for json in [json!({}), json!(null), json!([])] {
        let message = ClusterConfig::read_all(&json).unwrap_err().to_string();
        assert!(
            message.contains("No cluster configuration provided")
                && message.contains("No clusters configured")
        );
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let json = json!({
        "us": {"primary": {"host": "", "port": 70_000}, "replicas": [{"port": "x"}, 7], "readPreference": "nearest"},
        "eu": {"schemas": []}
    });
    let (_, report) = read_clusters(&json);
    let fields: Vec<_> = report.errors.iter().map(|error| error.field.as_str()).collect();
    for field in [
        "us.primary.host",
        "us.primary.port",
        "us.primary.database",
        "us.primary.user",
        "us.primary.password",
        "us.replicas[0].host",
        "us.replicas[0].port",
        "us.replicas[1]",
        "us.readPreference",
        "eu.primary",
    ] {
        assert!(fields.contains(&field), "{field} is not in {fields:?}");
    }
}

#[test]
fn each_option_of_a_server_is_checked() {
    for (fields, expected) in [
        (json!({"host": 7}), "eu.primary.host: host must be a string"),
        (json!({"host": ""}), "eu.primary.host: host is required"),
        (json!({"port": null}), "eu.primary.port: port is required"),
        (json!({"port": 0}), "eu.primary.port: port must be a number between 1 and 65535"),
        (json!({"port": "5432"}), "eu.primary.port: port must be a number between 1 and 65535"),
        (json!({"password": null}), "eu.primary.password: password is required"),
        (json!({"maxConnections": 0}), "eu.primary.maxConnections: maxConnections must be a positive number"),
        (
            json!({"maxConnections": 2, "minConnections": 3}),
            "eu.primary.minConnections: minConnections must not",
        ),
        (json!({"connectionTimeoutMillis": -1}), "eu.primary.connectionTimeoutMillis: "),
        (json!({"idleTimeoutMillis": "1"}), "eu.primary.idleTimeoutMillis: "),
        (json!({"searchPath": 7}), "eu.primary.searchPath: searchPath must be a list of strings"),
        (json!({"weight": -1}), "eu.primary.weight: weight must be a number from 0"),
        (json!({"ssl": "require"}), "eu.primary.ssl: ssl must be true, false, or {"),
        (json!({"ssl": {"ca": "/etc/ca.pem"}}), "eu.primary.ssl.ca: ca must be PEM text"),
        (
            json!({"ssl": {"cert": "-----BEGIN CERTIFICATE-----"}}),
            "eu.primary.ssl.key: key is required with cert",
        ),
        (json!({"ssl": {"rejectUnauthorized": 1}}), "eu.primary.ssl.rejectUnauthorized: "),
    ] {
        assert_error(json!({"primary": server_with(fields)}), expected);
    }
}

#[test]
fn each_option_of_a_cluster_is_checked() {
    for (fields, expected) in [
        (json!({"schemas": "users"}), "eu.schemas: schemas must be a list of strings"),
        (json!({"replicas": {}}), "eu.replicas: replicas must be a list of servers"),
        (json!({"priority": 1.5}), "eu.priority: priority must be a whole number"),
        (
            json!({"consistencyLevel": "weak"}),
            "eu.consistencyLevel: consistencyLevel must be one of: eventual, session",
        ),
        (json!({"cacheStrategy": "all"}), "eu.cacheStrategy: cacheStrategy must be one of: aggressive"),
        (json!({"schemaOptions": {"users": {"priority": "high"}}}), "eu.schemaOptions.users.priority: "),
        (json!({"connectionPool": {"max": 0}}), "eu.connectionPool.max: max must be a positive number"),
        (
            json!({"connectionPool": {"min": 30}}),
            "eu.connectionPool.min: min must not be more than max: 30 > 20",
        ),
        (
            json!({"connectionPool": {"prepare": "no"}}),
            "eu.connectionPool.prepare: prepare must be true or false",
        ),
        (json!({"connectionPool": []}), "eu.connectionPool: must be an object"),
        (json!({"loadBalancing": {}}), "eu.loadBalancing.strategy: strategy is required"),
        (
            json!({"loadBalancing": {"strategy": "best"}}),
            "eu.loadBalancing.strategy: strategy must be one of: round_",
        ),
        (
            json!({"loadBalancing": {"strategy": "weighted"}}),
            "eu.loadBalancing.weights: weights are required for weighted strategy",
        ),
        (
            json!({"loadBalancing": {"strategy": "weighted", "weights": {"replica_3": 1}}}),
            "eu.loadBalancing.weights.replica_3: names no server of the cluster: use replica_1 to replica_2",
        ),
        (
            json!({"loadBalancing": {"strategy": "weighted", "weights": {"replica_1": -1}}}),
            "eu.loadBalancing.weights.replica_1: must be a number from 0",
        ),
        (
            json!({"loadBalancing": {"strategy": "health_aware", "healthThreshold": 101}}),
            "eu.loadBalancing.healthThreshold: healthThreshold must be a number from 0 to 100",
        ),
        (json!({"sharding": {"key": "id"}}), "eu.sharding.strategy: strategy is required"),
        (
            json!({"sharding": {"key": "id", "strategy": "x"}}),
            "eu.sharding.strategy: strategy must be one of: hash, range",
        ),
        (json!({"sharding": {"strategy": "hash", "partitions": 3}}), "eu.sharding.key: key is required"),
        (
            json!({"sharding": {"key": "id", "strategy": "hash", "partitions": 3, "shards": [{}]}}),
            "eu.sharding.shards[0].primary: primary is required",
        ),
        (
            json!({"sharding": {"key": "id", "strategy": "hash"}}),
            "eu.sharding.partitions: partitions is required for hash strategy",
        ),
        (
            json!({"sharding": {"key": "id", "strategy": "range"}}),
            "eu.sharding.ranges: ranges is required for range strategy",
        ),
        (
            json!({"sharding": {"key": "id", "strategy": "range", "ranges": [{"min": 5, "max": 1}]}}),
            "eu.sharding.ranges: ranges must be a list of {min, max}",
        ),
        (
            json!({"sharding": {"key": "id", "strategy": "range", "ranges": [{"min": 0, "max": 5}, {"min": 4, "max": 9}]}}),
            "eu.sharding.ranges: ranges must not overlap",
        ),
        (
            json!({"sharding": {"key": "id", "strategy": "directory"}}),
            "eu.sharding.directory: directory is required for directory strategy",
        ),
    ] {
        assert_error(fields, expected);
    }
}

#[test]
fn a_schema_on_two_clusters_needs_different_priorities() {
    let clusters = |priority: i32| {
        json!({
            "us": {"schemas": ["users", "auth"], "primary": server("a")},
            "eu": {"schemas": ["users"], "primary": server("b"), "priority": priority}
        })
    };
    let message = ClusterConfig::read_all(&clusters(1)).unwrap_err().to_string();
    assert!(message.contains("Duplicate schemas found: users;"), "{message}");
    assert!(ClusterConfig::read_all(&clusters(2)).is_ok());
}

#[test]
fn what_is_probably_not_meant_gives_a_warning() {
    let json = json!({
        "us": {"primary": server_with(json!({"maxConnection": 5})), "colour": "red"},
        "eu": {"schemas": [], "primary": server("b"), "replicas": []}
    });
    let (_, report) = read_clusters(&json);
    assert!(report.is_valid(), "{report:?}");
    for expected in [
        "us.primary.maxConnection: unknown option, is ignored; did you mean maxConnections?",
        "us.colour: unknown option, is ignored",
        "Cluster us: No replicas configured - no read scaling available",
        "Cluster us: No schemas configured",
        "Cluster eu: Empty schemas array",
    ] {
        assert!(
            report.warnings.iter().any(|warning| warning == expected),
            "{expected}: {:?}",
            report.warnings
        );
    }
}

#[test]
fn a_server_s_own_pool_settings_come_before_the_cluster_s() {
    let json = json!({"us": {
        "primary": server_with(json!({"maxConnections": 7, "idleTimeoutMillis": 1000})),
        "replicas": [server("b")],
        "connectionPool": {"min": 5, "max": 50, "maxLifetimeMillis": 0, "prepare": false, "warmupConnections": false}
    }});
    let clusters = ClusterConfig::read_all(&json).unwrap();
    let primary = clusters["us"].pool_of(ServerIndex(0));
    assert_eq!((primary.min, primary.max, primary.idle_timeout), (5, 7, Duration::from_secs(1)));
    let replica = clusters["us"].pool_of(ServerIndex(1));
    assert_eq!(
        (replica.max, replica.max_lifetime, replica.prepare, replica.warmup),
        (50, None, false, false)
    );
}

#[test]
fn a_search_path_is_a_list_or_a_string_with_commas() {
    for path in [json!(["shop", "public"]), json!("shop, public")] {
        let json = json!({"us": {"primary": server_with(json!({"searchPath": path}))}});
        assert_eq!(ClusterConfig::read_all(&json).unwrap()["us"].primary.search_path, ["shop", "public"]);
    }
}

#[test]
fn weights_name_replicas_from_one_and_pools_from_zero() {
    let weighted = |weights: Json| {
        let json = json!({"us": {"primary": server("a"), "replicas": [server("b"), server_with(json!({"weight": 9}))],
            "loadBalancing": {"strategy": "weighted", "weights": weights}}});
        let clusters = ClusterConfig::read_all(&json).unwrap();
        clusters["us"].replicas.iter().map(|replica| replica.weight).collect::<Vec<_>>()
    };
    assert_eq!(weighted(json!({"replica_1": 3})), [3.0, 9.0]);
    assert_eq!(weighted(json!({"us_replica_0": 2, "us_replica_1": 4, "us_primary": 1})), [2.0, 4.0]);
}

#[test]
fn tls_takes_pem_text_buffers_and_lists() {
    let pem = "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----";
    let buffer = json!({"type": "Buffer", "data": pem.as_bytes()});
    for ca in [json!(pem), buffer.clone(), json!([pem, buffer])] {
        let json = json!({"us": {"primary": server_with(json!({"ssl": {"ca": ca, "servername": "db"}}))}});
        let clusters = ClusterConfig::read_all(&json).unwrap();
        let tls = clusters["us"].primary.tls.as_ref().unwrap();
        assert!(tls.ca.as_ref().unwrap().starts_with(pem) && tls.reject_unauthorized);
        assert_eq!(tls.server_name.as_deref(), Some("db"));
    }
    let plain = json!({"us": {"primary": server_with(json!({"ssl": false}))}});
    assert_eq!(ClusterConfig::read_all(&plain).unwrap()["us"].primary.tls, None);
}

#[test]
fn sharding_is_read_and_can_be_switched_off() {
    let sharding = |sharding: Json| {
        let shards = sharding["partitions"].as_u64().unwrap_or(2) as usize;
        let replicas: Vec<Json> = (1..shards).map(|_| server("b")).collect();
        let json = json!({"us": {"primary": server("a"), "replicas": replicas, "sharding": sharding}});
        ClusterConfig::read_all(&json).unwrap()["us"].sharding.clone()
    };
    assert_eq!(sharding(json!({"enabled": false, "strategy": "hash", "key": null, "partitions": 1})), None);
    let hash = sharding(json!({"strategy": "hash", "key": "user_id", "partitions": 4})).unwrap();
    assert_eq!((hash.key.as_str(), hash.strategy), ("user_id", ShardingStrategy::Hash { partitions: 4 }));
    let dates =
        json!([{"min": "2024-01-01", "max": "2024-02-01"}, {"min": "2024-02-01", "max": "2024-03-01"}]);
    let range = sharding(json!({"strategy": "range", "key": "day", "ranges": dates})).unwrap();
    assert!(matches!(range.strategy, ShardingStrategy::Range { ranges } if ranges.len() == 2));
    let directory =
        sharding(json!({"strategy": "directory", "key": "country", "directory": {"de": 0, "fr": 1}}))
            .unwrap();
    assert!(matches!(directory.strategy, ShardingStrategy::Directory { shards } if shards["fr"] == 1));
}

#[test]
fn a_cluster_in_shards_is_replaced_by_them() {
    let sharding = |shards: Option<Json>| {
        let mut sharding = json!({"strategy": "hash", "key": "id", "partitions": 2});
        if let Some(shards) = shards {
            sharding["shards"] = shards;
        }
        sharding
    };
    let own = json!({"schemas": ["users"], "primary": server("p"), "replicas": [server("a"), server("b")], "sharding": sharding(None)});
    let named = json!([{"primary": server("c"), "replicas": [server("d")]}, {"primary": server("e")}]);
    let named = json!({"schemas": ["orders"], "sharding": sharding(Some(named))});
    let json = json!({"plain": {"primary": server("x")}, "own": own, "named": named});
    let expanded = expand_shards(&json).unwrap();
    assert_eq!(expand_shards(&expanded).unwrap(), expanded);
    assert!(ClusterConfig::read_all(&json).is_ok());
    let clusters = ClusterConfig::read_all(&expanded).unwrap();
    let servers: Vec<(&str, &str, usize)> = clusters
        .iter()
        .map(|(id, cluster)| (id.as_str(), cluster.primary.host.as_str(), cluster.replicas.len()))
        .collect();
    let expected =
        [("plain", "x", 0), ("own/0", "a", 0), ("own/1", "b", 0), ("named/0", "c", 1), ("named/1", "e", 0)];
    assert_eq!(servers, expected);
    let member = clusters["named/1"].sharding.as_ref().and_then(|sharding| sharding.member.clone()).unwrap();
    assert_eq!((member.cluster.as_str(), member.number), ("named", 1));
}

#[test]
fn the_replicas_are_the_shards_where_none_are_named_or_the_primary_is_the_first_of_them() {
    let hosts = |sharding: Json, replicas: &[&str]| {
        let replicas: Vec<Json> = replicas.iter().map(|host| server(host)).collect();
        let json = json!({"us": {"primary": server("p"), "replicas": replicas, "sharding": sharding}});
        let (_, report) = read_clusters(&json);
        let expanded = expand_shards(&json).map_err(|error| error.to_string());
        let is_warned_of = report.warnings.iter().any(|warning| warning.contains("sharding"));
        assert_eq!(is_warned_of, expanded.is_err(), "{report:?}");
        assert!(report.is_valid());
        let read = |json: Json| {
            let clusters = ClusterConfig::read_all(&json).unwrap();
            clusters.values().map(|cluster| cluster.primary.host.clone()).collect::<Vec<_>>().join(" ")
        };
        expanded.map(read)
    };
    let hash = |partitions: u32| json!({"strategy": "hash", "key": "id", "partitions": partitions});
    let directory = json!({"strategy": "directory", "key": "id", "directory": {"de": 0, "fr": 1}});
    assert_eq!(hosts(hash(2), &["a", "b"]).unwrap(), "a b");
    assert_eq!(hosts(hash(3), &["a", "b"]).unwrap(), "p a b");
    assert_eq!(hosts(hash(1), &["a", "b"]).unwrap(), "p");
    assert_eq!(hosts(directory.clone(), &["a", "b", "c"]).unwrap(), "a b c");
    assert_eq!(hosts(directory.clone(), &["a"]).unwrap(), "p a");
    assert!(hosts(directory, &[]).unwrap_err().contains("us.sharding.directory: must fit the replicas"));
    let error = hosts(hash(5), &["a", "b"]).unwrap_err();
    assert!(error.contains(
        "us.sharding.partitions: must fit the replicas, which are the shards: it has 5, and there are 2"
    ));
}

#[test]
fn schema_options_of_a_cluster_hold_for_its_schemas_unless_one_says_otherwise() {
    let json = json!({"us": {"schemas": ["users", "logs"], "primary": server("a"), "cacheStrategy": "aggressive",
        "schemaOptions": {"logs": {"cacheStrategy": "none", "consistencyLevel": "strong"}}}});
    let clusters = ClusterConfig::read_all(&json).unwrap();
    let options = &clusters["us"].schema_options;
    assert_eq!(options["users"].cache_strategy, CacheStrategy::Aggressive);
    assert_eq!(options["logs"].cache_strategy, CacheStrategy::None);
    assert_eq!(options["logs"].consistency_level, Some(ConsistencyLevel::Strong));
    assert!(SchemaOptions::from_json("s", &json!({"priority": "x"})).is_err());
    assert_eq!(SchemaOptions::from_json("s", &json!({"priority": 3})).unwrap().priority, Some(3));
}

#[test]
fn manager_settings_have_the_documented_defaults_and_are_checked() {
    let (settings, report) =
        ManagerSettings::read(&json!({"retryAttempts": 0, "healthCheckInterval": 0, "retrydelay": 1}));
    assert_eq!(settings.retry_attempts, 0);
    assert_eq!(settings.health_check_interval, Duration::from_secs(30));
    assert_eq!((settings.max_failures_before_mark_down, settings.retry_delay), (3, Duration::from_secs(1)));
    assert_eq!(report.errors.len(), 1);
    assert_eq!(report.warnings, ["cluster.retrydelay: unknown option, is ignored; did you mean retryDelay?"]);
}

#[test]
fn neither_passwords_nor_keys_are_shown() {
    let key = "-----BEGIN PRIVATE KEY-----s3cret";
    let identity = json!({"ssl": {"cert": "-----BEGIN CERTIFICATE-----", "key": key}, "weight": "s"});
    let (clusters, report) = read_clusters(&json!({"us": {"primary": server_with(identity)}}));
    assert!(!format!("{clusters:?} {report:?}").contains("s3cret"));
}
