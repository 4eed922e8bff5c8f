//! Transactions that are larger than the memory for them.

use std::process::Command;
use std::time::Duration;

use wire::Connection;
use wire::replication::pgoutput::Message;
use wire::replication::{CreateSlot, SnapshotAction, StartReplication, Streaming};

use super::feed::Feed;
use super::{Source, cluster, replication};

const TABLE: &str = "CREATE TABLE item (id int PRIMARY KEY, name text)";
/// Enough rows to be sent before the transaction ends.
const MANY: &str = "SELECT i, repeat('x', 100) FROM generate_series(1, 3000) i";

impl Source {
    /// Streams the slot, large transactions in blocks.
    async fn blocks(&self) -> Feed {
        self.slot().await;
        self.stream(&StartReplication { streaming: Streaming::On, ..self.start() }).await
    }
}

/// What a stream of blocks amounts to.
#[derive(Default)]
struct Seen {
    blocks: usize,
    inserts_in_blocks: usize,
    other_inserts: usize,
    aborted: Vec<(u32, u32)>,
}

/// Reads until the commit or the rollback of a whole transaction that was sent in blocks.
async fn read_streamed(feed: &mut Feed, seen: &mut Seen) -> Message {
    let mut block = None;
    loop {
        match feed.message().await {
            Message::StreamStart(start) => {
                seen.blocks += 1;
                assert_eq!(start.is_first, seen.blocks == 1);
                block = Some(start.xid);
            }
            Message::StreamStop => block = None,
            Message::Insert(insert) => {
                assert_eq!(insert.xid.is_some(), block.is_some());
                *(if block.is_some() { &mut seen.inserts_in_blocks } else { &mut seen.other_inserts }) += 1;
            }
            Message::StreamAbort(abort) => {
                seen.aborted.push((abort.xid, abort.subxid));
                if abort.xid == abort.subxid {
                    return Message::StreamAbort(abort);
                }
            }
            end @ Message::StreamCommit(_) => return end,
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_large_transaction_comes_in_blocks_with_others_between_them() {
    let mut source = Source::new("blocks", TABLE).await;
    source.run("CREATE TABLE small (id int PRIMARY KEY)").await;
    let mut feed = source.blocks().await;
    let mut large = Connection::connect(&source.config).await.unwrap();
    large.simple_query(&format!("BEGIN; INSERT INTO item {MANY}")).await.unwrap();
    source.run("INSERT INTO small VALUES (1)").await;
    large.simple_query("UPDATE item SET name = 'y' WHERE id <= 10; COMMIT").await.unwrap();
    let mut seen = Seen::default();
    let Message::StreamCommit(end) = read_streamed(&mut feed, &mut seen).await else { panic!("it commits") };
    assert!(seen.blocks > 1, "{}", seen.blocks);
    assert_eq!((seen.inserts_in_blocks, seen.other_inserts), (3000, 1));
    feed.stream.acknowledge(end.commit.end_lsn);
    drop(feed.stream.finish().await.unwrap());
    source.run("INSERT INTO small VALUES (2)").await;
    assert_eq!(source.stream(&source.start()).await.changes().await, ["insert small(2)"]);
}

#[tokio::test]
async fn rollbacks_of_what_was_sent_are_told_down_to_the_subtransaction() {
    let mut source = Source::new("block_rollbacks", TABLE).await;
    let mut feed = source.blocks().await;
    source.run(&format!(
        "BEGIN; INSERT INTO item VALUES (0, ''); SAVEPOINT s; INSERT INTO item {MANY}; ROLLBACK TO s; COMMIT"
    ))
    .await;
    let mut seen = Seen::default();
    let Message::StreamCommit(end) = read_streamed(&mut feed, &mut seen).await else { panic!("it commits") };
    assert!(seen.inserts_in_blocks > 1);
    let [(xid, subxid)] = seen.aborted[..] else { panic!("{:?}", seen.aborted) };
    assert!(xid == end.xid && subxid != end.xid);
    source.run(&format!("BEGIN; DELETE FROM item; INSERT INTO item {MANY}; ROLLBACK")).await;
    let end = read_streamed(&mut feed, &mut Seen::default()).await;
    assert!(matches!(end, Message::StreamAbort(_)), "{end:?}");
}

#[tokio::test]
async fn a_definition_changed_within_a_large_transaction_holds_after_it() {
    let mut source = Source::new("block_definitions", TABLE).await;
    let mut feed = source.blocks().await;
    source.run("INSERT INTO item VALUES (-1, 'before')").await;
    assert_eq!(feed.changes().await, ["insert item(-1, before)"]);
    source
        .run(&format!(
            "BEGIN; INSERT INTO item {MANY}; ALTER TABLE item ADD COLUMN more int DEFAULT 7;
         INSERT INTO item SELECT i + 10000, n FROM ({MANY}) AS many (i, n); COMMIT"
        ))
        .await;
    source.run("INSERT INTO item VALUES (0, 'after', 8)").await;
    let mut seen = Seen::default();
    assert!(matches!(read_streamed(&mut feed, &mut seen).await, Message::StreamCommit(_)));
    assert_eq!(seen.inserts_in_blocks, 6000);
    assert_eq!(feed.changes().await, ["insert item(0, after, 8)"]);
}

const CHILD: &str = "WIRE_TEST_LARGE_TRANSACTION";

/// Does nothing by itself; run by the test below, in a process of its own whose memory can be measured.
#[tokio::test]
async fn a_large_transaction_is_read_with_a_pause() {
    let Ok(arguments) = std::env::var(CHILD) else { return };
    let (slot, config) = arguments.split_once(' ').unwrap();
    let streaming = if slot == "large_blocks" { Streaming::On } else { Streaming::Off };
    let start = StartReplication { streaming, ..StartReplication::new(slot, ["all_tables"]) };
    let connection = replication(crate::config(config), "-c wal_sender_timeout=1s").await;
    let stream = connection.start_replication(&start).await.unwrap();
    let mut feed = Feed::new(stream);
    let before = peak_memory_kb();
    let mut rows = 0;
    loop {
        match feed.message().await {
            Message::Insert(_) => rows += 1,
            Message::Commit(_) | Message::StreamCommit(_) if rows > 0 => break,
            _ => {}
        }
        if rows == 1000 {
            // Longer than the server waits for a sign of life.
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    }
    println!("\nread {rows} {}", peak_memory_kb() - before);
}

/// The most memory this process has had, in KiB.
fn peak_memory_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn a_transaction_of_300_000_rows_is_read_in_bounded_memory_by_a_caller_that_pauses() {
    let mut source = Source::new("large", TABLE).await;
    for slot in ["large_blocks", "large_whole"] {
        let slot = CreateSlot { snapshot: SnapshotAction::Nothing, ..CreateSlot::new(slot) };
        source.replication().await.create_replication_slot(&slot).await.unwrap();
    }
    source.run("INSERT INTO item SELECT i, repeat(md5(i::text), 12) FROM generate_series(1, 300000) i").await;
    let (directory, port) = (cluster().directory().display(), cluster().port());
    for slot in ["large_blocks", "large_whole"] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([
            "replication::large::a_large_transaction_is_read_with_a_pause",
            "--exact",
            "--nocapture",
        ]);
        child.env(CHILD, format!("{slot} host={directory} port={port} user=postgres dbname=large"));
        let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        let read = output.lines().find_map(|line| line.strip_prefix("read ")).expect(&output);
        let (rows, memory_kb) = read.split_once(' ').unwrap();
        // The rows take more than 100 MB.
        assert!(rows == "300000" && memory_kb.parse::<u64>().unwrap() < 10_000, "{slot}: {read}");
    }
}
