//! Each kind of change, as it comes through the stream.

use wire::replication::StartReplication;
use wire::replication::pgoutput::Message;

use super::Source;

#[tokio::test]
async fn inserts_updates_and_deletes_come_in_the_order_of_their_commits() {
    let mut source = Source::new("changes", "CREATE TABLE item (id int PRIMARY KEY, name text)").await;
    let mut feed = source.feed().await;
    let mut other = wire::Connection::connect(&source.config).await.unwrap();
    other.simple_query("BEGIN; INSERT INTO item VALUES (1, 'early')").await.unwrap();
    source.run("INSERT INTO item VALUES (2, 'two'), (3, NULL)").await;
    other.simple_query("UPDATE item SET name = '' WHERE id = 1; COMMIT").await.unwrap();
    source.run("DELETE FROM item WHERE id = 2").await;
    assert_eq!(feed.changes().await, ["insert item(2, two)", "insert item(3, null)"]);
    assert_eq!(feed.changes().await, ["insert item(1, early)", "update item (1, )"]);
    assert_eq!(feed.changes().await, ["delete item key(2, null)"]);
}

#[tokio::test]
async fn a_transaction_tells_its_id_its_time_and_its_position() {
    let mut source = Source::new("transactions", "CREATE TABLE item (id int PRIMARY KEY)").await;
    let mut feed = source.feed().await;
    let before = source.value("SELECT extract(epoch FROM clock_timestamp()) * 1000000").await;
    let xid = source.value("INSERT INTO item VALUES (1) RETURNING txid_current()").await;
    let after = source.value("SELECT pg_current_wal_insert_lsn()").await;
    let Message::Begin(begin) = feed.message().await else { panic!("a transaction begins with Begin") };
    assert_eq!(begin.xid.to_string(), xid);
    assert!(begin.commit_time.unix_micros() as f64 >= before.parse::<f64>().unwrap());
    let Message::Relation(relation) = feed.message().await else { panic!("the table comes first") };
    assert_eq!((relation.namespace.as_str(), relation.name.as_str()), ("public", "item"));
    assert_eq!(relation.oid.to_string(), source.value("SELECT 'item'::regclass::oid").await);
    assert!(matches!(feed.message().await, Message::Insert(_)));
    let Message::Commit(commit) = feed.message().await else { panic!("and ends with Commit") };
    assert_eq!((commit.commit_lsn, commit.commit_time), (begin.final_lsn, begin.commit_time));
    assert!(commit.commit_lsn < commit.end_lsn && commit.end_lsn <= after.parse().unwrap());
    assert_eq!(feed.stream.received(), commit.end_lsn);
}

#[tokio::test]
async fn several_tables_emptied_at_once_are_one_truncate() {
    let tables = "CREATE TABLE parent (id int PRIMARY KEY);
        CREATE TABLE child (id serial PRIMARY KEY, parent int REFERENCES parent);
        CREATE TABLE alone (id int PRIMARY KEY)";
    let mut source = Source::new("truncates", tables).await;
    let mut feed = source.feed().await;
    source.run("TRUNCATE parent, alone CASCADE").await;
    source.run("TRUNCATE child RESTART IDENTITY").await;
    assert_eq!(feed.changes().await, ["truncate alone,child,parent cascade"]);
    assert_eq!(feed.changes().await, ["truncate child restart"]);
}

#[tokio::test]
async fn partitions_are_published_as_their_root_or_as_themselves() {
    let tables =
        "CREATE TABLE event (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
        CREATE TABLE event_eu PARTITION OF event FOR VALUES IN ('eu');
        CREATE TABLE event_us PARTITION OF event FOR VALUES IN ('us');
        CREATE PUBLICATION by_root FOR TABLE event WITH (publish_via_partition_root = true)";
    let mut source = Source::new("partitions", tables).await;
    let mut feed = source.feed().await;
    source.run("INSERT INTO event VALUES (1, 'eu'), (2, 'us')").await;
    source.run("UPDATE event SET region = 'us' WHERE id = 1").await;
    assert_eq!(feed.changes().await, ["insert event_eu(1, eu)", "insert event_us(2, us)"]);
    assert_eq!(feed.changes().await, ["delete event_eu key(1, eu)", "insert event_us(1, us)"]);
    drop(feed.stream.finish().await.unwrap());
    let mut feed = source.stream(&StartReplication::new(source.name(), ["by_root"])).await;
    assert_eq!(feed.changes().await, ["insert event(1, eu)", "insert event(2, us)"]);
    assert_eq!(feed.changes().await, ["delete event key(1, eu)", "insert event(1, us)"]);
}

#[tokio::test]
async fn generated_columns_are_neither_described_nor_sent() {
    let table =
        "CREATE TABLE item (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, name text)";
    let mut source = Source::new("generated", table).await;
    let mut feed = source.feed().await;
    source.run("INSERT INTO item VALUES (1, DEFAULT, 'one')").await;
    let transaction = feed.changes().await;
    assert_eq!(transaction, ["insert item(1, one)"]);
    let oid = source.value("SELECT 'item'::regclass::oid").await.parse().unwrap();
    let columns = &feed.decoder.relation(oid).unwrap().columns;
    assert_eq!(columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["id", "name"]);
}

#[tokio::test]
async fn a_changed_definition_is_told_before_the_next_change() {
    let table = "CREATE TABLE item (id int PRIMARY KEY, name varchar(20), gone int)";
    let mut source = Source::new("definitions", table).await;
    let mut feed = source.feed().await;
    source.run("INSERT INTO item VALUES (1, 'one', 1)").await;
    source.run("ALTER TABLE item DROP COLUMN gone, ADD COLUMN \"New \"\"one\"\"\" numeric(10, 2)").await;
    source.run("ALTER TABLE item RENAME TO thing;\nINSERT INTO thing VALUES (2, 'two', 2.5)").await;
    assert_eq!(feed.changes().await, ["insert item(1, one, 1)"]);
    assert_eq!(feed.changes().await, ["insert thing(2, two, 2.50)"]);
    let oid = source.value("SELECT 'thing'::regclass::oid").await.parse().unwrap();
    let columns = &feed.decoder.relation(oid).unwrap().columns;
    let described: Vec<_> =
        columns.iter().map(|column| (column.name.as_str(), column.type_oid, column.type_modifier)).collect();
    // The modifiers hold the length, or precision and scale, beside a header of four bytes.
    assert_eq!(described, [("id", 23, -1), ("name", 1043, 24), ("New \"one\"", 1700, (10 << 16 | 2) + 4)]);
}

#[tokio::test]
async fn types_that_are_not_built_in_are_told_by_name() {
    let table = "CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE TABLE person (id int PRIMARY KEY, mood mood)";
    let mut source = Source::new("type_names", table).await;
    let mut feed = source.feed().await;
    source.run("INSERT INTO person VALUES (1, 'ok')").await;
    let name = loop {
        if let Message::Type(name) = feed.message().await {
            break name;
        }
    };
    assert_eq!((name.namespace.as_str(), name.name.as_str()), ("public", "mood"));
    assert_eq!(name.oid.to_string(), source.value("SELECT 'mood'::regtype::oid").await);
    assert_eq!(feed.changes().await, ["insert person(1, ok)"]);
}

#[tokio::test]
async fn values_come_binary_where_that_is_asked_for() {
    let mut source = Source::new("binary_values", "CREATE TABLE item (id int PRIMARY KEY, data bytea)").await;
    source.slot().await;
    source.run("INSERT INTO item VALUES (258, '\\xff00')").await;
    let mut feed = source.stream(&StartReplication { binary: true, ..source.start() }).await;
    assert_eq!(feed.changes().await, ["insert item([00, 00, 01, 02], [ff, 00])"]);
}

#[tokio::test]
async fn text_has_one_form_whatever_the_database_is_set_to() {
    let table =
        "CREATE TABLE item (id int PRIMARY KEY, at timestamptz, day date, span interval, f float8, b bytea);
        ALTER DATABASE text_forms SET datestyle = 'German';
        ALTER DATABASE text_forms SET intervalstyle = 'iso_8601';
        ALTER DATABASE text_forms SET timezone = 'Asia/Tokyo';
        ALTER DATABASE text_forms SET extra_float_digits = -5;
        ALTER DATABASE text_forms SET bytea_output = 'escape'";
    let mut source = Source::new("text_forms", table).await;
    let mut feed = source.feed().await;
    let values =
        "1, '2024-05-06 07:08:09.123456Z', '2024-05-06', '1 day 2 hours', 0.1::float8 + 0.2, '\\x00ff'";
    source.run(&format!("INSERT INTO item VALUES ({values})")).await;
    let expected =
        "1, 2024-05-06 07:08:09.123456+00, 2024-05-06, 1 day 02:00:00, 0.30000000000000004, \\x00ff";
    assert_eq!(feed.changes().await, [format!("insert item({expected})")]);
}
