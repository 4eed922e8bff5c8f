//! What the server sends unasked: notices, notifications, changed parameters.

use std::sync::{Arc, Mutex};

use wire::Connection;

use crate::{connect, superuser};

#[tokio::test]
async fn notices_are_collected_with_their_fields() {
    let mut connection = connect().await;
    connection
        .query("DO $$ BEGIN RAISE WARNING 'w' USING DETAIL = 'd'; RAISE NOTICE 'n'; END $$", &[])
        .await
        .unwrap();
    let (notices, dropped) = connection.take_notices();
    let seen: Vec<_> =
        notices.iter().map(|notice| (notice.severity.as_str(), notice.message.as_str())).collect();
    assert_eq!(seen, [("WARNING", "w"), ("NOTICE", "n")]);
    assert_eq!((notices[0].detail.as_deref(), dropped), (Some("d"), 0));
    assert!(connection.take_notices().0.is_empty());
}

#[tokio::test]
async fn notices_nobody_takes_are_bounded_and_counted() {
    let mut connection = connect().await;
    let sql = "DO $$ BEGIN FOR i IN 1..2500 LOOP RAISE NOTICE '%', i; END LOOP; END $$";
    connection.query(sql, &[]).await.unwrap();
    let (notices, dropped) = connection.take_notices();
    assert_eq!((notices.len(), dropped), (1_000, 1_500));
    assert_eq!(notices[999].message, "2500");
}

#[tokio::test]
async fn a_handler_gets_each_notice_as_it_is_read() {
    let mut connection = connect().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handler = Arc::clone(&seen);
    connection.set_notice_handler(move |notice| handler.lock().unwrap().push(notice.message.clone()));
    connection.simple_query("DO $$ BEGIN RAISE NOTICE 'a'; RAISE NOTICE 'b'; END $$").await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["a", "b"]);
    assert!(connection.take_notices().0.is_empty());
}

#[tokio::test]
async fn notifications_come_while_idle_and_with_answers() {
    let mut listener = connect().await;
    let mut sender = Connection::connect(&superuser()).await.unwrap();
    listener.simple_query("LISTEN news").await.unwrap();
    sender.query("SELECT pg_notify('news', $1)", &["first".into()]).await.unwrap();
    listener.wait_for_notification().await.unwrap();
    let (notifications, _) = listener.take_notifications();
    assert_eq!((notifications[0].channel.as_str(), notifications[0].payload.as_str()), ("news", "first"));
    assert_eq!(notifications[0].process_id, sender.process_id());

    sender.simple_query("NOTIFY news").await.unwrap();
    listener.query("SELECT 1", &[]).await.unwrap();
    listener.wait_for_notification().await.unwrap();
    assert_eq!(listener.take_notifications().0[0].payload, "");
}

#[tokio::test]
async fn a_parameter_that_changes_is_known_at_once() {
    let mut connection = connect().await;
    connection.query("SET TimeZone = 'Asia/Tokyo'", &[]).await.unwrap();
    assert_eq!(connection.parameter("TimeZone"), Some("Asia/Tokyo"));
    assert_eq!(connection.parameter("no_such_parameter"), None);
}
