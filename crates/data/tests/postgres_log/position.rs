//! Where reading begins and ends: resuming, acknowledging, idle logs, lost ones.

use data::ErrorKind;
use data::log::{LogEvent, Position};

use crate::source::support::Cluster;
use crate::source::{HBA, SETTINGS, Source, eventually, insert};

#[tokio::test]
async fn reading_resumes_behind_the_position_it_is_given() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let (reader, mut feed) = source.feed(&["t"]).await;
    for id in 1..=3 {
        source.run(&format!("INSERT INTO t VALUES ({id})")).await;
    }
    let (first, second) = (feed.transaction().await, feed.transaction().await);
    feed.acknowledge(&first.end);
    feed.close().await;
    let mut again = source.stream(&reader, &first.end).await;
    assert_eq!(again.transaction().await.end, second.end, "what was not acknowledged comes again");
    again.close().await;
    let mut later = source.stream(&reader, &second.end).await;
    assert_eq!(later.operations().await, [insert([3.into()])], "what lies before the position does not");
}

#[tokio::test]
async fn fault_2_a_position_before_what_was_acknowledged_is_lost_and_not_passed_over() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let (reader, mut feed) = source.feed(&["t"]).await;
    source.run("INSERT INTO t VALUES (1)").await;
    let first = feed.transaction().await;
    feed.acknowledge(&first.end);
    feed.close().await;
    let before = Position::at(first.begin.position.order - 2);
    let error = source.log().stream(&reader, &before).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::LogLost, "{error}");
}

#[tokio::test]
async fn fault_1_the_slot_of_an_idle_table_advances_while_others_write() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE busy (v text)").await;
    let other = Source::new("CREATE TABLE busy (v text)").await;
    let (reader, mut feed) = source.feed(&["t"]).await;
    for writer in [&source, &other] {
        writer.run("INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, 3000)").await;
    }
    let head = source.log().head().await.unwrap();
    let idle = feed.idle_until(&head).await;
    let retained = async || source.log().status(&reader.name).await.unwrap().unwrap().retained_bytes;
    assert!(retained().await > 5_000_000);
    feed.acknowledge(&idle);
    // The server gives up the log before a running transaction's beginning, which it notes now and then.
    eventually("the log is given up", async || {
        source.run("CHECKPOINT").await;
        let head = source.log().head().await.unwrap();
        let idle = feed.idle_until(&head).await;
        feed.acknowledge(&idle);
        retained().await < 1_000_000
    })
    .await;
}

#[tokio::test]
async fn an_idle_log_is_read_to_its_head_in_a_moment() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let (_, mut feed) = source.feed(&["t"]).await;
    for _ in 0..3 {
        let head = source.log().head().await.unwrap();
        let idle = feed.idle_until(&head).await;
        assert!(idle >= head);
    }
    source.run("SET synchronous_commit = off; INSERT INTO t VALUES (1); RESET synchronous_commit").await;
    let head = source.log().head().await.unwrap();
    assert!(feed.transaction().await.end <= head);
}

#[tokio::test]
async fn the_head_is_reached_while_a_transaction_stays_open_and_another_database_is_written() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let other = Source::new("CREATE TABLE busy (v text)").await;
    let (_, mut feed) = source.feed(&["t"]).await;
    let open = source.dialect.begin(None).await.unwrap();
    open.execute_run("INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 100) i", vec![])
        .await
        .unwrap();
    other.run("INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, 1000)").await;
    let head = source.log().head().await.unwrap();
    feed.idle_until(&head).await;
    open.commit().await.unwrap();
    assert!(feed.transaction().await.end > head);
}

#[tokio::test]
async fn the_head_is_told_to_a_user_whose_transactions_are_read_only() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let (_, mut feed) = source.feed(&["t"]).await;
    let user = format!("reader_{}", source.database);
    source
        .run(&format!("CREATE ROLE {user} LOGIN; ALTER ROLE {user} SET default_transaction_read_only = on"))
        .await;
    let head = source.as_user(&user).await.log().head().await.unwrap();
    feed.idle_until(&head).await;
}

#[tokio::test]
async fn a_second_stream_of_the_same_reader_is_a_conflict() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let reader = source.reader(&["t"]).await;
    let position = source.create(&reader).await.position;
    let _feed = source.stream(&reader, &position).await;
    let error = source.log().stream(&reader, &position).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

#[tokio::test]
async fn fault_6_a_slot_that_is_gone_is_an_error_of_its_own() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let reader = source.reader(&["t"]).await;
    let position = source.create(&reader).await.position;
    source.run(&format!("SELECT pg_drop_replication_slot('{}')", reader.name)).await;
    let error = source.log().stream(&reader, &position).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::LogLost, "{error}");
    assert!(!error.kind().is_retryable());
}

#[tokio::test]
async fn fault_6_a_publication_that_was_dropped_under_a_stream_is_an_error_of_its_own() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let (reader, mut feed) = source.feed(&["t"]).await;
    source.run(&format!("DROP PUBLICATION {}", reader.name)).await;
    source.run("INSERT INTO t VALUES (1)").await;
    let error = loop {
        match feed.try_next().await {
            Ok(LogEvent::Idle(_)) => {}
            Ok(other) => panic!("{other:?} was not expected"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::LogLost, "{error}");
}

#[tokio::test]
async fn fault_6_a_slot_that_the_server_invalidated_is_an_error_of_its_own() {
    let settings =
        format!("{SETTINGS}max_slot_wal_keep_size = 1MB\nmin_wal_size = 32MB\nmax_wal_size = 32MB\n");
    let cluster = Cluster::start(&settings, HBA, |_| {});
    let source = Source::on(&cluster, "CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let reader = source.reader(&["t"]).await;
    let position = source.create(&reader).await.position;
    for _ in 0..4 {
        source.run("INSERT INTO t SELECT (random() * 1e9)::int, repeat('x', 1000) FROM generate_series(1, 20) ON CONFLICT DO NOTHING").await;
        source.run("SELECT pg_switch_wal()").await;
        source.run("CHECKPOINT").await;
    }
    let status = source.log().status(&reader.name).await.unwrap().unwrap();
    assert!(status.lost.is_some(), "{status:?}");
    let error = source.log().stream(&reader, &position).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::LogLost, "{error}");
    source.log().remove(&reader.name).await.unwrap();
    source.create(&reader).await;
}

#[tokio::test]
async fn fault_6_what_was_read_beyond_the_end_of_a_timeline_is_lost_and_not_passed_over() {
    let mut cluster = Cluster::start(SETTINGS, HBA, |_| {});
    let source = Source::on(&cluster, "CREATE TABLE t (id int PRIMARY KEY)").await;
    let (reader, mut feed) = source.feed(&["t"]).await;
    source.run("INSERT INTO t VALUES (1)").await;
    let first = feed.transaction().await;
    source.run("INSERT INTO t VALUES (2)").await;
    feed.close().await;
    // The server becomes a standby of itself and is promoted, so that its slots are there on another timeline.
    cluster.stop();
    std::fs::write(cluster.directory().join("data/standby.signal"), "").unwrap();
    cluster.start_again();
    cluster.promote();
    let source = Source::beside(&cluster, &source.database).await;
    let mut again = source.stream(&reader, &first.end).await;
    assert_eq!(again.operations().await, [insert([2.into()])], "both timelines have it");
    again.close().await;
    for (order, token) in
        [(first.end.order + (1 << 30), first.end.token.clone()), (first.end.order, Some("7".to_owned()))]
    {
        let error = source.log().stream(&reader, &Position { order, token }).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::LogLost, "{error}");
    }
}

#[tokio::test]
async fn a_server_that_stops_ends_the_stream_with_an_error_to_try_again() {
    let mut cluster = Cluster::start(SETTINGS, HBA, |_| {});
    let source = Source::on(&cluster, "CREATE TABLE t (id int PRIMARY KEY)").await;
    let (reader, mut feed) = source.feed(&["t"]).await;
    source.run("INSERT INTO t VALUES (1)").await;
    let first = feed.transaction().await;
    cluster.stop();
    let error = loop {
        if let Err(error) = feed.try_next().await {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    cluster.start_again();
    source.run("INSERT INTO t VALUES (2)").await;
    let mut again = source.stream(&reader, &first.end).await;
    assert_eq!(again.operations().await, [insert([2.into()])]);
}

#[tokio::test]
async fn dropping_the_wait_for_an_event_loses_nothing() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let (_, mut feed) = source.feed(&["t"]).await;
    let mut seen = Vec::new();
    source.run("INSERT INTO t SELECT i FROM generate_series(1, 500) i").await;
    while seen.len() < 500 {
        tokio::select! {
            biased;
            event = feed.stream.next() => {
                if let LogEvent::Changes(changes) = event.unwrap() {
                    seen.extend(changes);
                }
            }
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(seen.len(), 500);
}

#[tokio::test]
async fn the_origin_of_a_replicated_transaction_is_told() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let (_, mut feed) = source.feed(&["t"]).await;
    let origin = format!("origin_{}", source.database);
    source.run(&format!("SELECT pg_replication_origin_create('{origin}')")).await;
    source
        .run(&format!(
            "SELECT pg_replication_origin_session_setup('{origin}'); BEGIN; INSERT INTO t VALUES (1); COMMIT; \
             SELECT pg_replication_origin_session_reset()"
        ))
        .await;
    assert_eq!(feed.transaction().await.begin.origin, Some(origin));
    source.run("INSERT INTO t VALUES (2)").await;
    assert_eq!(feed.transaction().await.begin.origin, None);
}
