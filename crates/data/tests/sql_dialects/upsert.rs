//! Update or insert, also by several at once.

use std::sync::Arc;

use data::{Dialect, ErrorKind, Filter, FindOptions, Value};
use serde_json::json;

use crate::database::{Database, filter, insert, person, record};

crate::behaviours!(
    an_upsert_inserts_with_the_equalities_of_its_filter,
    an_upsert_changes_only_the_first_match,
    an_upsert_that_violates_another_key_is_an_error,
    concurrent_upserts_of_one_key_make_one_row,
);

async fn an_upsert_inserts_with_the_equalities_of_its_filter(db: &Database) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    let by = filter(json!({"email": "e", "age": {"$gt": 3}}));
    let upserted = dialect.upsert(&person, &by, record(json!({"name": "a", "age": 5}))).await.unwrap();
    assert!(upserted.created);
    assert_eq!(
        (upserted.record["email"].as_text(), &upserted.record["age"]),
        (Some("e"), &Value::Float(5.0))
    );
    let upserted = dialect.upsert(&person, &by, record(json!({"name": "b"}))).await.unwrap();
    assert!(!upserted.created);
    assert_eq!(upserted.record["name"].as_text(), Some("b"));
    let upserted =
        dialect.upsert(&person, &filter(json!({"id": "fixed"})), record(json!({"name": "c"}))).await.unwrap();
    assert_eq!(upserted.record["id"].as_text(), Some("fixed"));
}

async fn an_upsert_changes_only_the_first_match(db: &Database) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    insert(&*dialect, &person, json!([{"name": "a", "age": 1}, {"name": "a", "age": 1}])).await;
    dialect.upsert(&person, &filter(json!({"name": "a"})), record(json!({"age": 2}))).await.unwrap();
    assert_eq!(dialect.count(&person, &Filter::eq("age", 2), false).await.unwrap(), 1);
}

async fn an_upsert_that_violates_another_key_is_an_error(db: &Database) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    insert(&*dialect, &person, json!([{"name": "a", "email": "e"}])).await;
    let error = dialect
        .upsert(&person, &filter(json!({"name": "b"})), record(json!({"email": "e"})))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniqueViolation);
    assert_eq!(dialect.count(&person, &Filter::everything(), false).await.unwrap(), 1);
}

async fn concurrent_upserts_of_one_key_make_one_row(db: &Database) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    let other = db.open().await;
    for round in 0..5 {
        let tasks: Vec<_> = (0..8)
            .map(|i| {
                let dialect: Arc<dyn Dialect> = Arc::clone(if i % 2 == 0 { &dialect } else { &other });
                let person = Arc::clone(&person);
                tokio::spawn(async move {
                    let by = filter(json!({"email": format!("e{round}")}));
                    dialect.upsert(&person, &by, record(json!({"name": format!("n{i}"), "age": i}))).await
                })
            })
            .collect();
        let mut created = 0;
        for task in tasks {
            created += u32::from(task.await.unwrap().unwrap().created);
        }
        assert_eq!(created, 1, "round {round}");
    }
    let rows = dialect.find(&person, &Filter::everything(), &FindOptions::default()).await.unwrap();
    assert_eq!(rows.len(), 5);
}
