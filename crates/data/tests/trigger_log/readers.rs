//! Readers of a log: where they resume, what is kept for them, and what they leave behind.

use std::sync::Arc;
use std::time::Duration;

use data::log::{LogEvent, OpenedLog, Position};
use data::{Dialect, DialectKind, ErrorKind};

use crate::behaviours;
use crate::database::Database;
use crate::follower::{Follower, count, log, reader, run};

behaviours!(
    two_readers_read_the_same_changes_at_their_own_pace,
    a_reader_is_told_of_its_own_tables_alone,
    a_reader_resumes_behind_what_it_has_read,
    changes_that_every_reader_has_acknowledged_are_deleted,
    what_was_acknowledged_is_not_read_again,
    an_unknown_reader_is_told_that_its_log_is_lost,
    a_reader_with_more_tables_is_told_which_are_new,
    a_removed_reader_leaves_nothing_behind,
    the_triggers_of_a_table_go_with_its_last_reader,
    a_table_without_a_key_is_refused,
    the_status_tells_what_is_kept,
    a_log_without_changes_is_idle,
    a_transaction_of_the_application_is_not_waited_for_by_itself,
);

const TABLES: [&str; 2] =
    ["CREATE TABLE t (id INTEGER PRIMARY KEY)", "CREATE TABLE u (id INTEGER PRIMARY KEY)"];

async fn opened(db: &Database) -> Arc<dyn Dialect> {
    let dialect = db.open().await;
    run(&dialect, &TABLES).await;
    dialect
}

async fn two_readers_read_the_same_changes_at_their_own_pace(db: &Database) {
    let dialect = opened(db).await;
    let mut first = Follower::new(&dialect, "first", &["t"]).await;
    run(&dialect, &["INSERT INTO t VALUES (1)"]).await;
    first.catch_up().await;
    let mut second = Follower::new(&dialect, "second", &["t", "u"]).await;
    run(&dialect, &["INSERT INTO t VALUES (2)", "INSERT INTO u VALUES (3)"]).await;
    second.catch_up().await;
    first.catch_up().await;
    assert_eq!((first.told, second.told), (vec!["+1".into(), "+2".into()], vec!["+2".into(), "+3".into()]));
}

async fn a_reader_is_told_of_its_own_tables_alone(db: &Database) {
    let dialect = opened(db).await;
    let mut t = Follower::new(&dialect, "t", &["t"]).await;
    let mut u = Follower::new(&dialect, "u", &["u"]).await;
    run(&dialect, &["INSERT INTO t VALUES (1)", "INSERT INTO u VALUES (2)"]).await;
    t.catch_up().await;
    u.catch_up().await;
    assert_eq!((t.told, u.told), (vec!["+1".to_owned()], vec!["+2".to_owned()]));
}

async fn a_reader_resumes_behind_what_it_has_read(db: &Database) {
    let dialect = opened(db).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(&dialect, &["INSERT INTO t VALUES (1)"]).await;
    follower.catch_up().await;
    follower.acknowledge();
    follower.close().await;
    run(&dialect, &["INSERT INTO t VALUES (2)"]).await;
    let again = if db.uri == ":memory:" { Arc::clone(&dialect) } else { db.open().await };
    follower.restart(&again).await;
    run(&again, &["INSERT INTO t VALUES (3)"]).await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+1", "+2", "+3"]);
}

async fn kept(dialect: &Arc<dyn Dialect>) -> i64 {
    count(dialect, "SELECT count(*) FROM replicaverse_change").await
}

async fn changes_that_every_reader_has_acknowledged_are_deleted(db: &Database) {
    let dialect = opened(db).await;
    let mut first = Follower::new(&dialect, "first", &["t"]).await;
    let mut second = Follower::new(&dialect, "second", &["t"]).await;
    for id in 0..10 {
        run(&dialect, &[&format!("INSERT INTO t VALUES ({id})")]).await;
    }
    first.catch_up().await;
    first.acknowledge();
    first.close().await;
    assert!(kept(&dialect).await >= 10, "the other reader has not read them");
    second.catch_up().await;
    second.acknowledge();
    second.read_until("SELECT count(*) FROM replicaverse_change").await;
    run(&dialect, &["INSERT INTO t VALUES (11)"]).await;
    first.start().await;
    first.catch_up().await;
    second.catch_up().await;
}

async fn what_was_acknowledged_is_not_read_again(db: &Database) {
    let dialect = opened(db).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    let before = follower.position.clone();
    run(&dialect, &["INSERT INTO t VALUES (1)"]).await;
    follower.catch_up().await;
    follower.acknowledge();
    follower.close().await;
    let error = log(&dialect).stream(&follower.reader, &before).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LogLost);
    assert!(log(&dialect).stream(&follower.reader, &follower.position).await.is_ok());
}

async fn an_unknown_reader_is_told_that_its_log_is_lost(db: &Database) {
    let dialect = opened(db).await;
    let unknown = reader(&dialect, "unknown", &["t"]).await;
    let error = log(&dialect).stream(&unknown, &Position::at(1)).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LogLost);
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    let error = log(&dialect).stream(&unknown, &follower.position).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LogLost);
    log(&dialect).remove(&follower.reader.name).await.unwrap();
    let error = follower.loss().await;
    assert_eq!(error.kind(), ErrorKind::LogLost);
}

async fn a_reader_with_more_tables_is_told_which_are_new(db: &Database) {
    let dialect = opened(db).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    follower.close().await;
    follower.reader = reader(&dialect, "r", &["t", "u"]).await;
    let opened = log(&dialect).open(&follower.reader).await.unwrap();
    assert!(matches!(opened, OpenedLog::Existing { added } if added == ["u"]));
    let snapshot = log(&dialect).snapshot(&follower.reader).await.unwrap();
    assert!(snapshot.position.order >= follower.position.order);
    follower.copies.insert("u".to_owned(), Default::default());
    follower.start().await;
    run(&dialect, &["INSERT INTO u VALUES (1)", "INSERT INTO t VALUES (2)"]).await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+1", "+2"]);
}

/// How many tables, indexes and triggers of ours there are.
async fn objects(db: &Database, dialect: &Arc<dyn Dialect>) -> i64 {
    let sql = match db.kind {
        DialectKind::Sqlite => {
            "SELECT count(*) FROM sqlite_schema WHERE tbl_name NOT IN ('t', 'u') OR type = 'trigger'"
        }
        _ => {
            "SELECT (SELECT count(*) FROM information_schema.tables WHERE table_schema = database() \
             AND table_name LIKE 'replicaverse%') + (SELECT count(*) FROM information_schema.triggers \
             WHERE trigger_schema = database())"
        }
    };
    count(dialect, sql).await
}

async fn a_removed_reader_leaves_nothing_behind(db: &Database) {
    let dialect = opened(db).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(&dialect, &["INSERT INTO t VALUES (1)"]).await;
    follower.catch_up().await;
    assert!(objects(db, &dialect).await > 0);
    log(&dialect).remove("replicaverse_other").await.unwrap();
    assert!(objects(db, &dialect).await > 0, "the reader is another one");
    follower.close().await;
    log(&dialect).remove(&follower.reader.name).await.unwrap();
    assert_eq!(objects(db, &dialect).await, 0);
    log(&dialect).remove(&follower.reader.name).await.unwrap();
    run(&dialect, &["INSERT INTO t VALUES (2)"]).await;
    let again = Follower::new(&dialect, "r", &["t"]).await;
    assert_eq!(again.copies["t"].len(), 2);
}

async fn triggers(db: &Database, dialect: &Arc<dyn Dialect>, table: &str) -> i64 {
    let sql = match db.kind {
        DialectKind::Sqlite => {
            format!("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = '{table}'")
        }
        _ => format!(
            "SELECT count(*) FROM information_schema.triggers WHERE trigger_schema = database() \
             AND event_object_table = '{table}'"
        ),
    };
    count(dialect, &sql).await
}

async fn the_triggers_of_a_table_go_with_its_last_reader(db: &Database) {
    let dialect = opened(db).await;
    let mut first = Follower::new(&dialect, "first", &["t", "u"]).await;
    let _second = Follower::new(&dialect, "second", &["t"]).await;
    assert!(triggers(db, &dialect, "u").await > 0);
    first.close().await;
    log(&dialect).remove(&first.reader.name).await.unwrap();
    assert_eq!(triggers(db, &dialect, "u").await, 0);
    assert!(triggers(db, &dialect, "t").await > 0);
}

async fn a_table_without_a_key_is_refused(db: &Database) {
    let dialect = db.open().await;
    run(&dialect, &["CREATE TABLE t (a INTEGER)"]).await;
    let reader = reader(&dialect, "r", &["t"]).await;
    let error = log(&dialect).open(&reader).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capture);
    assert!(error.to_string().contains("\"t\" has no primary key"), "{error}");
    assert!(log(&dialect).status(&reader.name).await.unwrap().is_none());
}

async fn the_status_tells_what_is_kept(db: &Database) {
    let dialect = opened(db).await;
    assert!(log(&dialect).status("replicaverse_r").await.unwrap().is_none());
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    let status = log(&dialect).status(&follower.reader.name).await.unwrap().unwrap();
    assert!(status.active && status.lost.is_none() && status.retained_bytes > 0, "{status:?}");
    follower.close().await;
    assert!(!log(&dialect).status(&follower.reader.name).await.unwrap().unwrap().active);
    assert!(log(&dialect).status("replicaverse_other").await.unwrap().is_none());
}

async fn a_log_without_changes_is_idle(db: &Database) {
    let dialect = opened(db).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    let event = follower.next().await.unwrap();
    assert!(matches!(event, LogEvent::Idle(position) if position == follower.position));
}

async fn a_transaction_of_the_application_is_not_waited_for_by_itself(db: &Database) {
    let dialect = opened(db).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    let transaction = dialect.begin(None).await.unwrap();
    transaction.execute_run("INSERT INTO t VALUES (1)", Vec::new()).await.unwrap();
    let looked = tokio::time::timeout(Duration::from_millis(300), async {
        loop {
            if let LogEvent::Changes(changes) = follower.next().await.unwrap() {
                break changes;
            }
        }
    });
    assert!(looked.await.is_err(), "nothing was committed");
    transaction.execute_run("INSERT INTO t VALUES (2)", Vec::new()).await.unwrap();
    transaction.commit().await.unwrap();
    follower.catch_up().await;
    assert_eq!(follower.told, ["+1", "+2"]);
}
