//! Aggregation.

use std::sync::Arc;

use data::{Dialect, EntitySchema, ErrorKind, Pipeline, Record, Value};
use serde_json::{Value as Json, json};

use crate::database::{Database, insert, person, schema};

crate::behaviours!(
    groups_are_computed_as_numbers,
    rows_without_a_value_are_a_group,
    all_rows_are_one_group_even_if_there_are_none,
    group_keys_have_the_values_of_their_fields,
    places_in_documents_are_grouped_and_added_up,
    the_smallest_and_largest_of_any_type_are_found,
    stages_come_in_any_order_and_repeat,
    without_a_group_the_rows_themselves_are_returned,
    softly_deleted_rows_count_only_if_asked_for,
    entities_of_one_table_are_told_apart,
    what_cannot_be_computed_is_a_filter_error,
    names_of_results_cannot_become_sql,
);

async fn people(db: &Database) -> (Arc<EntitySchema>, Arc<dyn Dialect>) {
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

async fn aggregate(dialect: &dyn Dialect, schema: &EntitySchema, stages: Json) -> Vec<Record> {
    dialect.aggregate(schema, &pipeline(stages)).await.unwrap()
}

/// The rows as JSON, in an order of their own.
fn sorted(rows: &[Record]) -> Vec<String> {
    let mut texts: Vec<String> = rows.iter().map(text).collect();
    texts.sort();
    texts
}

fn text(row: &Record) -> String {
    data::json_text(&Value::Object(Box::new(row.clone())))
}

async fn groups_are_computed_as_numbers(db: &Database) {
    let (person, dialect) = people(db).await;
    let rows = aggregate(
        &*dialect,
        &person,
        json!([
            {"$group": {"_by": "bio", "n": {"$count": true}, "ones": {"$sum": 1}, "halves": {"$sum": 0.5},
                        "years": {"$sum": "age"}, "mean": {"$avg": "$age"}, "least": {"$min": "age"},
                        "most": {"$max": "age"}, "aged": {"$count": "age"}}},
            {"$sort": {"bio": 1}}
        ]),
    )
    .await;
    let expected = [
        r#"{"bio":null,"n":1,"ones":1,"halves":0.5,"years":-1,"mean":-1,"least":-1,"most":-1,"aged":1}"#,
        r#"{"bio":"x","n":2,"ones":2,"halves":1,"years":50.5,"mean":25.25,"least":20,"most":30.5,"aged":2}"#,
        r#"{"bio":"y","n":2,"ones":2,"halves":1,"years":40,"mean":40,"least":40,"most":40,"aged":1}"#,
    ];
    assert_eq!(rows.iter().map(text).collect::<Vec<_>>(), expected);
    assert!(matches!(rows[1]["n"], Value::Float(_)) && matches!(rows[1]["years"], Value::Float(_)));
}

async fn rows_without_a_value_are_a_group(db: &Database) {
    let (person, dialect) = people(db).await;
    let rows = aggregate(&*dialect, &person, json!([{"$group": {"_by": "age"}}])).await;
    assert_eq!(
        sorted(&rows),
        [r#"{"age":-1}"#, r#"{"age":20}"#, r#"{"age":30.5}"#, r#"{"age":40}"#, r#"{"age":null}"#]
    );
}

async fn all_rows_are_one_group_even_if_there_are_none(db: &Database) {
    let (person, dialect) = people(db).await;
    let group = json!({"$group": {"_by": null, "n": {"$count": true}, "sum": {"$sum": "age"}, "ones": {"$sum": 1},
                                  "mean": {"$avg": "age"}, "min": {"$min": "born"}, "max": {"$max": "active"},
                                  "json": {"$max": "address"}, "no": {"$sum": "address.no"}}});
    let rows = aggregate(&*dialect, &person, json!([{"$match": {"name": "nobody"}}, group])).await;
    let expected = r#"{"n":0,"sum":0,"ones":0,"mean":null,"min":null,"max":null,"json":null,"no":0}"#;
    assert_eq!(rows.iter().map(text).collect::<Vec<_>>(), [expected]);
    assert_eq!(aggregate(&*dialect, &person, json!([{"$group": {}}])).await, [Record::new()]);
    let none =
        aggregate(&*dialect, &person, json!([{"$match": {"name": "nobody"}}, {"$group": {"_by": "age"}}]))
            .await;
    assert!(none.is_empty());
}

async fn group_keys_have_the_values_of_their_fields(db: &Database) {
    let (person, dialect) = people(db).await;
    let by = async |by: Json| {
        let rows =
            aggregate(&*dialect, &person, json!([{"$group": {"_by": by, "n": {"$count": true}}}])).await;
        sorted(&rows)
    };
    assert_eq!(by(json!("active")).await, [r#"{"active":false,"n":1}"#, r#"{"active":true,"n":4}"#]);
    assert_eq!(
        by(json!("born")).await,
        [
            r#"{"born":"1990-01-01T00:00:00.000Z","n":1}"#,
            r#"{"born":"2000-01-01T00:00:00.000Z","n":2}"#,
            r#"{"born":null,"n":2}"#
        ]
    );
    assert_eq!(
        by(json!("tags")).await,
        [r#"{"tags":["a","b"],"n":2}"#, r#"{"tags":[],"n":1}"#, r#"{"tags":null,"n":2}"#]
    );
    assert_eq!(
        by(json!(["active", "born"])).await,
        [
            r#"{"active":false,"born":"1990-01-01T00:00:00.000Z","n":1}"#,
            r#"{"active":true,"born":"2000-01-01T00:00:00.000Z","n":2}"#,
            r#"{"active":true,"born":null,"n":2}"#
        ]
    );
    let rows = aggregate(&*dialect, &person, json!([{"$group": {"_by": "born"}}])).await;
    assert!(rows.iter().any(|row| matches!(row["born"], Value::Timestamp(_))));
}

async fn places_in_documents_are_grouped_and_added_up(db: &Database) {
    let (person, dialect) = people(db).await;
    let rows = aggregate(
        &*dialect,
        &person,
        json!([
            {"$group": {"_by": "address.no", "n": {"$count": true}, "sum": {"$sum": "address.no"},
                        "mean": {"$avg": "address.no"}, "city": {"$max": "address.city"}}},
            {"$match": {"address.no": {"$ne": null}}},
            {"$sort": {"n": -1}}
        ]),
    )
    .await;
    let rows: Vec<String> = rows.iter().map(|row| text(row).replace("7.0", "7")).collect();
    assert_eq!(
        rows,
        [
            r#"{"address.no":7,"n":2,"sum":14,"mean":7,"city":"Oran"}"#,
            r#"{"address.no":"7","n":1,"sum":0,"mean":null,"city":"Oran"}"#
        ]
    );
    let rows =
        aggregate(&*dialect, &person, json!([{"$group": {"_by": "address.ok", "n": {"$sum": 1}}}])).await;
    assert_eq!(
        sorted(&rows),
        [r#"{"address.ok":false,"n":1}"#, r#"{"address.ok":null,"n":3}"#, r#"{"address.ok":true,"n":1}"#]
    );
}

async fn the_smallest_and_largest_of_any_type_are_found(db: &Database) {
    let (person, dialect) = people(db).await;
    let extremes = async |field: &str| {
        let group = json!({"$group": {"least": {"$min": field}, "most": {"$max": field}}});
        text(&aggregate(&*dialect, &person, json!([group])).await[0])
    };
    for (field, expected) in [
        ("name", r#"{"least":"Ann","most":"Eve"}"#),
        ("active", r#"{"least":false,"most":true}"#),
        ("born", r#"{"least":"1990-01-01T00:00:00.000Z","most":"2000-01-01T00:00:00.000Z"}"#),
        ("address.city", r#"{"least":"Alger","most":"Oran"}"#),
        ("address.ok", r#"{"least":false,"most":true}"#),
        ("address.none", r#"{"least":null,"most":null}"#),
    ] {
        assert_eq!(extremes(field).await, expected, "{field}");
    }
    dialect
        .create(&person, crate::database::record(json!({"name": "x", "address": {"n": 9}})))
        .await
        .unwrap();
    dialect
        .create(&person, crate::database::record(json!({"name": "y", "address": {"n": 10.5}})))
        .await
        .unwrap();
    assert_eq!(extremes("address.n").await, r#"{"least":9,"most":10.5}"#);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_of_postgresql_s_own_types_are_grouped_and_added_up() {
    let db = Database::postgres();
    let dialect = db.open().await;
    let create = "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE thing (id UUID PRIMARY KEY, small INT, \
                  big BIGINT, exact NUMERIC(30,10), moody mood, doc JSON, price DOUBLE PRECISION)";
    dialect.execute_run(create, Vec::new()).await.unwrap();
    let fill = "INSERT INTO thing SELECT gen_random_uuid(), n, 9007199254740993, n / 3.0, 'glad', \
                '{\"b\": 1, \"a\": [2]}', n FROM generate_series(1, 3) AS n";
    dialect.execute_run(fill, Vec::new()).await.unwrap();
    let thing =
        schema(json!({"name": "Thing", "collection": "thing", "fields": {"price": {"type": "number"}}}));
    let rows = aggregate(
        &*dialect,
        &thing,
        json!([
            {"$group": {"_by": ["moody", "doc"], "small": {"$sum": "small"}, "mean": {"$avg": "small"},
                        "third": {"$avg": "exact"}, "big": {"$sum": "big"}, "id": {"$max": "id"},
                        "mood": {"$min": "moody"}, "doc2": {"$max": "doc"}, "a": {"$sum": "doc.b"}}},
            {"$match": {"mean": {"$gt": 1.5}}}
        ]),
    )
    .await;
    let row = &rows[0];
    let number = |name: &str| match row[name] {
        Value::Float(number) => number,
        ref other => panic!("{name}: {other:?} is no double"),
    };
    assert_eq!((number("small"), number("mean"), number("a")), (6.0, 2.0, 3.0));
    assert!((number("third") - 2.0 / 3.0).abs() < 1e-9 && number("big") > 2.7e16);
    assert_eq!(
        (&row["moody"], &row["mood"], row["id"].as_text().map(str::len)),
        (&"glad".into(), &"glad".into(), Some(36))
    );
    assert!(row["doc"].same_as(&row["doc2"]));
    let docs = dialect.distinct(&thing, "doc", &data::Filter::everything()).await.unwrap();
    assert_eq!(docs.len(), 1);
}
