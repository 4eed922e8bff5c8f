//! No write reaches a replica, and reads do. The truth comes from the server.

use crate::database::Database;
use crate::reads::READS;
use crate::schema::SCHEMA;
use crate::writes::{FORMS, WRITES, WRITING_EXPRESSIONS};

/// The SQLSTATEs of a write in a transaction that only reads: `read_only_sql_transaction`, and `feature_not_supported`
/// for what no transaction block allows.
const REFUSED: [&str; 2] = ["25006", "0A000"];

#[test]
fn no_statement_that_the_server_refuses_to_readers_goes_to_a_replica() {
    let mut database = Database::with(SCHEMA);
    let generated = FORMS.iter().flat_map(|form| {
        WRITING_EXPRESSIONS.iter().map(move |expression| (form.replace("{}", expression), true))
    });
    let listed = WRITES.iter().map(|text| match text.strip_suffix(" -") {
        Some(text) => (text.to_owned(), false),
        None => ((*text).to_owned(), true),
    });
    let (mut statements, mut refused, mut problems) = (0, 0, Vec::new());
    for (sql, expect_refusal) in generated.chain(listed) {
        statements += 1;
        if expect_refusal {
            match database.refusal_to_readers(&sql) {
                Some(code) if REFUSED.contains(&code.as_str()) => refused += 1,
                outcome => problems.push(format!("the server does not refuse this: {sql} ({outcome:?})")),
            }
        }
        if database.goes_to_replica(&sql) {
            problems.push(format!("this goes to a replica: {sql}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(statements >= 500 && refused >= 500, "{refused} of {statements}");
}

#[test]
fn reads_go_to_a_replica() {
    let mut database = Database::with(SCHEMA);
    let mut problems = Vec::new();
    for sql in READS {
        if let Some(code) = database.refusal_to_readers(sql) {
            problems.push(format!("the server refuses this with {code}: {sql}"));
        }
        if !database.goes_to_replica(sql) {
            let verdict = multiverse::route::classify(sql);
            problems.push(format!("this goes to the primary: {sql}\n{verdict:?}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn reads_run_on_a_standby_and_what_it_refuses_goes_to_the_primary() {
    let mut database = Database::with(SCHEMA);
    let mut standby = database.standby();
    let mut problems = Vec::new();
    for sql in READS {
        if let Some(code) = database.refusal_by(&mut standby, sql) {
            problems.push(format!("the standby refuses this with {code}: {sql}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // What only a standby refuses, because there it would need a transaction id, shared locks or a log of its own.
    for sql in [
        "SELECT txid_current()",
        "SELECT * FROM unlogged",
        "SELECT pg_current_wal_lsn()",
        "LISTEN c",
        "NOTIFY c",
    ] {
        assert!(database.refusal_by(&mut standby, sql).is_some(), "{sql}");
        assert!(!database.goes_to_replica(sql), "{sql}");
    }
}

#[test]
fn what_the_session_means_by_a_backslash_does_not_hide_a_write() {
    let mut database = Database::with(SCHEMA);
    let sql = r"SELECT 'a\'; DELETE FROM orders; --'";
    assert!(
        database.refusal_to_readers(sql).is_none_or(|code| code != "42601"),
        "it is one string by the standard"
    );
    database.run("SET standard_conforming_strings = off").unwrap();
    // Now it is a string with a quote in it, and the rest a string that is not closed.
    let reversed = r"SELECT 'a\' || nextval('s') || '\'' ";
    assert!(!database.goes_to_replica(sql));
    assert!(!database.goes_to_replica(reversed));
}
