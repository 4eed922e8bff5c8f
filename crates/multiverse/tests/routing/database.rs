//! A database with everything that can hide a write, and a router that knows its catalogue.

use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use multiverse::balance::LiveServers;
use multiverse::route::catalogue::CatalogueRow;
use multiverse::route::{ClusterIndex, ReplayPosition, RouteOptions, Router, ServerIndex};
use multiverse::{ClusterConfig, Clusters};
use serde_json::json;
use tokio::runtime::Runtime;
use wire::{ConnectConfig, Connection, Error};

#[path = "../../../wire/tests/support/mod.rs"]
#[allow(dead_code, reason = "the module serves other tests as well")]
mod support;

use support::Cluster;

/// Everybody on this machine may connect, and make copies.
const HBA: &str = "local all all trust\nlocal replication all trust\n";

/// A primary and one replica, both up.
pub(crate) struct BothUp;

impl LiveServers for BothUp {
    fn primary(&self, _: ClusterIndex) -> ServerIndex {
        ServerIndex(0)
    }
    fn is_up(&self, _: ClusterIndex, _: ServerIndex) -> bool {
        true
    }
    fn in_use(&self, _: ClusterIndex, _: ServerIndex) -> usize {
        0
    }
    fn response_time(&self, _: ClusterIndex, _: ServerIndex) -> Option<Duration> {
        None
    }
    fn error_rate(&self, _: ClusterIndex, _: ServerIndex) -> f64 {
        0.0
    }
    fn replayed(&self, _: ClusterIndex, _: ServerIndex) -> Option<ReplayPosition> {
        None
    }
}

/// A database of its own, with a connection and a router.
pub(crate) struct Database {
    name: String,
    runtime: Runtime,
    connection: Connection,
    clock: Instant,
    pub(crate) router: Router,
}

impl Database {
    /// A database in which `setup` was run, and whose catalogue the router has read.
    pub(crate) fn with(setup: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("route_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        cluster().psql(&format!("CREATE DATABASE {name}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connection = runtime.block_on(connect(cluster(), &name));
        let router = Router::new(&clusters());
        let mut database = Self { name, runtime, connection, clock: Instant::now(), router };
        database.run(setup).unwrap();
        database.read_catalogue();
        database
    }

    /// Runs a text, as all statements of one transaction.
    pub(crate) fn run(&mut self, sql: &str) -> Result<(), Error> {
        self.runtime.block_on(self.connection.simple_query(sql)).map(drop)
    }

    /// Gives the router the catalogue as it is now. Whether one was due.
    pub(crate) fn read_catalogue(&mut self) -> bool {
        let now = self.later();
        let Some((cluster, queries)) = self.router.begin_catalogue(now) else { return false };
        let results = queries.iter().map(|query| self.rows(query)).collect();
        self.router.catalogue_was_read(cluster, results, now).unwrap();
        true
    }

    /// A moment so much later than the last one that a reading is due.
    pub(crate) fn later(&mut self) -> Instant {
        self.clock += Duration::from_secs(3600);
        self.clock
    }

    fn rows(&mut self, query: &str) -> Vec<CatalogueRow> {
        let result = self.runtime.block_on(self.connection.query(query, &[])).unwrap();
        let text = |cell: Option<&[u8]>| cell.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        result.rows.iter().map(|row| CatalogueRow::from_columns(row.iter().map(text))).collect()
    }

    /// Whether the router sends a text to the replica.
    pub(crate) fn goes_to_replica(&mut self, sql: &str) -> bool {
        let decision = self.router.route(&Arc::from(sql), &RouteOptions::default(), &BothUp).unwrap();
        assert_eq!(decision.on_replica, decision.server != ServerIndex(0));
        decision.on_replica
    }

    /// A hot standby of the server, which has replayed all that was done so far, and a connection to this database there.
    pub(crate) fn standby(&mut self) -> Standby {
        self.run("CREATE TABLE is_replayed ()").unwrap();
        let server = Cluster::start("hot_standby = on\n", HBA, |data| {
            let owner = std::fs::metadata(data).unwrap();
            std::fs::remove_dir_all(data).unwrap();
            let psql = cluster().psql_command("");
            let program = std::path::Path::new(psql.get_program()).with_file_name("pg_basebackup");
            let mut copy = Command::new(program);
            copy.args([
                "--username=postgres",
                "--no-sync",
                "--checkpoint=fast",
                "--write-recovery-conf",
                "-h",
            ]);
            copy.arg(cluster().directory()).args(["-p", &cluster().port().to_string(), "-D"]).arg(data);
            assert!(copy.status().unwrap().success());
            // Root may have made the copy, and the server runs as another user.
            let mut give = Command::new("chown");
            give.args(["-R", &format!("{}:{}", owner.uid(), owner.gid())]).arg(data);
            assert!(give.status().unwrap().success());
        });
        let mut connection = self.runtime.block_on(connect(&server, &self.name));
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.runtime.block_on(connection.simple_query("TABLE is_replayed")).is_err() {
            assert!(Instant::now() < deadline, "the standby does not replay");
            std::thread::yield_now();
        }
        Standby { connection, _server: server }
    }

    /// The SQLSTATE with which the standby refuses the text; `None` when it runs.
    pub(crate) fn refusal_by(&mut self, standby: &mut Standby, sql: &str) -> Option<String> {
        refusal(sql, self.runtime.block_on(standby.connection.simple_query(sql)).map(drop))
    }

    /// The SQLSTATE with which the server refuses the text in a transaction that only reads; `None` when it runs.
    pub(crate) fn refusal_to_readers(&mut self, sql: &str) -> Option<String> {
        self.run("BEGIN TRANSACTION READ ONLY").unwrap();
        let outcome = self.run(sql);
        self.run("ROLLBACK").unwrap();
        refusal(sql, outcome)
    }
}

/// A standby and a connection to it; it stops when it is dropped.
pub(crate) struct Standby {
    connection: Connection,
    _server: Cluster,
}

fn refusal(sql: &str, outcome: Result<(), Error>) -> Option<String> {
    match outcome {
        Ok(()) => None,
        // This client takes the rows of COPY in another way, and says so when the server has sent them all.
        Err(Error::Config { .. }) => None,
        Err(Error::Server(error)) => Some(error.code),
        Err(other) => panic!("{sql}: {other}"),
    }
}

async fn connect(server: &Cluster, database: &str) -> Connection {
    let folder = server.directory().display();
    let uri = format!("host={folder} port={} user=postgres dbname={database}", server.port());
    Connection::connect(&ConnectConfig::parse(&uri).unwrap()).await.unwrap()
}

fn clusters() -> Clusters {
    let server = json!({"host": "h", "port": 5432, "database": "d", "user": "u", "password": ""});
    let clusters = json!({"main": {"schemas": ["public"], "primary": server, "replicas": [server]}});
    ClusterConfig::read_all(&clusters).unwrap()
}

/// The server of all tests; it ends with the process.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start("max_connections = 50\n", HBA, |_| {}))
}
