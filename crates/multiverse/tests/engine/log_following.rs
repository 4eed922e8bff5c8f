//! A cache that follows the log: what a commit touches is dropped, on the primary and for replicas that lag behind.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use multiverse::route::RouteOptions;
use multiverse::{CacheSettings, Clusters, EngineSettings, ReadPreference};

use crate::client::{Call, Client, one_cluster, wait_for};
use crate::support::Cluster;
use crate::{HBA, SETTINGS};

const REPLICATION: &str = "local replication all trust\nhost replication all 127.0.0.1/32 trust\n";
const LOGICAL: &str =
    "wal_level = logical\nmax_wal_senders = 20\nmax_replication_slots = 20\nwal_keep_size = 256MB";

fn primary() -> &'static Cluster {
    static PRIMARY: OnceLock<Cluster> = OnceLock::new();
    PRIMARY.get_or_init(|| {
        Cluster::start(&format!("{SETTINGS}\n{LOGICAL}"), &format!("{HBA}{REPLICATION}"), |_| {})
    })
}

/// One test at a time: definitions that another one changes would empty the cache.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn settings() -> EngineSettings {
    // Nothing ends by its time, so that only the log tells.
    let cache = CacheSettings {
        publication: Some("cache_test".into()),
        ttl: Duration::ZERO,
        ..CacheSettings::default()
    };
    EngineSettings { cache: Some(cache), ..EngineSettings::default() }
}

fn following(clusters: Clusters) -> Client {
    let client = Client::start(clusters, settings()).warm_up();
    wait_for("the log to be followed", || client.metrics().clusters[0].follows_log);
    client
}

/// Makes a table, before a client begins to follow.
fn make_table(name: &str) {
    primary().ask(&format!(
        "DROP TABLE IF EXISTS {name} CASCADE; CREATE TABLE {name} (id int PRIMARY KEY, n int); \
         INSERT INTO {name} SELECT id, 0 FROM generate_series(1, 10) id"
    ));
}

fn hits(client: &Client) -> u64 {
    client.metrics().cache.unwrap().hits
}

/// Asks until the answer comes from the cache, and gives it.
fn cached_value(client: &Client, call: &Call) -> String {
    let mut value = String::new();
    wait_for("the result to be kept", || {
        let before = hits(client);
        value = client.run(call.clone()).unwrap().value();
        hits(client) > before
    });
    value
}

#[test]
fn a_commit_of_anybody_drops_what_was_read_from_its_tables_also_through_views() {
    let _alone = alone();
    make_table("followed");
    primary().ask("CREATE VIEW followed_sum AS SELECT sum(n) AS s FROM followed WHERE id < 100");
    make_table("unrelated");
    let client = following(one_cluster(primary().port(), "postgres", |pool| pool.max = 3));
    let sum = Call::new("SELECT s::text FROM followed_sum").cached(&[]);
    let other = Call::new("SELECT sum(n)::text FROM unrelated").cached(&[]);
    assert_eq!(cached_value(&client, &sum), "0");
    assert_eq!(cached_value(&client, &other), "0");
    primary().ask("UPDATE followed SET n = 1 WHERE id = 3");
    wait_for("the change to be seen", || client.run(sum.clone()).unwrap().value() == "1");
    let before = hits(&client);
    client.run(other.clone()).unwrap();
    assert_eq!(hits(&client), before + 1, "another table was not touched");
    for (change, seen) in [
        ("INSERT INTO followed VALUES (50, 5)", "6"),
        ("DELETE FROM followed WHERE id = 50", "1"),
        ("BEGIN; UPDATE followed SET n = 9; ROLLBACK", "1"),
        ("TRUNCATE followed; INSERT INTO followed VALUES (1, 7)", "7"),
        ("CREATE OR REPLACE VIEW followed_sum AS SELECT sum(n) + 1 AS s FROM followed", "8"),
    ] {
        cached_value(&client, &sum);
        primary().ask(change);
        wait_for(change, || client.run(sum.clone()).unwrap().value() == seen);
    }
}

#[test]
fn a_read_by_primary_key_is_dropped_only_by_its_own_row() {
    let _alone = alone();
    make_table("by_key");
    let client = following(one_cluster(primary().port(), "postgres", |pool| pool.max = 3));
    let row = |id: &str| Call::new("SELECT n::text FROM by_key WHERE id = $1").with(&[id]).cached(&[]);
    let all = Call::new("SELECT sum(n)::text FROM by_key").cached(&[]);
    for id in ["1", "2"] {
        cached_value(&client, &row(id));
    }
    cached_value(&client, &all);
    primary().ask("UPDATE by_key SET n = 5 WHERE id = 2");
    wait_for("the change to be seen", || client.run(all.clone()).unwrap().value() == "5");
    assert_eq!(client.run(row("2")).unwrap().value(), "5");
    let before = hits(&client);
    assert_eq!(client.run(row("1")).unwrap().value(), "0");
    assert_eq!(hits(&client), before + 1);
    // A row that gets another key touches both.
    cached_value(&client, &row("2"));
    let absent = client.run(row("77")).unwrap();
    assert!(absent.results[0].rows.is_empty());
    primary().ask("UPDATE by_key SET id = 77 WHERE id = 2");
    wait_for("both to be seen", || {
        client.run(row("2")).unwrap().results[0].rows.is_empty()
            && client.run(row("77")).unwrap().results[0].rows.len() == 1
    });
}

#[test]
fn what_the_log_does_not_tell_of_is_not_cached() {
    let _alone = alone();
    make_table("told");
    primary().ask(
        "CREATE UNLOGGED TABLE IF NOT EXISTS untold (n int); CREATE TABLE IF NOT EXISTS keyless (n int); \
         CREATE SEQUENCE IF NOT EXISTS counted; \
         CREATE OR REPLACE FUNCTION peek() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT sum(n) FROM told'; \
         DROP MATERIALIZED VIEW IF EXISTS frozen; CREATE MATERIALIZED VIEW frozen AS SELECT * FROM told",
    );
    let client = following(one_cluster(primary().port(), "postgres", |pool| pool.max = 3));
    for sql in [
        "SELECT count(*) FROM untold",
        "SELECT count(*) FROM keyless",
        "SELECT last_value FROM counted",
        "SELECT peek()",
        "SELECT count(*) FROM frozen",
        "SELECT count(*) FROM pg_class",
        "SELECT count(*) FROM told WHERE now() > 'epoch'",
        "SELECT count(*), CURRENT_USER FROM told GROUP BY 2",
    ] {
        for _ in 0..3 {
            client.run(Call::new(sql).cached(&[])).unwrap();
        }
        assert_eq!(hits(&client), 0, "{sql}");
    }
    // A table without a primary key takes updates as before.
    primary().ask("INSERT INTO keyless VALUES (1); UPDATE keyless SET n = 2");
}

#[test]
fn no_read_is_older_than_the_stream_and_none_stays_old() {
    let _alone = alone();
    make_table("hammered");
    let standby = primary().start_standby("recovery_min_apply_delay = '20ms'");
    let mut clusters = one_cluster(primary().port(), "postgres", |pool| pool.max = 4);
    let cluster = clusters.get_mut("main").unwrap();
    let mut replica = cluster.primary.clone();
    replica.port = standby.port();
    cluster.replicas = vec![replica];
    cluster.read_preference = ReadPreference::Any;
    let client = following(clusters);
    let writer = Client::start(
        one_cluster(primary().port(), "postgres", |pool| pool.max = 1),
        EngineSettings::default(),
    );
    let (is_over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let route = RouteOptions { read_preference: Some(ReadPreference::Any), ..RouteOptions::default() };
    let calls: Vec<Call> = (1..=10)
        .map(|id: i32| Call::new("SELECT n::text FROM hammered WHERE id = $1").with(&[&id.to_string()]))
        .chain([Call::new("SELECT max(n)::text FROM hammered")])
        .map(|call| Call { route: route.clone(), ..call.cached(&[]) })
        .collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let end = Instant::now() + Duration::from_secs(4);
            while Instant::now() < end {
                let n = written.load(Ordering::Relaxed) + 1;
                let id = (n % 10 + 1).to_string();
                let update =
                    Call::new("UPDATE hammered SET n = $1 WHERE id = $2").with(&[&n.to_string(), &id]);
                writer.run(update).unwrap();
                written.store(n, Ordering::Relaxed);
            }
            is_over.store(true, Ordering::Relaxed);
        });
        while !is_over.load(Ordering::Relaxed) {
            for call in &calls {
                client.run(call.clone()).unwrap();
            }
        }
    });
    let last = written.load(Ordering::Relaxed);
    assert!(last > 10, "{last} updates");
    // Once the stream has told of the last commit, no entry is older, whichever server it came from.
    let newest = |id: u64| (0..=last).rev().find(|n| *n > 0 && n % 10 + 1 == id).unwrap_or(0).to_string();
    wait_for("all entries to be new", || {
        (1..=10).zip(&calls).all(|(id, call)| client.run(call.clone()).unwrap().value() == newest(id))
            && client.run(calls[10].clone()).unwrap().value() == last.to_string()
    });
    let before = hits(&client);
    for _ in 0..3 {
        for (id, call) in (1..=10).zip(&calls) {
            assert_eq!(client.run(call.clone()).unwrap().value(), newest(id));
        }
    }
    assert!(hits(&client) > before);
}

#[test]
fn a_standby_of_another_history_is_not_taken_for_one_that_shows_everything() {
    let _alone = alone();
    let mut old = Cluster::start(&format!("{SETTINGS}\n{LOGICAL}"), &format!("{HBA}{REPLICATION}"), |_| {});
    old.ask("CREATE TABLE parted (id int PRIMARY KEY, n int); INSERT INTO parted VALUES (1, 0)");
    let (mut promoted, other) = (old.start_standby(""), old.start_standby(""));
    wait_for("the standby to have the table", || promoted.ask("SELECT to_regclass('parted')") == "parted");
    promoted.stop();
    // The other one gets far ahead of what the new primary will have written.
    old.ask("CREATE TABLE long AS SELECT repeat('x', 100) FROM generate_series(1, 50000)");
    let written = old.ask("SELECT pg_current_wal_lsn()");
    wait_for("the other standby to have everything", || {
        other.ask(&format!("SELECT pg_last_wal_replay_lsn() >= '{written}'")) == "t"
    });
    old.stop();
    promoted.start_again();
    promoted.promote();
    let mut clusters = one_cluster(promoted.port(), "postgres", |pool| pool.max = 3);
    let cluster = clusters.get_mut("main").unwrap();
    let mut replica = cluster.primary.clone();
    replica.port = other.port();
    cluster.replicas = vec![replica];
    let client = following(clusters);
    promoted.ask("UPDATE parted SET n = 1");
    let route = RouteOptions { read_preference: Some(ReadPreference::Replica), ..RouteOptions::default() };
    let read = Call { route, ..Call::new("SELECT n::text FROM parted").cached(&[]) };
    let end = Instant::now() + Duration::from_millis(700);
    while Instant::now() < end {
        assert_eq!(&*client.run(read.clone()).unwrap().completed.server, "main_replica_0");
    }
    assert_eq!(hits(&client), 0);
}

#[test]
fn a_lost_stream_empties_the_cache_until_it_is_followed_again() {
    let _alone = alone();
    make_table("lost");
    let client = following(one_cluster(primary().port(), "postgres", |pool| pool.max = 3));
    let read = Call::new("SELECT sum(n)::text FROM lost").cached(&[]);
    assert_eq!(cached_value(&client, &read), "0");
    primary().ask(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots \
         WHERE slot_name LIKE 'replicaverse_cache_%' AND active_pid IS NOT NULL",
    );
    primary().ask("UPDATE lost SET n = 1");
    wait_for("the change to be seen", || client.run(read.clone()).unwrap().value() == "10");
    wait_for("the log to be followed again", || client.metrics().clusters[0].follows_log);
    assert_eq!(cached_value(&client, &read), "10");
}

#[test]
fn a_server_without_a_logical_log_is_named_with_the_fix_and_nothing_is_cached() {
    let _alone = alone();
    let server = Cluster::start(&format!("{SETTINGS}\nwal_level = replica"), HBA, |_| {});
    let client = Client::start(one_cluster(server.port(), "postgres", |pool| pool.max = 2), settings());
    let (sender, receiver) = std::sync::mpsc::channel();
    client.engine.tell_logs(Some(Box::new(move |cluster, lost| {
        let _ = sender.send((cluster.to_owned(), lost.map(str::to_owned)));
    })));
    let (cluster, lost) = receiver.recv_timeout(crate::client::LIMIT).unwrap();
    assert_eq!(cluster, "main");
    assert!(lost.is_some_and(|lost| lost.contains("wal_level = logical")));
    let client = client.warm_up();
    for _ in 0..3 {
        client.run(Call::new("SELECT 1").cached(&[])).unwrap();
    }
    assert_eq!(hits(&client), 0);
}
