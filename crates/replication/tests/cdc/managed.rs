//! Slaves that the manager feeds itself, from masters of one kind to slaves of any.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use data::Dialect;
use replication::{
    FedBy, Manager, ReplicaConfig, ReplicaStatus, RewindRequest, Rewinder, Role, TopologyEvent, WriteToken,
};
use serde_json::{Value as Json, json};

use crate::world::{PATIENCE, Place, own_cluster, rows, run, until_rows};

const TABLE: &str = "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT)";
const ITEMS: &str = "SELECT id, name FROM items ORDER BY id";

/// A project with a master and slaves, and what was told of them.
struct Project {
    manager: Arc<Manager>,
    events: Arc<Mutex<Vec<Json>>>,
    /// Files live for as long as their places.
    places: Mutex<Vec<Place>>,
}

impl Project {
    fn new() -> Self {
        let manager = Arc::new(Manager::new());
        manager.set_lag_interval(50).unwrap();
        let events: Arc<Mutex<Vec<Json>>> = Arc::default();
        let told = Arc::clone(&events);
        manager.set_topology_listener(Arc::new(move |event: TopologyEvent| {
            told.lock().unwrap().push(serde_json::to_value(event).unwrap());
        }));
        Self { manager, events, places: Mutex::default() }
    }

    async fn add(&self, name: &str, role: &str, place: &Place, fields: Json) -> Arc<dyn Dialect> {
        self.places.lock().unwrap().push(place.clone());
        let mut config = json!({"name": name, "role": role, "dialect": place.dialect, "uri": place.uri});
        for (field, value) in fields.as_object().unwrap() {
            config[field] = value.clone();
        }
        let config = ReplicaConfig::from_json(config).unwrap();
        self.manager.add_replica("p", config, Vec::new()).await.unwrap()
    }

    fn status(&self, name: &str) -> ReplicaStatus {
        self.manager.status("p").into_iter().find(|status| status.name == name).unwrap()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            let seen = (self.manager.status("p"), self.events.lock().unwrap().clone());
            assert!(Instant::now() < deadline, "{what}: {seen:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn was_told(&self, is_it: impl Fn(&Json) -> bool) -> bool {
        self.events.lock().unwrap().iter().any(is_it)
    }
}

async fn documents(dialect: &dyn Dialect) -> usize {
    let table = dialect.tables().unwrap();
    let Some(described) = table.describe("items").await.unwrap() else { return 0 };
    let snapshot = table.snapshot().await.unwrap();
    let mut batches = snapshot.scan(Arc::new(described), data::table::ScanOptions::default()).await.unwrap();
    let mut count = 0;
    while let Some(batch) = batches.recv().await {
        count += batch.unwrap().len();
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slaves_of_other_kinds_are_fed_from_when_they_are_added_and_no_rule_is_listed() {
    let project = Project::new();
    let master = project.add("m", "master", &Place::postgres(), json!({})).await;
    run(master.as_ref(), &[TABLE, "INSERT INTO items VALUES (1, 'a'), (2, 'b')"]).await;
    let sqlite = project.add("s", "slave", &Place::sqlite(), json!({})).await;
    let mongodb = project.add("d", "slave", &Place::mongodb(), json!({"feed": "managed"})).await;
    assert_eq!(rows(sqlite.as_ref(), ITEMS).await, rows(master.as_ref(), ITEMS).await);
    run(master.as_ref(), &["INSERT INTO items VALUES (3, 'c')", "DELETE FROM items WHERE id = 1"]).await;
    until_rows(sqlite.as_ref(), ITEMS, json!([{"id": 2, "name": "b"}, {"id": 3, "name": "c"}])).await;
    let deadline = Instant::now() + PATIENCE;
    while documents(mongodb.as_ref()).await != 2 {
        assert!(Instant::now() < deadline, "the documents do not follow");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for name in ["s", "d"] {
        assert_eq!(project.status(name).feed, Some(FedBy::Managed));
        project.until("it has caught up", |project| project.status(name).lag == Some(0)).await;
    }
    assert!(project.manager.rules().is_empty() && project.manager.running().is_empty());
    assert!(project.was_told(|event| event["event"] == "replica.feed" && event["feed"] == "managed"));
    project.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_at_the_master_stays_over_a_disconnection_and_goes_with_the_replica() {
    let (at_master, at_slave) = (Place::postgres(), Place::sqlite());
    let slots = "SELECT count(*)::int AS n FROM pg_replication_slots WHERE database = current_database()";
    let project = Project::new();
    let master = project.add("m", "master", &at_master, json!({})).await;
    run(master.as_ref(), &[TABLE]).await;
    project.add("s", "slave", &at_slave, json!({})).await;
    assert_eq!(rows(master.as_ref(), slots).await[0]["n"], 1);
    project.manager.disconnect_all().await;
    let project = Project::new();
    let master = project.add("m", "master", &at_master, json!({})).await;
    assert_eq!(rows(master.as_ref(), slots).await[0]["n"], 1);
    run(master.as_ref(), &["INSERT INTO items VALUES (1, 'while nobody fed')"]).await;
    let slave = project.add("s", "slave", &at_slave, json!({})).await;
    until_rows(slave.as_ref(), ITEMS, json!([{"id": 1, "name": "while nobody fed"}])).await;
    project.manager.remove_replica("p", "s").await.unwrap();
    assert_eq!(rows(master.as_ref(), slots).await[0]["n"], 0);
    assert!(project.manager.take_removal_failures().is_empty());
    project.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_a_slave_held_before_stay_and_those_of_the_master_come() {
    let project = Project::new();
    let (at_master, at_slave) = (Place::sqlite(), Place::sqlite());
    let master = project.add("m", "master", &at_master, json!({})).await;
    run(master.as_ref(), &[TABLE, "INSERT INTO items VALUES (1, 'master')"]).await;
    let before = Project::new();
    let other = before.add("x", "master", &at_slave, json!({})).await;
    run(other.as_ref(), &[TABLE, "INSERT INTO items VALUES (1, 'old'), (9, 'own')"]).await;
    before.manager.disconnect_all().await;
    let slave = project.add("s", "slave", &at_slave, json!({})).await;
    let expected = json!([{"id": 1, "name": "master"}, {"id": 9, "name": "own"}]);
    until_rows(slave.as_ref(), ITEMS, expected).await;
    project.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_the_master_gets_later_comes_along_and_one_without_a_key_is_named() {
    let project = Project::new();
    let master = project.add("m", "master", &Place::sqlite(), json!({})).await;
    run(master.as_ref(), &[TABLE, "CREATE TABLE keyless (a INT)"]).await;
    let slave = project.add("s", "slave", &Place::sqlite(), json!({})).await;
    assert!(project.was_told(|event| {
        event["event"] == "replica.feed" && event["warning"].as_str().is_some_and(|it| it.contains("keyless"))
    }));
    run(master.as_ref(), &["CREATE TABLE later (id INT PRIMARY KEY)", "INSERT INTO later VALUES (7)"]).await;
    let deadline = Instant::now() + PATIENCE;
    while slave.tables().unwrap().describe("later").await.unwrap().is_none() {
        assert!(Instant::now() < deadline, "the table does not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    until_rows(slave.as_ref(), "SELECT id FROM later", json!([{"id": 7}])).await;
    run(master.as_ref(), &["INSERT INTO items VALUES (1, 'still fed')"]).await;
    until_rows(slave.as_ref(), "SELECT id FROM items", json!([{"id": 1}])).await;
    project.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slave_that_cannot_be_fed_is_added_with_a_warning_and_unknown_lag() {
    let project = Project::new();
    let place = Place::sqlite();
    let master = project.add("m", "master", &place, json!({})).await;
    run(master.as_ref(), &[TABLE]).await;
    project.add("s", "slave", &place, json!({})).await;
    assert_eq!(project.status("s").feed, Some(FedBy::None));
    project.until("its lag is unknown", |project| project.status("s").lag.is_none()).await;
    assert!(project.was_told(|event| {
        event["feed"] == "none" && event["warning"].as_str().is_some_and(|it| it.contains("same database"))
    }));
    project.add("n", "slave", &Place::sqlite(), json!({"feed": "none"})).await;
    assert_eq!(project.manager.next_read("p", None).as_deref(), Some("s"));
    project.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slave_for_which_no_slot_is_free_takes_no_reads_until_it_can_be_fed() {
    let cluster = own_cluster("max_replication_slots = 1\n");
    let project = Project::new();
    let master = project.add("m", "master", &Place::postgres_on(&cluster), json!({})).await;
    run(master.as_ref(), &[TABLE, "INSERT INTO items VALUES (1, 'a')"]).await;
    rows(master.as_ref(), "SELECT slot_name::text AS name FROM pg_create_physical_replication_slot('taken')")
        .await;
    let slave = project.add("s", "slave", &Place::sqlite(), json!({})).await;
    project.until("it is not fed", |project| project.status("s").feed == Some(FedBy::None)).await;
    assert!(project.was_told(|event| {
        event["feed"] == "none"
            && event["warning"].as_str().is_some_and(|it| it.contains("max_replication_slots"))
    }));
    project.until("its lag is unknown", |project| project.status("s").lag.is_none()).await;
    assert_eq!(project.manager.next_read("p", None).as_deref(), Some("m"));
    rows(master.as_ref(), "SELECT 1 AS n FROM pg_drop_replication_slot('taken')").await;
    project.until("it is fed", |project| project.status("s").lag == Some(0)).await;
    assert_eq!(project.status("s").feed, Some(FedBy::Managed));
    assert_eq!(project.manager.next_read("p", None).as_deref(), Some("s"));
    assert_eq!(rows(slave.as_ref(), ITEMS).await, json!([{"id": 1, "name": "a"}]));
    project.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_one_feeds_and_both_know_the_lag() {
    let (at_master, at_slave) = (Place::postgres(), Place::sqlite());
    let (first, second) = (Project::new(), Project::new());
    let master = first.add("m", "master", &at_master, json!({})).await;
    run(master.as_ref(), &[TABLE, "INSERT INTO items VALUES (1, 'a')"]).await;
    first.add("s", "slave", &at_slave, json!({})).await;
    let master = second.add("m", "master", &at_master, json!({})).await;
    let slave = second.add("s", "slave", &at_slave, json!({})).await;
    assert_eq!(second.status("s").feed, Some(FedBy::Managed));
    run(master.as_ref(), &["INSERT INTO items VALUES (2, 'b')"]).await;
    until_rows(slave.as_ref(), "SELECT count(*) AS n FROM items", json!([{"n": 2}])).await;
    second.until("the lag is known", |second| second.status("s").lag.is_some_and(|lag| lag < 5000)).await;
    first.manager.disconnect_all().await;
    run(master.as_ref(), &["INSERT INTO items VALUES (3, 'c')"]).await;
    until_rows(slave.as_ref(), "SELECT count(*) AS n FROM items", json!([{"n": 3}])).await;
    second.until("it feeds now", |second| second.status("s").lag == Some(0)).await;
    second.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_turns_the_feeds_round_and_loses_nothing() {
    let project = Project::new();
    let old = project.add("m", "master", &Place::postgres(), json!({})).await;
    run(old.as_ref(), &[TABLE, "INSERT INTO items VALUES (1, 'a'), (2, 'b')"]).await;
    let new = project.add("s", "slave", &Place::sqlite(), json!({"lagTolerance": 0})).await;
    let third = project.add("t", "slave", &Place::sqlite(), json!({})).await;
    run(old.as_ref(), &["INSERT INTO items VALUES (3, 'c')", "DELETE FROM items WHERE id = 1"]).await;
    let promoted = project.manager.promote_to_master("p", "s", false).await.unwrap().unwrap();
    assert_eq!((promoted.old_master.as_deref(), promoted.missing_bytes), (Some("m"), Some(0)));
    assert_eq!(project.status("m").role, Role::Slave);
    let refused = old.execute_run("INSERT INTO items VALUES (4, 'd')", Vec::new()).await;
    assert!(refused.is_err_and(|error| error.kind() == data::ErrorKind::ReadOnly));
    run(new.as_ref(), &["INSERT INTO items VALUES (5, 'e')", "DELETE FROM items WHERE id = 2"]).await;
    let expected = json!([{"id": 3, "name": "c"}, {"id": 5, "name": "e"}]);
    for slave in [&old, &third] {
        until_rows(slave.as_ref(), ITEMS, expected.clone()).await;
    }
    project
        .until("the old master serves reads", |project| {
            project.status("m").lag == Some(0) && project.status("m").feed == Some(FedBy::Managed)
        })
        .await;
    let reads: Vec<_> = (0..4).filter_map(|_| project.manager.next_read("p", None)).collect();
    assert!(reads.iter().any(|name| name == "m") && reads.iter().any(|name| name == "t"), "{reads:?}");
    assert!(!project.was_told(|event| event["event"] == "rows.lost"));
    let slots = "SELECT count(*)::int AS n FROM pg_replication_slots WHERE database = current_database()";
    assert_eq!(rows(old.as_ref(), slots).await[0]["n"], 0);
    project.manager.promote_to_master("p", "m", false).await.unwrap().unwrap();
    run(old.as_ref(), &["INSERT INTO items VALUES (6, 'f')"]).await;
    for slave in [&new, &third] {
        until_rows(
            slave.as_ref(),
            "SELECT id FROM items ORDER BY id",
            json!([{"id": 3}, {"id": 5}, {"id": 6}]),
        )
        .await;
    }
    project.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_only_a_master_of_before_holds_are_told_with_their_keys_and_given_up() {
    let (at_old, at_new) = (Place::sqlite(), Place::sqlite());
    let project = Project::new();
    let old = project.add("m", "master", &at_old, json!({})).await;
    run(old.as_ref(), &[TABLE, "INSERT INTO items VALUES (1, 'a')"]).await;
    let new = project.add("s", "slave", &at_new, json!({})).await;
    until_rows(new.as_ref(), ITEMS, json!([{"id": 1, "name": "a"}])).await;
    project.manager.promote_to_master("p", "s", false).await.unwrap().unwrap();
    project.until("it is fed", |project| project.status("m").feed == Some(FedBy::Managed)).await;
    project.manager.disconnect_all().await;
    // Another program still writes to the old master, and a process that knows of neither comes after it.
    let outside = Project::new();
    let writer = outside.add("x", "master", &at_old, json!({})).await;
    run(
        writer.as_ref(),
        &["INSERT INTO items VALUES (8, 'lost')", "UPDATE items SET name = 'lost too' WHERE id = 1"],
    )
    .await;
    outside.manager.disconnect_all().await;
    let again = Project::new();
    let new = again.add("s", "master", &at_new, json!({})).await;
    run(new.as_ref(), &["UPDATE replicaverse_member SET standing = 3"]).await;
    let old = again.add("m", "slave", &at_old, json!({})).await;
    until_rows(old.as_ref(), ITEMS, json!([{"id": 1, "name": "a"}])).await;
    assert!(again.was_told(|event| {
        event["event"] == "rows.lost" && event["count"] == 2 && event["keys"] == json!(["1", "8"])
    }));
    again.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_after_a_write_goes_to_a_fed_slave_once_it_has_the_write() {
    for place in [Place::postgres(), Place::sqlite()] {
        let project = Project::new();
        let master = project.add("m", "master", &place, json!({})).await;
        run(master.as_ref(), &[TABLE]).await;
        project.add("s", "slave", &Place::sqlite(), json!({})).await;
        run(master.as_ref(), &["INSERT INTO items VALUES (1, 'mine')"]).await;
        let token = project.manager.write_token("p").await.unwrap().to_string();
        let token = WriteToken::parse(&token).unwrap();
        project
            .until("the slave has it", |project| {
                project.manager.next_read("p", Some(&token)).as_deref() == Some("s")
            })
            .await;
        project.manager.disconnect_all().await;
    }
}

/// Brings no server back.
struct NeverRewinds;

#[async_trait]
impl Rewinder for NeverRewinds {
    async fn rewind(&self, _request: RewindRequest) -> Result<(), String> {
        Err("not today".to_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_only_an_old_master_has_are_told_once_when_it_cannot_be_rewound() {
    let cluster = own_cluster("");
    let place = Place::postgres_on(&cluster);
    let project = Project::new();
    project.manager.set_rewinder(Arc::new(NeverRewinds));
    let master = project.add("m", "master", &place, json!({})).await;
    run(master.as_ref(), &[TABLE, "INSERT INTO items VALUES (1, 'a')"]).await;
    let server = cluster.start_standby("");
    let mut standby = place.clone();
    standby.uri = place.uri.replace(&format!(":{}/", cluster.port()), &format!(":{}/", server.port()));
    project.add("s", "slave", &standby, json!({"schemaStrategy": "none"})).await;
    // What is committed from here on does not come to the standby.
    server.psql("ALTER SYSTEM SET primary_conninfo = ''");
    server.psql("SELECT pg_reload_conf()");
    let receivers = "SELECT count(*) AS n FROM pg_stat_replication";
    until_rows(master.as_ref(), receivers, json!([{"n": 0}])).await;
    run(master.as_ref(), &["INSERT INTO items VALUES (2, 'lost')"]).await;
    project.manager.promote_to_master("p", "s", true).await.unwrap().unwrap();
    until_rows(master.as_ref(), ITEMS, json!([{"id": 1, "name": "a"}])).await;
    assert!(project.was_told(|event| {
        event["warning"].as_str().is_some_and(|warning| warning.contains("could not be rewound (not today)"))
    }));
    let events = project.events.lock().unwrap().clone();
    let lost: Vec<&Json> = events.iter().filter(|event| event["event"] == "rows.lost").collect();
    assert!(lost.len() == 1 && lost[0]["keys"] == json!(["2"]), "{lost:?}");
    project.manager.disconnect_all().await;
}
