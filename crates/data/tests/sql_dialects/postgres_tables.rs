//! PostgreSQL's own ways with tables: schemas, partitions, identity columns, binary tuples.

use std::sync::Arc;

use data::table::{ColumnType, RowBatch, ScanOptions, Table, TableStore};
use data::{Dialect, ErrorKind, Value};

use crate::database::Database;

async fn run(dialect: &dyn Dialect, sql: &str) {
    dialect.execute_run(sql, Vec::new()).await.unwrap();
}

async fn describe(store: &dyn TableStore, name: &str) -> Arc<Table> {
    Arc::new(store.describe(name).await.unwrap().unwrap())
}

async fn batches(store: &dyn TableStore, table: &Arc<Table>, binary_tuples: bool) -> Vec<RowBatch> {
    let snapshot = store.snapshot().await.unwrap();
    let options = ScanOptions { binary_tuples, ..ScanOptions::default() };
    let mut stream = snapshot.scan(Arc::clone(table), options).await.unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = stream.recv().await {
        batches.push(batch.unwrap());
    }
    batches
}

#[tokio::test]
async fn tables_of_other_schemas_and_partition_roots_are_listed_but_not_partitions() {
    let dialect = Database::postgres().open().await;
    run(
        &*dialect,
        "CREATE SCHEMA sales; CREATE TABLE sales.orders (id int PRIMARY KEY); CREATE TABLE orders (id text PRIMARY KEY);
         CREATE TABLE \"sales.orders2\" (id int); CREATE MATERIALIZED VIEW m AS SELECT 1;
         CREATE TABLE measured (at date, v int, PRIMARY KEY (at, v)) PARTITION BY RANGE (at);
         CREATE TABLE measured_2024 PARTITION OF measured FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
         INSERT INTO measured VALUES ('2024-05-05', 1)",
    )
    .await;
    let store = dialect.tables().unwrap();
    let tables = store.list_tables().await.unwrap();
    assert_eq!(tables, ["measured", "orders", "sales.orders", "sales.orders2"]);
    assert_eq!(describe(store, "sales.orders").await.columns[0].column_type, ColumnType::Int32);
    assert_eq!(describe(store, "orders").await.columns[0].column_type, ColumnType::Text(None));
    assert_eq!(describe(store, "sales.orders2").await.name, "sales.orders2", "the exact name comes first");
    let measured = describe(store, "measured").await;
    assert_eq!(measured.key, [0, 1]);
    let RowBatch::Rows(rows) = batches(store, &measured, false).await.remove(0) else {
        panic!("rows were asked for")
    };
    assert_eq!(rows, [["2024-05-05".into(), Value::Int32(1)]]);
}

#[tokio::test]
async fn identity_columns_are_written() {
    let dialect = Database::postgres().open().await;
    run(&*dialect, "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)").await;
    let store = dialect.tables().unwrap();
    let table = describe(store, "t").await;
    assert!(!table.columns[0].generated);
    let row = |id, v: &str| vec![Value::Int32(id), v.into()];
    store.insert(&table, &RowBatch::Rows(vec![row(7, "a")])).await.unwrap();
    store.upsert(&table, &[row(7, "b"), row(8, "c")]).await.unwrap();
    let mut rows = store.fetch(&table, &[vec![7.into()], vec![8.into()]]).await.unwrap();
    rows.sort_by_key(|row| format!("{row:?}"));
    assert_eq!(rows, [row(7, "b"), row(8, "c")]);
}

#[tokio::test]
async fn triggers_do_not_fire_on_replicated_rows() {
    let dialect = Database::postgres().open().await;
    run(
        &*dialect,
        "CREATE TABLE t (id text PRIMARY KEY);
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
         CREATE TRIGGER refuse BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    .await;
    let store = dialect.tables().unwrap();
    let table = describe(store, "t").await;
    store.insert(&table, &RowBatch::Rows(vec![vec!["a".into()]])).await.unwrap();
}

#[tokio::test]
async fn binary_tuples_pass_from_server_to_server() {
    let (from, to) = (Database::postgres().open().await, Database::postgres().open().await);
    run(
        &*from,
        "CREATE TABLE t (id bigint PRIMARY KEY, a text, b jsonb, c numeric, d timestamptz, e float8, f int[], g json);
         INSERT INTO t SELECT i, 'text ' || i, jsonb_build_object('n', i), i / 7.0, now(), i / 3.0, ARRAY[i, NULL], '[1]'
         FROM generate_series(1, 25000) i; INSERT INTO t VALUES (0)",
    )
    .await;
    let (source, target) = (from.tables().unwrap(), to.tables().unwrap());
    let table = describe(source, "t").await;
    let copy = target.create_like(&table).await.unwrap();
    assert!(target.takes_binary_tuples(&table, &copy));
    let mut total = 0;
    for batch in batches(source, &table, true).await {
        let RowBatch::PgBinary { rows, .. } = &batch else { panic!("tuples were asked for") };
        total += rows;
        target.insert(&copy, &batch).await.unwrap();
    }
    assert_eq!(total, 25_001);
    let sum = "SELECT md5(string_agg(t::text, ',' ORDER BY id)) AS sum FROM t";
    let sums = [from.execute_query(sum, vec![]).await.unwrap(), to.execute_query(sum, vec![]).await.unwrap()];
    assert_eq!(sums[0], sums[1]);
    let batch = batches(source, &table, true).await.remove(0);
    let error = target.insert(&copy, &batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniqueViolation);
}

#[tokio::test]
async fn binary_tuples_are_refused_where_types_differ() {
    let dialect = Database::postgres().open().await;
    let store = dialect.tables().unwrap();
    run(
        &*dialect,
        "CREATE TYPE mood AS ENUM ('sad', 'ok');
         CREATE TABLE a (id int PRIMARY KEY, v jsonb); CREATE TABLE b (id int PRIMARY KEY, v json);
         CREATE TABLE c (id int8 PRIMARY KEY, v jsonb); CREATE TABLE d (id int PRIMARY KEY, w jsonb);
         CREATE TABLE e (id int PRIMARY KEY, v mood); CREATE TABLE f (id int PRIMARY KEY, v int GENERATED ALWAYS AS (id) STORED);
         CREATE TABLE g (id int PRIMARY KEY, v int)",
    )
    .await;
    for (source, target, takes) in [
        ("a", "a", true),
        ("a", "b", false),
        ("a", "c", false),
        ("a", "d", false),
        ("e", "e", false),
        ("g", "f", false),
    ] {
        let (source_table, target_table) = (describe(store, source).await, describe(store, target).await);
        assert_eq!(store.takes_binary_tuples(&source_table, &target_table), takes, "{source} to {target}");
    }
}

#[tokio::test]
async fn a_table_of_enums_and_ranges_is_copied_as_text() {
    let dialect = Database::postgres().open().await;
    let store = dialect.tables().unwrap();
    run(
        &*dialect,
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
         CREATE TYPE pair AS (x int, y text);
         CREATE TABLE t (id positive PRIMARY KEY, m mood, r int4range, p pair, ms mood[], i inet, iv interval, x xml, mo money);
         INSERT INTO t VALUES (1, 'ok', '[1,5)', '(1,\"a b\")', '{sad,ok}', '10.0.0.1/8', '1 day 02:03:04.5', '<a/>', 12.5)",
    )
    .await;
    let table = describe(store, "t").await;
    assert_eq!(table.columns[0].column_type, ColumnType::Int32, "a domain counts as its base type");
    assert_eq!(table.columns[1].column_type, ColumnType::Native("mood".to_owned()));
    let RowBatch::Rows(rows) = batches(store, &table, false).await.remove(0) else {
        panic!("rows were asked for")
    };
    let texts: Vec<_> = rows[0].iter().map(|value| value.as_text().unwrap_or("-")).collect();
    assert_eq!(
        texts,
        ["-", "ok", "[1,5)", "(1,\"a b\")", "-", "10.0.0.1/8", "1 day 02:03:04.5", "<a/>", "$12.50"]
    );
    assert_eq!(rows[0][4], Value::Array(vec!["sad".into(), "ok".into()]));
    let mut copy = (*table).clone();
    copy.name = "copied".to_owned();
    let copied = store.create_like(&copy).await.unwrap();
    assert_eq!(copied.columns[1].column_type, ColumnType::Native("mood".to_owned()));
    store.insert(&copied, &RowBatch::Rows(rows.clone())).await.unwrap();
    store.upsert(&copied, &rows).await.unwrap();
    assert_eq!(store.fetch(&copied, &[vec![1.into()]]).await.unwrap(), rows);
}

#[tokio::test]
async fn a_user_without_rights_still_writes() {
    let db = Database::postgres();
    let admin = db.open().await;
    run(&*admin, "CREATE TABLE t (id text PRIMARY KEY)").await;
    run(&*admin, "GRANT ALL ON t TO locked").await;
    let mut config = db.config();
    config.uri = db.uri.replace("postgres@", "locked:the%20right%20one@");
    let dialect = data::connect(&config).await.unwrap();
    let store = dialect.tables().unwrap();
    let table = describe(store, "t").await;
    store.insert(&table, &RowBatch::Rows(vec![vec!["a".into()]])).await.unwrap();
    assert_eq!(store.delete(&table, &[vec!["a".into()]]).await.unwrap(), 1);
    let error = dialect.execute_run("DROP TABLE t", Vec::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Permission, "42501"));
}
