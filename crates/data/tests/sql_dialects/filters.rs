//! What filters mean, the same on every database.

use data::{Dialect, ErrorKind, Filter, FindOptions, Value};
use serde_json::json;

use crate::database::{Database, filter, insert, names, options, person, record};

crate::behaviours!(
    comparisons_hold_for_values_and_not_for_null,
    lists_of_values_treat_null_as_a_value,
    conditions_combine,
    dates_and_booleans_are_compared_as_such,
    regular_expressions_are_real_ones,
    a_malformed_expression_is_a_filter_error,
    a_list_field_contains_a_single_value,
    a_json_field_equals_a_whole_document,
    paths_lead_into_json_and_compare_by_type,
    an_unknown_field_is_named_with_the_known_ones,
    an_operand_of_the_wrong_type_is_a_filter_error,
    very_long_lists_of_values_work,
    very_many_alternatives_work,
);

async fn people(db: &Database) -> (std::sync::Arc<data::EntitySchema>, std::sync::Arc<dyn Dialect>) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    insert(&*dialect, &person, json!([
        {"id": "1", "name": "Ann", "age": 20, "active": true, "born": "2000-01-01", "tags": ["red", 1, {"k": 1}],
         "address": {"city": "Oran", "no": 7, "geo": {"lat": 35.5}, "lines": ["x", "y"], "ok": true}},
        {"id": "2", "name": "Bob", "age": 30, "active": false, "born": "1990-01-01", "tags": ["blue"],
         "address": {"city": "Alger", "no": "7", "geo": null}},
        {"id": "3", "name": "cid", "tags": [], "address": {"no": 10}},
        {"id": "4", "name": "Dan%_", "age": -1}
    ]))
    .await;
    (person, dialect)
}

async fn comparisons_hold_for_values_and_not_for_null(db: &Database) {
    let (person, dialect) = people(db).await;
    for (by, expected) in [
        (json!({}), vec!["Ann", "Bob", "Dan%_", "cid"]),
        (json!({"age": 20}), vec!["Ann"]),
        (json!({"age": {"$ne": 20}}), vec!["Bob", "Dan%_", "cid"]),
        (json!({"age": null}), vec!["cid"]),
        (json!({"age": {"$ne": null}}), vec!["Ann", "Bob", "Dan%_"]),
        (json!({"age": {"$gt": 20}}), vec!["Bob"]),
        (json!({"age": {"$gte": 20}}), vec!["Ann", "Bob"]),
        (json!({"age": {"$lt": 20}}), vec!["Dan%_"]),
        (json!({"age": {"$lte": 20, "$gt": -1}}), vec!["Ann"]),
        (json!({"age": {"$exists": true}}), vec!["Ann", "Bob", "Dan%_"]),
        (json!({"age": {"$exists": false}}), vec!["cid"]),
        (json!({"name": "Dan%_"}), vec!["Dan%_"]),
    ] {
        assert_eq!(names(&*dialect, &person, by.clone()).await, expected, "{by}");
    }
}

async fn lists_of_values_treat_null_as_a_value(db: &Database) {
    let (person, dialect) = people(db).await;
    for (by, expected) in [
        (json!({"age": {"$in": [20, 30]}}), vec!["Ann", "Bob"]),
        (json!({"age": {"$in": []}}), vec![]),
        (json!({"age": {"$in": [null]}}), vec!["cid"]),
        (json!({"age": {"$in": [20, null]}}), vec!["Ann", "cid"]),
        (json!({"age": {"$nin": [20]}}), vec!["Bob", "Dan%_", "cid"]),
        (json!({"age": {"$nin": []}}), vec!["Ann", "Bob", "Dan%_", "cid"]),
        (json!({"age": {"$nin": [20, null]}}), vec!["Bob", "Dan%_"]),
        (json!({"age": {"$nin": [null]}}), vec!["Ann", "Bob", "Dan%_"]),
    ] {
        assert_eq!(names(&*dialect, &person, by.clone()).await, expected, "{by}");
    }
}

async fn conditions_combine(db: &Database) {
    let (person, dialect) = people(db).await;
    for (by, expected) in [
        (json!({"$or": [{"name": "Ann"}, {"age": null}]}), vec!["Ann", "cid"]),
        (json!({"$or": []}), vec![]),
        (json!({"$and": []}), vec!["Ann", "Bob", "Dan%_", "cid"]),
        (json!({"$and": [{"age": {"$gt": 0}}, {"$or": [{"name": "Bob"}, {"name": "cid"}]}]}), vec!["Bob"]),
        (json!({"name": "Ann", "age": 30}), vec![]),
    ] {
        assert_eq!(names(&*dialect, &person, by.clone()).await, expected, "{by}");
    }
}

async fn dates_and_booleans_are_compared_as_such(db: &Database) {
    let (person, dialect) = people(db).await;
    for (by, expected) in [
        (json!({"born": "2000-01-01T01:00:00+01:00"}), vec!["Ann"]),
        (json!({"born": {"$lt": "1995-06-01"}}), vec!["Bob"]),
        (json!({"active": true}), vec!["Ann", "Dan%_", "cid"]),
        (json!({"active": {"$in": [false]}}), vec!["Bob"]),
    ] {
        assert_eq!(names(&*dialect, &person, by.clone()).await, expected, "{by}");
    }
}

async fn regular_expressions_are_real_ones(db: &Database) {
    let (person, dialect) = people(db).await;
    for (by, expected) in [
        (json!({"name": {"$regex": "^A"}}), vec!["Ann"]),
        (json!({"name": {"$regex": "^(a|c)"}}), vec!["cid"]),
        (json!({"name": {"$regex": "^(a|c)", "$regexFlags": "i"}}), vec!["Ann", "cid"]),
        (json!({"name": {"$regex": "^.n{2}$"}}), vec!["Ann"]),
        (json!({"name": {"$regex": "%_"}}), vec!["Dan%_"]),
        (json!({"bio": {"$regex": "."}}), vec![]),
        (json!({"age": {"$regex": "2"}}), vec![]),
        (json!({"tags": {"$regex": "^re"}}), vec!["Ann"]),
        (json!({"address.city": {"$regex": "^al", "$options": "i"}}), vec!["Bob"]),
    ] {
        assert_eq!(names(&*dialect, &person, by.clone()).await, expected, "{by}");
    }
}

async fn a_malformed_expression_is_a_filter_error(db: &Database) {
    let (person, dialect) = people(db).await;
    for by in [json!({"name": {"$regex": "(unclosed"}}), json!({"address.city": {"$regex": "[a"}})] {
        let error = dialect.find(&person, &filter(by), &FindOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter, "{error}");
    }
}

async fn a_list_field_contains_a_single_value(db: &Database) {
    let (person, dialect) = people(db).await;
    for (by, expected) in [
        (json!({"tags": "red"}), vec!["Ann"]),
        (json!({"tags": 1}), vec!["Ann"]),
        (json!({"tags": "1"}), vec![]),
        (json!({"tags": {"k": 1}}), vec!["Ann"]),
        (json!({"tags": ["blue"]}), vec!["Bob"]),
        (json!({"tags": []}), vec!["cid"]),
        (json!({"tags": {"$in": ["blue", "red"]}}), vec!["Ann", "Bob"]),
        (json!({"tags": {"$ne": "red"}}), vec!["Bob", "Dan%_", "cid"]),
        (json!({"tags": {"$nin": ["red", null]}}), vec!["Bob", "cid"]),
        (json!({"tags": null}), vec!["Dan%_"]),
    ] {
        assert_eq!(names(&*dialect, &person, by.clone()).await, expected, "{by}");
    }
}

async fn a_json_field_equals_a_whole_document(db: &Database) {
    let (person, dialect) = people(db).await;
    for (by, expected) in [
        (json!({"address": {"geo": null, "no": "7", "city": "Alger"}}), vec!["Bob"]),
        (json!({"address": {"city": "Alger"}}), vec![]),
        (json!({"address": {"no": 10.0}}), vec!["cid"]),
        (json!({"address": {"$ne": {"no": 10}}}), vec!["Ann", "Bob", "Dan%_"]),
        (json!({"address": null}), vec!["Dan%_"]),
        (
            json!({"address": {"ok": true, "lines": ["x", "y"], "geo": {"lat": 35.5}, "no": 7, "city": "Oran"}}),
            vec!["Ann"],
        ),
        (
            json!({"address": {"ok": true, "lines": ["y", "x"], "geo": {"lat": 35.5}, "no": 7, "city": "Oran"}}),
            vec![],
        ),
    ] {
        assert_eq!(names(&*dialect, &person, by.clone()).await, expected, "{by}");
    }
}

async fn paths_lead_into_json_and_compare_by_type(db: &Database) {
    let (person, dialect) = people(db).await;
    for (by, expected) in [
        (json!({"address.city": "Oran"}), vec!["Ann"]),
        (json!({"address.no": 7}), vec!["Ann"]),
        (json!({"address.no": "7"}), vec!["Bob"]),
        (json!({"address.no": {"$gt": 6}}), vec!["Ann", "cid"]),
        (json!({"address.no": {"$gt": 9}}), vec!["cid"]),
        (json!({"address.no": {"$lt": "8"}}), vec!["Bob"]),
        (json!({"address.geo.lat": {"$gte": 35.5}}), vec!["Ann"]),
        (json!({"address.geo": null}), vec!["Bob", "Dan%_", "cid"]),
        (json!({"address.geo": {"$exists": true}}), vec!["Ann"]),
        (json!({"address.lines.1": "y"}), vec!["Ann"]),
        (json!({"address.ok": true}), vec!["Ann"]),
        (json!({"address.city": {"$in": ["Oran", "Alger"]}}), vec!["Ann", "Bob"]),
        (json!({"address.city": {"$nin": ["Oran", null]}}), vec!["Bob"]),
        (json!({"address.city": {"$ne": "Oran"}}), vec!["Bob", "Dan%_", "cid"]),
        (json!({"tags.0": "blue"}), vec!["Bob"]),
        (json!({"address.a'b\"c": 1}), vec![]),
    ] {
        assert_eq!(names(&*dialect, &person, by.clone()).await, expected, "{by}");
    }
    let sorted = dialect
        .find(&person, &filter(json!({})), &options(json!({"sort": {"address.city": 1, "name": 1}})))
        .await;
    assert_eq!(crate::database::texts(&sorted.unwrap(), "id"), ["4", "3", "2", "1"]);
    let error = dialect
        .find(&person, &filter(json!({"name.first": "x"})), &FindOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Filter);
}

async fn an_unknown_field_is_named_with_the_known_ones(db: &Database) {
    let (person, dialect) = people(db).await;
    let everything = Filter::everything();
    let by_filter = dialect.find(&person, &filter(json!({"shoe": 1})), &FindOptions::default()).await;
    let by_sort = dialect.find(&person, &everything, &options(json!({"sort": {"shoe": 1}}))).await;
    let by_select = dialect.find(&person, &everything, &options(json!({"select": ["shoe"]}))).await;
    for result in [by_filter, by_sort, by_select] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter);
        let message = error.to_string();
        assert!(message.contains("\"shoe\"") && message.contains("address"), "{message}");
    }
    dialect.create(&person, record(json!({"name": "new", "shoe": 43}))).await.unwrap();
    assert_eq!(
        names(&*dialect, &person, json!({"shoe": 43})).await,
        ["new"],
        "a column added by a write is known"
    );
}

async fn an_operand_of_the_wrong_type_is_a_filter_error(db: &Database) {
    let (person, dialect) = people(db).await;
    for by in [
        json!({"age": "1 OR 1=1"}),
        json!({"active": "yes"}),
        json!({"born": {"$gt": "yesterday"}}),
        json!({"name": {"x": 1}}),
    ] {
        let error = dialect.count(&person, &filter(by), false).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter, "{error}");
    }
}

async fn very_long_lists_of_values_work(db: &Database) {
    let (person, dialect) = people(db).await;
    let mut ids: Vec<Value> = (0..70_000).map(|i| Value::from(format!("x{i}"))).collect();
    ids.push("2".into());
    let by =
        |condition| Filter::Field(data::FieldPath { field: "id".to_owned(), below: Vec::new() }, condition);
    assert_eq!(dialect.count(&person, &by(data::Condition::In(ids.clone())), false).await.unwrap(), 1);
    assert_eq!(dialect.count(&person, &by(data::Condition::Nin(ids)), false).await.unwrap(), 3);
}

async fn very_many_alternatives_work(db: &Database) {
    let (person, dialect) = people(db).await;
    let ages: Vec<_> = (0..5000).map(|age| json!({"age": age})).collect();
    assert_eq!(names(&*dialect, &person, json!({"$or": ages})).await, ["Ann", "Bob"]);
    let tags: Vec<_> = (0..2000).map(|tag| json!(format!("tag {tag}"))).chain([json!("red")]).collect();
    assert_eq!(names(&*dialect, &person, json!({"tags": {"$in": tags}})).await, ["Ann"]);
    let others: Vec<_> = (0..5000).map(|age| json!({"age": {"$ne": age}})).collect();
    assert_eq!(names(&*dialect, &person, json!({"$and": others})).await, ["Dan%_", "cid"]);
}
