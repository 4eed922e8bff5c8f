//! Requests that end before their time.

use std::time::Duration;

use multiverse::ErrorKind;

use crate::client::{Call, Client, LIMIT, wait_for, wait_for_activity};
use crate::cluster;

#[test]
fn a_cancelled_statement_ends_on_the_server_and_its_connection_is_used_again() {
    let client = Client::with_pool(1);
    let pid = client.value("SELECT pg_backend_pid()::text");
    let running = client.submit(Call::new("SELECT pg_sleep(60)"));
    wait_for_activity(&format!("pid = {pid} AND wait_event = 'PgSleep'"));
    client.engine.cancel(running.id);
    assert_eq!(running.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(client.value("SELECT pg_backend_pid()::text"), pid);
}

#[test]
fn a_stream_that_its_reader_leaves_is_no_error_of_its_cluster_and_any_other_cancelled_statement_is() {
    let client = Client::with_pool(2);
    let rows = "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)";
    let stream = client.submit(Call { pauses: true, ..Call::new(rows) });
    assert!(stream.batches.recv_timeout(LIMIT).unwrap() > 0);
    client.engine.cancel(stream.id);
    assert_eq!(stream.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(client.metrics().clusters[0].errors, 0);
    let statement = client.submit(Call::new("SELECT pg_sleep(60)"));
    client.engine.cancel(statement.id);
    assert_eq!(statement.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(client.metrics().clusters[0].errors, 1);
}

#[test]
fn a_timeout_cancels_on_the_server() {
    let client = Client::with_pool(1);
    let pid = client.value("SELECT pg_backend_pid()::text");
    let error = client.run(Call::new("SELECT pg_sleep(60)").within(Duration::from_millis(100))).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Timeout, "Query timed out after 100 ms")
    );
    assert_eq!(client.value("SELECT pg_backend_pid()::text"), pid);
    wait_for("the statement to end", || {
        cluster()
            .ask(&format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND state = 'active'"))
            == "0"
    });
}

#[test]
fn a_request_that_waits_can_be_cancelled_and_time_out_without_being_sent() {
    let client = Client::with_pool(1);
    client.query("CREATE SEQUENCE IF NOT EXISTS unsent").unwrap();
    let running = client.submit(Call::new("SELECT pg_sleep(0.5)"));
    wait_for_activity("query = 'SELECT pg_sleep(0.5)' AND state = 'active'");
    let cancelled = client.submit(Call::new("SELECT nextval('unsent')"));
    let timed_out = client.submit(Call::new("SELECT nextval('unsent')").within(Duration::from_millis(50)));
    let last = client.submit(Call::new("SELECT nextval('unsent')::text"));
    client.engine.cancel(cancelled.id);
    assert_eq!(cancelled.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(timed_out.wait().unwrap_err().kind(), ErrorKind::Timeout);
    running.wait().unwrap();
    assert_eq!(last.wait().unwrap().value(), "1");
}

#[test]
fn cancelling_never_hits_a_neighbour() {
    let client = Client::with_pool(1);
    let call = |seconds: &str| Call::new("SELECT pg_sleep($1::float8), $2::text").with(&[seconds, "x"]);
    for submitted in client.submit_all((0..50).map(|_| call("0"))) {
        submitted.wait().unwrap();
    }
    for round in 0..150 {
        // The first takes so long that it is sometimes over when the server hears of the cancellation.
        let mut calls = client.submit_all([call("0.001"), call("0.001"), call("0"), call("0.001")]);
        let victim = calls.remove(round % 2);
        client.engine.cancel(victim.id);
        for call in calls {
            call.wait().unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
        let _ = victim.wait();
        client.value("SELECT 'alive'");
    }
    assert_eq!(client.server().created, 1);
}

#[test]
fn a_statement_cancelled_before_the_server_has_begun_with_it_is_cancelled_all_the_same() {
    let client = Client::with_pool(1);
    for _ in 0..30 {
        let running = client.submit(Call::new("SELECT pg_sleep(30)"));
        client.engine.cancel(running.id);
        assert_eq!(running.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    }
    assert_eq!(client.value("SELECT 'alive'"), "alive");
}

#[test]
fn cancelling_what_has_ended_or_never_was_does_nothing() {
    let client = Client::with_pool(1);
    let ended = client.submit(Call::new("SELECT 1"));
    let id = ended.id;
    ended.wait().unwrap();
    client.engine.cancel(id);
    client.engine.cancel(multiverse::RequestId(u64::MAX >> 1));
    assert_eq!(client.value("SELECT 'alive'"), "alive");
}

#[test]
fn a_paused_result_holds_back_the_server_and_nobody_else() {
    let client = Client::with_pool(2);
    let mut call = Call::new("SELECT repeat('x', 1000) FROM generate_series(1, 100000)");
    call.pauses = true;
    let stream = client.submit(call);
    let first = stream.batches.recv_timeout(crate::client::LIMIT).unwrap();
    assert!(first < 1000, "a batch has {first} rows");
    wait_for_activity("query LIKE 'SELECT repeat(%' AND wait_event = 'ClientWrite'");
    for call in client.submit_all((0..20).map(|_| Call::new("SELECT 'others'"))) {
        assert_eq!(call.wait().unwrap().value(), "others");
    }
    assert!(stream.batches.try_recv().is_err(), "rows came although they were not asked for");
    let mut rows = first;
    while stream.is_open() && rows < 100_000 {
        client.engine.resume(stream.id);
        rows += stream.batches.recv_timeout(crate::client::LIMIT).unwrap();
    }
    client.engine.resume(stream.id);
    assert_eq!(rows, 100_000);
    assert_eq!(stream.wait().unwrap().results[0].tag, "SELECT 100000");
}

#[test]
fn a_paused_result_that_is_cancelled_frees_its_connection() {
    let client = Client::with_pool(1);
    let pid = client.value("SELECT pg_backend_pid()::text");
    let mut call = Call::new("SELECT repeat('x', 1000) FROM generate_series(1, 10000000)");
    call.pauses = true;
    let stream = client.submit(call);
    stream.batches.recv_timeout(crate::client::LIMIT).unwrap();
    client.engine.cancel(stream.id);
    assert_eq!(stream.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(client.value("SELECT pg_backend_pid()::text"), pid);
}
