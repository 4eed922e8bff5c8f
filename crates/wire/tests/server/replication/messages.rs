//! Messages that applications write into the log.

use wire::replication::StartReplication;
use wire::replication::pgoutput::Message;

use super::Source;
use super::feed::text;

#[tokio::test]
async fn messages_of_transactions_come_with_them_and_others_by_themselves() {
    let mut source = Source::new("logical_messages", "CREATE TABLE item (id int PRIMARY KEY)").await;
    source.slot().await;
    source.run("SELECT pg_logical_emit_message(true, 'app', 'within')").await;
    source.run("BEGIN; SELECT pg_logical_emit_message(false, 'app', 'kept'); ROLLBACK").await;
    source.run("BEGIN; SELECT pg_logical_emit_message(true, 'app', 'void'); ROLLBACK").await;
    source
        .run("BEGIN; INSERT INTO item VALUES (1); SELECT pg_logical_emit_message(true, '', ''); COMMIT")
        .await;
    let mut feed = source.stream(&StartReplication { messages: true, ..source.start() }).await;
    assert_eq!(feed.changes().await, ["transactional message app: within"]);
    let message = feed.message().await;
    assert_eq!(text(&message), "immediate message app: kept");
    let Message::Logical(message) = message else { panic!("{message:?}") };
    assert!(message.lsn > wire::replication::Lsn::ZERO && message.xid.is_none());
    assert_eq!(feed.changes().await, ["insert item(1)", "transactional message : "]);
}

#[tokio::test]
async fn messages_do_not_come_unless_they_are_asked_for() {
    let mut source = Source::new("logical_messages_off", "CREATE TABLE item (id int PRIMARY KEY)").await;
    let mut feed = source.feed().await;
    source.run("SELECT pg_logical_emit_message(true, 'app', 'hidden')").await;
    source.run("INSERT INTO item VALUES (1)").await;
    assert_eq!(feed.changes().await, ["insert item(1)"]);
}
