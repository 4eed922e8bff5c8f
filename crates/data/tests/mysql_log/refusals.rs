//! Servers, users and tables whose changes cannot be read from the log, and what is said of them.

use data::ErrorKind;
use data::log::LogKind;

use crate::follower::{log, reader, run};
use crate::mariadb_server::MariadbServer;
use crate::source::{database, database_on, name_of, open, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_log_is_told_what_to_set_and_triggers_take_its_place() {
    let silent = MariadbServer::start();
    let dialect = database_on(&silent).await;
    run(&dialect, &["CREATE TABLE t (id INT PRIMARY KEY)"]).await;
    let error = log(&dialect).open(&reader(&dialect, "r", &["t"]).await).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Capture);
    assert!(error.to_string().contains("log_bin"), "{error}");
    assert_eq!(dialect.tables().unwrap().automatic_log(), Some(LogKind::Trigger));
    assert_eq!(database().await.tables().unwrap().automatic_log(), Some(LogKind::Log));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_that_hides_changes_is_named() {
    let server = MariadbServer::start_logging();
    let dialect = database_on(&server).await;
    run(&dialect, &["CREATE TABLE t (id INT PRIMARY KEY)"]).await;
    let reader = reader(&dialect, "r", &["t"]).await;
    for (hides, tells) in [
        ("binlog_format = 'MIXED'", "binlog_format = 'ROW'"),
        ("binlog_row_image = 'MINIMAL'", "binlog_row_image = 'FULL'"),
    ] {
        server.sql(&format!("SET GLOBAL {hides}"));
        let error = log(&dialect).open(&reader).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Capture);
        assert!(error.to_string().contains(&format!("SET GLOBAL {tells}")), "{error}");
        server.sql(&format!("SET GLOBAL {tells}"));
    }
    log(&dialect).open(&reader).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_the_privilege_is_told_what_to_grant() {
    let dialect = database().await;
    let name = name_of(&dialect).await;
    run(&dialect, &["CREATE TABLE t (id INT PRIMARY KEY)"]).await;
    server().sql(&format!(
        "CREATE USER IF NOT EXISTS reader@'127.0.0.1'; GRANT ALL ON {name}.* TO reader@'127.0.0.1'"
    ));
    let limited = open(server(), "reader", &name).await;
    assert_eq!(limited.tables().unwrap().automatic_log(), Some(LogKind::Trigger));
    let reader = reader(&limited, "r", &["t"]).await;
    let error = log(&limited).open(&reader).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Capture);
    assert!(error.to_string().contains("GRANT REPLICATION SLAVE ON *.* TO `reader`@`127.0.0.1`"), "{error}");
    let head = log(&dialect).head().await.unwrap();
    let error = log(&limited).stream(&reader, &head).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Capture, "{error}");
    server().sql("GRANT REPLICATION SLAVE ON *.* TO reader@'127.0.0.1'");
    let granted = open(server(), "reader", &name).await;
    assert_eq!(granted.tables().unwrap().automatic_log(), Some(LogKind::Log));
    let mut follower = crate::follower::Follower::new(&granted, "r", &["t"]).await;
    run(&dialect, &["INSERT INTO t VALUES (1)"]).await;
    follower.catch_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_whose_changes_the_log_does_not_tell_are_refused() {
    let dialect = database().await;
    run(
        &dialect,
        &[
            "CREATE TABLE parent (id INT PRIMARY KEY)",
            "CREATE TABLE child (id INT PRIMARY KEY, parent INT, \
             FOREIGN KEY own (parent) REFERENCES parent (id) ON DELETE CASCADE)",
            "CREATE TABLE keyless (id INT)",
            "CREATE VIEW seen AS SELECT * FROM parent",
            "CREATE TABLE far (id INT PRIMARY KEY, v VARCHAR(10) CHARACTER SET gbk)",
            "CREATE TABLE versions (id INT PRIMARY KEY) WITH SYSTEM VERSIONING",
        ],
    )
    .await;
    for (table, word) in [
        ("child", "DROP FOREIGN KEY"),
        ("keyless", "primary key"),
        ("seen", "view"),
        ("far", "gbk"),
        ("versions", "versions"),
    ] {
        let error = log(&dialect).open(&reader(&dialect, "r", &[table]).await).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Capture, "{table}: {error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_the_server_does_not_log_is_told_of() {
    let options = ["--log-bin=binlog", "--binlog-format=ROW", "--server-id=1", "--binlog-ignore-db=hidden"];
    let server = MariadbServer::start_with(&options);
    server.sql("CREATE DATABASE hidden; CREATE TABLE hidden.t (id INT PRIMARY KEY)");
    let hidden = open(&server, "root", "hidden").await;
    let error = log(&hidden).open(&reader(&hidden, "r", &["t"]).await).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Capture);
    assert!(error.to_string().contains("binlog_ignore_db"), "{error}");
    assert_eq!(database_on(&server).await.tables().unwrap().automatic_log(), Some(LogKind::Log));
}
