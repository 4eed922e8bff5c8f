//! Creating, changing and deleting rows.

use data::{ErrorKind, Filter, FindOptions, Timestamp, Value};
use serde_json::json;

use crate::database::{Database, insert, person, record, schema};

crate::behaviours!(
    a_row_comes_back_as_it_was_written,
    an_id_is_made_when_none_is_given_and_never_changed,
    defaults_and_normalisation_apply_on_insert,
    an_update_returns_the_stored_row,
    a_row_that_does_not_exist_is_not_updated_or_deleted,
    timestamps_are_managed,
    a_soft_delete_sets_only_deleted_at_and_hides_the_row,
    a_unique_value_may_be_used_again_after_a_soft_delete,
    the_discriminator_is_forced_and_filters,
    a_many_to_many_list_is_kept_in_the_junction_and_updated_by_difference,
    a_reference_is_stored_in_its_column_and_empty_means_null,
    unicode_and_long_text_survive,
    numbers_keep_their_digits_or_are_refused,
    a_prefix_stands_before_every_table,
    a_row_is_found_by_the_fields_of_a_unique_index,
);

async fn a_row_comes_back_as_it_was_written(db: &Database) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    let written = record(json!({
        "id": "p1", "name": "Amina", "bio": null, "age": 41.5, "active": false, "born": "1983-05-01T12:30:00.123Z",
        "address": {"city": "Oran", "lines": ["a", {"b": null}]}, "tags": ["x", 2, true], "email": "a@example.org"
    }));
    let created = dialect.create(&person, written).await.unwrap();
    let found = dialect.find(&person, &Filter::eq("id", "p1"), &FindOptions::default()).await.unwrap();
    assert_eq!(found.as_slice(), std::slice::from_ref(&created));
    assert_eq!(created["id"], Value::from("p1"));
    assert_eq!(created["bio"], Value::Null);
    assert_eq!(created["age"], Value::Float(41.5));
    assert_eq!(created["active"], Value::Bool(false));
    assert_eq!(created["born"], Value::Timestamp(Timestamp::parse_iso("1983-05-01T12:30:00.123Z").unwrap()));
    let address = record(json!({"city": "Oran", "lines": ["a", {"b": null}]}));
    assert!(created["address"].same_as(&Value::Object(Box::new(address))));
    assert_eq!(created["tags"], Value::Array(vec!["x".into(), 2.into(), true.into()]));
}

async fn an_id_is_made_when_none_is_given_and_never_changed(db: &Database) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    let created = dialect.create(&person, record(json!({"name": "a", "id": ""}))).await.unwrap();
    let id = created["id"].as_text().unwrap().to_owned();
    assert_eq!(id.len(), 36, "{id}");
    let changed =
        dialect.update(&person, &Value::from(id.clone()), record(json!({"id": "other", "name": "b"}))).await;
    let changed = changed.unwrap().unwrap();
    assert_eq!((changed["id"].as_text(), changed["name"].as_text()), (Some(id.as_str()), Some("b")));
}

async fn defaults_and_normalisation_apply_on_insert(db: &Database) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    let row =
        dialect.create(&person, record(json!({"name": "a", "email": "  A@Example.ORG "}))).await.unwrap();
    assert_eq!((row["active"].clone(), row["email"].as_text()), (Value::Bool(true), Some("a@example.org")));
    let error = dialect.create(&person, record(json!({"age": 3}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotNullViolation);
    let error = dialect.create(&person, record(json!({"name": "a", "age": "many"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
}

async fn an_update_returns_the_stored_row(db: &Database) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    insert(
        &*dialect,
        &person,
        json!([{"id": "1", "name": "a", "age": 1}, {"id": "2", "name": "b", "age": 2}]),
    )
    .await;
    let row = dialect.update(&person, &"1".into(), record(json!({"age": 9}))).await.unwrap().unwrap();
    assert_eq!((row["name"].as_text(), row["age"].clone()), (Some("a"), Value::Float(9.0)));
    let other = dialect.find(&person, &Filter::eq("id", "2"), &FindOptions::default()).await.unwrap();
    assert_eq!(other[0]["age"], Value::Float(2.0));
}

async fn a_row_that_does_not_exist_is_not_updated_or_deleted(db: &Database) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    assert_eq!(dialect.update(&person, &"none".into(), record(json!({"age": 1}))).await.unwrap(), None);
    assert!(!dialect.delete(&person, &"none".into()).await.unwrap());
    insert(&*dialect, &person, json!([{"id": "1", "name": "a"}])).await;
    assert!(dialect.delete(&person, &"1".into()).await.unwrap());
    assert!(!dialect.delete(&person, &"1".into()).await.unwrap());
}

async fn timestamps_are_managed(db: &Database) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    let moment = "2020-01-01T00:00:00.000Z";
    let row = record(json!({"id": "1", "name": "a", "createdAt": moment, "updatedAt": moment}));
    let created = dialect.create(&person, row).await.unwrap();
    let given = Value::Timestamp(Timestamp::parse_iso(moment).unwrap());
    assert_eq!((&created["createdAt"], &created["updatedAt"]), (&given, &given), "a copy keeps its dates");
    let changed = dialect.update(&person, &"1".into(), record(json!({"age": 1}))).await.unwrap().unwrap();
    assert_eq!(changed["createdAt"], given);
    assert_ne!(changed["updatedAt"], given);
    let fresh = dialect.create(&person, record(json!({"name": "b"}))).await.unwrap();
    assert!(matches!(fresh["createdAt"], Value::Timestamp(_)) && fresh["createdAt"] == fresh["updatedAt"]);
}

async fn a_soft_delete_sets_only_deleted_at_and_hides_the_row(db: &Database) {
    let note = schema(json!({
        "name": "Note", "collection": "notes", "timestamps": true, "softDelete": true,
        "fields": {"text": {"type": "text"}}
    }));
    let dialect = db.with(&[&note]).await;
    let created = dialect.create(&note, record(json!({"id": "1", "text": "a"}))).await.unwrap();
    assert!(dialect.delete(&note, &"1".into()).await.unwrap());
    assert!(dialect.delete(&note, &"1".into()).await.unwrap(), "a second soft delete is true again");
    assert_eq!(dialect.count(&note, &Filter::everything(), false).await.unwrap(), 0);
    assert_eq!(dialect.count(&note, &Filter::everything(), true).await.unwrap(), 1);
    assert_eq!(dialect.update(&note, &"1".into(), record(json!({"text": "b"}))).await.unwrap(), None);
    let options = FindOptions { include_deleted: true, ..FindOptions::default() };
    let row = dialect.find(&note, &Filter::everything(), &options).await.unwrap().remove(0);
    assert!(matches!(row["deletedAt"], Value::Timestamp(_)));
    assert_eq!((&row["updatedAt"], &row["text"]), (&created["updatedAt"], &created["text"]));
    let named = Filter::Field(
        data::FieldPath { field: "deletedAt".to_owned(), below: Vec::new() },
        data::Condition::Exists(true),
    );
    assert_eq!(
        dialect.count(&note, &named, false).await.unwrap(),
        1,
        "a filter that names deletedAt sees it"
    );
    assert!(!dialect.delete(&note, &"none".into()).await.unwrap());
}

async fn a_unique_value_may_be_used_again_after_a_soft_delete(db: &Database) {
    let user = schema(json!({
        "name": "User", "collection": "users", "softDelete": true,
        "fields": {"email": {"type": "string", "unique": true}}
    }));
    let dialect = db.with(&[&user]).await;
    dialect.create(&user, record(json!({"id": "1", "email": "a"}))).await.unwrap();
    let error = dialect.create(&user, record(json!({"id": "2", "email": "a"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniqueViolation);
    dialect.delete(&user, &"1".into()).await.unwrap();
    dialect.create(&user, record(json!({"id": "2", "email": "a"}))).await.unwrap();
}

async fn the_discriminator_is_forced_and_filters(db: &Database) {
    let entity = |name: &str| {
        schema(
            json!({"name": name, "collection": "animals", "discriminator": "kind", "fields": {"name": {"type": "string"}}}),
        )
    };
    let (cat, dog) = (entity("Cat"), entity("Dog"));
    let dialect = db.with(&[&cat, &dog]).await;
    dialect.create(&cat, record(json!({"id": "1", "name": "Minou", "kind": "Dog"}))).await.unwrap();
    dialect.create(&dog, record(json!({"id": "2", "name": "Rex"}))).await.unwrap();
    let cats = dialect.find(&cat, &Filter::everything(), &FindOptions::default()).await.unwrap();
    assert_eq!((cats.len(), cats[0]["kind"].as_text()), (1, Some("Cat")));
    assert_eq!(dialect.update(&cat, &"2".into(), record(json!({"name": "x"}))).await.unwrap(), None);
    assert!(!dialect.delete(&cat, &"2".into()).await.unwrap());
}

async fn a_many_to_many_list_is_kept_in_the_junction_and_updated_by_difference(db: &Database) {
    let post = schema(json!({
        "name": "Post", "collection": "posts", "fields": {"title": {"type": "string"}},
        "relations": {"tags": {"type": "many-to-many", "target": "Tag", "through": "post_tags"}}
    }));
    let tag = schema(json!({"name": "Tag", "collection": "tags"}));
    let dialect = db.with(&[&post, &tag]).await;
    let links = async |id: &str| {
        let (tag, post) = (db.quote("tagId"), db.quote("postId"));
        let sql = format!("SELECT {tag} FROM post_tags WHERE {post} = '{id}' ORDER BY 1");
        crate::database::texts(&dialect.execute_query(&sql, Vec::new()).await.unwrap(), "tagId")
    };
    dialect
        .create(&post, record(json!({"id": "1", "title": "a", "tags": ["t1", {"id": "t2"}]})))
        .await
        .unwrap();
    assert_eq!(links("1").await, ["t1", "t2"]);
    let read = dialect.find(&post, &Filter::eq("id", "1"), &FindOptions::default()).await.unwrap();
    assert_eq!(read[0]["tags"], Value::Array(Vec::new()), "a plain read gives no list");
    dialect.update(&post, &"1".into(), record(json!({"tags": "t2, t3"}))).await.unwrap().unwrap();
    assert_eq!(links("1").await, ["t2", "t3"]);
    dialect.update(&post, &"1".into(), record(json!({"title": "b"}))).await.unwrap().unwrap();
    assert_eq!(links("1").await, ["t2", "t3"], "an update without the list leaves it");
    dialect.delete(&post, &"1".into()).await.unwrap();
    assert!(links("1").await.is_empty());
}

async fn a_reference_is_stored_in_its_column_and_empty_means_null(db: &Database) {
    let author = schema(json!({"name": "Author", "collection": "authors"}));
    let book = schema(json!({
        "name": "Book", "collection": "books",
        "relations": {"author": {"type": "many-to-one", "target": "Author", "joinColumn": "authorId"}}
    }));
    let dialect = db.with(&[&book, &author]).await;
    dialect.create(&author, record(json!({"id": "a"}))).await.unwrap();
    let row =
        dialect.create(&book, record(json!({"id": "1", "author": {"id": "a", "name": "x"}}))).await.unwrap();
    assert_eq!(row["authorId"].as_text(), Some("a"));
    for by in ["author", "authorId"] {
        assert_eq!(dialect.count(&book, &Filter::eq(by, "a"), false).await.unwrap(), 1, "{by}");
    }
    let row = dialect.update(&book, &"1".into(), record(json!({"author": ""}))).await.unwrap().unwrap();
    assert_eq!(row["authorId"], Value::Null);
    let error = dialect.create(&book, record(json!({"author": "missing"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ForeignKeyViolation);
    dialect.update(&book, &"1".into(), record(json!({"authorId": "a"}))).await.unwrap();
    dialect.delete(&author, &"a".into()).await.unwrap();
    let row = dialect.find(&book, &Filter::everything(), &FindOptions::default()).await.unwrap().remove(0);
    assert_eq!(row["authorId"], Value::Null, "a nullable reference becomes NULL");
}

async fn unicode_and_long_text_survive(db: &Database) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    let text = "été 🐘 'quoted' \"double\" \\ \n\t — مرحبا".repeat(5000);
    dialect
        .create(&person, record(json!({"id": "é🐘", "name": "été 🐘 \\ '\"", "bio": text})))
        .await
        .unwrap();
    let row =
        dialect.find(&person, &Filter::eq("id", "é🐘"), &FindOptions::default()).await.unwrap().remove(0);
    assert_eq!((row["name"].as_text(), row["bio"].as_text()), (Some("été 🐘 \\ '\""), Some(text.as_str())));
}

async fn numbers_keep_their_digits_or_are_refused(db: &Database) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    for number in [0.1, -0.1, 1e300, 5e-324, 9_007_199_254_740_991.0, f64::INFINITY, f64::NEG_INFINITY] {
        let mut row = record(json!({"name": "a"}));
        row.insert("age".to_owned(), Value::Float(number));
        if number.is_infinite() && db.kind == data::DialectKind::Mariadb {
            assert_eq!(dialect.create(&person, row).await.unwrap_err().kind(), ErrorKind::Value);
            continue;
        }
        let row = dialect.create(&person, row).await.unwrap();
        assert_eq!(row["age"], Value::Float(number));
        assert_eq!(dialect.count(&person, &Filter::eq("age", number), false).await.unwrap(), 1, "{number}");
    }
    let mut row = record(json!({"name": "a"}));
    row.insert("age".to_owned(), Value::Int64((1 << 53) + 1));
    assert_eq!(dialect.create(&person, row).await.unwrap_err().kind(), ErrorKind::Value);
}

async fn a_prefix_stands_before_every_table(db: &Database) {
    let post = schema(json!({
        "name": "Post", "collection": "posts", "fields": {"title": {"type": "string"}},
        "relations": {"tags": {"type": "many-to-many", "target": "Tag", "through": "post_tags"}},
        "indexes": [{"fields": ["title"]}]
    }));
    let tag = schema(json!({"name": "Tag", "collection": "tags"}));
    let dialect = db.open_with(|config| config.table_prefix = "app_".to_owned()).await;
    dialect.init_schema(&[post.clone(), tag]).await.unwrap();
    dialect.create(&post, record(json!({"id": "1", "title": "a", "tags": ["t"]}))).await.unwrap();
    assert_eq!(dialect.count(&post, &Filter::eq("title", "a"), false).await.unwrap(), 1);
    let tables = dialect.tables().unwrap().list_tables().await.unwrap();
    assert_eq!(tables, ["app_post_tags", "app_posts", "app_tags"]);
}

async fn a_row_is_found_by_the_fields_of_a_unique_index(db: &Database) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    insert(&*dialect, &person, json!([{"id": "1", "name": "a", "email": "e"}])).await;
    let by_email = Value::object([("email", Value::from("e"))]);
    assert!(dialect.update(&person, &by_email, record(json!({"age": 1}))).await.unwrap().is_some());
    let by_name = Value::object([("name", Value::from("a"))]);
    assert_eq!(dialect.delete(&person, &by_name).await.unwrap_err().kind(), ErrorKind::Filter);
    assert!(dialect.delete(&person, &Value::object([("id", Value::from("1"))])).await.unwrap());
}
