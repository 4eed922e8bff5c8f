//! The log that triggers fill.

use std::time::Duration;

use data::ErrorKind;
use data::Value;
use data::log::{LogEvent, LogSnapshot, OpenedLog, Operation, Position};
use data::table::ScanOptions;

use crate::source::{Feed, Source, delete, eventually, insert, rows, update};
use crate::values::{all_types, compare};

async fn created(source: &Source, reader: &data::log::LogReader) -> LogSnapshot {
    match source.trigger_log().open(reader).await.unwrap() {
        OpenedLog::Created(snapshot) => snapshot,
        OpenedLog::Existing { .. } => panic!("the reader is known already"),
    }
}

/// The rows that are there after all that a feed delivers up to a position, by the key of one integer.
async fn replayed(feed: &mut Feed, head: &Position) -> Vec<(i64, Value)> {
    let mut state = std::collections::BTreeMap::new();
    let key = |value: &Value| value.as_f64().unwrap() as i64;
    loop {
        match feed.next().await {
            LogEvent::Changes(changes) => {
                for change in changes {
                    match change.operation {
                        Operation::Insert { row } | Operation::Update { row, .. } => {
                            state.insert(key(&row[0]), row.last().unwrap().clone());
                        }
                        Operation::Delete { key: old } => drop(state.remove(&key(&old[0]))),
                        Operation::Truncate => state.clear(),
                    }
                }
            }
            LogEvent::Commit(position) | LogEvent::Idle(position) if position >= *head => break,
            _ => {}
        }
    }
    state.into_iter().collect()
}

#[tokio::test]
async fn changes_are_recorded_with_their_keys() {
    let source = Source::new("CREATE TABLE \"T '\" (v text, id int PRIMARY KEY)").await;
    let (_, mut feed) = source.trigger_feed(&["T '"]).await;
    source.run("BEGIN; INSERT INTO \"T '\" VALUES ('a, \"\\', 1), (NULL, 2); UPDATE \"T '\" SET v = 'b' WHERE id = 1; COMMIT").await;
    let first = feed.transaction().await;
    let (one, two) = (insert(["a, \"\\".into(), 1.into()]), insert([Value::Null, 2.into()]));
    assert_eq!(first.operations(), [one, two, update(["b".into(), 1.into()])]);
    assert_eq!(first.changes[0].table.name, "T '");
    source.run("UPDATE \"T '\" SET id = 3 WHERE id = 1").await;
    let moved = feed.operations().await;
    let Operation::Update { old_key, row, .. } = &moved[0] else { panic!("{moved:?}") };
    assert_eq!((old_key, row), (&Some(vec![1.into()]), &vec!["b".into(), 3.into()]));
    source.run("DELETE FROM \"T '\" WHERE id = 2").await;
    assert_eq!(feed.operations().await, [delete([2.into()])]);
    source.run("BEGIN; INSERT INTO \"T '\" VALUES ('no', 9); ROLLBACK; TRUNCATE \"T '\"").await;
    assert_eq!(feed.operations().await, [Operation::Truncate]);
}

#[tokio::test]
async fn values_of_every_type_are_those_of_a_scan_whatever_the_session_is_set_to() {
    let (source, mut inserts) = all_types().await;
    let (_, feed) = source.trigger_feed(&["t"]).await;
    for statement in &mut inserts {
        *statement = format!(
            "SET datestyle = 'SQL, DMY'; SET intervalstyle = 'iso_8601'; SET timezone = 'Asia/Tokyo'; \
             SET extra_float_digits = -5; SET bytea_output = 'escape'; BEGIN; SET LOCAL datestyle = 'ISO'; {statement}; COMMIT"
        );
    }
    compare(&source, &inserts, feed).await;
}

#[tokio::test]
async fn what_commits_late_is_not_passed_over() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let (_, mut feed) = source.trigger_feed(&["t"]).await;
    let early = source.dialect.begin(None).await.unwrap();
    early.execute_run("INSERT INTO t VALUES (1, 'early')", vec![]).await.unwrap();
    let late = source.dialect.begin(None).await.unwrap();
    late.execute_run("INSERT INTO t VALUES (2, 'late')", vec![]).await.unwrap();
    late.commit().await.unwrap();
    let quiet = tokio::time::timeout(Duration::from_millis(500), feed.stream.next()).await;
    assert!(quiet.is_err(), "nothing may pass what is not decided: {quiet:?}");
    early.execute_run("INSERT INTO t VALUES (3, 'early')", vec![]).await.unwrap();
    early.commit().await.unwrap();
    let (one, two, three) = (
        insert([1.into(), "early".into()]),
        insert([2.into(), "late".into()]),
        insert([3.into(), "early".into()]),
    );
    assert_eq!(feed.operations().await, [one, two, three]);
}

#[tokio::test]
async fn a_transaction_that_wrote_nothing_here_does_not_hold_up_the_others() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int)").await;
    let (_, mut feed) = source.trigger_feed(&["t"]).await;
    let open = source.dialect.begin(None).await.unwrap();
    open.execute_run("INSERT INTO other VALUES (1)", vec![]).await.unwrap();
    source.run("INSERT INTO t VALUES (1)").await;
    assert_eq!(feed.operations().await, [insert([1.into()])]);
    open.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_at_once_end_in_the_rows_that_are_there() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let (_, mut feed) = source.trigger_feed(&["t"]).await;
    let writers = (0..6).map(|writer| {
        let dialect = std::sync::Arc::clone(&source.dialect);
        tokio::spawn(async move {
            for round in 0..40 {
                let transaction = dialect.begin(None).await.unwrap();
                for step in 0..3 {
                    let id = (writer * 7 + round * 3 + step * 5) % 20;
                    let statement = match (round + step) % 4 {
                        0 => format!("DELETE FROM t WHERE id = {id}"),
                        _ => format!(
                            "INSERT INTO t VALUES ({id}, '{writer} {round} {step}') ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v"
                        ),
                    };
                    if transaction.execute_run(&statement, vec![]).await.is_err() {
                        break;
                    }
                }
                let ended = if round % 5 == 0 { transaction.rollback().await } else { transaction.commit().await };
                drop(ended);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let head = source.trigger_log().head().await.unwrap();
    let state = replayed(&mut feed, &head).await;
    let table = source.table("t").await;
    let snapshot = source.store().snapshot().await.unwrap();
    let mut scanned: Vec<_> = rows(&*snapshot, &table, ScanOptions::default())
        .await
        .into_iter()
        .map(|row| (row[0].as_f64().unwrap() as i64, row[1].clone()))
        .collect();
    scanned.sort_by_key(|(id, _)| *id);
    assert_eq!(state, scanned);
}

#[tokio::test]
async fn the_snapshot_and_the_stream_behind_it_leave_nothing_out_and_overlap_in_nothing() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let reader = source.reader(&["t"]).await;
    let opened = created(&source, &reader).await;
    source.run("INSERT INTO t VALUES (2)").await;
    let later = source.trigger_log().snapshot(&reader).await.unwrap();
    source.run("INSERT INTO t VALUES (3)").await;
    let fork = later.snapshot.fork().await.unwrap().unwrap();
    let table = &reader.tables[0];
    assert_eq!(rows(&*opened.snapshot, table, ScanOptions::default()).await, [[Value::Int32(1)]]);
    assert_eq!(rows(&*fork, table, ScanOptions::default()).await.len(), 2);
    let stream = source.trigger_log().stream(&reader, &later.position).await.unwrap();
    assert_eq!(Feed { stream }.operations().await, [insert([3.into()])]);
}

#[tokio::test]
async fn what_every_reader_has_acknowledged_is_deleted_and_the_last_reader_leaves_nothing() {
    let source =
        Source::new("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)").await;
    let (first, mut feed) = source.trigger_feed(&["a", "b"]).await;
    let (second, mut other) = source.trigger_feed(&["a"]).await;
    source.run("INSERT INTO a SELECT generate_series(1, 7000)").await;
    source.run("INSERT INTO b VALUES (1)").await;
    let head = source.trigger_log().head().await.unwrap();
    replayed(&mut feed, &head).await;
    feed.acknowledge(&head);
    feed.close().await;
    let count = "SELECT count(*)::int FROM replicaverse_change";
    assert_ne!(source.value(count).await, Value::Int32(0));
    let read = other.transaction().await;
    assert_eq!(read.changes.len(), 7000);
    other.acknowledge(&read.end);
    eventually("what both have read is deleted", async || {
        matches!(source.value(count).await, Value::Int32(0 | 1))
    })
    .await;
    let error = source.trigger_log().stream(&second, &Position::at(0)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::LogLost, "{error}");
    let error = source.trigger_log().stream(&second, &read.end).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(source.trigger_log().status(&second.name).await.unwrap().unwrap().active);
    other.close().await;
    eventually("nobody reads", async || {
        !source.trigger_log().status(&second.name).await.unwrap().unwrap().active
    })
    .await;
    source.trigger_log().remove(&first.name).await.unwrap();
    let triggers =
        "SELECT string_agg(tgrelid::regclass::text, ' ') FROM pg_trigger WHERE tgname LIKE 'replicaverse%'";
    assert_eq!(source.value(triggers).await, Value::from("a a"), "nobody wants the triggers of b");
    source.trigger_log().remove(&second.name).await.unwrap();
    source.trigger_log().remove(&second.name).await.unwrap();
    let left = "SELECT (SELECT count(*) FROM pg_class WHERE relname LIKE 'replicaverse%')::int + (SELECT count(*) FROM pg_proc WHERE \
                proname LIKE 'replicaverse%')::int + (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'replicaverse%')::int";
    assert_eq!(source.value(left).await, Value::Int32(0));
    assert_eq!(source.trigger_log().status(&second.name).await.unwrap(), None);
}

#[tokio::test]
async fn a_change_of_the_columns_breaks_no_statement_of_the_application() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY, v text, w text)").await;
    let (reader, mut feed) = source.trigger_feed(&["t"]).await;
    source.run("INSERT INTO t VALUES (1, 'a', 'b')").await;
    assert_eq!(feed.operations().await, [insert([1.into(), "a".into(), "b".into()])]);
    source
        .run("ALTER TABLE t DROP COLUMN v; ALTER TABLE t ADD COLUMN n numeric; ALTER TABLE t RENAME w TO x")
        .await;
    source.run("INSERT INTO t VALUES (2, 'c', 1.50)").await;
    let changed = feed.transaction().await;
    assert_eq!(changed.operations(), [insert([2.into(), "c".into(), Value::Decimal("1.50".into())])]);
    assert_eq!(*changed.changes[0].table, *source.table("t").await);
    let OpenedLog::Existing { added } = source.trigger_log().open(&reader).await.unwrap() else {
        panic!("the reader is known")
    };
    assert!(added.is_empty());
}

#[tokio::test]
async fn a_user_of_the_application_needs_no_rights_on_the_log() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let user = format!("writer_{}", source.database);
    source.run(&format!("CREATE ROLE {user} LOGIN; GRANT INSERT, SELECT ON t TO {user}")).await;
    let (_, mut feed) = source.trigger_feed(&["t"]).await;
    source.as_user(&user).await.run("INSERT INTO t VALUES (1)").await;
    assert_eq!(feed.operations().await, [insert([1.into()])]);
    let error =
        source.as_user(&user).await.trigger_log().open(&source.reader(&["t"]).await).await.err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::Capture | ErrorKind::Permission), "{error}");
}

#[tokio::test]
async fn partitions_and_cascades_and_replicated_rows_are_recorded() {
    let source = Source::new(
        "CREATE TABLE p (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
         CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (10);
         CREATE TABLE p_2 (v text, id int NOT NULL); ALTER TABLE p ATTACH PARTITION p_2 FOR VALUES FROM (10) TO (20);
         CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE)",
    )
    .await;
    let (_, mut feed) = source.trigger_feed(&["p", "child"]).await;
    source.run("INSERT INTO p VALUES (1, 'a'), (11, 'b')").await;
    let inserted = feed.transaction().await;
    assert_eq!(inserted.operations(), [insert([1.into(), "a".into()]), insert([11.into(), "b".into()])]);
    assert!(inserted.changes.iter().all(|change| change.table.name == "p"));
    source.run("INSERT INTO parent VALUES (1); INSERT INTO child VALUES (5, 1)").await;
    feed.transaction().await;
    source.run("DELETE FROM parent").await;
    assert_eq!(feed.operations().await, [delete([5.into()])]);
    source.run("SET session_replication_role = replica; DELETE FROM p WHERE id = 1; RESET session_replication_role").await;
    assert_eq!(feed.operations().await, [delete([1.into()])]);
}
