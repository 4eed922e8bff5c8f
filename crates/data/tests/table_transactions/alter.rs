//! Changes of columns on a table with rows.

use data::table::{ColumnChange, ColumnType, RowBatch};
use data::{ErrorKind, Value};

use super::{Databases, column, keys, rows, sorted, table};

fn add(name: &str, column_type: ColumnType) -> ColumnChange {
    ColumnChange::Add { name: name.to_owned(), column_type }
}

fn remove(name: &str) -> ColumnChange {
    ColumnChange::Drop { name: name.to_owned() }
}

fn rename(from: &str, to: &str) -> ColumnChange {
    ColumnChange::Rename { from: from.to_owned(), to: to.to_owned() }
}

fn retype(name: &str, column_type: ColumnType) -> ColumnChange {
    ColumnChange::Retype { name: name.to_owned(), column_type }
}

pub(crate) async fn columns_are_added_dropped_and_renamed_under_their_rows(db: &Databases) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let columns = vec![
        column("id", ColumnType::Text(None)),
        column("n", ColumnType::Int64),
        column("t", ColumnType::Text(None)),
    ];
    let created = store.create_like(&table("things", columns, &[0])).await.unwrap();
    store.insert(&created, &RowBatch::Rows(rows(0..3))).await.unwrap();
    let changes = [remove("t"), rename("n", "odd \"number\""), add("extra", ColumnType::Int64)];
    // Another process may have followed the same changes.
    for _ in 0..2 {
        let altered = store.alter("things", &changes).await.unwrap();
        let names: Vec<_> = altered.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!((names, &altered.key), (vec!["id", "odd \"number\"", "extra"], &vec![0]));
        let mut transaction = store.begin().await.unwrap();
        let found = sorted(transaction.fetch(&altered, &keys(0..3)).await.unwrap());
        let row = |n: i64, extra: Value| vec![Value::Text(format!("k{n}")), Value::Int64(n), extra];
        assert_eq!(found[1..], [row(1, Value::Null), row(2, Value::Null)]);
        transaction.upsert(&altered, &[row(0, Value::Int64(7))]).await.unwrap();
        transaction.commit().await.unwrap();
        let found = store.fetch(&altered, &keys(0..1)).await.unwrap();
        assert_eq!(found, [row(0, Value::Int64(7))]);
    }
    let error = store.alter("nothing", &changes).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTable, "{error}");
}

pub(crate) async fn the_values_of_a_column_are_converted_with_its_type(db: &Databases) {
    let dialect = db.open().await;
    let store = dialect.tables().unwrap();
    let columns = vec![
        column("id", ColumnType::Text(None)),
        column("n", ColumnType::Int64),
        column("t", ColumnType::Text(None)),
    ];
    let created = store.create_like(&table("things", columns, &[0])).await.unwrap();
    store.insert(&created, &RowBatch::Rows(rows(0..2))).await.unwrap();
    // What is read on this connection before the change does not stand in the way after it.
    let mut transaction = store.begin().await.unwrap();
    assert_eq!(sorted(transaction.fetch(&created, &keys(0..2)).await.unwrap()), rows(0..2));
    transaction.commit().await.unwrap();
    let row =
        |n: i64, value: Value| vec![Value::Text(format!("k{n}")), value, Value::Text(format!("text {n}"))];
    for _ in 0..2 {
        let altered = store.alter("things", &[retype("n", ColumnType::Text(None))]).await.unwrap();
        assert_eq!(altered.columns[1].column_type, ColumnType::Text(None));
        let mut transaction = store.begin().await.unwrap();
        let found = sorted(transaction.fetch(&altered, &keys(0..2)).await.unwrap());
        assert_eq!(found, [row(0, "0".into()), row(1, "1".into())]);
        transaction.commit().await.unwrap();
    }
    let altered = store.alter("things", &[retype("n", ColumnType::Int64)]).await.unwrap();
    assert_eq!(sorted(store.fetch(&altered, &keys(0..2)).await.unwrap()), rows(0..2));
    let error = store.alter("things", &[retype("missing", ColumnType::Int64)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Statement, "{error}");
}
