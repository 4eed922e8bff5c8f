//! Rows into collections and back.

use std::sync::Arc;

use data::schema::Discriminator;
use data::table::{ChangedSince, ColumnType, Row, RowBatch, ScanOptions, Table, TableColumn, TableStore};
use data::{Dialect, ErrorKind, ObjectId, Timestamp, Value};
use futures_util::future::join_all;
use mongodb::bson::{Document, doc};

use crate::support::Server;
use crate::{fresh, fresh_on};

const HEX: &str = "65a1f0c2d4e5b6a798897766";

fn table(name: &str, key: &[usize], columns: &[(&str, ColumnType)]) -> Table {
    let column = |(name, column_type): &(&str, ColumnType)| TableColumn {
        name: (*name).to_owned(),
        column_type: column_type.clone(),
        nullable: true,
        generated: false,
    };
    Table {
        name: name.to_owned(),
        columns: columns.iter().map(column).collect(),
        key: key.to_vec(),
        references: vec![],
    }
}

fn text_rows(name: &str) -> Table {
    table(name, &[0], &[("id", ColumnType::Text(None)), ("n", ColumnType::Int64)])
}

fn rows(of: &[(&str, i64)]) -> Vec<Row> {
    of.iter().map(|(id, n)| vec![Value::from(*id), Value::Int64(*n)]).collect()
}

async fn scan(store: &dyn TableStore, table: &Table, options: ScanOptions) -> data::Result<Vec<Row>> {
    let snapshot = store.snapshot().await?;
    let mut batches = snapshot.scan(Arc::new(table.clone()), options).await?;
    let mut rows = Vec::new();
    while let Some(batch) = batches.recv().await {
        match batch? {
            RowBatch::Rows(batch) => rows.extend(batch),
            RowBatch::PgBinary { .. } | RowBatch::Packed(_) => panic!("MongoDB has no tuples"),
        }
    }
    rows.sort_by(|a, b| format!("{a:?}").cmp(&format!("{b:?}")));
    Ok(rows)
}

async fn stored(database: &mongodb::Database, name: &str) -> Vec<Document> {
    use futures_util::TryStreamExt;
    let cursor = database.collection::<Document>(name).find(doc! {}).sort(doc! {"_id": 1}).await.unwrap();
    cursor.try_collect().await.unwrap()
}

fn every_type() -> (Table, Row) {
    let zoned = ColumnType::Timestamp { zoned: true };
    let columns = [
        ("id", ColumnType::Int64, Value::Int64(1 << 40)),
        ("small", ColumnType::Int16, Value::Int32(-3)),
        ("exact", ColumnType::Decimal(Some((40, 10))), Value::Decimal("1234567890.1200000000".into())),
        (
            "long",
            ColumnType::Decimal(None),
            Value::Decimal("0.12345678901234567890123456789012345678901".into()),
        ),
        ("nan", ColumnType::Decimal(None), Value::Decimal("NaN".into())),
        ("infinite", ColumnType::Float32, Value::Float(f64::NEG_INFINITY)),
        ("flag", ColumnType::Bool, Value::Bool(false)),
        ("uuid", ColumnType::Uuid, Value::from("5f0c1bd4-6a39-4f7e-8a55-0b1f5d3c2a11")),
        ("day", ColumnType::Date, Value::from("2024-02-29")),
        ("at", zoned, Value::Timestamp(Timestamp::from_millis(-1))),
        (
            "json",
            ColumnType::Json,
            Value::object([("$set", Value::object([("a.b", Value::Null), ("", Value::Int32(1))]))]),
        ),
        (
            "list",
            ColumnType::Array(Box::new(ColumnType::Int32)),
            Value::Array(vec![Value::Int32(1), Value::Null]),
        ),
        ("blob", ColumnType::Bytes, Value::Bytes(vec![0, 255].into())),
        ("none", ColumnType::Text(None), Value::Null),
        ("dotted.name", ColumnType::Text(Some(10)), Value::from("é\0")),
    ];
    let row = columns.iter().map(|(_, _, value)| value.clone()).collect();
    let described: Vec<_> =
        columns.iter().map(|(name, column_type, _)| (*name, column_type.clone())).collect();
    (table("every", &[0], &described), row)
}

#[tokio::test]
async fn every_type_comes_back_as_it_went() {
    let (dialect, database) = fresh().await;
    let store = dialect.tables().unwrap();
    let (source, row) = every_type();
    let target = store.create_like(&source).await.unwrap();
    assert_eq!(target.columns[1].column_type, ColumnType::Int32);
    assert_eq!(target.columns[7].column_type, ColumnType::Text(None));
    store.insert(&target, &RowBatch::Rows(vec![row.clone()])).await.unwrap();
    assert_eq!(scan(store, &target, ScanOptions::default()).await.unwrap(), std::slice::from_ref(&row));
    store.upsert(&target, std::slice::from_ref(&row)).await.unwrap();
    assert_eq!(store.fetch(&target, &[vec![row[0].clone()]]).await.unwrap(), [row]);
    let document = &stored(&database, "every").await[0];
    assert_eq!(document.get_i64("_id").unwrap(), 1 << 40);
    assert!(!document.contains_key("id") && !document.contains_key("none"));
}

#[tokio::test]
async fn another_key_column_is_the_id_and_a_field_and_several_are_a_document() {
    let (dialect, database) = fresh().await;
    let store = dialect.tables().unwrap();
    let single = store
        .create_like(&table("single", &[1], &[("n", ColumnType::Int32), ("code", ColumnType::Text(None))]))
        .await
        .unwrap();
    let row = vec![Value::Int32(1), Value::from("x")];
    store.insert(&single, &RowBatch::Rows(vec![row.clone()])).await.unwrap();
    assert_eq!(stored(&database, "single").await, [doc! {"_id": "x", "n": 1, "code": "x"}]);
    assert_eq!(scan(store, &single, ScanOptions::default()).await.unwrap(), [row]);
    let columns = [("a", ColumnType::Int32), ("id", ColumnType::Text(None)), ("n", ColumnType::Int32)];
    let several = store.create_like(&table("several", &[1, 0], &columns)).await.unwrap();
    let row = vec![Value::Int32(1), Value::from(HEX), Value::Int32(2)];
    let key = several.key_of(&row);
    store.upsert(&several, std::slice::from_ref(&row)).await.unwrap();
    store.upsert(&several, std::slice::from_ref(&row)).await.unwrap();
    assert_eq!(
        stored(&database, "several").await,
        [doc! {"_id": {"id": HEX, "a": 1}, "a": 1, "id": HEX, "n": 2}]
    );
    let keys =
        scan(store, &several, ScanOptions { keys_only: true, ..ScanOptions::default() }).await.unwrap();
    assert_eq!(keys, std::slice::from_ref(&key));
    assert_eq!(store.fetch(&several, std::slice::from_ref(&key)).await.unwrap(), [row]);
    assert_eq!(store.delete(&several, &[key]).await.unwrap(), 1);
}

#[tokio::test]
async fn text_keys_of_24_digits_go_back_as_object_ids_unless_the_text_is_there() {
    let (dialect, database) = fresh().await;
    let store = dialect.tables().unwrap();
    let table = store.create_like(&text_rows("hex")).await.unwrap();
    store.insert(&table, &RowBatch::Rows(rows(&[(HEX, 1), ("plain", 1)]))).await.unwrap();
    let text_id = "0123456789abcdef01234567";
    database.collection::<Document>("hex").insert_one(doc! {"_id": text_id, "n": 1_i64}).await.unwrap();
    let changed = rows(&[(text_id, 2), (HEX, 2), ("plain", 2)]);
    store.upsert(&table, &changed).await.unwrap();
    assert_eq!(stored(&database, "hex").await.len(), 3);
    assert_eq!(scan(store, &table, ScanOptions::default()).await.unwrap(), changed);
    let object_id = mongodb::bson::oid::ObjectId::parse_str(HEX).unwrap();
    assert!(
        database.collection::<Document>("hex").find_one(doc! {"_id": object_id}).await.unwrap().is_some()
    );
    let keys: Vec<Vec<Value>> = changed.iter().map(|row| table.key_of(row)).collect();
    assert_eq!(store.fetch(&table, &keys).await.unwrap().len(), 3);
    assert_eq!(store.delete(&table, &keys).await.unwrap(), 3);
}

#[tokio::test]
async fn object_ids_of_described_collections_stay_object_ids() {
    let (dialect, database) = fresh().await;
    let object_id = mongodb::bson::oid::ObjectId::parse_str(HEX).unwrap();
    database.collection::<Document>("own").insert_one(doc! {"_id": object_id, "r": object_id}).await.unwrap();
    let store = dialect.tables().unwrap();
    let table = store.describe("own").await.unwrap().unwrap();
    let id = Value::ObjectId(ObjectId::parse(HEX).unwrap());
    assert_eq!(scan(store, &table, ScanOptions::default()).await.unwrap(), [vec![id.clone(), id]]);
}

#[tokio::test]
async fn a_failed_insert_leaves_nothing_behind_and_names_the_row() {
    for server in [Server::replica_set(), Server::standalone()] {
        let (dialect, database) = fresh_on(server, "").await;
        let store = dialect.tables().unwrap();
        let table = store.create_like(&text_rows("t")).await.unwrap();
        store.insert(&table, &RowBatch::Rows(rows(&[("old", 1)]))).await.unwrap();
        let batch = RowBatch::Rows(rows(&[("a", 1), ("old", 2), ("b", 1)]));
        let error = store.insert(&table, &batch).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::UniqueViolation, "11000"));
        assert!(error.to_string().contains("\"old\""), "{error}");
        assert_eq!(stored(&database, "t").await, [doc! {"_id": "old", "n": 1_i64}]);
    }
}

#[tokio::test]
async fn a_failed_upsert_changes_nothing_and_names_the_row() {
    let (dialect, database) = fresh().await;
    let store = dialect.tables().unwrap();
    let table = store.create_like(&text_rows("t")).await.unwrap();
    let index = doc! {"key": {"n": 1}, "name": "n_1", "unique": true};
    database.run_command(doc! {"createIndexes": "t", "indexes": [index]}).await.unwrap();
    store.upsert(&table, &rows(&[("a", 1), ("b", 2)])).await.unwrap();
    let error = store.upsert(&table, &rows(&[("a", 3), ("c", 2)])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniqueViolation);
    assert!(error.to_string().contains("\"c\""), "{error}");
    assert_eq!(scan(store, &table, ScanOptions::default()).await.unwrap(), rows(&[("a", 1), ("b", 2)]));
}

#[tokio::test]
async fn a_value_that_mongodb_cannot_store_is_refused_with_its_row_and_column() {
    let (dialect, database) = fresh().await;
    let store = dialect.tables().unwrap();
    let moment = ColumnType::Timestamp { zoned: true };
    let table =
        store.create_like(&table("t", &[0], &[("id", ColumnType::Int32), ("at", moment)])).await.unwrap();
    let row = |id, at| vec![Value::Int32(id), at];
    for misfit in [
        Value::Timestamp(Timestamp::INFINITY),
        Value::Text("x".repeat(17 << 20)),
        Value::object([("a\0", Value::Null)]),
    ] {
        let batch = vec![row(1, Value::Null), row(2, misfit)];
        for error in
            [store.insert(&table, &RowBatch::Rows(batch.clone())).await, store.upsert(&table, &batch).await]
        {
            let error = error.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Value);
            assert!(error.to_string().contains("key 2"), "{error}");
        }
    }
    assert_eq!(stored(&database, "t").await, Vec::<Document>::new());
}

#[tokio::test]
async fn a_table_without_a_key_or_with_a_reserved_name_is_refused() {
    let (dialect, _) = fresh().await;
    let store = dialect.tables().unwrap();
    let error = store.create_like(&table("t", &[], &[("a", ColumnType::Int32)])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoPrimaryKey);
    for name in ["$a", "_id", ""] {
        let error = store
            .create_like(&table("t", &[0], &[("id", ColumnType::Int32), (name, ColumnType::Int32)]))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Schema, "{name}");
    }
}

#[tokio::test]
async fn large_rows_and_many_rows_are_split_into_commands_and_batches() {
    let (dialect, _) = fresh().await;
    let store = dialect.tables().unwrap();
    let large = store
        .create_like(&table("large", &[0], &[("id", ColumnType::Int32), ("body", ColumnType::Text(None))]))
        .await
        .unwrap();
    let row = |id: i32, bytes: usize| vec![Value::Int32(id), Value::Text("x".repeat(bytes))];
    let batch = vec![row(1, (16 << 20) - 200), row(2, 9 << 20), row(3, 9 << 20), row(4, 1)];
    store.insert(&large, &RowBatch::Rows(batch.clone())).await.unwrap();
    store.upsert(&large, &batch[1..]).await.unwrap();
    assert_eq!(scan(store, &large, ScanOptions::default()).await.unwrap(), batch);
    let many = store.create_like(&text_rows("many")).await.unwrap();
    let batches = (0..5).map(|part| {
        let rows = (0..6000)
            .map(|n| vec![Value::Text(format!("{:05}", part * 6000 + n)), Value::Int64(n)])
            .collect();
        let (dialect, many) = (dialect.clone(), many.clone());
        tokio::spawn(async move { dialect.tables().unwrap().insert(&many, &RowBatch::Rows(rows)).await })
    });
    for inserted in join_all(batches).await {
        inserted.unwrap().unwrap();
    }
    let keys = scan(store, &many, ScanOptions { keys_only: true, ..ScanOptions::default() }).await.unwrap();
    assert_eq!(keys.len(), 30_000);
    assert_eq!(keys[29_999], [Value::from("29999")]);
    assert_eq!(store.delete(&many, &keys).await.unwrap(), 30_000);
}

#[tokio::test]
async fn a_scan_reads_the_rows_of_one_entity() {
    let (dialect, _) = fresh().await;
    let store = dialect.tables().unwrap();
    let table = store
        .create_like(&table("shapes", &[0], &[("id", ColumnType::Int32), ("kind", ColumnType::Text(None))]))
        .await
        .unwrap();
    let row = |id, kind: &str| vec![Value::Int32(id), Value::from(kind)];
    store.insert(&table, &RowBatch::Rows(vec![row(1, "circle"), row(2, "square")])).await.unwrap();
    let discriminator = Some(Discriminator { column: "kind".to_owned(), value: "square".to_owned() });
    let options = ScanOptions { discriminator: discriminator.clone(), ..ScanOptions::default() };
    assert_eq!(scan(store, &table, options).await.unwrap(), [row(2, "square")]);
    assert!(!store.is_empty(&table, discriminator.as_ref()).await.unwrap());
    let other = Discriminator { column: "kind".to_owned(), value: "line".to_owned() };
    assert!(store.is_empty(&table, Some(&other)).await.unwrap());
}

#[tokio::test]
async fn a_scan_can_be_bounded_to_documents_that_changed() {
    let (dialect, database) = fresh().await;
    let store = dialect.tables().unwrap();
    let date = mongodb::bson::DateTime::from_millis;
    let documents = [
        doc! {"_id": "before", "at": date(999)},
        doc! {"_id": "at", "at": date(1000)},
        doc! {"_id": "after", "at": date(1001)},
        doc! {"_id": "text", "at": "1970-01-01"},
        doc! {"_id": "never"},
    ];
    database.collection::<Document>("t").insert_many(documents).await.unwrap();
    let table = store.describe("t").await.unwrap().unwrap();
    let changed_since =
        Some(ChangedSince { column: "at".to_owned(), or_column: None, moment: Timestamp::from_millis(1000) });
    let rows = scan(store, &table, ScanOptions { changed_since, ..ScanOptions::default() }).await.unwrap();
    let ids: Vec<_> = rows.iter().map(|row| row[0].as_text().unwrap()).collect();
    assert_eq!(ids, ["after", "at", "never", "text"]);
    let skew = store.clock().await.unwrap().millis() - Timestamp::now().millis();
    assert!(skew.abs() < 60_000, "{skew} ms");
}

#[tokio::test]
async fn a_field_that_appears_after_the_description_stops_the_scan_instead_of_being_lost() {
    let (dialect, database) = fresh().await;
    let store = dialect.tables().unwrap();
    database.collection::<Document>("t").insert_one(doc! {"_id": 1, "a": 1}).await.unwrap();
    let table = store.describe("t").await.unwrap().unwrap();
    database.collection::<Document>("t").insert_one(doc! {"_id": 2, "a": 1, "new": 1}).await.unwrap();
    let error = scan(store, &table, ScanOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("\"new\"") && error.to_string().contains("document 2"), "{error}");
    let again = store.describe("t").await.unwrap().unwrap();
    assert_eq!(scan(store, &again, ScanOptions::default()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_second_scan_waits_for_the_first_to_be_dropped() {
    let (dialect, _) = fresh().await;
    let store = dialect.tables().unwrap();
    let table = Arc::new(store.create_like(&text_rows("many")).await.unwrap());
    let all: Vec<Row> = (0..60_000).map(|n| vec![Value::Text(n.to_string()), Value::Int64(n)]).collect();
    store.insert(&table, &RowBatch::Rows(all)).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    let first = snapshot.scan(Arc::clone(&table), ScanOptions::default()).await.unwrap();
    let mut second = Box::pin(snapshot.scan(Arc::clone(&table), ScanOptions::default()));
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(first);
    assert!(second.await.unwrap().recv().await.unwrap().is_ok());
}

#[tokio::test]
async fn types_that_only_mongodb_has_survive_a_copy() {
    let (dialect, database) = fresh().await;
    let store = dialect.tables().unwrap();
    let original = doc! {
        "_id": 1,
        "regex": mongodb::bson::Regex { pattern: "^a".try_into().unwrap(), options: "i".try_into().unwrap() },
        "stamp": mongodb::bson::Timestamp { time: 1, increment: 2 },
        "uuid": mongodb::bson::Uuid::from_bytes([9; 16]),
        "min": mongodb::bson::Bson::MinKey,
    };
    database.collection::<Document>("from").insert_one(&original).await.unwrap();
    let mut table = store.describe("from").await.unwrap().unwrap();
    let rows = scan(store, &table, ScanOptions::default()).await.unwrap();
    table.name = "to".to_owned();
    let table = store.create_like(&table).await.unwrap();
    store.insert(&table, &RowBatch::Rows(rows)).await.unwrap();
    assert_eq!(stored(&database, "to").await, [original]);
    let _: &Arc<dyn Dialect> = &dialect;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_looked_up_by_their_keys_come_from_the_primary() {
    let options = "readPreference=secondary&serverSelectionTimeoutMS=1000";
    let (dialect, _) = fresh_on(Server::replica_set(), options).await;
    let (store, table) = (dialect.tables().unwrap(), text_rows("items"));
    store.upsert(&table, &rows(&[("a", 1), ("b", 2)])).await.unwrap();
    assert_eq!(store.fetch(&table, &[vec![Value::from("a")]]).await.unwrap(), rows(&[("a", 1)]));
    let keys = ScanOptions { keys_only: true, ..ScanOptions::default() };
    assert_eq!(scan(store, &table, keys).await.unwrap().len(), 2);
}
