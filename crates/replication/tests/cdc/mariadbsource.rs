//! MariaDB as a source, by its binary log.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::world::{Dice, Pair, Place, Witness, World, rows, run};

const TABLE: &str =
    "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT, price DECIMAL(10, 2), long_text LONGTEXT)";
const ITEMS: &str = "SELECT id, name, price, long_text FROM items ORDER BY id";

fn pairs() -> [Pair; 4] {
    [
        Pair::mariadb_to_postgres(),
        Pair::mariadb_to_sqlite(),
        Pair::mariadb_to_mariadb(),
        Pair { source: Place::logging_mariadb(), target: Place::mongodb() },
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_target_follows_the_log() {
    for pair in pairs() {
        let fill = "INSERT INTO items VALUES (1, 'a', 1.5, NULL), (2, 'b', 2, 'x'), (3, 'c', NULL, NULL)";
        let world = World::new(&pair, &[TABLE, fill]).await;
        assert_eq!(world.counts().await, (3, 0, 0, 0, 0));
        world
            .run(&[
                "INSERT INTO items VALUES (4, 'd', 4, REPEAT('long', 5000))",
                "UPDATE items SET name = 'B' WHERE id = 2",
                "DELETE FROM items WHERE id = 1",
                "UPDATE items SET id = 30 WHERE id = 3",
            ])
            .await;
        let stats = world.sync().await;
        assert_eq!(stats.errors, 0, "{stats:?}");
        world.assert_verified().await;
        assert_eq!(world.counts().await, (0, 0, 0, 0, 0));
        world.run(&["TRUNCATE items", "INSERT INTO items VALUES (5, 'e', 5, NULL)"]).await;
        world.sync().await;
        world.assert_verified().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_are_followed() {
    for pair in [Pair::mariadb_to_postgres(), Pair::mariadb_to_sqlite()] {
        let world = World::new(&pair, &[TABLE, "INSERT INTO items VALUES (1, 'a', 1, NULL)"]).await;
        world.manager.start("r", Arc::new(Witness::default())).await.unwrap();
        world
            .run(&[
                "ALTER TABLE items ADD COLUMN size INT NOT NULL DEFAULT 7",
                "INSERT INTO items VALUES (2, 'b', 2, NULL, 8)",
            ])
            .await;
        world.until_same_when_there("SELECT id, size FROM items ORDER BY id", "items", "size").await;
        world
            .run(&[
                "ALTER TABLE items CHANGE name title TEXT",
                "INSERT INTO items VALUES (3, 'c', 3, NULL, 9)",
            ])
            .await;
        world.until_same_when_there("SELECT id, title FROM items ORDER BY id", "items", "title").await;
        world.manager.disconnect_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_lost_is_a_typed_error_and_resync_repairs() {
    let pair = Pair::mariadb_to_sqlite();
    let world = World::new(&pair, &[TABLE, "INSERT INTO items (id) VALUES (1), (2)"]).await;
    world.sync().await;
    world.run(&["DROP TABLE items", TABLE, "INSERT INTO items (id) VALUES (2), (3)"]).await;
    let error = world.manager.sync("r", None).await.unwrap_err();
    assert_eq!(error.code(), "ERR_LOG_LOST", "{error}");
    world.manager.resync("r", None).await.unwrap();
    world.assert_same("SELECT id FROM items WHERE id > 1 ORDER BY id").await;
    world.run(&["UPDATE items SET name = 'after' WHERE id = 2"]).await;
    assert_eq!(world.counts().await, (0, 1, 0, 0, 0));
}

/// A server may be made to log while a rule reads its triggers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_has_read_triggers_begins_anew_with_the_log() {
    let pair = Pair::mariadb_to_sqlite();
    let fill = "INSERT INTO items (id, name) VALUES (1, 'a')";
    let before = World::with(&pair, &[TABLE, fill], json!({"capture": "trigger"})).await;
    before.sync().await;
    before.run(&["INSERT INTO items (id, name) VALUES (2, 'b')"]).await;
    before.manager.disconnect_all().await;
    let after = World::new(&pair, &[]).await;
    after.run(&["UPDATE items SET name = 'A' WHERE id = 1"]).await;
    let stats = after.sync().await;
    assert_eq!(stats.errors, 0, "{stats:?}");
    after.assert_same(ITEMS).await;
    let triggers = rows(after.source.as_ref(), "SHOW TRIGGERS").await;
    assert_eq!(triggers, json!([]), "nothing is recorded any more");
    after.run(&["DELETE FROM items WHERE id = 1"]).await;
    assert_eq!(after.counts().await, (0, 0, 1, 0, 0));
}

fn random_statement(dice: &mut Dice) -> String {
    let (id, other, name) = (dice.roll(60), 60 + dice.roll(60), dice.roll(1000));
    match dice.roll(16) {
        0..=5 => format!(
            "INSERT INTO items VALUES ({id}, 'n{name}', {name}.25, REPEAT('long ', 200)) \
             ON DUPLICATE KEY UPDATE name = VALUES(name)"
        ),
        6..=9 => format!("UPDATE items SET name = 'u{name}', price = price + 1 WHERE id % 7 = {}", id % 7),
        10 | 11 => format!(
            "UPDATE items SET id = {other} WHERE id = {id} \
             AND NOT EXISTS (SELECT 1 FROM (SELECT id FROM items) AS own WHERE own.id = {other})"
        ),
        12 => format!("REPLACE INTO items VALUES ({id}, 'r{name}', NULL, NULL)"),
        13 if dice.roll(6) == 0 => "TRUNCATE items".to_owned(),
        _ => format!("DELETE FROM items WHERE id = {id}"),
    }
}

async fn survives(pair: Pair, seed: u64) {
    let mut dice = Dice::new(seed);
    let writer = World::new(&pair, &[TABLE, "INSERT INTO items VALUES (1, 'first', 1, 'x')"]).await;
    writer.sync().await;
    let is_audited = pair.target.dialect != "mongodb";
    if is_audited {
        writer.audit(&pair).await;
    }
    for _ in 0..5 {
        let dying = World::new(&pair, &[]).await;
        dying.manager.start("r", Arc::new(Witness::default())).await.unwrap();
        for _ in 0..dice.roll(60) {
            run(writer.source.as_ref(), &[&random_statement(&mut dice)]).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.roll(40))).await;
        // Its tasks are cut off where they are.
        drop(dying);
        for _ in 0..dice.roll(20) {
            run(writer.source.as_ref(), &[&random_statement(&mut dice)]).await;
        }
    }
    let last = writer.sync().await;
    assert_eq!(last.errors, 0, "{last:?}");
    writer.assert_verified().await;
    if is_audited {
        writer.assert_no_overlap().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_target_equals_its_source_after_crashes() {
    for (pair, seed) in pairs().into_iter().zip(1..) {
        survives(pair, seed).await;
    }
}
