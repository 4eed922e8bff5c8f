//! What transactions on tables do, the same for every database: included by the tests of each.

mod alter;

use std::sync::Arc;
use std::time::Duration;

use data::table::{
    ColumnType, Row, RowBatch, RowPatch, Table, TableColumn, TableStore, TableTransaction, coerce,
};
use data::{ConnectionConfig, Dialect, ErrorKind, Value, value_from_json};
use serde_json::json;

pub(crate) use alter::*;

/// Two databases of one server, fresh for a test.
pub(crate) struct Databases {
    pub(crate) own: ConnectionConfig,
    pub(crate) other: ConnectionConfig,
}

impl Databases {
    pub(crate) async fn open(&self) -> Arc<dyn Dialect> {
        data::connect(&self.own).await.unwrap()
    }
}

pub(crate) fn column(name: &str, column_type: ColumnType) -> TableColumn {
    TableColumn { name: name.to_owned(), column_type, nullable: true, generated: false }
}

pub(crate) fn table(name: &str, columns: Vec<TableColumn>, key: &[usize]) -> Table {
    Table { name: name.to_owned(), columns, key: key.to_vec(), references: Vec::new() }
}

/// Text key, number, text.
pub(crate) fn things(name: &str) -> Table {
    let columns = vec![
        column("id", ColumnType::Text(None)),
        column("n", ColumnType::Int64),
        column("t", ColumnType::Text(None)),
    ];
    table(name, columns, &[0])
}

pub(crate) fn thing(n: i64) -> Row {
    vec![Value::Text(format!("k{n}")), Value::Int64(n), Value::Text(format!("text {n}"))]
}

pub(crate) fn rows(range: std::ops::Range<i64>) -> Vec<Row> {
    range.map(thing).collect()
}

pub(crate) fn keys(range: std::ops::Range<i64>) -> Vec<Vec<Value>> {
    range.map(|n| vec![Value::Text(format!("k{n}"))]).collect()
}

pub(crate) fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

/// The things of these numbers that are there, as somebody else sees them.
async fn seen(store: &dyn TableStore, table: &Table, range: std::ops::Range<i64>) -> Vec<Row> {
    sorted(store.fetch(table, &keys(range)).await.unwrap())
}

async fn make(store: &dyn TableStore, name: &str, filled: std::ops::Range<i64>) -> Table {
    let table = store.create_like(&things(name)).await.unwrap();
    if !filled.is_empty() {
        store.insert(&table, &RowBatch::Rows(rows(filled))).await.unwrap();
    }
    table
}

pub(crate) async fn changes_of_two_tables_become_visible_together(db: &Databases) {
    let (dialect, reader) = (db.open().await, db.open().await);
    let (store, reader) = (dialect.tables().unwrap(), reader.tables().unwrap());
    let (a, b) = (make(store, "a", 0..2).await, make(store, "b", 0..0).await);
    let mut transaction = store.begin().await.unwrap();
    assert!(transaction.is_atomic());
    transaction.upsert(&a, &rows(1..3)).await.unwrap();
    transaction.insert(&b, &RowBatch::Rows(rows(0..3))).await.unwrap();
    assert_eq!(transaction.delete(&a, &keys(0..1)).await.unwrap(), 1);
    assert_eq!(seen(reader, &a, 0..5).await, rows(0..2));
    assert_eq!(seen(reader, &b, 0..5).await, rows(0..0));
    transaction.commit().await.unwrap();
    assert_eq!(seen(reader, &a, 0..5).await, rows(1..3));
    assert_eq!(seen(reader, &b, 0..5).await, rows(0..3));
}

pub(crate) async fn a_transaction_that_is_rolled_back_or_dropped_leaves_nothing(db: &Databases) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let table = make(store, "things", 0..1).await;
    let mut transaction = store.begin().await.unwrap();
    transaction.insert(&table, &RowBatch::Rows(rows(1..300))).await.unwrap();
    transaction.rollback().await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    transaction.upsert(&table, &rows(1..3)).await.unwrap();
    drop(transaction);
    // The next transaction waits for the end of the one dropped.
    let mut transaction = store.begin().await.unwrap();
    assert_eq!(transaction.fetch(&table, &keys(0..300)).await.unwrap(), rows(0..1));
    transaction.commit().await.unwrap();
    // One that was never used is no trouble either.
    store.begin().await.unwrap().commit().await.unwrap();
    store.begin().await.unwrap().rollback().await.unwrap();
    drop(store.begin().await.unwrap());
    store.insert(&table, &RowBatch::Rows(rows(1..2))).await.unwrap();
    assert_eq!(seen(store, &table, 0..3).await, rows(0..2));
}

pub(crate) async fn after_an_error_of_a_row_only_that_call_is_undone(db: &Databases) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let table = make(store, "things", 0..1).await;
    let mut transaction = store.begin().await.unwrap();
    transaction.upsert(&table, &rows(1..2)).await.unwrap();
    // Few rows and many take different ways on some databases.
    for last in [5, 700] {
        let mut batch = rows(10..last + 10);
        batch.push(thing(0));
        let error = transaction.insert(&table, &RowBatch::Rows(batch)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UniqueViolation, "{error}");
        let mut nameless = thing(9);
        nameless[0] = Value::Null;
        let error = transaction.upsert(&table, &[thing(8), nameless]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotNullViolation, "{error}");
        transaction.upsert(&table, &rows(2..3)).await.unwrap();
    }
    assert_eq!(sorted(transaction.fetch(&table, &keys(0..20)).await.unwrap()), rows(0..3));
    transaction.commit().await.unwrap();
    assert_eq!(seen(store, &table, 0..1000).await, rows(0..3));
}

pub(crate) async fn a_failed_first_call_leaves_the_transaction_usable(db: &Databases) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let table = make(store, "things", 0..1).await;
    let mut transaction = store.begin().await.unwrap();
    let error = transaction.insert(&table, &RowBatch::Rows(rows(0..1))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniqueViolation, "{error}");
    transaction.insert(&table, &RowBatch::Rows(rows(1..2))).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(seen(store, &table, 0..3).await, rows(0..2));
}

pub(crate) async fn a_patch_leaves_other_columns_alone_and_counts_the_rows_that_exist(db: &Databases) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let table = make(store, "things", 0..4).await;
    let patch = |n: i64, values: Vec<(usize, Value)>| RowPatch { key: vec![format!("k{n}").into()], values };
    let patches = [
        patch(0, vec![(1, Value::Int64(100))]),
        patch(1, vec![(2, Value::from("changed")), (1, Value::Null)]),
        patch(2, vec![(1, Value::Int64(102))]),
        patch(3, vec![]),
        patch(9, vec![(1, Value::Int64(109))]),
    ];
    let mut transaction = store.begin().await.unwrap();
    assert_eq!(transaction.patch(&table, &patches).await.unwrap(), 4);
    // A patch that changes nothing finds the row all the same.
    assert_eq!(transaction.patch(&table, &patches[..1]).await.unwrap(), 1);
    assert_eq!(transaction.patch(&table, &[]).await.unwrap(), 0);
    transaction.commit().await.unwrap();
    let expected = vec![
        vec!["k0".into(), Value::Int64(100), "text 0".into()],
        vec!["k1".into(), Value::Null, "changed".into()],
        vec!["k2".into(), Value::Int64(102), "text 2".into()],
        thing(3),
    ];
    assert_eq!(seen(store, &table, 0..10).await, expected);
}

pub(crate) async fn a_truncated_table_can_be_filled_again_in_the_transaction(db: &Databases) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let table = make(store, "things", 0..600).await;
    let mut transaction = store.begin().await.unwrap();
    transaction.truncate(&table).await.unwrap();
    transaction.upsert(&table, &rows(5..6)).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(seen(store, &table, 0..700).await.len(), 600);
    let mut transaction = store.begin().await.unwrap();
    transaction.upsert(&table, &rows(1..2)).await.unwrap();
    transaction.truncate(&table).await.unwrap();
    transaction.upsert(&table, &rows(5..6)).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(seen(store, &table, 0..700).await, rows(5..6));
}

pub(crate) async fn rows_that_were_fetched_are_changed_by_nobody_else(db: &Databases) {
    let (dialect, other) = (db.open().await, db.open().await);
    let (store, rival) = (dialect.tables().unwrap(), other.tables().unwrap());
    let table = make(store, "things", 0..2).await;
    let mut transaction = store.begin().await.unwrap();
    assert_eq!(transaction.fetch(&table, &keys(0..1)).await.unwrap(), rows(0..1));
    let patch = |n: i64| [RowPatch { key: vec!["k0".into()], values: vec![(1, Value::Int64(n))] }];
    transaction.patch(&table, &patch(1)).await.unwrap();
    let contender = async {
        let mut second = rival.begin().await?;
        second.fetch(&table, &keys(0..1)).await?;
        second.patch(&table, &patch(2)).await?;
        second.commit().await
    };
    let mut contender = std::pin::pin!(contender);
    // It waits, or gives up with a conflict, after which it would start again. It may also be too slow to have done either.
    let early = tokio::time::timeout(Duration::from_millis(300), &mut contender).await;
    assert!(!matches!(early, Ok(Ok(()))), "a row that another transaction has changed was written");
    transaction.commit().await.unwrap();
    let outcome = match early {
        Ok(outcome) => outcome,
        Err(_) => contender.await,
    };
    let last = match outcome {
        Ok(()) => 2,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
            1
        }
    };
    assert_eq!(seen(store, &table, 0..1).await[0][1], Value::Int64(last));
}

pub(crate) async fn very_many_rows_are_written_in_one_call(db: &Databases) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let table = make(store, "things", 0..0).await;
    let all = 12_345;
    let mut transaction = store.begin().await.unwrap();
    transaction.upsert(&table, &rows(0..all)).await.unwrap();
    transaction.upsert(&table, &rows(0..all)).await.unwrap();
    let patches: Vec<_> = (0..all)
        .map(|n| RowPatch { key: vec![format!("k{n}").into()], values: vec![(2, "new".into())] })
        .collect();
    assert_eq!(transaction.patch(&table, &patches).await.unwrap(), 12_345);
    assert_eq!(transaction.fetch(&table, &keys(0..all)).await.unwrap().len(), 12_345);
    assert_eq!(transaction.delete(&table, &keys(0..all - 1)).await.unwrap(), 12_344);
    transaction.commit().await.unwrap();
    let left = seen(store, &table, 0..all).await;
    assert_eq!(left, [vec!["k12344".into(), Value::Int64(12_344), "new".into()]]);
}

pub(crate) async fn keys_of_several_columns_find_their_rows(db: &Databases) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let columns = vec![
        column("b", ColumnType::Text(Some(20))),
        column("v", ColumnType::Int64),
        column("a", ColumnType::Int64),
    ];
    let table = store.create_like(&table("pairs", columns, &[2, 0])).await.unwrap();
    let row = |a: i64, b: &str, v: i64| vec![Value::from(b), Value::Int64(v), Value::Int64(a)];
    let key = |a: i64, b: &str| vec![Value::Int64(a), Value::from(b)];
    let mut transaction = store.begin().await.unwrap();
    transaction.upsert(&table, &[row(1, "x", 1), row(1, "y", 2), row(2, "x", 3)]).await.unwrap();
    transaction.upsert(&table, &[row(1, "y", 20)]).await.unwrap();
    let patch = RowPatch { key: key(2, "x"), values: vec![(1, Value::Int64(30))] };
    assert_eq!(transaction.patch(&table, &[patch]).await.unwrap(), 1);
    assert_eq!(transaction.delete(&table, &[key(1, "x"), key(2, "y")]).await.unwrap(), 1);
    let found = transaction.fetch(&table, &[key(1, "x"), key(1, "y"), key(2, "x")]).await.unwrap();
    assert_eq!(sorted(found), [row(2, "x", 30), row(1, "y", 20)]);
    transaction.commit().await.unwrap();
}

/// What this library keeps in tables of its own.
pub(crate) async fn tables_of_our_own_are_written_like_others(db: &Databases) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let columns = vec![
        column("rule", ColumnType::Text(None)),
        column("ordinal", ColumnType::Int64),
        column("done", ColumnType::Bool),
        column("position", ColumnType::Text(None)),
        column("details", ColumnType::Json),
        column("at", ColumnType::Timestamp { zoned: true }),
    ];
    let table = store.create_like(&table("replicaverse_checkpoint", columns, &[0])).await.unwrap();
    let moment = Value::Timestamp(data::Timestamp::from_millis(1_700_000_000_123));
    let details = value_from_json(json!({"a": [1, "x", null]}));
    let limits = store.limits();
    let row = |rule: &str, done: bool, position: Value| -> Row {
        let number = Value::Int64(i64::MAX);
        let values = [rule.into(), number, done.into(), position, details.clone(), moment.clone()];
        let columns = table.columns.iter().zip(values);
        columns.map(|(column, value)| coerce(value, &column.column_type, &limits).unwrap().value).collect()
    };
    let mut transaction = store.begin().await.unwrap();
    transaction
        .upsert(&table, &[row("r1", false, Value::Null), row("r2", true, "0/1".into())])
        .await
        .unwrap();
    transaction.upsert(&table, &[row("r1", true, "0/2".into())]).await.unwrap();
    transaction.commit().await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    let found = transaction.fetch(&table, &[vec!["r1".into()], vec!["r2".into()]]).await.unwrap();
    assert_eq!(sorted(found), [row("r1", true, "0/2".into()), row("r2", true, "0/1".into())]);
    transaction.commit().await.unwrap();
    assert!(store.list_tables().await.unwrap().is_empty());
}

pub(crate) async fn an_identity_is_that_of_the_database_over_any_connection(db: &Databases) {
    let (first, second) = (db.open().await, db.open().await);
    let other = data::connect(&db.other).await.unwrap();
    let identity = first.tables().unwrap().identity().await.unwrap();
    assert_eq!(second.tables().unwrap().identity().await.unwrap(), identity);
    assert_ne!(other.tables().unwrap().identity().await.unwrap(), identity);
}

pub(crate) async fn the_clock_of_the_database_goes_forward(db: &Databases) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let (first, second) = (store.now().await.unwrap(), store.now().await.unwrap());
    let ours = data::Timestamp::now();
    assert!(first <= second, "{first} {second}");
    assert!(second.0.abs_diff(ours.0) < 60_000_000, "{second} {ours}");
}

/// What was begun ends in whatever way, and the connection goes back clean.
pub(crate) async fn transactions_follow_each_other_on_one_connection(db: &Databases) {
    let mut config = db.own.clone();
    (config.pool.min, config.pool.max) = (1, 1);
    let dialect = data::connect(&config).await.unwrap();
    let store = dialect.tables().unwrap();
    let table = make(store, "things", 0..0).await;
    for n in 0..6 {
        let mut transaction: Box<dyn TableTransaction> = store.begin().await.unwrap();
        transaction.upsert(&table, &rows(n..n + 1)).await.unwrap();
        match n % 3 {
            0 => transaction.commit().await.unwrap(),
            1 => transaction.rollback().await.unwrap(),
            _ => drop(transaction),
        }
    }
    assert_eq!(seen(store, &table, 0..10).await, [thing(0), thing(3)]);
}
