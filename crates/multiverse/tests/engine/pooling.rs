//! How many connections there are, and for how long.

use std::time::Duration;

use multiverse::EngineSettings;

use crate::client::{Call, Client, one_cluster, wait_for};
use crate::cluster;

#[test]
fn the_minimum_is_opened_before_the_first_request() {
    let client = Client::with(|pool| pool.min = 3);
    wait_for("three connections", || client.server().idle == 3);
    client.value("SELECT 1");
    assert_eq!(client.server().created, 3);
}

#[test]
fn without_warming_up_nothing_is_opened_until_it_is_needed() {
    let client = Client::with(|pool| {
        pool.min = 3;
        pool.warmup = false;
    });
    assert_eq!(client.server().created, 0);
    client.value("SELECT 1");
    wait_for("the minimum", || client.server().created == 3);
}

#[test]
fn connections_unused_for_long_are_closed_down_to_the_minimum() {
    let client = Client::with(|pool| {
        (pool.min, pool.max) = (1, 4);
        pool.idle_timeout = Duration::from_millis(100);
    })
    .warm_up();
    for call in client.submit_all((0..4).map(|_| Call::new("SELECT pg_sleep(0.1)"))) {
        call.wait().unwrap();
    }
    wait_for("the pool to shrink", || client.server().idle == 1);
    let server = client.server();
    assert_eq!((server.created - server.destroyed, server.active), (1, 0));
}

#[test]
fn a_connection_is_replaced_after_its_lifetime() {
    let client = Client::with(|pool| {
        pool.max = 1;
        pool.max_lifetime = Some(Duration::from_millis(100));
    });
    let first = client.value("SELECT pg_backend_pid()::text");
    wait_for("another connection", || client.value("SELECT pg_backend_pid()::text") != first);
}

#[test]
fn configurations_can_change_many_times_while_requests_run() {
    let settings =
        EngineSettings { application_name: Some("reloaded".to_owned()), ..EngineSettings::default() };
    let client = Client::start(one_cluster(cluster().port(), "postgres", |_| {}), settings).warm_up();
    for round in 0..30 {
        let calls = client.submit_all((0..20).map(|n| Call::new("SELECT $1::text").with(&[&n.to_string()])));
        client.reload(one_cluster(cluster().port(), "postgres", |pool| pool.max = 2 + round % 2));
        for (n, call) in calls.into_iter().enumerate() {
            assert_eq!(call.wait().unwrap().value(), n.to_string());
        }
    }
    client.wait_until_idle();
    wait_for("the connections of old pools to end", || {
        let own = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'reloaded'";
        cluster().ask(own) == client.server().idle.to_string()
    });
}

#[test]
fn sessions_bear_the_name_of_the_application() {
    let settings =
        EngineSettings { application_name: Some("till 7".to_owned()), ..EngineSettings::default() };
    let client = Client::start(one_cluster(cluster().port(), "postgres", |_| {}), settings);
    assert_eq!(client.value("SELECT current_setting('application_name')"), "till 7");
}

#[test]
fn what_was_done_is_counted() {
    let client = Client::with_pool(2).warm_up();
    client.query("CREATE TABLE IF NOT EXISTS counted (n int)").unwrap();
    for _ in 0..2 {
        client.value("SELECT 1");
    }
    client.query("INSERT INTO counted VALUES (1)").unwrap();
    client.query("SELECT 1/0").unwrap_err();
    let metrics = client.metrics();
    let main = &metrics.clusters[0];
    assert_eq!((main.reads, main.writes, main.errors), (3, 2, 1));
    assert!(main.total_duration > Duration::ZERO);
    let server = &main.servers[0];
    assert!(server.is_up && server.response_time.is_some());
    assert_eq!((server.max, metrics.requests), (2, 0));
    assert_eq!((server.active + server.idle) as u64, server.created - server.destroyed);
}

#[test]
fn a_health_check_asks_every_server() {
    let mut clusters = one_cluster(cluster().port(), "postgres", |_| {});
    let mut other = one_cluster(1, "postgres", |_| {});
    clusters.insert("gone".to_owned(), other.swap_remove("main").unwrap());
    let client = Client::start(clusters, EngineSettings::default());
    let (sender, receiver) = std::sync::mpsc::channel();
    client.engine.health(Box::new(move |found| sender.send(found).unwrap()));
    let found = receiver.recv_timeout(crate::client::LIMIT).unwrap();
    let errors: Vec<(&str, bool)> =
        found.iter().map(|server| (&*server.server, server.error.is_some())).collect();
    assert_eq!(errors, [("gone_primary", true), ("main_primary", false)]);
}

#[test]
fn a_new_configuration_keeps_the_connections_of_servers_that_stay() {
    let client = Client::with_pool(2).warm_up();
    let pid = client.value("SELECT pg_backend_pid()::text");
    let same = one_cluster(cluster().port(), "postgres", |pool| pool.max = 2);
    client.reload(same);
    assert_eq!(client.value("SELECT pg_backend_pid()::text"), pid);

    let running = client.submit(Call::new("SELECT pg_sleep(0.3), 'old'"));
    crate::client::wait_for_activity("query LIKE '%''old''' AND wait_event = 'PgSleep'");
    client.reload(one_cluster(cluster().port(), "postgres", |pool| pool.max = 3));
    assert_ne!(client.value("SELECT pg_backend_pid()::text"), pid);
    running.wait().unwrap();
    assert_eq!((client.server().max, client.metrics().clusters[0].reads), (3, 5));
}
