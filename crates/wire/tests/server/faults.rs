//! Servers that are none: garbage, impossible lengths, sudden ends.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wire::{ConnectConfig, Connection, Error, ErrorKind};

use crate::config;

const AUTHENTICATED: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const READY: &[u8] = b"Z\0\0\0\x05I";

/// A server that answers whatever comes first, and whatever comes after it, with these bytes and then ends.
async fn server(answers: Vec<Vec<u8>>) -> ConnectConfig {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        for answer in answers {
            let mut request = [0; 4096];
            if socket.read(&mut request).await.unwrap_or(0) == 0 || socket.write_all(&answer).await.is_err() {
                return;
            }
        }
    });
    config(&format!("host=127.0.0.1 port={port} user=x password=s3cret sslmode=disable"))
}

async fn failure_at_start(answer: &[u8]) -> Error {
    let config = server(vec![answer.to_vec()]).await;
    Connection::connect(&config).await.unwrap_err()
}

#[tokio::test]
async fn garbage_at_the_start_is_a_protocol_error() {
    let answers: [&[u8]; 8] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\0\0",
        b"R\0\0\0\0",
        b"R\xff\xff\xff\xff",
        b"R\0\0\0\x03",
        b"D\0\0\x10\0",
        b"R\0\0\0\x06\0\0",
        b"Z\0\0\0\x05I",
    ];
    for answer in answers {
        let error = failure_at_start(answer).await;
        assert!(matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Closed), "{answer:?}: {error}");
        assert!(!error.to_string().contains("s3cret"));
    }
    // A length that would take a gigabyte before the server has even let us in.
    assert_eq!(failure_at_start(b"E\x3f\xff\xff\xff").await.kind(), ErrorKind::Protocol);
    assert_eq!(failure_at_start(b"").await.kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn garbage_in_answer_to_the_request_for_tls_is_a_protocol_error() {
    for mode in ["prefer", "require"] {
        let plain = server(vec![b"HTTP/1.1".to_vec()]).await;
        let mut config = plain.clone();
        config.ssl_mode = if mode == "prefer" { wire::SslMode::Prefer } else { wire::SslMode::Require };
        let error = Connection::connect(&config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    }
}

#[tokio::test]
async fn an_unknown_authentication_method_is_named() {
    let error = failure_at_start(b"R\0\0\0\x08\0\0\0\x07").await;
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(error.to_string().contains("GSSAPI"), "{error}");
}

#[tokio::test]
async fn a_server_that_leaves_scram_before_its_proof_is_refused() {
    let offer = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";
    let mut config = server(vec![offer.to_vec(), [AUTHENTICATED, READY].concat()]).await;
    config.connect_timeout = None;
    let error = Connection::connect(&config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
}

#[tokio::test]
async fn garbage_in_answer_to_a_query_breaks_the_connection() {
    let answers: [&[u8]; 9] = [
        b"!!!!!!!!!",
        b"D\x7f\xff\xff\xff",
        b"D\0\0\0\x0a\0\x02\0\0\0\x63",
        b"D\0\0\0\x0b\0\x01\xff\xff\xff\x00\0",
        b"T\0\0\0\x06\xff\xff",
        b"Z\0\0\0\x05Q",
        b"C\0\0\0\x08SELE",
        b"1\0\0\0\x05\0",
        b"W\0\0\0\x07\0\0\0",
    ];
    for answer in answers {
        let start = [AUTHENTICATED, READY].concat();
        let config = server(vec![start, answer.to_vec()]).await;
        let mut connection = Connection::connect(&config).await.unwrap();
        let error = connection.query("SELECT 1", &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{answer:?}: {error}");
        assert!(connection.is_broken());
        assert_eq!(connection.query("SELECT 1", &[]).await.unwrap_err().kind(), ErrorKind::Closed);
    }
}

#[tokio::test]
async fn a_long_message_takes_no_memory_before_its_bytes_come() {
    let start = [AUTHENTICATED, READY].concat();
    let config = server(vec![start, b"1\0\0\0\x042\0\0\0\x04D\x3f\xff\xff\xff\0\x01".to_vec()]).await;
    let mut connection = Connection::connect(&config).await.unwrap();
    let error = connection.query("SELECT 1", &[]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Closed | ErrorKind::Protocol), "{error}");
}
