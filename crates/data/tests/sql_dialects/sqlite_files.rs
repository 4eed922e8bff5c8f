//! SQLite's files: where they may lie, and what happens when they cannot be written.

use data::{ConnectionConfig, Dialect, DialectKind, ErrorKind, Filter, FindOptions};
use serde_json::json;

use crate::database::{Database, person, record};

fn config(uri: &str) -> ConnectionConfig {
    ConnectionConfig::new(DialectKind::Sqlite, uri)
}

async fn open(uri: &str) -> data::Result<std::sync::Arc<dyn Dialect>> {
    data::connect(&config(uri)).await
}

#[tokio::test]
async fn every_in_memory_database_is_its_own() {
    let (first, second) = (open(":memory:").await.unwrap(), open(":memory:").await.unwrap());
    first.init_schema(&[person()]).await.unwrap();
    first.create(&person(), record(json!({"name": "a"}))).await.unwrap();
    assert_eq!(first.count(&person(), &Filter::everything(), false).await.unwrap(), 1);
    let error = second.count(&person(), &Filter::everything(), false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTable);
}

#[tokio::test]
async fn an_in_memory_database_survives_a_dropped_transaction() {
    let dialect = open("sqlite::memory:").await.unwrap();
    dialect.init_schema(&[person()]).await.unwrap();
    let transaction = dialect.begin(None).await.unwrap();
    transaction.create(&person(), record(json!({"name": "a"}))).await.unwrap();
    drop(transaction);
    assert_eq!(dialect.count(&person(), &Filter::everything(), false).await.unwrap(), 0);
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("a.db");
    let error = open(&path.display().to_string()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("missing"), "{error}");
    let error = open(&folder.path().display().to_string()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    let missing = folder.path().join("b.db");
    let error = open(&format!("file:{}?mode=rw", missing.display())).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.db");
    std::fs::write(
        &path,
        "this is no database, but text that is long enough to be read as a header ".repeat(9),
    )
    .unwrap();
    let error = open(&path.display().to_string()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

#[tokio::test]
async fn a_read_only_database_can_be_read_and_refuses_writes() {
    let db = Database::sqlite();
    let writer = db.with(&[&person()]).await;
    writer.create(&person(), record(json!({"id": "1", "name": "a"}))).await.unwrap();
    let reader = open(&format!("file:{}?mode=ro", db.uri)).await.unwrap();
    assert_eq!(reader.count(&person(), &Filter::everything(), false).await.unwrap(), 1);
    let error = reader.create(&person(), record(json!({"name": "b"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    assert_eq!(reader.delete(&person(), &"1".into()).await.unwrap_err().kind(), ErrorKind::ReadOnly);
    let transaction = reader.begin(None).await.unwrap();
    assert_eq!(transaction.count(&person(), &Filter::everything(), false).await.unwrap(), 1);
    transaction.rollback().await.unwrap();
    let store = reader.tables().unwrap();
    let table = store.describe("people").await.unwrap().unwrap();
    let rows = store.fetch(&table, &[vec!["1".into()]]).await.unwrap();
    let error = store.upsert(&table, &rows).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
}

#[tokio::test]
async fn the_file_is_in_wal_mode_with_foreign_keys() {
    let db = Database::sqlite();
    let dialect = db.with(&[&person()]).await;
    let rows = dialect.execute_query("PRAGMA journal_mode", Vec::new()).await.unwrap();
    assert_eq!(rows[0]["journal_mode"].as_text(), Some("wal"));
    let rows = dialect.execute_query("PRAGMA foreign_keys", Vec::new()).await.unwrap();
    assert_eq!(rows[0]["foreign_keys"], 1.into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_wait_for_each_other() {
    let db = Database::sqlite();
    let dialects = [db.with(&[&person()]).await, db.open().await];
    let tasks: Vec<_> = (0..60)
        .map(|i| {
            let dialect = dialects[i % 2].clone();
            tokio::spawn(
                async move { dialect.create(&person(), record(json!({"name": format!("{i}")}))).await },
            )
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let rows = dialects[0].find(&person(), &Filter::everything(), &FindOptions::default()).await.unwrap();
    assert_eq!(rows.len(), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_and_leaves_nothing_half_written() {
    let db = Database::sqlite();
    let dialect = db.with(&[&person()]).await;
    let store = dialect.tables().unwrap();
    let table = store.describe("people").await.unwrap().unwrap();
    dialect.execute_run("PRAGMA max_page_count = 40", Vec::new()).await.unwrap();
    let row = |i: i32| {
        let value = |column: &data::table::TableColumn| match column.name.as_str() {
            "id" | "name" => data::Value::from(format!("{i}{}", "x".repeat(500))),
            _ => data::Value::Null,
        };
        table.columns.iter().map(value).collect::<Vec<_>>()
    };
    let rows = data::table::RowBatch::Rows((0..2000).map(row).collect());
    let error = store.insert(&table, &rows).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::DiskFull, "SQLITE_FULL"));
    assert!(store.is_empty(&table, None).await.unwrap());
    dialect.create(&person(), record(json!({"name": "still usable"}))).await.unwrap();
}
