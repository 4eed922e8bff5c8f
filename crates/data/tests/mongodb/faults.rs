//! Failures that the server is told to produce.

use std::sync::Arc;
use std::time::Duration;

use data::table::{ColumnType, Row, RowBatch, Table, TableColumn};
use data::{ConnectionConfig, DialectKind, ErrorKind, Filter, Value};
use mongodb::bson::doc;
use serde_json::json;

use crate::support::Server;
use crate::{fresh_on, new_database, record, users};

fn numbers() -> Table {
    let column = TableColumn {
        name: "id".to_owned(),
        column_type: ColumnType::Int32,
        nullable: false,
        generated: false,
    };
    Table { name: "numbers".to_owned(), columns: vec![column], key: vec![0], references: vec![] }
}

fn rows() -> Vec<Row> {
    (0..10).map(|n| vec![Value::Int32(n)]).collect()
}

fn batch() -> RowBatch {
    RowBatch::Rows(rows())
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_is_half_written() {
    let server = Server::replica_set();
    let _turn = server.turn_to_fail().await;
    let app = new_database();
    let (dialect, _) = fresh_on(server, &format!("appName={app}")).await;
    let store = dialect.tables().unwrap();
    let table = store.create_like(&numbers()).await.unwrap();
    server.fail_next(&app, &["insert"], 2, doc! {"errorCode": 14031}).await;
    let error = store.insert(&table, &batch()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::DiskFull, "14031"));
    let error = dialect.create(&users(), record(json!({"name": "Ann"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DiskFull);
    assert!(store.is_empty(&table, None).await.unwrap());
    store.insert(&table, &batch()).await.unwrap();
}

#[tokio::test]
async fn an_upsert_that_collides_with_another_transaction_is_run_again() {
    let server = Server::replica_set();
    let _turn = server.turn_to_fail().await;
    let app = new_database();
    let (dialect, _) = fresh_on(server, &format!("appName={app}")).await;
    let store = dialect.tables().unwrap();
    let table = store.create_like(&numbers()).await.unwrap();
    let collision = doc! {"errorCode": 112, "errorLabels": ["TransientTransactionError"]};
    server.fail_next(&app, &["update"], 2, collision).await;
    store.upsert(&table, &rows()).await.unwrap();
    assert_eq!(store.fetch(&table, &[vec![Value::Int32(3)]]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_commit_whose_outcome_is_lost_is_asked_for_again() {
    let server = Server::replica_set();
    let _turn = server.turn_to_fail().await;
    let app = new_database();
    let (dialect, _) = fresh_on(server, &format!("appName={app}")).await;
    let store = dialect.tables().unwrap();
    let table = store.create_like(&numbers()).await.unwrap();
    server.fail_next(&app, &["commitTransaction"], 2, doc! {"closeConnection": true}).await;
    store.upsert(&table, &rows()).await.unwrap();
    assert_eq!(store.fetch(&table, &[vec![Value::Int32(3)]]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_demoted_primary_and_a_lost_connection_are_retryable() {
    let server = Server::replica_set();
    let _turn = server.turn_to_fail().await;
    let app = new_database();
    let (dialect, _) = fresh_on(server, &format!("appName={app}&retryReads=false&retryWrites=false")).await;
    for failure in [doc! {"errorCode": 10107}, doc! {"closeConnection": true}] {
        server.fail_next(&app, &["aggregate"], 1, failure).await;
        let error = dialect.count(&users(), &Filter::everything(), false).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
        assert!(error.kind().is_retryable());
    }
    assert_eq!(dialect.count(&users(), &Filter::everything(), false).await.unwrap(), 0);
}

#[tokio::test]
async fn an_insert_whose_outcome_is_unknown_or_not_durable_leaves_nothing_behind() {
    for server in [Server::replica_set(), Server::standalone()] {
        let _turn = server.turn_to_fail().await;
        let app = new_database();
        let (dialect, _) = fresh_on(server, &format!("appName={app}")).await;
        let store = dialect.tables().unwrap();
        let table = store.create_like(&numbers()).await.unwrap();
        let not_durable = doc! {"writeConcernError": {"code": 11602, "errmsg": "stepped down"}};
        for failure in [doc! {"closeConnection": true}, not_durable] {
            server.fail_next(&app, &["insert"], 1, failure).await;
            let error = store.insert(&table, &batch()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
            assert!(store.is_empty(&table, None).await.unwrap());
        }
        store.insert(&table, &batch()).await.unwrap();
    }
}

#[tokio::test]
async fn a_document_validator_that_refuses_is_a_check_violation() {
    let (dialect, database) = fresh_on(Server::replica_set(), "").await;
    database.create_collection("users").validator(doc! {"age": {"$gt": 0}}).await.unwrap();
    let error = dialect.create(&users(), record(json!({"name": "Ann", "age": -1}))).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::CheckViolation, "121"));
}

#[tokio::test]
async fn an_operation_that_finds_every_connection_in_use_fails_in_time() {
    let server = Server::replica_set();
    let _turn = server.turn_to_fail().await;
    let app = new_database();
    let uri = server.uri(&new_database(), &format!("appName={app}&maxPoolSize=1"));
    let mut config = ConnectionConfig::new(DialectKind::Mongodb, uri);
    config.acquire_timeout = Duration::from_millis(200);
    let dialect = data::connect(&config).await.unwrap();
    dialect.init_schema(&[users()]).await.unwrap();
    server.fail_next(&app, &["insert"], 1, doc! {"blockConnection": true, "blockTimeMS": 1500}).await;
    let busy = {
        let dialect = Arc::clone(&dialect);
        tokio::spawn(async move { dialect.create(&users(), record(json!({"name": "Ann"}))).await })
    };
    let mut refused = None;
    while !busy.is_finished() && refused.is_none() {
        refused = dialect.count(&users(), &Filter::everything(), false).await.err();
    }
    let refused = refused.expect("the only connection is in use");
    assert_eq!(refused.kind(), ErrorKind::Timeout, "{refused}");
    assert!(refused.to_string().starts_with("pool exhausted: "), "{refused}");
    busy.await.unwrap().unwrap();
    assert_eq!(dialect.count(&users(), &Filter::everything(), false).await.unwrap(), 1);
    // Open transactions hold no connection between their operations.
    let (first, second) = (dialect.begin(None).await.unwrap(), dialect.begin(None).await.unwrap());
    for (transaction, name) in [(&first, "Bea"), (&second, "Cid")] {
        transaction.create(&users(), record(json!({"name": name}))).await.unwrap();
    }
    first.commit().await.unwrap();
    second.commit().await.unwrap();
}
