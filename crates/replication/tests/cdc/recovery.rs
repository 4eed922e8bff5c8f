//! Connections that break, servers that forget, and logs that lie idle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::world::{PATIENCE, Pair, Place, Witness, World, own_cluster, rows, run};

const TABLE: &str = "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT)";
const ITEMS: &str = "SELECT id, name FROM items ORDER BY id";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_goes_on_after_its_connections_were_cut() {
    let pair = Pair::postgres_to_postgres();
    let world = World::new(&pair, &[TABLE]).await;
    let witness = Arc::new(Witness::default());
    world.manager.start("r", Arc::clone(&witness) as _).await.unwrap();
    world.audit(&pair).await;
    for round in 0..4 {
        world.run(&[&format!("INSERT INTO items VALUES ({round}, 'before')")]).await;
        let end = if round % 2 == 0 { &pair.source } else { &pair.target };
        end.cut_connections();
        insert(&world, round + 100).await;
        world.until_same(ITEMS).await;
    }
    witness
        .until("it was tried again", |event| event["type"] == "state" && event["state"] == "retrying")
        .await;
    world.manager.disconnect_all().await;
    let seen = World::reopened(&pair).await;
    seen.assert_no_overlap().await;
}

/// Inserts a row over a connection that may have been cut.
async fn insert(world: &World, id: i32) {
    let sql = format!("INSERT INTO items VALUES ({id}, 'after') ON CONFLICT DO NOTHING");
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = world.source.execute_run(&sql, Vec::new()).await {
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_1_an_idle_rule_lets_the_source_forget_its_log() {
    let pair = Pair::postgres_to_sqlite();
    let others = ["CREATE SCHEMA other", "CREATE TABLE other.busy (id BIGINT)", TABLE];
    let world = World::with(&pair, &others, json!({"collections": ["items"]})).await;
    world.manager.start("r", Arc::new(Witness::default())).await.unwrap();
    let confirmed = "SELECT CAST(confirmed_flush_lsn - '0/0' AS BIGINT) AS at FROM pg_replication_slots
                     WHERE database = current_database()";
    let before = rows(world.source.as_ref(), confirmed).await[0]["at"].as_u64().unwrap();
    world.run(&["INSERT INTO other.busy SELECT generate_series(1, 50000)"]).await;
    let head = rows(world.source.as_ref(), "SELECT CAST(pg_current_wal_lsn() - '0/0' AS BIGINT) AS at").await;
    let head = head[0]["at"].as_u64().unwrap();
    assert!(head > before + 1_000_000);
    let deadline = Instant::now() + PATIENCE;
    while rows(world.source.as_ref(), confirmed).await[0]["at"].as_u64().unwrap() < head {
        assert!(Instant::now() < deadline, "the slot stays where it was");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_6_a_slot_that_was_invalidated_is_a_typed_error_and_resync_repairs() {
    let limits = "max_slot_wal_keep_size = 1MB\nmin_wal_size = 32MB\nmax_wal_size = 32MB\n";
    let cluster = own_cluster(limits);
    let pair = Pair { source: Place::postgres_on(&cluster), target: Place::sqlite() };
    let fill = "INSERT INTO items VALUES (1, 'a'), (2, 'b')";
    let world = World::with(&pair, &[TABLE, fill], json!({"collections": ["items"]})).await;
    world.sync().await;
    run(world.target.as_ref(), &["INSERT INTO items VALUES (99, 'only here')"]).await;
    let lost = "SELECT wal_status FROM pg_replication_slots WHERE database = current_database()";
    let deadline = Instant::now() + PATIENCE;
    world.run(&["INSERT INTO items VALUES (3, 'c')", "UPDATE items SET name = 'changed' WHERE id = 1"]).await;
    world.run(&["CREATE TABLE noise (text TEXT)"]).await;
    while rows(world.source.as_ref(), lost).await != json!([{"wal_status": "lost"}]) {
        assert!(Instant::now() < deadline, "the slot is kept");
        world
            .run(&["INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 20000)", "CHECKPOINT"])
            .await;
        world.run(&["TRUNCATE noise"]).await;
        rows(world.source.as_ref(), "SELECT pg_switch_wal()").await;
    }
    let error = world.manager.sync("r", None).await.unwrap_err();
    assert_eq!(error.code(), "ERR_LOG_LOST", "{error}");
    let error = world.manager.start("r", Arc::new(Witness::default())).await.unwrap_err();
    assert_eq!(error.code(), "ERR_LOG_LOST", "{error}");
    assert_eq!(world.manager.running()[0].state, replication::RunState::Lost);
    world.manager.resync("r", None).await.unwrap();
    world.assert_same("SELECT id, name FROM items WHERE id < 99 ORDER BY id").await;
    assert_eq!(world.at_target("SELECT id FROM items WHERE id = 99").await, json!([{"id": 99}]));
    world.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_2_a_slot_that_was_made_anew_is_not_taken_for_the_old_one() {
    let pair = Pair::postgres_to_sqlite();
    let world = World::new(&pair, &[TABLE, "INSERT INTO items VALUES (1, 'a')"]).await;
    world.sync().await;
    let name = rows(
        world.source.as_ref(),
        "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()",
    )
    .await;
    let name = name[0]["slot_name"].as_str().unwrap().to_owned();
    rows(world.source.as_ref(), &format!("SELECT pg_drop_replication_slot('{name}')")).await;
    world.run(&["INSERT INTO items VALUES (2, 'lost to the slot')"]).await;
    rows(world.source.as_ref(), &format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')"))
        .await;
    world.run(&["INSERT INTO items VALUES (3, 'c')"]).await;
    let error = world.manager.sync("r", None).await.unwrap_err();
    assert_eq!(error.code(), "ERR_LOG_LOST", "{error}");
    world.manager.resync("r", None).await.unwrap();
    world.assert_same(ITEMS).await;
}
