//! Dates of every year: compared, ordered and aggregated as the moments that they are.

use std::sync::Arc;

use data::{Dialect, DialectKind, EntitySchema, ErrorKind, Filter, FindOptions, Pipeline, Timestamp, Value};
use serde_json::json;

use crate::database::{Database, filter, names, options, record, schema, texts};

crate::behaviours!(
    dates_of_every_year_are_compared_as_moments,
    dates_of_every_year_are_sorted_as_moments,
    the_earliest_and_the_latest_date_of_a_group_are_those_in_time,
    a_date_that_the_database_cannot_hold_is_refused_by_its_name,
);

/// In the order of time, with their names.
const MOMENTS: [(&str, &str); 9] = [
    ("a", "-000500-06-01T00:00:00.000Z"),
    ("b", "-000044-03-15T12:00:00.000Z"),
    ("c", "-000044-03-15T12:00:00.001Z"),
    ("d", "0001-01-01T00:00:00.000Z"),
    ("e", "1969-12-31T23:59:59.999Z"),
    ("f", "2024-06-30T12:34:56.789Z"),
    ("g", "9999-12-31T23:59:59.999Z"),
    ("h", "+010000-01-01T00:00:00.000Z"),
    ("i", "+275760-09-13T00:00:00.000Z"),
];
/// Those that every database holds.
const ORDINARY: std::ops::Range<usize> = 3..7;

fn event(indexed: bool) -> Arc<EntitySchema> {
    let indexes = if indexed { json!([{"fields": {"at": "asc"}}]) } else { json!([]) };
    schema(json!({"name": "Event", "collection": "events", "indexes": indexes, "fields": {
        "name": {"type": "string"}, "at": {"type": "date"}
    }}))
}

/// The moments that the database holds, put in out of their order, and a row without one.
async fn events(db: &Database, indexed: bool) -> (Arc<EntitySchema>, Arc<dyn Dialect>, Vec<usize>) {
    let schema = event(indexed);
    let dialect = db.with(&[&schema]).await;
    let held: Vec<usize> =
        if db.kind == DialectKind::Mariadb { ORDINARY.collect() } else { (0..MOMENTS.len()).collect() };
    for at in held.iter().rev() {
        let (name, moment) = MOMENTS[*at];
        dialect.create(&schema, record(json!({"name": name, "at": moment}))).await.unwrap();
    }
    dialect.create(&schema, record(json!({"name": "-"}))).await.unwrap();
    (schema, dialect, held)
}

async fn dates_of_every_year_are_compared_as_moments(db: &Database) {
    let (schema, dialect, held) = events(db, true).await;
    let found = |keep: &dyn Fn(usize) -> bool| -> Vec<&str> {
        held.iter().filter(|at| keep(**at)).map(|at| MOMENTS[*at].0).collect()
    };
    for at in &held {
        let moment = MOMENTS[*at].1;
        for (by, expected) in [
            (json!({"at": {"$lt": moment}}), found(&|other| other < *at)),
            (json!({"at": {"$lte": moment}}), found(&|other| other <= *at)),
            (json!({"at": {"$gt": moment}}), found(&|other| other > *at)),
            (json!({"at": {"$gte": moment}}), found(&|other| other >= *at)),
            (json!({"at": moment}), found(&|other| other == *at)),
            (json!({"at": {"$in": [moment, MOMENTS[3].1]}}), found(&|other| other == *at || other == 3)),
        ] {
            assert_eq!(names(&*dialect, &schema, by.clone()).await, expected, "{by}");
        }
        for upper in &held {
            let by = json!({"at": {"$gte": moment, "$lt": MOMENTS[*upper].1}});
            let expected = found(&|other| other >= *at && other < *upper);
            assert_eq!(names(&*dialect, &schema, by.clone()).await, expected, "{by}");
        }
    }
}

async fn dates_of_every_year_are_sorted_as_moments(db: &Database) {
    let (schema, dialect, held) = events(db, false).await;
    let mut ascending = vec!["-"];
    ascending.extend(held.iter().map(|at| MOMENTS[*at].0));
    let mut descending = ascending.clone();
    descending.reverse();
    // With an index the rows may be read in its order, where that is right.
    for schema in [schema, event(true)] {
        for (direction, expected) in [(1, &ascending), (-1, &descending)] {
            let sort = options(json!({"sort": {"at": direction}}));
            let rows = dialect.find(&schema, &Filter::everything(), &sort).await.unwrap();
            assert_eq!(texts(&rows, "name"), *expected);
            let first = options(json!({"sort": {"at": direction}, "limit": 2, "skip": 1}));
            let rows = dialect.find(&schema, &filter(json!({"name": {"$ne": "x"}})), &first).await.unwrap();
            assert_eq!(texts(&rows, "name"), expected[1..3]);
        }
    }
}

async fn the_earliest_and_the_latest_date_of_a_group_are_those_in_time(db: &Database) {
    let (schema, dialect, held) = events(db, false).await;
    let stages = data::value_from_json(
        json!({"$group": {"_by": null, "first": {"$min": "at"}, "last": {"$max": "at"}}}),
    );
    let pipeline = Pipeline::parse(&[stages]).unwrap();
    let rows = dialect.aggregate(&schema, &pipeline).await.unwrap();
    let moment = |at: usize| Value::Timestamp(Timestamp::parse_iso(MOMENTS[at].1).unwrap());
    assert_eq!(rows[0]["first"], moment(held[0]));
    assert_eq!(rows[0]["last"], moment(*held.last().unwrap()));
}

async fn a_date_that_the_database_cannot_hold_is_refused_by_its_name(db: &Database) {
    let schema = event(false);
    let dialect = db.with(&[&schema]).await;
    for (name, moment) in MOMENTS {
        let created = dialect.create(&schema, record(json!({"name": name, "at": moment}))).await;
        let by = filter(json!({"at": {"$lt": moment}}));
        let found = dialect.find(&schema, &by, &FindOptions::default()).await;
        let is_ordinary = MOMENTS[ORDINARY].iter().any(|(ordinary, _)| *ordinary == name);
        if is_ordinary || db.kind != DialectKind::Mariadb {
            created.unwrap();
            found.unwrap();
            continue;
        }
        let error = created.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Value, "{error}");
        assert!(error.to_string().contains("Event.at") && error.to_string().contains(moment), "{error}");
        let error = found.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter, "{error}");
        assert!(error.to_string().contains("\"at\""), "{error}");
    }
}

#[tokio::test]
async fn digits_beyond_milliseconds_count_on_sqlite() {
    let db = Database::sqlite();
    let schema = event(true);
    let dialect = db.with(&[&schema]).await;
    let ascending = [
        "2024-01-01T00:00:00.123Z",
        "2024-01-01T00:00:00.123456Z",
        "2024-01-01T00:00:00.123457Z",
        "2024-01-01T00:00:00.124Z",
    ];
    for moment in ascending {
        dialect.create(&schema, record(json!({"name": moment, "at": moment}))).await.unwrap();
    }
    for (at, moment) in ascending.into_iter().enumerate() {
        for (by, expected) in [
            (json!({"at": {"$lt": moment}}), &ascending[..at]),
            (json!({"at": {"$lte": moment}}), &ascending[..=at]),
            (json!({"at": {"$gt": moment}}), &ascending[at + 1..]),
            (json!({"at": {"$gte": moment, "$lt": "2025-01-01"}}), &ascending[at..]),
        ] {
            let rows = dialect
                .find(&schema, &filter(by.clone()), &options(json!({"sort": {"at": 1}})))
                .await
                .unwrap();
            let mut found = texts(&rows, "name");
            found.sort_by_key(|text| Timestamp::parse_iso(text));
            assert_eq!(found, expected, "{by}");
        }
    }
}

#[tokio::test]
async fn a_range_of_ordinary_dates_is_found_by_its_index_on_sqlite() {
    let db = Database::sqlite();
    let schema = event(true);
    let dialect = db.with(&[&schema]).await;
    let plan = async |condition: &str| {
        let query = format!("EXPLAIN QUERY PLAN SELECT * FROM events WHERE {condition}");
        let rows = dialect.execute_query(&query, Vec::new()).await.unwrap();
        texts(&rows, "detail").join("; ")
    };
    // The shapes that the conditions have.
    let moment = "'2024-01-01T00:00:00.000Z'";
    let exact = "at COLLATE REPLICAVERSE_MOMENT";
    for condition in [
        format!("(at >= '-' AND at <= {moment} AND {exact} < {moment})"),
        format!("((at >= {moment} OR at < ',') AND {exact} >= {moment})"),
        format!(
            "(at >= {moment} AND {exact} >= {moment}) AND (at >= '-' AND at <= {moment} AND {exact} < {moment})"
        ),
    ] {
        let plan = plan(&condition).await;
        assert!(plan.contains("USING INDEX idx_events_0") && !plan.contains("SCAN"), "{plan}");
    }
}
