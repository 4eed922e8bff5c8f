//! Changing and deleting many documents, and the different values of a field.

use std::sync::Arc;

use data::{Dialect, ErrorKind, Filter, FindOptions, Record, Value};
use mongodb::bson::{Document, doc};
use serde_json::{Value as Json, json};

use crate::{filter, fresh, names, record, schema, text, users};

async fn with_users() -> (Arc<dyn Dialect>, mongodb::Database) {
    let (dialect, stored) = fresh().await;
    dialect.init_schema(&[users()]).await.unwrap();
    for user in [
        json!({"id": "1", "name": "ann", "age": 30, "tags": ["red", 1], "extra": {"city": "Oran"}}),
        json!({"id": "2", "name": "bob", "age": 20, "tags": ["red", null, "blue"], "extra": {"city": "Alger"}}),
        json!({"id": "3", "name": "cid", "age": 30.0, "tags": []}),
        json!({"id": "4", "name": "dan"}),
    ] {
        dialect.create(&users(), record(user)).await.unwrap();
    }
    (dialect, stored)
}

fn notes() -> Arc<data::EntitySchema> {
    schema(json!({"name": "Note", "collection": "notes", "softDelete": true,
                  "fields": {"title": {"type": "string"}, "n": {"type": "number"}}}))
}

async fn titles(dialect: &Arc<dyn Dialect>, condition: Json) -> Vec<String> {
    let found = dialect.find(&notes(), &filter(condition), &FindOptions::default()).await.unwrap();
    found.iter().map(|note| text(note, "title").to_owned()).collect()
}

#[tokio::test]
async fn every_row_that_passes_is_changed_and_counted_also_if_it_stays_the_same() {
    let (dialect, stored) = with_users().await;
    let changes = json!({"age": 30, "email": null, "groups": "g1, g2", "id": "x", "createdAt": 0});
    let changed =
        dialect.update_many(&users(), &filter(json!({"age": {"$gte": 20}})), record(changes)).await.unwrap();
    assert_eq!(changed, 3);
    assert_eq!(names(&dialect, json!({"age": 30})).await, ["ann", "bob", "cid"]);
    assert_eq!(names(&dialect, json!({"groups": "g2"})).await, ["ann", "bob", "cid"]);
    let bob = stored.collection::<Document>("users").find_one(doc! {"_id": "2"}).await.unwrap().unwrap();
    assert!(bob.get_datetime("updatedAt").unwrap() >= bob.get_datetime("createdAt").unwrap());
    assert!(bob.get_datetime("createdAt").unwrap().timestamp_millis() > 0);
    let error = dialect.update_many(&users(), &filter(json!({"nope": 1})), Record::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Filter);
}

#[tokio::test]
async fn a_value_that_can_be_unique_only_once_changes_no_row_at_all() {
    let (dialect, _) = with_users().await;
    let error = dialect
        .update_many(&users(), &Filter::everything(), record(json!({"email": "a@x", "age": 1})))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniqueViolation);
    assert!(names(&dialect, json!({"age": 1})).await.is_empty());
    let one = dialect.update_many(&users(), &Filter::eq("id", "2"), record(json!({"email": "a@x"}))).await;
    assert_eq!(one.unwrap(), 1);
}

#[tokio::test]
async fn deleting_many_gives_how_many_there_were() {
    let (dialect, _) = with_users().await;
    assert_eq!(dialect.delete_many(&users(), &filter(json!({"age": 30}))).await.unwrap(), 2);
    assert_eq!(names(&dialect, json!({})).await, ["bob", "dan"]);
    assert_eq!(dialect.delete_many(&users(), &Filter::everything()).await.unwrap(), 2);
}

#[tokio::test]
async fn rows_that_are_softly_deleted_are_neither_changed_nor_deleted_again() {
    let (dialect, stored) = fresh().await;
    for (id, n) in [("a", 1), ("b", 1), ("c", 2)] {
        dialect.create(&notes(), record(json!({"id": id, "title": id, "n": n}))).await.unwrap();
    }
    let ones = filter(json!({"n": 1}));
    dialect.delete(&notes(), &"a".into()).await.unwrap();
    let deleted_at = async || {
        let a = stored.collection::<Document>("notes").find_one(doc! {"_id": "a"}).await.unwrap().unwrap();
        a.get("deletedAt").cloned()
    };
    let first = deleted_at().await;
    assert_eq!(dialect.delete_many(&notes(), &ones).await.unwrap(), 1);
    assert_eq!(dialect.delete_many(&notes(), &filter(json!({"deletedAt": {"$ne": null}}))).await.unwrap(), 0);
    assert!(dialect.delete(&notes(), &"a".into()).await.unwrap());
    assert_eq!(deleted_at().await, first, "the moment of the first delete stands");
    assert_eq!(dialect.update_many(&notes(), &ones, record(json!({"n": 9}))).await.unwrap(), 0);
    assert_eq!(dialect.update(&notes(), &"a".into(), record(json!({"n": 9}))).await.unwrap(), None);
    assert_eq!(titles(&dialect, json!({})).await, ["c"]);
    let revived = dialect.update(&notes(), &"a".into(), record(json!({"deletedAt": null}))).await.unwrap();
    assert_eq!(text(&revived.unwrap(), "title"), "a");
    assert_eq!(dialect.update_many(&notes(), &ones, record(json!({"deletedAt": null}))).await.unwrap(), 2);
    assert_eq!(titles(&dialect, json!({})).await.len(), 3);
}

#[tokio::test]
async fn different_values_come_in_order_and_once_and_without_null() {
    let (dialect, stored) = with_users().await;
    stored
        .collection::<Document>("users")
        .insert_one(doc! {"_id": "5", "name": "eve", "age": 20i64})
        .await
        .unwrap();
    let distinct = async |field: &str, condition: Json| {
        let values = dialect.distinct(&users(), field, &filter(condition)).await.unwrap();
        data::json_text(&Value::Array(values))
    };
    assert_eq!(distinct("name", json!({"name": {"$ne": "bob"}})).await, r#"["ann","cid","dan","eve"]"#);
    assert_eq!(distinct("age", json!({})).await, "[20,30]");
    assert_eq!(distinct("tags", json!({})).await, r#"[1,"blue","red"]"#);
    assert_eq!(distinct("extra.city", json!({})).await, r#"["Alger","Oran"]"#);
    assert_eq!(distinct("id", json!({"age": 30})).await, r#"["1","3"]"#);
    assert_eq!(distinct("email", json!({})).await, "[]");
    let error = dialect.distinct(&users(), "nope", &Filter::everything()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Filter);
    for path in ["$where", "name.$x", "", "age.x"] {
        let error = dialect.distinct(&users(), path, &Filter::everything()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter, "{path}");
    }
}

#[tokio::test]
async fn within_a_transaction_they_are_undone_with_it() {
    let (dialect, _) = with_users().await;
    let transaction = dialect.begin(None).await.unwrap();
    transaction.update_many(&users(), &Filter::everything(), record(json!({"age": 1}))).await.unwrap();
    transaction.delete_many(&users(), &Filter::eq("name", "ann")).await.unwrap();
    assert_eq!(
        transaction.distinct(&users(), "age", &Filter::everything()).await.unwrap(),
        [Value::Float(1.0)]
    );
    transaction.rollback().await.unwrap();
    assert_eq!(names(&dialect, json!({"age": 30})).await, ["ann", "cid"]);
}

#[tokio::test]
async fn an_id_that_is_a_number_is_text_and_found_either_way() {
    let (dialect, stored) = fresh().await;
    let given = json!({"id": 42, "name": "ann", "boss": 7, "groups": [1, "1", {"id": 2}]});
    let ann = dialect.create(&users(), record(given)).await.unwrap();
    assert_eq!((text(&ann, "id"), text(&ann, "bossId")), ("42", "7"));
    assert_eq!(ann["groups"], Value::Array(vec!["1".into(), "2".into()]));
    stored.collection::<Document>("users").insert_one(doc! {"_id": 43, "name": "bob"}).await.unwrap();
    for (id, name) in
        [(Value::Int32(42), "ann"), ("42".into(), "ann"), (Value::Float(43.0), "bob"), ("43".into(), "bob")]
    {
        let found =
            dialect.find(&users(), &Filter::eq("id", id.clone()), &FindOptions::default()).await.unwrap();
        assert_eq!(text(&found[0], "name"), name, "{id:?}");
    }
    assert_eq!(names(&dialect, json!({"boss": 7, "groups": {"$in": [2]}})).await, ["ann"]);
    let error = dialect.create(&users(), record(json!({"id": [1], "name": "x"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
}
