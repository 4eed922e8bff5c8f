//! Columns that change while the log is read, and before it is.

use crate::follower::{Follower, run};
use crate::source::database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_come_and_go_are_told() {
    let dialect = database().await;
    run(&dialect, &["CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(10))"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(&dialect, &["INSERT INTO t VALUES (1, 1, 'x')"]).await;
    follower.read_to_head().await;
    assert_eq!(follower.last_columns(), ["id", "a", "b"]);
    run(&dialect, &["ALTER TABLE t ADD COLUMN c INT AFTER id", "INSERT INTO t VALUES (2, 7, 2, 'y')"]).await;
    follower.read_to_head().await;
    assert_eq!(follower.last_columns(), ["id", "c", "a", "b"]);
    run(&dialect, &["ALTER TABLE t DROP COLUMN a", "INSERT INTO t VALUES (3, 8, 'z')"]).await;
    follower.read_to_head().await;
    assert_eq!(follower.last_columns(), ["id", "c", "b"]);
    run(&dialect, &["ALTER TABLE t CHANGE b text VARCHAR(20)", "INSERT INTO t VALUES (4, 9, 'w')"]).await;
    follower.read_to_head().await;
    assert_eq!(follower.last_columns(), ["id", "c", "text"]);
    let before = follower.changes.last().unwrap().table.clone();
    run(&dialect, &["ALTER TABLE t MODIFY c BIGINT", "INSERT INTO t VALUES (5, 5000000000, 'v')"]).await;
    follower.read_to_head().await;
    let now = &follower.changes.last().unwrap().table;
    assert_ne!(now.columns[1].column_type, before.columns[1].column_type);
    assert_eq!(follower.told, ["+1", "+2", "+3", "+4", "+5"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_before_a_change_are_read_with_the_columns_that_they_had() {
    let dialect = database().await;
    run(&dialect, &["CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(10))"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(&dialect, &["INSERT INTO t VALUES (1, 1, 'x')"]).await;
    follower.read_to_head().await;
    // The catalogue is ahead of the log when these are read.
    run(
        &dialect,
        &[
            "INSERT INTO t VALUES (2, 2, 'y')",
            "ALTER TABLE t DROP COLUMN a, ADD COLUMN c DATE",
            "INSERT INTO t VALUES (3, 'z', '2024-01-01')",
        ],
    )
    .await;
    follower.read_to_head().await;
    assert_eq!(follower.changes[1].table.columns[1].name, "a");
    assert_eq!(follower.last_columns(), ["id", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_log_names_columns_a_late_reader_knows_which_are_left() {
    let dialect = database().await;
    run(&dialect, &["CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(5), b INT)"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    follower.close().await;
    run(
        &dialect,
        &[
            "SET GLOBAL binlog_row_metadata = 'FULL'",
            "INSERT INTO t VALUES (1, 'gone', 1)",
            "ALTER TABLE t DROP COLUMN a",
            "INSERT INTO t VALUES (2, 2)",
            "SET GLOBAL binlog_row_metadata = 'NO_LOG'",
        ],
    )
    .await;
    follower.reader.tables =
        vec![std::sync::Arc::new(dialect.tables().unwrap().describe("t").await.unwrap().unwrap())];
    follower.start().await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+1", "+2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_the_server_computes_are_told() {
    let dialect = database().await;
    run(
        &dialect,
        &["CREATE TABLE t (id INT PRIMARY KEY, a INT, v INT AS (a + 1) VIRTUAL, s INT AS (a * 2) STORED)"],
    )
    .await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(&dialect, &["INSERT INTO t (id, a) VALUES (1, 1)", "UPDATE t SET a = 5"]).await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+1", "=1"]);
}
