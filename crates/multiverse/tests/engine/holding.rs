//! Reads that come before the catalogue is known: they are cached, and reach replicas, from the first one on.

use std::time::Duration;

use multiverse::route::{Operation, RouteOptions};
use multiverse::{CacheSettings, EngineSettings, ErrorKind};

use crate::client::{Call, Client, one_cluster};
use crate::replicas::{REPLICATION, with_replicas};
use crate::{HBA, SETTINGS, cluster, support::Cluster};

/// Reads wait for as long as it takes, on a machine that is busy too.
fn patient() -> EngineSettings {
    let longest_hold = Duration::from_secs(30);
    EngineSettings { cache: Some(CacheSettings::default()), longest_hold, ..EngineSettings::default() }
}

fn caching() -> Client {
    Client::start(one_cluster(cluster().port(), "postgres", |pool| pool.max = 4), patient())
}

fn hits_and_misses(client: &Client) -> (u64, u64) {
    let figures = client.metrics().cache.unwrap();
    (figures.hits, figures.misses)
}

#[test]
fn the_first_read_of_all_is_cached() {
    let client = caching();
    for _ in 0..2 {
        client.run(Call::new("SELECT 'first of all'").cached(&[])).unwrap();
    }
    assert_eq!(hits_and_misses(&client), (1, 1));
}

#[test]
fn a_read_right_behind_a_change_of_definitions_is_cached() {
    let client = caching();
    client.query("DROP TABLE IF EXISTS held_made; CREATE TABLE held_made AS SELECT 1 AS n").unwrap();
    for _ in 0..2 {
        client.run(Call::new("SELECT n::text FROM held_made").cached(&[])).unwrap();
    }
    assert_eq!(hits_and_misses(&client), (1, 1));
}

#[test]
fn a_read_of_a_table_that_somebody_else_has_just_made_is_cached() {
    let client = caching().warm_up();
    cluster().ask("DROP TABLE IF EXISTS held_foreign; CREATE TABLE held_foreign AS SELECT 1 AS n");
    for _ in 0..2 {
        client.run(Call::new("SELECT n::text FROM held_foreign").cached(&[])).unwrap();
    }
    assert_eq!(hits_and_misses(&client), (1, 1));
    // A name that does not exist is no news when it comes again.
    for _ in 0..2 {
        let error = client.run(Call::new("SELECT n FROM held_nowhere").cached(&[])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Server);
    }
}

#[test]
fn the_first_read_of_all_goes_to_the_replica_and_what_is_declared_a_write_to_the_primary() {
    let primary = Cluster::start(
        &format!("{SETTINGS}\nwal_level = replica\nmax_wal_senders = 5\nwal_keep_size = 64MB"),
        &format!("{HBA}{REPLICATION}"),
        |_| {},
    );
    let standby = primary.start_standby("");
    let client = Client::start(with_replicas(primary.port(), &[standby.port()]), patient());
    let port = || Call::new("SELECT inet_server_port()::text");
    let declared = Call {
        route: RouteOptions { operation: Some(Operation::Write), ..RouteOptions::default() },
        ..port()
    };
    let submitted = client.submit_all([declared, port()]);
    let ports: Vec<_> =
        submitted.into_iter().map(|submitted| submitted.wait().unwrap().value().to_owned()).collect();
    assert_eq!(ports, [primary.port().to_string(), standby.port().to_string()]);
}

#[test]
fn a_read_that_is_held_back_ends_at_its_deadline_or_when_it_is_cancelled() {
    // Nobody answers, so the catalogue is never known.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::start(
        one_cluster(silent.local_addr().unwrap().port(), "postgres", |pool| pool.max = 2),
        patient(),
    );
    let limit = Duration::from_millis(30);
    let timed = Call { timeout: Some(limit), ..Call::new("SELECT 'timed'").cached(&[]) };
    let cancelled = client.submit(Call::new("SELECT 'cancelled'").cached(&[]));
    assert_eq!(client.run(timed).unwrap_err().kind(), ErrorKind::Timeout);
    client.engine.cancel(cancelled.id);
    assert_eq!(cancelled.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(client.metrics().requests, 0);
}

#[test]
fn a_read_that_is_held_back_runs_on_the_clusters_of_a_new_configuration() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let of_port = |port| one_cluster(port, "postgres", |pool| pool.max = 2);
    let client = Client::start(of_port(silent.local_addr().unwrap().port()), patient());
    let read = || Call::new("SELECT inet_server_port()::text").cached(&[]);
    let held = client.submit(read());
    client.reload(of_port(cluster().port()));
    assert_eq!(held.wait().unwrap().value(), cluster().port().to_string());
    assert_eq!(client.run(read()).unwrap().value(), cluster().port().to_string());
    assert_eq!(hits_and_misses(&client), (1, 1));
}

#[test]
fn a_read_waits_for_no_catalogue_longer_than_it_may() {
    let settings = EngineSettings { longest_hold: Duration::ZERO, ..patient() };
    let client = Client::start(one_cluster(cluster().port(), "postgres", |pool| pool.max = 4), settings);
    client.run(Call::new("SELECT 'at once'").cached(&[])).unwrap();
    assert_eq!(hits_and_misses(&client), (0, 0));
}
