//! Opening the log: what is created, what is found again, and what a snapshot shows.

use data::Value;
use data::log::{OpenedLog, Position};
use data::table::ScanOptions;

use crate::source::{Source, eventually, insert, rows};

#[tokio::test]
async fn the_first_snapshot_shows_what_was_committed_before_its_position_and_the_stream_the_rest() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let reader = source.reader(&["t"]).await;
    let opened = source.create(&reader).await;
    source.run("INSERT INTO t VALUES (2)").await;
    let table = &reader.tables[0];
    let fork = opened.snapshot.fork().await.unwrap().unwrap();
    drop(opened.snapshot);
    for snapshot in [&fork, &fork.fork().await.unwrap().unwrap()] {
        assert_eq!(rows(&**snapshot, table, ScanOptions::default()).await, [[Value::Int32(1)]]);
    }
    let mut feed = source.stream(&reader, &opened.position).await;
    let transaction = feed.transaction().await;
    assert_eq!(transaction.operations(), [insert([2.into()])]);
    assert!(transaction.begin.position > opened.position);
}

#[tokio::test]
async fn a_reader_that_comes_back_finds_its_log_and_is_told_which_tables_are_new() {
    let source =
        Source::new("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)").await;
    let mut reader = source.reader(&["a"]).await;
    let position = source.create(&reader).await.position;
    let OpenedLog::Existing { added } = source.log().open(&reader).await.unwrap() else {
        panic!("the reader is known")
    };
    assert!(added.is_empty());
    reader.tables.push(source.table("b").await);
    let OpenedLog::Existing { added } = source.log().open(&reader).await.unwrap() else {
        panic!("the reader is known")
    };
    assert_eq!(added, ["b"]);
    source.run("INSERT INTO b VALUES (1)").await;
    let mut feed = source.stream(&reader, &position).await;
    assert_eq!(feed.transaction().await.changes[0].table.name, "b");
    feed.close().await;
    reader.tables.remove(0);
    let OpenedLog::Existing { added } = source.log().open(&reader).await.unwrap() else {
        panic!("the reader is known")
    };
    assert!(added.is_empty());
    let published = source.value("SELECT string_agg(tablename, ',') FROM pg_publication_tables").await;
    assert_eq!(published, Value::from("b"));
}

#[tokio::test]
async fn a_slot_without_its_publication_and_the_reverse_are_made_anew() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let reader = source.reader(&["t"]).await;
    let first = source.create(&reader).await.position;
    source.run(&format!("DROP PUBLICATION {}", reader.name)).await;
    let status = source.log().status(&reader.name).await.unwrap().unwrap();
    assert!(status.lost.unwrap().contains("publication"));
    let second = source.create(&reader).await.position;
    assert!(second > first);
    source.run(&format!("SELECT pg_drop_replication_slot('{}')", reader.name)).await;
    assert_eq!(source.log().status(&reader.name).await.unwrap(), None);
    source.create(&reader).await;
}

#[tokio::test]
async fn a_slot_of_another_plugin_is_made_anew() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let reader = source.reader(&["t"]).await;
    source
        .run(&format!("SELECT pg_create_logical_replication_slot('{}', 'test_decoding')", reader.name))
        .await;
    source.run(&format!("CREATE PUBLICATION {} FOR TABLE t", reader.name)).await;
    source.create(&reader).await;
    let plugin = format!("SELECT plugin FROM pg_replication_slots WHERE slot_name = '{}'", reader.name);
    assert_eq!(source.value(&plugin).await, Value::from("pgoutput"));
}

#[tokio::test]
async fn a_later_snapshot_has_a_position_of_its_own_and_leaves_no_slot_behind() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let (reader, mut feed) = source.feed(&["t"]).await;
    source.run("INSERT INTO t VALUES (2)").await;
    let later = source.log().snapshot(&reader).await.unwrap();
    source.run("INSERT INTO t VALUES (3)").await;
    let shown = rows(&*later.snapshot, &reader.tables[0], ScanOptions::default()).await;
    assert_eq!(shown, [[Value::Int32(1)], [Value::Int32(2)]]);
    let (second, third) = (feed.transaction().await, feed.transaction().await);
    assert!(second.end <= later.position && second.begin.position <= later.position);
    assert!(third.begin.position > later.position);
    let fork = later.snapshot.fork().await.unwrap().unwrap();
    assert_eq!(rows(&*fork, &reader.tables[0], ScanOptions::default()).await.len(), 2);
    drop((later, fork));
    let slots = "SELECT count(*)::int FROM pg_replication_slots WHERE database = current_database()";
    eventually("one slot is left", async || source.value(slots).await == Value::Int32(1)).await;
}

#[tokio::test]
async fn the_status_tells_what_is_kept_and_whether_it_is_read() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let (reader, mut feed) = source.feed(&["t"]).await;
    let log = source.log();
    source.run("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(1, 2000) i").await;
    let position = feed.transaction().await.end;
    let status = log.status(&reader.name).await.unwrap().unwrap();
    assert!(status.active && status.lost.is_none() && status.retained_bytes > 2_000_000, "{status:?}");
    feed.acknowledge(&position);
    feed.close().await;
    eventually("nobody reads it", async || !log.status(&reader.name).await.unwrap().unwrap().active).await;
    assert_eq!(log.status("replicaverse_unknown").await.unwrap(), None);
}

#[tokio::test]
async fn a_removed_reader_leaves_nothing_behind_even_while_it_is_read() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let (reader, mut feed) = source.feed(&["t"]).await;
    source.log().remove(&reader.name).await.unwrap();
    source.log().remove(&reader.name).await.unwrap();
    for catalogue in ["pg_publication", "pg_replication_slots WHERE database = current_database()"] {
        let count = source.value(&format!("SELECT count(*)::int FROM {catalogue}")).await;
        assert_eq!(count, Value::Int32(0), "{catalogue}");
    }
    let error = loop {
        if let Err(error) = feed.try_next().await {
            break error;
        }
    };
    assert_eq!(error.kind(), data::ErrorKind::Connection);
    let lost = source.log().stream(&reader, &Position::at(1)).await.err().unwrap();
    assert_eq!(lost.kind(), data::ErrorKind::LogLost);
}
