//! The commands of a replication connection.

use wire::replication::{CreateSlot, Lsn, SnapshotAction, StartReplication};
use wire::{Connection, IsolationLevel};

use super::Source;
use crate::value;

#[tokio::test]
async fn a_server_tells_which_cluster_it_is_and_where_its_log_stands() {
    let mut source = Source::new("identify", "").await;
    let before: Lsn = source.value("SELECT pg_current_wal_flush_lsn()").await.parse().unwrap();
    let identity = source.replication().await.identify_system().await.unwrap();
    let system = source.value("SELECT system_identifier FROM pg_control_system()").await;
    assert_eq!((identity.system_id.to_string(), identity.timeline), (system, 1));
    assert_eq!(identity.database.as_deref(), Some("identify"));
    assert!(identity.flushed >= before);
}

#[tokio::test]
async fn a_connection_that_is_not_of_replication_refuses_its_commands() {
    let mut source = Source::new("plain", "").await;
    assert_eq!(source.sql.identify_system().await.unwrap_err().sqlstate(), Some("42601"));
    assert_eq!(source.value("SELECT 1").await, "1");
    let error = source.sql.start_replication(&StartReplication::new("plain", ["p"])).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("42601"));
}

#[tokio::test]
async fn an_exported_snapshot_shows_what_the_stream_will_not_send() {
    let mut source = Source::new("snapshot_export", "CREATE TABLE item (id int PRIMARY KEY)").await;
    source.run("INSERT INTO item VALUES (1), (2)").await;
    let mut replication = source.replication().await;
    let slot = replication.create_replication_slot(&CreateSlot::new("snapshot_export")).await.unwrap();
    assert_eq!(slot.name, "snapshot_export");
    source.run("INSERT INTO item VALUES (3)").await;
    let mut reader = Connection::connect(&source.config).await.unwrap();
    reader.begin(Some(IsolationLevel::RepeatableRead), true).await.unwrap();
    let import = format!("SET TRANSACTION SNAPSHOT '{}'", slot.snapshot_name.unwrap());
    reader.simple_query(&import).await.unwrap();
    assert_eq!(value(&mut reader, "SELECT string_agg(id::text, ',') FROM item").await, "1,2");
    // The next command on the connection ends the snapshot for those who have not taken it yet.
    replication.identify_system().await.unwrap();
    let mut late = Connection::connect(&source.config).await.unwrap();
    late.begin(Some(IsolationLevel::RepeatableRead), true).await.unwrap();
    assert!(late.simple_query(&import).await.is_err());
    let start = StartReplication { start: slot.consistent_point, ..source.start() };
    assert_eq!(source.stream(&start).await.changes().await, ["insert item(3)"]);
}

#[tokio::test]
async fn the_transaction_that_creates_a_slot_can_use_its_snapshot() {
    let mut source = Source::new("snapshot_use", "CREATE TABLE item (id int PRIMARY KEY)").await;
    source.run("INSERT INTO item VALUES (1)").await;
    let mut replication = source.replication().await;
    replication.begin(Some(IsolationLevel::RepeatableRead), true).await.unwrap();
    let slot = CreateSlot { snapshot: SnapshotAction::Use, ..CreateSlot::new("snapshot_use") };
    assert_eq!(replication.create_replication_slot(&slot).await.unwrap().snapshot_name, None);
    source.run("INSERT INTO item VALUES (2)").await;
    let results = replication.simple_query("SELECT count(*) FROM item").await.unwrap();
    assert_eq!(results[0].rows.get(0).unwrap().get_str(0).unwrap(), Some("1"));
    replication.commit().await.unwrap();
    assert_eq!(source.stream(&source.start()).await.changes().await, ["insert item(2)"]);
}

#[tokio::test]
async fn a_temporary_slot_ends_with_its_connection() {
    let mut source = Source::new("temporary", "").await;
    let mut replication = source.replication().await;
    let slot =
        CreateSlot { temporary: true, snapshot: SnapshotAction::Nothing, ..CreateSlot::new("temporary") };
    assert_eq!(replication.create_replication_slot(&slot).await.unwrap().snapshot_name, None);
    let temporary = "SELECT temporary::text FROM pg_replication_slots WHERE slot_name = 'temporary'";
    assert_eq!(source.value(temporary).await, "true");
    replication.close().await.unwrap();
    let deadline = std::time::Instant::now() + super::feed::DEADLINE;
    while source.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'temporary'").await != "0"
    {
        assert!(std::time::Instant::now() < deadline, "the slot is still there");
    }
}

#[tokio::test]
async fn slots_are_dropped_and_those_that_are_none_or_in_use_are_told() {
    let source = Source::new("dropping", "").await;
    let feed = source.feed().await;
    let mut other = source.replication().await;
    let create = CreateSlot { snapshot: SnapshotAction::Nothing, ..CreateSlot::new("dropping") };
    assert_eq!(other.create_replication_slot(&create).await.unwrap_err().sqlstate(), Some("42710"));
    assert_eq!(other.drop_replication_slot("dropping", false).await.unwrap_err().sqlstate(), Some("55006"));
    let in_use = source.replication().await.start_replication(&source.start()).await.unwrap_err();
    assert_eq!(in_use.sqlstate(), Some("55006"));
    // It waits until the stream has ended.
    let (dropped, finished) =
        tokio::join!(other.drop_replication_slot("dropping", true), feed.stream.finish());
    dropped.unwrap();
    finished.unwrap();
    assert_eq!(other.drop_replication_slot("dropping", true).await.unwrap_err().sqlstate(), Some("42704"));
    let none = source.replication().await.start_replication(&source.start()).await.unwrap_err();
    assert_eq!(none.sqlstate(), Some("42704"));
}

#[tokio::test]
async fn a_name_with_quotes_stays_a_name() {
    let mut source = Source::new("quoting", "CREATE TABLE item (id int PRIMARY KEY)").await;
    let publication = "It's \"mine\", \\ yes";
    source.run("CREATE PUBLICATION \"It's \"\"mine\"\", \\ yes\" FOR TABLE item").await;
    source.slot().await;
    source.run("INSERT INTO item VALUES (1)").await;
    let mut feed = source.stream(&StartReplication::new("quoting", [publication, "all_tables"])).await;
    assert_eq!(feed.changes().await, ["insert item(1)"]);
    drop(feed);
    // A slot cannot have such a name. Whatever the server says of it, nothing else is dropped in its place.
    for name in ["quoting\" WAIT; --", "quoting\"", "\"quoting"] {
        let wrong = source.replication().await.drop_replication_slot(name, true).await.unwrap_err();
        assert!(wrong.server().is_some(), "{wrong}");
    }
    assert_eq!(
        source.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'quoting'").await,
        "1"
    );
}

#[tokio::test]
async fn physical_slots_are_read_and_logical_ones_are_not() {
    let mut source = Source::new("reading", "").await;
    source.slot().await;
    source.run("SELECT pg_create_physical_replication_slot('reading_physical', true)").await;
    let restart = source
        .value("SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'reading_physical'")
        .await;
    let mut replication = source.replication().await;
    let slot = replication.read_replication_slot("reading_physical").await.unwrap().unwrap();
    assert_eq!((slot.restart_lsn, slot.restart_timeline), (Some(restart.parse().unwrap()), Some(1)));
    assert_eq!(replication.read_replication_slot("none_such").await.unwrap(), None);
    let logical = replication.read_replication_slot("reading").await.unwrap_err();
    assert!(logical.server().is_some(), "{logical}");
    replication.drop_replication_slot("reading_physical", false).await.unwrap();
}
