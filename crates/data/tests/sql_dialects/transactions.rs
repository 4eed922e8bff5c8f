//! Transactions and savepoints.

use std::sync::Arc;
use std::time::Duration;

use data::{Dialect, ErrorKind, Filter, Isolation, PoolSize, Transaction};
use serde_json::json;

use crate::database::{Database, person, record};

crate::behaviours!(
    a_committed_transaction_stays,
    a_rolled_back_transaction_leaves_nothing,
    a_dropped_transaction_rolls_back,
    a_transaction_is_invisible_to_others_until_its_end,
    savepoints_roll_back_alone,
    a_dropped_savepoint_rolls_back_alone,
    a_transaction_cannot_be_used_after_its_end,
    an_error_in_one_row_of_a_list_leaves_nothing,
    a_raw_begin_does_not_stick_to_the_pool,
    columns_added_in_a_transaction_are_seen_in_it,
    a_pool_exhausted_by_open_transactions_is_told_in_time,
);

async fn count(dialect: &dyn Dialect) -> u64 {
    dialect.count(&person(), &Filter::everything(), false).await.unwrap()
}

async fn add(dialect: &dyn Dialect, id: &str) {
    dialect.create(&person(), record(json!({"id": id, "name": id}))).await.unwrap();
}

async fn a_committed_transaction_stays(db: &Database) {
    let dialect = db.with(&[&person()]).await;
    for isolation in
        [None, Some(Isolation::ReadCommitted), Some(Isolation::RepeatableRead), Some(Isolation::Serializable)]
    {
        let transaction = dialect.begin(isolation).await.unwrap();
        add(&*transaction, &format!("{isolation:?}")).await;
        transaction.commit().await.unwrap();
    }
    assert_eq!(count(&*dialect).await, 4);
}

async fn a_rolled_back_transaction_leaves_nothing(db: &Database) {
    let dialect = db.with(&[&person()]).await;
    let transaction = dialect.begin(None).await.unwrap();
    add(&*transaction, "1").await;
    assert_eq!(count(&*transaction).await, 1);
    transaction.rollback().await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(count(&*dialect).await, 0);
    add(&*dialect, "2").await;
}

async fn a_dropped_transaction_rolls_back(db: &Database) {
    let dialect = db.with(&[&person()]).await;
    for _ in 0..30 {
        let transaction = dialect.begin(None).await.unwrap();
        add(&*transaction, "1").await;
        drop(transaction);
    }
    assert_eq!(count(&*dialect).await, 0);
    add(&*dialect, "2").await;
    assert_eq!(count(&*dialect).await, 1);
}

async fn a_transaction_is_invisible_to_others_until_its_end(db: &Database) {
    let dialect = db.with(&[&person()]).await;
    let transaction = dialect.begin(None).await.unwrap();
    add(&*transaction, "1").await;
    assert_eq!(count(&*dialect).await, 0);
    transaction.commit().await.unwrap();
    assert_eq!(count(&*dialect).await, 1);
}

async fn savepoints_roll_back_alone(db: &Database) {
    let dialect = db.with(&[&person()]).await;
    let outer = dialect.begin(None).await.unwrap();
    add(&*outer, "1").await;
    let inner = outer.begin(None).await.unwrap();
    add(&*inner, "2").await;
    let error = inner.create(&person(), record(json!({"id": "1", "name": "again"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniqueViolation);
    inner.rollback().await.unwrap();
    let kept = outer.begin(None).await.unwrap();
    add(&*kept, "3").await;
    kept.commit().await.unwrap();
    outer.commit().await.unwrap();
    assert_eq!(count(&*dialect).await, 2);
}

async fn a_dropped_savepoint_rolls_back_alone(db: &Database) {
    let dialect = db.with(&[&person()]).await;
    let outer = dialect.begin(None).await.unwrap();
    add(&*outer, "1").await;
    let inner = outer.begin(None).await.unwrap();
    add(&*inner, "2").await;
    let innermost = inner.begin(None).await.unwrap();
    add(&*innermost, "3").await;
    drop((innermost, inner));
    assert_eq!(count(&*outer).await, 1);
    outer.commit().await.unwrap();
    assert_eq!(count(&*dialect).await, 1);
}

async fn a_transaction_cannot_be_used_after_its_end(db: &Database) {
    let dialect = db.with(&[&person()]).await;
    let transaction: Arc<dyn Transaction> = dialect.begin(None).await.unwrap();
    transaction.commit().await.unwrap();
    let error = transaction.count(&person(), &Filter::everything(), false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction);
    assert_eq!(transaction.commit().await.unwrap_err().kind(), ErrorKind::Transaction);
    assert!(transaction.begin(None).await.is_err());
}

async fn an_error_in_one_row_of_a_list_leaves_nothing(db: &Database) {
    let dialect = db.with(&[&person()]).await;
    let transaction = dialect.begin(None).await.unwrap();
    add(&*transaction, "1").await;
    let again = transaction.create(&person(), record(json!({"id": "1", "name": "x"}))).await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::UniqueViolation);
    transaction.rollback().await.unwrap();
    assert_eq!(count(&*dialect).await, 0);
}

async fn a_raw_begin_does_not_stick_to_the_pool(db: &Database) {
    let dialect = db.with(&[&person()]).await;
    let error = dialect.execute_run("BEGIN", Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction);
    add(&*dialect, "1").await;
    assert_eq!(count(&*db.open().await).await, 1);
}

async fn columns_added_in_a_transaction_are_seen_in_it(db: &Database) {
    let dialect = db.with(&[&person()]).await;
    if db.kind == data::DialectKind::Mariadb {
        return columns_are_not_added_in_a_transaction(&*dialect).await;
    }
    let find = async |dialect: &dyn Dialect| {
        dialect.find(&person(), &Filter::everything(), &data::FindOptions::default()).await.unwrap()
    };
    let transaction = dialect.begin(None).await.unwrap();
    add(&*transaction, "1").await;
    find(&*transaction).await;
    transaction.create(&person(), record(json!({"id": "2", "name": "a", "extra": true}))).await.unwrap();
    assert!(find(&*transaction).await[0].contains_key("extra"));
    transaction.rollback().await.unwrap();
    assert!(find(&*dialect).await.is_empty());
    let row = dialect
        .create(&person(), record(json!({"id": "2", "name": "a", "extra": "text now"})))
        .await
        .unwrap();
    assert_eq!(row["extra"].as_text(), Some("text now"));
}

/// MariaDB would make the rows before the new column permanent.
async fn columns_are_not_added_in_a_transaction(dialect: &dyn Dialect) {
    let transaction = dialect.begin(None).await.unwrap();
    add(&*transaction, "1").await;
    let row = record(json!({"id": "2", "name": "a", "extra": true}));
    let error = transaction.create(&person(), row.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    transaction.rollback().await.unwrap();
    assert_eq!(count(dialect).await, 0);
    assert_eq!(dialect.create(&person(), row).await.unwrap()["extra"], true.into());
}

async fn a_pool_exhausted_by_open_transactions_is_told_in_time(db: &Database) {
    let dialect = db
        .open_with(|config| {
            config.pool = PoolSize { min: 1, max: 1 };
            config.acquire_timeout = Duration::from_millis(200);
        })
        .await;
    dialect.init_schema(&[person()]).await.unwrap();
    let open = dialect.begin(None).await.unwrap();
    add(&*open, "1").await;
    let begun = dialect.begin(None).await.err().unwrap();
    let written = dialect.create(&person(), record(json!({"id": "2", "name": "2"}))).await.unwrap_err();
    for error in [begun, written] {
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(error.kind().is_retryable());
        assert!(error.to_string().starts_with("pool exhausted: "), "{error}");
    }
    open.commit().await.unwrap();
    add(&*dialect, "3").await;
    assert_eq!(count(&*dialect).await, 2);
}
