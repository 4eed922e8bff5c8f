//! Which cluster and which server the router chooses.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::catalogue::CatalogueRow;
use super::*;
use crate::balance::LiveServers;
use crate::config::{ClusterConfig, ConsistencyLevel, ReadPreference};

/// Servers that a test takes down, promotes, and lets lag behind.
#[derive(Default)]
struct Servers {
    down: RefCell<HashSet<(usize, usize)>>,
    primaries: RefCell<HashMap<usize, usize>>,
    replayed: RefCell<HashMap<usize, ReplayPosition>>,
}

impl Servers {
    fn set_down(&self, cluster: usize, servers: impl IntoIterator<Item = usize>) {
        self.down.borrow_mut().extend(servers.into_iter().map(|server| (cluster, server)));
    }
}

impl LiveServers for Servers {
    fn primary(&self, cluster: ClusterIndex) -> ServerIndex {
        ServerIndex(self.primaries.borrow().get(&cluster.0).copied().unwrap_or(0))
    }
    fn is_up(&self, cluster: ClusterIndex, server: ServerIndex) -> bool {
        !self.down.borrow().contains(&(cluster.0, server.0))
    }
    fn in_use(&self, _: ClusterIndex, _: ServerIndex) -> usize {
        0
    }
    fn response_time(&self, _: ClusterIndex, _: ServerIndex) -> Option<Duration> {
        None
    }
    fn error_rate(&self, _: ClusterIndex, _: ServerIndex) -> f64 {
        0.0
    }
    fn replayed(&self, _: ClusterIndex, server: ServerIndex) -> Option<ReplayPosition> {
        self.replayed.borrow().get(&server.0).copied()
    }
}

/// A cluster with two replicas and these fields set otherwise.
fn cluster(fields: Json) -> Json {
    let server = json!({"host": "h", "port": 5432, "database": "d", "user": "u", "password": ""});
    let mut cluster = json!({"schemas": [], "primary": server, "replicas": [server, server]});
    cluster.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    cluster
}

/// A router that knows the relation `t` and the operator `=` in every cluster.
fn router(clusters: Json) -> Router {
    let mut router = Router::new(&ClusterConfig::read_all(&clusters).unwrap());
    let row = |kind: &str, names: &str| {
        CatalogueRow::from_columns([Some(kind.to_owned()), None, None, Some(names.to_owned())])
    };
    while let Some((cluster, _)) = router.begin_catalogue(Instant::now()) {
        let rows = vec![row("relations", r#"["t"]"#), row("operators", r#"["="]"#)];
        router.catalogue_was_read(cluster, vec![Vec::new(), rows], Instant::now()).unwrap();
    }
    router
}

/// The cluster and the server of a statement.
fn place(router: &mut Router, sql: &str, options: &RouteOptions, servers: &Servers) -> (usize, usize) {
    let decision = router.route(&Arc::from(sql), options, servers).unwrap();
    assert_eq!(decision.on_replica, decision.server != servers.primary(decision.cluster));
    (decision.cluster.0, decision.server.0)
}

fn schema(name: &str) -> RouteOptions {
    RouteOptions { schema: Some(Arc::from(name)), ..RouteOptions::default() }
}

#[test]
fn the_cluster_is_the_one_named_then_the_schema_s_then_the_first_active_one_by_priority() {
    let mut router = router(json!({
        "a": cluster(json!({"schemas": ["users"]})),
        "b": cluster(json!({"schemas": ["shop"], "priority": 5})),
        "c": cluster(json!({"schemas": ["logs"], "priority": 5}))
    }));
    let servers = Servers::default();
    let options = RouteOptions { cluster_id: Some(Arc::from("c")), ..schema("users") };
    assert_eq!(place(&mut router, "DELETE FROM t", &options, &servers), (2, 0));
    assert_eq!(place(&mut router, "DELETE FROM t", &schema("users"), &servers), (0, 0));
    assert_eq!(place(&mut router, "DELETE FROM t", &RouteOptions::default(), &servers), (1, 0));
    servers.set_down(1, 0..3);
    assert_eq!(place(&mut router, "DELETE FROM t", &RouteOptions::default(), &servers), (2, 0));
    servers.set_down(2, 0..3);
    assert_eq!(place(&mut router, "DELETE FROM t", &RouteOptions::default(), &servers), (0, 0));
    servers.set_down(0, 0..3);
    assert_eq!(place(&mut router, "DELETE FROM t", &RouteOptions::default(), &servers), (1, 0));
}

#[test]
fn what_does_not_exist_is_told_in_the_known_words() {
    let mut router = router(json!({"a": cluster(json!({}))}));
    let options = RouteOptions { cluster_id: Some(Arc::from("x")), ..RouteOptions::default() };
    let message = |router: &mut Router, options: &RouteOptions| {
        router.route(&Arc::from("SELECT 1"), options, &Servers::default()).unwrap_err().to_string()
    };
    assert_eq!(message(&mut router, &options), "Cluster not found: x");
    assert_eq!(message(&mut router, &schema("nowhere")), "No cluster configured for schema: nowhere");
    assert!(router.register_schema("s", "x", SchemaOptions::default()).is_err());
    assert_eq!(
        message(&mut Router::new(&crate::Clusters::new()), &RouteOptions::default()),
        "No active clusters available"
    );
}

#[test]
fn a_schema_on_several_clusters_is_used_where_its_priority_is_highest_and_a_server_is_up() {
    let mut router = router(json!({
        "a": cluster(json!({"schemas": ["users"], "priority": 2})),
        "b": cluster(json!({"schemas": ["users"], "priority": 1})),
        "c": cluster(json!({}))
    }));
    let servers = Servers::default();
    assert_eq!(place(&mut router, "DELETE FROM t", &schema("users"), &servers).0, 0);
    router
        .register_schema("users", "c", SchemaOptions { priority: Some(9), ..SchemaOptions::default() })
        .unwrap();
    assert_eq!(place(&mut router, "DELETE FROM t", &schema("users"), &servers).0, 2);
    servers.set_down(2, 0..3);
    assert_eq!(place(&mut router, "DELETE FROM t", &schema("users"), &servers).0, 0);
    router
        .register_schema("users", "b", SchemaOptions { priority: Some(3), ..SchemaOptions::default() })
        .unwrap();
    assert_eq!(place(&mut router, "DELETE FROM t", &schema("users"), &servers).0, 1);
    assert_eq!(router.schema_homes("users").unwrap().len(), 3);
}

#[test]
fn reads_rotate_over_the_replicas_and_writes_stay_on_the_primary() {
    let mut router = router(json!({"a": cluster(json!({}))}));
    let servers = Servers::default();
    let mut read = || place(&mut router, "SELECT * FROM t", &RouteOptions::default(), &servers).1;
    assert_eq!([read(), read(), read(), read()], [1, 2, 1, 2]);
    for sql in ["UPDATE t SET a = 1", "SELECT * FROM t FOR UPDATE", "SET a = b", "SELEC", "BEGIN", ""] {
        let expected = usize::from(sql.is_empty());
        let (_, server) = place(&mut router, sql, &RouteOptions::default(), &servers);
        assert_eq!(server.min(1), expected, "{sql}");
    }
}

#[test]
fn a_write_goes_to_the_primary_whatever_the_call_declares_or_prefers() {
    let mut router = router(json!({"a": cluster(json!({}))}));
    let options = RouteOptions {
        operation: Some(Operation::Read),
        read_preference: Some(ReadPreference::Replica),
        consistency_level: Some(ConsistencyLevel::Eventual),
        ..RouteOptions::default()
    };
    for _ in 0..4 {
        assert_eq!(place(&mut router, "DELETE FROM t", &options, &Servers::default()).1, 0);
    }
    let write = RouteOptions { operation: Some(Operation::Write), ..RouteOptions::default() };
    assert_eq!(place(&mut router, "SELECT * FROM t", &write, &Servers::default()).1, 0);
}

#[test]
fn preference_and_consistency_come_from_the_call_then_the_schema_then_the_cluster() {
    let mut router = router(json!({"a": cluster(json!({
        "schemas": ["strict", "loose"],
        "readPreference": "primary",
        "schemaOptions": {"loose": {"readPreference": "replica"}, "strict": {"consistencyLevel": "strong"}}
    }))}));
    let servers = Servers::default();
    let mut is_replica =
        |options: RouteOptions| place(&mut router, "SELECT * FROM t", &options, &servers).1 != 0;
    assert!(!is_replica(RouteOptions::default()));
    assert!(is_replica(schema("loose")));
    assert!(!is_replica(RouteOptions { read_preference: Some(ReadPreference::Primary), ..schema("loose") }));
    assert!(!is_replica(RouteOptions { read_preference: Some(ReadPreference::Replica), ..schema("strict") }));
    let eventual = Some(ConsistencyLevel::Eventual);
    assert!(is_replica(RouteOptions {
        read_preference: Some(ReadPreference::Replica),
        consistency_level: eventual,
        ..schema("strict")
    }));
}

#[test]
fn the_preference_any_includes_the_primary_in_the_rotation() {
    let mut router = router(json!({"a": cluster(json!({"readPreference": "any"}))}));
    let servers = Servers::default();
    let turns: HashSet<_> =
        (0..3).map(|_| place(&mut router, "SELECT * FROM t", &RouteOptions::default(), &servers).1).collect();
    assert_eq!(turns, HashSet::from([0, 1, 2]));
}

#[test]
fn a_replica_that_is_down_is_left_out_at_once_and_comes_back_by_itself() {
    let mut router = router(json!({"a": cluster(json!({}))}));
    let servers = Servers::default();
    let mut turns = |servers: &Servers| -> Vec<usize> {
        (0..4).map(|_| place(&mut router, "SELECT * FROM t", &RouteOptions::default(), servers).1).collect()
    };
    servers.set_down(0, [1]);
    assert_eq!(turns(&servers), [2, 2, 2, 2]);
    servers.set_down(0, [2]);
    assert_eq!(turns(&servers), [0, 0, 0, 0]);
    servers.down.borrow_mut().clear();
    let after = turns(&servers);
    assert!(after.contains(&1) && after.contains(&2) && !after.contains(&0));
}

#[test]
fn after_a_failover_writes_follow_the_new_primary_and_the_old_one_answers_reads() {
    let mut router = router(json!({"a": cluster(json!({}))}));
    let servers = Servers::default();
    servers.primaries.borrow_mut().insert(0, 2);
    assert_eq!(place(&mut router, "DELETE FROM t", &RouteOptions::default(), &servers).1, 2);
    let reads: HashSet<_> =
        (0..4).map(|_| place(&mut router, "SELECT * FROM t", &RouteOptions::default(), &servers).1).collect();
    assert_eq!(reads, HashSet::from([0, 1]));
}

#[test]
fn a_session_reads_its_own_writes_from_a_replica_that_has_replayed_them_on_the_same_timeline() {
    let mut router = router(json!({"a": cluster(json!({"consistencyLevel": "session"}))}));
    let servers = Servers::default();
    let position = |timeline, lsn| ReplayPosition { timeline, lsn };
    let mut reader = |servers: &Servers, written| {
        let options = RouteOptions { written, ..RouteOptions::default() };
        place(&mut router, "SELECT * FROM t", &options, servers).1
    };
    assert_ne!(reader(&servers, None), 0, "who has written nothing may read anywhere");
    assert_eq!(reader(&servers, Some(position(1, 100))), 0, "nothing is known of the replicas");
    servers.replayed.borrow_mut().extend([(1, position(1, 99)), (2, position(1, 100))]);
    for _ in 0..3 {
        assert_eq!(reader(&servers, Some(position(1, 100))), 2);
    }
    assert_eq!(reader(&servers, Some(position(1, 101))), 0);
    servers.replayed.borrow_mut().insert(1, position(2, 500));
    assert_eq!(reader(&servers, Some(position(1, 101))), 0, "another timeline may lack the end of this one");
    assert_eq!(reader(&servers, Some(position(2, 500))), 1);
}

#[test]
fn a_connection_of_one_s_own_is_to_the_primary_unless_only_reads_are_announced() {
    let mut router = router(json!({"a": cluster(json!({}))}));
    let servers = Servers::default();
    let (_, server) = router.route_session(&RouteOptions::default(), &servers).unwrap();
    assert_eq!(server, ServerIndex(0));
    let read = RouteOptions { operation: Some(Operation::Read), ..RouteOptions::default() };
    let (_, server) = router.route_session(&read, &servers).unwrap();
    assert_ne!(server, ServerIndex(0));
}

#[test]
fn an_unknown_name_asks_for_the_catalogue_once_and_not_for_ever() {
    let mut router = router(json!({"a": cluster(json!({}))}));
    let servers = Servers::default();
    let far = || Instant::now() + Duration::from_secs(30);
    assert!(router.next_catalogue_due(far()).unwrap() > far(), "nothing is due for a minute");
    place(&mut router, "SELECT * FROM new_one", &RouteOptions::default(), &servers);
    assert!(router.next_catalogue_due(far()).unwrap() < far());
    let (cluster, _) = router.begin_catalogue(far()).unwrap();
    let row = CatalogueRow::from_columns([Some("relations".into()), None, None, Some(r#"["t"]"#.into())]);
    router.catalogue_was_read(cluster, vec![vec![row]], Instant::now()).unwrap();
    place(&mut router, "SELECT * FROM new_one", &RouteOptions::default(), &servers);
    assert!(router.next_catalogue_due(far()).unwrap() > far());
}

#[test]
fn cache_strategies_say_whether_a_read_is_cached() {
    for (strategy, unasked, asked, refused) in [
        (CacheStrategy::Aggressive, true, true, false),
        (CacheStrategy::Conservative, false, true, false),
        (CacheStrategy::None, false, false, false),
    ] {
        let answers = (strategy.caches(None), strategy.caches(Some(true)), strategy.caches(Some(false)));
        assert_eq!(answers, (unasked, asked, refused), "{strategy:?}");
    }
}
