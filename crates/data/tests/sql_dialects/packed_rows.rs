//! Tuples of PostgreSQL that are packed for another database: stored as if each value had been converted.

use std::sync::Arc;

use data::table::{Packing, Row, RowBatch, ScanOptions, Table, TableStore, coerce};
use data::{Dialect, ErrorKind, Value};

use crate::database::Database;

/// Runs each behaviour against the kinds of databases that rows are packed for.
macro_rules! packing_behaviours {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&super::Database::sqlite()).await;
            })*
        }
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&super::Database::mariadb()).await;
            })*
        }
    };
}

packing_behaviours!(
    packed_rows_are_stored_as_converted_ones,
    values_that_need_a_closer_look_are_not_packed,
    columns_that_need_a_closer_look_are_not_packed,
    a_target_may_have_fewer_columns_and_narrower_ones,
);

const COLUMNS: &str = "id text PRIMARY KEY, a boolean, b smallint, c integer, d bigint, e real, f double precision, \
    g numeric(12, 2), h numeric(30, 10), i varchar(10), j text, k uuid, l timestamptz, m timestamp, n date, o time, \
    p jsonb, q json, r bytea, s interval, u numeric";

/// Values of every kind; `ROW` stands for the key.
const ROWS: &[&str] = &[
    "'ROW', true, 1, 2, 3, 0.1, 0.1, 1.50, 12345678901234567890.0123456789, 'ten chars!', 'Zoë 寿司', \
     'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2024-02-29 12:34:56.789+00', '2024-02-29 12:34:56.123456', '2024-02-29', \
     '12:34:56.5', '{\"b\": [1, 2.50, {\"größer\": \"a \\\\ \\\"b\\\" \\n\"}], \"a\": null}', '[ true ]', '\\x00ff', '1 day', 1.5",
    "'ROW', false, -32768, -2147483648, -9223372036854775808, -3.4e38, 5e-324, -0.01, 0.0000000001, '', '', \
     '00000000-0000-0000-0000-000000000000', '1969-12-31 23:59:59.999999+00', '1000-01-01 00:00:00', '1000-01-01', '00:00:00', \
     '{}', '[0.00001, 12345678901234567890, 1e3, -0, 1.0]', '', '-3 years', 0",
    "'ROW', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
    "'ROW', true, 32767, 2147483647, 9223372036854775807, 16777217, 1e308, 9999999999.99, -1, 'éééééééééé', repeat('long ', 20000), \
     'ffffffff-ffff-ffff-ffff-ffffffffffff', '9999-12-31 23:59:59.999999+00', '2024-01-01', '9999-12-31', '23:59:59.999999', \
     '[[], {\"\": \"\\u0001\"}, 100000000000000000000000, 0.1]', '{\"x\":1,\"x\":2}', '\\x01', '00:00:01', 100000000000000.000001",
];

async fn run(dialect: &dyn Dialect, sql: &str) {
    dialect.execute_run(sql, Vec::new()).await.unwrap();
}

async fn tuples(store: &dyn TableStore, table: &Arc<Table>) -> RowBatch {
    let options = ScanOptions { binary_tuples: true, ..ScanOptions::default() };
    let mut stream = store.snapshot().await.unwrap().scan(Arc::clone(table), options).await.unwrap();
    let batch = stream.recv().await.unwrap().unwrap();
    assert!(stream.recv().await.is_none());
    batch
}

/// A table of PostgreSQL with these rows, and its only batch.
async fn source(columns: &str, rows: &[&str]) -> (Arc<dyn Dialect>, Arc<Table>, RowBatch) {
    let dialect = Database::postgres().open().await;
    run(&*dialect, &format!("CREATE TABLE source ({columns})")).await;
    for (position, row) in rows.iter().enumerate() {
        let row = row.replace("ROW", &format!("key {position}"));
        run(&*dialect, &format!("INSERT INTO source VALUES ({row})")).await;
    }
    let table = Arc::new(dialect.tables().unwrap().describe("source").await.unwrap().unwrap());
    let batch = tuples(dialect.tables().unwrap(), &table).await;
    (dialect, table, batch)
}

async fn like(store: &dyn TableStore, source: &Table, name: &str) -> Table {
    store.create_like(&Table { name: name.to_owned(), ..source.clone() }).await.unwrap()
}

fn packing(store: &dyn TableStore, source: &Table, target: &Table) -> Option<Packing> {
    let positions: Vec<usize> = (0..source.columns.len()).collect();
    store.packing(source, target, &positions)
}

fn converted(store: &dyn TableStore, target: &Table, batch: RowBatch) -> Vec<Row> {
    let value = |(value, column): (Value, &data::table::TableColumn)| {
        coerce(value, &column.column_type, &store.limits()).unwrap().value
    };
    let rows = batch.into_rows().unwrap();
    rows.into_iter().map(|row| row.into_iter().zip(&target.columns).map(value).collect()).collect()
}

async fn packed_rows_are_stored_as_converted_ones(db: &Database) {
    let (_source, table, batch) = source(COLUMNS, ROWS).await;
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let (one, other) = (like(store, &table, "one").await, like(store, &table, "other").await);
    let packed = packing(store, &table, &one).expect("no column needs a closer look").pack(batch.clone());
    assert!(matches!(packed, RowBatch::Packed(_)), "no value needs a closer look");
    assert_eq!(packed.len(), ROWS.len());
    assert_eq!(packed.clone().into_rows().unwrap(), batch.clone().into_rows().unwrap());
    store.insert(&one, &packed).await.unwrap();
    store.insert(&other, &RowBatch::Rows(converted(store, &other, batch))).await.unwrap();
    let is_sqlite = db.kind == data::DialectKind::Sqlite;
    for column in &table.columns {
        let name = &column.name;
        let shown =
            if is_sqlite { format!("typeof({name}) AS t, {name}") } else { format!("hex({name}) AS {name}") };
        let select = |table: &str| format!("SELECT {shown} FROM {table} ORDER BY id");
        let stored = [
            dialect.execute_query(&select("one"), vec![]).await.unwrap(),
            dialect.execute_query(&select("other"), vec![]).await.unwrap(),
        ];
        assert_eq!(stored[0].len(), ROWS.len());
        assert_eq!(stored[0], stored[1], "{name}");
    }
    let error = store.insert(&one, &packed).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniqueViolation);
}

async fn values_that_need_a_closer_look_are_not_packed(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    for (column_type, value) in [
        ("double precision", "'NaN'"),
        ("real", "'Infinity'"),
        ("timestamptz", "'infinity'"),
        ("jsonb", "'null'"),
        ("jsonb", "'\"text\"'"),
        ("jsonb", "'7'"),
    ] {
        let row = format!("1, {value}");
        let (_source, table, batch) = source(&format!("id int PRIMARY KEY, v {column_type}"), &[&row]).await;
        let target = like(store, &table, "t").await;
        let packing = packing(store, &table, &target).unwrap();
        assert!(matches!(packing.pack(batch), RowBatch::PgBinary { .. }), "{column_type} {value}");
        run(&*dialect, "DROP TABLE t").await;
    }
}

async fn columns_that_need_a_closer_look_are_not_packed(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    for columns in ["id int PRIMARY KEY, v int[]", "id numeric PRIMARY KEY", "id timestamptz PRIMARY KEY"] {
        let from = Database::postgres().open().await;
        run(&*from, &format!("CREATE TABLE source ({columns})")).await;
        let table = from.tables().unwrap().describe("source").await.unwrap().unwrap();
        let target = like(store, &table, "t").await;
        assert_eq!(packing(store, &table, &target), None, "{columns}");
        run(&*dialect, "DROP TABLE t").await;
    }
}

async fn a_target_may_have_fewer_columns_and_narrower_ones(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let (_source, table, batch) =
        source("id int PRIMARY KEY, gone text, v text", &["1, 'x', 'four'", "2, 'x', NULL"]).await;
    run(&*dialect, "CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR(4))").await;
    let target = store.describe("t").await.unwrap().unwrap();
    let packed = store.packing(&table, &target, &[0, 2]).unwrap().pack(batch);
    store.insert(&target, &packed).await.unwrap();
    let mut rows = store.fetch(&target, &[vec![1.into()], vec![2.into()]]).await.unwrap();
    rows.sort_by_key(|row| format!("{row:?}"));
    let texts: Vec<_> = rows.into_iter().map(|mut row| row.remove(1)).collect();
    assert_eq!(texts, ["four".into(), Value::Null]);
    assert_eq!(store.packing(&table, &target, &[2, 0]), None, "columns in another order are not packed");
}
