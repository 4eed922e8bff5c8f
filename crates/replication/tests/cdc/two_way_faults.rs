//! Bidirectional rules whose sides are restored, replaced, or left behind by a removal that was cut off.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;
use replication::{CdcEvent, CdcObserver, Resolution, RowVersions};
use serde_json::json;

use crate::two_way::{begun, conflicts, names, opened, start, until_equal, write};
use crate::world::{PATIENCE, Pair, Place, Server, Witness, rows, run, until_rows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_side_that_was_restored_is_not_taken_for_one_that_has_deleted_rows() {
    for restores_source in [true, false] {
        let pair = Pair::sqlite_to_sqlite();
        let world = begun(&pair, json!({})).await;
        write(world.source.as_ref(), 1, Some("kept")).await;
        world.sync().await;
        world.manager.disconnect_all().await;
        let file = if restores_source { &pair.source.uri } else { &pair.target.uri };
        let backup = std::fs::read(file).unwrap();
        let world = opened(&pair, json!({})).await;
        for id in 2..=4 {
            write(world.source.as_ref(), id, Some("lost at one side")).await;
            world.sync().await;
        }
        world.manager.disconnect_all().await;
        std::fs::write(file, backup).unwrap();
        let world = opened(&pair, json!({})).await;
        let (restored, other) = match restores_source {
            true => (&world.source, &world.target),
            false => (&world.target, &world.source),
        };
        // It has more changes by now than when the backup was made.
        for id in 5..=9 {
            write(restored.as_ref(), id, Some("new")).await;
        }
        let error = world.manager.sync("r", None).await.unwrap_err();
        assert_eq!(error.code(), "ERR_LOG_LOST", "{error}");
        assert!(error.to_string().contains("as after a restore"), "{error}");
        assert_eq!(names(other.as_ref()).await.len(), 4, "nothing was deleted");
        let stats = world.manager.resync("r", None).await.unwrap();
        assert_eq!(stats.errors, 0, "{stats:?}");
        assert_eq!(until_equal(&world).await.len(), 9);
        assert_eq!(conflicts(&world).await, []);
        // From here on deletions are known again.
        write(other.as_ref(), 2, None).await;
        world.sync().await;
        assert_eq!(until_equal(&world).await.len(), 8);
        assert_eq!(world.counts().await, (0, 0, 0, 0, 0));
        world.manager.disconnect_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_another_timeline_is_united_anew_and_loses_nothing() {
    let pair = Pair::postgres_to_sqlite();
    let world = begun(&pair, json!({})).await;
    for id in 1..=2 {
        write(world.source.as_ref(), id, Some("first")).await;
    }
    world.sync().await;
    // As if the server that was read had been another one than the one that is there now.
    let other =
        "UPDATE replicaverse_checkpoint SET history = replace(history, '\"course\":\"0', '\"course\":\"F')";
    run(world.target.as_ref(), &[other]).await;
    let history = world.at_target("SELECT history FROM replicaverse_checkpoint").await;
    assert!(history[0]["history"].as_str().unwrap().contains("\"course\":\"F000000"), "{history}");
    write(world.source.as_ref(), 1, None).await;
    let error = world.manager.sync("r", None).await.unwrap_err();
    assert_eq!(error.code(), "ERR_LOG_LOST", "{error}");
    assert!(error.to_string().contains("another timeline"), "{error}");
    world.manager.resync("r", None).await.unwrap();
    assert_eq!(until_equal(&world).await.len(), 2, "what one side lacks comes back to it");
    write(world.source.as_ref(), 1, None).await;
    world.sync().await;
    assert_eq!(until_equal(&world).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_was_cut_off_is_finished_by_the_next() {
    let pair = Pair::postgres_to_postgres();
    let world = begun(&pair, json!({})).await;
    write(world.source.as_ref(), 1, Some("first")).await;
    world.sync().await;
    // What an earlier removal has come to.
    let slots = "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()";
    rows(
        world.source.as_ref(),
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()",
    )
    .await;
    run(world.target.as_ref(), &["DELETE FROM replicaverse_checkpoint"]).await;
    world.manager.remove_rule("r").await.unwrap();
    world.manager.disconnect_all().await;
    assert_eq!(world.manager.take_removal_failures().len(), 0);
    let world = opened(&pair, json!({})).await;
    assert_eq!(rows(world.target.as_ref(), slots).await, json!([]));
    assert_eq!(rows(world.source.as_ref(), "SELECT * FROM replicaverse_checkpoint").await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_beside_another_process_waits_for_both_directions() {
    let pair = Pair::sqlite_to_sqlite();
    let streaming = begun(&pair, json!({})).await;
    start(&streaming, Arc::new(Witness::default())).await;
    let world = opened(&pair, json!({})).await;
    for id in 1..=3 {
        write(world.target.as_ref(), id, Some("from the target")).await;
        world.sync().await;
        assert!(names(world.source.as_ref()).await.contains_key(&id), "the source lacks {id} after a sync");
    }
    streaming.manager.disconnect_all().await;
    world.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_exchange_unique_values_on_one_side_do_so_on_the_other() {
    for pair in [Pair::postgres_to_postgres(), Pair::postgres_to_mariadb(), Pair::sqlite_to_sqlite()] {
        let world = opened(&pair, json!({})).await;
        let table = match pair.source.is_postgres() {
            true => "CREATE TABLE items (id BIGINT PRIMARY KEY, name VARCHAR(40), \"updatedAt\" TIMESTAMPTZ)",
            false => "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, \"updatedAt\" TEXT)",
        };
        let unique = "CREATE UNIQUE INDEX items_once ON items (name)";
        world.run(&[table, unique]).await;
        start(&world, Arc::new(Witness::default())).await;
        world.manager.stop("r").await.unwrap();
        run(world.target.as_ref(), &[unique]).await;
        for (id, name) in [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")] {
            write(world.source.as_ref(), id, Some(name)).await;
        }
        world.sync().await;
        // Two that exchange their values, and three of which each has that of the next.
        for (id, name) in [(1, "free"), (2, "a"), (1, "b"), (3, "free"), (5, "c"), (4, "e"), (3, "d")] {
            write(world.source.as_ref(), id, Some(name)).await;
        }
        let stats = world.sync().await;
        assert_eq!(stats.errors, 0, "{}: {stats:?}", pair.target.dialect);
        let expected = [(1, "b"), (2, "a"), (3, "d"), (4, "e"), (5, "c")];
        let expected = expected.map(|(id, name)| (id, name.to_owned())).into();
        assert_eq!(names(world.target.as_ref()).await, expected, "{}", pair.target.dialect);
        assert_eq!(world.counts().await, (0, 0, 0, 0, 0), "{}", pair.target.dialect);
        assert_eq!(conflicts(&world).await, []);
        world.manager.disconnect_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_come_or_go_on_both_sides_make_no_conflicts() {
    let pair = Pair::postgres_to_sqlite();
    let world = begun(&pair, json!({})).await;
    for id in 1..=4 {
        write(world.source.as_ref(), id, Some("first")).await;
    }
    world.sync().await;
    let rename = |id: i64, name: &str| format!("UPDATE items SET name = '{name}' WHERE id = {id}");
    let add = "ALTER TABLE items ADD COLUMN note TEXT DEFAULT 'none'";
    world.run(&[add, &rename(1, "with a note")]).await;
    run(world.target.as_ref(), &[add, &rename(2, "from the target")]).await;
    world.sync().await;
    assert_eq!(conflicts(&world).await, []);
    let drop = "ALTER TABLE items DROP COLUMN note";
    world.run(&[drop]).await;
    run(world.target.as_ref(), &[drop]).await;
    world.sync().await;
    world.run(&[&rename(3, "without it")]).await;
    world.sync().await;
    assert_eq!(conflicts(&world).await, []);
    let expected = [(1, "with a note"), (2, "from the target"), (3, "without it"), (4, "first")];
    assert_eq!(until_equal(&world).await, expected.map(|(id, name)| (id, name.to_owned())).into());
    // One that only one side was given comes to the other with what it holds.
    run(world.target.as_ref(), &["ALTER TABLE items ADD COLUMN place TEXT DEFAULT 'here'"]).await;
    world.sync().await;
    let places = rows(world.source.as_ref(), "SELECT DISTINCT place FROM items").await;
    assert_eq!(places, json!([{"place": "here"}]));
    assert_eq!(conflicts(&world).await, []);
    assert_eq!(world.counts().await, (0, 0, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_the_other_side_cannot_hold_is_set_aside_until_its_row_is_gone() {
    let pair = Pair::postgres_to_postgres();
    let world = opened(&pair, json!({})).await;
    world.run(&["CREATE TABLE items (id TEXT PRIMARY KEY, name TEXT)"]).await;
    run(world.target.as_ref(), &["CREATE TABLE items (id VARCHAR(3) PRIMARY KEY, name TEXT)"]).await;
    world.run(&["INSERT INTO items VALUES ('at first', 'x')"]).await;
    start(&world, Arc::new(Witness::default())).await;
    world.manager.stop("r").await.unwrap();
    assert_eq!(world.manager.dead_letters("r", 10).await.unwrap().count, 1);
    world.run(&["INSERT INTO items VALUES ('abc', 'y'), ('later', 'z')"]).await;
    world.sync().await;
    let letters = world.manager.dead_letters("r", 10).await.unwrap();
    let keys: Vec<&str> = letters.rows.iter().map(|letter| letter.key.as_str()).collect();
    assert!(letters.count == 2 && keys.contains(&"at first") && keys.contains(&"later"), "{letters:?}");
    assert_eq!(world.at_target("SELECT name FROM items").await, json!([{"name": "y"}]));
    world.run(&["DELETE FROM items WHERE id <> 'abc'"]).await;
    world.sync().await;
    assert_eq!(world.manager.dead_letters("r", 10).await.unwrap().count, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_the_other_server_cannot_read_is_set_aside_and_the_others_are_exchanged() {
    let pair = Pair { source: Place::logging_mariadb(), target: Place::postgres() };
    let world = opened(&pair, json!({})).await;
    let names = "SELECT name FROM items ORDER BY name";
    world
        .run(&[
            "CREATE TABLE items (id TIME PRIMARY KEY, name TEXT)",
            "INSERT INTO items VALUES ('23:00:00', 'a'), ('25:00:00', 'at first'), ('22:00:00', 'b')",
        ])
        .await;
    start(&world, Arc::new(Witness::default())).await;
    until_rows(world.target.as_ref(), names, json!([{"name": "a"}, {"name": "b"}])).await;
    world.run(&["INSERT INTO items VALUES ('26:00:00', 'later'), ('21:00:00', 'c')"]).await;
    let all = json!([{"name": "a"}, {"name": "b"}, {"name": "c"}]);
    until_rows(world.target.as_ref(), names, all).await;
    world.manager.stop("r").await.unwrap();
    assert_eq!(world.manager.dead_letters("r", 10).await.unwrap().count, 2);
    world.run(&["DELETE FROM items WHERE id > '24:00:00'"]).await;
    world.sync().await;
    assert_eq!(world.manager.dead_letters("r", 10).await.unwrap().count, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_of_new_columns_that_is_broken_off_goes_on_without_conflicts() {
    let pair = Pair::sqlite_to_sqlite();
    let world = begun(&pair, json!({"onRowError": "stop"})).await;
    for id in 1..=4 {
        write(world.source.as_ref(), id, Some("first")).await;
    }
    world.sync().await;
    // The comparison ends at a row that one side refuses for now.
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON items WHEN NEW.name = 'refused'
                  BEGIN SELECT RAISE(ABORT, 'not now'); END";
    let add = "ALTER TABLE items ADD COLUMN note TEXT DEFAULT 'none'";
    run(world.target.as_ref(), &[refuse, add, "UPDATE items SET name = 'from the target' WHERE id = 2"])
        .await;
    world.run(&[add, "UPDATE items SET name = 'refused' WHERE id = 1"]).await;
    for _ in 0..2 {
        let error = world.manager.sync("r", None).await.unwrap_err();
        assert_eq!(error.code(), "ERR_ROW_REFUSED", "{error}");
    }
    run(world.target.as_ref(), &["DROP TRIGGER refuse"]).await;
    world.sync().await;
    let expected = [(1, "refused"), (2, "from the target"), (3, "first"), (4, "first")];
    assert_eq!(until_equal(&world).await, expected.map(|(id, name)| (id, name.to_owned())).into());
    assert_eq!(conflicts(&world).await, []);
    assert_eq!(world.counts().await, (0, 0, 0, 0, 0));
    world.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_were_set_aside_are_tried_again_beside_thousands_that_cannot_be_held() {
    let pair = Pair::postgres_to_postgres();
    let world = opened(&pair, json!({})).await;
    world.run(&["CREATE TABLE items (id TEXT PRIMARY KEY, name TEXT)"]).await;
    run(
        world.target.as_ref(),
        &["CREATE TABLE items (id VARCHAR(4) PRIMARY KEY, name TEXT, CHECK (name <> 'refused'))"],
    )
    .await;
    let unheld = "INSERT INTO items SELECT 'much too long ' || n, 'x' FROM generate_series(1, 1500) AS n";
    let refused = "INSERT INTO items SELECT n, 'refused' FROM generate_series(1, 1200) AS n";
    world.run(&[unheld, refused]).await;
    start(&world, Arc::new(Witness::default())).await;
    world.manager.stop("r").await.unwrap();
    assert_eq!(world.manager.dead_letters("r", 0).await.unwrap().count, 2700);
    run(world.target.as_ref(), &["ALTER TABLE items DROP CONSTRAINT items_name_check"]).await;
    world.sync().await;
    assert_eq!(world.at_target("SELECT count(*) AS n FROM items").await, json!([{"n": 1200}]));
    assert_eq!(world.manager.dead_letters("r", 0).await.unwrap().count, 1500);
    // Keys that cannot be held are gone with all rows of their table.
    world.run(&["TRUNCATE items", "INSERT INTO items VALUES ('also too long', 'y'), ('held', 'z')"]).await;
    world.sync().await;
    let letters = world.manager.dead_letters("r", 10).await.unwrap();
    let keys: Vec<&str> = letters.rows.iter().map(|letter| letter.key.as_str()).collect();
    assert_eq!((letters.count, keys), (1, vec!["also too long"]));
    assert_eq!(world.at_target("SELECT id FROM items").await, json!([{"id": "held"}]));
    world.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_exchange_unique_values_keep_the_fields_that_the_rule_does_not_know() {
    let pair = Pair { source: Place::postgres(), target: Place::mongodb() };
    let database = Server::replica_set().database(pair.target.database()).await;
    let world = opened(&pair, json!({})).await;
    let table = "CREATE TABLE items (id BIGINT PRIMARY KEY, name VARCHAR(40) UNIQUE DEFERRABLE, \"updatedAt\" TIMESTAMPTZ)";
    world.run(&[table]).await;
    for (id, name) in [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")] {
        write(world.source.as_ref(), id, Some(name)).await;
    }
    start(&world, Arc::new(Witness::default())).await;
    let items = database.collection::<Document>("items");
    let once = IndexOptions::builder().unique(true).build();
    items.create_index(IndexModel::builder().keys(doc! {"name": 1}).options(once).build()).await.unwrap();
    items.update_many(doc! {}, doc! {"$set": {"extra": {"deep": 7}}}).await.unwrap();
    // Two that exchange their values, and three of which each has that of the next, in one transaction.
    let exchange = "UPDATE items SET \"updatedAt\" = now(), name = CASE id
                    WHEN 1 THEN 'b' WHEN 2 THEN 'a' WHEN 3 THEN 'd' WHEN 4 THEN 'e' ELSE 'c' END";
    world.run(&[exchange]).await;
    let expected = [(1, "b"), (2, "a"), (3, "d"), (4, "e"), (5, "c")];
    assert_eq!(until_equal(&world).await, expected.map(|(id, name)| (id, name.to_owned())).into());
    world.manager.stop("r").await.unwrap();
    assert_eq!(world.manager.dead_letters("r", 10).await.unwrap().count, 0);
    let kept = items.count_documents(doc! {"extra": {"deep": 7}}).await.unwrap();
    assert_eq!(kept, 5, "fields that the rule does not know");
    assert_eq!(conflicts(&world).await, []);
    world.manager.disconnect_all().await;
}

/// Gives every row that is asked for another primary key.
struct Moving;

#[async_trait]
impl CdcObserver for Moving {
    fn on(&self, _event: CdcEvent) {}

    async fn resolve(&self, _conflict: RowVersions) -> Result<Resolution, String> {
        let row = json!({"id": 99, "name": "moved"});
        Ok(Resolution::Row(row.as_object().unwrap().clone()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_that_moves_a_row_to_another_key_is_refused_and_both_sides_keep_theirs() {
    let pair = Pair::sqlite_to_sqlite();
    let world = begun(&pair, json!({"conflictResolution": "resolve"})).await;
    write(world.source.as_ref(), 1, Some("first")).await;
    start(&world, Arc::new(Moving)).await;
    until_equal(&world).await;
    world.manager.stop("r").await.unwrap();
    write(world.source.as_ref(), 1, Some("a")).await;
    write(world.target.as_ref(), 1, Some("b")).await;
    start(&world, Arc::new(Moving)).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let letters = world.manager.dead_letters("r", 10).await.unwrap();
        if letters.count == 1 {
            assert!(letters.rows[0].error.contains("\"id\" is of the primary key"), "{letters:?}");
            break;
        }
        assert!(Instant::now() < deadline, "{letters:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(names(world.source.as_ref()).await.get(&1).unwrap(), "a");
    assert_eq!(names(world.target.as_ref()).await.get(&1).unwrap(), "b");
    world.manager.disconnect_all().await;
}
