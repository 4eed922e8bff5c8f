//! Logical replication against a real server: one cluster for all of it, and a database for each test.

mod changes;
mod commands;
mod end;
mod feed;
mod identity;
mod large;
mod messages;
mod position;
mod values;

use std::sync::OnceLock;

use wire::replication::{CreateSlot, CreatedSlot, SnapshotAction, StartReplication};
use wire::{ConnectConfig, Connection, ReplicationMode};

use crate::support::{Cluster, certificates};
use feed::Feed;

/// With so little memory for decoding, transactions of some hundred rows are large ones.
const SETTINGS: &str = "
wal_level = logical
max_wal_senders = 60
max_replication_slots = 60
max_connections = 200
logical_decoding_work_mem = 64kB
";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let settings = format!("{SETTINGS}ssl = on\n");
        let hba = "local all all trust\nhostssl all all 127.0.0.1/32 trust\n";
        Cluster::start(&settings, hba, |data| certificates::write(data, "nobody"))
    })
}

/// A connection of replication with command-line options for its session.
async fn replication(mut config: ConnectConfig, options: &str) -> Connection {
    config.replication = Some(ReplicationMode::Database);
    config.options = Some(options.to_owned());
    Connection::connect(&config).await.unwrap()
}

/// A database of the test's own, with a publication `all_tables`.
struct Source {
    config: ConnectConfig,
    sql: Connection,
}

impl Source {
    /// Makes the database on the cluster of all tests, and runs statements in it.
    async fn new(name: &str, statements: &str) -> Self {
        Self::on(cluster(), name, statements).await
    }

    async fn on(cluster: &Cluster, name: &str, statements: &str) -> Self {
        let config = |database: &str| {
            let directory = cluster.directory().display();
            let port = cluster.port();
            crate::config(&format!("host={directory} port={port} user=postgres dbname={database}"))
        };
        let mut maintenance = Connection::connect(&config("postgres")).await.unwrap();
        // The other template cannot be copied while a test is connected to it.
        maintenance.simple_query(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.unwrap();
        let config = config(name);
        let mut source = Self { sql: Connection::connect(&config).await.unwrap(), config };
        source.run("CREATE PUBLICATION all_tables FOR ALL TABLES").await;
        source.run(statements).await;
        source
    }

    /// The name of the database, and of its slot.
    fn name(&self) -> &str {
        &self.config.database
    }

    /// Runs statements outside a transaction block, each its own transaction.
    async fn run(&mut self, statements: &str) {
        for statement in statements.split(";\n").filter(|statement| !statement.trim().is_empty()) {
            self.sql.simple_query(statement).await.unwrap();
        }
    }

    async fn value(&mut self, sql: &str) -> String {
        crate::value(&mut self.sql, sql).await
    }

    /// A connection of replication.
    async fn replication(&self) -> Connection {
        self.replication_with("").await
    }

    /// A connection of replication with command-line options for its session.
    async fn replication_with(&self, options: &str) -> Connection {
        replication(self.config.clone(), options).await
    }

    /// Creates the slot, without a snapshot.
    async fn slot(&self) -> CreatedSlot {
        let slot = CreateSlot { snapshot: SnapshotAction::Nothing, ..CreateSlot::new(self.name()) };
        self.replication().await.create_replication_slot(&slot).await.unwrap()
    }

    /// The stream of the slot and of all tables, from where the slot stands.
    fn start(&self) -> StartReplication {
        StartReplication::new(self.name(), ["all_tables"])
    }

    /// Streams the slot.
    async fn stream(&self, start: &StartReplication) -> Feed {
        Feed::new(self.replication().await.start_replication(start).await.unwrap())
    }

    /// Creates the slot and streams it.
    async fn feed(&self) -> Feed {
        self.slot().await;
        self.stream(&self.start()).await
    }
}
