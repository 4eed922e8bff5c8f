//! Changing and deleting many rows, and the different values of a field.

use std::sync::Arc;

use data::{Dialect, EntitySchema, ErrorKind, Filter, FindOptions, Value};
use serde_json::{Value as Json, json};

use crate::database::{Database, filter, insert, names, person, record, schema};

crate::behaviours!(
    every_row_that_passes_is_changed_and_counted,
    a_change_of_nothing_counts_the_rows_that_pass,
    a_change_that_fails_changes_no_row,
    lists_of_many_rows_change_with_them,
    every_row_that_passes_is_deleted_with_its_links,
    many_rows_are_softly_deleted_once,
    rows_of_another_entity_in_the_same_table_stay,
    different_values_come_sorted_and_without_null,
    the_different_values_of_a_list_are_its_items,
    links_of_many_rows_are_read_together,
);

async fn people(db: &Database) -> (Arc<EntitySchema>, Arc<dyn Dialect>) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    let rows = json!([
        {"id": "1", "name": "b", "age": 2, "tags": ["x", 1, {"k": 1, "l": 2}], "born": "2000-01-01",
         "address": {"city": "Oran"}},
        {"id": "2", "name": "B", "age": 10, "tags": ["y", 1.0, {"l": 2.0, "k": 1}], "active": false},
        {"id": "3", "name": "é", "age": 2, "tags": [], "born": "1969-12-31", "address": {"city": "Alger"}},
        {"id": "4", "name": "a"}
    ]);
    insert(&*dialect, &person, rows).await;
    (person, dialect)
}

async fn every_row_that_passes_is_changed_and_counted(db: &Database) {
    let (person, dialect) = people(db).await;
    let old = record(json!({"updatedAt": "2001-01-01"}));
    dialect.update(&person, &"1".into(), old).await.unwrap();
    let first = async || {
        let row = dialect.find(&person, &Filter::eq("id", "1"), &FindOptions::default()).await;
        row.unwrap().remove(0)
    };
    let before = first().await;
    let changes = record(json!({"bio": " new ", "id": "other", "createdAt": null}));
    assert_eq!(dialect.update_many(&person, &filter(json!({"age": 2})), changes).await.unwrap(), 2);
    assert_eq!(names(&*dialect, &person, json!({"bio": " new "})).await, ["b", "é"]);
    let after = first().await;
    assert_eq!(after["createdAt"], before["createdAt"]);
    assert_ne!(after["updatedAt"], before["updatedAt"]);
    let none = dialect.update_many(&person, &filter(json!({"age": 99})), record(json!({"bio": "x"}))).await;
    assert_eq!(none.unwrap(), 0);
    let same =
        dialect.update_many(&person, &filter(json!({"age": 2})), record(json!({"bio": " new "}))).await;
    assert_eq!(same.unwrap(), 2, "rows count that had the value before");
}

async fn a_change_of_nothing_counts_the_rows_that_pass(db: &Database) {
    let plain = schema(json!({"name": "Plain", "fields": {"n": {"type": "number"}}}));
    let dialect = db.with(&[&plain]).await;
    insert(&*dialect, &plain, json!([{"n": 1}, {"n": 1}, {"n": 2}])).await;
    assert_eq!(dialect.update_many(&plain, &Filter::eq("n", 1), record(json!({}))).await.unwrap(), 2);
}

async fn a_change_that_fails_changes_no_row(db: &Database) {
    let (person, dialect) = people(db).await;
    for (changes, kind) in [
        (json!({"email": "same@x"}), ErrorKind::UniqueViolation),
        (json!({"name": null}), ErrorKind::NotNullViolation),
        (json!({"age": "x"}), ErrorKind::Value),
    ] {
        let error = dialect.update_many(&person, &Filter::everything(), record(changes)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    let error = dialect.update_many(&person, &filter(json!({"shoe": 1})), record(json!({"age": 1}))).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Filter);
    assert_eq!(dialect.count(&person, &filter(json!({"email": null})), false).await.unwrap(), 4);
}

fn post() -> Arc<EntitySchema> {
    schema(json!({
        "name": "Post", "collection": "posts", "timestamps": true, "fields": {"title": {"type": "string"}},
        "relations": {"tags": {"type": "many-to-many", "target": "Tag", "through": "post_tags"}}
    }))
}

async fn posts(db: &Database) -> (Arc<EntitySchema>, Arc<dyn Dialect>) {
    let post = post();
    let dialect = db.with(&[&post]).await;
    let rows = json!([
        {"id": "1", "title": "a", "tags": ["t1", "t2"]}, {"id": "2", "title": "a", "tags": ["t3"]},
        {"id": "3", "title": "b", "tags": ["t1"]}
    ]);
    insert(&*dialect, &post, rows).await;
    (post, dialect)
}

async fn links(dialect: &dyn Dialect, post: &EntitySchema, ids: &[&str]) -> Vec<String> {
    let ids: Vec<Value> = ids.iter().map(|id| Value::from(*id)).collect();
    let links = dialect.links(post, "tags", &ids).await.unwrap();
    links
        .iter()
        .map(|(own, other)| format!("{}-{}", own.as_text().unwrap(), other.as_text().unwrap()))
        .collect()
}

async fn lists_of_many_rows_change_with_them(db: &Database) {
    let (post, dialect) = posts(db).await;
    let changes = record(json!({"title": "c", "tags": ["t2", "t9"]}));
    assert_eq!(dialect.update_many(&post, &Filter::eq("title", "a"), changes).await.unwrap(), 2);
    assert_eq!(links(&*dialect, &post, &["1", "2", "3"]).await, ["1-t2", "1-t9", "2-t2", "2-t9", "3-t1"]);
    assert_eq!(dialect.count(&post, &Filter::eq("title", "c"), false).await.unwrap(), 2);
    let only_list = record(json!({"tags": []}));
    assert_eq!(dialect.update_many(&post, &Filter::eq("title", "c"), only_list).await.unwrap(), 2);
    assert_eq!(links(&*dialect, &post, &["1", "2", "3"]).await, ["3-t1"]);
}

async fn every_row_that_passes_is_deleted_with_its_links(db: &Database) {
    let (post, dialect) = posts(db).await;
    assert_eq!(dialect.delete_many(&post, &Filter::eq("title", "a")).await.unwrap(), 2);
    assert_eq!(dialect.delete_many(&post, &Filter::eq("title", "a")).await.unwrap(), 0);
    assert_eq!(links(&*dialect, &post, &["1", "2", "3"]).await, ["3-t1"]);
    let (person, dialect) = (person(), db.with(&[&person()]).await);
    insert(&*dialect, &person, json!([{"name": "a", "age": 1}, {"name": "b", "age": 2}, {"name": "c"}]))
        .await;
    assert_eq!(dialect.delete_many(&person, &filter(json!({"age": {"$gte": 1}}))).await.unwrap(), 2);
    assert_eq!(dialect.delete_many(&person, &Filter::everything()).await.unwrap(), 1);
}

async fn many_rows_are_softly_deleted_once(db: &Database) {
    let note = schema(json!({"name": "Note", "softDelete": true, "fields": {"text": {"type": "string"}}}));
    let dialect = db.with(&[&note]).await;
    insert(
        &*dialect,
        &note,
        json!([{"id": "1", "text": "a"}, {"id": "2", "text": "a"}, {"id": "3", "text": "b"}]),
    )
    .await;
    dialect.delete(&note, &"1".into()).await.unwrap();
    assert_eq!(dialect.delete_many(&note, &Filter::eq("text", "a")).await.unwrap(), 1);
    assert_eq!(dialect.delete_many(&note, &filter(json!({"deletedAt": {"$ne": null}}))).await.unwrap(), 0);
    assert_eq!(dialect.count(&note, &Filter::everything(), true).await.unwrap(), 3);
    let changes = || record(json!({"text": "z"}));
    assert_eq!(dialect.update_many(&note, &Filter::everything(), changes()).await.unwrap(), 1);
    let revived = record(json!({"deletedAt": null}));
    assert_eq!(dialect.update_many(&note, &Filter::eq("text", "a"), revived).await.unwrap(), 2);
    assert_eq!(dialect.count(&note, &Filter::everything(), false).await.unwrap(), 3);
}

async fn rows_of_another_entity_in_the_same_table_stay(db: &Database) {
    let entity = |name: &str, value: &str| {
        schema(
            json!({"name": name, "collection": "animals", "discriminator": "kind", "discriminatorValue": value,
                      "fields": {"legs": {"type": "number"}}}),
        )
    };
    let (cat, bird) = (entity("Cat", "cat"), entity("Bird", "bird"));
    let dialect = db.with(&[&cat, &bird]).await;
    insert(&*dialect, &cat, json!([{"legs": 4}])).await;
    insert(&*dialect, &bird, json!([{"legs": 2}])).await;
    assert_eq!(
        dialect.update_many(&cat, &Filter::everything(), record(json!({"legs": 5}))).await.unwrap(),
        1
    );
    assert_eq!(dialect.distinct(&bird, "legs", &Filter::everything()).await.unwrap(), [Value::Float(2.0)]);
    assert_eq!(dialect.delete_many(&cat, &Filter::everything()).await.unwrap(), 1);
    assert_eq!(dialect.count(&bird, &Filter::everything(), false).await.unwrap(), 1);
}

async fn different_values_come_sorted_and_without_null(db: &Database) {
    let (person, dialect) = people(db).await;
    let distinct = async |field: &str, by: Json| {
        let values = dialect.distinct(&person, field, &filter(by)).await.unwrap();
        data::json_text(&Value::Array(values))
    };
    assert_eq!(distinct("age", json!({})).await, "[2,10]");
    assert_eq!(distinct("name", json!({})).await, r#"["B","a","b","é"]"#);
    assert_eq!(distinct("active", json!({})).await, "[false,true]");
    assert_eq!(
        distinct("born", json!({})).await,
        r#"["1969-12-31T00:00:00.000Z","2000-01-01T00:00:00.000Z"]"#
    );
    assert_eq!(distinct("address.city", json!({})).await, r#"["Alger","Oran"]"#);
    assert_eq!(distinct("age", json!({"name": "B"})).await, "[10]");
    assert_eq!(distinct("id", json!({"age": 2})).await, r#"["1","3"]"#);
    assert_eq!(distinct("bio", json!({})).await, "[]");
    let error = dialect.distinct(&person, "shoe\" FROM people --", &Filter::everything()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Filter);
}

async fn the_different_values_of_a_list_are_its_items(db: &Database) {
    let (person, dialect) = people(db).await;
    let values = dialect.distinct(&person, "tags", &Filter::everything()).await.unwrap();
    assert_eq!(values.len(), 4, "{values:?}");
    assert!(values[0].same_as(&1.into()) && values[1] == "x".into() && values[2] == "y".into());
    assert!(values[3].same_as(&Value::object([("k", Value::from(1)), ("l", 2.into())])));
}

async fn links_of_many_rows_are_read_together(db: &Database) {
    let (post, dialect) = posts(db).await;
    assert_eq!(links(&*dialect, &post, &["1", "2", "none"]).await, ["1-t1", "1-t2", "2-t3"]);
    assert!(links(&*dialect, &post, &[]).await.is_empty());
    let many: Vec<Value> = (0..1500).map(|id| Value::from(id.to_string())).collect();
    assert_eq!(dialect.links(&post, "tags", &many).await.unwrap().len(), 4);
    for relation in ["title", "none\" --"] {
        let error = dialect.links(&post, relation, &["1".into()]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter);
    }
}
