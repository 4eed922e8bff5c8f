//! The engine against real servers: one cluster for all tests of this program, and others for those that break them.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod caching;
mod cancel;
mod client;
mod closing;
mod failover;
mod faults;
mod holding;
mod log_following;
mod pipelining;
mod pooling;
mod reloading;
mod replicas;
mod sessions;
mod statements;
#[path = "../../../wire/tests/support/mod.rs"]
#[allow(dead_code, reason = "the tests of another crate use the rest")]
mod support;
mod tls;

use std::sync::OnceLock;

use support::Cluster;

const PASSWORD: &str = "s3cret /@:%ü";

const SETTINGS: &str = "
max_connections = 200
";

const HBA: &str = "
local all all              trust
host  all scram 127.0.0.1/32 scram-sha-256
host  all all 127.0.0.1/32 trust
";

/// The cluster of this program. Its watchdog stops it when the program ends.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(SETTINGS, HBA, |_| {}))
}

impl Cluster {
    /// The only value of a query that the superuser runs with psql.
    fn ask(&self, sql: &str) -> String {
        let output = self.psql_command(sql).args(["-t", "-A"]).output().expect("psql runs");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
