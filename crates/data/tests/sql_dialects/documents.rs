//! JSON fields: nothing in them becomes something else in silence.

use std::sync::Arc;

use data::table::{RowBatch, ScanOptions};
use data::{EntitySchema, ErrorKind, Filter, FindOptions, Record, Value};
use serde_json::json;

use crate::database::{Database, filter, schema};

crate::behaviours!(
    what_json_cannot_hold_is_refused_by_its_place,
    numbers_in_json_keep_their_digits_and_their_type,
    what_another_program_wrote_comes_as_javascript_would_parse_it,
    the_null_of_json_is_told_from_a_missing_value,
);

fn document() -> Arc<EntitySchema> {
    schema(
        json!({"name": "Doc", "collection": "docs", "fields": {"data": {"type": "json"}, "list": {"type": "array"}}}),
    )
}

fn row<const N: usize>(entries: [(&str, Value); N]) -> Record {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

async fn what_json_cannot_hold_is_refused_by_its_place(db: &Database) {
    let schema = document();
    let dialect = db.with(&[&schema]).await;
    let id = Value::from("1");
    dialect
        .create(&schema, row([("id", id.clone()), ("list", Value::Array(vec![Value::Null]))]))
        .await
        .unwrap();
    let nested = |value: Value| Value::object([("a", Value::Array(vec![Value::Int32(1), value]))]);
    for (value, what) in [
        (Value::Float(f64::NAN), "NaN or Infinity"),
        (Value::Float(f64::NEG_INFINITY), "NaN or Infinity"),
        (Value::Bytes(vec![1, 2].into()), "bytes"),
    ] {
        for (result, place) in [
            (
                dialect.create(&schema, row([("data", nested(value.clone()))])).await.map(drop),
                "Doc.data.a[1]",
            ),
            (
                dialect.update(&schema, &id, row([("data", nested(value.clone()))])).await.map(drop),
                "Doc.data.a[1]",
            ),
            (dialect.create(&schema, row([("data", value.clone())])).await.map(drop), "Doc.data"),
            (
                dialect.add_to_set(&schema, &id, "list", nested(value.clone())).await.map(drop),
                "Doc.list.a[1]",
            ),
            (dialect.pull(&schema, &id, "list", &value).await.map(drop), "Doc.list"),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Value, "{error}");
            let message = error.to_string();
            assert!(message.starts_with(&format!("{place}: JSON cannot hold {what}")), "{message}");
        }
        let by = Filter::eq("data", nested(value));
        let error = dialect.find(&schema, &by, &FindOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter, "{error}");
        assert!(error.to_string().contains("\"data\".a[1]"), "{error}");
    }
    let left = dialect.find(&schema, &Filter::everything(), &FindOptions::default()).await.unwrap();
    assert_eq!((left.len(), &left[0]["list"]), (1, &Value::Array(vec![Value::Null])));
}

async fn numbers_in_json_keep_their_digits_and_their_type(db: &Database) {
    let schema = document();
    let dialect = db.with(&[&schema]).await;
    let numbers = [
        Value::Float(1e17),
        Value::Float(2f64.powi(60)),
        Value::Float(1e300),
        Value::Float(0.1),
        Value::Int32(7),
        Value::Int64(9_007_199_254_740_993),
        Value::Int64(i64::MIN),
        Value::Int64(i64::MAX),
        Value::Decimal("18446744073709551615".into()),
    ];
    let data = Value::Array(numbers.to_vec());
    dialect
        .create(&schema, row([("id", "1".into()), ("data", data.clone()), ("list", data.clone())]))
        .await
        .unwrap();
    // A change of one item leaves the others as they are.
    dialect.add_to_set(&schema, &"1".into(), "list", "x".into()).await.unwrap();
    dialect.pull(&schema, &"1".into(), "list", &"x".into()).await.unwrap();
    let found = dialect.find(&schema, &filter(json!({"id": "1"})), &FindOptions::default()).await.unwrap();
    assert_eq!(found[0]["data"], data);
    assert_eq!(found[0]["list"], data);
    for number in [&numbers[0], &numbers[5]] {
        assert_eq!(
            dialect.count(&schema, &Filter::eq("list", number.clone()), false).await.unwrap(),
            1,
            "{number:?}"
        );
    }
}

async fn what_another_program_wrote_comes_as_javascript_would_parse_it(db: &Database) {
    let schema = document();
    let dialect = db.with(&[&schema]).await;
    let text = "{\"a\": [100000000000000000, 1e17, 1152921504606847000, 9007199254740993]}";
    let insert = format!("INSERT INTO docs (id, data) VALUES ('1', '{text}')");
    dialect.execute_run(&insert, Vec::new()).await.unwrap();
    let found = dialect.find(&schema, &Filter::everything(), &FindOptions::default()).await.unwrap();
    let expected = [
        Value::Float(1e17),
        Value::Float(1e17),
        Value::Float(2f64.powi(60)),
        Value::Int64(9_007_199_254_740_993),
    ];
    assert_eq!(found[0]["data"], Value::object([("a", Value::Array(expected.to_vec()))]));
}

async fn the_null_of_json_is_told_from_a_missing_value(db: &Database) {
    let schema = document();
    let dialect = db.with(&[&schema]).await;
    dialect.execute_run("INSERT INTO docs (id, data) VALUES ('1', 'null')", Vec::new()).await.unwrap();
    dialect.execute_run("INSERT INTO docs (id) VALUES ('2')", Vec::new()).await.unwrap();
    // An application sees one null.
    let found =
        dialect.find(&schema, &Filter::eq("data", Value::Null), &FindOptions::default()).await.unwrap();
    assert_eq!(found.iter().map(|row| &row["data"]).collect::<Vec<_>>(), [&Value::Null, &Value::Null]);

    let store = dialect.tables().unwrap();
    let mut table = store.describe("docs").await.unwrap().unwrap();
    data::table::overlay_schema(&mut table, &schema, false);
    let read = async || {
        let snapshot = store.snapshot().await.unwrap();
        let mut stream = snapshot.scan(Arc::new(table.clone()), ScanOptions::default()).await.unwrap();
        let mut rows = Vec::new();
        while let Some(batch) = stream.recv().await {
            match batch.unwrap() {
                RowBatch::Rows(batch) => rows.extend(batch),
                other => panic!("{other:?}"),
            }
        }
        rows.sort_by_key(|row| format!("{row:?}"));
        let data = table.position("data").unwrap();
        rows.iter().map(|row| row[data].clone()).collect::<Vec<_>>()
    };
    let both = [Value::JsonNull, Value::Null];
    assert_eq!(read().await, both);
    let snapshot = store.snapshot().await.unwrap();
    let mut stream = snapshot.scan(Arc::new(table.clone()), ScanOptions::default()).await.unwrap();
    let batch = stream.recv().await.unwrap().unwrap();
    drop((stream, snapshot));
    dialect.execute_run("DELETE FROM docs", Vec::new()).await.unwrap();
    store.insert(&table, &batch).await.unwrap();
    assert_eq!(read().await, both);
}
