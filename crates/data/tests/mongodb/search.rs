//! Searching text fields.

use data::{ErrorKind, FindOptions};
use serde_json::json;

use crate::{fresh, options, record, schema, text};

#[tokio::test]
async fn a_text_is_found_in_either_case_and_taken_literally() {
    let (dialect, _) = fresh().await;
    let notes = schema(json!({
        "name": "Note", "softDelete": true,
        "fields": {"title": {"type": "string"}, "body": {"type": "text"}, "n": {"type": "number"}, "tags": {"type": "array"}}
    }));
    for note in [
        json!({"id": "1", "title": "Éclair au café", "body": "100% (a|b)"}),
        json!({"id": "2", "title": "second", "body": "ÉCLAIR", "n": 100}),
        json!({"id": "3", "title": "a_b", "tags": ["second"]}),
        json!({"id": "4", "title": "Second, deleted"}),
    ] {
        dialect.create(&notes, record(note)).await.unwrap();
    }
    dialect.delete(&notes, &"4".into()).await.unwrap();
    let search = async |query: &str, fields: &[&str], given| {
        let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        let found = dialect.search(&notes, query, &fields, &options(given)).await.unwrap();
        let mut ids: Vec<_> = found.iter().map(|note| text(note, "id").to_owned()).collect();
        ids.sort();
        ids.join("")
    };
    for (query, fields, expected) in [
        ("éclair", vec![], "12"),
        ("éclair", vec!["body"], "2"),
        ("0%", vec![], "1"),
        ("%", vec![], "1"),
        ("_", vec![], "3"),
        (".", vec![], ""),
        ("(a|b)", vec![], "1"),
        ("SECOND", vec![], "2"),
        ("second", vec!["tags", "title"], "23"),
        ("100", vec!["n"], ""),
        ("", vec!["body"], "12"),
        ("\0", vec![], ""),
    ] {
        assert_eq!(search(query, &fields, json!({})).await, expected, "{query} in {fields:?}");
    }
    assert_eq!(
        search("second", &[], json!({"includeDeleted": true, "sort": {"id": -1}, "limit": 1})).await,
        "4"
    );
    for field in ["nope", "$where", "title.x"] {
        let error =
            dialect.search(&notes, "a", &[field.to_owned()], &FindOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter, "{field}");
    }
    let bare = schema(json!({"name": "Bare", "fields": {"n": {"type": "number"}}}));
    dialect.create(&bare, record(json!({"n": 1}))).await.unwrap();
    assert!(dialect.search(&bare, "1", &[], &FindOptions::default()).await.unwrap().is_empty());
}
