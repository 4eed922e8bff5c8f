//! When the log does not hold, or does not tell, what a reader has not seen.

use std::time::{Duration, Instant};

use data::ErrorKind;
use data::log::Position;

use crate::follower::{Follower, log, reader, run};
use crate::mariadb_server::MariadbServer;
use crate::source::{database, database_on, name_of, server};

const TABLE: &str = "CREATE TABLE t (id INT PRIMARY KEY, n INT)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_purged_is_lost() {
    let server = MariadbServer::start_logging();
    let dialect = database_on(&server).await;
    run(&dialect, &[TABLE]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    follower.close().await;
    run(&dialect, &["INSERT INTO t VALUES (1, 1)", "FLUSH BINARY LOGS", "INSERT INTO t VALUES (2, 2)"]).await;
    server.sql("FLUSH BINARY LOGS");
    // The server keeps a file for as long as it takes somebody to read it.
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.sql("PURGE BINARY LOGS TO 'binlog.000003'; SHOW BINARY LOGS").contains("000001") {
        assert!(Instant::now() < deadline, "the log is not purged");
        run(&dialect, &["UPDATE t SET n = n + 1"]).await;
    }
    let error = log(&dialect).stream(&follower.reader, &follower.position).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::LogLost, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_of_another_log_is_lost() {
    let dialect = database().await;
    run(&dialect, &[TABLE]).await;
    let reader = reader(&dialect, "r", &["t"]).await;
    let ahead = Position { order: u64::MAX, token: Some("mariadb/0-1-99999999".to_owned()) };
    for position in [Position::at(3), Position { order: 3, token: Some("mark".to_owned()) }, ahead] {
        let error = log(&dialect).stream(&reader, &position).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::LogLost, "{error}");
    }
}

/// The error with which the log ends after a change.
async fn error_of(statements: &[&str]) -> data::Error {
    let dialect = database().await;
    let table = "CREATE TABLE t (id INT PRIMARY KEY, n INT, m INT)";
    run(&dialect, &[table, "INSERT INTO t (id, n) VALUES (0, 0)"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    server().sql(&format!("USE {}; {}", name_of(&dialect).await, statements.join("; ")));
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match follower.next().await {
            Err(error) => return error,
            Ok(event) => assert!(Instant::now() < deadline, "{statements:?} ends nothing: {event:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_log_does_not_tell_ends_it() {
    for (statements, word) in [
        (&["SET binlog_format = 'STATEMENT'", "INSERT INTO t (id) VALUES (1)"][..], "binlog_format"),
        (&["SET binlog_row_image = 'MINIMAL'", "UPDATE t SET n = 1"], "binlog_row_image"),
        (&["DROP TABLE t", "CREATE TABLE t (id INT PRIMARY KEY, n INT)"], "made anew"),
        (&["CREATE OR REPLACE TABLE t (id INT PRIMARY KEY, n INT)"], "made anew"),
        (
            &[
                "CREATE TABLE plain (id INT) ENGINE = MyISAM",
                "BEGIN",
                "INSERT INTO t (id) VALUES (1)",
                "INSERT INTO plain VALUES (1)",
                "SAVEPOINT a",
                "UPDATE t SET n = 5",
                "ROLLBACK TO a",
                "COMMIT",
            ],
            "undone",
        ),
        (&["CREATE TABLE u LIKE t", "RENAME TABLE t TO v, u TO t"], "name"),
        (
            &[
                "XA START 'x'",
                "INSERT INTO t (id) VALUES (1)",
                "XA END 'x'",
                "XA PREPARE 'x'",
                "XA COMMIT 'x'",
            ],
            "XA",
        ),
    ] {
        let error = error_of(statements).await;
        assert_eq!(error.kind(), ErrorKind::LogLost, "{statements:?}: {error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}
