//! Values at the limits of what databases hold: they come back as they went, or are refused as values.

use data::{ErrorKind, Filter, FindOptions, Record, Value};
use serde_json::json;

use crate::databases::targets;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_a_database_cannot_hold_is_refused_and_never_another_one() {
    let schema = data::EntitySchema::from_json(&json!({"name": "Limits", "fields": {
        "text": {"type": "text"}, "number": {"type": "number"}, "date": {"type": "date"}, "json": {"type": "json"}
    }}));
    let schema = std::sync::Arc::new(schema.unwrap());
    let deep = (0..60).fold(Value::from(1), |value, _| Value::Array(vec![Value::object([("k", value)])]));
    let values = [
        ("date", "-004000-01-01T00:00:00.000Z".into()),
        ("date", "+010000-01-01T00:00:00.000Z".into()),
        ("date", "+200000-12-31T23:59:59.999Z".into()),
        ("number", Value::Float(f64::MAX)),
        ("number", Value::Float(-f64::MIN_POSITIVE)),
        ("number", Value::Float(f64::from_bits(1))),
        ("number", Value::Float(f64::INFINITY)),
        ("number", Value::Float(f64::NEG_INFINITY)),
        ("number", Value::Float(f64::NAN)),
        ("number", Value::Int64(i64::MAX)),
        ("number", Value::Int64(1 << 53)),
        ("text", "a\0b".into()),
        ("text", Value::Text("é".repeat(100_000))),
        ("json", deep),
        (
            "json",
            Value::object([
                ("n", Value::Int64(i64::MAX)),
                ("", Value::Float(1e300)),
                ("s", "\u{1}\u{fffd}".into()),
            ]),
        ),
    ];
    for target in targets().await {
        target.dialect.init_schema(std::slice::from_ref(&schema)).await.unwrap();
        for (number, (field, value)) in values.iter().enumerate() {
            let id = Value::Text(number.to_string());
            let row =
                Record::from_iter([("id".to_owned(), id.clone()), ((*field).to_owned(), value.clone())]);
            let place = format!("{} {field} {number}", target.kind.name());
            match target.dialect.create(&schema, row).await {
                Err(error) => assert_eq!(error.kind(), ErrorKind::Value, "{place}: {error}"),
                Ok(_) => {
                    let by_id = Filter::eq("id", id);
                    let found = target.dialect.find(&schema, &by_id, &FindOptions::default()).await.unwrap();
                    let expected = match (*field, value) {
                        ("date", Value::Text(text)) => {
                            Value::Timestamp(data::Timestamp::parse_iso(text).unwrap())
                        }
                        _ => value.clone(),
                    };
                    assert!(found[0][*field].same_as(&expected), "{place}: {:?}", found[0][*field]);
                }
            }
        }
        target.dialect.drop_schema(std::slice::from_ref(&schema)).await.unwrap();
        target.dialect.disconnect().await.unwrap();
    }
}
