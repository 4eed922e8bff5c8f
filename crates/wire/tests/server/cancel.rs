//! Cancelling a query from outside.

use wire::{ConnectConfig, Connection};

use crate::{over_tcp, superuser, value};

async fn cancelling_ends_the_query(config: &ConnectConfig) {
    let mut connection = Connection::connect(config).await.unwrap();
    let token = connection.cancel_token().clone();
    let id = connection.process_id();
    let canceller = tokio::spawn(async move {
        let mut observer = crate::connect().await;
        let running =
            format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {id} AND wait_event = 'PgSleep'");
        while value(&mut observer, &running).await != "1" {
            tokio::task::yield_now().await;
        }
        token.cancel().await.unwrap();
    });
    let error = connection.query("SELECT pg_sleep(60)", &[]).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("57014"), "{error}");
    canceller.await.unwrap();
    assert_eq!(value(&mut connection, "SELECT 'still here'").await, "still here");
}

#[tokio::test]
async fn a_running_query_is_cancelled_over_every_kind_of_socket() {
    cancelling_ends_the_query(&superuser()).await;
    cancelling_ends_the_query(&over_tcp("trusted", "sslmode=disable")).await;
    cancelling_ends_the_query(&over_tcp("trusted", "sslmode=require")).await;
}

#[tokio::test]
async fn cancelling_an_idle_connection_does_no_harm() {
    let mut connection = crate::connect().await;
    connection.cancel_token().cancel().await.unwrap();
    assert_eq!(value(&mut connection, "SELECT 1").await, "1");
}
