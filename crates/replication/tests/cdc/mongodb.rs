//! MongoDB as a target: a replica set with its transactions, and a standalone server without.

use std::sync::Arc;

use data::{EntitySchema, Value};
use mongodb::bson::{Document, doc};
use replication::{Manager, Repair, Rule};
use serde_json::json;

use crate::world::{Pair, Place, Server, World, run, totals};

const TABLE: &str = "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT, price NUMERIC(10, 2))";

fn pairs() -> [Pair; 3] {
    [
        Pair { source: Place::postgres(), target: Place::mongodb() },
        Pair { source: Place::sqlite(), target: Place::mongodb() },
        Pair { source: Place::postgres(), target: Place::standalone_mongodb() },
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_follow_rows() {
    for pair in pairs() {
        let fill = "INSERT INTO items VALUES (1, 'a', 1.5), (2, 'b', 2), (3, 'c', NULL)";
        let world = World::new(&pair, &[TABLE, fill]).await;
        assert_eq!(world.counts().await, (3, 0, 0, 0, 0));
        world.assert_verified().await;
        world
            .run(&[
                "INSERT INTO items VALUES (4, 'd', 4)",
                "UPDATE items SET name = 'B' WHERE id = 2",
                "DELETE FROM items WHERE id = 1",
                "UPDATE items SET id = 30 WHERE id = 3",
            ])
            .await;
        let stats = world.sync().await;
        assert_eq!(stats.errors, 0, "{stats:?}");
        world.assert_verified().await;
        assert_eq!(world.counts().await, (0, 0, 0, 0, 0));
        let empty = if pair.source.is_postgres() { "TRUNCATE items" } else { "DELETE FROM items" };
        world.run(&[empty, "INSERT INTO items VALUES (5, 'e', 5)"]).await;
        world.sync().await;
        world.assert_verified().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_too_large_for_one_of_mongodb_is_split() {
    let pair = Pair { source: Place::postgres(), target: Place::mongodb() };
    let world = World::new(&pair, &[TABLE]).await;
    world.sync().await;
    world.run(&["INSERT INTO items SELECT g, 'row ' || g, g FROM generate_series(1, 45000) AS g"]).await;
    assert_eq!(world.counts().await, (45_000, 0, 0, 0, 0));
    world.assert_verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_3_an_unchanged_toasted_value_stays_in_a_document() {
    let pair = Pair { source: Place::postgres(), target: Place::mongodb() };
    let table = "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT, long TEXT)";
    let long = "ALTER TABLE items ALTER COLUMN long SET STORAGE EXTERNAL";
    let world =
        World::new(&pair, &[table, long, "INSERT INTO items VALUES (1, 'a', repeat('long', 3000))"]).await;
    world.sync().await;
    world
        .run(&[
            "UPDATE items SET name = 'b' WHERE id = 1",
            "INSERT INTO items VALUES (2, 'c', repeat('other', 3000))",
            "UPDATE items SET name = 'd' WHERE id = 2",
        ])
        .await;
    world.sync().await;
    world.run(&["UPDATE items SET id = 3 WHERE id = 2"]).await;
    world.sync().await;
    world.assert_verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_documents_follow_the_rows_of_a_junction() {
    let (source, target) = (Place::postgres(), Place::mongodb());
    let schema = |json| Arc::new(EntitySchema::from_json(&json).unwrap());
    let book = schema(json!({
        "name": "Book", "collection": "books", "fields": {"title": {"type": "string"}},
        "relations": {"tags": {"type": "many-to-many", "target": "Tag", "through": "book_tags"}}
    }));
    let tag = schema(json!({"name": "Tag", "collection": "tags", "fields": {"name": {"type": "string"}}}));
    let schemas = vec![Arc::clone(&book), tag];
    let manager = Manager::new();
    let at_source = manager.add_replica("source", source.config("update"), schemas.clone()).await.unwrap();
    manager.add_replica("target", target.config("update"), schemas).await.unwrap();
    let rule = json!({"name": "r", "source": "source", "target": "target", "mode": "cdc", "collections": ["Book", "Tag"]});
    manager.add_rule(Rule::from_json(rule).unwrap()).unwrap();
    let junction = book.junction("tags").unwrap();
    let link = |book: &str, tag: &str| {
        format!(
            "INSERT INTO \"{}\" (\"{}\", \"{}\") VALUES ('{book}', '{tag}')",
            junction.table, junction.own, junction.other
        )
    };
    let rows = [
        "INSERT INTO books (id, title) VALUES ('b1', 'one'), ('b2', 'two')".to_owned(),
        "INSERT INTO tags (id, name) VALUES ('t1', 'red'), ('t2', 'blue')".to_owned(),
        link("b1", "t1"),
    ];
    for row in &rows {
        run(at_source.as_ref(), &[row]).await;
    }
    let stats = manager.sync("r", None).await.unwrap();
    assert_eq!(totals(&stats), (4, 0, 0, 0, 0), "{stats:?}");
    assert!(manager.verify("r", Repair::None).await.unwrap().equal);
    let changes = [
        link("b2", "t1"),
        link("b1", "t2"),
        format!(
            "DELETE FROM \"{}\" WHERE \"{}\" = 'b1' AND \"{}\" = 't1'",
            junction.table, junction.own, junction.other
        ),
        "UPDATE books SET title = 'TWO' WHERE id = 'b2'".to_owned(),
    ];
    for change in &changes {
        run(at_source.as_ref(), &[change]).await;
    }
    manager.sync("r", None).await.unwrap();
    let verdict = manager.verify("r", Repair::None).await.unwrap();
    assert!(verdict.equal, "{verdict:?}");
}

/// The server knows nothing of the death of a client, and would keep what it has locked for a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_process_has_locked_does_not_hold_up_the_next_one() {
    let pair = Pair { source: Place::postgres(), target: Place::mongodb() };
    let world = World::new(&pair, &[TABLE, "INSERT INTO items VALUES (1, 'a', 1)"]).await;
    world.sync().await;
    let tables = world.target.tables().unwrap();
    let items = world.source.tables().unwrap().describe("items").await.unwrap().unwrap();
    let items = tables.create_like(&items).await.unwrap();
    let mut dead = tables.begin().await.unwrap();
    let row = vec![Value::Int64(1), Value::from("half-way"), Value::Null];
    dead.upsert(&items, &[row]).await.unwrap();
    let database = Server::replica_set().database(pair.target.database()).await;
    let dead_holder = doc! {"owner": "dead", "expires_at": 0_i64, "sessions": dead.session().unwrap()};
    let leases = database.collection::<Document>("replicaverse_lease");
    leases.update_one(doc! {}, doc! {"$set": dead_holder}).await.unwrap();

    world.run(&["UPDATE items SET name = 'b'"]).await;
    assert_eq!(world.counts().await, (0, 1, 0, 0, 0));
    world.assert_verified().await;
}
