//! What is captured: every change of a committed transaction, in order, and nothing else.

use data::Value;

use crate::behaviours;
use crate::database::Database;
use crate::follower::{Follower, run};

behaviours!(
    inserts_updates_and_deletes_are_told_in_their_order,
    a_change_of_key_is_told_with_the_key_before,
    a_composite_key_is_told_whole,
    a_row_that_replace_removes_is_told_as_deleted,
    what_is_rolled_back_is_not_told,
    ten_thousand_rows_come_in_events_of_bounded_size,
    large_rows_come_in_events_of_bounded_size,
    rows_that_the_application_writes_through_triggers_are_told_as_they_are_in_the_end,
    rows_that_were_there_before_are_in_the_snapshot_and_not_in_the_log,
    tables_with_reserved_names_are_captured,
    an_emptied_table_is_told_row_by_row,
);

async fn inserts_updates_and_deletes_are_told_in_their_order(db: &Database) {
    let dialect = db.open().await;
    run(&dialect, &["CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(20))"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    for sql in [
        "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
        "UPDATE t SET a = 'c' WHERE id = 1",
        "DELETE FROM t WHERE id = 2",
        "INSERT INTO t VALUES (2, 'd')",
    ] {
        run(&dialect, &[sql]).await;
    }
    follower.catch_up().await;
    assert_eq!(follower.told, ["+1", "+2", "=1", "-2", "+2"]);
}

async fn a_change_of_key_is_told_with_the_key_before(db: &Database) {
    let dialect = db.open().await;
    run(&dialect, &["CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(20))"]).await;
    run(&dialect, &["INSERT INTO t VALUES (1, 'a'), (2, 'b')"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(&dialect, &["UPDATE t SET id = id + 10", "UPDATE t SET id = id, a = 'x'"]).await;
    follower.catch_up().await;
    follower.told.sort();
    assert_eq!(follower.told, ["1=11", "2=12", "=11", "=12"]);
}

async fn a_composite_key_is_told_whole(db: &Database) {
    let dialect = db.open().await;
    run(&dialect, &["CREATE TABLE t (a INTEGER, b VARCHAR(20), c INTEGER, PRIMARY KEY (b, a))"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(&dialect, &["INSERT INTO t VALUES (1, 'x', 5), (1, 'y', 6)"]).await;
    run(&dialect, &["UPDATE t SET b = 'z' WHERE b = 'y'", "DELETE FROM t WHERE b = 'x'"]).await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+x/1", "+y/1", "y/1=z/1", "-x/1"]);
}

async fn a_row_that_replace_removes_is_told_as_deleted(db: &Database) {
    let dialect = db.open().await;
    run(&dialect, &["CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(20) UNIQUE, b INTEGER UNIQUE)"]).await;
    run(&dialect, &["INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, NULL, NULL)"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(&dialect, &["REPLACE INTO t VALUES (1, 'x', 9)"]).await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["-1", "+1"]);
    follower.told.clear();
    // It takes the place of one row, and removes two more.
    run(&dialect, &["REPLACE INTO t VALUES (1, 'b', 3)", "REPLACE INTO t VALUES (5, NULL, NULL)"]).await;
    follower.catch_up().await;
    follower.told.sort();
    assert_eq!(follower.told, ["+1", "+5", "-1", "-2", "-3"]);
}

async fn what_is_rolled_back_is_not_told(db: &Database) {
    let dialect = db.open().await;
    run(&dialect, &["CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(20))"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    let transaction = dialect.begin(None).await.unwrap();
    transaction.execute_run("INSERT INTO t VALUES (1, 'a')", Vec::new()).await.unwrap();
    transaction.rollback().await.unwrap();
    run(&dialect, &["INSERT INTO t VALUES (2, 'b')"]).await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+2"]);
}

async fn ten_thousand_rows_come_in_events_of_bounded_size(db: &Database) {
    let dialect = db.open().await;
    run(&dialect, &["CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(20))"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(
        &dialect,
        &["INSERT INTO t WITH RECURSIVE d(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM d WHERE n < 99) \
           SELECT a.n * 100 + b.n, 'text' FROM d AS a, d AS b"],
    )
    .await;
    follower.catch_up().await;
    assert_eq!((follower.changes.len(), follower.transactions), (10_000, 1));
    assert!(follower.most_in_an_event <= 500);
    run(&dialect, &["UPDATE t SET a = 'other'", "DELETE FROM t"]).await;
    follower.catch_up().await;
    assert_eq!(follower.changes.len(), 30_000);
}

async fn large_rows_come_in_events_of_bounded_size(db: &Database) {
    let dialect = db.open().await;
    run(&dialect, &["CREATE TABLE t (id INTEGER PRIMARY KEY, a LONGTEXT)"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    let large = Value::Text("x".repeat(300_000));
    for id in 0..20 {
        let sql = format!("INSERT INTO t VALUES ({id}, ?)");
        dialect.execute_run(&sql, vec![large.clone()]).await.unwrap();
    }
    follower.catch_up().await;
    assert!(follower.most_in_an_event <= 4, "{}", follower.most_in_an_event);
}

async fn rows_that_the_application_writes_through_triggers_are_told_as_they_are_in_the_end(db: &Database) {
    let dialect = db.open().await;
    run(
        &dialect,
        &[
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(20))",
            "CREATE TABLE audit (id INTEGER PRIMARY KEY, a VARCHAR(20))",
            "CREATE TRIGGER own AFTER INSERT ON t FOR EACH ROW BEGIN INSERT INTO audit VALUES (NEW.id, NEW.a); END",
        ],
    )
    .await;
    let mut follower = Follower::new(&dialect, "r", &["t", "audit"]).await;
    run(&dialect, &["INSERT INTO t VALUES (1, 'a')"]).await;
    follower.catch_up().await;
    assert_eq!(follower.copies["audit"].len(), 1);
}

async fn rows_that_were_there_before_are_in_the_snapshot_and_not_in_the_log(db: &Database) {
    let dialect = db.open().await;
    run(&dialect, &["CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    assert_eq!(follower.copies["t"].len(), 1);
    run(&dialect, &["INSERT INTO t VALUES (2)"]).await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+2"]);
}

async fn tables_with_reserved_names_are_captured(db: &Database) {
    let dialect = db.open().await;
    let q = |name: &str| db.quote(name);
    let create = format!(
        "CREATE TABLE {} ({} INTEGER PRIMARY KEY, {} VARCHAR(20), {} INTEGER, {} INTEGER UNIQUE)",
        q("select"),
        q("group"),
        q("it's a \\ col"),
        q("NEW"),
        q("v0"),
    );
    run(&dialect, &[&create]).await;
    let mut follower = Follower::new(&dialect, "r", &["select"]).await;
    run(
        &dialect,
        &[
            &format!("INSERT INTO {} VALUES (1, 'a', 2, 3), (2, 'b', 4, 5)", q("select")),
            &format!("UPDATE {} SET {} = 7, {} = 5 WHERE {} = 5", q("select"), q("NEW"), q("group"), q("v0")),
            &format!("REPLACE INTO {} VALUES (9, 'c', 4, 3)", q("select")),
        ],
    )
    .await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+1", "+2", "2=5", "-1", "+9"]);
}

async fn an_emptied_table_is_told_row_by_row(db: &Database) {
    let dialect = db.open().await;
    run(&dialect, &["CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(&dialect, &["DELETE FROM t"]).await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["-1", "-2"]);
}
