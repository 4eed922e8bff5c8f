//! Rules that carry some of the rows.

use replication::Repair;
use serde_json::{Value as Json, json};

use crate::world::{Pair, Place, World};

const TABLE: &str = "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT, n BIGINT)";
const ROWS: &str = "SELECT id, n FROM items ORDER BY id";

fn rule(filter: Json) -> Json {
    json!({"collections": ["items"], "where": filter})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_comes_and_goes_with_the_filter() {
    for pair in [Pair::sqlite_to_sqlite(), Pair::postgres_to_sqlite(), Pair::postgres_to_postgres()] {
        let fill = "INSERT INTO items VALUES (1, 'a', 5), (2, 'b', 15), (3, 'c', NULL)";
        let world = World::with(&pair, &[TABLE, fill], rule(json!({"n": {"$gt": 10}}))).await;
        assert_eq!(world.counts().await, (1, 0, 0, 0, 0));
        world
            .run(&[
                "UPDATE items SET n = 20 WHERE id = 1",
                "UPDATE items SET n = 1 WHERE id = 2",
                "INSERT INTO items VALUES (4, 'd', 40), (5, 'e', 4)",
                "DELETE FROM items WHERE id = 5",
            ])
            .await;
        assert_eq!(world.sync().await.errors, 0);
        assert_eq!(world.at_target(ROWS).await, json!([{"id": 1, "n": 20}, {"id": 4, "n": 40}]));
        // A key that changes takes its row along, or leaves it behind.
        world
            .run(&[
                "UPDATE items SET id = 14, n = 41 WHERE id = 4",
                "UPDATE items SET id = 11, n = 0 WHERE id = 1",
            ])
            .await;
        assert_eq!(world.sync().await.errors, 0);
        assert_eq!(world.at_target(ROWS).await, json!([{"id": 14, "n": 41}]));
        world.assert_verified().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_value_that_did_not_change_still_decides() {
    let pair = Pair::postgres_to_sqlite();
    let external = "ALTER TABLE items ALTER COLUMN name SET STORAGE EXTERNAL";
    let fill =
        "INSERT INTO items VALUES (1, 'x' || repeat('a', 50000), 1), (2, 'y' || repeat('b', 50000), 1)";
    let filter = json!({"name": {"$regex": "^x"}, "n": {"$gt": 1}});
    let world = World::with(&pair, &[TABLE, external, fill], rule(filter)).await;
    assert_eq!(world.counts().await, (0, 0, 0, 0, 0));
    world.run(&["UPDATE items SET n = 2"]).await;
    assert_eq!(world.counts().await, (0, 1, 0, 0, 0));
    assert_eq!(
        world.at_target("SELECT id, length(name) AS l FROM items").await,
        json!([{"id": 1, "l": 50001}])
    );
    world.run(&["UPDATE items SET n = 3", "UPDATE items SET n = 0 WHERE id = 1"]).await;
    assert_eq!(world.sync().await.errors, 0);
    assert_eq!(world.at_target(ROWS).await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_come_and_go_although_the_log_tells_single_fields() {
    let pair = Pair { source: Place::mongodb(), target: Place::sqlite() };
    let fill = r#"{"insert": "items", "documents": [
        {"_id": 1, "kind": "a", "n": 5, "name": "one"}, {"_id": 2, "kind": "a", "n": 15, "name": "two"},
        {"_id": 3, "kind": "b", "n": 15, "name": "three"}]}"#;
    let world = World::with(&pair, &[fill], rule(json!({"kind": "a", "n": {"$gte": 10}}))).await;
    assert_eq!(world.counts().await, (1, 0, 0, 0, 0));
    let change = r#"{"update": "items", "updates": [
        {"q": {"_id": 1}, "u": {"$set": {"n": 10}}}, {"q": {"_id": 2}, "u": {"$set": {"name": "TWO"}}},
        {"q": {"_id": 3}, "u": {"$set": {"n": 99}}}]}"#;
    world.run(&[change]).await;
    assert_eq!(world.sync().await.errors, 0);
    let names = "SELECT id, name FROM items ORDER BY id";
    assert_eq!(world.at_target(names).await, json!([{"id": 1, "name": "one"}, {"id": 2, "name": "TWO"}]));
    world
        .run(&[r#"{"update": "items", "updates": [{"q": {"_id": 2}, "u": {"$set": {"kind": "b"}}}]}"#])
        .await;
    world.sync().await;
    assert_eq!(world.at_target(names).await, json!([{"id": 1, "name": "one"}]));
    world.assert_verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resync_follows_a_filter_that_has_changed() {
    let pair = Pair::postgres_to_sqlite();
    let fill = "INSERT INTO items VALUES (1, 'a', 5), (2, 'b', 15)";
    let world = World::with(&pair, &[TABLE, fill], rule(json!({"n": {"$gt": 0}}))).await;
    assert_eq!(world.counts().await, (2, 0, 0, 0, 0));
    world.manager.disconnect_all().await;
    let world = World::with(&pair, &[], rule(json!({"n": {"$gt": 10}}))).await;
    let stats = world.manager.resync("r", None).await.unwrap();
    assert_eq!((stats.errors, stats.details[0].deleted), (0, 1));
    assert_eq!(world.at_target(ROWS).await, json!([{"id": 2, "n": 15}]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_and_a_poll_take_the_rows_that_are_meant() {
    let table = "CREATE TABLE items (id BIGINT PRIMARY KEY, n BIGINT, \"updatedAt\" TIMESTAMPTZ)";
    let fill = "INSERT INTO items VALUES (1, 5, now()), (2, 15, now()), (3, 25, now())";
    for mode in [json!({"mode": "snapshot"}), json!({"capture": "poll"})] {
        let mut fields = rule(json!({"items": {"n": {"$gt": 10}}}));
        fields.as_object_mut().unwrap().extend(mode.as_object().unwrap().clone());
        let pair = Pair::postgres_to_sqlite();
        let world = World::with(&pair, &[table, fill], fields).await;
        assert_eq!(world.counts().await, (2, 0, 0, 0, 0));
        world
            .run(&[
                "UPDATE items SET n = n - 10, \"updatedAt\" = now() WHERE id > 1",
                "UPDATE items SET n = 50, \"updatedAt\" = now() WHERE id = 1",
            ])
            .await;
        assert_eq!(world.counts().await, (1, 1, 1, 0, 0), "{mode}");
        assert_eq!(world.at_target(ROWS).await, json!([{"id": 1, "n": 50}, {"id": 3, "n": 15}]));
        assert!(world.manager.verify("r", Repair::None).await.unwrap().equal);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_there_is_none_of_is_named() {
    let pair = Pair::sqlite_to_sqlite();
    let world = World::with(&pair, &[TABLE], rule(json!({"nmae": "a"}))).await;
    let error = world.manager.sync("r", None).await.unwrap_err();
    assert!(error.to_string().contains("field \"nmae\": table \"items\" has no such column"), "{error}");
    assert_eq!(error.code(), "ERR_FILTER");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_there_is_none_of_is_named() {
    for (setting, value) in [
        ("where", json!({"itmes": {"n": 1}})),
        ("rename", json!({"itmes": "things"})),
        ("columns", json!({"itmes": {"exclude": ["name"]}})),
    ] {
        let pair = Pair::sqlite_to_sqlite();
        let mut fields = json!({"collections": ["*"]});
        fields[setting] = value;
        let world = World::with(&pair, &[TABLE], fields).await;
        let error = world.manager.sync("r", None).await.unwrap_err().to_string();
        assert!(error.contains(&format!("{setting}: the source has no table \"itmes\"")), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_only_the_target_has_is_found_although_the_source_has_another_one_under_its_key() {
    let fill = "INSERT INTO items VALUES (1, 'a', 5), (2, 'b', 15)";
    let pair = Pair::sqlite_to_sqlite();
    let world = World::with(&pair, &[TABLE, fill], rule(json!({"n": {"$gt": 10}}))).await;
    world.sync().await;
    crate::world::run(world.target.as_ref(), &["INSERT INTO items VALUES (1, 'a', 5)"]).await;
    let verdict = world.manager.verify("r", Repair::RowsAndExtras).await.unwrap();
    assert_eq!((verdict.collections[0].rows, verdict.collections[0].extra), (1, 1));
    assert_eq!(world.at_target(ROWS).await, json!([{"id": 2, "n": 15}]));
}
