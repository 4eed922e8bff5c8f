//! Futures dropped half-way and sessions ended by the server.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wire::{Connection, ErrorKind, Param, QueryOptions, TransactionStatus};

use crate::{connect, value};

/// Polls a future `times` times, as long as it is not ready, and drops it.
async fn interrupt<F: Future>(future: F, times: usize) -> bool {
    let mut future = pin!(future);
    for _ in 0..times {
        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

#[tokio::test]
async fn a_query_dropped_at_any_point_leaves_the_connection_usable() {
    let mut connection = connect().await;
    for times in 1..40 {
        let sql = format!("SELECT {times}, repeat('x', 100) FROM generate_series(1, 1000)");
        interrupt(connection.query(&sql, &[]), times).await;
        assert_eq!(value(&mut connection, &format!("SELECT {times}")).await, times.to_string());
        let big = Param::text("y".repeat(1 << 20));
        interrupt(connection.query("SELECT length($1)", &[big]), times).await;
        assert!(!connection.is_broken());
    }
    assert_eq!(connection.query("SELECT length($1)", &["four".into()]).await.unwrap().rows.len(), 1);
}

#[tokio::test]
async fn a_batch_dropped_half_way_leaves_all_or_nothing() {
    let mut connection = connect().await;
    connection.simple_query("CREATE TEMP TABLE whole (i int)").await.unwrap();
    let batch: Vec<(&str, &[Param<'_>])> = vec![("INSERT INTO whole VALUES (1)", &[]); 500];
    for times in 1..10 {
        interrupt(connection.query_batch(&batch), times).await;
        let count: u32 = value(&mut connection, "SELECT count(*) FROM whole").await.parse().unwrap();
        assert_eq!(count % 500, 0);
    }
}

#[tokio::test]
async fn a_transaction_begun_by_a_dropped_future_is_known_after_the_next_call() {
    let mut connection = connect().await;
    assert!(!interrupt(connection.begin(None, false), 1).await);
    assert_eq!(value(&mut connection, "SELECT 1").await, "1");
    assert_eq!(connection.transaction_status(), TransactionStatus::InTransaction);
    connection.rollback().await.unwrap();
}

#[tokio::test]
async fn a_stream_dropped_half_way_leaves_the_connection_usable() {
    let mut connection = connect().await;
    let sql = "SELECT repeat('x', 1000) FROM generate_series(1, 20000)";
    let mut stream = connection.query_stream(sql, &[], &QueryOptions::default()).await.unwrap();
    assert!(!stream.next_batch().await.unwrap().unwrap().is_empty());
    drop(stream);
    assert_eq!(value(&mut connection, "SELECT 1").await, "1");
}

#[tokio::test]
async fn reading_a_copy_with_futures_dropped_in_between_loses_nothing() {
    let mut connection = connect().await;
    let mut copy = connection.copy_out("COPY (SELECT generate_series(1, 200000)) TO STDOUT").await.unwrap();
    let mut data = Vec::new();
    loop {
        interrupt_read(&mut copy, &mut data);
        match copy.next().await.unwrap() {
            Some(chunk) => data.extend_from_slice(&chunk),
            None => break,
        }
    }
    let expected: String = (1..=200_000).map(|i| format!("{i}\n")).collect();
    assert!(data == expected.as_bytes());
}

/// Polls for a chunk once and keeps it when it is there.
fn interrupt_read(copy: &mut wire::CopyOut<'_>, data: &mut Vec<u8>) {
    let mut next = pin!(copy.next());
    if let Poll::Ready(chunk) = next.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        data.extend_from_slice(&chunk.unwrap().unwrap_or_default());
    }
}

#[tokio::test]
async fn sending_a_copy_with_futures_dropped_in_between_loses_nothing() {
    let mut connection = connect().await;
    connection.simple_query("CREATE TEMP TABLE sent (i int)").await.unwrap();
    let mut copy = connection.copy_in("COPY sent FROM STDIN").await.unwrap();
    for block in 0..200 {
        let text: String = (0..5_000).map(|i| format!("{}\n", block * 5_000 + i)).collect();
        // Data is taken at once; only the waiting is dropped.
        interrupt(copy.send(text), 1).await;
    }
    assert_eq!(copy.finish().await.unwrap(), 1_000_000);
    assert_eq!(value(&mut connection, "SELECT sum(i) FROM sent").await, "499999500000");
}

#[tokio::test]
async fn a_session_ended_by_the_server_is_broken_and_says_why() {
    let mut admin = connect().await;
    let mut running = connect().await;
    let mut idle = connect().await;
    assert!(idle.probe());
    let kill = format!(
        "SELECT pg_terminate_backend(pid, 10000) FROM unnest('{{{}}}'::int[]) pid",
        idle.process_id()
    );
    assert_eq!(value(&mut admin, &kill).await, "t");
    while idle.probe() {
        tokio::task::yield_now().await;
    }
    assert_eq!(idle.query("SELECT 1", &[]).await.unwrap_err().kind(), ErrorKind::Closed);

    let id = running.process_id();
    let error = running.query(&format!("SELECT pg_terminate_backend({id})"), &[]).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("57P01"));
    assert!(running.is_broken() && error.is_retryable());
    let error = running.query("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    running.close().await.unwrap();
}

#[tokio::test]
async fn a_connection_can_be_used_from_any_thread() {
    fn is_send_and_sync<T: Send + Sync>(_: &T) {}
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let mut connection: Connection = connect().await;
    is_send_and_sync(&connection);
    is_send(connection.query("SELECT 1", &[])).await.unwrap();
    is_send(connection.query_batch(&[("SELECT 1", &[])])).await.unwrap();
    is_send(Connection::connect(&crate::superuser())).await.unwrap();
}
