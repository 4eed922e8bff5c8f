//! Values of SQLite, as the log tells them: the same as a scan gives.

use data::Value;
use data::log::Operation;

use crate::database::Database;
use crate::follower::{Follower, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_every_storage_class_are_told_exactly() {
    let db = Database::sqlite();
    let dialect = db.open().await;
    let create = "CREATE TABLE t (id INTEGER PRIMARY KEY, n, i INTEGER, r REAL, x TEXT, b BLOB, f BOOLEAN, d DATETIME, \
                  j JSON, u NUMERIC, g TEXT AS (x || '!') VIRTUAL, s INTEGER AS (i + 1) STORED)";
    run(&dialect, &[create]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(
        &dialect,
        &[
            "INSERT INTO t VALUES (9223372036854775807, 1, -9223372036854775808, 9e999, 'ü\u{1F600}''', x'00ff', 1, \
             '2024-01-01 10:00:00', '{\"a\":[1,2]}', '1.50')",
            "INSERT INTO t VALUES (-9223372036854775808, 1.0, 1, -9e999, '', x'', 0, 'infinity', 'null', 1e300)",
            "INSERT INTO t VALUES (1, 'text', 'no number', 5, x'ff', 'text', 7, 'yesterday', 'no json', NULL)",
            "INSERT INTO t VALUES (2, x'00', NULL, 0.1, 12, 12, NULL, NULL, NULL, 12345678901234567890)",
            "INSERT INTO t (id) VALUES (3)",
            "INSERT INTO t (id, x, n) VALUES (4, CAST(x'610062' AS TEXT), CAST(x'ff' AS TEXT))",
            "UPDATE t SET r = -0.0, n = 9007199254740993 WHERE id = 3",
        ],
    )
    .await;
    follower.catch_up().await;
    let Operation::Insert { row } = &follower.changes[0].operation else { panic!("a row was inserted") };
    assert_eq!(row[3], Value::Float(f64::INFINITY));
    assert_eq!((&row[10], &row[11]), (&"ü\u{1F600}'!".into(), &Value::Int64(-9_223_372_036_854_775_807)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_every_storage_class_are_told_exactly() {
    let db = Database::sqlite();
    let dialect = db.open().await;
    run(&dialect, &["CREATE TABLE t (a, b BLOB, c REAL, n TEXT, PRIMARY KEY (a, b, c)) WITHOUT ROWID"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(
        &dialect,
        &[
            "INSERT INTO t VALUES (1, x'00', 2, 'n'), ('1', '', 2.5, 'n'), (x'31', x'', 9e999, 'n'), ('a', 0, -0.5, 'n')",
            "UPDATE t SET a = x'32' WHERE a = x'31'",
            "UPDATE t SET c = 3 WHERE a = '1'",
            "DELETE FROM t WHERE a = 1",
            "REPLACE INTO t VALUES ('a', 0, -0.5, 'new')",
        ],
    )
    .await;
    follower.catch_up().await;
    assert_eq!(follower.told.len(), 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_differ_in_case_alone_are_told_apart() {
    let db = Database::sqlite();
    let dialect = db.open().await;
    run(&dialect, &["CREATE TABLE t (id TEXT COLLATE NOCASE PRIMARY KEY, a TEXT)"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(&dialect, &["INSERT INTO t VALUES ('a', 'x')", "UPDATE t SET id = 'A'"]).await;
    run(&dialect, &["REPLACE INTO t VALUES ('a', 'y')", "DELETE FROM t WHERE id = 'A'"]).await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+a", "a=A", "-A", "+a", "-a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_many_columns_are_captured() {
    let db = Database::sqlite();
    let dialect = db.open().await;
    let columns: Vec<String> = (0..700).map(|number| format!("c{number} INTEGER")).collect();
    let create = format!("CREATE TABLE t (id INTEGER PRIMARY KEY, {})", columns.join(", "));
    run(&dialect, &[&create, "CREATE TABLE small (id INTEGER PRIMARY KEY, v3 TEXT)"]).await;
    let mut follower = Follower::new(&dialect, "r", &["small", "t"]).await;
    run(&dialect, &["INSERT INTO t (id, c699) VALUES (1, 5)", "INSERT INTO small VALUES (1, 'a')"]).await;
    run(&dialect, &["UPDATE t SET c0 = 1", "UPDATE small SET v3 = 'b'"]).await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+1", "+1", "=1", "=1"]);
}
