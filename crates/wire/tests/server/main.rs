//! The client against a real server: one cluster for all tests of this program.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod authentication;
mod cancel;
mod connect;
mod copy;
mod faults;
mod interruption;
mod leftovers;
mod notices;
mod query;
mod replication;
mod statements;
mod tls;
mod transaction;

use std::sync::OnceLock;

use support::{Cluster, certificates};
use wire::{ConnectConfig, Connection};

const PASSWORD: &str = "s3cret /@:%ü";

const SETTINGS: &str = "
ssl = on
ssl_ca_file = 'ca.crt'
max_connections = 200
";

/// Roles are named after what they may do.
const HBA: &str = "
local    all cleartext                password
local    all all                      trust
hostssl  all tls_only    127.0.0.1/32 scram-sha-256
hostssl  all plain_only  127.0.0.1/32 reject
hostssl  all certificate 127.0.0.1/32 cert
host     all trusted     127.0.0.1/32 trust
host     all cleartext   127.0.0.1/32 password
host     all md5         127.0.0.1/32 md5
host     all scram       127.0.0.1/32 scram-sha-256
hostnossl all plain_only 127.0.0.1/32 scram-sha-256
";

/// The cluster of this program. Its watchdog stops it when the program ends.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start(SETTINGS, HBA, |data| certificates::write(data, "certificate"));
        for name in ["trusted", "cleartext", "scram", "tls_only", "plain_only", "certificate"] {
            cluster.psql(&format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'"));
        }
        cluster
            .psql(&format!("SET password_encryption = 'md5'; CREATE ROLE md5 LOGIN PASSWORD '{PASSWORD}'"));
        cluster
    })
}

/// A file of the cluster's data folder, as `ca.crt`.
fn file(name: &str) -> String {
    cluster().directory().join("data").join(name).display().to_string()
}

/// Reads name=value pairs, in an environment without any variable.
fn config(pairs: &str) -> ConnectConfig {
    ConnectConfig::parse_in(pairs, &|_| None).expect("the connection string is valid")
}

/// Pairs for a role over TCP, with the right password.
fn over_tcp(user: &str, more: &str) -> ConnectConfig {
    let port = cluster().port();
    config(&format!(
        "host=127.0.0.1 port={port} dbname=postgres user={user} password='{PASSWORD}' connect_timeout=20 {more}"
    ))
}

/// The superuser over the unix socket.
fn superuser() -> ConnectConfig {
    let directory = cluster().directory().display();
    config(&format!("host={directory} port={} user=postgres dbname=postgres", cluster().port()))
}

async fn connect() -> Connection {
    Connection::connect(&superuser()).await.expect("the server accepts its superuser")
}

/// The only value of a query's result.
async fn value(connection: &mut Connection, sql: &str) -> String {
    let result = connection.query(sql, &[]).await.expect("the query succeeds");
    let row = result.rows.get(0).expect("there is a row");
    row.get_str(0).expect("it is text").unwrap_or("NULL").to_owned()
}
