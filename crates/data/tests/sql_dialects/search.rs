//! Finding rows by a text within their fields.

use std::sync::Arc;

use data::{Dialect, EntitySchema, ErrorKind};
use serde_json::json;

use crate::database::{Database, insert, options, person, schema, texts};

crate::behaviours!(
    a_text_is_found_in_either_case_of_its_letters,
    signs_of_patterns_stand_for_themselves,
    only_the_named_fields_are_searched,
    options_apply_to_a_search,
    softly_deleted_rows_are_not_found,
    an_unknown_field_cannot_be_searched,
);

async fn found(dialect: &dyn Dialect, schema: &EntitySchema, text: &str, fields: &[&str]) -> Vec<String> {
    let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
    let by_id = options(json!({"sort": {"id": 1}}));
    texts(&dialect.search(schema, text, &fields, &by_id).await.unwrap(), "id")
}

async fn people(db: &Database) -> (Arc<EntitySchema>, Arc<dyn Dialect>) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    let rows = json!([
        {"id": "1", "name": "Émile ZOLA", "bio": "writer", "age": 5},
        {"id": "2", "name": "zoé", "bio": "100% _real_ \\ (a.b) [x] ^$"},
        {"id": "3", "name": "Σωκράτης", "tags": ["Zorn"], "address": {"city": "Zola"}},
        {"id": "4", "name": "line\nZo la", "email": "a@x"}
    ]);
    insert(&*dialect, &person, rows).await;
    (person, dialect)
}

async fn a_text_is_found_in_either_case_of_its_letters(db: &Database) {
    let (person, dialect) = people(db).await;
    for (text, expected) in [
        ("zola", vec!["1"]),
        ("émile zo", vec!["1"]),
        ("ÉMILE", vec!["1"]),
        ("ZOÉ", vec!["2"]),
        ("zoe", vec![]),
        ("σωκράτησ", vec!["3"]),
        ("ΣΩΚΡΆΤΗΣ", vec!["3"]),
        ("WRITER", vec!["1"]),
        ("", vec!["1", "2", "3", "4"]),
    ] {
        assert_eq!(found(&*dialect, &person, text, &[]).await, expected, "{text}");
    }
}

async fn signs_of_patterns_stand_for_themselves(db: &Database) {
    let (person, dialect) = people(db).await;
    for text in ["%", "0% _", "_real_", " \\ ", "(a.b)", "[x]", "^$", "].{0,0} "] {
        let expected: &[&str] = if text.starts_with(']') { &[] } else { &["2"] };
        assert_eq!(found(&*dialect, &person, text, &[]).await, expected, "{text}");
    }
    assert!(found(&*dialect, &person, "a%b", &[]).await.is_empty());
    assert!(found(&*dialect, &person, "' OR 1=1 --", &[]).await.is_empty());
    assert_eq!(found(&*dialect, &person, "e\nz", &[]).await, ["4"]);
}

async fn only_the_named_fields_are_searched(db: &Database) {
    let (person, dialect) = people(db).await;
    assert_eq!(found(&*dialect, &person, "writer", &["name"]).await, Vec::<String>::new());
    assert_eq!(found(&*dialect, &person, "zo", &["bio", "name"]).await, ["1", "2", "4"]);
    assert_eq!(found(&*dialect, &person, "ZO", &["address.city", "tags"]).await, ["3"]);
    assert!(found(&*dialect, &person, "5", &["age"]).await.is_empty());
    let counter = schema(json!({"name": "Counter", "fields": {"n": {"type": "number"}}}));
    dialect.init_schema(&[Arc::clone(&counter)]).await.unwrap();
    insert(&*dialect, &counter, json!([{"n": 1}])).await;
    assert!(found(&*dialect, &counter, "1", &[]).await.is_empty(), "there is no text to search");
}

async fn options_apply_to_a_search(db: &Database) {
    let (person, dialect) = people(db).await;
    let given = options(json!({"sort": {"id": -1}, "skip": 1, "limit": 1, "select": ["name"]}));
    let rows = dialect.search(&person, "zo", &["name".to_owned()], &given).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].keys().collect::<Vec<_>>(), ["id", "name"]);
    assert_eq!(rows[0]["id"], "2".into());
}

async fn softly_deleted_rows_are_not_found(db: &Database) {
    let note = schema(json!({"name": "Note", "softDelete": true, "fields": {"text": {"type": "text"}}}));
    let dialect = db.with(&[&note]).await;
    insert(&*dialect, &note, json!([{"id": "1", "text": "Abc"}, {"id": "2", "text": "abc"}])).await;
    dialect.delete(&note, &"1".into()).await.unwrap();
    assert_eq!(found(&*dialect, &note, "B", &[]).await, ["2"]);
    let all = options(json!({"includeDeleted": true}));
    assert_eq!(dialect.search(&note, "B", &[], &all).await.unwrap().len(), 2);
}

async fn an_unknown_field_cannot_be_searched(db: &Database) {
    let (person, dialect) = people(db).await;
    for field in ["shoe", "name\" IS NULL OR \"name", ""] {
        let error = dialect.search(&person, "a", &[field.to_owned()], &options(json!({}))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter, "{error}");
    }
}
