//! Tables as replication sees them: described, scanned, written in batches.

use std::sync::Arc;
use std::time::Duration;

use data::table::{ChangedSince, ColumnType, Row, RowBatch, ScanOptions, Table, TableColumn, TableStore};
use data::{Dialect, DialectKind, ErrorKind, Timestamp, Value};

use crate::database::Database;

crate::behaviours!(
    a_table_is_described_with_its_key_in_order,
    own_and_system_tables_are_not_listed,
    a_table_that_does_not_exist_is_none,
    a_table_is_created_like_another_and_completed,
    rows_come_back_as_they_were_inserted,
    a_scan_comes_in_bounded_batches,
    a_scan_sees_the_database_as_it_was,
    a_scan_reads_only_keys_or_one_entity_if_asked,
    a_scan_can_be_bounded_to_rows_that_changed,
    a_dropped_scan_frees_the_snapshot,
    a_second_scan_waits_for_the_first,
    a_failed_insert_leaves_nothing,
    rows_are_overwritten_and_deleted_by_key,
    of_rows_with_the_same_key_the_last_one_stays,
    types_that_an_entity_declares_are_read_from_others,
    keys_of_several_columns_are_looked_up,
    very_many_keys_are_looked_up,
    rows_may_come_before_those_they_refer_to,
    generated_columns_are_read_and_not_written,
    names_with_quotes_and_dots_work,
);

fn column(name: &str, column_type: ColumnType) -> TableColumn {
    TableColumn { name: name.to_owned(), column_type, nullable: true, generated: false }
}

/// A table of another database: text key, number, text.
fn foreign(name: &str) -> Table {
    let columns = vec![
        column("id", ColumnType::Text(None)),
        column("n", ColumnType::Int64),
        column("t", ColumnType::Text(None)),
    ];
    Table { name: name.to_owned(), columns, key: vec![0], references: Vec::new() }
}

fn rows(range: std::ops::Range<i64>) -> Vec<Row> {
    range
        .map(|n| vec![Value::Text(format!("k{n}")), Value::Int64(n), Value::Text(format!("text {n}"))])
        .collect()
}

async fn run(dialect: &dyn Dialect, statements: &[&str]) {
    for statement in statements {
        dialect.execute_run(statement, Vec::new()).await.unwrap();
    }
}

/// Reads a table to its end.
async fn read(store: &dyn TableStore, table: &Table, options: ScanOptions) -> Vec<Row> {
    let snapshot = store.snapshot().await.unwrap();
    let mut stream = snapshot.scan(Arc::new(table.clone()), options).await.unwrap();
    let mut rows = Vec::new();
    while let Some(batch) = stream.recv().await {
        match batch.unwrap() {
            RowBatch::Rows(batch) => rows.extend(batch),
            other => panic!("{other:?}"),
        }
    }
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

async fn read_all(store: &dyn TableStore, table: &Table) -> Vec<Row> {
    read(store, table, ScanOptions::default()).await
}

async fn a_table_is_described_with_its_key_in_order(db: &Database) {
    let dialect = db.open().await;
    run(&*dialect, &[
        "CREATE TABLE parent (id VARCHAR(40) PRIMARY KEY)",
        "CREATE TABLE child (a INTEGER NOT NULL, b VARCHAR(40) NOT NULL, c REAL, parent VARCHAR(40) REFERENCES parent (id), \
         again VARCHAR(40) REFERENCES parent (id), PRIMARY KEY (b, a))",
    ])
    .await;
    let table = dialect.tables().unwrap().describe("child").await.unwrap().unwrap();
    let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!((table.name.as_str(), names), ("child", vec!["a", "b", "c", "parent", "again"]));
    assert_eq!((table.key, table.references), (vec![1, 0], vec!["parent".to_owned()]));
    let nullable: Vec<_> = table.columns.iter().map(|column| column.nullable).collect();
    assert_eq!(nullable, [false, false, true, true, true]);
}

async fn own_and_system_tables_are_not_listed(db: &Database) {
    let dialect = db.open().await;
    run(
        &*dialect,
        &[
            "CREATE TABLE b (id VARCHAR(40) PRIMARY KEY)",
            &format!("CREATE TABLE {} (id TEXT)", db.quote("A b")),
            "CREATE TABLE replicaverse_checkpoint (id TEXT)",
            "CREATE VIEW v AS SELECT * FROM b",
        ],
    )
    .await;
    assert_eq!(dialect.tables().unwrap().list_tables().await.unwrap(), ["A b", "b"]);
}

async fn a_table_that_does_not_exist_is_none(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    assert_eq!(store.describe("nothing").await.unwrap(), None);
    assert!(store.is_empty(&foreign("nothing"), None).await.is_err());
    assert!(store.insert(&foreign("nothing"), &RowBatch::Rows(rows(0..1))).await.is_err());
}

async fn a_table_is_created_like_another_and_completed(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let table = store.create_like(&foreign("copies")).await.unwrap();
    assert_eq!((table.name.as_str(), &table.key), ("copies", &vec![0]));
    assert!(!table.columns[0].nullable && table.columns[1].nullable);
    assert_eq!(store.create_like(&foreign("copies")).await.unwrap(), table);
    let mut wider = foreign("copies");
    wider.columns.push(column("more", ColumnType::Bool));
    let table = store.create_like(&wider).await.unwrap();
    assert_eq!(table.columns.len(), 4);
    assert!(table.columns[3].nullable);
    assert!(store.is_empty(&table, None).await.unwrap());
}

async fn rows_come_back_as_they_were_inserted(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let table = store.create_like(&foreign("t")).await.unwrap();
    let odd = ["", "NULL", "\\N", "\\", "tab\tline\nreturn\r", "é🐘", "'\"", "\u{1}", "{\"a\":1}"];
    let mut written: Vec<Row> = odd
        .iter()
        .enumerate()
        .map(|(i, text)| {
            vec![Value::Text(format!("{i}{text}")), Value::Int64(i64::MIN + i as i64), Value::from(*text)]
        })
        .collect();
    written.push(vec!["null".into(), Value::Null, Value::Null]);
    store.insert(&table, &RowBatch::Rows(written.clone())).await.unwrap();
    written.sort_by_key(|row| format!("{row:?}"));
    assert_eq!(read_all(store, &table).await, written);
    assert!(!store.is_empty(&table, None).await.unwrap());
}

async fn a_scan_comes_in_bounded_batches(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let table = Arc::new(store.create_like(&foreign("t")).await.unwrap());
    store.insert(&table, &RowBatch::Rows(rows(0..25_000))).await.unwrap();
    let wide = Value::Text("x".repeat(1 << 20));
    let wide: Vec<Row> =
        (0..10).map(|i| vec![Value::Text(format!("w{i}")), Value::Null, wide.clone()]).collect();
    store.insert(&table, &RowBatch::Rows(wide)).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    let mut stream = snapshot.scan(Arc::clone(&table), ScanOptions::default()).await.unwrap();
    let mut total = 0;
    while let Some(batch) = stream.recv().await {
        let RowBatch::Rows(rows) = batch.unwrap() else { panic!("rows were asked for") };
        let bytes: usize = rows.iter().flatten().map(|value| value.as_text().map_or(8, str::len)).sum();
        assert!(rows.len() <= 10_500 && bytes <= 6 << 20, "{} rows, {bytes} bytes", rows.len());
        total += rows.len();
    }
    assert_eq!(total, 25_010);
}

async fn a_scan_sees_the_database_as_it_was(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let table = Arc::new(store.create_like(&foreign("t")).await.unwrap());
    store.insert(&table, &RowBatch::Rows(rows(0..10))).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    // PostgreSQL takes its snapshot with the first statement of the transaction.
    drop(snapshot.scan(Arc::clone(&table), ScanOptions::default()).await.unwrap());
    store.insert(&table, &RowBatch::Rows(rows(10..20))).await.unwrap();
    store.delete(&table, &[vec!["k0".into()]]).await.unwrap();
    let mut stream = snapshot.scan(Arc::clone(&table), ScanOptions::default()).await.unwrap();
    let RowBatch::Rows(seen) = stream.recv().await.unwrap().unwrap() else { panic!("rows were asked for") };
    assert_eq!(seen.len(), 10);
}

async fn a_scan_reads_only_keys_or_one_entity_if_asked(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let mut table = foreign("t");
    table.key = vec![2, 0];
    let table = store.create_like(&table).await.unwrap();
    store.insert(&table, &RowBatch::Rows(rows(0..2))).await.unwrap();
    let keys = read(store, &table, ScanOptions { keys_only: true, ..ScanOptions::default() }).await;
    assert_eq!(keys, [["text 0".into(), "k0".into()], ["text 1".into(), "k1".into()]]);
    let discriminator = data::schema::Discriminator { column: "t".to_owned(), value: "text 1".to_owned() };
    assert!(!store.is_empty(&table, Some(&discriminator)).await.unwrap());
    let options = ScanOptions { discriminator: Some(discriminator), ..ScanOptions::default() };
    assert_eq!(read(store, &table, options).await, rows(1..2));
    let quote = data::schema::Discriminator { column: "t".to_owned(), value: "' OR '1'='1".to_owned() };
    assert!(store.is_empty(&table, Some(&quote)).await.unwrap());
    let options = ScanOptions { discriminator: Some(quote), ..ScanOptions::default() };
    assert!(read(store, &table, options).await.is_empty());
}

async fn a_scan_can_be_bounded_to_rows_that_changed(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let columns = vec![
        column("id", ColumnType::Text(None)),
        column("updatedAt", ColumnType::Timestamp { zoned: true }),
    ];
    let table = Table { name: "changes".to_owned(), columns, key: vec![0], references: Vec::new() };
    let mut table = store.create_like(&table).await.unwrap();
    // As an entity declares it where the database keeps text.
    table.columns[1].column_type = ColumnType::Timestamp { zoned: true };
    let at = |iso: &str| Value::Timestamp(Timestamp::parse_iso(iso).unwrap());
    let far = match db.kind {
        DialectKind::Mariadb => "9999-05-01T12:00:00Z",
        _ => "+012024-05-01T12:00:00Z",
    };
    let rows = vec![
        vec!["old".into(), at("1969-12-31T23:59:59.999Z")],
        vec!["just before".into(), at("2024-05-01T11:59:59.990Z")],
        vec!["at".into(), at("2024-05-01T12:00:00Z")],
        vec!["after".into(), at("2024-05-01T12:00:00.000001Z")],
        vec!["far".into(), at(far)],
        vec!["never".into(), Value::Null],
    ];
    store.insert(&table, &RowBatch::Rows(rows)).await.unwrap();
    let moment = Timestamp::parse_iso("2024-05-01T12:00:00Z").unwrap();
    let changed_since = Some(ChangedSince { column: "updatedAt".to_owned(), or_column: None, moment });
    let found = read(store, &table, ScanOptions { changed_since, ..ScanOptions::default() }).await;
    let mut ids: Vec<_> = found.iter().map(|row| row[0].as_text().unwrap().to_owned()).collect();
    ids.sort();
    assert_eq!(ids, ["after", "at", "far", "never"]);
    let column = "updatedAt".to_owned();
    let either = ChangedSince { column: column.clone(), or_column: Some(column), moment };
    let options = ScanOptions { changed_since: Some(either), ..ScanOptions::default() };
    assert_eq!(read(store, &table, options).await, found);
    let skew = store.clock().await.unwrap().millis() - Timestamp::now().millis();
    assert!(skew.abs() < 60_000, "{skew} ms");
}

async fn a_dropped_scan_frees_the_snapshot(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let table = Arc::new(store.create_like(&foreign("t")).await.unwrap());
    let long = "x".repeat(2000);
    let long = |n: i64| vec![Value::Text(format!("k{n}")), Value::Int64(n), Value::Text(long.clone())];
    for start in [0, 10_000] {
        store.insert(&table, &RowBatch::Rows((start..start + 10_000).map(long).collect())).await.unwrap();
    }
    let snapshot = store.snapshot().await.unwrap();
    for _ in 0..3 {
        let mut stream = snapshot.scan(Arc::clone(&table), ScanOptions::default()).await.unwrap();
        stream.recv().await.unwrap().unwrap();
        drop(stream);
    }
    let whole = tokio::time::timeout(Duration::from_secs(20), async {
        let mut stream = snapshot.scan(Arc::clone(&table), ScanOptions::default()).await.unwrap();
        let mut total = 0;
        while let Some(batch) = stream.recv().await {
            let RowBatch::Rows(rows) = batch.unwrap() else { panic!("rows were asked for") };
            total += rows.len();
        }
        total
    });
    assert_eq!(whole.await.unwrap(), 20_000);
}

async fn a_second_scan_waits_for_the_first(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let table = Arc::new(store.create_like(&foreign("t")).await.unwrap());
    store.insert(&table, &RowBatch::Rows(rows(0..45_000))).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    let first = snapshot.scan(Arc::clone(&table), ScanOptions::default()).await.unwrap();
    let mut second = Box::pin(snapshot.scan(Arc::clone(&table), ScanOptions::default()));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut second).await;
    assert!(early.is_err(), "the first scan has rows left");
    drop(first);
    let mut second = second.await.unwrap();
    assert!(second.recv().await.unwrap().is_ok());
}

async fn a_failed_insert_leaves_nothing(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let table = store.create_like(&foreign("t")).await.unwrap();
    store.insert(&table, &RowBatch::Rows(rows(5000..5001))).await.unwrap();
    let error = store.insert(&table, &RowBatch::Rows(rows(0..9000))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniqueViolation);
    let null_key = vec![vec![Value::Null, Value::Null, Value::Null]];
    let error = store.insert(&table, &RowBatch::Rows(null_key)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotNullViolation);
    assert_eq!(read_all(store, &table).await, rows(5000..5001));
}

async fn rows_are_overwritten_and_deleted_by_key(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let table = store.create_like(&foreign("t")).await.unwrap();
    store.insert(&table, &RowBatch::Rows(rows(0..2500))).await.unwrap();
    let mut changed = rows(1000..4000);
    changed.iter_mut().for_each(|row| row[2] = Value::Null);
    store.upsert(&table, &changed).await.unwrap();
    store.upsert(&table, &[]).await.unwrap();
    let stored = read_all(store, &table).await;
    assert_eq!(stored.len(), 4000);
    assert_eq!(stored.iter().filter(|row| row[2].is_null()).count(), 3000);
    let keys: Vec<_> = (3000..5000).map(|n| vec![Value::Text(format!("k{n}"))]).collect();
    assert_eq!(store.delete(&table, &keys).await.unwrap(), 1000);
    assert_eq!(store.delete(&table, &[]).await.unwrap(), 0);
    assert_eq!(read_all(store, &table).await.len(), 3000);
}

async fn of_rows_with_the_same_key_the_last_one_stays(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let table = store.create_like(&foreign("t")).await.unwrap();
    let row = |n| vec!["k".into(), Value::Int64(n), Value::Null];
    store.upsert(&table, &[row(1), row(3), row(2)]).await.unwrap();
    assert_eq!(read_all(store, &table).await, [row(2)]);
}

async fn types_that_an_entity_declares_are_read_from_others(db: &Database) {
    let dialect = db.open().await;
    run(&*dialect, &[
        "CREATE TABLE t (id VARCHAR(40) PRIMARY KEY, at TEXT, flag INTEGER, doc TEXT)",
        "INSERT INTO t VALUES ('1', '2024-01-01T00:00:00Z', 1, '[1]'), ('2', '8 bytes.', 7, 'none'), ('3', NULL, NULL, NULL)",
    ])
    .await;
    let store = dialect.tables().unwrap();
    let mut table = store.describe("t").await.unwrap().unwrap();
    let entity = crate::database::schema(serde_json::json!({"name": "T", "fields": {
        "at": {"type": "date"}, "flag": {"type": "boolean"}, "doc": {"type": "json"}
    }}));
    data::table::overlay_schema(&mut table, &entity, false);
    let moment = Value::Timestamp(data::Timestamp::parse_iso("2024-01-01T00:00:00Z").unwrap());
    let seven = if db.kind == data::DialectKind::Sqlite { Value::Int64(7) } else { Value::Int32(7) };
    let expected = [
        vec!["1".into(), moment, true.into(), Value::Array(vec![1.into()])],
        vec!["2".into(), "8 bytes.".into(), seven, "none".into()],
        vec!["3".into(), Value::Null, Value::Null, Value::Null],
    ];
    let options = ScanOptions { binary_tuples: true, ..ScanOptions::default() };
    assert_eq!(read(store, &table, options).await, expected);
    let mut found =
        store.fetch(&table, &[vec!["1".into()], vec!["2".into()], vec!["3".into()]]).await.unwrap();
    found.sort_by_key(|row| format!("{row:?}"));
    assert_eq!(found, expected);
}

async fn keys_of_several_columns_are_looked_up(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let mut table = foreign("t");
    table.key = vec![1, 0];
    let table = store.create_like(&table).await.unwrap();
    store.insert(&table, &RowBatch::Rows(rows(0..10))).await.unwrap();
    let keys = [
        vec![Value::Int64(3), "k3".into()],
        vec![Value::Int64(4), "k3".into()],
        vec![Value::Int64(9), "k9".into()],
    ];
    let mut found = store.fetch(&table, &keys).await.unwrap();
    found.sort_by_key(|row| format!("{row:?}"));
    assert_eq!(found, [rows(3..4), rows(9..10)].concat());
    assert_eq!(store.delete(&table, &keys).await.unwrap(), 2);
    let mut only_keys = foreign("pairs");
    only_keys.columns.truncate(2);
    only_keys.key = vec![0, 1];
    let pairs = store.create_like(&only_keys).await.unwrap();
    let pair = vec![vec!["a".into(), Value::Int64(1)]];
    store.upsert(&pairs, &pair).await.unwrap();
    store.upsert(&pairs, &pair).await.unwrap();
    assert_eq!(read_all(store, &pairs).await, pair);
}

async fn very_many_keys_are_looked_up(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let table = store.create_like(&foreign("t")).await.unwrap();
    store.insert(&table, &RowBatch::Rows(rows(0..5))).await.unwrap();
    let keys: Vec<_> = (0..40_000).map(|n| vec![Value::Text(format!("k{n}"))]).collect();
    assert_eq!(store.fetch(&table, &keys).await.unwrap().len(), 5);
    assert_eq!(store.delete(&table, &keys).await.unwrap(), 5);
}

async fn rows_may_come_before_those_they_refer_to(db: &Database) {
    let dialect = db.open().await;
    run(
        &*dialect,
        &[
            "CREATE TABLE node (id VARCHAR(40) PRIMARY KEY, parent VARCHAR(40) REFERENCES node (id))",
            "CREATE TABLE leaf (id VARCHAR(40) PRIMARY KEY, node VARCHAR(40) NOT NULL REFERENCES node (id))",
        ],
    )
    .await;
    let store = dialect.tables().unwrap();
    let (node, leaf) =
        (store.describe("node").await.unwrap().unwrap(), store.describe("leaf").await.unwrap().unwrap());
    assert!(node.references.is_empty(), "a table does not count as referring to itself");
    store.insert(&leaf, &RowBatch::Rows(vec![vec!["l".into(), "b".into()]])).await.unwrap();
    store.upsert(&node, &[vec!["b".into(), "a".into()], vec!["a".into(), Value::Null]]).await.unwrap();
    let error = store.delete(&node, &[vec!["a".into()]]).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::ForeignKeyViolation,
        "a row that is still referred to does not vanish"
    );
    let error =
        dialect.execute_run("INSERT INTO leaf VALUES ('x', 'missing')", Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ForeignKeyViolation, "others are still bound by the key");
}

async fn generated_columns_are_read_and_not_written(db: &Database) {
    let dialect = db.open().await;
    run(&*dialect, &["CREATE TABLE g (id VARCHAR(40) PRIMARY KEY, n INTEGER, twice INTEGER GENERATED ALWAYS AS (n * 2) STORED)"]).await;
    let store = dialect.tables().unwrap();
    let table = store.describe("g").await.unwrap().unwrap();
    assert!(table.columns[2].generated);
    let number = |n| match table.columns[1].column_type {
        ColumnType::Int32 => Value::Int32(n),
        _ => Value::Int64(n.into()),
    };
    store.insert(&table, &RowBatch::Rows(vec![vec!["a".into(), number(1), number(99)]])).await.unwrap();
    store
        .upsert(&table, &[vec!["a".into(), number(2), number(99)], vec!["b".into(), number(3), Value::Null]])
        .await
        .unwrap();
    let expected = [vec!["a".into(), number(2), number(4)], vec!["b".into(), number(3), number(6)]];
    assert_eq!(read_all(store, &table).await, expected);
}

async fn names_with_quotes_and_dots_work(db: &Database) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let mut table = foreign("we\"ird na'me");
    table.columns[1].name = "n\"; DROP TABLE x; --".to_owned();
    let table = store.create_like(&table).await.unwrap();
    store.insert(&table, &RowBatch::Rows(rows(0..2))).await.unwrap();
    store.upsert(&table, &rows(1..3)).await.unwrap();
    assert_eq!(store.fetch(&table, &[vec!["k2".into()]]).await.unwrap(), rows(2..3));
    assert_eq!(store.delete(&table, &[vec!["k2".into()]]).await.unwrap(), 1);
    assert_eq!(read_all(store, &table).await, rows(0..2));
    let dotted = store.create_like(&foreign("other.things")).await.unwrap();
    assert_eq!(dotted.name, "other.things");
    store.insert(&dotted, &RowBatch::Rows(rows(0..2))).await.unwrap();
    assert_eq!(read_all(store, &dotted).await, rows(0..2));
    let listed = store.list_tables().await.unwrap();
    assert!(listed.contains(&"other.things".to_owned()), "{listed:?}");
}
