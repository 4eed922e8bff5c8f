//! Reading and decoding a backlog of changes, by this client and by `pg_recvlogical` into /dev/null, in turns on one
//! cluster.
//!
//! Events from the first argument that is a number, else 320,000: inserts, updates and deletes of rows with 10
//! columns, in transactions of 100. Prints of each way the median rate, the median of its ratios to
//! `pg_recvlogical` in the same round, and the processor time of the client, which says more where the machine has
//! other things to do.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a measurement fails by panicking")]

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, reason = "the measurement needs no certificates")]
mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use support::Cluster;
use tokio::runtime::{Builder, Runtime};
use wire::replication::pgoutput::{Decoder, Message};
use wire::replication::{StartReplication, StreamMessage};
use wire::{ConnectConfig, Connection};

const ROUNDS: usize = 7;

const SETTINGS: &str = "
wal_level = logical
shared_buffers = 256MB
max_wal_size = 4GB
";

const TABLE: &str = "
CREATE TABLE item (id int8 PRIMARY KEY, small int4, price numeric(14, 2), ratio float8, flag bool, name text,
                   hash text, at timestamptz, document jsonb, day date);
CREATE PUBLICATION changes FOR TABLE item;
SELECT pg_create_logical_replication_slot('template', 'pgoutput')";

/// Of each 100 events of a transaction 50 insert, 40 update and 10 delete.
const BACKLOG: &str = "
CREATE PROCEDURE write(transactions int) LANGUAGE plpgsql AS $$
DECLARE base int8;
BEGIN
    FOR i IN 0 .. transactions - 1 LOOP
        base := i * 50;
        INSERT INTO item
        SELECT n, n % 1000, n * 1.25, random(), n % 2 = 0, 'name of row ' || n, md5(n::text),
               timestamptz '2020-01-01' + n * interval '1 second', jsonb_build_object('i', n, 'tags', '[1, 2]'),
               CASE WHEN n % 3 = 0 THEN NULL ELSE date '2020-01-01' + (n % 3000)::int END
        FROM generate_series(base, base + 49) n;
        UPDATE item SET price = price + 1, name = name || '.' WHERE id BETWEEN base AND base + 39;
        DELETE FROM item WHERE id BETWEEN base + 40 AND base + 49;
        COMMIT;
    END LOOP;
END $$";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    PgRecvlogical,
    Read,
    Decode,
    DecodeOnPool,
}

const WAYS: [(Way, &str); 4] = [
    (Way::PgRecvlogical, "pg_recvlogical -f /dev/null"),
    (Way::Read, "wire, read only"),
    (Way::Decode, "wire, read and decode"),
    (Way::DecodeOnPool, "wire, read and decode on a pool"),
];

/// The backlog of one cluster.
struct Backlog {
    cluster: Cluster,
    config: ConnectConfig,
    events: u64,
    end: String,
}

fn main() {
    let events: u64 = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(320_000);
    let backlog = Backlog::write(events);
    let events = backlog.events;
    let one_thread = Builder::new_current_thread().enable_all().build().unwrap();
    let pool = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut times = vec![Vec::new(); WAYS.len()];
    let mut processor_times = [Duration::ZERO; WAYS.len()];
    for _ in 0..ROUNDS {
        for (((way, _), times), processor_time) in WAYS.iter().zip(&mut times).zip(&mut processor_times) {
            backlog.copy_slot();
            let processor_start = processor_time_used();
            let start = Instant::now();
            match way {
                Way::PgRecvlogical => backlog.pg_recvlogical(),
                Way::Read => backlog.stream(&one_thread, read),
                Way::Decode => backlog.stream(&one_thread, decoder()),
                Way::DecodeOnPool => backlog.stream(&pool, decoder()),
            }
            times.push(start.elapsed());
            *processor_time += processor_time_used() - processor_start;
        }
    }
    let peer = times[0].clone();
    for (((_, name), times), processor_time) in WAYS.iter().zip(&times).zip(processor_times) {
        let rate = events as f64 / median(times.iter().map(Duration::as_secs_f64));
        let ratio =
            median(peer.iter().zip(times).map(|(peer, time)| peer.as_secs_f64() / time.as_secs_f64()));
        let micros = processor_time.as_secs_f64() * 1e6 / (ROUNDS as u64 * events) as f64;
        println!(
            "{name:34} {rate:9.0} events/s  {ratio:5.2} of pg_recvlogical  {micros:5.2} µs/event  {times:.2?}"
        );
    }
    let payloads = backlog.record(&one_thread);
    let start = Instant::now();
    assert_eq!(payloads.into_iter().map(decoder()).sum::<u64>(), events);
    println!(
        "{:34} {:9.0} events/s",
        "decoding alone, from memory",
        events as f64 / start.elapsed().as_secs_f64()
    );
}

/// The processor time of this process and of the children it has waited for.
fn processor_time_used() -> Duration {
    /// The kernel tells times in hundredths of a second.
    const TICK: Duration = Duration::from_millis(10);
    let status = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name of the program, in parentheses, is the second field; the times are the 14th to the 17th.
    let (_, fields) = status.rsplit_once(')').unwrap();
    let times = fields.split_whitespace().skip(11).take(4);
    TICK * times.map(|ticks| ticks.parse::<u32>().unwrap()).sum::<u32>()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn is_change(message: &Message) -> bool {
    matches!(message, Message::Insert(_) | Message::Update(_) | Message::Delete(_))
}

impl Backlog {
    fn write(events: u64) -> Self {
        let cluster = Cluster::start(SETTINGS, "local all all trust\n", |_| {});
        let (directory, port) = (cluster.directory().display(), cluster.port());
        let config =
            format!("host={directory} port={port} user=postgres dbname=postgres replication=database");
        let config = ConnectConfig::parse(&config).unwrap();
        TABLE.split(';').for_each(|statement| cluster.psql(statement));
        cluster.psql(BACKLOG);
        cluster.psql(&format!("CALL write({})", events / 100));
        let output =
            cluster.psql_command("COPY (SELECT pg_current_wal_insert_lsn()) TO STDOUT").output().unwrap();
        let end = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        // Something behind the end lets pg_recvlogical see that it is reached.
        cluster.psql("INSERT INTO item (id) VALUES (-1)");
        Self { cluster, config, events: events / 100 * 100, end }
    }

    /// Readers that acknowledge move their slot, so each has one of its own.
    fn copy_slot(&self) {
        self.cluster.psql(
            "SELECT pg_drop_replication_slot('slot') FROM pg_replication_slots WHERE slot_name = 'slot'",
        );
        self.cluster.psql("SELECT pg_copy_logical_replication_slot('template', 'slot')");
    }

    fn pg_recvlogical(&self) {
        let mut command = self.cluster.program("pg_recvlogical");
        command.args([
            "--start",
            "--slot=slot",
            "--no-loop",
            "-f",
            "/dev/null",
            "-U",
            "postgres",
            "-d",
            "postgres",
        ]);
        command.args(["-o", "proto_version=1", "-o", "publication_names=changes", "--endpos", &self.end]);
        command.arg("-h").arg(self.cluster.directory()).args(["-p", &self.cluster.port().to_string()]);
        assert!(command.status().unwrap().success());
    }

    /// Reads the backlog with `count`, which says how many changes a payload is, on a task of the runtime.
    fn stream(&self, runtime: &Runtime, count: impl FnMut(Bytes) -> u64 + Send + 'static) {
        let changes =
            runtime.block_on(runtime.spawn(stream(self.config.clone(), self.events, count))).unwrap();
        assert_eq!(changes, self.events);
    }

    fn record(&self, runtime: &Runtime) -> Vec<Bytes> {
        self.copy_slot();
        let (sender, receiver) = std::sync::mpsc::channel();
        self.stream(runtime, move |payload| {
            let changes = read(payload.clone());
            sender.send(payload).unwrap();
            changes
        });
        receiver.into_iter().collect()
    }
}

fn read(payload: Bytes) -> u64 {
    u64::from(matches!(payload.first(), Some(b'I' | b'U' | b'D')))
}

fn decoder() -> impl FnMut(Bytes) -> u64 + Send + 'static {
    let mut decoder = Decoder::new();
    move |payload| u64::from(is_change(&decoder.decode(payload).unwrap()))
}

/// Reads to the end of the transaction with which `events` changes have been counted, and in order to its own end.
async fn stream(config: ConnectConfig, events: u64, mut count: impl FnMut(Bytes) -> u64) -> u64 {
    let connection = Connection::connect(&config).await.unwrap();
    let start = StartReplication::new("slot", ["changes"]);
    let mut stream = connection.start_replication(&start).await.unwrap();
    let mut changes = 0;
    loop {
        let StreamMessage::Data(data) = stream.next().await.unwrap() else { continue };
        let is_commit = data.payload.first() == Some(&b'C');
        changes += count(data.payload);
        if is_commit && changes >= events {
            stream.finish().await.unwrap();
            return changes;
        }
    }
}
