//! The oplog as a log of changes: what it tells, where it begins, and what becomes of it when it fails.

use std::sync::Arc;
use std::time::Duration;

use data::log::{ChangeStream, LogEvent, LogKind, LogReader, OpenedLog, Operation, Position, Unchanged};
use data::table::{KeyRange, Row, RowBatch, ScanOptions, Table};
use data::{Dialect, ErrorKind, Value};
use mongodb::bson::{Bson, Document, doc};
use tokio::time::timeout;

use crate::support::Server;
use crate::{fresh, fresh_on, new_database};

const PATIENCE: Duration = Duration::from_secs(30);

/// A reader of some collections, with a column for the fields that they lack.
async fn reader(dialect: &Arc<dyn Dialect>, name: &str, collections: &[&str]) -> LogReader {
    let mut tables = Vec::new();
    for collection in collections {
        let table = dialect.tables().unwrap().describe(collection).await.unwrap().unwrap();
        tables.push(Arc::new(table.with_rest("$rest")));
    }
    LogReader { name: format!("replicaverse_{name}"), tables }
}

fn log(dialect: &Arc<dyn Dialect>) -> &dyn data::log::ChangeLog {
    dialect.tables().unwrap().change_log(LogKind::Log).unwrap()
}

/// The next transaction: its changes and its end.
async fn transaction(stream: &mut Box<dyn ChangeStream>) -> (Vec<Operation>, Position) {
    let mut changes = Vec::new();
    loop {
        match timeout(PATIENCE, stream.next()).await.expect("something comes").unwrap() {
            LogEvent::Changes(more) => changes.extend(more.into_iter().map(|change| change.operation)),
            LogEvent::Commit(position) => return (changes, position),
            LogEvent::Begin(_) | LogEvent::Idle(_) | LogEvent::Message { .. } => {}
        }
    }
}

async fn from_here(dialect: &Arc<dyn Dialect>, reader: &LogReader) -> Box<dyn ChangeStream> {
    let head = log(dialect).head().await.unwrap();
    log(dialect).stream(reader, &head).await.unwrap()
}

fn items(database: &mongodb::Database) -> mongodb::Collection<Document> {
    database.collection("items")
}

#[tokio::test]
async fn every_kind_of_change_is_told_by_the_columns_that_it_changes() {
    let (dialect, database) = fresh().await;
    let first = doc! {"_id": 1, "name": "a", "n": 1_i64, "sub": {"x": 1, "y": 2}};
    items(&database).insert_one(first).await.unwrap();
    let reader = reader(&dialect, "kinds", &["items"]).await;
    let head = log(&dialect).head().await.unwrap();
    let one = doc! {"_id": 1};
    items(&database).insert_one(doc! {"_id": 2, "name": "b"}).await.unwrap();
    items(&database)
        .update_one(one.clone(), doc! {"$set": {"name": "A"}, "$unset": {"n": ""}})
        .await
        .unwrap();
    items(&database).update_one(one.clone(), doc! {"$set": {"sub.x": 7}}).await.unwrap();
    items(&database).update_one(one.clone(), doc! {"$set": {"fresh": true}}).await.unwrap();
    items(&database).replace_one(one.clone(), doc! {"name": "whole"}).await.unwrap();
    items(&database).delete_one(one).await.unwrap();

    let mut stream = log(&dialect).stream(&reader, &head).await.unwrap();
    let null = || Value::Null;
    let id = |id: i32| Value::Int32(id);
    let update = |row: Row, unchanged: &[usize]| Operation::Update {
        old_key: None,
        row,
        unchanged: Unchanged::columns(unchanged.to_vec()),
    };
    let (insert, _) = transaction(&mut stream).await;
    assert_eq!(insert, [Operation::Insert { row: vec![id(2), "b".into(), null(), null(), null()] }]);
    let (told, _) = transaction(&mut stream).await;
    assert_eq!(told, [update(vec![id(1), "A".into(), null(), null(), null()], &[3, 4])]);
    // Where a part of a value changes, or a field without a column, the document is taken as it is; it is gone by now.
    let gone = || Operation::Delete { key: vec![id(1)] };
    for _ in 0..2 {
        let (parts, _) = transaction(&mut stream).await;
        assert_eq!(parts, [gone()]);
    }
    let (replaced, _) = transaction(&mut stream).await;
    assert_eq!(replaced, [update(vec![id(1), "whole".into(), null(), null(), null()], &[])]);
    let (deleted, _) = transaction(&mut stream).await;
    assert_eq!(deleted, [gone()]);
}

#[tokio::test]
async fn parts_of_values_and_new_fields_come_with_the_whole_document() {
    let (dialect, database) = fresh().await;
    items(&database).insert_one(doc! {"_id": 1, "sub": {"x": 1, "y": [1, 2, 3]}}).await.unwrap();
    let reader = reader(&dialect, "parts", &["items"]).await;
    let mut stream = from_here(&dialect, &reader).await;
    let changes = [
        doc! {"$set": {"sub.x": 7}},
        doc! {"$push": {"sub.y": 4}},
        doc! {"$set": {"fresh": "new"}},
        doc! {"$unset": {"fresh": ""}},
    ];
    for change in changes {
        items(&database).update_one(doc! {"_id": 1}, change).await.unwrap();
        let (told, _) = transaction(&mut stream).await;
        let whole = items(&database).find_one(doc! {"_id": 1}).await.unwrap().unwrap();
        let [Operation::Update { row, unchanged, .. }] = told.as_slice() else { panic!("{told:?}") };
        assert!(unchanged.is_empty());
        let rest = whole.get_str("fresh").map(|text| Value::object([("fresh", Value::from(text))]));
        assert_eq!(row[2], rest.unwrap_or_default());
        let sub = whole.get_document("sub").unwrap();
        let y: Vec<Value> =
            sub.get_array("y").unwrap().iter().filter_map(Bson::as_i32).map(Value::Int32).collect();
        let x = Value::Int32(sub.get_i32("x").unwrap());
        assert_eq!(row[1], Value::object([("x", x), ("y", Value::Array(y))]));
    }
}

#[tokio::test]
async fn images_that_the_server_keeps_tell_of_the_past() {
    let (dialect, database) = fresh().await;
    items(&database).insert_one(doc! {"_id": 1, "sub": {"x": 0}}).await.unwrap();
    let keep = doc! {"collMod": "items", "changeStreamPreAndPostImages": {"enabled": true}};
    database.run_command(keep).await.unwrap();
    let reader = reader(&dialect, "images", &["items"]).await;
    let head = log(&dialect).head().await.unwrap();
    for x in 1..=3 {
        items(&database).update_one(doc! {"_id": 1}, doc! {"$set": {"sub.x": x}}).await.unwrap();
    }
    items(&database).delete_one(doc! {"_id": 1}).await.unwrap();
    let mut stream = log(&dialect).stream(&reader, &head).await.unwrap();
    for x in 1..=3 {
        let (told, _) = transaction(&mut stream).await;
        let [Operation::Update { row, .. }] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(row[1], Value::object([("x", Value::Int32(x))]));
    }
}

#[tokio::test]
async fn a_transaction_of_the_source_comes_as_one_and_at_once() {
    let (dialect, database) = fresh().await;
    items(&database).insert_one(doc! {"_id": 0, "n": 0}).await.unwrap();
    database.collection("others").insert_one(doc! {"_id": 0}).await.unwrap();
    let reader = reader(&dialect, "whole", &["items", "others"]).await;
    let mut stream = from_here(&dialect, &reader).await;
    for round in 1..=3 {
        let mut session = database.client().start_session().await.unwrap();
        session.start_transaction().await.unwrap();
        for n in 0..700 {
            let item = doc! {"_id": round * 1000 + n, "n": n};
            items(&database).insert_one(item).session(&mut session).await.unwrap();
        }
        let others = database.collection::<Document>("others");
        others.insert_one(doc! {"_id": round}).session(&mut session).await.unwrap();
        session.commit_transaction().await.unwrap();
        let (changes, end) = transaction(&mut stream).await;
        assert_eq!(changes.len(), 701);
        // Reading goes on behind it, and not within it.
        let mut again = log(&dialect).stream(&reader, &end).await.unwrap();
        items(&database).delete_one(doc! {"_id": round * 1000}).await.unwrap();
        for stream in [&mut stream, &mut again] {
            let (changes, _) = transaction(stream).await;
            assert_eq!(changes, [Operation::Delete { key: vec![Value::Int32(round * 1000)] }]);
        }
    }
}

#[tokio::test]
async fn a_view_shows_what_was_there_at_its_position_and_the_stream_what_came_behind() {
    let (dialect, database) = fresh().await;
    let before: Vec<Document> = (0..50).map(|n| doc! {"_id": n}).collect();
    items(&database).insert_many(before).await.unwrap();
    let reader = reader(&dialect, "view", &["items"]).await;
    assert!(matches!(log(&dialect).open(&reader).await.unwrap(), OpenedLog::Existing { .. }));
    log(&dialect).remove(&reader.name).await.unwrap();
    assert!(log(&dialect).status(&reader.name).await.unwrap().is_none());
    let OpenedLog::Created(view) = log(&dialect).open(&reader).await.unwrap() else {
        panic!("the reader was forgotten")
    };
    items(&database).delete_many(doc! {"_id": {"$lt": 25}}).await.unwrap();
    items(&database).insert_one(doc! {"_id": 99}).await.unwrap();
    let mut fork = view.snapshot.fork().await.unwrap().unwrap();
    for snapshot in [&view.snapshot, &mut fork] {
        let mut batches = snapshot.scan(Arc::clone(&reader.tables[0]), ScanOptions::default()).await.unwrap();
        let mut seen = 0;
        while let Some(batch) = batches.recv().await {
            seen += batch.unwrap().len();
        }
        assert_eq!(seen, 50);
    }
    let mut stream = log(&dialect).stream(&reader, &view.position).await.unwrap();
    assert!(log(&dialect).status(&reader.name).await.unwrap().unwrap().active);
    for _ in 0..25 {
        let (changes, _) = transaction(&mut stream).await;
        assert!(matches!(changes.as_slice(), [Operation::Delete { .. }]), "{changes:?}");
    }
    let (changes, _) = transaction(&mut stream).await;
    assert_eq!(changes, [Operation::Insert { row: vec![Value::Int32(99), Value::Null] }]);
    stream.close().await;
}

#[tokio::test]
async fn an_idle_stream_reaches_the_head() {
    let (dialect, database) = fresh().await;
    items(&database).insert_one(doc! {"_id": 1}).await.unwrap();
    let reader = reader(&dialect, "idle", &["items"]).await;
    let mut stream = from_here(&dialect, &reader).await;
    database.collection("others").insert_one(doc! {"_id": 1}).await.unwrap();
    let head = log(&dialect).head().await.unwrap();
    let reached = loop {
        match timeout(PATIENCE, stream.next()).await.expect("the head is reached").unwrap() {
            LogEvent::Idle(position) if position.order >= head.order => break position,
            LogEvent::Idle(_) => {}
            other => panic!("{other:?} concerns nobody"),
        }
    };
    items(&database).delete_one(doc! {"_id": 1}).await.unwrap();
    let mut again = log(&dialect).stream(&reader, &reached).await.unwrap();
    assert_eq!(transaction(&mut again).await.0, [Operation::Delete { key: vec![Value::Int32(1)] }]);
}

#[tokio::test]
async fn a_collection_that_is_dropped_or_renamed_away_is_empty_and_one_renamed_hither_is_told_whole() {
    let (dialect, database) = fresh().await;
    items(&database).insert_one(doc! {"_id": 1, "n": 1}).await.unwrap();
    let reader = reader(&dialect, "names", &["items"]).await;
    let mut stream = from_here(&dialect, &reader).await;
    items(&database).drop().await.unwrap();
    assert_eq!(transaction(&mut stream).await.0, [Operation::Truncate]);
    let documents: Vec<Document> = (0..3).map(|n| doc! {"_id": n, "n": n}).collect();
    database.collection("made").insert_many(documents).await.unwrap();
    let name = database.name().to_owned();
    let rename = |from: &str, to: &str| {
        doc! {"renameCollection": format!("{name}.{from}"), "to": format!("{name}.{to}"), "dropTarget": true}
    };
    let admin = database.client().database("admin");
    admin.run_command(rename("made", "items")).await.unwrap();
    let (mut changes, _) = transaction(&mut stream).await;
    changes[1..].sort_by_key(|change| format!("{change:?}"));
    let row = |n: i32| Operation::Insert { row: vec![Value::Int32(n), Value::Int32(n), Value::Null] };
    assert_eq!(changes, [Operation::Truncate, row(0), row(1), row(2)]);
    // As `$out` does it.
    let out = [doc! {"$match": {"_id": 2}}, doc! {"$out": "items"}];
    items(&database).aggregate(out).await.unwrap();
    assert_eq!(transaction(&mut stream).await.0, [Operation::Truncate, row(2)]);
    admin.run_command(rename("items", "gone")).await.unwrap();
    assert_eq!(transaction(&mut stream).await.0, [Operation::Truncate]);
}

#[tokio::test]
async fn a_log_that_is_lost_is_a_typed_error() {
    let server = Server::replica_set();
    let (dialect, database) = fresh().await;
    items(&database).insert_one(doc! {"_id": 1}).await.unwrap();
    let reader = reader(&dialect, "lost", &["items"]).await;
    let foreign = Position { order: 7, token: Some("no token".to_owned()) };
    let error = log(&dialect).stream(&reader, &foreign).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::LogLost, "{error}");
    // The database goes while it is read.
    let mut stream = from_here(&dialect, &reader).await;
    server.database(database.name()).await.drop().await.unwrap();
    let error = loop {
        match timeout(PATIENCE, stream.next()).await.expect("the end is told") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::LogLost, "{error}");
}

#[tokio::test]
async fn what_the_server_answers_to_a_stream_is_a_typed_error() {
    let server = Server::replica_set();
    let _turn = server.turn_to_fail().await;
    let app = new_database();
    let (dialect, database) = fresh_on(server, &format!("appName={app}&retryReads=false")).await;
    items(&database).insert_one(doc! {"_id": 1}).await.unwrap();
    let reader = reader(&dialect, "answers", &["items"]).await;
    let lost = |code: i32| (doc! {"errorCode": code}, ErrorKind::LogLost);
    let head = log(&dialect).head().await.unwrap();
    server.fail_next(&app, &["aggregate"], 1, doc! {"errorCode": 286}).await;
    let error = log(&dialect).stream(&reader, &head).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::LogLost, "{error}");
    for (failure, kind) in [
        lost(286),
        lost(280),
        (doc! {"errorCode": 13}, ErrorKind::Capture),
        (doc! {"errorCode": 43}, ErrorKind::Connection),
        (doc! {"errorCode": 10107}, ErrorKind::Connection),
        (doc! {"closeConnection": true}, ErrorKind::Connection),
    ] {
        let mut stream = from_here(&dialect, &reader).await;
        server.fail_next(&app, &["getMore"], 1, failure.clone()).await;
        let error = loop {
            match timeout(PATIENCE, stream.next()).await.expect("the failure is told") {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), kind, "{failure}: {error}");
    }
}

#[tokio::test]
async fn a_standalone_server_says_how_to_make_it_a_replica_set() {
    let (dialect, database) = fresh_on(Server::standalone(), "").await;
    items(&database).insert_one(doc! {"_id": 1}).await.unwrap();
    let reader = reader(&dialect, "alone", &["items"]).await;
    let error = log(&dialect).open(&reader).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Capture);
    assert!(error.to_string().contains("rs.initiate()") && error.to_string().contains("capture: 'poll'"));
    assert_eq!(log(&dialect).head().await.unwrap_err().kind(), ErrorKind::Capture);
}

#[tokio::test]
async fn parts_of_a_collection_hold_keys_of_every_type_once() {
    let (dialect, database) = fresh().await;
    let mut documents: Vec<Document> = (0..400).map(|n| doc! {"_id": n}).collect();
    documents.extend((0..400).map(|n| doc! {"_id": format!("key {n}")}));
    documents.extend((0..400).map(|n| doc! {"_id": f64::from(n) + 0.5}));
    documents.extend((0..100).map(|_| doc! {"_id": mongodb::bson::oid::ObjectId::new()}));
    documents.extend((0..100).map(|n| doc! {"_id": {"a": n, "b": "x"}}));
    items(&database).insert_many(documents).await.unwrap();
    let reader = reader(&dialect, "split", &["items"]).await;
    let table: Arc<Table> = Arc::clone(&reader.tables[0]);
    let bounds = log(&dialect).split(&table, 200).await.unwrap();
    assert!((4..=7).contains(&bounds.len()), "{bounds:?}");
    let view = log(&dialect).snapshot(&reader).await.unwrap();
    let mut total = 0;
    for part in 0..=bounds.len() {
        let range = KeyRange {
            after: part.checked_sub(1).map(|before| bounds[before].clone()),
            up_to: bounds.get(part).cloned(),
        };
        let options = ScanOptions { range: Some(range), ..ScanOptions::default() };
        let mut batches = view.snapshot.scan(Arc::clone(&table), options).await.unwrap();
        let mut keys = Vec::new();
        while let Some(batch) = batches.recv().await {
            let RowBatch::Rows(rows) = batch.unwrap() else { panic!("MongoDB has no tuples") };
            keys.extend(rows.iter().map(|row| table.key_of(row)));
        }
        total += keys.len();
        let located = log(&dialect).locate(&table, &bounds, &keys).await.unwrap();
        assert!(located.iter().all(|found| *found == part), "part {part}: {located:?}");
    }
    assert_eq!(total, 1400);
    assert!(log(&dialect).split(&table, 2000).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_part_of_a_collection_is_read_by_its_index() {
    let (_, database) = fresh().await;
    let documents: Vec<Document> = (0..1000).map(|n| doc! {"_id": n}).collect();
    items(&database).insert_many(documents).await.unwrap();
    let bounds = [doc! {"$gt": ["$_id", {"$literal": 10}]}, doc! {"$lte": ["$_id", {"$literal": 20}]}];
    let find =
        doc! {"find": "items", "filter": {"$expr": {"$and": &bounds[..]}}, "collation": {"locale": "simple"}};
    let explain = database.run_command(doc! {"explain": find, "verbosity": "executionStats"}).await.unwrap();
    let examined = explain.get_document("executionStats").unwrap().get_i32("totalDocsExamined").unwrap();
    assert_eq!(examined, 10, "{explain}");
}
