//! Connecting, being refused, and closing.

use data::{ConnectionConfig, DialectKind, Error, ErrorKind, Filter, FindOptions, SchemaStrategy};

use crate::support::Server;
use crate::{connect_to, new_database, users};

async fn refused(uri: String) -> Error {
    let config = ConnectionConfig::new(DialectKind::Mongodb, uri);
    data::connect(&config).await.err().expect("the connection is refused")
}

/// Everything an error shows, with its causes.
fn everything(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!("{cause} {cause:?}"));
        source = cause.source();
    }
    text
}

#[tokio::test]
async fn an_unreachable_server_is_a_connection_error() {
    let error =
        refused("mongodb://u:s3cret-word@127.0.0.1:1/db?serverSelectionTimeoutMS=300".to_owned()).await;
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(error.kind().is_retryable());
    assert!(!everything(&error).contains("s3cret-word"), "{}", everything(&error));
}

#[tokio::test]
async fn a_wrong_password_is_an_authentication_error_and_never_printed() {
    let port = Server::with_password().port();
    let error = refused(format!("mongodb://app:wrong-word@127.0.0.1:{port}/locked?authSource=admin")).await;
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    assert!(!everything(&error).contains("wrong-word"), "{}", everything(&error));
}

#[tokio::test]
async fn a_missing_privilege_is_told() {
    let port = Server::with_password().port();
    let uri = format!("mongodb://app:s3cret-word@127.0.0.1:{port}/locked?authSource=admin");
    let dialect = connect_to(uri, SchemaStrategy::None).await;
    let error = dialect.create(&users(), crate::record(serde_json::json!({"name": "a"}))).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Permission, "13"));
}

#[tokio::test]
async fn after_disconnect_every_call_says_that_it_is_closed() {
    let dialect = connect_to(Server::replica_set().uri(&new_database(), ""), SchemaStrategy::Update).await;
    dialect.test_connection().await.unwrap();
    dialect.disconnect().await.unwrap();
    dialect.disconnect().await.unwrap();
    let find = dialect.find(&users(), &Filter::everything(), &FindOptions::default()).await.unwrap_err();
    let tables = dialect.tables().unwrap().list_tables().await.unwrap_err();
    let begin = dialect.begin(None).await.err().unwrap();
    for error in [find, tables, begin, dialect.test_connection().await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    }
}

#[tokio::test]
async fn the_database_is_named_test_where_the_uri_names_none() {
    let port = Server::standalone().port();
    let dialect = connect_to(format!("mongodb://127.0.0.1:{port}"), SchemaStrategy::None).await;
    let reply = dialect.execute_query(r#"{"dbStats": 1}"#, vec![]).await.unwrap();
    assert_eq!(crate::text(&reply[0], "db"), "test");
}
