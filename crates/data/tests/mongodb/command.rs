//! Commands that the application writes itself.

use data::{ErrorKind, Value};
use serde_json::json;

use crate::{fresh, record, text, users};

#[tokio::test]
async fn cursors_are_read_to_their_end_and_other_replies_are_one_record() {
    let (dialect, _) = fresh().await;
    for n in 0..5 {
        dialect
            .create(&users(), record(json!({"id": format!("u{n}"), "name": "x", "age": n})))
            .await
            .unwrap();
    }
    let find = r#"{"find": "users", "filter": {"age": {"$gt": 0}}, "sort": {"_id": 1}, "batchSize": 2}"#;
    let found = dialect.execute_query(find, vec![]).await.unwrap();
    assert_eq!(found.iter().map(|user| text(user, "_id")).collect::<Vec<_>>(), ["u1", "u2", "u3", "u4"]);
    let aggregate = r#"{"aggregate": "users", "pipeline": [{"$group": {"_id": null, "sum": {"$sum": "$age"}}}], "cursor": {}}"#;
    assert_eq!(
        dialect.execute_query(aggregate, vec![]).await.unwrap()[0].get("sum"),
        Some(&Value::Float(10.0))
    );
    let count = dialect.execute_query(r#"{"count": "users"}"#, vec![]).await.unwrap();
    assert_eq!(count[0].get("n"), Some(&Value::Int32(5)));
    let since = r#"{"find": "users", "filter": {"createdAt": {"$lt": {"$date": "2000-01-01T00:00:00Z"}}}}"#;
    assert!(dialect.execute_query(since, vec![]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_changing_command_gives_how_many_documents_it_changed() {
    let (dialect, _) = fresh().await;
    let run = async |statement: &str| dialect.execute_run(statement, vec![]).await.unwrap();
    assert_eq!(run(r#"{"insert": "t", "documents": [{"_id": 1}, {"_id": 2}, {"_id": 3}]}"#).await, 3);
    assert_eq!(run(r#"{"update": "t", "updates": [{"q": {"_id": {"$gt": 1}}, "u": {"$set": {"a": 1}}, "multi": true}]}"#).await, 2);
    assert_eq!(
        run(r#"{"update": "t", "updates": [{"q": {"_id": 9}, "u": {"$set": {"a": 1}}, "upsert": true}]}"#)
            .await,
        1
    );
    assert_eq!(run(r#"{"findAndModify": "t", "query": {"_id": 1}, "update": {"$set": {"a": 2}}}"#).await, 1);
    assert_eq!(run(r#"{"delete": "t", "deletes": [{"q": {}, "limit": 0}]}"#).await, 4);
}

#[tokio::test]
async fn a_wrong_command_is_told_and_a_failed_write_is_an_error() {
    let (dialect, _) = fresh().await;
    for (statement, params, kind) in [
        ("find users", vec![], ErrorKind::Statement),
        ("{}", vec![], ErrorKind::Statement),
        (r#"{"fnord": 1}"#, vec![], ErrorKind::Statement),
        (r#"{"ping": 1}"#, vec![Value::Int32(1)], ErrorKind::Config),
        (r#"{"insert": "t", "documents": [{"_id": 1}, {"_id": 1}]}"#, vec![], ErrorKind::UniqueViolation),
        (r#"{"find": "t", "filter": {"a": {"$nope": 1}}}"#, vec![], ErrorKind::Statement),
    ] {
        let error = dialect.execute_query(statement, params).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{statement}: {error}");
    }
}
