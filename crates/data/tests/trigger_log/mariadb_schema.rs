//! Tables of MariaDB that change while they are captured, and those that cannot be captured.

use std::sync::Arc;

use data::{Dialect, ErrorKind, Value};

use crate::database::{Database, mariadb};
use crate::follower::{Follower, log, reader, run};

const T: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(20) NOT NULL, b DOUBLE)";

async fn follow(statements: &[&str]) -> (Database, Arc<dyn Dialect>, Follower) {
    let db = Database::mariadb();
    let dialect = db.open().await;
    run(&dialect, statements).await;
    let follower = Follower::new(&dialect, "r", &["t"]).await;
    (db, dialect, follower)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_is_captured_from_the_moment_it_is_added() {
    let (_db, dialect, mut follower) = follow(&[T, "INSERT INTO t VALUES (1, 'a', 1)"]).await;
    // The triggers do not know the column yet when the rows are written.
    let add = "ALTER TABLE t ADD COLUMN c VARCHAR(20)";
    run(&dialect, &[add, "INSERT INTO t VALUES (2, 'b', 2, 'new')", "UPDATE t SET c = 'own' WHERE id = 1"])
        .await;
    run(&dialect, &["INSERT INTO t VALUES (9, 'b', 2, 'gone')", "DELETE FROM t WHERE id = 9"]).await;
    follower.catch_up().await;
    assert_eq!(follower.last_columns(), ["id", "a", "b", "c"]);
    run(&dialect, &["INSERT INTO t VALUES (3, 'c', 3, 'newer')"]).await;
    follower.catch_up().await;
    assert_eq!(follower.last_row(), [3.into(), "c".into(), 3.0.into(), "newer".into()].map(widened));
    assert_eq!(follower.told.last().unwrap(), "+3");
}

fn widened(value: Value) -> Value {
    match value {
        Value::Int64(number) => i32::try_from(number).map_or(Value::Int64(number), Value::Int32),
        value => value,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_or_renamed_column_is_noticed() {
    let (_db, dialect, mut follower) = follow(&[T, "INSERT INTO t VALUES (1, 'a', 1)"]).await;
    let is_noticed = |column: &str| {
        format!(
            "SELECT (SELECT layout FROM replicaverse_source WHERE is_current = 1) {column} \
             AND (SELECT count(*) FROM information_schema.triggers WHERE trigger_schema = database()) = 3"
        )
    };
    run(&dialect, &["ALTER TABLE t DROP COLUMN a"]).await;
    follower.read_until(&is_noticed("NOT LIKE '%\"a\"%'")).await;
    run(&dialect, &["INSERT INTO t VALUES (2, 2)"]).await;
    follower.read_to_head().await;
    assert_eq!(follower.last_columns(), ["id", "b"]);
    run(&dialect, &["ALTER TABLE t RENAME COLUMN b TO `new name`"]).await;
    follower.read_until(&is_noticed("LIKE '%\"new name\"%'")).await;
    run(&dialect, &["UPDATE t SET `new name` = 5 WHERE id = 1"]).await;
    follower.read_to_head().await;
    assert_eq!(follower.last_columns(), ["id", "new name"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_made_anew_is_lost_until_it_is_copied_again() {
    let (_db, dialect, mut follower) = follow(&[T, "INSERT INTO t VALUES (1, 'a', 1)"]).await;
    run(&dialect, &["DROP TABLE t", T, "INSERT INTO t VALUES (2, 'b', 1)"]).await;
    let error = follower.loss().await;
    assert_eq!(error.kind(), ErrorKind::LogLost);
    assert!(error.to_string().contains("table \"t\" was dropped and made anew"), "{error}");
    follower.close().await;
    let status = log(&dialect).status(&follower.reader.name).await.unwrap().unwrap();
    assert!(status.lost.is_some_and(|reason| reason.contains("made anew")));
    log(&dialect).remove(&follower.reader.name).await.unwrap();
    let mut again = Follower::new(&dialect, "r", &["t"]).await;
    run(&dialect, &["INSERT INTO t VALUES (3, 'c', 1)"]).await;
    again.catch_up().await;
    assert_eq!(again.copies["t"].len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_whose_foreign_key_cascades_is_refused_by_the_name_of_the_key() {
    let db = Database::mariadb();
    let dialect = db.open().await;
    run(
        &dialect,
        &[
            "CREATE TABLE p (id INTEGER PRIMARY KEY)",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, p INTEGER, CONSTRAINT its_parent FOREIGN KEY (p) REFERENCES p (id) \
             ON DELETE CASCADE)",
            "CREATE TABLE u (id INTEGER PRIMARY KEY, p INTEGER, FOREIGN KEY (p) REFERENCES p (id) ON DELETE RESTRICT)",
        ],
    )
    .await;
    let cascading = reader(&dialect, "r", &["p", "t"]).await;
    let error = log(&dialect).open(&cascading).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capture);
    assert!(error.to_string().contains("ALTER TABLE `t` DROP FOREIGN KEY `its_parent`"), "{error}");
    assert!(log(&dialect).status(&cascading.name).await.unwrap().is_none(), "nothing is left of it");
    Follower::new(&dialect, "other", &["p", "u"]).await.catch_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_privilege_is_named_with_the_statement_that_gives_it() {
    let db = Database::mariadb();
    run(&db.open().await, &[T]).await;
    let name = db.uri.rsplit('/').next().unwrap();
    let account = format!("reader_of_{name}");
    mariadb().sql(&format!(
        "CREATE USER {account}@'127.0.0.1'; GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP ON {name}.* TO {account}@'127.0.0.1'"
    ));
    let uri = db.uri.replace("root@", &format!("{account}@"));
    let config = data::ConnectionConfig::new(db.kind, uri);
    let dialect = data::connect(&config).await.unwrap();
    let denied = reader(&dialect, "r", &["t"]).await;
    let error = log(&dialect).open(&denied).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capture, "{error}");
    let message = error.to_string();
    let (_, statement) = message.split_once("run: ").unwrap();
    assert!(statement.contains("TRIGGER"), "{message}");
    mariadb().sql(statement);
    // The server looks at the privileges on a database when a connection chooses it.
    let dialect = data::connect(&config).await.unwrap();
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(&dialect, &["INSERT INTO t VALUES (1, 'a', 1)"]).await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+1"]);
}
