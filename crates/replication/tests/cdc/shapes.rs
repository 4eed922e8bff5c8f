//! Rules that give collections other names, change rows on their way, follow each other, or share a target.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use data::{Dialect, Value};
use replication::{Error, Manager, RowToTransform, RowTransform, Rule, TransformOutcome};
use serde_json::{Value as Json, json};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::world::{PATIENCE, Pair, Place, Witness, World, rows, run};

const TABLE: &str = "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT)";
const NAMES: &str = "SELECT id, name FROM items ORDER BY id";

/// A manager with these projects, and the table at each that is said to have it.
async fn projects(places: &[(&str, &Place, bool)]) -> (Arc<Manager>, Vec<Arc<dyn Dialect>>) {
    let manager = Arc::new(Manager::new());
    let mut dialects = Vec::new();
    for (project, place, has_table) in places {
        let dialect = manager.add_replica(project, place.config("update"), Vec::new()).await.unwrap();
        if *has_table {
            run(dialect.as_ref(), &[TABLE]).await;
        }
        dialects.push(dialect);
    }
    (manager, dialects)
}

fn add(manager: &Manager, name: &str, source: &str, target: &str, more: Json) -> Result<(), Error> {
    let mut rule =
        json!({"name": name, "source": source, "target": target, "mode": "cdc", "collections": ["items"]});
    for (field, value) in more.as_object().unwrap() {
        rule[field] = value.clone();
    }
    manager.add_rule(Rule::from_json(rule).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rule_writes_is_carried_on_by_the_next() {
    for (a, b) in [
        (Place::sqlite(), Place::sqlite()),
        (Place::postgres(), Place::postgres()),
        (Place::sqlite(), Place::mariadb()),
    ] {
        let c = Place::sqlite();
        for round in 0..2 {
            let (manager, dialects) =
                projects(&[("a", &a, round == 0), ("b", &b, false), ("c", &c, false)]).await;
            add(&manager, "ab", "a", "b", json!({})).unwrap();
            add(&manager, "bc", "b", "c", json!({})).unwrap();
            let statements: &[&str] = match round {
                0 => &["INSERT INTO items VALUES (1, 'a'), (2, 'b')"],
                _ => &[
                    "INSERT INTO items VALUES (3, 'c')",
                    "UPDATE items SET name = 'A' WHERE id = 1",
                    "DELETE FROM items WHERE id = 2",
                ],
            };
            run(dialects[0].as_ref(), statements).await;
            manager.sync("ab", None).await.unwrap();
            assert_eq!(manager.sync("bc", None).await.unwrap().errors, 0);
            assert_eq!(rows(dialects[2].as_ref(), NAMES).await, rows(dialects[0].as_ref(), NAMES).await);
            // Changes that come while both are there are carried on as well.
            run(dialects[0].as_ref(), &["UPDATE items SET name = name || '!' WHERE id = 1"]).await;
            manager.sync("ab", None).await.unwrap();
            assert_eq!(manager.sync("bc", None).await.unwrap().details[0].updated, 1);
            manager.disconnect_all().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circle_of_rules_is_refused() {
    let manager = Manager::new();
    add(&manager, "ab", "a", "b", json!({})).unwrap();
    add(&manager, "bc", "b", "c", json!({})).unwrap();
    let error = add(&manager, "ca", "c", "a", json!({})).unwrap_err();
    assert_eq!(error.code(), "ERR_RULE_CYCLE");
    assert!(error.to_string().contains("c.items → a.items → b.items → c.items"), "{error}");
    assert_eq!(manager.rules().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_that_share_a_table_keep_to_their_own_rows() {
    for target in [Place::sqlite(), Place::postgres(), Place::mariadb(), Place::mongodb()] {
        let is_documents = target.dialect == "mongodb";
        let (north, south) = (Place::postgres(), Place::postgres());
        let (manager, dialects) =
            projects(&[("north", &north, true), ("south", &south, true), ("all", &target, false)]).await;
        for source in ["north", "south"] {
            add(&manager, source, source, "all", json!({"sourceColumn": "branch"})).unwrap();
        }
        let at_target = async || {
            let query = match is_documents {
                true => {
                    r#"{"find": "items", "projection": {"_id": 0, "branch": 1, "id": 1, "name": 1}, "sort": {"branch": 1, "id": 1}}"#
                }
                false => "SELECT branch, id, name FROM items ORDER BY branch, id",
            };
            let found = rows(dialects[2].as_ref(), query).await;
            let text = |row: &Json| {
                format!("{} {} {}", row["branch"].as_str().unwrap(), row["id"], row["name"].as_str().unwrap())
            };
            found.as_array().unwrap().iter().map(text).collect::<Vec<_>>().join(", ")
        };
        run(dialects[0].as_ref(), &["INSERT INTO items VALUES (1, 'a'), (2, 'b')"]).await;
        run(dialects[1].as_ref(), &["INSERT INTO items VALUES (1, 'x'), (3, 'z')"]).await;
        for source in ["north", "south"] {
            let stats = manager.sync(source, None).await.unwrap();
            assert_eq!((stats.errors, stats.details[0].created), (0, 2), "{}", target.dialect);
        }
        assert_eq!(at_target().await, "north 1 a, north 2 b, south 1 x, south 3 z");
        run(
            dialects[0].as_ref(),
            &["DELETE FROM items WHERE id = 1", "UPDATE items SET id = 5 WHERE id = 2"],
        )
        .await;
        manager.sync("north", None).await.unwrap();
        assert_eq!(at_target().await, "north 5 b, south 1 x, south 3 z");
        run(dialects[1].as_ref(), &["TRUNCATE items", "INSERT INTO items VALUES (9, 'n')"]).await;
        manager.sync("south", None).await.unwrap();
        assert_eq!(at_target().await, "north 5 b, south 9 n");
        for source in ["north", "south"] {
            let verdict = manager.verify(source, replication::Repair::None).await.unwrap();
            assert!(verdict.equal, "{verdict:?}");
        }
        // So does a mirror, which deletes what its source does not have.
        add(&manager, "mirror", "north", "all", json!({"mode": "snapshot", "sourceColumn": "branch"}))
            .unwrap();
        run(dialects[0].as_ref(), &["DELETE FROM items", "INSERT INTO items VALUES (6, 'm')"]).await;
        assert_eq!(manager.sync("mirror", None).await.unwrap().errors, 0);
        assert_eq!(at_target().await, "north 6 m, south 9 n");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_whose_keys_have_a_prefix_keep_to_their_own_rows() {
    for target in [Place::sqlite(), Place::postgres(), Place::mariadb(), Place::mongodb()] {
        let is_documents = target.dialect == "mongodb";
        let (north, south) = (Place::postgres(), Place::postgres());
        let (manager, dialects) =
            projects(&[("north", &north, true), ("south", &south, true), ("all", &target, false)]).await;
        add(&manager, "north", "north", "all", json!({"keyPrefix": "n:"})).unwrap();
        let error = add(&manager, "south", "south", "all", json!({})).unwrap_err().to_string();
        assert!(error.contains("rule \"south\".target") && error.contains("rule \"north\""), "{error}");
        add(&manager, "south", "south", "all", json!({"keyPrefix": "s:"})).unwrap();
        let at_target = async || {
            let query = match is_documents {
                true => r#"{"find": "items", "sort": {"_id": 1}}"#,
                false => "SELECT id AS _id, name FROM items ORDER BY id",
            };
            let found = rows(dialects[2].as_ref(), query).await;
            let text =
                |row: &Json| format!("{} {}", row["_id"].as_str().unwrap(), row["name"].as_str().unwrap());
            found.as_array().unwrap().iter().map(text).collect::<Vec<_>>().join(", ")
        };
        run(dialects[0].as_ref(), &["INSERT INTO items VALUES (1, 'a'), (2, 'b')"]).await;
        run(dialects[1].as_ref(), &["INSERT INTO items VALUES (1, 'x'), (3, 'z')"]).await;
        for source in ["north", "south"] {
            let stats = manager.sync(source, None).await.unwrap();
            assert_eq!((stats.errors, stats.details[0].created), (0, 2), "{}: {stats:?}", target.dialect);
        }
        assert_eq!(at_target().await, "n:1 a, n:2 b, s:1 x, s:3 z", "{}", target.dialect);
        run(
            dialects[0].as_ref(),
            &["DELETE FROM items WHERE id = 1", "UPDATE items SET id = 5, name = 'B' WHERE id = 2"],
        )
        .await;
        manager.sync("north", None).await.unwrap();
        assert_eq!(at_target().await, "n:5 B, s:1 x, s:3 z", "{}", target.dialect);
        run(dialects[1].as_ref(), &["TRUNCATE items", "INSERT INTO items VALUES (9, 'n')"]).await;
        manager.sync("south", None).await.unwrap();
        assert_eq!(at_target().await, "n:5 B, s:9 n", "{}", target.dialect);
        for source in ["north", "south"] {
            let verdict = manager.verify(source, replication::Repair::None).await.unwrap();
            assert!(verdict.equal, "{verdict:?}");
            assert_eq!(manager.resync(source, None).await.unwrap().errors, 0);
        }
        // So does a mirror, which deletes what its source does not have.
        add(&manager, "mirror", "north", "all", json!({"mode": "snapshot", "keyPrefix": "n:"})).unwrap();
        run(dialects[0].as_ref(), &["DELETE FROM items", "INSERT INTO items VALUES (6, 'm')"]).await;
        assert_eq!(manager.sync("mirror", None).await.unwrap().errors, 0);
        assert_eq!(at_target().await, "n:6 m, s:9 n", "{}", target.dialect);
        manager.disconnect_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_is_refused_where_keys_cannot_be_texts() {
    let (from, to) = (Place::postgres(), Place::postgres());
    let (manager, _) = projects(&[("from", &from, true), ("to", &to, true)]).await;
    add(&manager, "r", "from", "to", json!({"keyPrefix": "f:"})).unwrap();
    let error = manager.sync("r", None).await.unwrap_err().to_string();
    assert!(error.contains("keyPrefix") && error.contains("column \"id\""), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collections_get_other_names_at_the_target() {
    let fields = json!({"collections": ["*"], "rename": {"items": "things", "*": "old_*"}});
    let other = "CREATE TABLE notes (id BIGINT PRIMARY KEY)";
    let fill = ["INSERT INTO items VALUES (1, 'a')", "INSERT INTO notes VALUES (7)"];
    let pair = Pair::postgres_to_sqlite();
    let world = World::with(&pair, &[TABLE, other, fill[0], fill[1]], fields).await;
    assert_eq!(world.counts().await, (2, 0, 0, 0, 0));
    world.run(&["UPDATE items SET name = 'b'", "DELETE FROM notes"]).await;
    assert_eq!(world.counts().await, (0, 1, 1, 0, 0));
    assert_eq!(world.at_target("SELECT * FROM things").await, json!([{"id": 1, "name": "b"}]));
    assert_eq!(world.at_target("SELECT * FROM old_notes").await, json!([]));
    world.assert_verified().await;
}

/// Writes names in capitals and their length beside them, leaves out rows without a name, and fails for `bad`.
struct Capitals;

#[async_trait]
impl RowTransform for Capitals {
    async fn apply(
        &self,
        _: &str,
        rows: &[RowToTransform],
        _: Duration,
    ) -> data::Result<Vec<TransformOutcome>> {
        let outcome = |given: &RowToTransform| {
            let mut row = given.row.clone();
            match given.row.get("name").and_then(Value::as_text) {
                None => TransformOutcome::Dropped,
                Some("bad") => TransformOutcome::Failed("a bad name".to_owned()),
                Some(name) => {
                    row.insert("size".to_owned(), Value::from(name.len().to_string()));
                    row.insert("name".to_owned(), Value::from(name.to_uppercase()));
                    TransformOutcome::Row(row)
                }
            }
        };
        Ok(rows.iter().map(outcome).collect())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_pass_through_a_transform_in_the_first_copy_and_in_the_stream() {
    for pair in [
        Pair::sqlite_to_sqlite(),
        Pair::postgres_to_postgres(),
        Pair { source: Place::postgres(), target: Place::mongodb() },
    ] {
        let is_documents = pair.target.dialect == "mongodb";
        let fields =
            json!({"collections": ["items"], "transform": true, "columns": {"items": {"add": ["size"]}}});
        let fill = "INSERT INTO items VALUES (1, 'a'), (2, NULL), (3, 'bad')";
        let world = World::with(&pair, &[TABLE, fill], fields).await;
        let error = world.manager.sync("r", None).await.unwrap_err();
        assert!(error.to_string().contains("ruleTransforms"), "{error}");
        world.manager.set_transform("r", Arc::new(Capitals)).unwrap();
        let stats = world.sync().await;
        assert_eq!(stats.details[0].created, 1);
        assert!(stats.details[0].failures[0].reason.contains("a bad name"), "{stats:?}");
        assert_eq!(world.manager.dead_letters("r", 10).await.unwrap().count, 1);
        world
            .run(&[
                "UPDATE items SET name = 'bcd' WHERE id = 2",
                "UPDATE items SET name = NULL WHERE id = 1",
                "UPDATE items SET name = 'good' WHERE id = 3",
            ])
            .await;
        assert_eq!(world.sync().await.details[0].deleted, 1);
        assert_eq!(world.manager.dead_letters("r", 10).await.unwrap().count, 0);
        let query = match is_documents {
            true => r#"{"find": "items", "sort": {"_id": 1}}"#,
            false => "SELECT id AS _id, name, size FROM items ORDER BY id",
        };
        let expected =
            json!([{"_id": 2, "name": "BCD", "size": "3"}, {"_id": 3, "name": "GOOD", "size": "4"}]);
        assert_eq!(world.at_target(query).await, expected);
        world.assert_verified().await;
    }
}

/// Never comes to an end with the row `slow`.
#[derive(Default)]
struct Stalling {
    is_called: Notify,
}

#[async_trait]
impl RowTransform for Stalling {
    async fn apply(
        &self,
        _: &str,
        rows: &[RowToTransform],
        _: Duration,
    ) -> data::Result<Vec<TransformOutcome>> {
        if rows.iter().any(|given| given.row.get("name").and_then(Value::as_text) == Some("slow")) {
            self.is_called.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(rows.iter().map(|given| TransformOutcome::Row(given.row.clone())).collect())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_for_which_a_transform_takes_too_long_is_set_aside() {
    let fields = json!({"collections": ["items"], "transform": true, "transformTimeoutMs": 100});
    let fill = "INSERT INTO items VALUES (1, 'slow')";
    let pair = Pair::postgres_to_sqlite();
    let world = World::with(&pair, &[TABLE, fill], fields).await;
    world.manager.set_transform("r", Arc::<Stalling>::default()).unwrap();
    let stats = timeout(PATIENCE, world.sync()).await.unwrap();
    assert!(stats.details[0].failures[0].reason.contains("longer than 100 ms"), "{stats:?}");
    world.run(&["INSERT INTO items VALUES (2, 'slow')"]).await;
    let stats = timeout(PATIENCE, world.sync()).await.unwrap();
    assert_eq!(stats.errors, 2, "{stats:?}");
    assert_eq!(world.manager.dead_letters("r", 10).await.unwrap().count, 2);
    world.run(&["UPDATE items SET name = 'fast' WHERE id = 2"]).await;
    timeout(PATIENCE, world.sync()).await.unwrap();
    assert_eq!(world.at_target(NAMES).await, json!([{"id": 2, "name": "fast"}]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transform_that_is_waited_for_locks_nothing_and_can_be_stopped() {
    let fields = json!({"collections": ["items"], "transform": true, "transformTimeoutMs": 3_600_000});
    let pair = Pair::postgres_to_sqlite();
    let world = World::with(&pair, &[TABLE, "INSERT INTO items VALUES (1, 'a')"], fields).await;
    let transform = Arc::<Stalling>::default();
    world.manager.set_transform("r", Arc::<Stalling>::clone(&transform)).unwrap();
    world.manager.start("r", Arc::new(Witness::default())).await.unwrap();
    world.run(&["INSERT INTO items VALUES (2, 'slow')"]).await;
    timeout(PATIENCE, transform.is_called.notified()).await.unwrap();
    // SQLite has one writer at a time.
    let written = async { run(world.target.as_ref(), &["UPDATE items SET name = 'b' WHERE id = 1"]).await };
    timeout(PATIENCE, written).await.unwrap();
    timeout(PATIENCE, world.manager.stop("r")).await.unwrap().unwrap();
    world.run(&["UPDATE items SET name = 'fast' WHERE id = 2"]).await;
    world.manager.set_transform("r", Arc::new(Capitals)).unwrap();
    timeout(PATIENCE, world.sync()).await.unwrap();
    let expected = json!([{"id": 1, "name": "b"}, {"id": 2, "name": "FAST"}]);
    assert_eq!(world.at_target(NAMES).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_was_loaded_waits_for_its_transform() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tree.json");
    let manager = Manager::new();
    add(&manager, "ab", "a", "b", json!({"transform": true, "where": {"id": {"$gt": 1}}})).unwrap();
    manager.save_to_file(&path).unwrap();
    let loaded = Manager::new();
    loaded.load_from_file(&path).unwrap();
    assert_eq!(loaded.rules(), manager.rules());
    let error = loaded.sync("ab", None).await.unwrap_err();
    assert!(error.to_string().starts_with("rule \"ab\".transform"), "{error}");
    // As it stands there it may be added again with its function, and only as it stands there.
    assert!(add(&loaded, "ab", "a", "c", json!({"transform": true})).is_err());
    add(&loaded, "ab", "a", "b", json!({"transform": true, "where": {"id": {"$gt": 1}}})).unwrap();
    loaded.set_transform("ab", Arc::new(Capitals)).unwrap();
    assert!(matches!(loaded.sync("ab", None).await.unwrap_err(), Error::NoMaster { .. }));
    assert!(matches!(add(&loaded, "ab", "a", "b", json!({})).unwrap_err(), Error::DuplicateRule(_)));
}
