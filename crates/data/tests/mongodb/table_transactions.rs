//! Transactions on tables: what all databases have in common, and what is MongoDB's own.

use data::table::{ColumnChange, ColumnType, RowBatch, RowPatch};
use data::{ConnectionConfig, DialectKind, ErrorKind, Value};
use mongodb::bson::{Document, doc};

use crate::support::Server;
use crate::{fresh, fresh_on, new_database};

#[path = "../table_transactions/mod.rs"]
#[allow(dead_code, reason = "the module serves other databases as well")]
mod common;

use common::{Databases, column, keys, rows, sorted, table, thing};

fn databases() -> Databases {
    let config = || {
        let uri = Server::replica_set().uri(&new_database(), "");
        ConnectionConfig::new(DialectKind::Mongodb, uri)
    };
    Databases { own: config(), other: config() }
}

macro_rules! behaviours {
    ($($name:ident),* $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            common::$name(&databases()).await;
        })*
    };
}

behaviours!(
    changes_of_two_tables_become_visible_together,
    a_transaction_that_is_rolled_back_or_dropped_leaves_nothing,
    after_an_error_of_a_row_only_that_call_is_undone,
    a_failed_first_call_leaves_the_transaction_usable,
    a_patch_leaves_other_columns_alone_and_counts_the_rows_that_exist,
    a_truncated_table_can_be_filled_again_in_the_transaction,
    rows_that_were_fetched_are_changed_by_nobody_else,
    very_many_rows_are_written_in_one_call,
    keys_of_several_columns_find_their_rows,
    tables_of_our_own_are_written_like_others,
    an_identity_is_that_of_the_database_over_any_connection,
    the_clock_of_the_database_goes_forward,
    transactions_follow_each_other_on_one_connection,
    columns_are_added_dropped_and_renamed_under_their_rows,
);

fn things() -> data::table::Table {
    let columns = vec![
        column("id", ColumnType::Text(None)),
        column("n", ColumnType::Int64),
        column("t", ColumnType::Text(None)),
    ];
    table("things", columns, &[0])
}

#[tokio::test]
async fn on_a_standalone_server_calls_take_effect_at_once() {
    let (dialect, _) = fresh_on(Server::standalone(), "").await;
    let store = dialect.tables().unwrap();
    let table = store.create_like(&things()).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    assert!(!transaction.is_atomic());
    transaction.insert(&table, &RowBatch::Rows(rows(0..4))).await.unwrap();
    transaction.upsert(&table, &rows(3..5)).await.unwrap();
    assert_eq!(transaction.delete(&table, &keys(0..1)).await.unwrap(), 1);
    let patch = RowPatch { key: vec!["k1".into()], values: vec![(1, Value::Int64(100))] };
    assert_eq!(transaction.patch(&table, &[patch]).await.unwrap(), 1);
    let error = transaction.insert(&table, &RowBatch::Rows(rows(4..5))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniqueViolation, "{error}");
    assert_eq!(transaction.fetch(&table, &keys(0..9)).await.unwrap().len(), 4);
    transaction.rollback().await.unwrap();
    let mut expected = rows(1..5);
    expected[0][1] = Value::Int64(100);
    assert_eq!(sorted(store.fetch(&table, &keys(0..9)).await.unwrap()), expected);
    let mut transaction = store.begin().await.unwrap();
    transaction.truncate(&table).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(store.is_empty(&table, None).await.unwrap());
    let identity = store.identity().await.unwrap();
    assert!(identity.contains(&Server::standalone().port().to_string()), "{identity}");
}

#[tokio::test]
async fn a_write_that_collides_is_a_conflict_and_ends_the_transaction() {
    let (dialect, database) = fresh().await;
    let store = dialect.tables().unwrap();
    let table = store.create_like(&things()).await.unwrap();
    store.insert(&table, &RowBatch::Rows(rows(0..2))).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    transaction.fetch(&table, &keys(0..2)).await.unwrap();
    let things = database.collection::<Document>("things");
    things.update_one(doc! {"_id": "k0"}, doc! {"$set": {"n": 7_i64}}).await.unwrap();
    let changed = vec!["k0".into(), Value::Int64(8), Value::Null];
    let error = transaction.upsert(&table, &[changed]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let error = transaction.upsert(&table, &[thing(1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction, "{error}");
    assert_eq!(transaction.commit().await.unwrap_err().kind(), ErrorKind::Transaction);
}

#[tokio::test]
async fn what_others_change_while_a_transaction_is_begun_anew_is_a_conflict() {
    let (dialect, database) = fresh().await;
    let store = dialect.tables().unwrap();
    let table = store.create_like(&things()).await.unwrap();
    store.insert(&table, &RowBatch::Rows(rows(0..2))).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    transaction.fetch(&table, &keys(0..2)).await.unwrap();
    let things = database.collection::<Document>("things");
    things.update_one(doc! {"_id": "k0"}, doc! {"$set": {"n": 7_i64}}).await.unwrap();
    let error = transaction.insert(&table, &RowBatch::Rows(rows(1..2))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

#[tokio::test]
async fn a_commit_whose_outcome_is_unknown_is_asked_for_again() {
    let server = Server::replica_set();
    let _turn = server.turn_to_fail().await;
    let (dialect, _) = fresh_on(server, "appName=unknown-commit").await;
    let store = dialect.tables().unwrap();
    let table = store.create_like(&things()).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    transaction.upsert(&table, &rows(0..2)).await.unwrap();
    // A server that does not answer in time, after which the driver does not ask again by itself.
    let failure = doc! {"errorCode": 50, "closeConnection": false};
    server.fail_next("unknown-commit", &["commitTransaction"], 2, failure).await;
    transaction.commit().await.unwrap();
    assert_eq!(store.fetch(&table, &keys(0..9)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn patches_reach_fields_with_dots_and_keys_in_either_form() {
    let (dialect, database) = fresh().await;
    let store = dialect.tables().unwrap();
    let columns = vec![
        column("id", ColumnType::Text(None)),
        column("a.b", ColumnType::Text(None)),
        column("c", ColumnType::Int64),
    ];
    let table = store.create_like(&table("odd", columns, &[0])).await.unwrap();
    let (hex, other_hex) = ("65a1f0c2d4e5b6a798897766", "65a1f0c2d4e5b6a798897767");
    database.collection::<Document>("odd").insert_one(doc! {"_id": hex, "c": 1_i64}).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    let row = |id: &str, text: Value, n: i64| vec![Value::from(id), text, Value::Int64(n)];
    transaction.upsert(&table, &[row(other_hex, "x".into(), 2), row(hex, "y".into(), 3)]).await.unwrap();
    let patch = |id: &str, values| RowPatch { key: vec![id.into()], values };
    let patches = [
        patch(hex, vec![(1, Value::from("$c")), (2, Value::Int64(4))]),
        patch(other_hex, vec![(1, Value::Null), (0, other_hex.into())]),
    ];
    assert_eq!(transaction.patch(&table, &patches).await.unwrap(), 2);
    let moved = patch(hex, vec![(0, "another".into())]);
    assert_eq!(transaction.patch(&table, &[moved]).await.unwrap_err().kind(), ErrorKind::Unsupported);
    transaction.commit().await.unwrap();
    let found = store.fetch(&table, &[vec![hex.into()], vec![other_hex.into()]]).await.unwrap();
    assert_eq!(sorted(found), [row(hex, "$c".into(), 4), row(other_hex, Value::Null, 2)]);
    assert_eq!(database.collection::<Document>("odd").count_documents(doc! {}).await.unwrap(), 2);
}

#[tokio::test]
async fn another_type_of_a_field_changes_nothing_and_a_renamed_key_is_kept() {
    let (dialect, database) = fresh().await;
    let store = dialect.tables().unwrap();
    let table = store.create_like(&things()).await.unwrap();
    store.insert(&table, &RowBatch::Rows(rows(0..1))).await.unwrap();
    let changes = [
        ColumnChange::Retype { name: "n".to_owned(), column_type: ColumnType::Text(Some(3)) },
        ColumnChange::Rename { from: "id".to_owned(), to: "code".to_owned() },
    ];
    let altered = store.alter("things", &changes).await.unwrap();
    assert_eq!(altered.columns[altered.position("n").unwrap()].column_type, ColumnType::Text(None));
    let found = database.collection::<Document>("things").find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(found, doc! {"_id": "k0", "n": 0_i64, "t": "text 0", "code": "k0"});
}

/// A client that is gone without a word leaves its transaction open at the server, as one does that stands still here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_client_has_locked_is_free_once_its_session_is_ended() {
    let (dialect, _) = fresh().await;
    let store = dialect.tables().unwrap();
    let things = store.create_like(&things()).await.unwrap();
    let row = |n| vec![Value::from("a"), Value::Int64(n), Value::from("t")];
    store.upsert(&things, &[row(1)]).await.unwrap();
    let mut dead = store.begin().await.unwrap();
    dead.upsert(&things, &[row(2)]).await.unwrap();

    let mut next = store.begin().await.unwrap();
    let error = next.upsert(&things, &[row(3)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    next.rollback().await.unwrap();

    let unknown = "6f9619ff-8b86-d011-b42d-00cf4fc964ff".to_owned();
    store.end_sessions(&[unknown, dead.session().unwrap()]).await.unwrap();
    let mut next = store.begin().await.unwrap();
    next.upsert(&things, &[row(3)]).await.unwrap();
    next.commit().await.unwrap();
    assert!(dead.commit().await.is_err());
    assert_eq!(store.fetch(&things, &[vec![Value::from("a")]]).await.unwrap(), [row(3)]);
}
