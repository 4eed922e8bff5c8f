//! Transactions pinned to one session.

use data::{ErrorKind, Filter, FindOptions, Isolation};
use serde_json::json;

use crate::support::Server;
use crate::{fresh, fresh_on, record, users};

#[tokio::test]
async fn a_commit_makes_changes_visible_and_a_rollback_undoes_them() {
    let (dialect, _) = fresh().await;
    dialect.init_schema(&[users()]).await.unwrap();
    let count = async || dialect.count(&users(), &Filter::everything(), false).await.unwrap();
    for isolation in
        [None, Some(Isolation::ReadCommitted), Some(Isolation::RepeatableRead), Some(Isolation::Serializable)]
    {
        let before = count().await;
        let rolled_back = dialect.begin(isolation).await.unwrap();
        rolled_back.create(&users(), record(json!({"name": "Ann"}))).await.unwrap();
        assert_eq!(
            rolled_back.find(&users(), &Filter::everything(), &FindOptions::default()).await.unwrap().len()
                as u64,
            before + 1
        );
        assert_eq!(count().await, before);
        rolled_back.rollback().await.unwrap();
        rolled_back.rollback().await.unwrap();
        let committed = dialect.begin(isolation).await.unwrap();
        let bob = committed.create(&users(), record(json!({"name": "Bob"}))).await.unwrap();
        committed.update(&users(), &bob["id"], record(json!({"age": 3}))).await.unwrap().unwrap();
        committed.upsert(&users(), &Filter::eq("name", "Bob"), record(json!({"age": 4}))).await.unwrap();
        committed
            .execute_run(
                r#"{"update": "users", "updates": [{"q": {}, "u": {"$set": {"seen": true}}}]}"#,
                vec![],
            )
            .await
            .unwrap();
        committed.commit().await.unwrap();
        assert_eq!(count().await, before + 1);
    }
}

#[tokio::test]
async fn after_its_end_every_call_fails() {
    let (dialect, _) = fresh().await;
    let transaction = dialect.begin(None).await.unwrap();
    transaction.commit().await.unwrap();
    let create = transaction.create(&users(), record(json!({"name": "Ann"}))).await.unwrap_err();
    let find = transaction.find(&users(), &Filter::everything(), &FindOptions::default()).await.unwrap_err();
    for error in [
        create,
        find,
        transaction.commit().await.unwrap_err(),
        transaction.test_connection().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Transaction, "{error}");
    }
    transaction.rollback().await.unwrap();
}

#[tokio::test]
async fn a_dropped_transaction_is_rolled_back() {
    let (dialect, _) = fresh().await;
    dialect.init_schema(&[users()]).await.unwrap();
    let transaction = dialect.begin(None).await.unwrap();
    transaction.create(&users(), record(json!({"id": "u1", "name": "Ann"}))).await.unwrap();
    drop(transaction);
    // Were the transaction still open, this would collide with it.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while let Err(error) = dialect.create(&users(), record(json!({"id": "u1", "name": "Bob"}))).await {
        assert!(std::time::Instant::now() < deadline, "{error}");
    }
    assert_eq!(crate::names(&dialect, json!({})).await, ["Bob"]);
}

#[tokio::test]
async fn two_transactions_that_change_one_row_conflict_and_the_second_can_run_again() {
    let (dialect, _) = fresh().await;
    dialect.create(&users(), record(json!({"id": "u1", "name": "Ann"}))).await.unwrap();
    let (first, second) = (dialect.begin(None).await.unwrap(), dialect.begin(None).await.unwrap());
    first.update(&users(), &"u1".into(), record(json!({"age": 1}))).await.unwrap();
    let error = second.update(&users(), &"u1".into(), record(json!({"age": 2}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let after = second.create(&users(), record(json!({"name": "Bob"}))).await.unwrap_err();
    assert_eq!(after.kind(), ErrorKind::Transaction, "{after}");
    assert_eq!(second.commit().await.unwrap_err().kind(), ErrorKind::Transaction);
    first.commit().await.unwrap();
    assert_eq!(crate::names(&dialect, json!({"age": 1})).await, ["Ann"]);
}

#[tokio::test]
async fn a_transaction_within_a_transaction_is_refused() {
    let (dialect, _) = fresh().await;
    let transaction = dialect.begin(None).await.unwrap();
    assert_eq!(transaction.begin(None).await.err().unwrap().kind(), ErrorKind::Unsupported);
    assert!(transaction.tables().is_none());
}

#[tokio::test]
async fn a_standalone_server_says_how_to_get_transactions() {
    let (dialect, _) = fresh_on(Server::standalone(), "").await;
    let error = dialect.begin(None).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Transaction);
    assert!(error.to_string().contains("--replSet"), "{error}");
}
