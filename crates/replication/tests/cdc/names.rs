//! Names of tables and columns that two databases could take for others, and collections of a kind of their own.

use serde_json::json;

use crate::world::{Pair, Place, World, run};

const SERIES: &str = r#"{"create": "weather", "timeseries": {"timeField": "at", "metaField": "place"}}"#;
const MEASURED: &str = r#"{"insert": "weather", "documents": [
    {"_id": 1, "at": {"$date": "2024-01-01T00:00:00Z"}, "place": "a", "t": 1.5},
    {"_id": 2, "at": {"$date": "2024-01-01T00:00:01Z"}, "place": "b", "t": 2.5}]}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_is_the_one_of_exactly_its_name_or_the_only_one_in_other_letters() {
    let source = &["CREATE TABLE t (id int PRIMARY KEY, \"NAME\" text)", "INSERT INTO t VALUES (1, 'a')"][..];
    for (at_target, expected) in [
        ("name text", Some(json!([{"id": 1, "name": "a"}]))),
        ("name text, \"NAME\" text", Some(json!([{"id": 1, "name": null, "NAME": "a"}]))),
        ("name text, \"Name\" text", None),
    ] {
        let pair = Pair::postgres_to_postgres();
        let world = World::with_strategy(&pair, source, json!({}), "none").await;
        let table = format!("CREATE TABLE t (id int PRIMARY KEY, {at_target})");
        run(world.target.as_ref(), &[&table]).await;
        let told = world.manager.sync("r", None).await;
        match expected {
            Some(expected) => {
                assert_eq!(told.unwrap().errors, 0);
                assert_eq!(world.at_target("SELECT * FROM t").await, expected);
            }
            None => {
                let error = told.unwrap_err().to_string();
                assert!(error.contains("\"NAME\"") && error.contains("\"Name\""), "{error}");
                assert_eq!(world.at_target("SELECT * FROM t").await, json!([]));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_columns_never_share_one_of_the_target() {
    let source = [
        "CREATE TABLE t (id int PRIMARY KEY, \"Name\" text, name text)",
        "INSERT INTO t VALUES (1, 'upper', 'lower')",
    ];
    let pair = Pair::postgres_to_sqlite();
    let world = World::with_strategy(&pair, &source, json!({}), "none").await;
    run(world.target.as_ref(), &["CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)"]).await;
    let error = world.manager.sync("r", None).await.unwrap_err().to_string();
    assert!(error.contains("no column \"Name\""), "{error}");
    assert_eq!(world.at_target("SELECT * FROM t").await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_with_a_dot_arrives_and_is_followed() {
    let collection =
        |id: u32, v: &str| format!(r#"{{"insert": "a.b", "documents": [{{"_id": {id}, "v": "{v}"}}]}}"#);
    let row = |id: u32, v: &str| format!("INSERT INTO \"a.b\" VALUES ({id}, '{v}')");
    for (target, query) in [
        (Place::postgres(), "SELECT * FROM a.b ORDER BY id"),
        (Place::sqlite(), "SELECT * FROM \"a.b\" ORDER BY id"),
        (Place::mariadb(), "SELECT * FROM `a.b` ORDER BY id"),
        (Place::mongodb(), r#"{"find": "a.b", "sort": {"_id": 1}}"#),
    ] {
        let is_mongodb = target.dialect == "mongodb";
        for source in [Place::mongodb(), Place::postgres()] {
            let is_document = source.dialect == "mongodb";
            let insert = |id, v| if is_document { collection(id, v) } else { row(id, v) };
            let what = format!("{} to {}", source.dialect, target.dialect);
            let mut statements = vec![insert(1, "x")];
            if !is_document {
                statements.insert(0, "CREATE TABLE \"a.b\" (id int PRIMARY KEY, v text)".to_owned());
            }
            let statements: Vec<_> = statements.iter().map(String::as_str).collect();
            let target = match target.dialect {
                "postgres" => Place::postgres(),
                "sqlite" => Place::sqlite(),
                "mariadb" => Place::mariadb(),
                _ => Place::mongodb(),
            };
            let pair = Pair { source, target };
            let world = World::new(&pair, &statements).await;
            assert_eq!(world.counts().await, (1, 0, 0, 0, 0), "{what}");
            world.run(&[&insert(2, "y")]).await;
            assert_eq!(world.counts().await, (1, 0, 0, 0, 0), "{what}");
            let id = if is_mongodb { "_id" } else { "id" };
            let expected = json!([{id: 1, "v": "x"}, {id: 2, "v": "y"}]);
            assert_eq!(world.at_target(query).await, expected, "{what}");
            world.assert_verified().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tables_of_one_name_are_told_apart_or_refused() {
    let source = [
        "CREATE TABLE \"a.b\" (id int PRIMARY KEY)",
        "CREATE SCHEMA a",
        "CREATE TABLE a.b (id int PRIMARY KEY)",
        "INSERT INTO \"a.b\" VALUES (1)",
    ];
    let pair = Pair::postgres_to_sqlite();
    let world = World::with(&pair, &source, json!({"mode": "snapshot"})).await;
    let error = world.manager.sync("r", None).await.unwrap_err().to_string();
    assert!(error.contains("two tables are called \"a.b\""), "{error}");
    let named = json!({"mode": "snapshot", "collections": ["a.b"]});
    let pair = Pair::postgres_to_sqlite();
    let world = World::with(&pair, &source, named).await;
    assert_eq!(world.counts().await, (1, 0, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_series_is_copied_by_snapshots_and_not_followed_in_silence() {
    let plain = r#"{"insert": "plain", "documents": [{"_id": 1}]}"#;
    for target in [Place::postgres(), Place::mongodb()] {
        let query = match target.dialect {
            "postgres" => "SELECT place, t FROM weather ORDER BY t",
            _ => r#"{"find": "weather", "projection": {"_id": 0, "place": 1, "t": 1}, "sort": {"t": 1}}"#,
        };
        let pair = Pair { source: Place::mongodb(), target };
        let world = World::with(&pair, &[SERIES, MEASURED, plain], json!({"mode": "snapshot"})).await;
        assert_eq!(world.counts().await, (3, 0, 0, 0, 0));
        assert_eq!(world.counts().await, (0, 0, 0, 3, 0));
        let expected = json!([{"place": "a", "t": 1.5}, {"place": "b", "t": 2.5}]);
        assert_eq!(world.at_target(query).await, expected);
        world.assert_verified().await;
    }
    let pair = Pair { source: Place::mongodb(), target: Place::sqlite() };
    let world = World::new(&pair, &[SERIES, MEASURED, plain]).await;
    assert_eq!(world.counts().await, (1, 0, 0, 0, 0), "only what can be followed");
    let world = World::with(&pair, &[], json!({"collections": ["weather"]})).await;
    let error = world.manager.sync("r", None).await.unwrap_err().to_string();
    assert!(error.contains("time series"), "{error}");
}
