//! Increments, and items of lists added and pulled, also by several at once.

use std::sync::Arc;

use data::{Dialect, EntitySchema, ErrorKind, Filter, FindOptions, Record, Value};
use serde_json::{Value as Json, json};

use crate::database::{Database, insert, person, record, schema};

crate::behaviours!(
    an_increment_counts_no_value_as_zero,
    concurrent_increments_all_count,
    an_increment_needs_a_number_and_a_number_field,
    an_increment_finds_no_deleted_row_and_makes_none,
    an_increment_renews_the_time_of_the_last_change,
    an_item_is_added_once,
    equal_items_are_pulled_all,
    concurrently_added_items_are_all_there,
    a_field_without_a_list_takes_no_items,
    links_are_added_and_pulled_like_items,
    a_transaction_undoes_these_changes,
);

async fn one(db: &Database) -> (Arc<EntitySchema>, Arc<dyn Dialect>) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    insert(
        &*dialect,
        &person,
        json!([{"id": "1", "name": "a", "age": 1, "email": "e@x"}, {"id": "2", "name": "b"}]),
    )
    .await;
    (person, dialect)
}

async fn increment(dialect: &dyn Dialect, schema: &EntitySchema, id: &str, amount: Value) -> Option<Record> {
    dialect.increment(schema, &id.into(), "age", &amount).await.unwrap()
}

async fn an_increment_counts_no_value_as_zero(db: &Database) {
    let (person, dialect) = one(db).await;
    let row = increment(&*dialect, &person, "1", 2.5.into()).await.unwrap();
    assert_eq!((&row["age"], &row["name"], &row["id"]), (&3.5.into(), &"a".into(), &"1".into()));
    assert_eq!(increment(&*dialect, &person, "1", (-4).into()).await.unwrap()["age"], Value::Float(-0.5));
    assert_eq!(increment(&*dialect, &person, "2", 7.into()).await.unwrap()["age"], Value::Float(7.0));
    assert_eq!(increment(&*dialect, &person, "2", "1".into()).await.unwrap()["age"], Value::Float(8.0));
    let by_unique = Value::object([("email", Value::from("e@x"))]);
    let row = dialect.increment(&person, &by_unique, "age", &1.into()).await.unwrap().unwrap();
    assert_eq!(row["age"], Value::Float(0.5));
}

async fn concurrent_increments_all_count(db: &Database) {
    let (person, dialect) = one(db).await;
    let other = db.open().await;
    let tasks: Vec<_> = (0..50)
        .map(|i| {
            let dialect: Arc<dyn Dialect> = Arc::clone(if i % 2 == 0 { &dialect } else { &other });
            let person = Arc::clone(&person);
            tokio::spawn(
                async move { increment(&*dialect, &person, "2", 1.into()).await.unwrap()["age"].clone() },
            )
        })
        .collect();
    let mut seen = Vec::new();
    for task in tasks {
        seen.push(task.await.unwrap().as_f64().unwrap());
    }
    seen.sort_by(f64::total_cmp);
    assert_eq!(seen, (1..=50).map(f64::from).collect::<Vec<_>>(), "each sees its own result");
}

async fn an_increment_needs_a_number_and_a_number_field(db: &Database) {
    let (person, dialect) = one(db).await;
    for (field, amount, kind) in [
        ("name", Value::from(1), ErrorKind::Value),
        ("address", 1.into(), ErrorKind::Value),
        ("id", 1.into(), ErrorKind::Value),
        ("shoe", 1.into(), ErrorKind::Filter),
        ("age\" = 0, \"name", 1.into(), ErrorKind::Filter),
        ("age", "x".into(), ErrorKind::Value),
        ("age", Value::Null, ErrorKind::Value),
        ("age", f64::NAN.into(), ErrorKind::Value),
        ("age", f64::INFINITY.into(), ErrorKind::Value),
    ] {
        let error = dialect.increment(&person, &"1".into(), field, &amount).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{field} {amount:?}: {error}");
    }
}

async fn an_increment_finds_no_deleted_row_and_makes_none(db: &Database) {
    let note = schema(json!({"name": "Note", "softDelete": true,
        "fields": {"n": {"type": "number"}, "list": {"type": "array"}}}));
    let dialect = db.with(&[&note]).await;
    insert(&*dialect, &note, json!([{"id": "1", "n": 1, "list": ["a"]}])).await;
    dialect.delete(&note, &"1".into()).await.unwrap();
    for id in ["1", "none"] {
        assert!(dialect.increment(&note, &id.into(), "n", &1.into()).await.unwrap().is_none());
        assert!(dialect.add_to_set(&note, &id.into(), "list", 1.into()).await.unwrap().is_none());
        assert!(dialect.pull(&note, &id.into(), "list", &"a".into()).await.unwrap().is_none());
    }
    assert_eq!(dialect.count(&note, &Filter::everything(), true).await.unwrap(), 1);
}

async fn an_increment_renews_the_time_of_the_last_change(db: &Database) {
    let (person, dialect) = one(db).await;
    dialect.update(&person, &"1".into(), record(json!({"updatedAt": "2001-01-01"}))).await.unwrap();
    let row = increment(&*dialect, &person, "1", 1.into()).await.unwrap();
    let Value::Timestamp(moment) = row["updatedAt"] else { panic!("{row:?}") };
    assert!(moment.millis() > 1_700_000_000_000);
}

async fn tags(dialect: &dyn Dialect, schema: &EntitySchema) -> String {
    let row = dialect.find(schema, &Filter::eq("id", "1"), &FindOptions::default()).await.unwrap().remove(0);
    data::json_text(&row["tags"])
}

async fn add(dialect: &dyn Dialect, schema: &EntitySchema, item: Json) -> Record {
    dialect.add_to_set(schema, &"1".into(), "tags", data::value_from_json(item)).await.unwrap().unwrap()
}

async fn an_item_is_added_once(db: &Database) {
    let (person, dialect) = one(db).await;
    let row = add(&*dialect, &person, json!("red")).await;
    assert_eq!((&row["tags"], &row["name"]), (&Value::Array(vec!["red".into()]), &"a".into()));
    for item in [
        json!("red"),
        json!(1),
        json!(1.0),
        json!("1"),
        json!({"a": 1, "b": null}),
        json!({"b": null, "a": 1.0}),
        json!(true),
        json!(null),
        json!(null),
        json!(["x"]),
        json!(["x"]),
        json!("RED"),
        json!("é'\""),
    ] {
        add(&*dialect, &person, item).await;
    }
    assert_eq!(
        tags(&*dialect, &person).await,
        r#"["red",1,"1",{"a":1,"b":null},true,null,["x"],"RED","é'\""]"#
    );
    let moment = data::Timestamp::from_millis(5);
    dialect.add_to_set(&person, &"2".into(), "tags", Value::Timestamp(moment)).await.unwrap();
    let row =
        dialect.add_to_set(&person, &"2".into(), "tags", Value::Timestamp(moment)).await.unwrap().unwrap();
    assert_eq!(row["tags"], Value::Array(vec!["1970-01-01T00:00:00.005Z".into()]), "dates are text in JSON");
}

async fn equal_items_are_pulled_all(db: &Database) {
    let (person, dialect) = one(db).await;
    let row = dialect.pull(&person, &"1".into(), "tags", &"x".into()).await.unwrap().unwrap();
    assert_eq!(row["tags"], Value::Null, "no list stays none");
    let list = json!({"tags": ["a", 1, "b", 1.0, {"k": [1]}, "a", {"k": [1.0]}]});
    dialect.update(&person, &"1".into(), record(list)).await.unwrap();
    for item in [json!("a"), json!(1), json!({"k": [1]}), json!("none")] {
        dialect.pull(&person, &"1".into(), "tags", &data::value_from_json(item)).await.unwrap();
    }
    assert_eq!(tags(&*dialect, &person).await, r#"["b"]"#);
    dialect.pull(&person, &"1".into(), "tags", &"b".into()).await.unwrap();
    assert_eq!(tags(&*dialect, &person).await, "[]");
}

async fn concurrently_added_items_are_all_there(db: &Database) {
    let (person, dialect) = one(db).await;
    let other = db.open().await;
    let tasks: Vec<_> = (0..30)
        .map(|i| {
            let dialect: Arc<dyn Dialect> = Arc::clone(if i % 2 == 0 { &dialect } else { &other });
            let person = Arc::clone(&person);
            tokio::spawn(async move { add(&*dialect, &person, json!(i % 15)).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(dialect.distinct(&person, "tags", &Filter::everything()).await.unwrap().len(), 15);
    assert_eq!(tags(&*dialect, &person).await.split(',').count(), 15);
}

async fn a_field_without_a_list_takes_no_items(db: &Database) {
    let (person, dialect) = one(db).await;
    dialect.update(&person, &"1".into(), record(json!({"address": {"city": "x"}}))).await.unwrap();
    for (field, kind) in
        [("name", ErrorKind::Value), ("address", ErrorKind::Value), ("shoe", ErrorKind::Filter)]
    {
        let added = dialect.add_to_set(&person, &"1".into(), field, 1.into()).await.unwrap_err();
        let pulled = dialect.pull(&person, &"1".into(), field, &1.into()).await.unwrap_err();
        assert_eq!((added.kind(), pulled.kind()), (kind, kind), "{added}");
    }
    increment(&*dialect, &person, "1", 1.into()).await.expect("the dialect stays usable");
}

async fn links_are_added_and_pulled_like_items(db: &Database) {
    let post = schema(json!({
        "name": "Post", "collection": "posts", "timestamps": true, "fields": {"title": {"type": "string"}},
        "relations": {"tags": {"type": "many-to-many", "target": "Tag"}}
    }));
    let dialect = db.with(&[&post]).await;
    insert(&*dialect, &post, json!([{"id": "1", "tags": ["b"], "updatedAt": "2001-01-01"}])).await;
    let row = add(&*dialect, &post, json!("b")).await;
    assert_eq!(row["tags"], Value::Array(vec!["b".into()]));
    let Value::Timestamp(moment) = row["updatedAt"] else { panic!("{row:?}") };
    assert!(moment.to_iso().starts_with("2001"), "nothing was changed");
    let row = add(&*dialect, &post, json!({"id": "a"})).await;
    assert_eq!(row["tags"], Value::Array(vec!["a".into(), "b".into()]));
    let Value::Timestamp(moment) = row["updatedAt"] else { panic!("{row:?}") };
    assert!(!moment.to_iso().starts_with("2001"));
    let row = dialect.pull(&post, &"1".into(), "tags", &"b".into()).await.unwrap().unwrap();
    assert_eq!(row["tags"], Value::Array(vec!["a".into()]));
    assert!(dialect.add_to_set(&post, &"none".into(), "tags", "x".into()).await.unwrap().is_none());
    assert!(dialect.links(&post, "tags", &["none".into()]).await.unwrap().is_empty());
}

async fn a_transaction_undoes_these_changes(db: &Database) {
    let (person, dialect) = one(db).await;
    let transaction = dialect.begin(None).await.unwrap();
    increment(&*transaction, &person, "1", 1.into()).await.unwrap();
    add(&*transaction, &person, json!("x")).await;
    transaction.update_many(&person, &Filter::everything(), record(json!({"bio": "x"}))).await.unwrap();
    assert_eq!(transaction.delete_many(&person, &Filter::eq("id", "2")).await.unwrap(), 1);
    assert_eq!(transaction.distinct(&person, "tags", &Filter::everything()).await.unwrap().len(), 1);
    transaction.rollback().await.unwrap();
    let rows = dialect.find(&person, &Filter::everything(), &FindOptions::default()).await.unwrap();
    assert!(rows.len() == 2 && rows.iter().all(|row| row["bio"].is_null() && row["tags"].is_null()));
}
