//! Prepared statements: kept, bounded, prepared anew, or not used at all.

use multiverse::EngineSettings;
use wire::Format;

use crate::client::{Call, Client, one_cluster};
use crate::cluster;

const PREPARED: &str = "SELECT count(*)::text FROM pg_prepared_statements";

#[test]
fn a_statement_is_prepared_once_and_then_answers_in_binary_form() {
    let client = Client::with_pool(1);
    let call = || Call::new("SELECT $1::int4 AS n, 'x' AS t, now() AS at").with(&["5"]);
    let formats = |call| {
        let outcome = client.run(call).unwrap();
        outcome.results[0].columns.iter().map(|column| column.format).collect::<Vec<_>>()
    };
    assert_eq!(formats(call()), [Format::Text; 3]);
    assert_eq!(formats(call()), [Format::Binary, Format::Text, Format::Binary]);
    client.engine.set_text_types(vec![1184]);
    assert_eq!(formats(call()), [Format::Binary, Format::Text, Format::Text]);
    let uses =
        "SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE statement LIKE '%int4 AS n%'";
    assert_eq!(client.value(uses), "3");
}

#[test]
fn the_statements_kept_on_a_connection_are_bounded() {
    let settings = EngineSettings { prepared_statements: 10, ..EngineSettings::default() };
    let client = Client::start(one_cluster(cluster().port(), "postgres", |pool| pool.max = 1), settings);
    for round in 0..3 {
        for number in 0..50 {
            assert_eq!(client.value(&format!("SELECT '{number}'")), number.to_string(), "round {round}");
        }
    }
    let kept: usize = client.value(PREPARED).parse().unwrap();
    assert!((5..=11).contains(&kept), "{kept} statements are kept");
}

#[test]
fn without_preparing_nothing_is_left_on_the_server() {
    let client = Client::with(|pool| {
        pool.max = 1;
        pool.prepare = false;
    });
    for call in client.submit_all((0..20).map(|n| Call::new("SELECT $1::int4").with(&[&n.to_string()]))) {
        call.wait().unwrap();
    }
    assert_eq!(client.value(PREPARED), "0");
}

#[test]
fn a_statement_whose_result_has_changed_is_prepared_anew() {
    let client = Client::with_pool(1);
    client.query("CREATE TABLE changing (a int)").unwrap();
    client.query("INSERT INTO changing VALUES (1)").unwrap();
    let columns = || {
        let outcome = client.query("SELECT * FROM changing").unwrap();
        outcome.results[0].rows[0].len()
    };
    assert_eq!((columns(), columns()), (1, 1));
    client.query("ALTER TABLE changing ADD COLUMN b text DEFAULT 'b'").unwrap();
    assert_eq!((columns(), columns()), (2, 2));
    client.query("ALTER TABLE changing ALTER COLUMN a TYPE text USING 'a' || a").unwrap();
    assert_eq!(client.value("SELECT * FROM changing"), "a1");
    // Several at once, all of them stale.
    client.query("ALTER TABLE changing DROP COLUMN b").unwrap();
    for call in client.submit_all((0..10).map(|_| Call::new("SELECT * FROM changing"))) {
        assert_eq!(call.wait().unwrap().results[0].rows[0].len(), 1);
    }
}

#[test]
fn a_statement_whose_parameter_is_compared_with_a_column_of_another_type_by_now_is_prepared_anew() {
    let client = Client::with_pool(1);
    client.query("CREATE TABLE retyped (code int, label text)").unwrap();
    client.query("INSERT INTO retyped VALUES (7, 'seven')").unwrap();
    let label = |code: &str| {
        let call = Call::new("SELECT label FROM retyped WHERE code = $1").with(&[code]);
        client.run(call).unwrap().results[0].rows.len()
    };
    assert_eq!((label("7"), label("8")), (1, 0));
    cluster().psql("ALTER TABLE retyped ALTER COLUMN code TYPE text USING 'no. ' || code");
    assert_eq!((label("no. 7"), label("7")), (1, 0));
}

#[test]
fn the_first_statement_of_a_transaction_runs_though_another_process_has_changed_what_it_returns() {
    let client = Client::with_pool(1);
    client.query("CREATE TABLE stale_first (a int)").unwrap();
    let session = client.session().unwrap();
    let call = |sql: &str| client.run(Call::new(sql).in_session(session.id).in_schema("public"));
    let columns = || call("SELECT * FROM stale_first").unwrap().results[0].columns.len();
    assert_eq!((columns(), columns()), (1, 1));
    cluster().psql("ALTER TABLE stale_first ADD COLUMN b int");
    call("BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY").unwrap();
    assert_eq!(columns(), 2);
    let is_as_begun =
        "SELECT current_setting('transaction_isolation') || current_setting('transaction_read_only')";
    assert_eq!(call(is_as_begun).unwrap().value(), "serializableon");
    assert_eq!(call("INSERT INTO stale_first VALUES (1)").unwrap_err().code(), "25006");
    call("ROLLBACK").unwrap();
    client.release(&session);
}

#[test]
fn a_later_statement_of_a_transaction_that_was_kept_for_too_long_fails_once_on_all_connections() {
    let client = Client::with_pool(3);
    client.query("CREATE TABLE stale (a int)").unwrap();
    let select = "SELECT * FROM stale";
    let open = || (0..3).map(|_| client.session().unwrap()).collect::<Vec<_>>();
    let sessions = open();
    for session in &sessions {
        for _ in 0..2 {
            client.run(Call::new(select).in_session(session.id)).unwrap();
        }
    }
    sessions.iter().for_each(|session| client.release(session));
    cluster().psql("ALTER TABLE stale ADD COLUMN b int");
    let run = |session: &multiverse::Session| {
        let call = |sql: &str| client.run(Call::new(sql).in_session(session.id));
        call("BEGIN").unwrap();
        call("SELECT 'something else'").unwrap();
        let outcome = call(select);
        call("ROLLBACK").unwrap();
        client.release(session);
        outcome
    };
    let error = run(&client.session().unwrap()).unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), ("0A000", true), "{error}");
    for session in open() {
        assert_eq!(run(&session).unwrap().results[0].columns.len(), 2);
    }
}

#[test]
fn a_transaction_follows_the_definitions_that_it_changes() {
    let client = Client::with_pool(1);
    client.query("CREATE TABLE altered (a int)").unwrap();
    let session = client.session().unwrap();
    let call = |sql: &str| client.run(Call::new(sql).in_session(session.id)).unwrap();
    let columns = || call("SELECT * FROM altered").results[0].columns.len();
    call("BEGIN");
    assert_eq!((columns(), columns()), (1, 1));
    call("ALTER TABLE altered ADD COLUMN b int");
    assert_eq!((columns(), columns()), (2, 2));
    call("ROLLBACK");
    assert_eq!(columns(), 1);
    client.release(&session);
}

#[test]
fn a_transaction_follows_the_definitions_that_were_changed_before_it_by_the_same_engine() {
    let client = Client::with_pool(2);
    client.query("CREATE TABLE altered_before (a int)").unwrap();
    let keeping = client.session().unwrap();
    let other = client.session().unwrap();
    let select = "SELECT * FROM altered_before";
    for session in [&keeping, &other] {
        client.run(Call::new(select).in_session(session.id)).unwrap();
        client.run(Call::new(select).in_session(session.id)).unwrap();
    }
    client.release(&keeping);
    client.run(Call::new("ALTER TABLE altered_before ADD COLUMN b int").in_session(other.id)).unwrap();
    // This is the connection that has kept the statement, as the other one is still in use.
    let later = client.session().unwrap();
    client.run(Call::new("BEGIN").in_session(later.id)).unwrap();
    let outcome = client.run(Call::new(select).in_session(later.id)).unwrap();
    assert_eq!(outcome.results[0].columns.len(), 2);
    client.run(Call::new("COMMIT").in_session(later.id)).unwrap();
    client.release(&later);
    client.release(&other);
}

#[test]
fn statements_deallocated_behind_our_back_are_prepared_anew() {
    let client = Client::with_pool(1);
    for command in ["DEALLOCATE ALL", "DISCARD ALL", "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$"] {
        assert_eq!(client.value("SELECT 'kept'"), "kept");
        client.query(command).unwrap();
        for call in client.submit_all((0..5).map(|_| Call::new("SELECT 'kept'"))) {
            assert_eq!(call.wait().unwrap().value(), "kept", "after {command}");
        }
    }
}

#[test]
fn a_text_that_cannot_be_parsed_fails_each_time_and_leaves_nothing() {
    let client = Client::with_pool(1).warm_up();
    client.value(PREPARED);
    let before = client.value(PREPARED);
    for call in client.submit_all((0..10).map(|_| Call::new("SELEC $1").with(&["1"]))) {
        assert_eq!(call.wait().unwrap_err().code(), "42601");
    }
    assert_eq!(client.value(PREPARED), before);
}

#[test]
fn a_copy_from_the_client_is_refused_and_one_to_it_only_counts() {
    let client = Client::with_pool(1);
    client.query("CREATE TABLE IF NOT EXISTS copied (n int)").unwrap();
    for _ in 0..3 {
        assert_eq!(client.query("COPY copied FROM STDIN").unwrap_err().code(), "57014");
        assert_eq!(client.query("SELECT 1; COPY copied FROM STDIN").unwrap_err().code(), "57014");
        let outcome = client.query("COPY (SELECT generate_series(1, 3)) TO STDOUT").unwrap();
        assert_eq!((outcome.results[0].tag.as_str(), outcome.results[0].rows.len()), ("COPY 3", 0));
        assert_eq!(client.value("SELECT 'alive'"), "alive");
    }
}

#[test]
fn a_text_with_a_zero_byte_is_refused_without_harm() {
    let client = Client::with_pool(1);
    let error = client.run(Call::new("SELECT $1\0").with(&["1"])).unwrap_err();
    assert_eq!(error.kind(), multiverse::ErrorKind::Request, "{error}");
    assert_eq!(client.query("SELECT 1\0").unwrap_err().kind(), multiverse::ErrorKind::Request);
    assert_eq!(client.value("SELECT 'alive'"), "alive");
}
