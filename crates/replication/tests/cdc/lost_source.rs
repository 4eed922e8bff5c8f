//! Rules whose log is lost, because another database has become their source or the log itself has gone: what was deleted at the
//! source unseen is deleted, and what the source never had stays.

use std::sync::Arc;
use std::time::{Duration, Instant};

use data::Dialect;
use replication::{Manager, Repair, ReplicaConfig, Rule};
use serde_json::{Value as Json, json};

use crate::world::{PATIENCE, Place, Witness, rows, run, until_rows};

const TABLES: [&str; 2] = [
    "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT)",
    "CREATE TABLE notes (id BIGINT PRIMARY KEY, name TEXT)",
];
const IDS: &str = "SELECT id FROM items ORDER BY id";

/// A project `p` with a master and a slave, and the rule `r` from it to the project `t`.
struct Projects {
    manager: Arc<Manager>,
    master: Arc<dyn Dialect>,
    slave: Arc<dyn Dialect>,
    target: Arc<dyn Dialect>,
    places: Vec<Place>,
}

impl Projects {
    async fn new(slave_feed: &str, fields: Json) -> Self {
        let places = vec![Place::postgres(), Place::sqlite(), Place::sqlite()];
        let manager = Arc::new(Manager::new());
        manager.set_lag_interval(50).unwrap();
        let add = async |project: &str, name: &str, role: &str, place: &Place, feed: &str| {
            let config = json!({
                "name": name, "role": role, "dialect": place.dialect, "uri": place.uri, "feed": feed,
            });
            let config = ReplicaConfig::from_json(config).unwrap();
            manager.add_replica(project, config, Vec::new()).await.unwrap()
        };
        let master = add("p", "m", "master", &places[0], "auto").await;
        run(master.as_ref(), &TABLES).await;
        run(
            master.as_ref(),
            &[
                "INSERT INTO items SELECT n, 'row ' || n FROM generate_series(1, 40) AS n",
                "INSERT INTO notes SELECT n, 'row ' || n FROM generate_series(1, 5) AS n",
            ],
        )
        .await;
        let slave = add("p", "s", "slave", &places[1], slave_feed).await;
        let target = add("t", "t", "master", &places[2], "auto").await;
        let mut rule = json!({
            "name": "r", "source": "p", "target": "t", "mode": "cdc", "collections": ["items", "notes"],
        });
        for (name, value) in fields.as_object().unwrap() {
            rule[name] = value.clone();
        }
        manager.add_rule(Rule::from_json(rule).unwrap()).unwrap();
        Self { manager, master, slave, target, places }
    }

    /// Has the log vanish that is kept for the rule.
    async fn drop_slot(&self) {
        let sql = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
                   WHERE database = current_database()";
        rows(self.master.as_ref(), sql).await;
    }

    async fn ids(&self) -> Vec<i64> {
        let found = rows(self.target.as_ref(), IDS).await;
        found.as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_deleted_while_the_slot_was_gone_are_deleted_and_rows_that_the_source_never_had_stay() {
    let world = Projects::new("none", json!({})).await;
    world.manager.sync("r", None).await.unwrap();
    run(world.target.as_ref(), &["INSERT INTO items VALUES (1000, 'own')"]).await;
    run(
        world.master.as_ref(),
        &[
            "INSERT INTO items VALUES (41, 'new'), (42, 'new')",
            "DELETE FROM items WHERE id = 2",
            "UPDATE items SET id = 50 WHERE id = 3",
            "TRUNCATE notes",
            "INSERT INTO notes VALUES (7, 'after')",
        ],
    )
    .await;
    world.manager.sync("r", None).await.unwrap();
    run(world.target.as_ref(), &["INSERT INTO items VALUES (1001, 'own too')"]).await;
    world.drop_slot().await;
    run(
        world.master.as_ref(),
        &[
            "DELETE FROM items WHERE id BETWEEN 5 AND 30 OR id = 41",
            "INSERT INTO items VALUES (60, 'unseen')",
            "DELETE FROM notes",
        ],
    )
    .await;
    let stats = world.manager.sync("r", None).await.unwrap();
    assert_eq!(stats.details.iter().map(|part| part.deleted).sum::<u64>(), 28, "{stats:?}");
    let expected: Vec<i64> = [1, 4].into_iter().chain(31..=40).chain([42, 50, 60, 1000, 1001]).collect();
    assert_eq!(world.ids().await, expected);
    assert_eq!(rows(world.target.as_ref(), "SELECT id FROM notes").await, json!([]));
    // What is known of the rule's rows is known again afterwards.
    run(world.master.as_ref(), &["DELETE FROM items WHERE id = 60"]).await;
    world.drop_slot().await;
    run(world.master.as_ref(), &["DELETE FROM items WHERE id = 50"]).await;
    world.manager.sync("r", None).await.unwrap();
    let expected: Vec<i64> = [1, 4].into_iter().chain(31..=40).chain([42, 1000, 1001]).collect();
    assert_eq!(world.ids().await, expected);
    world.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_goes_on_at_a_slave_that_is_promoted_without_rows_that_were_deleted_unseen() {
    let world = Projects::new("managed", json!({})).await;
    world.manager.start("r", Arc::new(Witness::default())).await.unwrap();
    run(world.target.as_ref(), &["INSERT INTO items VALUES (1000, 'own')"]).await;
    run(world.master.as_ref(), &["DELETE FROM items WHERE id <= 10"]).await;
    let count = "SELECT count(*) AS n FROM items";
    until_rows(world.target.as_ref(), count, json!([{"n": 31}])).await;
    world.manager.stop("r").await.unwrap();
    run(world.master.as_ref(), &["DELETE FROM items WHERE id <= 12", "INSERT INTO items VALUES (41, 'new')"])
        .await;
    until_rows(world.slave.as_ref(), count, json!([{"n": 29}])).await;
    world.manager.promote_to_master("p", "s", false).await.unwrap().unwrap();
    world.manager.start("r", Arc::new(Witness::default())).await.unwrap();
    let expected: Vec<i64> = (13..=41).chain([1000]).collect();
    assert_eq!(world.ids().await, expected);
    run(world.slave.as_ref(), &["DELETE FROM items WHERE id = 13", "INSERT INTO items VALUES (43, 'b')"])
        .await;
    let verdict = async || world.manager.verify("r", Repair::None).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while world.ids().await.contains(&13) {
        assert!(Instant::now() < deadline, "the rule does not stream from the new master");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let extra: u64 = verdict().await.collections.iter().map(|part| part.extra).sum();
    assert_eq!(extra, 1);
    world.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_cannot_be_told_whose_rows_they_are_none_is_deleted() {
    let world = Projects::new("none", json!({})).await;
    world.manager.sync("r", None).await.unwrap();
    // A row of the rule that somebody else has deleted makes its account wrong.
    run(
        world.target.as_ref(),
        &["DELETE FROM items WHERE id = 20", "INSERT INTO items VALUES (1000, 'own')"],
    )
    .await;
    world.drop_slot().await;
    run(world.master.as_ref(), &["DELETE FROM items WHERE id = 1", "DELETE FROM notes WHERE id = 1"]).await;
    let stats = world.manager.sync("r", None).await.unwrap();
    let kept: Vec<i64> = (1..=40).chain([1000]).collect();
    assert_eq!(world.ids().await, kept);
    assert_eq!(rows(world.target.as_ref(), "SELECT min(id) AS id FROM notes").await, json!([{"id": 2}]));
    assert_eq!(stats.details[0].skips.len(), 2, "{stats:?}");
    world.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_rule_that_leaves_some_out_are_kept_as_the_log_does_not_tell_which_it_brought() {
    let world = Projects::new("none", json!({"where": {"items": {"id": {"$gt": 0}}}})).await;
    world.manager.sync("r", None).await.unwrap();
    world.drop_slot().await;
    run(world.master.as_ref(), &["DELETE FROM items WHERE id = 1"]).await;
    world.manager.sync("r", None).await.unwrap();
    assert_eq!(world.ids().await.len(), 40);
    world.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_master_forgets_a_rule_once_its_target_is_connected_again() {
    let world = Projects::new("managed", json!({})).await;
    world.manager.sync("r", None).await.unwrap();
    until_rows(world.slave.as_ref(), "SELECT count(*) AS n FROM items", json!([{"n": 40}])).await;
    world.manager.remove_replica("t", "t").await.unwrap();
    world.manager.promote_to_master("p", "s", false).await.unwrap().unwrap();
    run(world.slave.as_ref(), &["INSERT INTO items VALUES (41, 'new')"]).await;
    until_rows(world.master.as_ref(), "SELECT count(*) AS n FROM items", json!([{"n": 41}])).await;
    let slots = "SELECT count(*) AS n FROM pg_replication_slots WHERE database = current_database()";
    assert_eq!(rows(world.master.as_ref(), slots).await, json!([{"n": 1}]), "that of the rule");
    let config = json!({"name": "t", "role": "master", "dialect": "sqlite", "uri": world.places[2].uri});
    let config = ReplicaConfig::from_json(config).unwrap();
    world.manager.add_replica("t", config, Vec::new()).await.unwrap();
    until_rows(world.master.as_ref(), slots, json!([{"n": 0}])).await;
    world.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_does_not_pass_over_what_a_source_writes_that_was_restored() {
    let world = Projects::new("none", json!({})).await;
    world.manager.sync("r", None).await.unwrap();
    // As if the log had gone further when it was read than it does now.
    run(world.target.as_ref(), &["UPDATE replicaverse_checkpoint SET position = position + 1073741824"])
        .await;
    run(world.master.as_ref(), &["INSERT INTO items VALUES (41, 'after the restore')"]).await;
    let error = world.manager.sync("r", None).await.unwrap_err();
    assert_eq!(error.code(), "ERR_LOG_LOST", "{error}");
    assert!(error.to_string().contains("as after a restore"), "{error}");
    world.manager.resync("r", None).await.unwrap();
    assert_eq!(world.ids().await.len(), 41);
    world.manager.disconnect_all().await;
}
