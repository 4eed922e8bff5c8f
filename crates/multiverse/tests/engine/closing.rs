//! The end of an engine.

use std::sync::mpsc::channel;

use multiverse::ErrorKind;

use crate::client::{Call, Client, LIMIT, wait_for, wait_for_activity};
use crate::cluster;

#[test]
fn closing_ends_everything_at_once() {
    let client = Client::with_pool(2);
    let pid = client.value("SELECT pg_backend_pid()::text");
    let session = client.session().unwrap();
    let calls = client.submit_all((0..10).map(|_| Call::new("SELECT pg_sleep(60), 'closing'")));
    let in_session = client.submit(Call::new("SELECT pg_sleep(60)").in_session(session.id));
    wait_for_activity("query LIKE '%closing%' AND wait_event = 'PgSleep'");
    for _ in 0..3 {
        let (sender, receiver) = channel();
        client.engine.close(Box::new(move || sender.send(()).unwrap()));
        receiver.recv_timeout(LIMIT).unwrap();
    }
    for call in calls.into_iter().chain([in_session]) {
        assert_eq!(call.wait().unwrap_err().kind(), ErrorKind::Closed);
    }
    assert_eq!(client.query("SELECT 1").unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(client.session().unwrap_err().kind(), ErrorKind::Closed);
    assert!(client.metrics().clusters.is_empty());
    drop(client);
    wait_for("the sessions to end", || {
        cluster()
            .ask(&format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND state <> 'active'"))
            == "0"
    });
}

#[test]
fn dropping_an_engine_closes_it_and_ends_its_thread() {
    let name = "replicaverse-io";
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|comm| name.starts_with(comm.trim()) && comm.trim().len() >= 8).count()
    };
    let (sender, receiver) = channel();
    {
        let client = Client::with_pool(1);
        client.value("SELECT 1");
        let call = client.submit(Call::new("SELECT pg_sleep(60)"));
        assert!(threads() >= 1);
        drop(client);
        sender.send(call).unwrap();
    }
    let call = receiver.recv().unwrap();
    assert_eq!(call.wait().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn what_runs_when_an_engine_is_dropped_is_cancelled_on_the_server() {
    let client = Client::with_pool(2);
    let running = client.submit(Call::new("SELECT pg_sleep(600), 'abandoned'"));
    wait_for_activity("query LIKE '%abandoned%' AND wait_event = 'PgSleep'");
    drop(client);
    assert_eq!(running.wait().unwrap_err().kind(), ErrorKind::Closed);
    let sessions =
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%abandoned%' AND pid <> pg_backend_pid()";
    wait_for("the statement to end", || cluster().ask(sessions) == "0");
}

#[test]
fn an_engine_can_be_dropped_while_it_connects() {
    // An address that answers nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for _ in 0..20 {
        let clusters = crate::client::one_cluster(port, "postgres", |pool| pool.min = 2);
        let client = Client::start(clusters, multiverse::EngineSettings::default());
        let call = client.submit(Call::new("SELECT 1"));
        drop(client);
        assert_eq!(call.wait().unwrap_err().kind(), ErrorKind::Closed);
    }
}

#[test]
fn many_engines_can_be_started_and_closed() {
    for _ in 0..50 {
        let client = Client::with_pool(1);
        assert_eq!(client.value("SELECT 1::text"), "1");
    }
}
