//! What the classifier tells of a text besides whether it reads.

use super::*;

fn names(list: &[crate::route::ObjectName]) -> Vec<String> {
    let spelled = |name: &crate::route::ObjectName| match &name.schema {
        Some(schema) => format!("{schema}.{}", name.name),
        None => name.name.to_string(),
    };
    list.iter().map(spelled).collect()
}

#[test]
fn kinds_and_counts_of_statements_are_told() {
    use StatementKind::{
        Code, Copy, Definition, Delete, Empty, Explain, Insert, Maintenance, Merge, Select, Session, Several,
        TransactionControl, Unknown, Update,
    };
    for (sql, kind, statements) in [
        ("", Empty, Some(0)),
        (" ; -- nothing\n /* at all */ ;", Empty, Some(0)),
        ("TABLE a", Select, Some(1)),
        ("WITH d AS (DELETE FROM a RETURNING *) SELECT * FROM d", Select, Some(1)),
        ("SELECT 1;", Select, Some(1)),
        ("SELECT 1; VALUES (2);", Select, Some(2)),
        ("SELECT 1; DELETE FROM a", Several, Some(2)),
        ("INSERT INTO a DEFAULT VALUES", Insert, Some(1)),
        ("UPDATE a SET b = 1", Update, Some(1)),
        ("DELETE FROM a", Delete, Some(1)),
        ("MERGE INTO a USING b ON a.i = b.i WHEN MATCHED THEN DELETE", Merge, Some(1)),
        ("COPY a TO STDOUT", Copy, Some(1)),
        ("EXPLAIN DELETE FROM a", Explain, Some(1)),
        ("BEGIN", TransactionControl, Some(1)),
        ("CREATE TABLE a (b int)", Definition, Some(1)),
        ("SET a = 1", Session, Some(1)),
        ("CALL p()", Code, Some(1)),
        ("VACUUM", Maintenance, Some(1)),
        ("SELEC 1", Unknown, None),
        ("SELECT '\0'", Unknown, None),
    ] {
        let verdict = classify(sql);
        assert_eq!((verdict.kind, verdict.statements), (kind, statements), "{sql}");
        assert_eq!(verdict.is_single_statement(), statements == Some(1));
    }
}

#[test]
fn names_are_told_with_their_schemas_and_as_the_server_understands_them() {
    let verdict = classify(
        r#"WITH w AS (SELECT Shop.F(1)) SELECT "Quoted"(u.id), U&"\0078"(), a.B.c FROM Users u, "Mixed"."Case", w
           WHERE u.id OPERATOR(shop.@@) 1 AND u.name::Shop.Mood = 'x' AND id IN (SELECT 1) ORDER BY (u).more USING <"#,
    );
    assert_eq!(verdict.access, Access::Read);
    assert_eq!(names(&verdict.functions), ["Quoted", "x", "shop.f"]);
    assert_eq!(names(&verdict.relations), ["users", "Mixed.Case", "w"]);
    assert_eq!(names(&verdict.operators), ["shop.@@", "=", "<"]);
    assert_eq!(names(&verdict.types), ["shop.mood"]);
    assert_eq!(
        verdict.attributes.iter().map(|name| &**name).collect::<Vec<_>>(),
        ["id", "b", "c", "name", "more"]
    );
    assert_eq!(verdict.common_tables.iter().map(|name| &**name).collect::<Vec<_>>(), ["w"]);
}

#[test]
fn what_outlives_the_statement_in_its_session_is_told() {
    for sql in [
        "SET a = 1",
        "SET SESSION a = 1",
        "RESET a",
        "LISTEN a",
        "PREPARE p AS SELECT 1",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "CREATE TEMP TABLE a (b int)",
        "CREATE TEMPORARY VIEW a AS SELECT 1",
        "SELECT 1 AS a INTO TEMP b",
        "CREATE TABLE pg_temp.a (b int)",
        "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT pg_temp.f()",
        "SELECT set_config('a', 'b', false)",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_catalog.pg_try_advisory_lock_shared(1)",
        "SELECT setseed(0)",
        "BEGIN",
        "DO 'BEGIN END'",
        "CALL p()",
        "DISCARD ALL",
        "LOAD 'x'",
        "SELEC",
    ] {
        assert!(classify(sql).changes_session, "{sql}");
    }
    for sql in [
        "SELECT 1",
        "INSERT INTO a VALUES (1)",
        "SET LOCAL a = 1",
        "CREATE TABLE a (b int)",
        "SELECT pg_advisory_xact_lock(1)",
        "SHOW a",
        "NOTIFY a",
        "VACUUM",
    ] {
        assert!(!classify(sql).changes_session, "{sql}");
    }
}

#[test]
fn transaction_control_locks_and_changes_of_definitions_are_told() {
    for sql in [
        "BEGIN",
        "START TRANSACTION READ ONLY",
        "COMMIT AND CHAIN",
        "ROLLBACK TO a",
        "PREPARE TRANSACTION 'a'",
    ] {
        assert!(classify(sql).transaction_control, "{sql}");
    }
    for sql in ["SELECT 1 FOR SHARE", "LOCK a", "SELECT * FROM (SELECT 1 FOR UPDATE) a"] {
        assert!(classify(sql).locks, "{sql}");
    }
    for sql in [
        "CREATE VIEW a AS SELECT 1",
        "DROP FUNCTION f",
        "ALTER TABLE a ADD b int",
        "SELECT 1 AS a INTO b",
        "DO ''",
    ] {
        assert!(classify(sql).changes_definitions, "{sql}");
    }
    for sql in [
        "SELECT 1",
        "TRUNCATE a",
        "CREATE TEMP TABLE a (b int)",
        "GRANT SELECT ON a TO b",
        "COMMENT ON TABLE a IS ''",
    ] {
        assert!(!classify(sql).changes_definitions, "{sql}");
    }
}

#[test]
fn a_text_that_two_settings_read_differently_must_read_in_both() {
    let hidden = classify(r"SELECT 'a\'; DELETE FROM t; --'");
    assert_eq!((hidden.access, hidden.kind), (Access::Write, StatementKind::Several));
    let harmless = classify(r"SELECT 'C:\temp', E'it\'s'");
    assert_eq!((harmless.access, harmless.kind), (Access::Read, StatementKind::Select));
}
