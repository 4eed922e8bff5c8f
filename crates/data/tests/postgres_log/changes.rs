//! Changes of rows as the stream delivers them.

use std::sync::Arc;

use data::Value;
use data::log::{Operation, Unchanged};
use data::table::ColumnType;

use crate::source::{Source, delete, insert, update};

const LONG: &str = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 400) i)";

#[tokio::test]
async fn inserts_updates_deletes_and_truncates_come_in_their_transactions() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let (_, mut feed) = source.feed(&["t"]).await;
    source
        .run("BEGIN; INSERT INTO t VALUES (1, 'a'), (2, NULL); UPDATE t SET v = 'b' WHERE id = 1; COMMIT")
        .await;
    source.run("DELETE FROM t WHERE id = 2").await;
    source.run("TRUNCATE t").await;
    let first = feed.transaction().await;
    let rows =
        [insert([1.into(), "a".into()]), insert([2.into(), Value::Null]), update([1.into(), "b".into()])];
    assert_eq!(first.operations(), rows);
    assert_eq!(first.changes[0].table.name, "t");
    assert!(first.begin.position <= first.end && first.begin.id.parse::<u32>().is_ok());
    let second = feed.transaction().await;
    assert_eq!(second.operations(), [delete([2.into()])]);
    assert!(first.end < second.begin.position && first.begin.committed_at <= second.begin.committed_at);
    assert_eq!(feed.operations().await, [Operation::Truncate]);
}

#[tokio::test]
async fn a_transaction_that_was_rolled_back_is_not_delivered() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let (_, mut feed) = source.feed(&["t"]).await;
    source.run("BEGIN; INSERT INTO t VALUES (1); ROLLBACK").await;
    source
        .run("BEGIN; INSERT INTO t VALUES (2); SAVEPOINT s; INSERT INTO t VALUES (3); ROLLBACK TO s; COMMIT")
        .await;
    assert_eq!(feed.operations().await, [insert([2.into()])]);
}

#[tokio::test]
async fn fault_3_an_unchanged_toasted_column_is_told_to_be_unchanged_and_not_null() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY, n int, long text)").await;
    let (_, mut feed) = source.feed(&["t"]).await;
    source.run(&format!("BEGIN; INSERT INTO t VALUES (1, 1, {LONG}); UPDATE t SET n = 2; COMMIT")).await;
    let operations = feed.operations().await;
    let Operation::Insert { row } = &operations[0] else { panic!("{operations:?}") };
    assert_eq!(row[2].as_text().unwrap().len(), 12_800);
    let unchanged = Unchanged::columns(vec![2]);
    let row = vec![1.into(), 2.into(), Value::Null];
    assert_eq!(operations[1], Operation::Update { old_key: None, row, unchanged });
}

#[tokio::test]
async fn fault_3_under_the_full_identity_an_unchanged_toasted_column_has_its_value() {
    let source = Source::new(
        "CREATE TABLE t (id int PRIMARY KEY, n int, long text); ALTER TABLE t REPLICA IDENTITY FULL",
    )
    .await;
    let (_, mut feed) = source.feed(&["t"]).await;
    source.run(&format!("INSERT INTO t VALUES (1, 1, {LONG})")).await;
    source.run("UPDATE t SET n = 2").await;
    let inserted = feed.operations().await;
    let Operation::Insert { row } = &inserted[0] else { panic!("{inserted:?}") };
    assert_eq!(feed.operations().await, [update([1.into(), 2.into(), row[2].clone()])]);
}

#[tokio::test]
async fn fault_4_an_update_of_the_primary_key_tells_the_old_one() {
    for identity in ["DEFAULT", "FULL", "USING INDEX t_key"] {
        let source = Source::new(&format!(
            "CREATE TABLE t (a text NOT NULL, n int, b int NOT NULL, PRIMARY KEY (b, a));
             CREATE UNIQUE INDEX t_key ON t (a, b); ALTER TABLE t REPLICA IDENTITY {identity}"
        ))
        .await;
        let (_, mut feed) = source.feed(&["t"]).await;
        source.run("INSERT INTO t VALUES ('x', 1, 7)").await;
        source.run("UPDATE t SET a = 'y'").await;
        source.run("UPDATE t SET n = 2").await;
        source.run("DELETE FROM t").await;
        feed.transaction().await;
        let changed = feed.transaction().await;
        assert_eq!(changed.changes[0].table.key, [2, 0], "{identity}");
        let old_key = Some(vec![7.into(), "x".into()]);
        let row = vec!["y".into(), 1.into(), 7.into()];
        let moved = Operation::Update { old_key, row, unchanged: Unchanged::default() };
        assert_eq!(changed.operations(), [moved], "{identity}");
        assert_eq!(feed.operations().await, [update(["y".into(), 2.into(), 7.into()])], "{identity}");
        assert_eq!(feed.operations().await, [delete([7.into(), "y".into()])], "{identity}");
    }
}

#[tokio::test]
async fn without_a_primary_key_rows_are_told_apart_by_all_their_columns() {
    let source = Source::new("CREATE TABLE t (a int, b text); ALTER TABLE t REPLICA IDENTITY FULL").await;
    let (_, mut feed) = source.feed(&["t"]).await;
    source.run("INSERT INTO t VALUES (1, NULL)").await;
    source.run("DELETE FROM t").await;
    feed.transaction().await;
    let deleted = feed.transaction().await;
    assert_eq!(deleted.changes[0].table.key, [0, 1]);
    assert_eq!(deleted.operations(), [delete([1.into(), Value::Null])]);
}

#[tokio::test]
async fn changes_of_partitions_are_those_of_their_root() {
    let source = Source::new(
        "CREATE TABLE t (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
         CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (10);
         CREATE TABLE t_2 (v text, id int NOT NULL); ALTER TABLE t ATTACH PARTITION t_2 FOR VALUES FROM (10) TO (20)",
    )
    .await;
    let (_, mut feed) = source.feed(&["t"]).await;
    source.run("INSERT INTO t VALUES (1, 'a'), (11, 'b')").await;
    source.run("UPDATE t SET v = 'c' WHERE id = 11").await;
    source.run("UPDATE t SET id = 2 WHERE id = 11").await;
    source.run("TRUNCATE t").await;
    let inserted = feed.transaction().await;
    assert_eq!(inserted.operations(), [insert([1.into(), "a".into()]), insert([11.into(), "b".into()])]);
    assert!(inserted.changes.iter().all(|change| change.table.name == "t"));
    assert_eq!(feed.operations().await, [update([11.into(), "c".into()])]);
    let moved = feed.operations().await;
    assert_eq!(
        moved,
        [delete([11.into()]), insert([2.into(), "c".into()])],
        "a row moves between partitions"
    );
    assert_eq!(feed.operations().await, [Operation::Truncate]);
}

#[tokio::test]
async fn only_the_tables_own_rows_are_read_where_others_inherit_from_it() {
    let source = Source::new(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (t)",
    )
    .await;
    let (_, mut feed) = source.feed(&["t"]).await;
    source.run("INSERT INTO child VALUES (1)").await;
    source.run("INSERT INTO t VALUES (2)").await;
    assert_eq!(feed.operations().await, [insert([2.into()])]);
}

#[tokio::test]
async fn a_large_transaction_comes_in_pieces_of_bounded_size() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let (_, mut feed) = source.feed(&["t"]).await;
    source.run("INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i").await;
    let (mut total, mut pieces) = (0, 0);
    loop {
        match feed.next().await {
            data::log::LogEvent::Changes(changes) => {
                assert!(changes.len() <= 1000, "{} changes at once", changes.len());
                total += changes.len();
                pieces += 1;
            }
            data::log::LogEvent::Commit(_) => break,
            _ => {}
        }
    }
    assert_eq!(total, 20_000);
    assert!(pieces >= 20);
}

#[tokio::test]
async fn a_table_whose_columns_changed_is_another_one_from_the_next_change_on() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY, v text)").await;
    let (_, mut feed) = source.feed(&["t"]).await;
    source.run("INSERT INTO t VALUES (1, 'a')").await;
    source.run("INSERT INTO t VALUES (2, 'b')").await;
    source
        .run("ALTER TABLE t ADD COLUMN n numeric(8,2) NOT NULL DEFAULT 1.5; ALTER TABLE t RENAME v TO w")
        .await;
    source.run("INSERT INTO t VALUES (3, 'c', 2)").await;
    source.run("ALTER TABLE t DROP COLUMN w; ALTER TABLE t ALTER n TYPE bigint").await;
    source.run("INSERT INTO t VALUES (4, 3)").await;
    let (first, second) = (feed.transaction().await, feed.transaction().await);
    assert!(Arc::ptr_eq(&first.changes[0].table, &second.changes[0].table), "the same table is one Arc");
    let third = feed.transaction().await;
    let table = &third.changes[0].table;
    let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "w", "n"]);
    assert_eq!(table.columns[2].column_type, ColumnType::Decimal(Some((8, 2))));
    assert_eq!(table.key, [0]);
    assert_eq!(third.operations(), [insert([3.into(), "c".into(), Value::Decimal("2.00".into())])]);
    let fourth = feed.transaction().await;
    assert_eq!(fourth.changes[0].table.columns[1].column_type, ColumnType::Int64);
    assert_eq!(fourth.operations(), [insert([4.into(), Value::Int64(3)])]);
    assert_eq!(*fourth.changes[0].table, *source.table("t").await);
}

#[tokio::test]
async fn changes_of_a_table_that_was_dropped_since_are_still_delivered() {
    let source = Source::new("CREATE TABLE t (b text, a int, PRIMARY KEY (a, b))").await;
    let reader = source.reader(&["t"]).await;
    let position = source.create(&reader).await.position;
    source.run("INSERT INTO t VALUES ('x', 1)").await;
    source.run("DELETE FROM t").await;
    source.run("DROP TABLE t").await;
    let mut feed = source.stream(&reader, &position).await;
    assert_eq!(feed.operations().await, [insert(["x".into(), 1.into()])]);
    assert_eq!(feed.operations().await, [delete([1.into(), "x".into()])]);
}

#[tokio::test]
async fn a_table_with_quotes_and_dots_in_another_schema_keeps_its_name() {
    let source = Source::new(
        "CREATE SCHEMA \"My.Schema\"; CREATE TABLE \"My.Schema\".\"a \"\"b\"\".c\" (\"Id'\" int PRIMARY KEY, \"order\" text);
         CREATE SCHEMA sales; CREATE TABLE sales.orders (id int PRIMARY KEY); CREATE TABLE orders (id int PRIMARY KEY)",
    )
    .await;
    let (_, mut feed) = source.feed(&["orders", "sales.orders"]).await;
    source.run("INSERT INTO sales.orders VALUES (1)").await;
    source.run("INSERT INTO orders VALUES (2)").await;
    for (name, id) in [("sales.orders", 1), ("orders", 2)] {
        let transaction = feed.transaction().await;
        assert_eq!(transaction.changes[0].table.name, name);
        assert_eq!(transaction.operations(), [insert([id.into()])]);
    }
}

#[tokio::test]
async fn messages_of_the_application_come_within_and_outside_of_transactions() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let (_, mut feed) = source.feed(&["t"]).await;
    source
        .run(
            "BEGIN; INSERT INTO t VALUES (1); SELECT pg_logical_emit_message(true, 'outbox', 'paid'); \
             INSERT INTO t VALUES (2); COMMIT",
        )
        .await;
    let transaction = feed.transaction().await;
    assert_eq!(transaction.changes.len(), 2);
    assert_eq!(transaction.messages, [("outbox".to_owned(), b"paid".to_vec())]);
    source.run("SELECT pg_logical_emit_message(false, 'note', 'hello')").await;
    source.run("INSERT INTO t VALUES (3)").await;
    loop {
        match feed.next().await {
            data::log::LogEvent::Message { prefix, content } => {
                assert_eq!((prefix.as_str(), content.as_slice()), ("note", &b"hello"[..]));
                break;
            }
            data::log::LogEvent::Idle(_) => {}
            other => panic!("{other:?} was not expected"),
        }
    }
}
