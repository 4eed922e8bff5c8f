//! TLS: each `sslmode`, roots, names, client certificates.

use wire::{Connection, ErrorKind};

use crate::support::certificates::SERVER_NAME;
use crate::{PASSWORD, cluster, config, file, over_tcp, value};

/// Pairs for a role at a host name that leads to this machine.
fn named(host: &str, user: &str, more: &str) -> wire::ConnectConfig {
    let port = cluster().port();
    config(&format!(
        "host={host} hostaddr=127.0.0.1 port={port} dbname=postgres user={user} password='{PASSWORD}' {more}"
    ))
}

#[tokio::test]
async fn disable_goes_without_tls_and_prefer_and_require_go_with_it() {
    for (mode, encrypted) in [("disable", false), ("allow", false), ("prefer", true), ("require", true)] {
        let config = over_tcp("scram", &format!("sslmode={mode}"));
        let mut connection = Connection::connect(&config).await.unwrap();
        assert_eq!(connection.is_encrypted(), encrypted, "{mode}");
        let on_server =
            value(&mut connection, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").await;
        assert_eq!(on_server == "t", encrypted, "{mode}");
    }
}

#[tokio::test]
async fn allow_and_prefer_try_the_other_way_where_the_server_demands_it() {
    assert!(Connection::connect(&over_tcp("tls_only", "sslmode=allow")).await.unwrap().is_encrypted());
    assert!(!Connection::connect(&over_tcp("plain_only", "sslmode=prefer")).await.unwrap().is_encrypted());
    for (user, mode) in [("tls_only", "disable"), ("plain_only", "require")] {
        let error = Connection::connect(&over_tcp(user, &format!("sslmode={mode}"))).await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("28000"), "{user}: {error}");
    }
}

#[tokio::test]
async fn verify_full_demands_the_name_and_verify_ca_does_not() {
    let roots = format!("sslrootcert={}", file("ca.crt"));
    let full = named(SERVER_NAME, "scram", &format!("sslmode=verify-full {roots}"));
    assert!(Connection::connect(&full).await.unwrap().is_encrypted());
    let other = named("db.example.com", "scram", &format!("sslmode=verify-full {roots}"));
    assert_eq!(Connection::connect(&other).await.unwrap_err().kind(), ErrorKind::Tls);
    let address = over_tcp("scram", &format!("sslmode=verify-full {roots}"));
    assert_eq!(Connection::connect(&address).await.unwrap_err().kind(), ErrorKind::Tls);
    let ca = named("db.example.com", "scram", &format!("sslmode=verify-ca {roots}"));
    assert!(Connection::connect(&ca).await.unwrap().is_encrypted());
}

#[tokio::test]
async fn an_authority_that_did_not_sign_the_server_is_refused() {
    for mode in ["require", "verify-ca", "verify-full"] {
        let config =
            named(SERVER_NAME, "scram", &format!("sslmode={mode} sslrootcert={}", file("other-ca.crt")));
        let error = Connection::connect(&config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{mode}: {error}");
    }
}

#[tokio::test]
async fn the_systems_roots_do_not_know_the_servers_authority() {
    let config = named(SERVER_NAME, "scram", "sslrootcert=system");
    let error = Connection::connect(&config).await.unwrap_err();
    // A machine without any root certificates says so instead.
    assert!(matches!(error.kind(), ErrorKind::Tls | ErrorKind::Config), "{error}");
}

#[tokio::test]
async fn the_servers_own_certificate_can_be_the_root() {
    let roots = format!("sslrootcert={}", file("server.crt"));
    let full = named(SERVER_NAME, "scram", &format!("sslmode=verify-full {roots}"));
    Connection::connect(&full).await.unwrap();
    let other = named("db.example.com", "scram", &format!("sslmode=verify-full {roots}"));
    assert_eq!(Connection::connect(&other).await.unwrap_err().kind(), ErrorKind::Tls);
}

#[tokio::test]
async fn a_client_certificate_takes_the_place_of_a_password() {
    let pairs = format!(
        "sslmode=verify-full sslrootcert={} sslcert={} sslkey={}",
        file("ca.crt"),
        file("certificate.crt"),
        file("certificate.key")
    );
    let mut config = named(SERVER_NAME, "certificate", &pairs);
    config.set_password(None);
    let mut connection = Connection::connect(&config).await.unwrap();
    assert_eq!(value(&mut connection, "SELECT current_user").await, "certificate");
    let without = over_tcp("certificate", "sslmode=require");
    assert_eq!(Connection::connect(&without).await.unwrap_err().sqlstate(), Some("28000"));
}

#[tokio::test]
async fn files_that_are_missing_or_hold_no_certificate_are_named() {
    for (name, parameter) in [("none.crt", "sslrootcert"), ("server.key", "sslrootcert")] {
        let config = named(SERVER_NAME, "scram", &format!("sslmode=verify-ca sslrootcert={}", file(name)));
        let error = Connection::connect(&config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(parameter) && error.to_string().contains(name), "{error}");
    }
}

#[tokio::test]
async fn much_data_goes_both_ways_at_once_through_tls() {
    let mut connection = Connection::connect(&over_tcp("scram", "sslmode=require")).await.unwrap();
    let text = "x".repeat(1 << 20);
    let statement = ("SELECT $1::text", &[wire::Param::text(text.as_str())][..]);
    let results = connection.query_batch(&[statement; 16]).await.unwrap();
    assert_eq!(results.len(), 16);
    assert!(results.iter().all(|result| result.rows.get(0).unwrap().get(0) == Some(text.as_bytes())));
}
