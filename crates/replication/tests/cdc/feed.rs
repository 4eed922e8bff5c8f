//! Changes that an application reads itself.

use data::{Record, json_from_value};
use replication::RowOperation;
use serde_json::{Value as Json, json};

use crate::between_databases;
use crate::world::{Pair, World};

const TABLE: &str = "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT)";

between_databases!(changes_come_in_their_order, a_feed_that_is_closed_leaves_no_reader);

async fn changes_come_in_their_order(pair: Pair) {
    let world = World::new(&pair, &[TABLE, "INSERT INTO items VALUES (1, 'before')"]).await;
    let mut feed = world.manager.changes("r").await.unwrap();
    world
        .run(&[
            "INSERT INTO items VALUES (2, 'b')",
            "UPDATE items SET name = 'a' WHERE id = 1",
            "UPDATE items SET id = 3 WHERE id = 2",
            "DELETE FROM items WHERE id = 1",
        ])
        .await;
    let mut changes = Vec::new();
    while changes.len() < 4 {
        changes.extend(feed.next(2).await.unwrap());
    }
    let seen: Vec<_> = changes.iter().map(|change| (change.operation, plain(&change.key))).collect();
    let key = |id: i64| json!({"id": id});
    assert_eq!(
        seen,
        [
            (RowOperation::Insert, key(2)),
            (RowOperation::Update, key(1)),
            (RowOperation::Update, key(3)),
            (RowOperation::Delete, key(1)),
        ]
    );
    assert_eq!(changes[0].row.as_ref().map(plain), Some(json!({"id": 2, "name": "b"})));
    assert_eq!(changes[2].old_key.as_ref().map(plain), Some(key(2)));
    assert_eq!(changes[3].row, None);
    feed.close().await.unwrap();
}

fn plain(record: &Record) -> Json {
    record.iter().map(|(name, value)| (name.clone(), json_from_value(value))).collect()
}

async fn a_feed_that_is_closed_leaves_no_reader(pair: Pair) {
    let world = World::new(&pair, &[TABLE]).await;
    let feed = world.manager.changes("r").await.unwrap();
    feed.close().await.unwrap();
    let left = if pair.source.is_postgres() {
        "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()"
    } else if pair.source.dialect == "mariadb" {
        "SELECT TABLE_NAME FROM information_schema.TABLES
         WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'replicaverse%'"
    } else {
        "SELECT name FROM sqlite_schema WHERE name LIKE 'replicaverse%'"
    };
    assert_eq!(crate::world::rows(world.source.as_ref(), left).await, json!([]));
}
