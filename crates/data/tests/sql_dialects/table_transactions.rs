//! Transactions on tables: what all databases have in common, and what foreign keys add to it.

use data::table::{ColumnChange, ColumnType, RowBatch};
use data::{DialectKind, ErrorKind, Value};

#[path = "../table_transactions/mod.rs"]
mod common;

use common::*;

/// Runs each behaviour on two fresh databases of every kind.
macro_rules! on_databases {
    ($kind:ident, $($name:ident),* $(,)?) => {
        mod $kind {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (own, other) = (crate::database::Database::$kind(), crate::database::Database::$kind());
                super::$name(&super::common::Databases { own: own.config(), other: other.config() }).await;
            })*
        }
    };
}

macro_rules! on_every_database {
    ($($name:ident),* $(,)?) => {
        on_databases!(sqlite, $($name),*);
        on_databases!(postgres, $($name),*);
        on_databases!(mariadb, $($name),*);
    };
}

on_every_database!(
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
    a_parent_may_be_deleted_before_its_children,
    foreign_keys_count_again_after_a_transaction,
    columns_are_added_dropped_and_renamed_under_their_rows,
    the_values_of_a_column_are_converted_with_its_type,
);

const FAMILY: [&str; 4] = [
    "CREATE TABLE parents (id INTEGER PRIMARY KEY)",
    "CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, \
     FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE RESTRICT)",
    "INSERT INTO parents VALUES (1), (2)",
    "INSERT INTO children VALUES (10, 1), (20, 2)",
];

async fn a_parent_may_be_deleted_before_its_children(db: &Databases) {
    let dialect = db.open().await;
    for statement in FAMILY {
        dialect.execute_run(statement, Vec::new()).await.unwrap();
    }
    let store = dialect.tables().unwrap();
    let parents = store.describe("parents").await.unwrap().unwrap();
    let children = store.describe("children").await.unwrap().unwrap();
    let key = |n: i32| vec![vec![fit(db, n)]];
    let mut transaction = store.begin().await.unwrap();
    assert_eq!(transaction.delete(&parents, &key(1)).await.unwrap(), 1);
    transaction.insert(&children, &RowBatch::Rows(vec![vec![fit(db, 30), fit(db, 3)]])).await.unwrap();
    assert_eq!(transaction.delete(&children, &key(10)).await.unwrap(), 1);
    transaction.upsert(&parents, &[vec![fit(db, 3)]]).await.unwrap();
    transaction.commit().await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    transaction.truncate(&parents).await.unwrap();
    transaction.truncate(&children).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(store.is_empty(&parents, None).await.unwrap() && store.is_empty(&children, None).await.unwrap());
}

/// SQLite's integers are all of 64 bits.
fn fit(db: &Databases, number: i32) -> Value {
    if db.own.dialect == DialectKind::Sqlite { Value::Int64(number.into()) } else { Value::Int32(number) }
}

async fn foreign_keys_count_again_after_a_transaction(db: &Databases) {
    let mut config = db.own.clone();
    (config.pool.min, config.pool.max) = (1, 1);
    let dialect = data::connect(&config).await.unwrap();
    for statement in FAMILY {
        dialect.execute_run(statement, Vec::new()).await.unwrap();
    }
    let store = dialect.tables().unwrap();
    let parents = store.describe("parents").await.unwrap().unwrap();
    for is_committed in [true, false] {
        let mut transaction = store.begin().await.unwrap();
        transaction.upsert(&parents, &[vec![fit(db, 4)]]).await.unwrap();
        if is_committed {
            transaction.commit().await.unwrap();
        } else {
            drop(transaction);
        }
        let error = dialect.execute_run("DELETE FROM parents WHERE id = 1", Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ForeignKeyViolation, "{error}");
    }
}

#[tokio::test]
async fn a_sqlite_table_that_is_made_anew_keeps_all_that_belongs_to_it() {
    let database = crate::database::Database::sqlite();
    let dialect = database.open().await;
    for statement in [
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER NOT NULL DEFAULT 5 CHECK (n <> 0), u TEXT UNIQUE, \
         twice AS (n || n))",
        "CREATE TABLE log (n)",
        "CREATE TABLE child (t INTEGER REFERENCES t (id))",
        "CREATE INDEX by_n ON t (n)",
        "CREATE VIEW v AS SELECT n FROM t",
        "CREATE TRIGGER logs AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.n); END",
        "INSERT INTO t (n, u) VALUES (1, 'a')",
        "INSERT INTO child VALUES (1)",
    ] {
        dialect.execute_run(statement, Vec::new()).await.unwrap();
    }
    let store = dialect.tables().unwrap();
    let change = ColumnChange::Retype { name: "n".to_owned(), column_type: ColumnType::Text(None) };
    store.alter("t", &[change]).await.unwrap();
    dialect.execute_run("INSERT INTO t (u) VALUES ('b')", Vec::new()).await.unwrap();
    let found = dialect.execute_query("SELECT n, twice FROM t ORDER BY id", Vec::new()).await.unwrap();
    let texts: Vec<_> = found.iter().map(|row| (row["n"].clone(), row["twice"].clone())).collect();
    assert_eq!(texts, [("1".into(), "11".into()), ("5".into(), "55".into())]);
    assert_eq!(dialect.execute_query("SELECT n FROM v", Vec::new()).await.unwrap().len(), 2);
    assert_eq!(dialect.execute_query("SELECT n FROM log", Vec::new()).await.unwrap().len(), 2);
    for (statement, kind) in [
        ("INSERT INTO t (n, u) VALUES ('9', 'b')", ErrorKind::UniqueViolation),
        ("INSERT INTO t (n) VALUES (NULL)", ErrorKind::NotNullViolation),
        ("DELETE FROM t WHERE id = 1", ErrorKind::ForeignKeyViolation),
        ("CREATE INDEX by_n ON t (u)", ErrorKind::Statement),
    ] {
        let error = dialect.execute_run(statement, Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{statement}: {error}");
    }
    dialect.execute_run("DROP TRIGGER logs", Vec::new()).await.unwrap();
    dialect.execute_run("DROP VIEW v", Vec::new()).await.unwrap();
    let drop_columns = |names: [&str; 2]| names.map(|name| ColumnChange::Drop { name: name.to_owned() });
    assert!(store.alter("t", &drop_columns(["twice", "u"])).await.is_err(), "a unique column stays");
    assert!(store.describe("t").await.unwrap().unwrap().position("twice").is_some(), "all or nothing");
    let altered = store.alter("t", &drop_columns(["twice", "n"])).await.unwrap();
    assert_eq!(altered.columns.len(), 2, "a column goes with its index");
}
