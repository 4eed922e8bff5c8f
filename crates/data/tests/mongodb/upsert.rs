//! Upserts, alone and against each other.

use data::{ErrorKind, Filter, Value};
use serde_json::json;

use crate::{filter, fresh, record, schema, text, users};

#[tokio::test]
async fn an_upsert_inserts_with_the_filters_equalities_and_then_changes() {
    let (dialect, _) = fresh().await;
    let by_email = filter(json!({"email": "a@x"}));
    let first = dialect.upsert(&users(), &by_email, record(json!({"name": "Ann", "age": 1}))).await.unwrap();
    assert!(first.created);
    assert_eq!(text(&first.record, "email"), "a@x");
    assert_eq!(first.record.get("active"), Some(&Value::Bool(true)));
    let second =
        dialect.upsert(&users(), &by_email, record(json!({"age": 2, "active": false}))).await.unwrap();
    assert!(!second.created);
    assert_eq!(second.record.get("id"), first.record.get("id"));
    assert_eq!(second.record.get("createdAt"), first.record.get("createdAt"));
    assert_eq!((text(&second.record, "name"), second.record.get("age")), ("Ann", Some(&Value::Float(2.0))));
}

#[tokio::test]
async fn an_upsert_by_id_keeps_the_id() {
    let (dialect, _) = fresh().await;
    for (id, created) in
        [("u1", true), ("u1", false), ("65a1f0c2d4e5b6a798897766", true), ("65a1f0c2d4e5b6a798897766", false)]
    {
        let outcome =
            dialect.upsert(&users(), &Filter::eq("id", id), record(json!({"name": "x"}))).await.unwrap();
        assert_eq!((text(&outcome.record, "id"), outcome.created), (id, created));
    }
}

#[tokio::test]
async fn a_record_too_incomplete_to_insert_is_refused_only_when_it_must_be_inserted() {
    let (dialect, _) = fresh().await;
    let by_email = filter(json!({"email": "a@x"}));
    let error = dialect.upsert(&users(), &by_email, record(json!({"age": 1}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotNullViolation);
}

#[tokio::test]
async fn upserts_of_one_key_at_the_same_time_make_one_row() {
    let (dialect, _) = fresh().await;
    let counters = schema(
        json!({"name": "Counter", "fields": {"key": {"type": "string", "unique": true}, "n": {"type": "number"}}}),
    );
    dialect.init_schema(std::slice::from_ref(&counters)).await.unwrap();
    for round in 0..10 {
        let key = format!("k{round}");
        let upserts = (0..8).map(|n| {
            let (dialect, counters, key) = (dialect.clone(), counters.clone(), key.clone());
            tokio::spawn(async move {
                dialect
                    .upsert(&counters, &Filter::eq("key", key), record(json!({"n": n})))
                    .await
                    .unwrap()
                    .created
            })
        });
        let created = futures_util::future::join_all(upserts)
            .await
            .into_iter()
            .filter(|created| *created.as_ref().unwrap());
        assert_eq!(created.count(), 1);
        assert_eq!(dialect.count(&counters, &Filter::eq("key", key), false).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_null_takes_a_field_from_a_document_and_leaves_the_default_to_a_new_one() {
    let (dialect, _) = fresh().await;
    for (created, active) in [(true, Value::Bool(true)), (false, Value::Null)] {
        let given = record(json!({"name": "Ann", "active": null}));
        let upserted = dialect.upsert(&users(), &filter(json!({"email": "a@x"})), given).await.unwrap();
        assert_eq!((upserted.created, &upserted.record["active"]), (created, &active));
        assert_eq!(text(&upserted.record, "email"), "a@x");
    }
}
