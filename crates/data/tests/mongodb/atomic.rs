//! Adding to numbers and lists, and taking from lists, in one step.

use std::sync::Arc;

use data::{Dialect, ErrorKind, Value, value_from_json};
use mongodb::bson::{Bson, Document, doc};
use serde_json::{Value as Json, json};

use crate::{fresh, record, schema, users};

async fn with_ann() -> (Arc<dyn Dialect>, mongodb::Database) {
    let (dialect, stored) = fresh().await;
    let ann = json!({"id": "a", "name": "ann", "age": 1, "tags": ["x", 1, {"k": 1}]});
    dialect.create(&users(), record(ann)).await.unwrap();
    stored
        .collection::<Document>("users")
        .insert_one(
            doc! {"_id": "n", "name": "nul", "age": Bson::Null, "tags": Bson::Null, "groups": Bson::Null},
        )
        .await
        .unwrap();
    (dialect, stored)
}

fn value(json: Json) -> Value {
    value_from_json(json)
}

#[tokio::test]
async fn no_concurrent_increment_is_lost() {
    let (dialect, _) = with_ann().await;
    let tasks = (0..50).map(|_| {
        let dialect = Arc::clone(&dialect);
        tokio::spawn(async move { dialect.increment(&users(), &"a".into(), "age", &Value::Float(0.5)).await })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap().unwrap().unwrap();
    }
    let row = dialect.increment(&users(), &"a".into(), "age", &Value::Int32(-1)).await.unwrap().unwrap();
    assert_eq!(row["age"], Value::Float(25.0));
    assert_ne!(row["updatedAt"], Value::Null);
}

#[tokio::test]
async fn no_value_counts_as_0_and_no_row_is_made() {
    let (dialect, stored) = with_ann().await;
    let row = dialect.increment(&users(), &"n".into(), "age", &Value::Int32(3)).await.unwrap().unwrap();
    assert_eq!(row["age"], Value::Float(3.0));
    stored
        .collection::<Document>("users")
        .update_one(doc! {"_id": "n"}, doc! {"$unset": {"age": 1}})
        .await
        .unwrap();
    let row = dialect.increment(&users(), &"n".into(), "age", &Value::Int32(2)).await.unwrap().unwrap();
    assert_eq!(row["age"], Value::Float(2.0));
    assert_eq!(dialect.increment(&users(), &"nobody".into(), "age", &Value::Int32(1)).await.unwrap(), None);
    assert_eq!(stored.collection::<Document>("users").count_documents(doc! {}).await.unwrap(), 2);
}

#[tokio::test]
async fn only_numbers_are_incremented_and_only_by_numbers() {
    let (dialect, stored) = with_ann().await;
    stored
        .collection::<Document>("users")
        .update_one(doc! {"_id": "n"}, doc! {"$set": {"age": "old"}})
        .await
        .unwrap();
    for (id, field, amount, kind) in [
        ("a", "name", json!(1), ErrorKind::Value),
        ("a", "createdAt", json!(1), ErrorKind::Value),
        ("a", "id", json!(1), ErrorKind::Value),
        ("a", "age", json!("x"), ErrorKind::Value),
        ("a", "age", json!({"$add": [1, 2]}), ErrorKind::Value),
        ("a", "age", json!(null), ErrorKind::Value),
        ("n", "age", json!(1), ErrorKind::Value),
        ("a", "nope", json!(1), ErrorKind::Filter),
        ("a", "$where", json!(1), ErrorKind::Filter),
        ("a", "extra.n", json!(1), ErrorKind::Filter),
    ] {
        let error = dialect.increment(&users(), &id.into(), field, &value(amount)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{field}: {error}");
    }
}

#[tokio::test]
async fn an_item_is_added_once_and_removed_wherever_it_stands() {
    let (dialect, _) = with_ann().await;
    let id = Value::from("a");
    for (item, expected) in [
        (json!("x"), json!(["x", 1, {"k": 1}])),
        (json!(1.0), json!(["x", 1, {"k": 1}])),
        (json!({"k": 1}), json!(["x", 1, {"k": 1}])),
        (json!("$name"), json!(["x", 1, {"k": 1}, "$name"])),
        (json!({"$each": [1]}), json!(["x", 1, {"k": 1}, "$name", {"$each": [1]}])),
        (json!(["x"]), json!(["x", 1, {"k": 1}, "$name", {"$each": [1]}, ["x"]])),
    ] {
        let row = dialect.add_to_set(&users(), &id, "tags", value(item)).await.unwrap().unwrap();
        assert!(row["tags"].same_as(&value(expected.clone())), "{:?} is not {expected}", row["tags"]);
    }
    for item in [json!("x"), json!({"k": 1}), json!({"$each": [1]}), json!(["x"]), json!("none")] {
        dialect.pull(&users(), &id, "tags", &value(item)).await.unwrap().unwrap();
    }
    let row = dialect.pull(&users(), &id, "tags", &value(json!("$name"))).await.unwrap().unwrap();
    assert!(row["tags"].same_as(&value(json!([1]))), "{:?}", row["tags"]);
    assert_eq!(dialect.add_to_set(&users(), &"nobody".into(), "tags", 1.into()).await.unwrap(), None);
    assert_eq!(dialect.pull(&users(), &"nobody".into(), "tags", &1.into()).await.unwrap(), None);
}

#[tokio::test]
async fn no_list_counts_as_an_empty_one() {
    let (dialect, stored) = with_ann().await;
    let id = Value::from("n");
    assert_eq!(dialect.pull(&users(), &id, "tags", &1.into()).await.unwrap().unwrap()["tags"], Value::Null);
    let document = stored.collection::<Document>("users").find_one(doc! {"_id": "n"}).await.unwrap().unwrap();
    assert!(!document.contains_key("tags"));
    for tags in [1, 2] {
        dialect.add_to_set(&users(), &id, "tags", tags.into()).await.unwrap();
    }
    let row = dialect.add_to_set(&users(), &id, "groups", "g".into()).await.unwrap().unwrap();
    assert_eq!(row["tags"], Value::Array(vec![1.into(), 2.into()]));
    assert_eq!(row["groups"], Value::Array(vec!["g".into()]));
    let row = dialect.add_to_set(&users(), &id, "extra", "x".into()).await.unwrap().unwrap();
    assert_eq!(
        row["extra"],
        Value::Array(vec!["x".into()]),
        "a json field without a value may become a list"
    );
    for listed in [Value::Null, true.into(), "".into()] {
        let row = dialect.add_to_set(&users(), &id, "groups", listed).await.unwrap().unwrap();
        assert_eq!(row["groups"], Value::Array(vec!["g".into()]), "what is no id is not listed");
    }
    dialect.update(&users(), &id, record(json!({"extra": {"a": 1}}))).await.unwrap();
    for (field, value) in [("name", Value::from("x")), ("extra", "x".into()), ("id", "x".into())] {
        let error = dialect.add_to_set(&users(), &id, field, value.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value, "{field}: {error}");
        let error = dialect.pull(&users(), &id, field, &value).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value, "{field}: {error}");
    }
}

#[tokio::test]
async fn items_are_equal_whatever_the_order_of_their_keys_and_a_row_that_stays_the_same_keeps_its_date() {
    let (dialect, stored) = with_ann().await;
    let id = Value::from("a");
    let item = json!({"x": 1, "y": [{"p": 1, "q": null}], "z": "$name"});
    let turned = json!({"z": "$name", "y": [{"q": null, "p": 1.0}], "x": 1});
    dialect.add_to_set(&users(), &id, "tags", value(item)).await.unwrap();
    let long_ago = mongodb::bson::DateTime::from_millis(1);
    stored
        .collection::<Document>("users")
        .update_many(doc! {}, doc! {"$set": {"updatedAt": long_ago}})
        .await
        .unwrap();
    let row = dialect.add_to_set(&users(), &id, "tags", value(turned.clone())).await.unwrap().unwrap();
    let row_after_pull = dialect.pull(&users(), &id, "tags", &value(json!({"x": 1}))).await.unwrap().unwrap();
    for row in [row, row_after_pull] {
        assert_eq!(row["updatedAt"], Value::Timestamp(data::Timestamp::from_millis(1)));
        assert!(matches!(&row["tags"], Value::Array(items) if items.len() == 4));
    }
    let row = dialect.pull(&users(), &id, "tags", &value(turned)).await.unwrap().unwrap();
    assert!(row["tags"].same_as(&value(json!(["x", 1, {"k": 1}]))), "{:?}", row["tags"]);
    assert_ne!(row["updatedAt"], Value::Timestamp(data::Timestamp::from_millis(1)));
}

#[tokio::test]
async fn a_many_to_many_relation_is_a_list_of_ids_in_either_form() {
    let (dialect, stored) = with_ann().await;
    let (id, hex) = (Value::from("a"), "65a1f0c2d4e5b6a798897766");
    for given in [value(json!(hex)), value(json!({"id": hex})), value(json!(7)), "7".into(), "g".into()] {
        dialect.add_to_set(&users(), &id, "groups", given).await.unwrap().unwrap();
    }
    let document = stored.collection::<Document>("users").find_one(doc! {"_id": "a"}).await.unwrap().unwrap();
    let object_id = mongodb::bson::oid::ObjectId::parse_str(hex).unwrap();
    assert_eq!(
        document.get_array("groups").unwrap(),
        &vec![Bson::ObjectId(object_id), "7".into(), "g".into()]
    );
    let ids = [id.clone(), "n".into(), "nobody".into()];
    let links = dialect.links(&users(), "groups", &ids).await.unwrap();
    assert_eq!(links, [hex, "7", "g"].map(|other| (id.clone(), other.into())));
    for given in [value(json!(hex)), 7.into()] {
        dialect.pull(&users(), &id, "groups", &given).await.unwrap().unwrap();
    }
    assert_eq!(dialect.links(&users(), "groups", &ids).await.unwrap(), [(id, "g".into())]);
    for relation in ["boss", "name", "nope", "$where"] {
        let error = dialect.links(&users(), relation, &ids).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter, "{relation}");
    }
}

#[tokio::test]
async fn a_softly_deleted_row_is_not_there() {
    let (dialect, _) = fresh().await;
    let notes = schema(
        json!({"name": "Note", "softDelete": true, "fields": {"n": {"type": "number"}, "l": {"type": "array"}}}),
    );
    dialect.create(&notes, record(json!({"id": "a", "n": 1}))).await.unwrap();
    dialect.delete(&notes, &"a".into()).await.unwrap();
    assert_eq!(dialect.increment(&notes, &"a".into(), "n", &1.into()).await.unwrap(), None);
    assert_eq!(dialect.add_to_set(&notes, &"a".into(), "l", 1.into()).await.unwrap(), None);
    assert_eq!(dialect.pull(&notes, &"a".into(), "l", &1.into()).await.unwrap(), None);
}
