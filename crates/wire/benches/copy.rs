//! COPY from table to table, by this client and by `psql | psql`, in turns on one cluster.
//!
//! Rows from the first argument that is a number, else 1,000,000; 10 columns of mixed types.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a measurement fails by panicking")]

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, reason = "the measurement needs no certificates")]
mod support;

use std::process::Stdio;
use std::time::{Duration, Instant};

use support::Cluster;
use wire::copy::BinaryCopyReader;
use wire::{ConnectConfig, Connection};

const ROUNDS: usize = 5;

const TABLES: &str = "
CREATE UNLOGGED TABLE source AS
SELECT i::int8 AS id, (i % 1000)::int4 AS small, (i * 1.25)::numeric(14, 2) AS price, random() AS ratio,
       i % 2 = 0 AS flag, 'name of row ' || i AS name, md5(i::text) AS hash,
       timestamptz '2020-01-01' + i * interval '1 second' AS at,
       jsonb_build_object('i', i, 'tags', jsonb_build_array('a', 'b')) AS document,
       CASE WHEN i % 3 = 0 THEN NULL ELSE date '2020-01-01' + (i % 3000)::int END AS day
FROM generate_series(1, $ROWS) i;
CREATE UNLOGGED TABLE target (LIKE source);
VACUUM ANALYZE source";

const WAYS: [&str; 5] = ["psql | psql", "wire text", "wire binary", "wire read only", "wire read + decode"];

fn main() {
    let rows: u64 = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let cluster = Cluster::start("shared_buffers = 512MB", "local all all trust\n", |_| {});
    let config = format!(
        "host={} port={} user=postgres dbname=postgres",
        cluster.directory().display(),
        cluster.port()
    );
    let config = ConnectConfig::parse(&config).unwrap();
    for statement in TABLES.replace("$ROWS", &rows.to_string()).split(';') {
        cluster.psql(statement);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut times = vec![Vec::new(); WAYS.len()];
    for _ in 0..ROUNDS {
        for (way, times) in times.iter_mut().enumerate() {
            cluster.psql("TRUNCATE target");
            let start = Instant::now();
            match way {
                0 => psql_to_psql(&cluster),
                1 => runtime.block_on(table_to_table(&config, "text", rows)),
                2 => runtime.block_on(table_to_table(&config, "binary", rows)),
                3 => runtime.block_on(read(&config, false, rows)),
                _ => runtime.block_on(read(&config, true, rows)),
            }
            times.push(start.elapsed());
        }
    }
    for (name, times) in WAYS.iter().zip(&mut times) {
        times.sort();
        let median: Duration = times[ROUNDS / 2];
        println!("{name:20} {:9.0} rows/s  {times:.2?}", rows as f64 / median.as_secs_f64());
    }
}

fn psql_to_psql(cluster: &Cluster) {
    let mut from = cluster.psql_command("COPY source TO STDOUT").stdout(Stdio::piped()).spawn().unwrap();
    let data = from.stdout.take().unwrap();
    assert!(cluster.psql_command("COPY target FROM STDIN").stdin(data).status().unwrap().success());
    assert!(from.wait().unwrap().success());
}

async fn table_to_table(config: &ConnectConfig, format: &str, rows: u64) {
    let mut source = Connection::connect(config).await.unwrap();
    let mut target = Connection::connect(config).await.unwrap();
    let mut from = source.copy_out(&format!("COPY source TO STDOUT (FORMAT {format})")).await.unwrap();
    let mut into = target.copy_in(&format!("COPY target FROM STDIN (FORMAT {format})")).await.unwrap();
    while let Some(chunk) = from.next().await.unwrap() {
        into.send(chunk).await.unwrap();
    }
    assert_eq!(into.finish().await.unwrap(), rows);
}

async fn read(config: &ConnectConfig, decode: bool, rows: u64) {
    let mut source = Connection::connect(config).await.unwrap();
    let mut from = source.copy_out("COPY source TO STDOUT (FORMAT binary)").await.unwrap();
    let mut reader = BinaryCopyReader::new();
    let (mut count, mut bytes) = (0, 0);
    while let Some(chunk) = from.next().await.unwrap() {
        bytes += chunk.len();
        if decode {
            reader.push(chunk);
            while let Some(row) = reader.next_row().unwrap() {
                assert_eq!(row.len(), 10);
                count += 1;
            }
        }
    }
    assert!(bytes > 0 && (!decode || count == rows));
}
