//! Each rule with a statement that breaks it, and the safe ways that break none.

use super::*;

fn target(sql: &str) -> LintTarget {
    LintTarget {
        version: "1_a".to_owned(),
        file: Some("1_a.sql".to_owned()),
        schemas: vec!["app".to_owned()],
        transaction: true,
        reversible: true,
        texts: vec![LintText { sql: sql.to_owned(), line: 1, is_partial: false }],
        comments: Vec::new(),
    }
}

fn outside(sql: &str) -> LintTarget {
    LintTarget { transaction: false, ..target(sql) }
}

fn found(targets: &[LintTarget]) -> Vec<&'static str> {
    let options = LintOptions { lock_timeout: true, ignore: Vec::new() };
    lint(targets, &options).findings.iter().map(|finding| finding.rule).collect()
}

fn broken(sql: &str) -> Vec<&'static str> {
    found(&[target(sql)])
}

/// For every rule a statement that breaks it.
const BROKEN: &[(&str, &str)] = &[
    ("syntax-error", "CREATE TABLE t (a int PRIMARY KEI)"),
    ("unknown-rule", "SELECT 1; -- pgm-lint-ignore nonsense"),
    ("index-not-concurrent", "CREATE INDEX i ON t (a)"),
    ("drop-index-not-concurrent", "DROP INDEX i"),
    ("reindex-not-concurrent", "REINDEX TABLE t"),
    ("concurrent-index-if-not-exists", "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)"),
    ("index-without-name", "CREATE INDEX ON t (a)"),
    ("not-null-without-default", "ALTER TABLE t ADD COLUMN a int NOT NULL"),
    ("not-null-without-default", "ALTER TABLE t ADD COLUMN a int NOT NULL DEFAULT NULL"),
    ("set-not-null", "ALTER TABLE t ALTER COLUMN a SET NOT NULL"),
    ("volatile-default", "ALTER TABLE t ADD COLUMN a uuid DEFAULT gen_random_uuid()"),
    ("volatile-default", "ALTER TABLE t ADD COLUMN a text DEFAULT 'x' || random()::text"),
    ("add-serial-column", "ALTER TABLE t ADD COLUMN a bigserial"),
    ("add-serial-column", "ALTER TABLE t ADD COLUMN a bigint GENERATED ALWAYS AS IDENTITY"),
    ("add-stored-generated-column", "ALTER TABLE t ADD COLUMN a int GENERATED ALWAYS AS (b + 1) STORED"),
    ("change-column-type", "ALTER TABLE t ALTER COLUMN a TYPE bigint"),
    ("drop-column", "ALTER TABLE t DROP COLUMN a"),
    ("drop-default", "ALTER TABLE t ALTER COLUMN a DROP DEFAULT"),
    ("foreign-key-validated", "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (id)"),
    ("check-validated", "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)"),
    ("check-validated", "ALTER TABLE t ADD COLUMN a int CHECK (a > 0)"),
    ("unique-constraint", "ALTER TABLE t ADD CONSTRAINT c UNIQUE (a)"),
    ("unique-constraint", "ALTER TABLE t ADD COLUMN a int UNIQUE"),
    ("primary-key-constraint", "ALTER TABLE t ADD PRIMARY KEY (a)"),
    ("exclusion-constraint", "ALTER TABLE t ADD CONSTRAINT c EXCLUDE USING gist (a WITH &&)"),
    (
        "validate-in-same-transaction",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c",
    ),
    ("drop-constraint", "ALTER TABLE t DROP CONSTRAINT c"),
    ("foreign-key-without-index", "CREATE TABLE t (id bigint PRIMARY KEY, a bigint REFERENCES u (id))"),
    ("drop-table", "DROP TABLE t"),
    ("drop-object", "DROP VIEW v"),
    ("drop-schema", "DROP SCHEMA other"),
    ("drop-database", "DROP DATABASE d"),
    ("drop-cascade", "DROP TABLE t CASCADE"),
    ("drop-publication", "DROP PUBLICATION p"),
    ("truncate", "TRUNCATE t"),
    ("truncate-cascade", "TRUNCATE t CASCADE"),
    ("table-without-primary-key", "CREATE TABLE t (a int)"),
    ("unlogged-table", "CREATE UNLOGGED TABLE t (a bigint PRIMARY KEY)"),
    ("other-schema", "CREATE TABLE other.t (a bigint PRIMARY KEY)"),
    ("rename-table", "ALTER TABLE t RENAME TO u"),
    ("rename-column", "ALTER TABLE t RENAME COLUMN a TO b"),
    ("rename-object", "ALTER VIEW v RENAME TO w"),
    ("rename-object", "ALTER TYPE mood RENAME TO feeling"),
    ("rename-schema", "ALTER SCHEMA a RENAME TO b"),
    ("move-to-schema", "ALTER TABLE t SET SCHEMA archive"),
    ("char-type", "CREATE TABLE t (a bigint PRIMARY KEY, b char(3))"),
    ("varchar-limit", "ALTER TABLE t ADD COLUMN a varchar(20)"),
    ("timestamp-without-time-zone", "CREATE TABLE t (a bigint PRIMARY KEY, b timestamp)"),
    ("serial-type", "CREATE TABLE t (a bigserial PRIMARY KEY)"),
    ("integer-primary-key", "CREATE TABLE t (a int, PRIMARY KEY (a))"),
    ("json-type", "CREATE TABLE t (a bigint PRIMARY KEY, b json)"),
    ("money-type", "CREATE TABLE t (a bigint PRIMARY KEY, b money)"),
    ("enum-value-in-transaction", "ALTER TYPE mood ADD VALUE 'calm'"),
    ("set-logged", "ALTER TABLE t SET LOGGED"),
    ("set-tablespace", "ALTER TABLE t SET TABLESPACE fast"),
    ("set-access-method", "ALTER TABLE t SET ACCESS METHOD heap"),
    ("replica-identity", "ALTER TABLE t REPLICA IDENTITY FULL"),
    ("attach-partition", "ALTER TABLE t ATTACH PARTITION p FOR VALUES IN (1)"),
    ("detach-partition-not-concurrent", "ALTER TABLE t DETACH PARTITION p"),
    ("create-partition-of", "CREATE TABLE p PARTITION OF t FOR VALUES IN (1)"),
    ("cluster", "CLUSTER t USING i"),
    ("vacuum-full", "VACUUM FULL t"),
    ("vacuum-full", "VACUUM (FULL, ANALYZE) t"),
    ("refresh-not-concurrent", "REFRESH MATERIALIZED VIEW v"),
    ("lock-table", "LOCK TABLE t"),
    ("update-without-where", "UPDATE t SET a = 1"),
    ("delete-without-where", "DELETE FROM t"),
    ("unbatched-change", "UPDATE t SET a = 1 WHERE a IS NULL"),
    ("unbatched-copy", "INSERT INTO t SELECT * FROM u"),
    ("change-under-lock", "ALTER TABLE t ADD COLUMN a int; UPDATE t SET a = 1 WHERE b"),
    ("server-file", "COPY t FROM '/tmp/rows'"),
    ("code-block", "DO $$ BEGIN PERFORM 1; END $$"),
    ("disable-trigger", "ALTER TABLE t DISABLE TRIGGER ALL"),
    ("create-trigger", "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"),
    ("create-rule", "CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING"),
    ("session-replication-role", "SET LOCAL session_replication_role = replica"),
    ("concurrently-in-transaction", "CREATE INDEX CONCURRENTLY i ON t (a)"),
    ("concurrently-in-transaction", "VACUUM t"),
    ("explicit-transaction", "BEGIN; SELECT 1; COMMIT"),
    ("several-locks", "ALTER TABLE t ADD COLUMN a int; ALTER TABLE u ADD COLUMN a int"),
    ("set-without-local", "SET statement_timeout = '5s'"),
    ("timeout-disabled", "SET LOCAL statement_timeout = 0"),
    ("timeout-disabled", "SET LOCAL lock_timeout = '0'"),
    ("search-path", "SET LOCAL search_path = other"),
    ("enum-value-used", "ALTER TYPE mood ADD VALUE 'calm'; INSERT INTO t VALUES ('calm')"),
    ("alter-system", "ALTER SYSTEM SET work_mem = '1GB'"),
    ("alter-database", "ALTER DATABASE d SET work_mem = '1GB'"),
    ("grant-to-public", "GRANT SELECT ON t TO PUBLIC"),
    ("password-in-migration", "CREATE ROLE r LOGIN PASSWORD 'x'"),
    ("superuser-role", "ALTER ROLE r SUPERUSER"),
    ("disable-row-security", "ALTER TABLE t DISABLE ROW LEVEL SECURITY"),
    (
        "security-definer-search-path",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
    ),
    ("drop-owned", "DROP OWNED BY r"),
    ("create-extension", "CREATE EXTENSION citext"),
    ("change-owner", "ALTER TABLE t OWNER TO r"),
];

#[test]
fn every_rule_finds_what_breaks_it() {
    for (rule, sql) in BROKEN {
        assert!(broken(sql).contains(rule), "{rule}: {sql} gives {:?}", broken(sql));
    }
    // These depend on more than a statement.
    let others =
        ["no-rollback", "missing-lock-timeout", "set-local-outside-transaction", "mixed-without-transaction"];
    let tested: HashSet<&str> = BROKEN.iter().map(|(rule, _)| *rule).chain(others).collect();
    for rule in rules() {
        assert!(tested.contains(rule.id), "{} has no example", rule.id);
    }
}

#[test]
fn rules_have_ids_of_their_own_and_texts_that_are_sentences() {
    let ids: Vec<&str> = rules().map(|rule| rule.id).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    for rule in rules() {
        for text in [rule.reason, rule.remedy] {
            assert!(text.ends_with('.'), "{}: {text}", rule.id);
            assert!(!text.contains("  "), "{}: {text}", rule.id);
        }
    }
}

#[test]
fn the_safe_ways_break_no_rule() {
    let inside = [
        "ALTER TABLE t ADD COLUMN a int",
        "ALTER TABLE t ADD COLUMN a int NOT NULL DEFAULT 0",
        "ALTER TABLE t ADD COLUMN a timestamptz NOT NULL DEFAULT now()",
        "ALTER TABLE t ADD COLUMN a text DEFAULT lower('X') || 'y'",
        "ALTER TABLE t ADD COLUMN a int GENERATED ALWAYS AS (b + 1) VIRTUAL",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID",
        "ALTER TABLE t VALIDATE CONSTRAINT c",
        "ALTER TABLE t ADD CONSTRAINT c UNIQUE USING INDEX i",
        "ALTER TABLE t ADD CONSTRAINT c PRIMARY KEY USING INDEX i",
        "ALTER TABLE t ALTER COLUMN a SET DEFAULT 1",
        "CREATE TABLE t (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, a text, b timestamptz)",
        "CREATE VIEW v AS SELECT 1 AS a",
        "UPDATE t SET a = 1 WHERE id = 5",
        "UPDATE t SET a = 1 WHERE id BETWEEN 1 AND 1000",
        "UPDATE t SET a = 1 WHERE id >= 1 AND id < 1000",
        "DELETE FROM t WHERE id IN (SELECT id FROM t WHERE old LIMIT 1000)",
        "INSERT INTO t VALUES (1)",
        "SET LOCAL lock_timeout = '2s'",
        "CREATE TYPE mood AS ENUM ('sad'); ALTER TYPE mood ADD VALUE 'calm'",
        "GRANT SELECT ON t TO reader",
        "CREATE TEMPORARY TABLE t (a int)",
    ];
    for sql in inside {
        assert_eq!(broken(sql), Vec::<&str>::new(), "{sql}");
    }
    for sql in [
        "CREATE INDEX CONCURRENTLY i ON t (a)",
        "DROP INDEX CONCURRENTLY i",
        "REINDEX (CONCURRENTLY) TABLE t",
        "REINDEX TABLE CONCURRENTLY t",
        "ALTER TABLE t DETACH PARTITION p CONCURRENTLY",
        "VACUUM t",
        "VACUUM (FULL false) t",
        "SET lock_timeout = '2s'",
        "ALTER TYPE mood ADD VALUE 'calm'",
    ] {
        assert_eq!(found(&[outside(sql)]), Vec::<&str>::new(), "{sql}");
    }
}

#[test]
fn what_the_migration_has_made_itself_is_nobodys_obstacle() {
    let table = "CREATE TABLE t (id bigint PRIMARY KEY, a bigint);";
    for rest in [
        "CREATE INDEX i ON t (a)",
        "CREATE INDEX i ON app.t (a)",
        "ALTER TABLE t ADD COLUMN b uuid DEFAULT gen_random_uuid(), ALTER COLUMN a SET NOT NULL",
        "INSERT INTO t SELECT * FROM t; UPDATE t SET a = 1",
        "DROP TABLE t CASCADE",
        "ALTER TABLE t RENAME TO u; CREATE INDEX i ON u (a)",
    ] {
        assert_eq!(broken(&format!("{table} {rest}")), Vec::<&str>::new(), "{rest}");
    }
    let other =
        [target(table), LintTarget { version: "2_b".to_owned(), ..target("CREATE INDEX i ON t (a)") }];
    assert_eq!(found(&other), ["index-not-concurrent"]);
}

#[test]
fn a_check_that_an_earlier_migration_validated_proves_not_null() {
    let add = "ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID";
    let validate = "ALTER TABLE app.t VALIDATE CONSTRAINT c";
    let set = "ALTER TABLE t ALTER COLUMN a SET NOT NULL";
    let versions = |texts: &[&str]| -> Vec<LintTarget> {
        let one = |(at, sql): (usize, &&str)| LintTarget { version: format!("{at}_x"), ..target(sql) };
        texts.iter().enumerate().map(one).collect()
    };
    assert_eq!(found(&versions(&[add, validate, set])), Vec::<&str>::new());
    assert_eq!(found(&versions(&[add, set])), ["set-not-null"]);
}

#[test]
fn an_index_serves_a_foreign_key_wherever_it_is_made() {
    let key = "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (id) NOT VALID";
    let index =
        LintTarget { version: "2_b".to_owned(), ..outside("CREATE INDEX CONCURRENTLY i ON t (a, b)") };
    assert_eq!(found(&[target(key)]), ["foreign-key-without-index"]);
    assert_eq!(found(&[target(key), index]), Vec::<&str>::new());
    assert_eq!(broken("CREATE TABLE t (a bigint PRIMARY KEY REFERENCES u (id))"), Vec::<&str>::new());
}

#[test]
fn comments_turn_rules_off_for_their_statement_or_file() {
    let sql = "-- pgm-lint-ignore drop-table: nobody uses it\nDROP TABLE a;\nDROP TABLE b;";
    let report = lint(&[target(sql)], &LintOptions { lock_timeout: true, ignore: Vec::new() });
    let lines: Vec<(&str, usize)> =
        report.findings.iter().map(|finding| (finding.subject.as_str(), finding.line)).collect();
    assert_eq!((lines, report.ignored), (vec![("b", 3), ("a, b", 3)], 1));
    assert_eq!(broken("DROP TABLE a; -- pgm-lint-ignore drop-table"), Vec::<&str>::new());
    assert_eq!(broken("-- pgm-lint-ignore-file drop-table\nDROP VIEW v;\nDROP TABLE a;"), ["drop-object"]);
    assert_eq!(broken("DROP TABLE a; -- pgm-lint-ignore\nDROP TABLE b;"), ["drop-table", "several-locks"]);
    let options = LintOptions { lock_timeout: true, ignore: vec!["drop-table".to_owned()] };
    assert_eq!(lint(&[target("DROP TABLE a")], &options).ignored, 1);
}

#[test]
fn a_wait_for_locks_without_a_bound_is_told_once() {
    let rules = |sql: &str| {
        let findings = lint(&[target(sql)], &LintOptions::default()).findings;
        findings.iter().filter(|finding| finding.rule == "missing-lock-timeout").count()
    };
    assert_eq!(rules("ALTER TABLE t ADD COLUMN a int; ALTER TABLE t ADD COLUMN b int"), 1);
    assert_eq!(rules("SET LOCAL lock_timeout = '1s'; ALTER TABLE t ADD COLUMN a int"), 0);
    assert_eq!(rules("CREATE TABLE t (a bigint PRIMARY KEY)"), 0);
    assert_eq!(rules("ALTER TABLE t VALIDATE CONSTRAINT c"), 0);
}

#[test]
fn migrations_without_a_transaction_have_rules_of_their_own() {
    let mixed = "CREATE INDEX CONCURRENTLY i ON t (a); CREATE TABLE u (a bigint PRIMARY KEY)";
    assert_eq!(found(&[outside(mixed)]), ["mixed-without-transaction"]);
    assert_eq!(found(&[outside("SET LOCAL lock_timeout = '1s'")]), ["set-local-outside-transaction"]);
    assert_eq!(found(&[LintTarget { reversible: false, ..target("SELECT 1") }]), ["no-rollback"]);
}

#[test]
fn findings_name_their_line_their_lock_and_what_they_are_about() {
    let report = lint(&[target("SELECT 1;\n\nCREATE INDEX i\n  ON t (a);")], &LintOptions::default());
    let finding = &report.findings[0];
    assert_eq!((finding.line, finding.subject.as_str(), finding.lock), (3, "t", Some(LockMode::Share)));
    assert!(finding.message().starts_with("1_a.sql:3 index-not-concurrent (t): CREATE INDEX blocks"));
}

#[test]
fn statements_after_one_that_is_not_sql_are_looked_at_too() {
    assert_eq!(broken("CREATE NONSENSE; DROP TABLE t"), ["syntax-error", "drop-table"]);
    assert_eq!(broken("DROP TABLE t;\nSELEC 1;\n-- last\n"), ["drop-table", "syntax-error"]);
    let partial =
        LintText { sql: "ALTER TABLE t ADD x ...; DROP TABLE t".to_owned(), line: 4, is_partial: true };
    let report = lint(&[LintTarget { texts: vec![partial], ..target("") }], &LintOptions::default());
    assert_eq!((report.unseen.len(), report.unseen[0].line), (1, 4));
    assert!(report.findings.iter().any(|finding| finding.rule == "drop-table"));
}
