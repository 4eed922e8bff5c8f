//! Tables of SQLite that change while they are captured.

use std::sync::Arc;

use data::{Dialect, ErrorKind};

use crate::database::Database;
use crate::follower::{Follower, count, log, reader, run};

async fn follow(statements: &[&str]) -> (Database, Arc<dyn Dialect>, Follower) {
    let db = Database::sqlite();
    let dialect = db.open().await;
    run(&dialect, statements).await;
    let follower = Follower::new(&dialect, "r", &["t"]).await;
    (db, dialect, follower)
}

const T: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b REAL)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_is_captured_from_the_moment_it_is_added() {
    let (_db, dialect, mut follower) = follow(&[T, "INSERT INTO t VALUES (1, 'a', 1)"]).await;
    // The triggers do not know the column yet when the rows are written.
    let add = "ALTER TABLE t ADD COLUMN c TEXT";
    run(&dialect, &[add, "INSERT INTO t VALUES (2, 'b', 2, 'new')", "UPDATE t SET c = 'own' WHERE id = 1"])
        .await;
    follower.catch_up().await;
    assert_eq!(follower.last_columns(), ["id", "a", "b", "c"]);
    run(&dialect, &["INSERT INTO t VALUES (3, 'c', 3, 'newer')"]).await;
    follower.catch_up().await;
    assert_eq!(follower.last_row(), [3i64.into(), "c".into(), 3.0.into(), "newer".into()]);
    assert_eq!(follower.told.last().unwrap(), "+3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_was_added_while_nobody_read_is_captured() {
    let (db, dialect, mut follower) = follow(&[T]).await;
    follower.close().await;
    run(&dialect, &["ALTER TABLE t ADD COLUMN c TEXT", "INSERT INTO t VALUES (2, 'b', 2, 'new')"]).await;
    follower.restart(&db.open().await).await;
    follower.catch_up().await;
    assert_eq!(follower.last_row(), [2i64.into(), "b".into(), 2.0.into(), "new".into()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_captured_column_can_be_dropped() {
    let (_db, dialect, mut follower) = follow(&[T, "INSERT INTO t VALUES (1, 'a', 1)"]).await;
    run(&dialect, &["ALTER TABLE t DROP COLUMN a", "INSERT INTO t VALUES (2, 2)"]).await;
    follower.read_to_head().await;
    let gone = follower.changes.iter().all(|change| change.table.position("a").is_none());
    assert!(gone, "what was recorded after the column was dropped has no value of it");
    run(&dialect, &["UPDATE t SET b = 5 WHERE id = 1"]).await;
    follower.read_to_head().await;
    assert_eq!(follower.last_columns(), ["id", "b"]);
    assert_eq!(follower.last_row(), [1i64.into(), 5.0.into()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_column_is_captured_under_its_new_name() {
    let (_db, dialect, mut follower) = follow(&[T]).await;
    run(&dialect, &["ALTER TABLE t RENAME COLUMN a TO \"new name\"", "INSERT INTO t VALUES (1, 'a', 1)"])
        .await;
    follower.catch_up().await;
    assert_eq!(follower.last_columns(), ["id", "new name", "b"]);
    run(&dialect, &["ALTER TABLE t RENAME COLUMN id TO \"key\"", "UPDATE t SET \"key\" = 2"]).await;
    follower.read_to_head().await;
    run(&dialect, &["INSERT INTO t VALUES (3, 'c', 1)"]).await;
    follower.read_to_head().await;
    assert_eq!(follower.last_columns(), ["key", "new name", "b"]);
    assert_eq!(follower.last_row(), [3i64.into(), "c".into(), 1.0.into()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_are_not_read_may_change_as_they_like() {
    let (_db, dialect, mut follower) = follow(&[T]).await;
    run(&dialect, &["CREATE TABLE other (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1, 'a', 1)"]).await;
    run(&dialect, &["CREATE INDEX i ON t (a)", "VACUUM", "DROP TABLE other", "DELETE FROM t"]).await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+1", "-1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_made_anew_is_lost_until_it_is_copied_again() {
    let (_db, dialect, mut follower) = follow(&[T, "INSERT INTO t VALUES (1, 'a', 1)"]).await;
    let anew = [
        "CREATE TABLE t2 (id INTEGER PRIMARY KEY, a TEXT)",
        "INSERT INTO t2 SELECT id, a FROM t",
        "DROP TABLE t",
        "ALTER TABLE t2 RENAME TO t",
        "INSERT INTO t VALUES (2, 'b')",
    ];
    run(&dialect, &anew).await;
    let error = follower.loss().await;
    assert_eq!(error.kind(), ErrorKind::LogLost);
    assert!(error.to_string().contains("table \"t\" was dropped and made anew"), "{error}");
    follower.close().await;
    let status = log(&dialect).status(&follower.reader.name).await.unwrap().unwrap();
    assert!(status.lost.is_some_and(|reason| reason.contains("made anew")));
    log(&dialect).remove(&follower.reader.name).await.unwrap();
    let mut again = Follower::new(&dialect, "r", &["t"]).await;
    run(&dialect, &["INSERT INTO t VALUES (3, 'c')"]).await;
    again.catch_up().await;
    assert_eq!(again.copies["t"].len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_whose_triggers_were_dropped_is_lost() {
    let (_db, dialect, mut follower) = follow(&[T]).await;
    let trigger = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE '%delete'";
    let rows = dialect.execute_query(trigger, Vec::new()).await.unwrap();
    let name = rows[0]["name"].as_text().unwrap();
    run(&dialect, &[&format!("DROP TRIGGER {name}")]).await;
    assert_eq!(follower.loss().await.kind(), ErrorKind::LogLost);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_dropped_or_renamed_has_no_more_changes() {
    for statement in ["DROP TABLE t", "ALTER TABLE t RENAME TO u"] {
        let (_db, dialect, mut follower) = follow(&[T]).await;
        run(&dialect, &["INSERT INTO t VALUES (1, 'a', 1)", statement]).await;
        follower.read_to_head().await;
        assert_eq!(follower.told, ["+1"]);
        let triggers = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'";
        assert_eq!(count(&dialect, triggers).await, 0, "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unique_index_that_comes_later_replaces_rows_as_well() {
    let (_db, dialect, mut follower) = follow(&[T, "INSERT INTO t VALUES (1, 'a', 1)"]).await;
    run(&dialect, &["CREATE UNIQUE INDEX i ON t (a)"]).await;
    let is_noticed =
        "SELECT schema_version = (SELECT schema_version FROM pragma_schema_version) FROM replicaverse_log";
    follower.read_until(is_noticed).await;
    run(&dialect, &["REPLACE INTO t VALUES (2, 'a', 2)"]).await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["-1", "+2"]);
    follower.close().await;
    run(&dialect, &["CREATE UNIQUE INDEX j ON t (b)", "REPLACE INTO t VALUES (3, 'c', 2)"]).await;
    follower.start().await;
    let error = follower.loss().await;
    assert!(error.to_string().contains("was given a unique index while it was written"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_cannot_have_triggers_are_refused() {
    let db = Database::sqlite();
    let dialect = db.open().await;
    run(&dialect, &["CREATE VIRTUAL TABLE words USING fts5(word)"]).await;
    let words = reader(&dialect, "r", &["words"]).await;
    let error = log(&dialect).open(&words).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capture);
    assert!(log(&dialect).status(&words.name).await.unwrap().is_none());
}
