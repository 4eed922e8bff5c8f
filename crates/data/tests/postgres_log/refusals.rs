//! What stands in the way of capture is named, with what to do about it.

use data::log::{LogKind, OpenedLog};
use data::{Error, ErrorKind};

use crate::source::support::Cluster;
use crate::source::{HBA, SETTINGS, Source};

/// Opening the log for these tables must fail.
async fn refused(source: &Source, tables: &[&str]) -> Error {
    let reader = source.reader(tables).await;
    let error = source.log().open(&reader).await.err().expect("the log cannot be opened");
    assert_eq!(error.kind(), ErrorKind::Capture, "{error}");
    error
}

fn assert_says(error: &Error, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "\"{part}\" is missing in: {text}");
    }
}

#[tokio::test]
async fn tables_whose_rows_cannot_be_told_apart_or_are_not_logged() {
    let source = Source::new(
        "CREATE TABLE no_key (id int);
         CREATE TABLE waiting (id int PRIMARY KEY DEFERRABLE);
         CREATE TABLE nothing (id int PRIMARY KEY); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
         CREATE TABLE other (id int PRIMARY KEY, code text NOT NULL UNIQUE);
         ALTER TABLE other REPLICA IDENTITY USING INDEX other_code_key;
         CREATE TABLE wider (id int PRIMARY KEY, code text NOT NULL, UNIQUE (code, id));
         ALTER TABLE wider REPLICA IDENTITY USING INDEX wider_code_id_key;
         CREATE UNLOGGED TABLE quick (id int PRIMARY KEY);
         CREATE VIEW seen AS SELECT 1 AS id;
         CREATE TABLE \"Odd Name\" (id int);
         CREATE TABLE computed (a int, b int GENERATED ALWAYS AS (a + 1) STORED PRIMARY KEY)",
    )
    .await;
    let cases: [(&str, &[&str]); 8] = [
        ("waiting", &["deferrable", "ALTER TABLE waiting REPLICA IDENTITY FULL"]),
        ("no_key", &["no primary key", "ALTER TABLE no_key REPLICA IDENTITY FULL"]),
        ("nothing", &["ALTER TABLE nothing REPLICA IDENTITY DEFAULT"]),
        ("other", &["ALTER TABLE other REPLICA IDENTITY DEFAULT"]),
        ("quick", &["ALTER TABLE quick SET LOGGED"]),
        ("seen", &["seen is a view"]),
        ("Odd Name", &["ALTER TABLE \"Odd Name\" REPLICA IDENTITY FULL"]),
        ("computed", &["generated column"]),
    ];
    for (table, parts) in cases {
        assert_says(&refused(&source, &[table]).await, parts);
    }
    let reader = source.reader(&["wider"]).await;
    assert!(matches!(source.log().open(&reader).await.unwrap(), OpenedLog::Created(_)));
}

#[tokio::test]
async fn a_partition_counts_as_its_root_does() {
    let source = Source::new(
        "CREATE TABLE t (id int) PARTITION BY RANGE (id);
         CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (10)",
    )
    .await;
    assert_says(&refused(&source, &["t"]).await, &["ALTER TABLE t_1 REPLICA IDENTITY FULL"]);
}

#[tokio::test]
async fn privileges_that_are_missing_are_granted_by_the_statement_in_the_message() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let user = format!("user_{}", source.database);
    source.run(&format!("CREATE ROLE {user} LOGIN; GRANT SELECT ON t TO {user}")).await;
    let limited = source.as_user(&user).await;
    assert_says(&refused(&limited, &["t"]).await, &[&format!("ALTER ROLE \"{user}\" REPLICATION")]);
    source.run(&format!("ALTER ROLE {user} REPLICATION")).await;
    let grant = format!("GRANT CREATE ON DATABASE \"{}\" TO \"{user}\"", source.database);
    assert_says(&refused(&limited, &["t"]).await, &[&grant]);
    source.run(&grant).await;
    assert_says(&refused(&limited, &["t"]).await, &["does not own table t", &format!("TO \"{user}\"")]);
    source.run(&format!("ALTER TABLE t OWNER TO {user}")).await;
    let reader = limited.reader(&["t"]).await;
    assert!(matches!(limited.log().open(&reader).await.unwrap(), OpenedLog::Created(_)));
    limited.log().remove(&reader.name).await.unwrap();
}

#[tokio::test]
async fn a_server_without_a_logical_log_says_which_setting_to_change() {
    let cluster = Cluster::start("wal_level = replica\n", HBA, |_| {});
    let source = Source::on(&cluster, "CREATE TABLE t (id int PRIMARY KEY)").await;
    assert_says(
        &refused(&source, &["t"]).await,
        &["wal_level is replica", "ALTER SYSTEM SET wal_level = logical", "restart"],
    );
}

#[tokio::test]
async fn a_server_without_a_free_slot_or_connection_says_which_setting_to_raise() {
    let settings = format!("{SETTINGS}max_replication_slots = 1\n");
    let cluster = Cluster::start(&settings, HBA, |_| {});
    let source = Source::on(&cluster, "CREATE TABLE t (id int PRIMARY KEY)").await;
    source.run("SELECT pg_create_physical_replication_slot('taken')").await;
    assert_says(&refused(&source, &["t"]).await, &["max_replication_slots", "restart"]);
    let left = source.value("SELECT count(*)::int FROM pg_publication").await;
    assert_eq!(left, data::Value::Int32(0), "nothing is left of the attempt");
    drop(cluster);
    let settings = format!("{SETTINGS}max_wal_senders = 1\n");
    let cluster = Cluster::start(&settings, HBA, |_| {});
    let source = Source::on(&cluster, "CREATE TABLE t (id int PRIMARY KEY)").await;
    let reader = source.reader(&["t"]).await;
    let _exporter = source.create(&reader).await;
    assert_says(&refused(&source, &["t"]).await, &["max_wal_senders", "restart"]);
}

#[tokio::test]
async fn a_standby_sends_one_to_its_primary() {
    let primary = Cluster::start(SETTINGS, HBA, |_| {});
    let source = Source::on(&primary, "CREATE TABLE t (id int PRIMARY KEY)").await;
    let standby = primary.start_standby("");
    let copy = Source::beside(&standby, &source.database).await;
    let reader = copy.reader(&["t"]).await;
    let error = copy.log().open(&reader).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Capture);
    assert_says(&error, &["standby", "primary"]);
}

#[tokio::test]
async fn a_table_that_does_not_exist_is_unknown() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let reader = source.reader(&["t"]).await;
    source.run("DROP TABLE t").await;
    assert_eq!(source.log().open(&reader).await.err().unwrap().kind(), ErrorKind::UnknownTable);
    assert!(source.store().change_log(LogKind::Log).is_some());
}
