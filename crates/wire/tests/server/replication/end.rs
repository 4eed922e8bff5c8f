//! What keeps a stream alive, and everything that ends it.

use std::process::Command;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use wire::replication::pgoutput::Message;
use wire::replication::{StartReplication, StreamMessage};
use wire::{Connection, ErrorKind};

use super::feed::{DEADLINE, Feed};
use super::{SETTINGS, Source, cluster, replication};
use crate::support::Cluster;

const TABLE: &str = "CREATE TABLE item (id int PRIMARY KEY, name text)";
/// More than the buffers of a socket hold.
const MANY: &str = "INSERT INTO item SELECT i, repeat('x', 400) FROM generate_series(1, 20000) i";

/// Longer than the server waits where it waits one second for a sign of life.
const PAUSE: Duration = Duration::from_secs(3);

impl Source {
    /// The process of the server that serves the slot.
    async fn walsender(&mut self) -> String {
        let sql = format!("SELECT active_pid FROM pg_replication_slots WHERE slot_name = '{}'", self.name());
        self.value(&sql).await
    }

    async fn impatient(&self) -> Feed {
        self.slot().await;
        let connection = self.replication_with("-c wal_sender_timeout=1s").await;
        Feed::new(connection.start_replication(&self.start()).await.unwrap())
    }
}

#[tokio::test]
async fn a_caller_that_pauses_longer_than_the_server_waits_keeps_its_stream() {
    let mut source = Source::new("pausing", TABLE).await;
    let mut feed = source.impatient().await;
    source.run(MANY).await;
    assert!(matches!(feed.message().await, Message::Begin(_)));
    tokio::time::sleep(PAUSE).await;
    assert_eq!(feed.changes().await.len(), 20_000);
}

#[tokio::test]
async fn a_caller_that_waits_for_changes_longer_than_the_server_waits_keeps_its_stream() {
    let mut source = Source::new("waiting", TABLE).await;
    let mut feed = source.impatient().await;
    let pid = source.walsender().await;
    assert!(timeout(PAUSE, feed.message()).await.is_err());
    source.run("INSERT INTO item VALUES (1, 'one')").await;
    assert_eq!(feed.changes().await, ["insert item(1, one)"]);
    assert_eq!(source.walsender().await, pid);
}

#[tokio::test]
async fn a_stream_over_tls_is_kept_acknowledged_and_finished_too() {
    let mut source = Source::new("encrypted", TABLE).await;
    source.slot().await;
    let (port, name) = (cluster().port(), source.name());
    let config = format!("host=127.0.0.1 port={port} user=postgres dbname={name} sslmode=require");
    let connection = replication(crate::config(&config), "-c wal_sender_timeout=1s").await;
    assert!(connection.is_encrypted());
    let mut feed = Feed::new(connection.start_replication(&source.start()).await.unwrap());
    source.run(MANY).await;
    assert!(matches!(feed.message().await, Message::Begin(_)));
    tokio::time::sleep(PAUSE).await;
    let transaction = feed.transaction().await;
    assert_eq!(transaction.changes.len(), 20_000);
    feed.stream.acknowledge(transaction.commit.end_lsn);
    let mut connection = feed.stream.finish().await.unwrap();
    assert!(connection.is_encrypted());
    connection.identify_system().await.unwrap();
    source.run("INSERT INTO item VALUES (0, 'zero')").await;
    assert_eq!(source.stream(&source.start()).await.changes().await, ["insert item(0, zero)"]);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_a_timeout() {
    let mut source = Source::new("silent", TABLE).await;
    source.slot().await;
    let start = StartReplication { silence_limit: Some(Duration::from_millis(800)), ..source.start() };
    let mut feed = source.stream(&start).await;
    // A server that has nothing to send but answers when it is asked is not silent.
    assert!(timeout(PAUSE, feed.message()).await.is_err());
    let walsender = source.walsender().await;
    let signal =
        |name| assert!(Command::new("kill").args([name, walsender.as_str()]).status().unwrap().success());
    signal("-STOP");
    let end = timeout(DEADLINE, async {
        loop {
            if let Err(error) = feed.stream.next().await {
                return error;
            }
        }
    });
    let end = end.await;
    signal("-CONT");
    assert_eq!(end.expect("the stream ends").kind(), ErrorKind::Timeout);
    assert_eq!(feed.stream.next().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_stream_that_is_finished_gives_back_a_connection_for_other_commands() {
    let mut source = Source::new("finishing", TABLE).await;
    let mut feed = source.feed().await;
    source.run("INSERT INTO item VALUES (1, 'one')").await;
    let commit = feed.transaction().await.commit;
    feed.stream.acknowledge(commit.end_lsn);
    let mut connection = feed.stream.finish().await.unwrap();
    assert_eq!(connection.identify_system().await.unwrap().timeline, 1);
    // The slot is free, and there is nothing left over of the stream.
    connection.drop_replication_slot(source.name(), false).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_stream_can_be_finished_in_the_middle_of_a_transaction() {
    let mut source = Source::new("finishing_early", TABLE).await;
    let mut feed = source.feed().await;
    source.run(MANY).await;
    assert!(matches!(feed.message().await, Message::Begin(_)));
    let mut connection = timeout(DEADLINE, feed.stream.finish()).await.unwrap().unwrap();
    assert_eq!(connection.identify_system().await.unwrap().timeline, 1);
    let mut again = source.stream(&source.start()).await;
    assert_eq!(again.changes().await.len(), 20_000);
}

#[tokio::test]
async fn a_dropped_stream_sets_its_slot_free() {
    let mut source = Source::new("dropped_stream", TABLE).await;
    let feed = source.feed().await;
    assert_ne!(source.walsender().await, "NULL");
    drop(feed);
    let deadline = Instant::now() + DEADLINE;
    while source.walsender().await != "NULL" {
        assert!(Instant::now() < deadline, "the slot is still in use");
    }
}

#[tokio::test]
async fn waiting_for_a_message_can_be_given_up_at_any_time() {
    let mut source = Source::new("giving_up", TABLE).await;
    let mut feed = source.feed().await;
    source.run(MANY).await;
    let mut inserts = 0;
    let deadline = Instant::now() + DEADLINE;
    while inserts < 20_000 {
        assert!(Instant::now() < deadline, "{inserts} rows came");
        let Ok(message) = timeout(Duration::ZERO, feed.stream.next()).await else { continue };
        if let StreamMessage::Data(data) = message.unwrap() {
            inserts += usize::from(matches!(feed.decoder.decode(data.payload).unwrap(), Message::Insert(_)));
        }
    }
}

#[tokio::test]
async fn messages_received_can_be_taken_without_waiting() {
    let mut source = Source::new("taking", TABLE).await;
    let mut feed = source.feed().await;
    source.run(MANY).await;
    let (mut waited, mut taken) = (0, 0);
    while waited + taken < 20_000 {
        waited += usize::from(matches!(feed.message().await, Message::Insert(_)));
        while let Some(message) = feed.stream.next_received().unwrap() {
            let StreamMessage::Data(data) = message else { continue };
            taken += usize::from(matches!(feed.decoder.decode(data.payload).unwrap(), Message::Insert(_)));
        }
        // Meanwhile the server sends more.
        source.value("SELECT 1").await;
    }
    assert!(taken > 0 && waited + taken == 20_000, "{waited} {taken}");
}

#[tokio::test]
async fn a_slot_that_is_taken_away_ends_its_stream_with_the_servers_reason() {
    let mut source = Source::new("taken_away", TABLE).await;
    let mut feed = source.feed().await;
    let pid = source.walsender().await;
    source.run(&format!("SELECT pg_terminate_backend({pid})")).await;
    let error = feed.follow_to_the_end().await;
    assert_eq!((error.sqlstate(), error.is_retryable()), (Some("57P01"), true), "{error}");
    assert_eq!(feed.stream.next().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(feed.stream.finish().await.unwrap_err().kind(), ErrorKind::Closed);
    source.replication().await.drop_replication_slot(source.name(), true).await.unwrap();
    let error = source.replication().await.start_replication(&source.start()).await.unwrap_err();
    assert_eq!((error.sqlstate(), error.is_retryable()), (Some("42704"), false), "{error}");
}

#[tokio::test]
async fn a_publication_that_does_not_exist_ends_the_stream_with_the_servers_reason() {
    let mut source = Source::new("no_publication", TABLE).await;
    source.slot().await;
    let mut feed = source.stream(&StartReplication::new(source.name(), ["none_such"])).await;
    source.run("INSERT INTO item VALUES (1, 'one')").await;
    let error = feed.follow_to_the_end().await;
    assert_eq!(error.sqlstate(), Some("42704"), "{error}");
    assert!(error.to_string().contains("none_such"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_shut_down_ends_the_stream_once_all_is_acknowledged() {
    let cluster = Cluster::start(SETTINGS, "local all all trust\n", |_| {});
    let mut source = Source::on(&cluster, "shut_down", TABLE).await;
    let mut feed = source.feed().await;
    source.run(MANY).await;
    assert!(matches!(feed.message().await, Message::Begin(_)));
    cluster.begin_stop("fast");
    let error = feed.follow_to_the_end().await;
    assert!(error.is_retryable(), "{error}");
    let deadline = Instant::now() + DEADLINE;
    while !cluster.is_stopped() {
        assert!(Instant::now() < deadline, "the server waits");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(Connection::connect(&source.config).await.unwrap_err().is_retryable());
}

#[tokio::test]
async fn a_server_that_stops_at_once_ends_the_stream() {
    let cluster = Cluster::start(SETTINGS, "local all all trust\n", |_| {});
    let mut source = Source::on(&cluster, "stopped", TABLE).await;
    let mut feed = source.feed().await;
    source.run(MANY).await;
    assert!(matches!(feed.message().await, Message::Begin(_)));
    cluster.begin_stop("immediate");
    let error = feed.follow_to_the_end().await;
    assert!(error.is_retryable(), "{error}");
}
