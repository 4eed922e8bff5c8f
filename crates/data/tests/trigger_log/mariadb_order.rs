//! The order of changes on MariaDB, where transactions commit in another order than they began to write.

use std::sync::Arc;

use data::log::LogEvent;
use data::{Dialect, Transaction};

use crate::database::Database;
use crate::follower::{Follower, log, run};

const T: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)";

async fn write(transaction: &Arc<dyn Transaction>, sql: &str) {
    transaction.execute_run(sql, Vec::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_wrote_first_and_commits_last_is_not_passed_over() {
    let db = Database::mariadb();
    let dialect = db.open().await;
    run(&dialect, &[T]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    let (first, second) = (dialect.begin(None).await.unwrap(), dialect.begin(None).await.unwrap());
    write(&first, "INSERT INTO t VALUES (1, 0)").await;
    write(&second, "INSERT INTO t VALUES (2, 0)").await;
    write(&first, "INSERT INTO t VALUES (3, 0)").await;
    second.commit().await.unwrap();
    follower.catch_up().await;
    assert_eq!(follower.told, ["+2"]);
    let between = follower.position.clone();
    follower.acknowledge();
    follower.close().await;
    first.commit().await.unwrap();
    follower.start().await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+2", "+1", "+3"]);
    assert!(follower.position > between);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_told_as_one_although_others_wrote_meanwhile() {
    let db = Database::mariadb();
    let dialect = db.open().await;
    run(&dialect, &[T]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    let transaction = dialect.begin(None).await.unwrap();
    for id in 0..20 {
        write(&transaction, &format!("INSERT INTO t VALUES ({id}, 0)")).await;
        run(&dialect, &[&format!("INSERT INTO t VALUES ({}, 0)", id + 100)]).await;
    }
    follower.catch_up().await;
    assert_eq!((follower.changes.len(), follower.copies["t"].len()), (20, 20));
    transaction.commit().await.unwrap();
    let mut told = 0;
    loop {
        match follower.next().await.unwrap() {
            LogEvent::Changes(changes) => told += changes.len(),
            LogEvent::Commit(_) => break,
            _ => {}
        }
    }
    assert_eq!(told, 20, "all changes of the transaction come before its commit");
}

/// Adds to counters in transactions, some of which are rolled back.
async fn count_up(dialect: Arc<dyn Dialect>, number: i64) {
    for round in 0..40 {
        let transaction = dialect.begin(None).await.unwrap();
        let (first, second) = (round % 5, 5 + (round + number) % 5);
        for sql in [
            format!("UPDATE t SET n = n + 1 WHERE id = {first}"),
            format!("INSERT INTO t VALUES ({}, 0)", 1000 * (number + 1) + round),
            format!("UPDATE t SET n = n + 1 WHERE id = {second}"),
            format!("DELETE FROM t WHERE id = {}", 1000 * (number + 1) + round - 3),
        ] {
            write(&transaction, &sql).await;
        }
        if round % 7 == 0 {
            transaction.rollback().await.unwrap()
        } else {
            transaction.commit().await.unwrap()
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_and_streams_fit_together_while_many_write() {
    let db = Database::mariadb();
    let dialect = db.open().await;
    run(&dialect, &[T, "INSERT INTO t VALUES (0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0)"])
        .await;
    // The triggers are there before anybody writes.
    let mut first = Follower::new(&dialect, "first", &["t"]).await;
    let writers: Vec<_> = (0..4).map(|number| tokio::spawn(count_up(Arc::clone(&dialect), number))).collect();
    let mut others = Vec::new();
    for number in 0..5 {
        // A row that is told although it was copied fails here.
        let mut follower = Follower::new(&dialect, &format!("other_{number}"), &["t"]).await;
        follower.read_to_head().await;
        others.push(follower);
        first.read_to_head().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    first.catch_up().await;
    for follower in &mut others {
        follower.catch_up().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_head_lies_behind_everything_that_was_committed() {
    let db = Database::mariadb();
    let (dialect, other) = (db.open().await, db.open().await);
    run(&dialect, &[T]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    for id in 0..20 {
        run(&other, &[&format!("INSERT INTO t VALUES ({id}, 0)")]).await;
        let head = log(&dialect).head().await.unwrap();
        assert!(head.order > follower.position.order);
        follower.read_to_head().await;
        assert_eq!(follower.told.len(), id + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_first_reader_the_head_is_the_beginning() {
    let db = Database::mariadb();
    let dialect = db.open().await;
    assert_eq!(log(&dialect).head().await.unwrap(), data::log::Position::at(0));
}
