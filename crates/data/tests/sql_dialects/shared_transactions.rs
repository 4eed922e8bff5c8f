//! Rows that share a transaction as they are created, on SQLite.

use std::sync::Arc;

use data::{Dialect, ErrorKind, Filter};
use serde_json::json;

use crate::database::{Database, person, record};

/// Two connections to one file.
async fn two(db: &Database) -> (Arc<dyn Dialect>, Arc<dyn Dialect>) {
    let dialect = db.with(&[&person()]).await;
    // Known columns, so that nothing but the row is left to be looked at.
    assert_eq!(count(&*dialect).await, 0);
    (dialect, db.open().await)
}

async fn count(dialect: &dyn Dialect) -> u64 {
    dialect.count(&person(), &Filter::everything(), false).await.unwrap()
}

async fn create(dialect: &dyn Dialect, id: &str) -> data::Result<data::Record> {
    dialect.create(&person(), record(json!({"id": id, "name": id}))).await
}

#[tokio::test]
async fn rows_are_there_for_others_when_their_transaction_has_ended() {
    let db = Database::sqlite();
    let (dialect, other) = two(&db).await;
    let shared = dialect.share_transaction().unwrap();
    for id in ["1", "2"] {
        create(&*dialect, id).await.unwrap();
    }
    assert_eq!(count(&*other).await, 0);
    assert!(shared.end());
    assert_eq!(count(&*other).await, 2);
    create(&*dialect, "3").await.unwrap();
    assert_eq!(count(&*other).await, 3);
}

#[tokio::test]
async fn a_row_that_is_refused_leaves_the_others() {
    let db = Database::sqlite();
    let (dialect, other) = two(&db).await;
    let shared = dialect.share_transaction().unwrap();
    create(&*dialect, "1").await.unwrap();
    assert_eq!(create(&*dialect, "1").await.unwrap_err().kind(), ErrorKind::UniqueViolation);
    create(&*dialect, "2").await.unwrap();
    assert!(shared.end());
    assert_eq!(count(&*other).await, 2);
}

#[tokio::test]
async fn what_is_dropped_before_its_end_is_undone() {
    let db = Database::sqlite();
    let (dialect, other) = two(&db).await;
    let shared = dialect.share_transaction().unwrap();
    create(&*dialect, "1").await.unwrap();
    drop(shared);
    assert_eq!((count(&*dialect).await, count(&*other).await), (0, 0));
    create(&*dialect, "1").await.unwrap();
    assert_eq!(count(&*other).await, 1);
}

#[tokio::test]
async fn a_statement_that_rolls_back_is_told_at_the_end() {
    let db = Database::sqlite();
    let (dialect, other) = two(&db).await;
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON people WHEN NEW.id = '2' \
                   BEGIN SELECT RAISE(ROLLBACK, 'refused'); END";
    dialect.execute_run(trigger, Vec::new()).await.unwrap();
    let shared = dialect.share_transaction().unwrap();
    create(&*dialect, "1").await.unwrap();
    create(&*dialect, "2").await.unwrap_err();
    assert!(!shared.end());
    assert_eq!(count(&*other).await, 0);
}

#[tokio::test]
async fn a_transaction_belongs_to_one_thread() {
    let db = Database::sqlite();
    let (dialect, other) = two(&db).await;
    let shared = dialect.share_transaction().unwrap();
    create(&*dialect, "1").await.unwrap();
    let another = Arc::clone(&dialect);
    let is_alone = std::thread::spawn(move || another.share_transaction().is_none());
    assert!(is_alone.join().unwrap());
    assert!(other.share_transaction().is_none(), "only one connection writes");
    assert!(shared.end());
    assert!(other.share_transaction().unwrap().end());
}

#[tokio::test]
async fn a_database_that_answers_later_shares_nothing() {
    let memory =
        data::connect(&data::ConnectionConfig::new(data::DialectKind::Sqlite, ":memory:")).await.unwrap();
    assert!(memory.share_transaction().is_none());
    let db = Database::sqlite();
    let (dialect, _) = two(&db).await;
    let transaction = dialect.begin(None).await.unwrap();
    assert!(transaction.share_transaction().is_none());
    transaction.rollback().await.unwrap();
}
