//! Transactions, their order, and where reading goes on.

use std::sync::Arc;

use data::log::{LogEvent, Position};

use crate::follower::{Follower, log, reader, run};
use crate::source::{database, name_of, open, server};

const TABLE: &str = "CREATE TABLE t (id INT PRIMARY KEY, n INT)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_comes_whole_and_once() {
    let dialect = database().await;
    run(&dialect, &[TABLE, "CREATE TABLE other (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1, 1)"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    let transaction = dialect.begin(None).await.unwrap();
    transaction.execute_run("INSERT INTO t VALUES (2, 2)", Vec::new()).await.unwrap();
    run(&dialect, &["INSERT INTO t VALUES (3, 3)"]).await;
    for sql in ["INSERT INTO other VALUES (1)", "UPDATE t SET n = n + 1 WHERE id < 3"] {
        transaction.execute_run(sql, Vec::new()).await.unwrap();
    }
    transaction.commit().await.unwrap();
    run(&dialect, &["INSERT INTO other VALUES (2)", "DELETE FROM t WHERE id = 1"]).await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+3", "+2", "=1", "=2", "-1"]);
    assert_eq!(follower.transactions, 3);
    let again = data::connect(&config(&dialect).await).await.unwrap();
    follower.restart(&again).await;
    run(&dialect, &["UPDATE t SET id = 9 WHERE id = 2"]).await;
    follower.catch_up().await;
    assert_eq!(follower.told.last().unwrap(), "2=9");
    assert_eq!(follower.transactions, 4);
    follower.close().await;
}

async fn config(dialect: &Arc<dyn data::Dialect>) -> data::ConnectionConfig {
    let uri = format!("mariadb://root@127.0.0.1:{}/{}", server().port(), name_of(dialect).await);
    data::ConnectionConfig::new(data::DialectKind::Mariadb, uri)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_rolled_back_is_not_told() {
    let dialect = database().await;
    run(&dialect, &[TABLE]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    let transaction = dialect.begin(None).await.unwrap();
    transaction.execute_run("INSERT INTO t VALUES (1, 1)", Vec::new()).await.unwrap();
    transaction.execute_run("SAVEPOINT a", Vec::new()).await.unwrap();
    transaction.execute_run("INSERT INTO t VALUES (2, 2)", Vec::new()).await.unwrap();
    transaction.execute_run("ROLLBACK TO a", Vec::new()).await.unwrap();
    transaction.commit().await.unwrap();
    let transaction = dialect.begin(None).await.unwrap();
    transaction.execute_run("INSERT INTO t VALUES (3, 3)", Vec::new()).await.unwrap();
    transaction.rollback().await.unwrap();
    follower.catch_up().await;
    assert_eq!(follower.told, ["+1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_transaction_comes_in_parts_of_a_bounded_size() {
    let dialect = database().await;
    run(&dialect, &[TABLE]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(&dialect, &["INSERT INTO t SELECT seq, seq FROM seq_1_to_20000", "UPDATE t SET n = n + 1"]).await;
    follower.catch_up().await;
    assert_eq!((follower.transactions, follower.told.len()), (2, 40_000));
    assert!(follower.most_in_an_event <= 500, "{}", follower.most_in_an_event);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_concerns_nobody_moves_the_position_on() {
    let dialect = database().await;
    run(&dialect, &[TABLE, "CREATE TABLE other (id INT PRIMARY KEY)"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    let before = follower.position.clone();
    run(&dialect, &["INSERT INTO other VALUES (1)", "INSERT INTO other VALUES (2)"]).await;
    follower.catch_up().await;
    assert!(follower.position.order >= before.order + 2 && follower.told.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_lies_exactly_at_its_position_while_others_write() {
    let dialect = database().await;
    run(&dialect, &[TABLE]).await;
    let writing = Arc::clone(&dialect);
    let writer = tokio::spawn(async move {
        for id in 0..300 {
            run(&writing, &[&format!("INSERT INTO t VALUES ({id}, 0)")]).await;
        }
    });
    // A row that the view does not show is told, and one that it shows is not.
    for name in ["a", "b", "c"] {
        Follower::new(&dialect, name, &["t"]).await.read_to_head().await;
    }
    let mut last = Follower::new(&dialect, "last", &["t"]).await;
    writer.await.unwrap();
    last.catch_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn truncate_is_told() {
    let dialect = database().await;
    run(&dialect, &[TABLE, "INSERT INTO t VALUES (1, 1), (2, 2)"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    let elsewhere = format!("USE test; TRUNCATE {}.t", name_of(&dialect).await);
    server().sql("CREATE DATABASE IF NOT EXISTS test");
    run(&dialect, &["INSERT INTO t VALUES (3, 3)", "TRUNCATE TABLE `t`", "INSERT INTO t VALUES (1, 9)"])
        .await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+3", "0", "+1"]);
    server().sql(&elsewhere);
    follower.catch_up().await;
    assert_eq!(follower.told.last().unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_readers_read_apart_and_status_tells_who_reads() {
    let dialect = database().await;
    run(&dialect, &[TABLE]).await;
    let mut first = Follower::new(&dialect, "first", &["t"]).await;
    let mut second = Follower::new(&dialect, "second", &["t"]).await;
    run(&dialect, &["INSERT INTO t VALUES (1, 1)"]).await;
    first.catch_up().await;
    second.catch_up().await;
    assert!(log(&dialect).status(&first.reader.name).await.unwrap().unwrap().active);
    first.close().await;
    assert!(!log(&dialect).status(&first.reader.name).await.unwrap().unwrap().active);
    log(&dialect).remove(&first.reader.name).await.unwrap();
    assert_eq!(log(&dialect).status(&first.reader.name).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_the_same_name_in_another_database_is_another_one() {
    let dialect = database().await;
    let other = database().await;
    run(&dialect, &[TABLE]).await;
    run(&other, &[TABLE]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(&other, &["INSERT INTO t VALUES (1, 1)", "TRUNCATE t", "DROP TABLE t"]).await;
    run(&dialect, &["INSERT INTO t VALUES (2, 2)"]).await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_leaves_and_comes_back_goes_on_in_the_middle() {
    let dialect = database().await;
    run(&dialect, &[TABLE]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    for id in 0..5 {
        run(&dialect, &[&format!("INSERT INTO t VALUES ({id}, 0)")]).await;
        if id % 2 == 0 {
            follower.close().await;
            follower.start().await;
        }
        follower.catch_up().await;
    }
    assert_eq!(follower.told, ["+0", "+1", "+2", "+3", "+4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_are_stored_with_what_reading_needs() {
    let dialect = database().await;
    run(&dialect, &[TABLE, "INSERT INTO t VALUES (1, 1)"]).await;
    let reader = reader(&dialect, "r", &["t"]).await;
    let head = log(&dialect).head().await.unwrap();
    let stored: Position = serde_json::from_str(&serde_json::to_string(&head).unwrap()).unwrap();
    run(&dialect, &["INSERT INTO t VALUES (2, 2)"]).await;
    let mut stream = log(&dialect).stream(&reader, &stored).await.unwrap();
    let LogEvent::Begin(begun) = stream.next().await.unwrap() else { panic!("a transaction begins") };
    assert!(begun.position.order > head.order && begun.id.contains('-'), "{begun:?}");
    stream.close().await;
    drop(open(server(), "root", &name_of(&dialect).await).await);
}
