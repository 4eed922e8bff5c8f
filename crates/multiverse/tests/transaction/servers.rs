//! The servers of a ledger: started, killed as by a power failure, started again.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use multiverse::{ClusterConfig, Clusters};
use serde_json::{Value, json};

use crate::support::Cluster;

const SETTINGS: &str = "
max_prepared_transactions = 50
shared_buffers = 8MB
dynamic_shared_memory_type = mmap
";

const HBA: &str = "
local all all              trust
host  all all 127.0.0.1/32 trust
";

/// How long a test waits for anything before it fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) const NAMES: [&str; 3] = ["a", "b", "c"];

/// Three servers; each is a cluster with the schema of its name.
pub(crate) struct Servers {
    servers: Vec<Cluster>,
}

impl Servers {
    pub(crate) fn start() -> Self {
        let servers: Vec<Cluster> = NAMES.iter().map(|_| Cluster::start(SETTINGS, HBA, |_| {})).collect();
        for (server, name) in servers.iter().zip(NAMES) {
            server.psql(&format!(
                "CREATE SCHEMA {name}; CREATE TABLE {name}.account (id int PRIMARY KEY, amount bigint NOT NULL); \
                 INSERT INTO {name}.account SELECT number, 1000 FROM generate_series(0, 9) AS number; \
                 CREATE TABLE {name}.transfer (id text PRIMARY KEY)"
            ));
        }
        Self { servers }
    }

    pub(crate) fn ports(&self) -> Vec<u16> {
        self.servers.iter().map(Cluster::port).collect()
    }

    /// Kills a server and all that belongs to it.
    pub(crate) fn kill(&self, at: usize) {
        let server = &self.servers[at];
        let file = server.directory().join("data/postmaster.pid");
        let pid = fs::read_to_string(&file).expect("the server runs");
        let pid: u32 = pid.lines().next().expect("its number").parse().expect("a number");
        // Stopped first, so that it starts no more while the others are being killed.
        signal("-STOP", &[pid]);
        let mut family = children_of(pid);
        family.push(pid);
        signal("-KILL", &family);
        let deadline = Instant::now() + LIMIT;
        while family.iter().any(|pid| is_running(*pid)) {
            assert!(Instant::now() < deadline, "a killed server goes on");
            std::thread::sleep(Duration::from_millis(2));
        }
        // Where nobody takes note of the end of processes, the server that is started takes them for running.
        let socket = server.directory().join(format!(".s.PGSQL.{}.lock", server.port()));
        for lock in [file, socket] {
            fs::remove_file(lock).expect("a lock of the server can be removed");
        }
    }

    pub(crate) fn start_again(&mut self, at: usize) {
        self.servers[at].start_again();
    }

    pub(crate) fn psql(&self, at: usize, sql: &str) {
        self.servers[at].psql(sql);
    }

    /// The values of a query's only column, on one server.
    pub(crate) fn column(&self, at: usize, sql: &str) -> Vec<String> {
        let output = self.servers[at].psql_command(sql).args(["-t", "-A"]).output().expect("psql runs");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

/// The configuration of the clusters on these ports.
pub(crate) fn clusters(ports: &[u16]) -> Clusters {
    let mut config = serde_json::Map::new();
    for (name, port) in NAMES.iter().zip(ports) {
        let server = json!({"host": "127.0.0.1", "port": port, "database": "postgres", "user": "postgres", "password": ""});
        let cluster = json!({"schemas": [name], "primary": server, "connectionPool": {"min": 0, "max": 6}});
        config.insert((*name).to_owned(), cluster);
    }
    ClusterConfig::read_all(&Value::Object(config)).expect("the configuration is valid")
}

fn signal(signal: &str, pids: &[u32]) {
    let pids = pids.iter().map(ToString::to_string);
    // Some may have ended by themselves.
    let _ = Command::new("kill").arg(signal).args(pids).output().expect("kill runs");
}

fn children_of(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("processes can be listed").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| status_of(*pid).is_some_and(|(_, of)| of == parent)).collect()
}

fn is_running(pid: u32) -> bool {
    status_of(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// The state and the parent of a process.
fn status_of(pid: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(PathBuf::from(format!("/proc/{pid}/stat"))).ok()?;
    // The name before it may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
