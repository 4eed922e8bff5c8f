//! A primary with real standbys: who answers reads, what happens when one is gone, and reading one's own writes.

use std::sync::OnceLock;

use multiverse::route::{ReplayPosition, RouteOptions};
use multiverse::{Clusters, ConsistencyLevel, EngineSettings, ErrorKind, ReadPreference};

use crate::client::{Call, Client, one_cluster, wait_for};
use crate::support::Cluster;
use crate::{HBA, SETTINGS};

pub(crate) const REPLICATION: &str = "local replication all trust\n";
const ADDRESS: &str = "SELECT inet_server_port()::text";

fn primary() -> &'static Cluster {
    static PRIMARY: OnceLock<Cluster> = OnceLock::new();
    PRIMARY.get_or_init(|| {
        Cluster::start(
            &format!("{SETTINGS}\nwal_level = replica\nmax_wal_senders = 20\nwal_keep_size = 256MB"),
            &format!("{HBA}{REPLICATION}"),
            |_| {},
        )
    })
}

pub(crate) fn with_replicas(primary: u16, replicas: &[u16]) -> Clusters {
    let mut clusters = one_cluster(primary, "postgres", |pool| pool.max = 3);
    let cluster = clusters.get_mut("main").unwrap();
    cluster.replicas = replicas
        .iter()
        .map(|port| {
            let mut replica = cluster.primary.clone();
            replica.port = *port;
            replica
        })
        .collect();
    clusters
}

/// A client that knows the catalogue, so that reads go to replicas.
fn reading_from(standby: &Cluster, clusters: Clusters) -> Client {
    let client = Client::start(clusters, EngineSettings::default());
    let port = standby.port().to_string();
    wait_for("reads to go to the standby", || client.value(ADDRESS) == port);
    client
}

#[test]
fn reads_go_to_the_standby_and_writes_to_the_primary() {
    let standby = primary().start_standby("");
    let client = reading_from(&standby, with_replicas(primary().port(), &[standby.port()]));
    client.query("CREATE TABLE IF NOT EXISTS placed (port int)").unwrap();
    client.query("INSERT INTO placed SELECT inet_server_port()").unwrap();
    let strong =
        RouteOptions { consistency_level: Some(ConsistencyLevel::Strong), ..RouteOptions::default() };
    let read = Call { route: strong, ..Call::new("SELECT port::text FROM placed") };
    assert_eq!(client.run(read).unwrap().value(), primary().port().to_string());
    let completed = client.query(ADDRESS).unwrap().completed;
    assert!(completed.is_read);
    client.query("CREATE OR REPLACE FUNCTION written() RETURNS int LANGUAGE sql AS 'INSERT INTO placed VALUES (1) RETURNING 1'").unwrap();
    assert_eq!(client.value("SELECT written()::text"), "1");
}

#[test]
fn what_a_replica_refuses_runs_on_the_primary_and_goes_there_from_then_on() {
    let standby = primary().start_standby("");
    let client = reading_from(&standby, with_replicas(primary().port(), &[standby.port()]));
    // Made by somebody else, after the catalogue was read: the engine takes it for the function it was.
    primary().psql("CREATE TABLE turncoat_rows (n int); CREATE FUNCTION turncoat() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'");
    let volatility = "SELECT provolatile FROM pg_proc WHERE proname = 'turncoat'";
    wait_for("the standby to have it", || standby.ask(volatility) == "s");
    wait_for("the function to be known", || {
        client.value("SELECT inet_server_port()::text FROM turncoat()") == standby.port().to_string()
    });
    primary().psql("CREATE OR REPLACE FUNCTION turncoat() RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO turncoat_rows VALUES (1) RETURNING 1'");
    wait_for("the standby to know it", || standby.ask(volatility) == "v");
    let errors = client.metrics().clusters[0].errors;
    for _ in 0..3 {
        assert_eq!(client.value("SELECT turncoat()::text"), "1");
    }
    let strong =
        RouteOptions { consistency_level: Some(ConsistencyLevel::Strong), ..RouteOptions::default() };
    let count = Call { route: strong, ..Call::new("SELECT count(*)::text FROM turncoat_rows") };
    assert_eq!(client.run(count).unwrap().value(), "3");
    assert_eq!(client.metrics().clusters[0].errors, errors);
}

#[test]
fn what_a_replica_does_not_have_yet_is_read_from_the_primary() {
    let standby = primary().start_standby("");
    let client = reading_from(&standby, with_replicas(primary().port(), &[standby.port()]));
    standby.ask("SELECT pg_wal_replay_pause()");
    primary().psql("CREATE SCHEMA fresh; CREATE TABLE fresh.rows AS SELECT 7 AS n");
    let errors = client.metrics().clusters[0].errors;
    assert_eq!(client.value("SELECT n::text FROM fresh.rows"), "7");
    assert_eq!(client.metrics().clusters[0].errors, errors);
    // What is nowhere is an error as before.
    assert_eq!(client.query("SELECT * FROM fresh.nowhere").unwrap_err().code(), "42P01");
    standby.ask("SELECT pg_wal_replay_resume()");
    wait_for("the standby to have it", || !standby.ask("SELECT to_regclass('fresh.rows')").is_empty());
    let where_read = "SELECT inet_server_port()::text FROM fresh.rows";
    let port = standby.port().to_string();
    wait_for("the standby to be read again", || client.value(where_read) == port);
}

#[test]
fn a_standby_that_goes_is_left_out_at_once_and_comes_back_by_itself() {
    let mut standby = primary().start_standby("");
    let client = reading_from(&standby, with_replicas(primary().port(), &[standby.port()]));
    let running = client.submit_all((0..6).map(|_| Call::new("SELECT pg_sleep(0.3), 1").retried(3)));
    standby.stop();
    for call in running {
        call.wait().expect("a read that was lost is tried again elsewhere");
    }
    for _ in 0..50 {
        assert_eq!(client.value(ADDRESS), primary().port().to_string());
    }
    assert!(!client.metrics().clusters[0].servers[1].is_up);
    standby.start_again();
    let port = standby.port().to_string();
    wait_for("the standby to be used again", || client.value(ADDRESS) == port);
    assert!(client.metrics().clusters[0].servers[1].is_up);
}

#[test]
fn a_standby_that_never_was_there_harms_nobody() {
    let client = Client::start(with_replicas(primary().port(), &[1]), EngineSettings::default());
    for _ in 0..20 {
        assert_eq!(client.value(ADDRESS), primary().port().to_string());
    }
    wait_for("the catalogue to be known", || {
        client.metrics().clusters[0].servers[1].last_error.is_some() || {
            client.value(ADDRESS);
            false
        }
    });
    for _ in 0..20 {
        assert_eq!(client.value(ADDRESS), primary().port().to_string());
    }
}

#[test]
fn a_session_reads_its_own_writes_from_a_standby_once_that_has_them() {
    let standby = primary().start_standby("recovery_min_apply_delay = '300ms'");
    let mut clusters = with_replicas(primary().port(), &[standby.port()]);
    clusters.get_mut("main").unwrap().consistency_level = ConsistencyLevel::Session;
    let client = reading_from(&standby, clusters);
    client.query("CREATE TABLE IF NOT EXISTS own_writes (n int)").unwrap();
    let after = |written: Option<ReplayPosition>, sql: &str| Call {
        route: RouteOptions { written, ..RouteOptions::default() },
        ..Call::new(sql)
    };
    for n in 1..=3 {
        let write = client.run(Call::new("INSERT INTO own_writes VALUES ($1)").with(&["1"])).unwrap();
        let written = write.completed.written.expect("a session that writes is told where");
        let read = client.run(after(Some(written), "SELECT count(*)::text FROM own_writes")).unwrap();
        assert_eq!(read.value(), n.to_string());
    }
    let written = client.query("INSERT INTO own_writes VALUES (0)").unwrap().completed.written;
    let port = standby.port().to_string();
    wait_for("the standby to have it", || client.run(after(written, ADDRESS)).unwrap().value() == port);
    let count = client.run(after(written, "SELECT count(*)::text FROM own_writes")).unwrap();
    assert_eq!(count.value(), "4");
    assert_eq!(client.query("SELECT 1").unwrap().completed.written, None);
}

#[test]
fn a_pinned_connection_is_told_its_position_where_others_can_see_what_it_wrote() {
    primary().psql("CREATE TABLE pinned (n int)");
    let mut clusters = one_cluster(primary().port(), "postgres", |pool| pool.max = 1);
    clusters.get_mut("main").unwrap().consistency_level = ConsistencyLevel::Session;
    let client = Client::start(clusters, EngineSettings::default()).warm_up();
    let session = client.session().unwrap();
    let written = |sql: &str| client.run(Call::new(sql).in_session(session.id)).unwrap().completed.written;
    let first = written("INSERT INTO pinned VALUES (1)");
    assert!(first.is_some());
    assert_eq!(written("SELECT 1"), None);
    written("BEGIN");
    assert_eq!(written("INSERT INTO pinned VALUES (2)"), None);
    assert!(written("COMMIT") > first);
    // A statement that has become unusable is prepared anew here too.
    let insert = "INSERT INTO pinned VALUES (3) RETURNING *";
    assert!(written(insert).is_some() && written(insert).is_some());
    primary().psql("ALTER TABLE pinned ADD COLUMN m int");
    assert!(written(insert).is_some());
    client.release(&session);
    assert!(client.query(insert).unwrap().completed.written.is_some());
}

#[test]
fn a_failed_write_has_no_position_and_its_own_error() {
    let mut clusters = one_cluster(primary().port(), "postgres", |pool| pool.max = 1);
    clusters.get_mut("main").unwrap().consistency_level = ConsistencyLevel::Session;
    let client = Client::start(clusters, EngineSettings::default());
    for _ in 0..3 {
        assert_eq!(client.query("INSERT INTO nowhere VALUES (1)").unwrap_err().code(), "42P01");
        assert!(
            client.query("CREATE TABLE IF NOT EXISTS somewhere (n int)").unwrap().completed.written.is_some()
        );
    }
}

#[test]
fn a_primary_that_only_reads_any_more_is_told_as_such_and_its_connections_are_replaced() {
    let standby = primary().start_standby("");
    // The application takes the standby for its primary.
    let client = Client::start(with_replicas(standby.port(), &[]), EngineSettings::default()).warm_up();
    let error = client.query("CREATE TABLE demoted (n int)").unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Demoted, "25006"), "{error}");
    client.wait_until_idle();
    let server = client.server();
    assert_eq!(server.created - server.destroyed, server.idle as u64);
    standby.promote();
    wait_for("the server to take writes", || {
        client.query("CREATE TABLE IF NOT EXISTS promoted (n int)").is_ok()
    });
}

#[test]
fn with_the_preference_any_both_answer() {
    let standby = primary().start_standby("");
    let mut clusters = with_replicas(primary().port(), &[standby.port()]);
    clusters.get_mut("main").unwrap().read_preference = ReadPreference::Any;
    let client = reading_from(&standby, clusters);
    let ports: Vec<String> = (0..10).map(|_| client.value(ADDRESS)).collect();
    assert!(
        ports.contains(&standby.port().to_string()) && ports.contains(&primary().port().to_string()),
        "{ports:?}"
    );
}
