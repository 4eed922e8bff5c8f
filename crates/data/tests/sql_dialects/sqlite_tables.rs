//! SQLite's own ways with tables: declared types, storage classes, databases in memory.

use std::sync::Arc;

use data::table::{ColumnType, RowBatch, ScanOptions, Table};
use data::{Dialect, Timestamp, Value};

use crate::database::Database;

async fn in_memory() -> Arc<dyn Dialect> {
    Database::sqlite_in_memory().open().await
}

#[tokio::test]
async fn declared_types_are_understood() {
    let db = Database::sqlite();
    let dialect = db.open().await;
    let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(20), b BOOLEAN, c DATETIME, d DATE, e JSON, f DOUBLE, g, h BLOB, i DECIMAL(10,2))";
    dialect.execute_run(sql, Vec::new()).await.unwrap();
    let table = dialect.tables().unwrap().describe("T").await.unwrap().unwrap();
    let types: Vec<_> = table.columns.iter().map(|column| column.column_type.clone()).collect();
    let expected = [
        ColumnType::Int64,
        ColumnType::Text(None),
        ColumnType::Bool,
        ColumnType::Timestamp { zoned: true },
        ColumnType::Date,
        ColumnType::Json,
        ColumnType::Float64,
        ColumnType::Any,
        ColumnType::Bytes,
        ColumnType::Any,
    ];
    assert_eq!((table.name.as_str(), types.as_slice()), ("t", expected.as_slice()));
}

#[tokio::test]
async fn values_are_read_by_declared_type_and_kept_where_they_do_not_fit() {
    let db = Database::sqlite();
    let dialect = db.open().await;
    for sql in [
        "CREATE TABLE t (id INTEGER PRIMARY KEY, b BOOLEAN, c DATETIME, e JSON, f REAL)",
        "INSERT INTO t VALUES (1, 1, '2024-01-01 10:00:00', '{\"a\":[1]}', 2)",
        "INSERT INTO t VALUES (2, 7, 'yesterday', 'no json', 'text')",
        "INSERT INTO t VALUES (3, 0, 'infinity', NULL, NULL)",
    ] {
        dialect.execute_run(sql, Vec::new()).await.unwrap();
    }
    let store = dialect.tables().unwrap();
    let table = store.describe("t").await.unwrap().unwrap();
    let rows = store.fetch(&table, &[vec![1.into()], vec![2.into()], vec![3.into()]]).await.unwrap();
    let ten = Timestamp::parse_iso("2024-01-01T10:00:00Z").unwrap();
    let document = Value::object([("a", Value::Array(vec![1.into()]))]);
    assert_eq!(rows[0], [Value::Int64(1), true.into(), Value::Timestamp(ten), document, 2.0.into()]);
    assert_eq!(
        rows[1],
        [Value::Int64(2), Value::Int64(7), "yesterday".into(), "no json".into(), "text".into()]
    );
    assert_eq!(
        rows[2],
        [Value::Int64(3), false.into(), Value::Timestamp(Timestamp::INFINITY), Value::Null, Value::Null]
    );
}

#[tokio::test]
async fn every_column_type_has_a_place() {
    let db = Database::sqlite();
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let types = [
        (ColumnType::Bool, ColumnType::Int64),
        (ColumnType::Int16, ColumnType::Int64),
        (ColumnType::Int64, ColumnType::Int64),
        (ColumnType::Decimal(Some((10, 2))), ColumnType::Text(None)),
        (ColumnType::Float32, ColumnType::Float64),
        (ColumnType::Timestamp { zoned: true }, ColumnType::Text(None)),
        (ColumnType::Json, ColumnType::Text(None)),
        (ColumnType::Array(Box::new(ColumnType::Int32)), ColumnType::Text(None)),
        (ColumnType::Bytes, ColumnType::Bytes),
        (ColumnType::Native("hstore".to_owned()), ColumnType::Text(None)),
        (ColumnType::Any, ColumnType::Any),
    ];
    let columns = types.iter().enumerate().map(|(i, (column_type, _))| data::table::TableColumn {
        name: format!("c{i}"),
        column_type: column_type.clone(),
        nullable: true,
        generated: false,
    });
    let source =
        Table { name: "t".to_owned(), columns: columns.collect(), key: vec![2], references: Vec::new() };
    let table = store.create_like(&source).await.unwrap();
    for (column, (_, expected)) in table.columns.iter().zip(&types) {
        assert_eq!(&column.column_type, expected, "{}", column.name);
    }
}

#[tokio::test]
async fn a_snapshot_of_a_database_in_memory_is_a_copy_that_does_not_block_it() {
    let dialect = in_memory().await;
    let store = dialect.tables().unwrap();
    assert!(store.snapshot().await.is_ok(), "also of an empty one");
    for sql in ["CREATE TABLE t (id TEXT PRIMARY KEY)", "INSERT INTO t VALUES ('a')"] {
        dialect.execute_run(sql, Vec::new()).await.unwrap();
    }
    let table = Arc::new(store.describe("t").await.unwrap().unwrap());
    let snapshot = store.snapshot().await.unwrap();
    let mut stream = snapshot.scan(Arc::clone(&table), ScanOptions::default()).await.unwrap();
    store.insert(&table, &RowBatch::Rows(vec![vec!["b".into()]])).await.unwrap();
    let RowBatch::Rows(rows) = stream.recv().await.unwrap().unwrap() else { panic!("rows were asked for") };
    assert_eq!(rows, [["a".into()]]);
}

#[tokio::test]
async fn a_column_added_by_another_connection_does_not_hide_rows() {
    let db = Database::sqlite();
    let (one, other) = (db.open().await, db.open().await);
    for sql in ["CREATE TABLE t (id TEXT PRIMARY KEY)", "INSERT INTO t VALUES ('a')"] {
        one.execute_run(sql, Vec::new()).await.unwrap();
    }
    let all = "SELECT * FROM t";
    assert_eq!(one.execute_query(all, Vec::new()).await.unwrap()[0].len(), 1);
    other.execute_run("ALTER TABLE t ADD COLUMN more TEXT", Vec::new()).await.unwrap();
    assert_eq!(one.execute_query(all, Vec::new()).await.unwrap()[0].len(), 2);
    assert_eq!(
        one.execute_query("WITH x AS (SELECT * FROM t) SELECT * FROM x", Vec::new()).await.unwrap()[0].len(),
        2
    );
}
