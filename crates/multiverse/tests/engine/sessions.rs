//! Pinned connections, and connections that come back to the pool changed.

use std::time::Duration;

use multiverse::{EngineSettings, Error, ErrorKind, Release};

use crate::client::{Call, Client, one_cluster, wait_for, wait_for_activity};
use crate::cluster;

#[test]
fn a_session_keeps_its_connection_for_itself() {
    let client = Client::with_pool(2);
    let session = client.session().unwrap();
    let in_session = |sql: &str| client.run(Call::new(sql).in_session(session.id)).unwrap();
    assert_eq!(in_session("SELECT pg_backend_pid()").value(), session.process_id.to_string());
    in_session("BEGIN");
    in_session("CREATE TEMP TABLE own (n int)");
    for call in client.submit_all((0..50).map(|_| Call::new("SELECT pg_backend_pid()"))) {
        assert_ne!(call.wait().unwrap().value(), session.process_id.to_string());
    }
    in_session("INSERT INTO own VALUES (1)");
    assert_eq!(in_session("SELECT count(*)::text FROM own").value(), "1");
    in_session("COMMIT");
    client.release(&session);
    client.wait_until_idle();
}

#[test]
fn requests_of_a_session_run_one_after_the_other_even_before_it_is_open() {
    let client = Client::with_pool(1);
    let (sender, receiver) = std::sync::mpsc::channel();
    let id = client.engine.open_session(
        multiverse::route::RouteOptions::default(),
        Box::new(move |session| sender.send(session).unwrap()),
    );
    let texts = [
        "BEGIN",
        "CREATE TEMP TABLE step (n int)",
        "INSERT INTO step VALUES (7)",
        "COMMIT",
        "SELECT n::text FROM step",
    ];
    let calls = client.submit_all(texts.map(|sql| Call::new(sql).in_session(id)));
    let last = calls.into_iter().map(|call| call.wait().unwrap()).last().unwrap();
    assert_eq!(last.value(), "7");
    receiver.recv().unwrap().unwrap();
}

#[test]
fn a_released_session_runs_what_it_was_given_and_takes_no_more() {
    let client = Client::with_pool(1);
    let session = client.session().unwrap();
    let last = client.submit(Call::new("SELECT 'last'").in_session(session.id));
    client.release(&session);
    let late = client.submit(Call::new("SELECT 1").in_session(session.id));
    assert_eq!(last.wait().unwrap().value(), "last");
    assert_eq!(late.wait().unwrap_err().kind(), ErrorKind::NoSession);
    assert_eq!(client.value("SELECT 'next'"), "next");
}

#[test]
fn a_session_closed_by_its_caller_ends_its_connection() {
    let client = Client::with_pool(1);
    let session = client.session().unwrap();
    client.engine.release_session(session.id, Release::Close);
    assert_ne!(client.value("SELECT pg_backend_pid()::text"), session.process_id.to_string());
}

#[test]
fn a_connection_changed_by_its_user_is_reset_before_the_next() {
    let client = Client::with_pool(1);
    let changes = [
        "SET statement_timeout = '77s'",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "LISTEN news",
        "CREATE TEMP TABLE leftover (n int)",
        "SELECT set_config('app.user', 'eve', false)",
        "SELECT pg_advisory_lock(4711)",
        "PREPARE leftover AS SELECT 1",
        "BEGIN",
        "BEGIN; INSERT INTO pg_description SELECT * FROM pg_description LIMIT 0",
        "DO $$ BEGIN PERFORM set_config('app.user', 'eve', false); END $$",
        "DECLARE leftover CURSOR WITH HOLD FOR SELECT 1",
        "SET ROLE pg_monitor",
        "SET search_path = pg_temp",
    ];
    let state = "SELECT concat_ws(' ', current_setting('statement_timeout'), \
        current_setting('default_transaction_read_only'), NULLIF(current_setting('app.user', true), ''), current_user, \
        (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_class WHERE relname = 'leftover'), \
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), \
        (SELECT count(*) FROM pg_prepared_statements WHERE name = 'leftover'), \
        (SELECT count(*) FROM pg_cursors WHERE name = 'leftover'), current_setting('search_path'), \
        now() = statement_timestamp())";
    let clean = client.value(state);
    let pid = client.value("SELECT pg_backend_pid()::text");
    for change in changes {
        client.query(change).unwrap();
        assert_eq!(client.value(state), clean, "after {change}");
    }
    assert_eq!(client.value("SELECT pg_backend_pid()::text"), pid, "it is reset, not replaced");
}

#[test]
fn a_session_released_in_a_transaction_is_rolled_back() {
    let client = Client::with_pool(1);
    client.query("CREATE TABLE IF NOT EXISTS rolled_back (n int)").unwrap();
    for failed in [false, true] {
        let session = client.session().unwrap();
        let call = |sql: &str| client.run(Call::new(sql).in_session(session.id));
        call("BEGIN").unwrap();
        call("INSERT INTO rolled_back VALUES (1)").unwrap();
        if failed {
            call("SELECT 1/0").unwrap_err();
        }
        client.release(&session);
        assert_eq!(client.value("SELECT count(*)::text FROM rolled_back"), "0");
        assert_eq!(client.value("SELECT pg_backend_pid()::text"), session.process_id.to_string());
    }
}

#[test]
fn a_connection_that_was_not_changed_is_not_reset() {
    let client = Client::with_pool(1).warm_up();
    let session = client.session().unwrap();
    let call = |sql: &str| client.run(Call::new(sql).in_session(session.id)).unwrap();
    call("BEGIN");
    call("COMMIT");
    call("SELECT 'untouched'");
    client.release(&session);
    client.wait_until_idle();
    let last = format!("SELECT query FROM pg_stat_activity WHERE pid = {}", session.process_id);
    assert_eq!(cluster().ask(&last), "SELECT 'untouched'");
}

#[test]
fn a_schema_is_looked_at_first_and_only_for_the_request_that_names_it() {
    cluster().psql(
        "CREATE SCHEMA one; CREATE SCHEMA two; CREATE TABLE one.home AS SELECT 'one' AS name; \
         CREATE TABLE two.home AS SELECT 'two' AS name; CREATE TABLE public.home AS SELECT 'public' AS name",
    );
    let mut clusters = one_cluster(cluster().port(), "postgres", |pool| pool.max = 2);
    clusters.get_mut("main").unwrap().schemas = ["one", "two", "missing"].map(str::to_owned).to_vec();
    let client = Client::start(clusters, EngineSettings::default());
    let home = |schema: &str| Call::new("SELECT name FROM home").in_schema(schema);
    for _ in 0..20 {
        let calls =
            [home("one"), home("two"), Call::new("SELECT name FROM home"), home("one"), home("missing")];
        let names: Vec<String> =
            client.submit_all(calls).into_iter().map(|call| call.wait().unwrap().value()).collect();
        assert_eq!(names, ["one", "two", "public", "one", "public"]);
    }
    let failing = client.run(Call::new("SELECT 1/(n - n) FROM home, (SELECT 1 AS n) AS x").in_schema("two"));
    assert_eq!(failing.unwrap_err().code(), "22012");
    assert_eq!(client.run(home("two")).unwrap().value(), "two");
    assert_eq!(client.value("SELECT name FROM home"), "public");
    // A statement that fails takes the path it came with back, whatever the path was before.
    for schema in ["one", "two"] {
        let failing = Call::new("SELECT 1/0").in_schema(schema);
        assert_eq!(client.run(failing).unwrap_err().code(), "22012");
        assert_eq!(client.value("SELECT name FROM home"), "public");
        assert_eq!(client.run(home("one")).unwrap().value(), "one");
    }
    // These cannot run in one transaction with anything else.
    let unusual = ["VACUUM home", "SELECT 1; SELECT 2", "DO $$ BEGIN COMMIT; END $$"];
    for (sql, schema) in unusual.into_iter().zip(["two", "one", "two"]) {
        client.run(Call::new(sql).in_schema(schema)).unwrap();
    }
}

#[test]
fn a_schema_that_is_made_later_is_looked_at_first_from_then_on() {
    cluster().psql("CREATE TABLE public.shelf AS SELECT 'public' AS name");
    let mut clusters = one_cluster(cluster().port(), "postgres", |pool| pool.max = 1);
    clusters.get_mut("main").unwrap().schemas = vec!["later".to_owned()];
    let client = Client::start(clusters, EngineSettings::default());
    let shelf = Call::new("SELECT name FROM shelf").in_schema("later");
    for _ in 0..2 {
        assert_eq!(client.run(shelf.clone()).unwrap().value(), "public");
    }
    let made = "CREATE SCHEMA later; CREATE TABLE later.shelf AS SELECT 'later' AS name";
    client.run(Call::new(made).in_schema("later")).unwrap();
    assert_eq!(client.run(shelf.clone()).unwrap().value(), "later");
    cluster().psql("DROP SCHEMA later CASCADE");
    assert_eq!(client.run(shelf.clone()).unwrap().value(), "public");
    cluster().psql(made);
    assert_eq!(client.run(shelf).unwrap().value(), "later");
}

#[test]
fn a_schema_that_was_set_in_a_transaction_is_set_again_after_a_rollback() {
    cluster().psql(
        "CREATE SCHEMA rolled; CREATE TABLE rolled.place AS SELECT 'rolled' AS name; \
         CREATE TABLE public.place AS SELECT 'public' AS name",
    );
    let mut clusters = one_cluster(cluster().port(), "postgres", |pool| pool.max = 1);
    clusters.get_mut("main").unwrap().schemas = vec!["rolled".to_owned()];
    let client = Client::start(clusters, EngineSettings::default());
    let session = client.session().unwrap();
    let call = |sql: &str| client.run(Call::new(sql).in_session(session.id)).unwrap();
    let place = Call::new("SELECT name FROM place").in_session(session.id);
    for end in ["ROLLBACK", "COMMIT", "ROLLBACK TO before"] {
        call("BEGIN");
        call("SAVEPOINT before");
        assert_eq!(client.run(place.clone().in_schema("rolled")).unwrap().value(), "rolled");
        call(end);
        assert_eq!(client.run(place.clone().in_schema("rolled")).unwrap().value(), "rolled", "{end}");
        assert_eq!(client.run(place.clone()).unwrap().value(), "public", "{end}");
    }
    // Here the rollback comes with the release.
    assert_eq!(client.run(place.in_schema("rolled")).unwrap().value(), "rolled");
    client.release(&session);
    let place = Call::new("SELECT name FROM place");
    assert_eq!(client.run(place.clone().in_schema("rolled")).unwrap().value(), "rolled");
    assert_eq!(client.run(place).unwrap().value(), "public");
}

#[test]
fn the_search_path_of_the_configuration_is_that_of_every_connection() {
    cluster().psql("CREATE SCHEMA \"Own Path\"; CREATE TABLE \"Own Path\".spot AS SELECT 'own' AS name");
    let mut clusters = one_cluster(cluster().port(), "postgres", |pool| pool.max = 1);
    clusters.get_mut("main").unwrap().primary.search_path = vec!["Own Path".to_owned(), "public".to_owned()];
    let client = Client::start(clusters, EngineSettings::default());
    assert_eq!(client.value("SELECT name FROM spot"), "own");
    client.query("SET search_path = pg_catalog").unwrap();
    assert_eq!(client.value("SELECT name FROM spot"), "own");
}

#[test]
fn a_session_that_sets_its_own_path_sees_the_tables_of_that_path_also_in_a_transaction() {
    cluster().psql("CREATE SCHEMA three; CREATE TABLE three.kind AS SELECT 3 AS n; CREATE SCHEMA four; CREATE TABLE four.kind AS SELECT 'four' AS name, 4 AS n");
    let client = Client::with_pool(1);
    let session = client.session().unwrap();
    let call = |sql: &str| {
        client.run(Call::new(sql).in_session(session.id)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    };
    for _ in 0..3 {
        for (schema, columns) in [("three", 1), ("four", 2)] {
            call("BEGIN");
            call(&format!("SET search_path = {schema}"));
            assert_eq!(call("SELECT * FROM kind").results[0].columns.len(), columns);
            assert_eq!(call("SELECT * FROM kind").results[0].columns.len(), columns);
            call("COMMIT");
        }
    }
    client.release(&session);
    assert_eq!(client.query("SELECT * FROM kind").unwrap_err().code(), "42P01");
}

#[test]
fn a_session_waits_in_the_same_queue_and_no_longer_than_allowed() {
    let client = Client::with(|pool| {
        pool.max = 1;
        pool.acquire_timeout = Duration::from_millis(150);
    });
    let session = client.session().unwrap();
    let refused = client.session().unwrap_err();
    assert!(matches!(refused, Error::AcquireTimeout { .. }), "{refused}");
    let refused = client.query("SELECT 1").unwrap_err();
    assert!(matches!(refused, Error::AcquireTimeout { .. }), "{refused}");
    assert_eq!(refused.to_string(), "main_primary: no connection became free within 150 ms");
    client.release(&session);
    assert_eq!(client.value("SELECT 'free'"), "free");
}

#[test]
fn a_session_killed_while_idle_in_a_transaction_ends_and_its_connection_is_replaced() {
    let client = Client::with_pool(1);
    let session = client.session().unwrap();
    let call = |sql: &str| client.run(Call::new(sql).in_session(session.id));
    call("SET idle_in_transaction_session_timeout = '50ms'").unwrap();
    call("BEGIN").unwrap();
    wait_for("the server to end the session", || client.server().destroyed == 1);
    assert_eq!(call("SELECT 1").unwrap_err().kind(), ErrorKind::NoSession);
    client.release(&session);
    assert_eq!(client.value("SELECT 'next'"), "next");
    assert_eq!(client.metrics().sessions, 0);
}

#[test]
fn a_session_whose_backend_is_terminated_in_a_statement_fails_as_the_server_says() {
    let client = Client::with_pool(1);
    let session = client.session().unwrap();
    let running = client.submit(Call::new("SELECT pg_sleep(60), 'victim'").in_session(session.id));
    wait_for_activity("query LIKE '%victim%' AND wait_event = 'PgSleep'");
    cluster().psql(&format!("SELECT pg_terminate_backend({})", session.process_id));
    assert_eq!(running.wait().unwrap_err().code(), "57P01");
    assert_eq!(client.value("SELECT 'next'"), "next");
}
