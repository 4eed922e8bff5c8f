//! Transactions: levels, commit, roll back, failure.

use wire::{ErrorKind, IsolationLevel, TransactionStatus};

use crate::{connect, value};

#[tokio::test]
async fn a_transaction_has_the_level_and_the_access_asked_for() {
    let mut connection = connect().await;
    for (level, name) in [
        (IsolationLevel::ReadCommitted, "read committed"),
        (IsolationLevel::RepeatableRead, "repeatable read"),
        (IsolationLevel::Serializable, "serializable"),
    ] {
        for (read_only, shown) in [(false, "off"), (true, "on")] {
            connection.begin(Some(level), read_only).await.unwrap();
            assert_eq!(connection.transaction_status(), TransactionStatus::InTransaction);
            assert_eq!(value(&mut connection, "SHOW transaction_isolation").await, name);
            assert_eq!(value(&mut connection, "SHOW transaction_read_only").await, shown);
            connection.rollback().await.unwrap();
            assert_eq!(connection.transaction_status(), TransactionStatus::Idle);
        }
    }
}

#[tokio::test]
async fn commit_keeps_and_rollback_undoes() {
    let mut connection = connect().await;
    connection.simple_query("CREATE TEMP TABLE kept (i int)").await.unwrap();
    for (commits, expected) in [(true, "1"), (false, "1")] {
        connection.begin(None, false).await.unwrap();
        connection.execute("INSERT INTO kept VALUES (1)", &[]).await.unwrap();
        if commits {
            connection.commit().await.unwrap()
        } else {
            connection.rollback().await.unwrap()
        }
        assert_eq!(value(&mut connection, "SELECT count(*) FROM kept").await, expected);
    }
}

#[tokio::test]
async fn committing_a_failed_transaction_is_an_error() {
    let mut connection = connect().await;
    connection.begin(None, false).await.unwrap();
    connection.query("SELECT 1 / 0", &[]).await.unwrap_err();
    assert_eq!(connection.transaction_status(), TransactionStatus::Failed);
    assert_eq!(connection.query("SELECT 1", &[]).await.unwrap_err().sqlstate(), Some("25P02"));
    assert_eq!(connection.commit().await.unwrap_err().kind(), ErrorKind::RolledBack);
    assert_eq!(connection.transaction_status(), TransactionStatus::Idle);
    assert_eq!(value(&mut connection, "SELECT 1").await, "1");
}

#[tokio::test]
async fn a_deferred_constraint_fails_the_commit_and_a_query_outside_a_transaction() {
    let mut connection = connect().await;
    connection
        .simple_query("CREATE TEMP TABLE once (i int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO once VALUES (1)")
        .await
        .unwrap();
    connection.begin(None, false).await.unwrap();
    connection.execute("INSERT INTO once VALUES (1)", &[]).await.unwrap();
    assert_eq!(connection.commit().await.unwrap_err().sqlstate(), Some("23505"));
    let error = connection.execute("INSERT INTO once VALUES (1)", &[]).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("23505"));
    assert_eq!(value(&mut connection, "SELECT count(*) FROM once").await, "1");
}
