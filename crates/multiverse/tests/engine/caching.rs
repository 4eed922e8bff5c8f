//! Results from the cache: without a server, without sharing, fetched once, dropped by tag.

use std::sync::mpsc::channel;
use std::time::Duration;

use multiverse::cache::Invalidation;
use multiverse::{CacheSettings, EngineSettings, ErrorKind};

use crate::client::{Call, Client, LIMIT, one_cluster, wait_for, wait_for_activity};
use crate::{cluster, support::Cluster};

fn caching(settings: CacheSettings) -> Client {
    let settings = EngineSettings { cache: Some(settings), ..EngineSettings::default() };
    Client::start(one_cluster(cluster().port(), "postgres", |pool| pool.max = 4), settings).warm_up()
}

fn invalidate(client: &Client, what: Invalidation) -> usize {
    let (sender, receiver) = channel();
    client.engine.invalidate(what, Box::new(move |count| sender.send(count).expect("the test waits")));
    receiver.recv_timeout(LIMIT).expect("it is answered")
}

/// The times a function was run that counts in a sequence, as far as committed.
fn make_counter(name: &str) {
    cluster().ask(&format!(
        "DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (n int); INSERT INTO {name} VALUES (1)"
    ));
}

#[test]
fn a_hit_is_the_result_of_the_query_until_it_is_invalidated() {
    make_counter("cached_basics");
    let client = caching(CacheSettings::default());
    let read =
        || Call::new("SELECT n, n::text AS t, NULL AS nothing FROM cached_basics WHERE n > $1").with(&["0"]);
    let first = client.run(read().cached(&["basics"])).unwrap();
    client.query("UPDATE cached_basics SET n = 2").unwrap();
    let hit = client.run(read().cached(&["basics"])).unwrap();
    assert_eq!(hit.results, first.results);
    assert_eq!(&*hit.completed.cluster, "main");
    // Other parameters, and a call that does not ask for it, are other questions.
    assert_eq!(client.run(read()).unwrap().value(), "2");
    let other = read().with(&["-1"]).cached(&[]);
    assert_eq!(client.run(other).unwrap().value(), "2");
    assert_eq!(invalidate(&client, Invalidation::Tags(vec!["basics".to_owned()])), 1);
    assert_eq!(client.run(read().cached(&["basics"])).unwrap().value(), "2");
    let metrics = client.metrics();
    let figures = metrics.cache.unwrap();
    assert_eq!((figures.hits, figures.misses, figures.entries), (1, 3, 2));
    assert_eq!((metrics.clusters[0].cache_hits, metrics.clusters[0].cache_misses), (1, 3));
}

#[test]
fn a_hit_needs_no_server() {
    let server = Cluster::start(crate::SETTINGS, crate::HBA, |_| {});
    let settings = EngineSettings { cache: Some(CacheSettings::default()), ..EngineSettings::default() };
    let client =
        Client::start(one_cluster(server.port(), "postgres", |pool| pool.max = 2), settings).warm_up();
    let read = || Call::new("SELECT generate_series(1, 3)").cached(&[]);
    let first = client.run(read()).unwrap();
    drop(server);
    wait_for("the server to be missed", || {
        client.query("SELECT 1").is_err_and(|error| {
            matches!(error.kind(), ErrorKind::Connect | ErrorKind::ConnectionLost | ErrorKind::AcquireTimeout)
        })
    });
    assert_eq!(client.run(read()).unwrap().results, first.results);
}

#[test]
fn misses_of_one_key_at_one_time_run_one_query() {
    let client = caching(CacheSettings::default());
    // Each run of it has a number of its own.
    let read = || {
        Call::new("SELECT pg_current_xact_id_if_assigned()::text, pg_backend_pid()::text, max(n)::text FROM generate_series(1, 300000) n").cached(&[])
    };
    let outcomes: Vec<_> = client
        .submit_all((0..20).map(|_| read()))
        .into_iter()
        .map(|submitted| submitted.wait().unwrap())
        .collect();
    for outcome in &outcomes {
        assert_eq!(outcome.results, outcomes[0].results);
    }
    let figures = client.metrics().cache.unwrap();
    assert_eq!((figures.hits, figures.misses, figures.entries), (0, 20, 1));
    assert_eq!(client.server().running, 0);
    let statements = client.metrics().clusters[0].reads;
    assert!(statements >= 20, "each request counts");
}

#[test]
fn when_whoever_fetches_gives_up_another_that_waits_fetches() {
    let client = caching(CacheSettings::default());
    let read = || {
        Call::new("SELECT 'slept', pg_sleep_for('0')::text, max(n) FROM generate_series(1, 3000000) n")
            .cached(&[])
    };
    let plain = || Call::new("SELECT 'counted', max(n)::text FROM generate_series(1, 3000000) n").cached(&[]);
    let mut submitted =
        client.submit_all([plain().within(Duration::from_millis(1)), plain(), plain()]).into_iter();
    let first = submitted.next().unwrap().wait();
    assert!(first.is_err_and(|error| error.kind() == ErrorKind::Timeout));
    for waiting in submitted {
        assert_eq!(waiting.wait().unwrap().value(), "counted");
    }
    // A volatile function keeps a result from being cached.
    client.run(read()).unwrap();
    assert_eq!(client.metrics().cache.unwrap().entries, 1);
}

#[test]
fn who_waits_for_a_result_does_not_fail_with_the_connection_of_who_fetches_it() {
    make_counter("cached_locked");
    let client = caching(CacheSettings::default());
    let session = client.session().unwrap();
    let lock = "BEGIN; LOCK TABLE cached_locked IN ACCESS EXCLUSIVE MODE";
    client.run(Call::new(lock).in_session(session.id)).unwrap();
    let read = || Call::new("SELECT max(n)::text FROM cached_locked").cached(&[]);
    let mut submitted = client.submit_all([read(), read(), read()]).into_iter();
    let waits = "wait_event_type = 'Lock' AND query LIKE '%max(n)::text FROM cached_locked%'";
    wait_for_activity(waits);
    let killed = cluster()
        .ask(&format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {waits}"));
    assert_eq!(killed, "1", "only one of them fetches");
    assert!(submitted.next().unwrap().wait().is_err());
    client.run(Call::new("ROLLBACK").in_session(session.id)).unwrap();
    client.release(&session);
    for waiting in submitted {
        assert_eq!(waiting.wait().unwrap().value(), "1");
    }
}

#[test]
fn what_waited_in_vain_says_nothing_of_the_server() {
    let settings = EngineSettings { cache: Some(CacheSettings::default()), ..EngineSettings::default() };
    let clusters = one_cluster(cluster().port(), "postgres", |pool| pool.max = 1);
    let client = Client::start(clusters, settings).warm_up();
    let session = client.session().unwrap();
    let read = || Call::new("SELECT 'waited'").cached(&[]).within(Duration::from_millis(30));
    for submitted in client.submit_all((0..5).map(|_| read())) {
        assert!(submitted.wait().is_err_and(|error| error.kind() == ErrorKind::Timeout));
    }
    assert_eq!(client.server().error_rate, 0.0);
    let slow = Call::new("SELECT pg_sleep(30)").in_session(session.id).within(Duration::from_millis(30));
    assert!(client.run(slow).is_err());
    assert!(client.server().error_rate > 0.0, "what ran counts");
    client.release(&session);
}

#[test]
fn an_error_of_the_server_reaches_all_who_wait_and_is_not_kept() {
    let client = caching(CacheSettings::default());
    let read = || Call::new("SELECT 1 / (count(*) - 100000) FROM generate_series(1, 100000)").cached(&[]);
    for submitted in client.submit_all((0..3).map(|_| read())) {
        assert!(submitted.wait().is_err_and(|error| error.code() == "22012"));
    }
    assert_eq!(client.metrics().cache.unwrap().entries, 0);
}

#[test]
fn writes_several_statements_sessions_and_what_varies_are_not_cached() {
    make_counter("cached_never");
    let client = caching(CacheSettings::default());
    let statements = [
        "UPDATE cached_never SET n = n + 1 RETURNING n",
        "SELECT 1; SELECT 2",
        "SELECT random()",
        "SELECT clock_timestamp()",
        "SELECT * FROM cached_never FOR UPDATE",
        "SHOW work_mem",
        "WITH w AS (DELETE FROM cached_never RETURNING n) SELECT * FROM w",
    ];
    for sql in statements {
        client.run(Call::new(sql).cached(&[])).unwrap();
    }
    let session = client.session().unwrap();
    client.run(Call::new("SELECT n FROM cached_never").cached(&[]).in_session(session.id)).unwrap();
    client.release(&session);
    assert_eq!(client.metrics().cache.unwrap().entries, 0);
}

#[test]
fn large_results_are_compressed_and_come_back_whole() {
    let settings = CacheSettings { compress_above: Some(1024), ..CacheSettings::default() };
    let client = caching(settings);
    let read =
        || Call::new("SELECT n, 'the same text ' || n % 3 FROM generate_series(1, 20000) n").cached(&[]);
    let first = client.run(read()).unwrap();
    let hit = client.run(read()).unwrap();
    assert_eq!(hit.results, first.results);
    let figures = client.metrics().cache.unwrap();
    assert_eq!(figures.hits, 1);
    assert!(figures.stored_bytes * 3 < figures.raw_bytes, "{figures:?}");
}

#[test]
fn what_is_longer_than_a_quarter_of_the_room_is_not_kept_and_everybody_gets_it() {
    let client = caching(CacheSettings { max_bytes: 4_000, ..CacheSettings::default() });
    let read = || Call::new("SELECT n FROM generate_series(1, 500) n").cached(&[]);
    for submitted in client.submit_all((0..3).map(|_| read())) {
        assert_eq!(submitted.wait().unwrap().results[0].rows.len(), 500);
    }
    assert_eq!(client.metrics().cache.unwrap().entries, 0);
}

#[test]
fn a_change_of_definitions_or_formats_drops_what_was_cached() {
    make_counter("cached_definitions");
    let client = caching(CacheSettings::default());
    let read = || Call::new("SELECT * FROM cached_definitions").cached(&[]);
    client.run(read()).unwrap();
    client.query("ALTER TABLE cached_definitions ADD COLUMN more text DEFAULT 'new'").unwrap();
    wait_for("the catalogue to be read again", || client.metrics().clusters[0].knows_catalogue);
    assert_eq!(client.run(read()).unwrap().results[0].columns.len(), 2);
    client.engine.set_text_types(vec![23]);
    let columns = client.run(read()).unwrap().results.remove(0).columns;
    assert_eq!(columns[0].format, wire::Format::Text);
}
