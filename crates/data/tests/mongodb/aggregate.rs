//! Aggregations.

use std::sync::Arc;

use data::{Dialect, EntitySchema, ErrorKind, Pipeline, Record, Value, json_text, value_from_json};
use mongodb::bson::{Bson, Document, doc};
use serde_json::{Value as Json, json};

use crate::{fresh, record, schema};

fn sales() -> Arc<EntitySchema> {
    schema(json!({
        "name": "Sale", "collection": "sales", "softDelete": true,
        "fields": {
            "city": {"type": "string"}, "price": {"type": "number"}, "paid": {"type": "boolean"},
            "day": {"type": "date"}, "extra": {"type": "json"}, "tags": {"type": "array"}
        },
        "relations": {"buyer": {"type": "many-to-one", "target": "User", "joinColumn": "buyerId"}}
    }))
}

async fn filled() -> (Arc<dyn Dialect>, mongodb::Database) {
    let (dialect, stored) = fresh().await;
    for sale in [
        json!({"id": "1", "city": "Oran", "price": 10, "paid": true, "day": "2020-01-01", "extra": {"no": 1}, "buyer": "65a1f0c2d4e5b6a798897766"}),
        json!({"id": "2", "city": "Oran", "price": 2.5, "paid": false, "day": "2021-01-01", "extra": {"no": "x"}}),
        json!({"id": "3", "city": "Alger", "price": 4, "paid": true, "extra": {"list": [5, 6]}}),
        json!({"id": "4", "price": 1, "tags": ["a"]}),
        json!({"id": "5", "city": "Alger"}),
        json!({"id": "6", "city": "Oran", "price": 1000}),
    ] {
        dialect.create(&sales(), record(sale)).await.unwrap();
    }
    dialect.delete(&sales(), &"6".into()).await.unwrap();
    // Another application writes integers, and null where ours leaves the field out.
    let other = doc! {"_id": "7", "city": Bson::Null, "price": 3i64};
    stored.collection::<Document>("sales").insert_one(other).await.unwrap();
    (dialect, stored)
}

fn pipeline(stages: Json) -> Pipeline {
    match value_from_json(stages) {
        Value::Array(stages) => Pipeline::parse(&stages).unwrap(),
        other => panic!("{other:?} is no list"),
    }
}

async fn aggregate(dialect: &Arc<dyn Dialect>, stages: Json) -> Vec<Record> {
    dialect.aggregate(&sales(), &pipeline(stages)).await.unwrap()
}

async fn shown(dialect: &Arc<dyn Dialect>, stages: Json) -> Json {
    let rows = aggregate(dialect, stages).await.into_iter().map(|row| Value::Object(Box::new(row)));
    serde_json::from_str(&json_text(&Value::Array(rows.collect()))).unwrap()
}

#[tokio::test]
async fn groups_bear_the_name_of_their_field_and_those_without_a_value_are_one() {
    let (dialect, _) = filled().await;
    let stages = json!([
        {"$group": {"_by": "city", "n": {"$count": true}, "priced": {"$count": "price"}, "sum": {"$sum": "$price"},
                    "mean": {"$avg": "price"}, "least": {"$min": "price"}, "most": {"$max": "price"}, "ones": {"$sum": 2}}},
        {"$sort": {"city": 1}}
    ]);
    assert_eq!(
        shown(&dialect, stages).await,
        json!([
            {"city": null, "n": 2, "priced": 2, "sum": 4, "mean": 2, "least": 1, "most": 3, "ones": 4},
            {"city": "Alger", "n": 2, "priced": 1, "sum": 4, "mean": 4, "least": 4, "most": 4, "ones": 4},
            {"city": "Oran", "n": 2, "priced": 2, "sum": 12.5, "mean": 6.25, "least": 2.5, "most": 10, "ones": 4},
        ])
    );
}

#[tokio::test]
async fn of_nothing_the_sum_is_0_and_the_mean_null_and_one_group_is_always_there() {
    let (dialect, _) = filled().await;
    let group = json!({"$group": {"n": {"$count": true}, "sum": {"$sum": "price"}, "mean": {"$avg": "price"}, "most": {"$max": "day"}}});
    for first in [json!({"$match": {"city": "nowhere"}}), json!({"$limit": 0})] {
        let rows = shown(&dialect, json!([first, group])).await;
        assert_eq!(rows, json!([{"n": 0, "sum": 0, "mean": null, "most": null}]));
    }
    assert_eq!(
        shown(&dialect, json!([{"$match": {"city": "nowhere"}}, {"$group": {"_by": "city"}}])).await,
        json!([])
    );
    let all = aggregate(&dialect, json!([group])).await;
    assert_eq!((all[0]["n"].as_f64(), &all[0]["sum"]), (Some(6.0), &Value::Float(20.5)));
    assert!(matches!(all[0]["most"], Value::Timestamp(_)));
}

#[tokio::test]
async fn stages_work_on_what_the_ones_before_them_left() {
    let (dialect, _) = filled().await;
    let stages = json!([
        {"$sort": {"price": -1}}, {"$limit": 3},
        {"$group": {"_by": ["city", "paid"], "sum": {"$sum": "price"}}},
        {"$match": {"sum": {"$gt": 2.5}, "paid": true}}, {"$match": {"city": {"$regex": "^[AO]"}}},
        {"$sort": {"sum": -1}},
        {"$group": {"_by": "paid", "cities": {"$count": "city"}, "best": {"$max": "sum"}}}
    ]);
    assert_eq!(shown(&dialect, stages).await, json!([{"paid": true, "cities": 2, "best": 10}]));
    let rows =
        shown(&dialect, json!([{"$match": {"price": {"$lt": 3}}}, {"$sort": {"price": 1}}, {"$limit": 1}]))
            .await;
    assert_eq!(
        (&rows[0]["id"], &rows[0]["city"]),
        (&json!("4"), &json!(null)),
        "rows that are not grouped are records"
    );
}

#[tokio::test]
async fn keys_and_extremes_keep_their_types() {
    let (dialect, _) = filled().await;
    let rows = aggregate(&dialect, json!([{"$match": {"city": "Oran"}}, {"$group": {"_by": "day", "first": {"$min": "day"}, "who": {"$max": "buyer"}}}, {"$sort": {"day": 1}}])).await;
    assert_eq!(rows[0]["day"], Value::Timestamp(data::Timestamp::parse_iso("2020-01-01").unwrap()));
    assert_eq!(rows[0]["first"], rows[0]["day"]);
    assert_eq!(rows[0]["who"], "65a1f0c2d4e5b6a798897766".into());
    let rows = shown(&dialect, json!([{"$match": {"paid": {"$ne": null}}}, {"$group": {"_by": "paid", "n": {"$count": true}}}, {"$sort": {"paid": 1}}])).await;
    assert_eq!(rows, json!([{"paid": false, "n": 1}, {"paid": true, "n": 2}]));
}

#[tokio::test]
async fn paths_lead_into_json_and_what_is_no_number_is_not_added_up() {
    let (dialect, _) = filled().await;
    let rows = shown(&dialect, json!([{"$group": {"sum": {"$sum": "extra.no"}, "second": {"$max": "extra.list.1"}, "n": {"$count": "extra.no"}}}])).await;
    assert_eq!(rows, json!([{"sum": 1, "second": 6, "n": 2}]));
    let rows = shown(&dialect, json!([{"$group": {"_by": "extra.no"}}, {"$match": {"extra.no": {"$ne": null}}}, {"$sort": {"extra.no": 1}}])).await;
    assert_eq!(rows, json!([{"extra.no": 1}, {"extra.no": "x"}]));
    for field in ["city", "paid", "day", "id"] {
        let error = dialect
            .aggregate(&sales(), &pipeline(json!([{"$group": {"x": {"$sum": field}}}])))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter, "{field}: {error}");
    }
}

#[tokio::test]
async fn softly_deleted_rows_count_only_where_a_match_names_the_deletion() {
    let (dialect, _) = filled().await;
    let count = json!({"$group": {"n": {"$count": true}}});
    assert_eq!(shown(&dialect, json!([count])).await, json!([{"n": 6}]));
    assert_eq!(
        shown(&dialect, json!([{"$match": {"deletedAt": {"$ne": null}}}, count])).await,
        json!([{"n": 1}])
    );
}

#[tokio::test]
async fn names_are_taken_as_they_are_and_unknown_ones_are_errors() {
    let (dialect, _) = filled().await;
    for name in ["$where", "a.b", "_id", "__proto__", "a\"'`; --", "é", "r0"] {
        let stages = json!([{"$group": {"_by": "city", name: {"$sum": "price"}}}, {"$sort": {name: -1}}, {"$limit": 1}]);
        assert_eq!(shown(&dialect, stages).await, json!([{"city": "Oran", name: 12.5}]), "{name}");
    }
    for stages in [
        json!([{"$group": {"_by": "nope"}}]),
        json!([{"$group": {"x": {"$sum": "nope"}}}]),
        json!([{"$sort": {"nope": 1}}]),
        json!([{"$group": {"_by": "city"}}, {"$sort": {"price": 1}}]),
        json!([{"$group": {"_by": "city"}}, {"$match": {"price": 1}}]),
        json!([{"$group": {"_by": "city"}}, {"$match": {"city": {"$gt": null}}}]),
    ] {
        let parsed = match value_from_json(stages.clone()) {
            Value::Array(stages) => Pipeline::parse(&stages),
            other => panic!("{other:?} is no list"),
        };
        let error = match parsed {
            Ok(parsed) => dialect.aggregate(&sales(), &parsed).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::Filter, "{stages}: {error}");
    }
}
