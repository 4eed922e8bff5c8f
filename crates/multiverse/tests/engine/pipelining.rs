//! What runs where and in which order: growth, pipelines, slow statements, crowds.

use std::collections::HashSet;

use crate::client::{Call, Client, wait_for_activity};

#[test]
fn results_come_with_their_columns_rows_and_command_tags() {
    let client = Client::with_pool(1);
    let insert = "CREATE TEMP TABLE numbers AS SELECT generate_series(1, 3) AS n";
    assert_eq!(client.query(insert).unwrap().results[0].tag, "SELECT 3");
    for _ in 0..3 {
        // The first run answers as text, the later ones in binary form.
        let outcome = client
            .run(Call::new("SELECT $1::int4 AS a, $2::text AS b, NULL AS c").with(&["7", "x"]))
            .unwrap();
        let result = &outcome.results[0];
        assert_eq!(result.rows, [[Some("7".to_owned()), Some("x".to_owned()), None]]);
        let names: Vec<&str> = result.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!((names, result.tag.as_str()), (vec!["a", "b", "c"], "SELECT 1"));
        assert_eq!((&*outcome.completed.cluster, &*outcome.completed.server), ("main", "main_primary"));
    }
}

#[test]
fn several_statements_in_one_text_give_several_results() {
    let client = Client::with_pool(1);
    let outcome = client.query("SELECT 1 AS a; SELECT 2 AS b, 3 AS c;").unwrap();
    let tags: Vec<&str> = outcome.results.iter().map(|result| result.tag.as_str()).collect();
    assert_eq!(tags, ["SELECT 1", "SELECT 1"]);
    assert_eq!(outcome.results[1].rows, [[Some("2".to_owned()), Some("3".to_owned())]]);
    assert_eq!(client.query("").unwrap().results[0].tag, "");
}

#[test]
fn an_error_has_all_fields_of_the_server_and_spares_its_neighbours() {
    let client = Client::with_pool(1);
    client.value("SELECT 1");
    let calls = ["SELECT 1", "SELECT 1/0", "SELECT 1", "SELECT nothing", "SELECT 1"];
    let outcomes: Vec<_> =
        client.submit_all(calls.map(Call::new)).into_iter().map(|call| call.wait()).collect();
    let codes: Vec<&str> =
        outcomes.iter().map(|outcome| outcome.as_ref().map_or_else(|error| error.code(), |_| "")).collect();
    assert_eq!(codes, ["", "22012", "", "42703", ""]);
    let error = outcomes[3].as_ref().unwrap_err();
    let server = error.server_error().unwrap();
    assert_eq!((server.severity.as_str(), server.position), ("ERROR", Some(8)));
    assert_eq!(error.to_string(), server.message);
}

#[test]
fn a_pool_grows_to_its_maximum_before_it_pipelines() {
    let client = Client::with_pool(4).warm_up();
    assert!(client.server().created < 4);
    let calls = (0..4).map(|_| Call::new("SELECT pg_backend_pid(), pg_sleep(0.2)"));
    let submitted = client.submit_all(calls);
    let pids: HashSet<String> = submitted.into_iter().map(|call| call.wait().unwrap().value()).collect();
    assert_eq!(pids.len(), 4);
    assert_eq!(client.server().created, 4);
}

#[test]
fn answers_of_a_pipeline_are_those_of_its_requests() {
    let client = Client::with_pool(1);
    for round in 0..20 {
        let calls = (0..100).map(|n| Call::new("SELECT $1::text").with(&[&format!("{round}.{n}")]));
        for (n, call) in client.submit_all(calls).into_iter().enumerate() {
            assert_eq!(call.wait().unwrap().value(), format!("{round}.{n}"));
        }
    }
    assert_eq!(client.server().created, 1);
}

#[test]
fn requests_come_in_the_order_of_submitting_on_one_connection() {
    let client = Client::with_pool(1);
    client.query("CREATE SEQUENCE IF NOT EXISTS orders").unwrap();
    let calls = (0..200).map(|_| Call::new("SELECT nextval('orders')::text"));
    let numbers: Vec<i64> = client
        .submit_all(calls)
        .into_iter()
        .map(|call| call.wait().unwrap().value().parse().unwrap())
        .collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
}

#[test]
fn ten_thousand_requests_on_a_pool_of_twenty_just_queue() {
    let client = Client::with_pool(20);
    let calls = (0..10_000).map(|n| Call::new("SELECT $1::text").with(&[&n.to_string()]));
    for (n, call) in client.submit_all(calls).into_iter().enumerate() {
        assert_eq!(call.wait().unwrap().value(), n.to_string());
    }
    client.wait_until_idle();
    let server = client.server();
    assert!(server.created <= 20, "{server:?}");
    assert_eq!(client.metrics().clusters[0].reads, 10_000);
}

#[test]
fn a_statement_that_takes_long_blocks_nobody() {
    let client = Client::with_pool(2).warm_up();
    let fast = "SELECT 'fast'";
    // Both connections are open, and the text is known to be fast.
    for call in client.submit_all((0..20).map(|_| Call::new(fast))) {
        call.wait().unwrap();
    }
    let slow = client.submit(Call::new("SELECT pg_sleep(6)"));
    wait_for_activity("query = 'SELECT pg_sleep(6)' AND state = 'active'");
    for _ in 0..50 {
        for call in client.submit_all((0..10).map(|_| Call::new(fast))) {
            call.wait().unwrap();
        }
    }
    assert!(slow.is_open(), "somebody waited for the slow statement");
    slow.wait().unwrap();
}

#[test]
fn a_text_once_fast_that_takes_long_now_blocks_nobody_sent_later() {
    let client = Client::with_pool(2).warm_up();
    let sleep = |seconds: &str| Call::new("SELECT pg_sleep($1::float8)").with(&[seconds]);
    for call in client.submit_all((0..100).map(|_| sleep("0"))) {
        call.wait().unwrap();
    }
    let slow = client.submit(sleep("2.5"));
    wait_for_activity("query LIKE 'SELECT pg_sleep($1%' AND state = 'active' AND wait_event = 'PgSleep'");
    for _ in 0..50 {
        for call in client.submit_all((0..4).map(|_| Call::new("SELECT 1"))) {
            call.wait().unwrap();
        }
    }
    assert!(slow.is_open(), "somebody waited for the slow statement");
    slow.wait().unwrap();
}

#[test]
fn answers_to_many_requests_are_handed_out_in_few_turns() {
    let client = Client::with_pool(2);
    for call in client.submit_all((0..50).map(|_| Call::new("SELECT 1"))) {
        call.wait().unwrap();
    }
    // How many answers meet in one turn is the machine's to say; that none do, in round after round, is not.
    let rounds = (0..10).map(|_| {
        let before = client.turns.load(std::sync::atomic::Ordering::Relaxed);
        for call in client.submit_all((0..1000).map(|_| Call::new("SELECT 1"))) {
            call.wait().unwrap();
        }
        client.turns.load(std::sync::atomic::Ordering::Relaxed) - before
    });
    let turns: Vec<_> = rounds.collect();
    assert!(turns.iter().any(|turns| *turns <= 500), "{turns:?} turns for 1,000 requests each");
}
