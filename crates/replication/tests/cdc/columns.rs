//! Rules that replicate some columns, or under other names.

use serde_json::json;

use crate::world::{Pair, Place, World};

const TABLE: &str = "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT, secret TEXT)";

fn rule() -> serde_json::Value {
    json!({"columns": {"items": {"exclude": ["secret"], "rename": {"name": "title"}}}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_are_left_out_and_renamed() {
    for pair in [Pair::sqlite_to_sqlite(), Pair::postgres_to_sqlite(), Pair::postgres_to_postgres()] {
        let fill = "INSERT INTO items VALUES (1, 'a', 'x'), (2, 'b', 'y')";
        let world = World::with(&pair, &[TABLE, fill], rule()).await;
        assert_eq!(world.counts().await, (2, 0, 0, 0, 0));
        world
            .run(&["UPDATE items SET name = 'A' WHERE id = 1", "INSERT INTO items VALUES (3, 'c', 'z')"])
            .await;
        world.sync().await;
        let expected = json!([
            {"id": 1, "title": "A"}, {"id": 2, "title": "b"}, {"id": 3, "title": "c"},
        ]);
        assert_eq!(world.at_target("SELECT * FROM items ORDER BY id").await, expected);
        world.assert_verified().await;
        // What becomes of the others at the source is no matter of the target.
        world
            .run(&["ALTER TABLE items DROP COLUMN secret", "UPDATE items SET name = 'C' WHERE id = 3"])
            .await;
        assert_eq!(world.sync().await.errors, 0);
        assert_eq!(world.at_target("SELECT title FROM items WHERE id = 3").await, json!([{"title": "C"}]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_of_documents_are_left_out_although_they_come_later() {
    for target in [Place::sqlite(), Place::mongodb()] {
        let is_documents = target.dialect == "mongodb";
        let pair = Pair { source: Place::mongodb(), target };
        let fill = r#"{"insert": "items", "documents": [{"_id": 1, "name": "a"}]}"#;
        let world = World::with(&pair, &[fill], rule()).await;
        world.sync().await;
        let more =
            r#"{"insert": "items", "documents": [{"_id": 2, "name": "b", "secret": "x", "other": 1}]}"#;
        world.run(&[more]).await;
        assert_eq!(world.sync().await.errors, 0);
        let query = if is_documents {
            r#"{"find": "items", "filter": {"_id": 2}}"#
        } else {
            "SELECT id AS _id, title, other FROM items WHERE id = 2"
        };
        assert_eq!(world.at_target(query).await, json!([{"_id": 2, "title": "b", "other": 1}]));
        world.assert_verified().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_cannot_be_meant_are_refused() {
    for (columns, problem) in [
        (json!({"nothing": {"exclude": ["a"]}}), "none of the rule's collections"),
        (json!({"items": {"rename": {"a": "c", "b": "c"}}}), "two columns"),
        (json!({"items": {"hide": ["a"]}}), "hide"),
    ] {
        let rule = json!({
            "name": "r", "source": "a", "target": "b", "mode": "cdc", "collections": ["items"], "columns": columns,
        });
        let error = replication::Rule::from_json(rule).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}
