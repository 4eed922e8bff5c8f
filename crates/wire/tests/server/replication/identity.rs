//! What changes tell of the old row, by the table's replica identity.

use wire::replication::pgoutput::ReplicaIdentity;

use super::Source;

/// A table `item` with a value that is stored out of line, and a stream behind its first row.
async fn stored_out_of_line(name: &str, identity: &str) -> (Source, super::Feed) {
    let mut source =
        Source::new(name, "CREATE TABLE item (id int PRIMARY KEY, code int NOT NULL, big text)").await;
    source.run("ALTER TABLE item ALTER COLUMN big SET STORAGE EXTERNAL;\nCREATE UNIQUE INDEX by_code ON item (code)").await;
    source.run(&format!("ALTER TABLE item REPLICA IDENTITY {identity}")).await;
    source.run("INSERT INTO item VALUES (1, 10, repeat('x', 10000))").await;
    let feed = source.feed().await;
    (source, feed)
}

async fn identity_of_item(source: &mut Source, feed: &super::Feed) -> ReplicaIdentity {
    let oid = source.value("SELECT 'item'::regclass::oid").await.parse().unwrap();
    feed.decoder.relation(oid).unwrap().replica_identity
}

#[tokio::test]
async fn by_default_the_key_comes_where_it_changes_and_with_deletes() {
    let (mut source, mut feed) = stored_out_of_line("identity_default", "DEFAULT").await;
    source.run("UPDATE item SET code = 11;\nUPDATE item SET id = 2;\nDELETE FROM item").await;
    assert_eq!(feed.changes().await, ["update item (1, 11, unchanged)"]);
    assert_eq!(feed.changes().await, ["update item key(1, null, null) to (2, 11, unchanged)"]);
    assert_eq!(feed.changes().await, ["delete item key(2, null, null)"]);
    assert_eq!(identity_of_item(&mut source, &feed).await, ReplicaIdentity::Default);
}

#[tokio::test]
async fn with_full_the_whole_old_row_comes_with_values_stored_out_of_line() {
    let (mut source, mut feed) = stored_out_of_line("identity_full", "FULL").await;
    source.run("UPDATE item SET code = 11;\nDELETE FROM item").await;
    let big = "x".repeat(10_000);
    assert_eq!(feed.changes().await, [format!("update item full(1, 10, {big}) to (1, 11, unchanged)")]);
    assert_eq!(feed.changes().await, [format!("delete item full(1, 11, {big})")]);
    assert_eq!(identity_of_item(&mut source, &feed).await, ReplicaIdentity::Full);
}

#[tokio::test]
async fn with_an_index_its_columns_are_the_key() {
    let (mut source, mut feed) = stored_out_of_line("identity_index", "USING INDEX by_code").await;
    source.run("UPDATE item SET id = 2;\nUPDATE item SET code = 11;\nDELETE FROM item").await;
    assert_eq!(feed.changes().await, ["update item (2, 10, unchanged)"]);
    assert_eq!(feed.changes().await, ["update item key(null, 10, null) to (2, 11, unchanged)"]);
    assert_eq!(feed.changes().await, ["delete item key(null, 11, null)"]);
    assert_eq!(identity_of_item(&mut source, &feed).await, ReplicaIdentity::Index);
}

#[tokio::test]
async fn with_nothing_inserts_come_and_the_server_refuses_updates_and_deletes() {
    let (mut source, mut feed) = stored_out_of_line("identity_nothing", "NOTHING").await;
    for statement in ["UPDATE item SET code = 11", "DELETE FROM item"] {
        let error = source.sql.simple_query(statement).await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("55000"), "{error}");
    }
    source.run("INSERT INTO item VALUES (2, 20, NULL)").await;
    assert_eq!(feed.changes().await, ["insert item(2, 20, null)"]);
    assert_eq!(identity_of_item(&mut source, &feed).await, ReplicaIdentity::Nothing);
}

#[tokio::test]
async fn a_value_stored_out_of_line_comes_when_it_changes_and_when_it_is_inserted() {
    let (mut source, mut feed) = stored_out_of_line("identity_toast", "DEFAULT").await;
    source.run("UPDATE item SET big = repeat('y', 9000)").await;
    source
        .run("INSERT INTO item VALUES (2, 20, repeat('z', 9000));\nUPDATE item SET big = NULL WHERE id = 1")
        .await;
    assert_eq!(feed.changes().await, [format!("update item (1, 10, {})", "y".repeat(9_000))]);
    assert_eq!(feed.changes().await, [format!("insert item(2, 20, {})", "z".repeat(9_000))]);
    assert_eq!(feed.changes().await, ["update item (1, 10, null)"]);
}
