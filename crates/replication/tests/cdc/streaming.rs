//! A rule that is started, stopped, run by several processes, and watched.

use std::sync::Arc;
use std::time::Instant;

use replication::{Error, Manager, Repair, RunState};
use serde_json::{Value as Json, json};

use crate::between_databases;
use crate::world::{PATIENCE, Pair, Place, Witness, World};

const TABLE: &str = "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT)";
const ITEMS: &str = "SELECT id, name FROM items ORDER BY id";

between_databases!(
    a_rule_that_is_started_applies_changes_as_they_come,
    a_rule_that_is_stopped_goes_on_when_it_is_started
);

async fn a_rule_that_is_started_applies_changes_as_they_come(pair: Pair) {
    let world = World::new(&pair, &[TABLE, "INSERT INTO items VALUES (1, 'a')"]).await;
    let witness = Arc::new(Witness::default());
    world.manager.start("r", Arc::clone(&witness) as _).await.unwrap();
    world.assert_same(ITEMS).await;
    assert_eq!(world.manager.running()[0].state, RunState::Streaming);
    world.run(&["INSERT INTO items VALUES (2, 'b')", "DELETE FROM items WHERE id = 1"]).await;
    world.until_same(ITEMS).await;
    witness
        .until("a deletion is told", |event| event["type"] == "change" && event["operation"] == "delete")
        .await;
    witness.until("the lag is told", |event| event["type"] == "lag" && event["lagMs"].is_u64()).await;
    let again = world.manager.start("r", Arc::clone(&witness) as _).await;
    assert!(matches!(again, Err(Error::RuleRunning(_))), "{again:?}");
    // What the stream does is not done again.
    world.run(&["INSERT INTO items VALUES (3, 'c')"]).await;
    assert_eq!(world.counts().await, (0, 0, 0, 0, 0));
    world.assert_same(ITEMS).await;
    world.manager.stop("r").await.unwrap();
    witness.until("the end is told", |event| event["type"] == "state" && event["state"] == "stopped").await;
    assert!(world.manager.running().is_empty());
    let stats = world.manager.stats("r").unwrap();
    assert_eq!((stats.details[0].created, stats.details[0].deleted), (3, 1));
}

async fn a_rule_that_is_stopped_goes_on_when_it_is_started(pair: Pair) {
    let world = World::new(&pair, &[TABLE]).await;
    world.manager.start("r", Arc::new(Witness::default())).await.unwrap();
    world.audit(&pair).await;
    for round in 0..3 {
        world.run(&[&format!("INSERT INTO items VALUES ({round}, 'while it runs')")]).await;
        world.until_same(ITEMS).await;
        world.manager.stop("r").await.unwrap();
        world.run(&[&format!("INSERT INTO items VALUES ({}, 'while it does not')", round + 10)]).await;
        world.manager.start("r", Arc::new(Witness::default())).await.unwrap();
        world.until_same(ITEMS).await;
    }
    world.manager.stop("r").await.unwrap();
    assert!(world.assert_no_overlap().await >= 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_managers_one_streams_and_the_other_takes_over() {
    for pair in [
        Pair { source: Place::postgres(), target: Place::sqlite() },
        Pair { source: Place::postgres(), target: Place::postgres() },
        Pair { source: Place::sqlite(), target: Place::sqlite() },
    ] {
        let first = World::new(&pair, &[TABLE, "INSERT INTO items VALUES (1, 'a')"]).await;
        first.manager.start("r", Arc::new(Witness::default())).await.unwrap();
        let second = World::new(&pair, &[]).await;
        second.manager.start("r", Arc::new(Witness::default())).await.unwrap();
        assert_eq!(state(&first.manager), RunState::Streaming);
        assert_eq!(state(&second.manager), RunState::Standby);
        second.run(&["INSERT INTO items VALUES (2, 'b')"]).await;
        second.until_same(ITEMS).await;
        // It dies without a word: its tasks are cut off and its lease runs out.
        let World { manager, .. } = first;
        drop(manager);
        second.run(&["INSERT INTO items VALUES (3, 'c')"]).await;
        let died = Instant::now();
        while state(&second.manager) != RunState::Streaming {
            assert!(died.elapsed() < PATIENCE, "nobody took over");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        second.until_same(ITEMS).await;
        second.manager.disconnect_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_waits_for_the_process_that_streams() {
    let pair = Pair::postgres_to_sqlite();
    let first = World::new(&pair, &[TABLE]).await;
    first.manager.start("r", Arc::new(Witness::default())).await.unwrap();
    let second = World::new(&pair, &[]).await;
    second.run(&["INSERT INTO items VALUES (1, 'a')"]).await;
    assert_eq!(second.counts().await, (0, 0, 0, 0, 0));
    second.assert_same(ITEMS).await;
    first.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_is_removed_leaves_nothing_at_its_source() {
    for pair in [Pair::postgres_to_sqlite(), Pair::sqlite_to_sqlite()] {
        let world = World::new(&pair, &[TABLE]).await;
        world.manager.start("r", Arc::new(Witness::default())).await.unwrap();
        world.manager.remove_rule("r").await.unwrap();
        let seen = World::reopened(&pair).await;
        world.manager.disconnect_all().await;
        let failures = world.manager.take_removal_failures();
        assert!(failures.is_empty(), "{failures:?}");
        let query = if pair.source.is_postgres() {
            "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()
             UNION ALL SELECT pubname FROM pg_publication"
        } else {
            "SELECT name FROM sqlite_schema WHERE name LIKE 'replicaverse%'"
        };
        assert_eq!(crate::world::rows(seen.source.as_ref(), query).await, json!([]));
    }
}

fn state(manager: &Manager) -> RunState {
    manager.running()[0].state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_created_later_is_taken_along() {
    for pair in [Pair::postgres_to_sqlite(), Pair::sqlite_to_sqlite()] {
        let world = World::new(&pair, &[TABLE]).await;
        let witness = Arc::new(Witness::default());
        world.manager.start("r", Arc::clone(&witness) as _).await.unwrap();
        world
            .run(&[
                "CREATE TABLE keyless (n BIGINT)",
                "CREATE TABLE without_key (n BIGINT)",
                "CREATE TABLE later (id BIGINT PRIMARY KEY, n BIGINT)",
                "INSERT INTO later VALUES (1, 10), (2, 20)",
            ])
            .await;
        let begun = Instant::now();
        while world.target.tables().unwrap().describe("later").await.unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "the table was not taken along");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        world.run(&["UPDATE later SET n = 11 WHERE id = 1", "INSERT INTO later VALUES (3, 30)"]).await;
        world.until_same("SELECT id, n FROM later ORDER BY id").await;
        for table in ["keyless", "without_key"] {
            let is_told = |event: &Json| {
                event["code"] == "ERR_NO_PRIMARY_KEY" && event["message"].as_str().unwrap().contains(table)
            };
            witness.until("the table without a key is told of", is_told).await;
        }
        world.manager.disconnect_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_takes_the_place_of_another_one_is_read_from_then_on() {
    let pair = Pair { source: Place::postgres(), target: Place::sqlite() };
    let world = World::with(&pair, &[TABLE], json!({ "collections": ["items"] })).await;
    world.manager.start("r", Arc::new(Witness::default())).await.unwrap();
    world.run(&["INSERT INTO items VALUES (1, 'old')"]).await;
    world.until_same(ITEMS).await;
    world
        .run(&[
            "CREATE TABLE items_new (id BIGINT PRIMARY KEY, name TEXT)",
            "INSERT INTO items_new SELECT * FROM items",
            "ALTER TABLE items RENAME TO items_old",
            "ALTER TABLE items_new RENAME TO items",
            "INSERT INTO items VALUES (2, 'swapped')",
        ])
        .await;
    world.until_same(ITEMS).await;
    world.run(&["INSERT INTO items VALUES (3, 'and after')"]).await;
    world.until_same(ITEMS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_left_of_a_table_that_was_dropped_and_made_anew_are_told_of() {
    let pair = Pair { source: Place::postgres(), target: Place::sqlite() };
    let world = World::with(&pair, &[TABLE], json!({ "collections": ["items"] })).await;
    let witness = Arc::new(Witness::default());
    world.manager.start("r", Arc::clone(&witness) as _).await.unwrap();
    world.run(&["INSERT INTO items VALUES (1, 'old'), (2, 'old'), (3, 'old')"]).await;
    world.until_same(ITEMS).await;
    world
        .run(&["DO $$ BEGIN DROP TABLE items; CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT); \
             INSERT INTO items VALUES (1, 'new'); END $$"])
        .await;
    let are_told = |event: &Json| {
        event["code"] == "ERR_ROWS_KEPT"
            && event["message"].as_str().unwrap().contains("2 rows of the target")
    };
    witness.until("what only the target has is told of", are_told).await;
    world.manager.verify("r", Repair::RowsAndExtras).await.unwrap();
    world.assert_same(ITEMS).await;
    world.manager.disconnect_all().await;
}
