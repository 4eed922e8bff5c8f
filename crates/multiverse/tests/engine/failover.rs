//! Primaries that die, are demoted, come back or fall silent: writes go to the server that was promoted, and nowhere else.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use multiverse::route::{Operation, RouteOptions};
use multiverse::{ClusterEvent, EngineSettings, ErrorKind, ManagerSettings, ReadPreference, ServerMetrics};

use crate::client::{Call, Client, LIMIT, wait_for};
use crate::faults::Proxy;
use crate::replicas::{REPLICATION, with_replicas};
use crate::support::Cluster;
use crate::{HBA, SETTINGS};

const TABLE: &str = "CREATE TABLE written (n int)";
const INSERT: &str = "INSERT INTO written VALUES (1)";
const COUNT: &str = "SELECT count(*) FROM written";

/// A primary of the test's own, with a table, and a standby that has it.
fn pair() -> (Cluster, Cluster) {
    let settings = format!(
        "{SETTINGS}\nwal_level = replica\nmax_wal_senders = 10\nwal_keep_size = 64MB\nhot_standby = on"
    );
    let primary = Cluster::start(&settings, &format!("{HBA}{REPLICATION}"), |_| {});
    primary.psql(TABLE);
    let standby = primary.start_standby("");
    wait_for("the standby to have the table", || standby.ask("SELECT to_regclass('written')") == "written");
    (primary, standby)
}

fn quick() -> EngineSettings {
    let manager = ManagerSettings { health_check_interval: Duration::from_millis(300), ..Default::default() };
    EngineSettings { manager, ..EngineSettings::default() }
}

/// A client that knows the roles of both servers, and what it is told.
fn client_of(primary: u16, standby: u16) -> (Client, Receiver<ClusterEvent>) {
    let client = Client::start(with_replicas(primary, &[standby]), quick());
    let (sender, events) = channel();
    client.engine.listen(Box::new(move |event| {
        // The test may have ended.
        let _ = sender.send(event);
    }));
    client.health();
    (client, events)
}

fn servers(client: &Client) -> Vec<ServerMetrics> {
    client.metrics().clusters.remove(0).servers
}

/// The pool ids of the next failover that is told: of the new primary and the old one.
fn next_failover(events: &Receiver<ClusterEvent>) -> (String, String) {
    loop {
        let event = events.recv_timeout(LIMIT).expect("a failover is told");
        if let ClusterEvent::Failover { new_primary, old_primary, .. } = event {
            return (new_primary.to_string(), old_primary.to_string());
        }
    }
}

/// Has the standby take the place of the primary, which is stopped; one write is on the standby then.
fn move_writes(primary: &mut Cluster, standby: &Cluster, client: &Client, events: &Receiver<ClusterEvent>) {
    primary.stop();
    let write = client.submit(Call::new(INSERT));
    standby.promote();
    write.wait().unwrap();
    next_failover(events);
}

fn wait_until_standby_has(primary: &Cluster, standby: &Cluster) {
    let written = primary.ask("SELECT pg_current_wal_lsn()");
    let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
    wait_for("the standby to have everything", || standby.ask(&replayed) == "t");
}

fn reads() -> Call {
    let route = RouteOptions { read_preference: Some(ReadPreference::Any), ..RouteOptions::default() };
    Call { route, ..Call::new("SELECT 1").retried(3) }
}

#[test]
fn a_write_waits_for_the_standby_that_is_promoted_and_reads_go_on() {
    let (mut primary, standby) = pair();
    let (client, events) = client_of(primary.port(), standby.port());
    client.query(INSERT).unwrap();
    wait_until_standby_has(&primary, &standby);
    primary.stop();
    let waiting: Vec<_> = (0..5).map(|_| client.submit(Call::new(INSERT))).collect();
    wait_for("the primary to be found away", || !servers(&client)[0].is_up);
    for _ in 0..20 {
        client.run(reads()).expect("the standby answers reads");
    }
    assert!(waiting.iter().all(crate::client::Submitted::is_open));
    standby.promote();
    for write in waiting {
        assert_eq!(&*write.wait().unwrap().completed.server, "main_replica_0");
    }
    assert_eq!(next_failover(&events), ("main_replica_0".to_owned(), "main_primary".to_owned()));
    assert_eq!(standby.ask(COUNT), "6");
    assert!(servers(&client)[1].is_primary && !servers(&client)[0].is_primary);
}

#[test]
fn fault_7_a_pool_does_not_stay_pinned_to_a_demoted_primary() {
    let (primary, standby) = pair();
    // The application takes the standby for its primary, as after a switch it was not told of.
    let client = Client::start(with_replicas(standby.port(), &[primary.port()]), quick()).warm_up();
    for _ in 0..10 {
        let written = client.query(INSERT).expect("25006 is not the end of a write");
        assert_eq!(&*written.completed.server, "main_replica_0");
    }
    assert_eq!(primary.ask(COUNT), "10");
    assert_eq!(client.metrics().clusters[0].errors, 0);
}

#[test]
fn a_transaction_on_a_demoted_primary_fails_and_its_connection_is_not_used_again() {
    let (primary, standby) = pair();
    let client = Client::start(with_replicas(standby.port(), &[primary.port()]), quick());
    let session = client.session().unwrap();
    client.run(Call::new("BEGIN").in_session(session.id)).unwrap();
    let error = client.run(Call::new(INSERT).in_session(session.id)).unwrap_err();
    // Either the server has said it, or the connection was lost to the move of the writes.
    assert!(matches!(error.code(), "25006" | "ERR_CONNECTION" | "ERR_RELEASED"), "{error}");
    client.release(&session);
    wait_for("writes to go to the primary", || {
        client.query(INSERT).is_ok_and(|written| &*written.completed.server == "main_replica_0")
    });
    let next = client.session().unwrap();
    assert_eq!(&*next.server, "main_replica_0");
}

#[test]
fn an_old_primary_that_comes_back_gets_neither_writes_nor_reads() {
    let (mut primary, standby) = pair();
    let (client, events) = client_of(primary.port(), standby.port());
    move_writes(&mut primary, &standby, &client, &events);
    primary.start_again();
    // It accepts connections and takes writes, but its timeline is the lower one.
    assert_eq!(primary.ask("SELECT pg_is_in_recovery()"), "f");
    for round in 0..150 {
        assert_eq!(&*client.query(INSERT).unwrap().completed.server, "main_replica_0");
        assert_eq!(&*client.run(reads()).unwrap().completed.server, "main_replica_0", "round {round}");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(primary.ask(COUNT), "0");
    assert!(!servers(&client)[0].is_up);
}

#[test]
fn a_write_that_was_under_way_when_the_primary_died_is_not_sent_again() {
    let (mut primary, standby) = pair();
    let (client, _) = client_of(primary.port(), standby.port());
    let slow = "INSERT INTO written SELECT 1 FROM (SELECT pg_sleep(0.7)) AS slept";
    let under_way: Vec<_> = (0..3).map(|_| client.submit(Call::new(slow).retried(5))).collect();
    wait_for("the writes to run", || {
        primary.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "3"
    });
    primary.stop();
    let later = client.submit(Call::new(INSERT));
    standby.promote();
    for write in under_way {
        assert!(matches!(write.wait().unwrap_err().code(), "57P01" | "57P02" | "57P03" | "ERR_CONNECTION"));
    }
    later.wait().unwrap();
    assert_eq!(standby.ask(COUNT), "1");
}

#[test]
fn a_primary_that_comes_back_by_itself_gets_its_writes_again() {
    let (mut primary, standby) = pair();
    let (client, events) = client_of(primary.port(), standby.port());
    primary.stop();
    let waiting = client.submit(Call::new(INSERT));
    wait_for("the cluster to be told down", || {
        events.try_iter().any(|event| matches!(event, ClusterEvent::Down { .. }))
    });
    assert!(client.metrics().clusters[0].is_down);
    primary.start_again();
    assert_eq!(&*waiting.wait().unwrap().completed.server, "main_primary");
    wait_for("the cluster to be told recovered", || {
        events.try_iter().any(
            |event| matches!(event, ClusterEvent::Recovered { downtime, .. } if downtime > Duration::ZERO),
        )
    });
    assert!(!client.metrics().clusters[0].is_down);
    assert_eq!(&*client.query(INSERT).unwrap().completed.server, "main_primary");
}

#[test]
fn a_primary_that_falls_silent_is_left_for_the_standby_that_is_promoted() {
    let (primary, standby) = pair();
    let proxy = Proxy::start(primary.port());
    let (client, events) = client_of(proxy.port, standby.port());
    client.query(INSERT).unwrap();
    wait_until_standby_has(&primary, &standby);
    proxy.silent.store(true, Ordering::SeqCst);
    let unheard = client.submit(Call::new(INSERT).retried(3));
    wait_for("the silence to be noticed", || !servers(&client)[0].is_up);
    let waiting = client.submit(Call::new(INSERT));
    standby.promote();
    assert_eq!(&*waiting.wait().unwrap().completed.server, "main_replica_0");
    // Nobody knows what became of it.
    assert_eq!(unheard.wait().unwrap_err().kind(), ErrorKind::ConnectionLost);
    next_failover(&events);
    assert_eq!(standby.ask(COUNT), "2");
}

#[test]
fn reads_that_hang_on_a_silent_standby_are_answered_by_the_primary() {
    let (primary, standby) = pair();
    let proxy = Proxy::start(standby.port());
    let (client, _) = client_of(primary.port(), proxy.port);
    let read = || Call::new("SELECT inet_server_port()::text").retried(3);
    let port = standby.port().to_string();
    wait_for("reads to go to the standby", || client.run(read()).unwrap().value() == port);
    proxy.silent.store(true, Ordering::SeqCst);
    let hanging = client.submit(read());
    assert_eq!(hanging.wait().unwrap().value(), primary.port().to_string());
}

#[test]
fn reads_are_answered_by_the_standby_where_the_primary_fell_silent_before_its_catalogue_was_read() {
    let (primary, standby) = pair();
    let proxy = Proxy::start(primary.port());
    let mut clusters = with_replicas(proxy.port, &[standby.port()]);
    clusters.get_mut("main").unwrap().pool.acquire_timeout = Duration::from_secs(3600);
    let client = Client::start(clusters, quick());
    client.health();
    // What is asked of the primary waits in its queue from now on.
    let sessions: Vec<_> = (0..3).map(|_| client.session().unwrap()).collect();
    let first = client.submit(Call::new(COUNT).within(Duration::from_secs(20)));
    wait_for("the catalogue to be wanted", || servers(&client)[0].waiting > 1);
    proxy.silent.store(true, Ordering::SeqCst);
    let unheard = client.submit(Call::new(INSERT).in_session(sessions[0].id));
    wait_for("the silence to be noticed", || !servers(&client)[0].is_up);
    assert_eq!(&*first.wait().unwrap().completed.server, "main_replica_0");
    assert_eq!(&*client.query(COUNT).unwrap().completed.server, "main_replica_0");
    assert!(unheard.is_open());
}

#[test]
fn a_promotion_that_was_asked_for_loses_nothing() {
    let (primary, standby) = pair();
    let (client, events) = client_of(primary.port(), standby.port());
    let before: Vec<_> = (0..50).map(|_| client.submit(Call::new(INSERT))).collect();
    let reply = client.fail_over("main", 0, true);
    let after: Vec<_> = (0..50).map(|_| client.submit(Call::new(INSERT))).collect();
    reply.recv_timeout(LIMIT).unwrap().unwrap();
    for write in before.into_iter().chain(after) {
        write.wait().expect("a write that waits is not lost");
    }
    assert_eq!(next_failover(&events), ("main_replica_0".to_owned(), "main_primary".to_owned()));
    assert_eq!(standby.ask(COUNT), "100");
    assert_eq!(standby.ask("SELECT pg_is_in_recovery()"), "f");
    assert!(!servers(&client)[0].is_up, "the old primary must not be read");
}

#[test]
fn a_promotion_is_refused_while_a_client_holds_a_connection_to_the_primary() {
    let (primary, standby) = pair();
    let settings = EngineSettings { patience: Duration::from_millis(300), ..quick() };
    let client = Client::start(with_replicas(primary.port(), &[standby.port()]), settings);
    client.health();
    let session = client.session().unwrap();
    let refused = client.fail_over("main", 0, true).recv_timeout(LIMIT).unwrap().unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Promotion, "ERR_PROMOTION"), "{refused}");
    client.release(&session);
    assert_eq!(&*client.query(INSERT).unwrap().completed.server, "main_primary");
    assert_eq!(standby.ask("SELECT pg_is_in_recovery()"), "t");
    assert_eq!(
        client.fail_over("x", 0, true).recv_timeout(LIMIT).unwrap().unwrap_err().kind(),
        ErrorKind::Route
    );
    let none = client.fail_over("main", 7, false).recv_timeout(LIMIT).unwrap().unwrap_err();
    assert_eq!(none.kind(), ErrorKind::NoReplica);
}

#[test]
fn a_cluster_whose_standby_was_promoted_before_the_start_is_used_as_it_is() {
    let (mut primary, standby) = pair();
    primary.stop();
    standby.promote();
    let client = Client::start(with_replicas(primary.port(), &[standby.port()]), quick());
    assert_eq!(&*client.query(INSERT).unwrap().completed.server, "main_replica_0");
}

#[test]
fn a_configuration_that_is_loaded_again_leaves_the_writes_where_they_are() {
    let (mut primary, standby) = pair();
    let (client, events) = client_of(primary.port(), standby.port());
    move_writes(&mut primary, &standby, &client, &events);
    let mut clusters = with_replicas(primary.port(), &[standby.port()]);
    clusters.get_mut("main").unwrap().schemas.push("another".to_owned());
    client.reload(clusters);
    let route = RouteOptions { operation: Some(Operation::Write), ..RouteOptions::default() };
    let port = client.run(Call { route, ..Call::new("SELECT inet_server_port()::text") }).unwrap();
    assert_eq!(port.value(), standby.port().to_string());
    // An application that names its primary anew is believed.
    client.reload(with_replicas(standby.port(), &[]));
    assert_eq!(&*client.query(INSERT).unwrap().completed.server, "main_primary");
}

/// Settings with which only what is asked of servers tells of them.
fn without_checks() -> EngineSettings {
    let manager =
        ManagerSettings { health_check_interval: Duration::from_secs(3600), ..ManagerSettings::default() };
    EngineSettings { manager, ..EngineSettings::default() }
}

#[test]
fn a_failover_that_only_repoints_leaves_no_connection_to_the_old_primary() {
    let (primary, standby) = pair();
    let client = Client::start(with_replicas(primary.port(), &[standby.port()]), without_checks()).warm_up();
    let session = client.session().unwrap();
    client.run(Call::new("BEGIN").in_session(session.id)).unwrap();
    client.run(Call::new(INSERT).in_session(session.id)).unwrap();
    standby.promote();
    client.fail_over("main", 0, false).recv_timeout(LIMIT).unwrap().unwrap();
    let error = client.run(Call::new("COMMIT").in_session(session.id)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoSession | ErrorKind::ConnectionLost), "{error}");
    assert_eq!(&*client.query(INSERT).unwrap().completed.server, "main_replica_0");
    assert_eq!((primary.ask(COUNT), standby.ask(COUNT)), ("0".to_owned(), "1".to_owned()));
    let pinned = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'";
    wait_for("the old primary to be left", || primary.ask(pinned) == "0");
}

#[test]
fn writes_never_go_back_to_a_server_whose_history_has_ended_nor_to_a_standby() {
    let (primary, standby) = pair();
    let client = Client::start(with_replicas(primary.port(), &[standby.port()]), without_checks()).warm_up();
    let refused =
        |promote| client.fail_over("main", 0, promote).recv_timeout(LIMIT).unwrap().unwrap_err().to_string();
    assert!(refused(false).contains("promote it first"), "{}", refused(false));
    client.fail_over("main", 0, true).recv_timeout(LIMIT).unwrap().unwrap();
    // The place of the replica is that of the configured primary now, as asking twice shows.
    for promote in [false, true] {
        assert!(refused(promote).contains("gone on without it"), "{}", refused(promote));
    }
    for _ in 0..5 {
        assert_eq!(&*client.query(INSERT).unwrap().completed.server, "main_replica_0");
    }
    assert_eq!((primary.ask(COUNT), standby.ask(COUNT)), ("0".to_owned(), "5".to_owned()));
}

#[test]
fn a_standby_that_refuses_to_begin_a_transaction_that_writes_is_left() {
    let (primary, standby) = pair();
    // The application takes the standby for its primary.
    let client = Client::start(with_replicas(standby.port(), &[primary.port()]), without_checks());
    let session = client.session().unwrap();
    let error = client.run(Call::new("BEGIN READ WRITE").in_session(session.id)).unwrap_err();
    assert_eq!(error.code(), "0A000");
    client.release(&session);
    wait_for("the primary to be found", || servers(&client)[1].is_primary);
    assert_eq!(&*client.query(INSERT).unwrap().completed.server, "main_replica_0");
}

#[test]
fn a_configuration_that_changes_the_primary_waits_for_the_promotion_that_is_under_way() {
    let (primary, standby) = pair();
    let client = Client::start(with_replicas(primary.port(), &[standby.port()]), without_checks());
    client.health();
    let session = client.session().unwrap();
    let promoted = client.fail_over("main", 0, true);
    let mut clusters = with_replicas(primary.port(), &[standby.port()]);
    clusters.get_mut("main").unwrap().pool.max = 7;
    let (sender, reloaded) = channel();
    let reply = Box::new(move || sender.send(()).expect("the test waits"));
    client.engine.reload(clusters, reply).unwrap();
    let write = client.submit(Call::new(INSERT));
    assert!(reloaded.try_recv().is_err());
    client.release(&session);
    promoted.recv_timeout(LIMIT).unwrap().unwrap();
    assert_eq!(&*write.wait().unwrap().completed.server, "main_replica_0");
    reloaded.recv_timeout(LIMIT).unwrap();
    assert_eq!(client.server().max, 7);
    assert_eq!((primary.ask(COUNT), standby.ask(COUNT)), ("0".to_owned(), "1".to_owned()));
}
