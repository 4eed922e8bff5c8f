//! Names that a database does not take as they are.

use data::{DialectKind, ErrorKind, Filter, FindOptions, Value};
use serde_json::json;

use crate::database::{Database, person, record, schema};

crate::behaviours!(
    a_key_that_cannot_be_a_column_is_refused,
    names_are_kept_whole_or_refused,
    indexes_with_long_names_are_all_made,
);

async fn a_key_that_cannot_be_a_column_is_refused(db: &Database) {
    let dialect = db.with(&[&person()]).await;
    dialect.create(&person(), record(json!({"id": "1", "name": "Ann"}))).await.unwrap();
    for key in ["", "$set", "$where", "a.b", "a\0b"] {
        for changed in [
            dialect.update(&person(), &"1".into(), record(json!({key: {"name": "Eve"}}))).await.map(drop),
            dialect.create(&person(), record(json!({"name": "Bob", key: 1}))).await.map(drop),
        ] {
            let error = changed.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Value, "{error}");
            assert!(error.to_string().contains("cannot be a column name"), "{error}");
        }
    }
    assert_eq!(dialect.count(&person(), &Filter::eq("name", "Ann"), false).await.unwrap(), 1);
}

async fn names_are_kept_whole_or_refused(db: &Database) {
    let dialect = db.with(&[&person()]).await;
    for length in [60, 63, 64, 65, 100] {
        let name = format!("{}é", "n".repeat(length - 2));
        let schema = schema(
            json!({"name": "Long", "collection": format!("c{length}"), "fields": {&name: {"type": "number"}}}),
        );
        let made = dialect.init_schema(&[std::sync::Arc::clone(&schema)]).await;
        let added = dialect.create(&person(), record(json!({"name": format!("{length}"), &name: 7}))).await;
        let most = match db.kind {
            DialectKind::Sqlite => usize::MAX,
            DialectKind::Postgres => 63,
            _ => 65,
        };
        assert_eq!((made.is_ok(), added.is_ok()), (length <= most, length <= most), "{length}");
        if let Ok(added) = added {
            assert_eq!(added[&name].as_f64(), Some(7.0));
            dialect.create(&schema, record(json!({&name: 8}))).await.unwrap();
            let found =
                dialect.find(&schema, &Filter::eq(&name, Value::Int32(8)), &FindOptions::default()).await;
            assert_eq!(found.unwrap().len(), 1);
        }
    }
}

async fn indexes_with_long_names_are_all_made(db: &Database) {
    let collection = "c".repeat(60);
    let schema = schema(json!({"name": "Long", "collection": collection,
        "fields": {"a": {"type": "string"}, "b": {"type": "string"}},
        "indexes": [{"fields": {"a": "asc"}, "unique": true}, {"fields": {"b": "asc"}, "unique": true}]}));
    let dialect = db.with(&[&schema]).await;
    dialect.init_schema(&[std::sync::Arc::clone(&schema)]).await.unwrap();
    dialect.create(&schema, record(json!({"a": "1", "b": "1"}))).await.unwrap();
    for taken in [json!({"a": "1", "b": "2"}), json!({"a": "2", "b": "1"})] {
        let error = dialect.create(&schema, record(taken)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UniqueViolation, "{error}");
    }
}
