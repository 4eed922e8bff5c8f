//! Where a stream begins, and what acknowledgements do to the slot.

use std::time::Instant;

use tokio::time::timeout;
use wire::replication::{Lsn, StartReplication, StreamMessage};

use super::Source;
use super::feed::DEADLINE;

const TABLE: &str = "CREATE TABLE item (id int PRIMARY KEY)";

impl Source {
    async fn slot_position(&mut self, column: &str) -> Lsn {
        let sql = format!("SELECT {column} FROM pg_replication_slots WHERE slot_name = '{}'", self.name());
        self.value(&sql).await.parse().unwrap()
    }

    async fn wait_for_position(&mut self, column: &str, reached: impl Fn(Lsn) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !reached(self.slot_position(column).await) {
            assert!(Instant::now() < deadline, "{column} stays");
        }
    }
}

#[tokio::test]
async fn a_stream_begins_after_the_position_it_is_given() {
    let mut source = Source::new("position_start", TABLE).await;
    let mut feed = source.feed().await;
    source
        .run("INSERT INTO item VALUES (1);\nINSERT INTO item VALUES (2);\nINSERT INTO item VALUES (3)")
        .await;
    let first = feed.transaction().await;
    assert_eq!(
        (first.changes, feed.changes().await),
        (vec!["insert item(1)".to_owned()], vec!["insert item(2)".to_owned()])
    );
    drop(feed.stream.finish().await.unwrap());
    let start = StartReplication { start: first.commit.end_lsn, ..source.start() };
    let mut again = source.stream(&start).await;
    assert_eq!(again.changes().await, ["insert item(2)"]);
    assert_eq!(again.changes().await, ["insert item(3)"]);
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_and_the_rest_does_not() {
    let mut source = Source::new("position_again", TABLE).await;
    let mut feed = source.feed().await;
    source.run("INSERT INTO item VALUES (1);\nINSERT INTO item VALUES (2)").await;
    let first = feed.transaction().await;
    feed.changes().await;
    feed.stream.acknowledge(first.commit.end_lsn);
    assert_eq!(feed.stream.acknowledger().acknowledged(), first.commit.end_lsn);
    // The end of a stream reports what was acknowledged.
    drop(feed.stream.finish().await.unwrap());
    assert_eq!(source.slot_position("confirmed_flush_lsn").await, first.commit.end_lsn);
    assert_eq!(source.stream(&source.start()).await.changes().await, ["insert item(2)"]);
}

#[tokio::test]
async fn an_acknowledgement_from_elsewhere_is_reported_while_the_stream_waits() {
    let mut source = Source::new("position_elsewhere", TABLE).await;
    let mut feed = source.feed().await;
    source.run("INSERT INTO item VALUES (1)").await;
    let commit = feed.transaction().await.commit;
    let acknowledger = feed.stream.acknowledger();
    let waiting = tokio::spawn(async move { while feed.stream.next().await.is_ok() {} });
    acknowledger.acknowledge(commit.end_lsn);
    acknowledger.acknowledge(Lsn::from(1));
    source.wait_for_position("confirmed_flush_lsn", |lsn| lsn == commit.end_lsn).await;
    waiting.abort();
}

#[tokio::test]
async fn acknowledgements_let_the_server_drop_its_log() {
    let mut source = Source::new("position_restart", TABLE).await;
    let mut feed = source.feed().await;
    let before = source.slot_position("restart_lsn").await;
    let deadline = Instant::now() + DEADLINE;
    let mut id = 0;
    // The server moves the position along records that it writes with each checkpoint.
    while source.slot_position("restart_lsn").await <= before {
        assert!(Instant::now() < deadline, "restart_lsn stays");
        id += 1;
        source.run(&format!("INSERT INTO item VALUES ({id});\nCHECKPOINT")).await;
        let commit = feed.transaction().await.commit;
        feed.stream.acknowledge(commit.end_lsn);
        source.wait_for_position("confirmed_flush_lsn", |lsn| lsn >= commit.end_lsn).await;
    }
}

#[tokio::test]
async fn a_slot_without_changes_moves_on_when_its_keepalives_are_acknowledged() {
    let mut source = Source::new("position_idle", TABLE).await;
    source.run("CREATE PUBLICATION nothing").await;
    source.slot().await;
    let start = StartReplication::new("position_idle", ["nothing"]);
    let mut feed = source.stream(&start).await;
    source.run("INSERT INTO item SELECT generate_series(1, 1000)").await;
    let end: Lsn = source.value("SELECT pg_current_wal_insert_lsn()").await.parse().unwrap();
    while feed.stream.acknowledger().acknowledged() < end {
        match timeout(DEADLINE, feed.stream.next()).await.expect("keepalives come").unwrap() {
            StreamMessage::Keepalive(keepalive) => feed.stream.acknowledge(keepalive.wal_end),
            // Up to version 14 the server sends transactions that have nothing in them.
            StreamMessage::Data(_) => {}
        }
    }
    source.wait_for_position("confirmed_flush_lsn", |lsn| lsn >= end).await;
}
