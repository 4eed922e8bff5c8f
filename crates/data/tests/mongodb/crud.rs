//! Creating, reading, changing and deleting, and what is stored.

use data::{ErrorKind, Filter, FindOptions, Record, Timestamp, Value};
use mongodb::bson::{Bson, Document, doc, oid::ObjectId};
use serde_json::json;

use crate::{filter, fresh, options, record, schema, text, users};

#[tokio::test]
async fn a_row_without_an_id_gets_an_object_id_shown_as_hex() {
    let (dialect, stored) = fresh().await;
    let user = dialect.create(&users(), record(json!({"name": "Ann", "age": 30}))).await.unwrap();
    let document = stored.collection::<Document>("users").find_one(doc! {}).await.unwrap().unwrap();
    let id = document.get_object_id("_id").unwrap();
    assert_eq!(text(&user, "id"), id.to_hex());
    assert_eq!(document.get("age"), Some(&Bson::Double(30.0)));
    assert!(matches!(document.get("createdAt"), Some(Bson::DateTime(_))));
    let missing = document.get("id").or(document.get("email")).or(document.get("groups"));
    assert_eq!(missing, None, "no second id and no field without a value");
}

#[tokio::test]
async fn a_read_gives_every_declared_field_and_what_create_returned() {
    let (dialect, _) = fresh().await;
    let given = json!({"id": "u1", "name": "Ann", "born": "2001-02-03T04:05:06.007Z", "tags": ["x", 1], "extra": {"a": {"b": null}}});
    let created = dialect.create(&users(), record(given)).await.unwrap();
    let read = dialect.find(&users(), &Filter::everything(), &FindOptions::default()).await.unwrap();
    let sorted = |record: &Record| {
        let mut entries: Vec<_> = record.clone().into_iter().collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries
    };
    assert_eq!(sorted(&read[0]), sorted(&created));
    assert_eq!(created.get("email"), Some(&Value::Null));
    assert_eq!(created.get("active"), Some(&Value::Bool(true)));
    assert_eq!(created.get("groups"), Some(&Value::Array(vec![])));
    assert_eq!(
        created.get("born"),
        Timestamp::parse_iso("2001-02-03T04:05:06.007Z").map(Value::Timestamp).as_ref()
    );
}

#[tokio::test]
async fn a_given_string_id_stays_a_string_and_24_digits_find_either_kind() {
    let (dialect, stored) = fresh().await;
    let hex = "65a1f0c2d4e5b6a798897766";
    dialect.create(&users(), record(json!({"id": hex, "name": "text"}))).await.unwrap();
    let object_id = ObjectId::new();
    let users_stored = stored.collection::<Document>("users");
    assert_eq!(
        users_stored.find_one(doc! {}).await.unwrap().unwrap().get("_id"),
        Some(&Bson::String(hex.to_owned()))
    );
    users_stored.insert_one(doc! {"_id": object_id, "name": "object id"}).await.unwrap();
    for (id, name) in [(hex.to_owned(), "text"), (object_id.to_hex(), "object id")] {
        let id = Value::Text(id);
        let found =
            dialect.find(&users(), &Filter::eq("id", id.clone()), &FindOptions::default()).await.unwrap();
        assert_eq!(text(&found[0], "name"), name);
        let changed = dialect.update(&users(), &id, record(json!({"age": 5}))).await.unwrap().unwrap();
        assert_eq!(text(&changed, "name"), name);
        assert!(dialect.delete(&users(), &id).await.unwrap());
    }
    assert_eq!(dialect.count(&users(), &Filter::everything(), false).await.unwrap(), 0);
}

#[tokio::test]
async fn references_to_24_digits_are_object_ids_and_shown_as_text() {
    let (dialect, stored) = fresh().await;
    let boss = dialect.create(&users(), record(json!({"name": "Boss"}))).await.unwrap();
    let id = text(&boss, "id").to_owned();
    let given = json!({"name": "Ann", "boss": id, "groups": [id, "g2"]});
    let ann = dialect.create(&users(), record(given)).await.unwrap();
    assert_eq!(text(&ann, "bossId"), id);
    assert_eq!(ann.get("groups"), Some(&Value::Array(vec![Value::Text(id.clone()), "g2".into()])));
    let document =
        stored.collection::<Document>("users").find_one(doc! {"name": "Ann"}).await.unwrap().unwrap();
    assert_eq!(document.get_object_id("bossId").unwrap().to_hex(), id);
    for condition in
        [json!({"boss": id}), json!({"bossId": id}), json!({"groups": id}), json!({"groups": "g2"})]
    {
        assert_eq!(crate::names(&dialect, condition).await, ["Ann"]);
    }
}

#[tokio::test]
async fn an_update_changes_what_is_given_and_returns_the_new_row() {
    let (dialect, stored) = fresh().await;
    let ann =
        dialect.create(&users(), record(json!({"name": "Ann", "age": 1, "email": "a@x"}))).await.unwrap();
    let id = ann.get("id").unwrap().clone();
    let changes =
        json!({"id": "other", "createdAt": 0, "age": 2, "email": null, "extra": {"$inc": {"a.b": 1}}});
    let changed = dialect.update(&users(), &id, record(changes)).await.unwrap().unwrap();
    assert_eq!(changed.get("id"), Some(&id));
    assert_eq!(changed.get("createdAt"), ann.get("createdAt"));
    assert_eq!(changed.get("age"), Some(&Value::Float(2.0)));
    assert_eq!(changed.get("email"), Some(&Value::Null));
    assert_eq!(changed.get("extra").unwrap(), record(json!({"x": {"$inc": {"a.b": 1}}})).get("x").unwrap());
    let document = stored.collection::<Document>("users").find_one(doc! {}).await.unwrap().unwrap();
    assert!(!document.contains_key("email"));
    assert_eq!(dialect.update(&users(), &"nobody".into(), record(json!({"age": 1}))).await.unwrap(), None);
}

#[tokio::test]
async fn a_field_name_that_mongodb_would_interpret_is_refused_by_name() {
    let (dialect, _) = fresh().await;
    for name in ["$set", "a.b"] {
        let row = Record::from_iter([("name".to_owned(), "Ann".into()), (name.to_owned(), 1.into())]);
        let error = dialect.create(&users(), row).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value);
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[tokio::test]
async fn a_duplicate_names_the_index_and_the_code() {
    let (dialect, _) = fresh().await;
    dialect.init_schema(&[users()]).await.unwrap();
    dialect.create(&users(), record(json!({"name": "Ann", "email": "a@x"}))).await.unwrap();
    let error = dialect.create(&users(), record(json!({"name": "Bob", "email": "a@x"}))).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::UniqueViolation, "11000"));
    assert_eq!(error.report().unwrap().constraint.as_deref(), Some("email_1"));
    // Rows without a value do not collide, as in SQL.
    for name in ["Cid", "Dan"] {
        dialect.create(&users(), record(json!({"name": name, "email": null}))).await.unwrap();
    }
}

#[tokio::test]
async fn a_soft_delete_hides_the_row_and_frees_its_unique_value() {
    let (dialect, _) = fresh().await;
    let notes = schema(json!({
        "name": "Note", "collection": "notes", "softDelete": true, "timestamps": true,
        "fields": {"title": {"type": "string", "unique": true}}
    }));
    dialect.init_schema(std::slice::from_ref(&notes)).await.unwrap();
    let note = dialect.create(&notes, record(json!({"title": "a"}))).await.unwrap();
    let id = note.get("id").unwrap();
    assert!(dialect.create(&notes, record(json!({"title": "a"}))).await.is_err());
    assert!(dialect.delete(&notes, id).await.unwrap());
    assert!(dialect.delete(&notes, id).await.unwrap(), "a second time too");
    dialect.create(&notes, record(json!({"title": "a"}))).await.unwrap();
    let count = async |deleted| dialect.count(&notes, &Filter::everything(), deleted).await.unwrap();
    assert_eq!((count(false).await, count(true).await), (1, 2));
    let deleted = dialect
        .find(&notes, &filter(json!({"deletedAt": {"$ne": null}})), &FindOptions::default())
        .await
        .unwrap();
    assert_eq!(deleted.len(), 1);
    assert_eq!(deleted[0].get("updatedAt"), note.get("updatedAt"));
}

#[tokio::test]
async fn entities_that_share_a_collection_are_told_apart() {
    let (dialect, _) = fresh().await;
    let kind = |name: &str| {
        let fields = json!({"n": {"type": "number"}});
        schema(
            json!({"name": name, "collection": "shapes", "fields": fields, "discriminator": "kind", "discriminatorValue": name}),
        )
    };
    let (circle, square) = (kind("circle"), kind("square"));
    let row = dialect.create(&circle, record(json!({"n": 1}))).await.unwrap();
    let id = row.get("id").unwrap();
    assert_eq!(text(&row, "kind"), "circle");
    assert_eq!(dialect.count(&square, &Filter::everything(), false).await.unwrap(), 0);
    assert_eq!(dialect.update(&square, id, record(json!({"n": 2}))).await.unwrap(), None);
    assert!(!dialect.delete(&square, id).await.unwrap());
    assert!(dialect.delete(&circle, id).await.unwrap());
}

#[tokio::test]
async fn options_sort_page_select_and_exclude() {
    let (dialect, _) = fresh().await;
    for (name, age) in [("a", Some(2)), ("b", None), ("c", Some(1)), ("d", Some(2))] {
        dialect.create(&users(), record(json!({"name": name, "age": age}))).await.unwrap();
    }
    let find = async |given| {
        let found = dialect.find(&users(), &Filter::everything(), &options(given)).await.unwrap();
        found.iter().map(|user| text(user, "name").to_owned()).collect::<String>()
    };
    assert_eq!(find(json!({"sort": {"age": 1, "name": -1}})).await, "bcda");
    assert_eq!(find(json!({"sort": {"age": -1, "name": 1}, "skip": 1, "limit": 2})).await, "dc");
    assert_eq!(find(json!({"sort": {"name": 1}, "skip": 1, "limit": 0})).await, "bcd");
    let keys = async |given| {
        let found = dialect.find(&users(), &Filter::everything(), &options(given)).await.unwrap();
        let mut keys: Vec<_> = found[0].keys().cloned().collect();
        keys.sort();
        keys.join(",")
    };
    assert_eq!(keys(json!({"select": ["name", "born"]})).await, "born,id,name");
    let exclude =
        json!({"exclude": ["id", "createdAt", "updatedAt", "tags", "extra", "groups", "bossId", "born"]});
    assert_eq!(keys(exclude).await, "active,age,email,id,name");
    let error = dialect
        .find(&users(), &Filter::everything(), &options(json!({"sort": {"nope": 1}})))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Filter);
}
