//! MariaDB's own ways with tables: declared types, unique indexes beside the key, digits of a second.

use std::sync::Arc;

use data::table::{
    ChangedSince, ColumnType, RowBatch, ScanOptions, StoredForm, Table, TableColumn, TableStore,
};
use data::{ErrorKind, Timestamp, Value};

use crate::database::Database;

fn column(name: &str, column_type: ColumnType) -> TableColumn {
    TableColumn { name: name.to_owned(), column_type, nullable: true, generated: false }
}

#[tokio::test]
async fn declared_types_are_understood_and_their_values_read() {
    let dialect = Database::mariadb().open().await;
    for sql in [
        "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), b BOOLEAN, c DATETIME(3), d DATE, e JSON, f DOUBLE, \
         g FLOAT, h BLOB, i DECIMAL(10,2), j BIGINT UNSIGNED, k BIT(8), l ENUM('x','y'), m YEAR, n TIMESTAMP(6) NULL, \
         o LONGTEXT, p TIME(6), q UUID)",
        "INSERT INTO t VALUES (1, 'é', 1, '2024-01-01 10:00:00.5', '2024-02-29', '{\"a\": [1]}', 0.1, 0.1, x'00ff', 1.5, \
         18446744073709551615, b'101', 'y', 2024, '2024-01-01 10:00:00.000001', 'long', '-100:00:00.25', \
         'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')",
    ] {
        dialect.execute_run(sql, Vec::new()).await.unwrap();
    }
    let store = dialect.tables().unwrap();
    assert_eq!(store.describe("T").await.unwrap(), None, "names differ by case");
    let table = store.describe("t").await.unwrap().unwrap();
    let decimal = |text: &str| Value::Decimal(text.into());
    let moment = |text: &str| Value::Timestamp(Timestamp::parse_iso(text).unwrap());
    let expected = [
        (ColumnType::Int32, 1.into()),
        (ColumnType::Text(Some(20)), "é".into()),
        (ColumnType::Bool, true.into()),
        (ColumnType::Timestamp { zoned: false }, moment("2024-01-01T10:00:00.500Z")),
        (ColumnType::Date, "2024-02-29".into()),
        (ColumnType::Json, Value::object([("a", Value::Array(vec![1.into()]))])),
        (ColumnType::Float64, 0.1.into()),
        (ColumnType::Float32, 0.1.into()),
        (ColumnType::Bytes, Value::Bytes(vec![0, 255].into())),
        (ColumnType::Decimal(Some((10, 2))), decimal("1.50")),
        (ColumnType::Decimal(Some((20, 0))), decimal("18446744073709551615")),
        (ColumnType::Int64, Value::Int64(5)),
        (ColumnType::Native("enum('x','y')".to_owned()), "y".into()),
        (ColumnType::Int16, 2024.into()),
        (ColumnType::Timestamp { zoned: true }, moment("2024-01-01T10:00:00.000001Z")),
        (ColumnType::Text(None), "long".into()),
        (ColumnType::Time, "-100:00:00.25".into()),
        (ColumnType::Uuid, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11".into()),
    ];
    let rows = store.fetch(&table, &[vec![1.into()]]).await.unwrap();
    assert_eq!(table.columns.len(), expected.len());
    for ((column, value), (column_type, expected)) in table.columns.iter().zip(&rows[0]).zip(&expected) {
        assert_eq!((&column.column_type, value), (column_type, expected), "{}", column.name);
    }
    let copy = store.create_like(&Table { name: "copy".to_owned(), ..table.clone() }).await.unwrap();
    store.insert(&copy, &RowBatch::Rows(rows.clone())).await.unwrap();
    store.upsert(&copy, &rows).await.unwrap();
    store.upsert(&table, &rows).await.unwrap();
    assert_eq!(store.fetch(&table, &[vec![1.into()]]).await.unwrap(), rows);
    let copied = store.fetch(&copy, &[vec![1.into()]]).await.unwrap();
    assert!(copied[0].iter().zip(&rows[0]).all(|(copied, original)| copied.same_as(original)), "{copied:?}");
}

#[tokio::test]
async fn every_column_type_has_a_place_in_keys_and_beside_them() {
    let dialect = Database::mariadb().open().await;
    let store = dialect.tables().unwrap();
    let types = [
        (ColumnType::Bool, ColumnType::Bool),
        (ColumnType::Int16, ColumnType::Int16),
        (ColumnType::Decimal(None), ColumnType::Decimal(Some((65, 30)))),
        (ColumnType::Decimal(Some((100, 50))), ColumnType::Text(None)),
        (ColumnType::Float32, ColumnType::Float64),
        (ColumnType::Text(None), ColumnType::Text(None)),
        (ColumnType::Text(Some(40)), ColumnType::Text(Some(40))),
        (ColumnType::Text(Some(100_000)), ColumnType::Text(None)),
        (ColumnType::Uuid, ColumnType::Text(Some(36))),
        (ColumnType::Timestamp { zoned: true }, ColumnType::Timestamp { zoned: false }),
        (ColumnType::Time, ColumnType::Time),
        (ColumnType::Interval, ColumnType::Text(Some(64))),
        (ColumnType::Array(Box::new(ColumnType::Int32)), ColumnType::Json),
        (ColumnType::Any, ColumnType::Json),
        (ColumnType::Native("hstore".to_owned()), ColumnType::Text(None)),
        (ColumnType::Bytes, ColumnType::Bytes),
        (ColumnType::ObjectId, ColumnType::Text(Some(24))),
    ];
    let columns: Vec<_> = types
        .iter()
        .enumerate()
        .map(|(i, (own_type, _))| column(&format!("c{i}"), own_type.clone()))
        .collect();
    for key in [vec![0], vec![5], vec![5, 6, 1], vec![2, 9], vec![12, 13], vec![14], vec![15, 8]] {
        let name = format!("t{}", key.iter().map(ToString::to_string).collect::<Vec<_>>().join("_"));
        let source = Table { name, columns: columns.clone(), key: key.clone(), references: Vec::new() };
        let table = store.create_like(&source).await.unwrap();
        assert_eq!(table.key, key);
        for (position, (column, (_, expected))) in table.columns.iter().zip(&types).enumerate() {
            assert!(key.contains(&position) || column.column_type == *expected, "{}: {column:?}", table.name);
        }
    }
}

#[tokio::test]
async fn a_row_that_collides_on_another_unique_index_is_not_overwritten() {
    let dialect = Database::mariadb().open().await;
    let sql = "CREATE TABLE t (id VARCHAR(20) PRIMARY KEY, email VARCHAR(50) UNIQUE, n INT)";
    dialect.execute_run(sql, Vec::new()).await.unwrap();
    let store = dialect.tables().unwrap();
    let table = store.describe("t").await.unwrap().unwrap();
    let row = |id: &str, email: &str, n: i32| vec![Value::from(id), Value::from(email), Value::Int32(n)];
    store.insert(&table, &RowBatch::Rows(vec![row("a", "x", 1), row("b", "y", 2)])).await.unwrap();
    for rows in [[row("a", "x", 9), row("c", "y", 3)], [row("a", "y", 9), row("b", "z", 9)]] {
        let error = store.upsert(&table, &rows).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UniqueViolation);
        assert_eq!(error.report().unwrap().table.as_deref(), Some("t"));
    }
    let mut stored =
        store.fetch(&table, &[vec!["a".into()], vec!["b".into()], vec!["c".into()]]).await.unwrap();
    stored.sort_by_key(|row| format!("{row:?}"));
    assert_eq!(stored, [row("a", "x", 1), row("b", "y", 2)], "all of a batch or none");
    store.upsert(&table, &[row("b", "y2", 4), row("c", "y", 3)]).await.unwrap();
}

#[tokio::test]
async fn keys_that_a_table_of_others_takes_for_the_same_are_told_apart() {
    let dialect = Database::mariadb().open().await;
    let sql = "CREATE TABLE t (id VARCHAR(20) PRIMARY KEY, n INT) COLLATE utf8mb4_general_ci";
    dialect.execute_run(sql, Vec::new()).await.unwrap();
    let store = dialect.tables().unwrap();
    let table = store.describe("t").await.unwrap().unwrap();
    store.insert(&table, &RowBatch::Rows(vec![vec!["A".into(), 1.into()]])).await.unwrap();
    assert!(store.fetch(&table, &[vec!["a".into()]]).await.unwrap().is_empty());
    assert_eq!(store.delete(&table, &[vec!["a".into()]]).await.unwrap(), 0);
    let error = store.upsert(&table, &[vec!["a".into(), 2.into()]]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniqueViolation);
    assert_eq!(store.fetch(&table, &[vec!["A".into()]]).await.unwrap(), [[Value::from("A"), 1.into()]]);
}

#[tokio::test]
async fn a_column_tells_in_which_form_it_keeps_values() {
    let dialect = Database::mariadb().open().await;
    let sql =
        "CREATE TABLE t (id INT PRIMARY KEY, a DATETIME, b DATETIME(3), c DATETIME(6), d TIME, e CHAR(3))";
    dialect.execute_run(sql, Vec::new()).await.unwrap();
    let store = dialect.tables().unwrap();
    let table = store.describe("t").await.unwrap().unwrap();
    let (same, seconds) = (StoredForm::Same, StoredForm::Seconds);
    let forms = [same.clone(), seconds(0), seconds(3), same, StoredForm::Span(0), StoredForm::Trimmed];
    assert_eq!(store.stored_forms(&table), forms);
}

/// The keys of the rows that changed since a moment by one or two columns.
async fn changed(
    store: &dyn TableStore,
    table: &Table,
    columns: (&str, Option<&str>),
    since: &str,
) -> Vec<i32> {
    let (column, or_column) = (columns.0.to_owned(), columns.1.map(str::to_owned));
    let moment = Timestamp::parse_iso(since).unwrap();
    let changed_since = Some(ChangedSince { column, or_column, moment });
    let snapshot = store.snapshot().await.unwrap();
    let options = ScanOptions { changed_since, ..ScanOptions::default() };
    let mut batches = snapshot.scan(Arc::new(table.clone()), options).await.unwrap();
    let mut keys = Vec::new();
    while let Some(batch) = batches.recv().await {
        keys.extend(batch.unwrap().into_rows().unwrap().into_iter().map(|row| match row[0] {
            Value::Int32(key) => key,
            ref other => panic!("{other:?}"),
        }));
    }
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn rows_that_changed_are_found_by_any_column_of_moments() {
    let dialect = Database::mariadb().open().await;
    for sql in [
        "CREATE TABLE t (id INT PRIMARY KEY, whole DATETIME, exact DATETIME(6), stamp TIMESTAMP(3) NULL, day DATE, \
         text VARCHAR(30), deleted DATETIME(3))",
        "INSERT INTO t VALUES
         (1, '2024-01-01 11:59:59', '2024-01-01 11:59:59.999999', '2024-01-01 11:59:59.999', '2024-01-01', 'x', NULL),
         (2, '2024-01-01 12:00:00', '2024-01-01 12:00:00.7', '2024-01-01 12:00:00.7', '2024-01-01', 'x',
          '2024-01-01 12:00:01'),
         (3, NULL, NULL, NULL, NULL, NULL, '2023-01-01 00:00:00')",
        "SET sql_mode = ''; INSERT INTO t VALUES (4, '0000-00-00', '0000-00-00', '0000-00-00', '0000-00-00', '', NULL)",
    ] {
        dialect.execute_run(sql, Vec::new()).await.unwrap();
    }
    let store = dialect.tables().unwrap();
    let table = store.describe("t").await.unwrap().unwrap();
    let noon = "2024-01-01T12:00:00.500Z";
    let found = async |columns, since| changed(store, &table, columns, since).await;
    assert_eq!(found(("whole", None), noon).await, [2, 3, 4], "the column has cut half a second off");
    assert_eq!(found(("exact", None), noon).await, [2, 3, 4]);
    assert_eq!(found(("stamp", None), noon).await, [2, 3, 4]);
    assert_eq!(found(("exact", None), "2024-01-01T12:00:00.701Z").await, [3, 4]);
    assert_eq!(found(("exact", Some("deleted")), "2024-01-01T12:00:00.701Z").await, [2, 3, 4]);
    for columns in [("day", None), ("text", None), ("exact", Some("text")), ("exact", Some("none"))] {
        assert_eq!(found(columns, noon).await, [1, 2, 3, 4], "{columns:?} holds no moments");
    }
    assert_eq!(found(("exact", None), "+010000-01-01T00:00:00Z").await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn the_clock_stands_at_the_oldest_transaction_that_may_still_write() {
    let dialect = Database::mariadb().open().await;
    dialect.execute_run("CREATE TABLE t (id INT PRIMARY KEY)", Vec::new()).await.unwrap();
    let store = dialect.tables().unwrap();
    let transaction = dialect.begin(None).await.unwrap();
    transaction.execute_run("INSERT INTO t VALUES (1)", Vec::new()).await.unwrap();
    let begun = Timestamp::now();
    reaches(store, |clock| clock <= begun).await;
    transaction.commit().await.unwrap();
    reaches(store, |clock| clock > begun).await;
}

/// InnoDB only looks at its transactions again when nobody has asked for a tenth of a second, and other tests have some of
/// their own.
async fn reaches(store: &dyn TableStore, expected: impl Fn(Timestamp) -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !expected(store.clock().await.unwrap()) {
        assert!(std::time::Instant::now() < deadline, "the clock never stood as expected");
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
}

#[tokio::test]
async fn long_rows_are_divided_into_statements_that_the_server_takes() {
    let dialect = Database::mariadb().open().await;
    let store = dialect.tables().unwrap();
    let columns = vec![column("id", ColumnType::Int64), column("b", ColumnType::Bytes)];
    let source = Table { name: "t".to_owned(), columns, key: vec![0], references: Vec::new() };
    let table = Arc::new(store.create_like(&source).await.unwrap());
    let row = |id: i64, bytes: usize| vec![Value::Int64(id), Value::Bytes(vec![7; bytes].into())];
    let rows: Vec<_> = (0..10).map(|id| row(id, 5 << 20)).chain([row(10, 20 << 20), row(11, 1)]).collect();
    store.insert(&table, &RowBatch::Rows(rows)).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    let mut batches = snapshot.scan(Arc::clone(&table), ScanOptions::default()).await.unwrap();
    let mut lengths = Vec::new();
    while let Some(batch) = batches.recv().await {
        for row in batch.unwrap().into_rows().unwrap() {
            let Value::Bytes(bytes) = &row[1] else { panic!("{row:?}") };
            lengths.push(bytes.len());
        }
    }
    assert_eq!(lengths, [vec![5 << 20; 10], vec![20 << 20, 1]].concat());
    let error = store.insert(&table, &RowBatch::Rows(vec![row(12, 1), row(13, 40 << 20)])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert_eq!(store.estimate_rows(&table).await.unwrap(), Some(12));
}
