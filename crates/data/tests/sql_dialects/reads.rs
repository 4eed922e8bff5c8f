//! Options of reads, and raw statements.

use data::{Dialect, ErrorKind, Filter, FindOptions};
use serde_json::json;

use crate::database::{Database, filter, insert, options, person, schema, texts};

crate::behaviours!(
    null_sorts_first_ascending_and_last_descending,
    rows_are_skipped_with_and_without_a_limit,
    fields_are_selected_and_left_out,
    counts_follow_the_filter,
    raw_statements_take_parameters_and_return_native_values,
    a_raw_statement_that_is_wrong_reports_the_database_code,
    a_dialect_answers_until_it_is_disconnected,
);

async fn three(db: &Database) -> (std::sync::Arc<data::EntitySchema>, std::sync::Arc<dyn Dialect>) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    let rows = json!([{"id": "1", "name": "b", "age": 2}, {"id": "2", "name": "c"}, {"id": "3", "name": "a", "age": 1}]);
    insert(&*dialect, &person, rows).await;
    (person, dialect)
}

async fn null_sorts_first_ascending_and_last_descending(db: &Database) {
    let (person, dialect) = three(db).await;
    for (sort, expected) in [
        (json!({"age": 1}), ["2", "3", "1"]),
        (json!({"age": -1}), ["1", "3", "2"]),
        (json!({"bio": 1, "name": "desc"}), ["2", "1", "3"]),
    ] {
        let rows =
            dialect.find(&person, &Filter::everything(), &options(json!({"sort": sort}))).await.unwrap();
        assert_eq!(texts(&rows, "id"), expected, "{sort}");
    }
}

async fn rows_are_skipped_with_and_without_a_limit(db: &Database) {
    let (person, dialect) = three(db).await;
    for (given, expected) in [
        (json!({"sort": {"id": 1}, "skip": 1}), vec!["2", "3"]),
        (json!({"sort": {"id": 1}, "skip": 1, "limit": 1}), vec!["2"]),
        (json!({"sort": {"id": 1}, "limit": 2}), vec!["1", "2"]),
        (json!({"sort": {"id": 1}, "skip": 1, "limit": 0}), vec!["2", "3"]),
        (json!({"skip": 9}), vec![]),
    ] {
        let rows = dialect.find(&person, &Filter::everything(), &options(given.clone())).await.unwrap();
        assert_eq!(texts(&rows, "id"), expected, "{given}");
    }
}

async fn fields_are_selected_and_left_out(db: &Database) {
    let (person, dialect) = three(db).await;
    let keys = async |given| {
        let row = dialect.find(&person, &Filter::eq("id", "1"), &options(given)).await.unwrap().remove(0);
        row.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys(json!({"select": ["name", "name"]})).await, ["id", "name"]);
    assert_eq!(keys(json!({"select": ["name", "age"], "exclude": ["name"]})).await, ["id", "age"]);
    let left = keys(json!({"exclude": ["bio", "address", "id"]})).await;
    assert!(
        left.contains(&"id".to_owned())
            && !left.contains(&"bio".to_owned())
            && left.contains(&"name".to_owned())
    );
}

async fn counts_follow_the_filter(db: &Database) {
    let (person, dialect) = three(db).await;
    assert_eq!(dialect.count(&person, &Filter::everything(), false).await.unwrap(), 3);
    assert_eq!(dialect.count(&person, &filter(json!({"age": {"$gte": 1}})), false).await.unwrap(), 2);
}

async fn raw_statements_take_parameters_and_return_native_values(db: &Database) {
    let (_, dialect) = three(db).await;
    let mark = db.mark();
    let sql = format!("SELECT name, age FROM people WHERE id = {mark}");
    let rows = dialect.execute_query(&sql, vec!["1".into()]).await.unwrap();
    assert_eq!((&rows[0]["name"], &rows[0]["age"]), (&"b".into(), &2.0.into()));
    let sql = format!("UPDATE people SET age = age + 1 WHERE age > {mark}");
    assert_eq!(dialect.execute_run(&sql, vec![0.into()]).await.unwrap(), 2);
}

async fn a_raw_statement_that_is_wrong_reports_the_database_code(db: &Database) {
    let (_, dialect) = three(db).await;
    let error = dialect.execute_query("SELEC 1", Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Statement);
    assert!(["42601", "SQLITE_ERROR", "1064"].contains(&error.code()), "{}", error.code());
    let error = dialect.execute_run("DELETE FROM nothing_here", Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTable);
}

async fn a_dialect_answers_until_it_is_disconnected(db: &Database) {
    let other = schema(json!({"name": "Other"}));
    let dialect = db.with(&[&other]).await;
    dialect.test_connection().await.unwrap();
    dialect.disconnect().await.unwrap();
    dialect.disconnect().await.unwrap();
    let error = dialect.find(&other, &Filter::everything(), &FindOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}
