//! Finding a server: hosts in order, kinds of session, time limits, settings of the session.

use std::time::Duration;

use tokio::net::TcpListener;
use wire::{Connection, ErrorKind};

use crate::{PASSWORD, cluster, config, over_tcp, superuser, value};

/// A port on which nothing listens.
async fn dead_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_uri_with_the_socket_folder_as_its_encoded_host_connects() {
    let directory = cluster().directory().display().to_string().replace('/', "%2F");
    let uri = format!(
        "postgresql://postgres@{directory}:{}/postgres?application_name=uri%20test",
        cluster().port()
    );
    let config = wire::ConnectConfig::parse_in(&uri, &|_| None).unwrap();
    let mut connection = Connection::connect(&config).await.unwrap();
    assert_eq!(value(&mut connection, "SHOW application_name").await, "uri test");
    assert_eq!(value(&mut connection, "SELECT inet_client_addr() IS NULL").await, "t");
    assert!(connection.parameter("server_version").is_some());
    connection.close().await.unwrap();
}

#[tokio::test]
async fn options_reach_the_session_and_the_encoding_is_utf8() {
    let mut config = superuser();
    config.options = Some("-c statement_timeout=4321 -c application_name=a\\ b".to_owned());
    let mut connection = Connection::connect(&config).await.unwrap();
    assert_eq!(value(&mut connection, "SHOW statement_timeout").await, "4321ms");
    assert_eq!(value(&mut connection, "SHOW application_name").await, "a b");
    assert_eq!(connection.parameter("client_encoding"), Some("UTF8"));
}

#[tokio::test]
async fn hosts_that_do_not_answer_are_left_out() {
    let (dead, port) = (dead_port().await, cluster().port());
    let pairs = format!(
        "host=127.0.0.1,no-such-host.invalid,127.0.0.1 port={dead},{port},{port} dbname=postgres \
         user=trusted password='{PASSWORD}'"
    );
    let mut connection = Connection::connect(&config(&pairs)).await.unwrap();
    assert_eq!(value(&mut connection, "SELECT inet_server_port()::text").await, port.to_string());
}

#[tokio::test]
async fn a_refused_connection_names_the_host() {
    let dead = dead_port().await;
    let error =
        Connection::connect(&config(&format!("host=127.0.0.1 port={dead} user=x"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains(&format!("127.0.0.1:{dead}")), "{error}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_wrong_password_ends_the_search_for_a_host() {
    let port = cluster().port();
    let pairs = format!("host=127.0.0.1,127.0.0.1 port={port} dbname=postgres user=scram password=wrong");
    assert_eq!(Connection::connect(&config(&pairs)).await.unwrap_err().sqlstate(), Some("28P01"));
}

#[tokio::test]
async fn a_server_that_says_nothing_runs_into_the_time_limit() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config(&format!("host=127.0.0.1 port={} user=x", silent.local_addr().unwrap().port()));
    config.connect_timeout = Some(Duration::from_millis(200));
    let error = Connection::connect(&config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

#[tokio::test]
async fn target_session_attrs_choose_among_hosts() {
    let read_only = "options='-c default_transaction_read_only=on'";
    for (wanted, options, suits) in [
        ("any", read_only, true),
        ("read-write", "", true),
        ("read-write", read_only, false),
        ("read-only", "", false),
        ("read-only", read_only, true),
        ("primary", read_only, true),
        ("standby", "", false),
        ("prefer-standby", "", true),
    ] {
        let config = over_tcp("trusted", &format!("target_session_attrs={wanted} {options}"));
        match Connection::connect(&config).await {
            Ok(_) => assert!(suits, "{wanted} {options}"),
            Err(error) => {
                assert!(!suits, "{wanted} {options}: {error}");
                assert_eq!(error.kind(), ErrorKind::UnsuitableHost);
            }
        }
    }
}

#[tokio::test]
async fn a_replication_session_answers_replication_commands() {
    let mut config = superuser();
    config.replication = Some(wire::ReplicationMode::Database);
    let mut connection = Connection::connect(&config).await.unwrap();
    let results = connection.simple_query("IDENTIFY_SYSTEM").await.unwrap();
    assert_eq!(results[0].rows.get(0).unwrap().get_str(3).unwrap(), Some("postgres"));
}
