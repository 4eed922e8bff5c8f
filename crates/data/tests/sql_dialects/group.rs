//! Aggregation: the keys of groups and what is computed of them.

use data::{Record, Value};
use serde_json::{Value as Json, json};

use crate::aggregate::{aggregate, people, sorted, text};
use crate::database::{Database, record, schema};

crate::behaviours!(
    groups_are_computed_as_numbers,
    rows_without_a_value_are_a_group,
    all_rows_are_one_group_even_if_there_are_none,
    group_keys_have_the_values_of_their_fields,
    places_in_documents_are_grouped_and_added_up,
    the_smallest_and_largest_of_any_type_are_found,
);

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
    dialect.create(&person, record(json!({"name": "x", "address": {"n": 9}}))).await.unwrap();
    dialect.create(&person, record(json!({"name": "y", "address": {"n": 10.5}}))).await.unwrap();
    assert_eq!(extremes("address.n").await, r#"{"least":9,"most":10.5}"#);
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
