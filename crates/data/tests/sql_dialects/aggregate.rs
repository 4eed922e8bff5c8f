//! Aggregation: how stages work together, and whose rows they see.

use std::sync::Arc;

use data::{Dialect, EntitySchema, ErrorKind, Pipeline, Record, Value};
use serde_json::{Value as Json, json};

use crate::database::{Database, insert, person, schema};

crate::behaviours!(
    stages_come_in_any_order_and_repeat,
    without_a_group_the_rows_themselves_are_returned,
    softly_deleted_rows_count_only_if_asked_for,
    entities_of_one_table_are_told_apart,
    what_cannot_be_computed_is_a_filter_error,
    names_of_results_cannot_become_sql,
);

pub(crate) async fn people(db: &Database) -> (Arc<EntitySchema>, Arc<dyn Dialect>) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    let rows = json!([
        {"id": "1", "name": "Ann", "age": 20, "active": true, "born": "2000-01-01", "bio": "x",
         "address": {"city": "Oran", "no": 7, "ok": true}, "tags": ["a", "b"]},
        {"id": "2", "name": "Bob", "age": 30.5, "active": false, "born": "1990-01-01", "bio": "x",
         "address": {"city": "Alger", "no": 7.0, "ok": false}, "tags": ["a", "b"]},
        {"id": "3", "name": "Cid", "age": 40, "born": "2000-01-01", "bio": "y",
         "address": {"city": "Oran", "no": "7"}, "tags": []},
        {"id": "4", "name": "Dan", "bio": "y", "address": {"city": null}},
        {"id": "5", "name": "Eve", "age": -1}
    ]);
    insert(&*dialect, &person, rows).await;
    (person, dialect)
}

fn pipeline(stages: Json) -> Pipeline {
    match data::value_from_json(stages) {
        Value::Array(stages) => Pipeline::parse(&stages).unwrap(),
        other => panic!("{other:?} is no list"),
    }
}

pub(crate) async fn aggregate(dialect: &dyn Dialect, schema: &EntitySchema, stages: Json) -> Vec<Record> {
    dialect.aggregate(schema, &pipeline(stages)).await.unwrap()
}

/// The rows as JSON, in an order of their own.
pub(crate) fn sorted(rows: &[Record]) -> Vec<String> {
    let mut texts: Vec<String> = rows.iter().map(text).collect();
    texts.sort();
    texts
}

pub(crate) fn text(row: &Record) -> String {
    data::json_text(&Value::Object(Box::new(row.clone())))
}

async fn stages_come_in_any_order_and_repeat(db: &Database) {
    let (person, dialect) = people(db).await;
    for (stages, expected) in [
        (
            json!([{"$sort": {"age": -1}}, {"$limit": 2}, {"$group": {"sum": {"$sum": "age"}}}]),
            vec![r#"{"sum":70.5}"#],
        ),
        (
            json!([{"$group": {"_by": "bio", "n": {"$count": true}}}, {"$match": {"n": {"$gt": 1.5}}},
                   {"$sort": {"bio": "desc"}}]),
            vec![r#"{"bio":"y","n":2}"#, r#"{"bio":"x","n":2}"#],
        ),
        (
            json!([{"$group": {"_by": ["bio", "born"], "n": {"$count": true}}},
                   {"$group": {"_by": "bio", "kinds": {"$count": true}, "rows": {"$sum": "n"}}},
                   {"$sort": {"kinds": -1, "bio": 1}}, {"$limit": 2}]),
            vec![r#"{"bio":"x","kinds":2,"rows":2}"#, r#"{"bio":"y","kinds":2,"rows":2}"#],
        ),
        (
            json!([{"$match": {"age": {"$gt": 0}}}, {"$match": {"bio": "x"}}, {"$group": {"n": {"$count": true}}}]),
            vec![r#"{"n":2}"#],
        ),
        (
            json!([{"$group": {"_by": "born", "n": {"$count": true}}}, {"$match": {"born": {"$gt": "1995-01-01"}}}]),
            vec![r#"{"born":"2000-01-01T00:00:00.000Z","n":2}"#],
        ),
        (json!([{"$limit": 0}, {"$group": {"n": {"$count": true}}}]), vec![r#"{"n":0}"#]),
        (
            json!([{"$group": {"_by": "age"}}, {"$limit": 3}, {"$limit": 9}, {"$group": {"n": {"$count": 1}}}]),
            vec![r#"{"n":3}"#],
        ),
    ] {
        let rows = aggregate(&*dialect, &person, stages.clone()).await;
        assert_eq!(rows.iter().map(text).collect::<Vec<_>>(), expected, "{stages}");
    }
}

async fn without_a_group_the_rows_themselves_are_returned(db: &Database) {
    let (person, dialect) = people(db).await;
    let stages = json!([{"$sort": {"age": -1}}, {"$limit": 3}, {"$match": {"bio": "x"}}]);
    let rows = aggregate(&*dialect, &person, stages).await;
    assert_eq!(crate::database::texts(&rows, "id"), ["2", "1"], "the order outlives the limit");
    assert_eq!(rows[1]["active"], Value::Bool(true));
    assert_eq!(aggregate(&*dialect, &person, json!([])).await.len(), 5);
}

async fn softly_deleted_rows_count_only_if_asked_for(db: &Database) {
    let note = schema(json!({"name": "Note", "softDelete": true, "fields": {"text": {"type": "string"}}}));
    let dialect = db.with(&[&note]).await;
    insert(&*dialect, &note, json!([{"id": "1", "text": "a"}, {"id": "2", "text": "a"}])).await;
    dialect.delete(&note, &"1".into()).await.unwrap();
    let count = json!({"$group": {"n": {"$count": true}}});
    assert_eq!(text(&aggregate(&*dialect, &note, json!([count])).await[0]), r#"{"n":1}"#);
    let deleted = json!([{"$match": {"deletedAt": {"$ne": null}}}, count]);
    assert_eq!(text(&aggregate(&*dialect, &note, deleted).await[0]), r#"{"n":1}"#);
}

async fn entities_of_one_table_are_told_apart(db: &Database) {
    let entity = |name: &str, value: &str| {
        schema(
            json!({"name": name, "collection": "animals", "discriminator": "kind", "discriminatorValue": value,
                      "fields": {"legs": {"type": "number"}}}),
        )
    };
    let (cat, bird) = (entity("Cat", "cat"), entity("Bird", "bird"));
    let dialect = db.with(&[&cat, &bird]).await;
    insert(&*dialect, &cat, json!([{"legs": 4}, {"legs": 4}])).await;
    insert(&*dialect, &bird, json!([{"legs": 2}])).await;
    let sum = json!([{"$group": {"legs": {"$sum": "legs"}}}]);
    assert_eq!(text(&aggregate(&*dialect, &cat, sum.clone()).await[0]), r#"{"legs":8}"#);
    assert_eq!(text(&aggregate(&*dialect, &bird, sum).await[0]), r#"{"legs":2}"#);
}

async fn what_cannot_be_computed_is_a_filter_error(db: &Database) {
    let (person, dialect) = people(db).await;
    for (stages, message) in [
        (json!([{"$group": {"_by": "shoe"}}]), "\"shoe\""),
        (json!([{"$group": {"x": {"$sum": "shoe"}}}]), "\"shoe\""),
        (json!([{"$group": {"x": {"$sum": "name"}}}]), "string field"),
        (json!([{"$group": {"x": {"$avg": "active"}}}]), "boolean field"),
        (json!([{"$group": {"_by": "bio"}}, {"$match": {"age": 1}}]), "they have bio"),
        (json!([{"$group": {"_by": "bio"}}, {"$sort": {"age": 1}}]), "they have bio"),
        (json!([{"$match": {"shoe": 1}}]), "\"shoe\""),
    ] {
        let error = dialect.aggregate(&person, &pipeline(stages.clone())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter, "{stages}: {error}");
        assert!(error.to_string().contains(message), "{stages}: {error}");
    }
}

async fn names_of_results_cannot_become_sql(db: &Database) {
    let (person, dialect) = people(db).await;
    let evil = "x\"; DROP TABLE people; --";
    let long = "n".repeat(200);
    let mut group = serde_json::Map::new();
    for name in [evil, "select", "A", "a", "a0", "k0", &long, "__proto__"] {
        group.insert(name.to_owned(), json!({"$count": true}));
    }
    let mut sort = serde_json::Map::new();
    sort.insert(evil.to_owned(), json!(-1));
    sort.insert(long.clone(), json!(1));
    let mut by = serde_json::Map::new();
    by.insert(evil.to_owned(), json!({"$gte": 5}));
    let row =
        &aggregate(&*dialect, &person, json!([{"$group": group}, {"$sort": sort}, {"$match": by}])).await[0];
    assert!(row.len() == 8 && row.values().all(|count| *count == Value::Float(5.0)), "{row:?}");
    for stages in [
        json!([{"$group": {"_by": evil}}]),
        json!([{"$group": {"x": {"$max": evil}}}]),
        json!([{"$sort": serde_json::Map::from_iter([(evil.to_owned(), json!(1))])}]),
    ] {
        let error = dialect.aggregate(&person, &pipeline(stages)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter);
    }
    let nested = json!([{"$group": {"_by": "address.a'b\"c]", "n": {"$count": true}}}]);
    assert_eq!(sorted(&aggregate(&*dialect, &person, nested).await), [r#"{"address.a'b\"c]":null,"n":5}"#]);
}
