//! What must not happen: injection, half-written changes.

use data::{Dialect, ErrorKind, Filter, FindOptions, Value};
use serde_json::json;

use crate::database::{Database, filter, insert, object, person, record};

crate::behaviours!(
    a_unique_violation_leaves_nothing_and_names_the_place,
    a_value_cannot_become_sql,
    a_key_of_a_filter_or_sort_cannot_become_sql,
    a_key_of_a_record_cannot_become_sql,
    a_check_by_the_database_is_reported_as_such,
);

const INJECTIONS: [&str; 5] = [
    "'; DROP TABLE people; --",
    "\"; DROP TABLE people; --",
    "1 OR 1=1",
    "name\" = 'x' OR \"1",
    "a$1); DELETE FROM people",
];

async fn rows(dialect: &dyn Dialect) -> u64 {
    dialect.count(&person(), &Filter::everything(), false).await.unwrap()
}

async fn a_unique_violation_leaves_nothing_and_names_the_place(db: &Database) {
    let dialect = db.with(&[&person()]).await;
    dialect.create(&person(), record(json!({"id": "1", "name": "a", "email": "e"}))).await.unwrap();
    let error =
        dialect.create(&person(), record(json!({"id": "2", "name": "b", "email": "e"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniqueViolation);
    assert_eq!(error.report().unwrap().table.as_deref(), Some("people"));
    assert!(["23505", "SQLITE_CONSTRAINT_UNIQUE", "1062"].contains(&error.code()));
    assert_eq!(rows(&*dialect).await, 1);
    let error = dialect.create(&person(), record(json!({"id": "1", "name": "b"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniqueViolation);
}

async fn a_value_cannot_become_sql(db: &Database) {
    let dialect = db.with(&[&person()]).await;
    insert(&*dialect, &person(), json!([{"name": "a"}])).await;
    for text in INJECTIONS {
        let row = dialect
            .create(
                &person(),
                record(json!({"id": text, "name": text, "tags": [text], "address": {text: text}})),
            )
            .await;
        assert_eq!(row.unwrap()["name"].as_text(), Some(text));
        for by in [
            json!({"name": text}),
            json!({"tags": text}),
            json!({"address": {text: text}}),
            json!({"id": {"$in": [text]}}),
        ] {
            assert_eq!(dialect.count(&person(), &filter(by), false).await.unwrap(), 1);
        }
        assert!(dialect.delete(&person(), &text.into()).await.unwrap());
    }
    assert_eq!(rows(&*dialect).await, 1);
}

async fn a_key_of_a_filter_or_sort_cannot_become_sql(db: &Database) {
    let dialect = db.with(&[&person()]).await;
    insert(&*dialect, &person(), json!([{"name": "a"}])).await;
    for text in INJECTIONS {
        let by = Filter::parse(&object(json!({text: 1}))).unwrap();
        let error = dialect.find(&person(), &by, &FindOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter, "{error}");
        let options = FindOptions::parse(&object(json!({"sort": {text: 1}}))).unwrap();
        let error = dialect.find(&person(), &Filter::everything(), &options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter, "{error}");
        let below = filter(json!({format!("address.{}", text.replace('.', "")): 1}));
        match below {
            Filter::Field(..) => assert_eq!(dialect.count(&person(), &below, false).await.unwrap(), 0),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(rows(&*dialect).await, 1);
}

async fn a_key_of_a_record_cannot_become_sql(db: &Database) {
    let dialect = db.with(&[&person()]).await;
    for text in INJECTIONS {
        let row = dialect.create(&person(), record(json!({"name": "a", text: "v"}))).await.unwrap();
        assert_eq!(row[text], Value::from("v"));
    }
    assert_eq!(rows(&*dialect).await, 5);
    let mut nul = record(json!({"name": "a"}));
    nul.insert("a\0b".to_owned(), true.into());
    assert_eq!(dialect.create(&person(), nul).await.unwrap_err().kind(), ErrorKind::Value);
}

async fn a_check_by_the_database_is_reported_as_such(db: &Database) {
    let dialect = db.open().await;
    let sql =
        "CREATE TABLE people (id VARCHAR(40) PRIMARY KEY, name TEXT NOT NULL, age REAL CHECK (age > 0))";
    dialect.execute_run(sql, Vec::new()).await.unwrap();
    let schema = crate::database::schema(json!({
        "name": "P", "collection": "people", "fields": {"name": {"type": "string"}, "age": {"type": "number"}}
    }));
    let error = dialect.create(&schema, record(json!({"name": "a", "age": -1}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CheckViolation);
    let error = dialect.create(&schema, record(json!({"age": 1}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotNullViolation);
}
