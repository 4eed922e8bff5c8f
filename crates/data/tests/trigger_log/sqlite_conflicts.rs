//! What REPLACE removes on SQLite, which runs no triggers for it, and what IGNORE and upserts leave.

use std::sync::Arc;

use data::Dialect;

use crate::database::Database;
use crate::follower::{Follower, run};

async fn follow(statements: &[&str]) -> (Database, Arc<dyn Dialect>, Follower) {
    let db = Database::sqlite();
    let dialect = db.open().await;
    run(&dialect, statements).await;
    let follower = Follower::new(&dialect, "r", &["t"]).await;
    (db, dialect, follower)
}

/// Runs statements, and what the log tells of them.
async fn told(dialect: &Arc<dyn Dialect>, follower: &mut Follower, statements: &[&str]) -> String {
    follower.told.clear();
    run(dialect, statements).await;
    follower.catch_up().await;
    follower.told.join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_may_replace_rows_too() {
    let (_db, dialect, mut follower) = follow(&[
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE)",
        "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    ])
    .await;
    let dialect = &dialect;
    assert_eq!(
        told(dialect, &mut follower, &["UPDATE OR REPLACE t SET a = 'b' WHERE id = 1"]).await,
        "-2 =1"
    );
    assert_eq!(
        told(dialect, &mut follower, &["UPDATE OR REPLACE t SET id = 3 WHERE id = 1"]).await,
        "-3 1=3"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_ignored_is_not_told() {
    let (_db, dialect, mut follower) =
        follow(&["CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE)", "INSERT INTO t VALUES (1, 'a')"])
            .await;
    let dialect = &dialect;
    let ignored =
        ["INSERT OR IGNORE INTO t VALUES (1, 'b'), (2, 'a'), (3, 'c')", "UPDATE OR IGNORE t SET a = 'a'"];
    assert_eq!(told(dialect, &mut follower, &ignored).await, "+3 =1");
    let nothing = "INSERT INTO t VALUES (1, 'x') ON CONFLICT DO NOTHING";
    assert_eq!(told(dialect, &mut follower, &[nothing, "DELETE FROM t WHERE id = 1"]).await, "-1");
    // What was noted for the ignored rows means nothing by now.
    assert_eq!(told(dialect, &mut follower, &["INSERT INTO t VALUES (4, 'b')"]).await, "+4");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upsert_is_told_as_the_update_that_it_is() {
    let (_db, dialect, mut follower) = follow(&[
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, n INTEGER)",
        "INSERT INTO t VALUES (1, 'a', 0), (2, 'b', 0)",
    ])
    .await;
    let dialect = &dialect;
    let by_key = "INSERT INTO t VALUES (1, 'x', 1), (3, 'c', 1) ON CONFLICT (id) DO UPDATE SET n = 1";
    assert_eq!(told(dialect, &mut follower, &[by_key]).await, "=1 +3");
    let by_other = "INSERT INTO t VALUES (7, 'b', 1) ON CONFLICT (a) DO UPDATE SET n = 2";
    assert_eq!(told(dialect, &mut follower, &[by_other]).await, "=2");
    let moved = "INSERT INTO t VALUES (7, 'b', 1) ON CONFLICT (a) DO UPDATE SET id = 9";
    assert_eq!(told(dialect, &mut follower, &[moved]).await, "2=9");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_replaced_by_every_kind_of_unique_index() {
    let (_db, dialect, mut follower) = follow(&[
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE, b TEXT, c INTEGER, gone INTEGER, UNIQUE (b, c))",
        "CREATE UNIQUE INDEX by_a ON t (a)",
        "CREATE UNIQUE INDEX by_expression ON t (lower(b) || '!')",
        "CREATE UNIQUE INDEX by_part ON t (c) WHERE gone IS NULL",
        "INSERT INTO t VALUES (1, 'a', 'b', 1, NULL), (2, 'x', 'y', 2, 1), (3, 'p', 'q', 3, NULL)",
    ])
    .await;
    let dialect = &dialect;
    assert_eq!(
        told(dialect, &mut follower, &["REPLACE INTO t VALUES (5, 'A', 'o', 9, NULL)"]).await,
        "-1 +5"
    );
    assert_eq!(
        told(dialect, &mut follower, &["REPLACE INTO t VALUES (6, 'm', 'Y', 8, NULL)"]).await,
        "-2 +6"
    );
    // The partial index holds the first of these, and not the second.
    assert_eq!(
        told(dialect, &mut follower, &["REPLACE INTO t VALUES (7, 'n', 'n', 3, NULL)"]).await,
        "-3 +7"
    );
    assert_eq!(told(dialect, &mut follower, &["REPLACE INTO t VALUES (8, 'k', 'k', 8, 1)"]).await, "+8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_table_without_rowids_are_replaced() {
    let (_db, dialect, mut follower) = follow(&[
        "CREATE TABLE t (a TEXT, b INTEGER, c TEXT UNIQUE, PRIMARY KEY (b, a)) WITHOUT ROWID",
        "INSERT INTO t VALUES ('x', 1, 'c'), ('y', 1, 'd')",
    ])
    .await;
    let replace = "REPLACE INTO t VALUES ('x', 1, 'd')";
    let mut told: Vec<String> =
        told(&dialect, &mut follower, &[replace]).await.split(' ').map(str::to_owned).collect();
    told.sort();
    assert_eq!(told, ["+1/x", "-1/x", "-1/y"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_replaced_by_their_rowid() {
    let (_db, dialect, mut follower) =
        follow(&["CREATE TABLE t (a TEXT PRIMARY KEY)", "INSERT INTO t (rowid, a) VALUES (1, 'x')"]).await;
    let replace = "REPLACE INTO t (rowid, a) VALUES (1, 'y')";
    assert_eq!(told(&dialect, &mut follower, &[replace]).await, "-x +y");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_told_once_where_the_application_has_triggers_run_for_replace() {
    let (_db, dialect, mut follower) =
        follow(&["CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE)", "INSERT INTO t VALUES (1, 'a')"])
            .await;
    let dialect = &dialect;
    run(dialect, &["PRAGMA recursive_triggers = ON"]).await;
    told(dialect, &mut follower, &["REPLACE INTO t VALUES (2, 'a')", "REPLACE INTO t VALUES (2, 'b')"]).await;
    assert_eq!(follower.copies["t"].len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn triggers_of_the_application_leave_the_last_word_to_the_table() {
    let (_db, dialect, mut follower) = follow(&[
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, n INTEGER)",
        "INSERT INTO t VALUES (1, 'a', 0), (2, 'b', 0)",
    ])
    .await;
    let dialect = &dialect;
    // Made later than ours, they run before them.
    run(
        dialect,
        &[
            "CREATE TRIGGER touch AFTER UPDATE OF a ON t BEGIN UPDATE t SET n = n + 1 WHERE id = NEW.id; END",
            "CREATE TRIGGER move AFTER UPDATE OF id ON t WHEN NEW.id < 100 \
             BEGIN UPDATE t SET id = NEW.id + 100 WHERE id = NEW.id; END",
            "CREATE TRIGGER refuse AFTER INSERT ON t WHEN NEW.a IS NULL BEGIN DELETE FROM t WHERE id = NEW.id; END",
            "CREATE TRIGGER keep AFTER DELETE ON t WHEN OLD.a = 'keep' \
             BEGIN INSERT INTO t VALUES (OLD.id, 'kept', 0); END",
        ],
    )
    .await;
    told(dialect, &mut follower, &["UPDATE t SET a = 'c' WHERE id = 1"]).await;
    told(dialect, &mut follower, &["UPDATE t SET id = 3 WHERE id = 2"]).await;
    told(dialect, &mut follower, &["INSERT INTO t VALUES (7, NULL, 0), (8, 'keep', 0)"]).await;
    // The row is back before its deletion is recorded.
    follower.inserts_again = true;
    told(dialect, &mut follower, &["DELETE FROM t WHERE id = 8"]).await;
    let mut keys: Vec<&String> = follower.copies["t"].keys().collect();
    keys.sort();
    assert_eq!(keys, ["1", "103", "8"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_a_foreign_key_deletes_are_told() {
    let (_db, dialect, mut follower) = follow(&[
        "CREATE TABLE p (id INTEGER PRIMARY KEY)",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE)",
        "INSERT INTO p VALUES (1), (2)",
        "INSERT INTO t VALUES (1, 1), (2, 2)",
    ])
    .await;
    let statements = ["DELETE FROM p WHERE id = 1", "UPDATE p SET id = 3 WHERE id = 2"];
    assert_eq!(told(&dialect, &mut follower, &statements).await, "-1 =2");
}

/// A sequence of numbers that is the same every time.
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_statements_leave_the_copy_like_the_table() {
    for seed in 0..4 {
        let table = if seed % 2 == 0 {
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b INTEGER, UNIQUE (b, a))"
        } else {
            "CREATE TABLE t (id TEXT COLLATE NOCASE PRIMARY KEY, a TEXT COLLATE NOCASE UNIQUE, b INTEGER UNIQUE)"
        };
        let (_db, dialect, mut follower) = follow(&[table]).await;
        let mut random = Sequence(seed);
        for _ in 0..30 {
            let transaction = dialect.begin(None).await.unwrap();
            for _ in 0..random.below(12) {
                let (id, other) = (random.below(12), random.below(12));
                let text = ["a", "A", "b", "B", "c", "D", "d"][usize::try_from(random.below(7)).unwrap()];
                let key = if seed % 2 == 0 { id.to_string() } else { format!("'{text}{}'", id % 3) };
                let sql = match random.below(11) {
                    0..=2 => format!("INSERT OR IGNORE INTO t VALUES ({key}, '{text}{other}', {other})"),
                    3..=4 => format!("REPLACE INTO t VALUES ({key}, '{text}{other}', {id})"),
                    5 => format!("UPDATE OR REPLACE t SET a = '{text}{id}', b = {id} WHERE b = {other}"),
                    6 => format!("UPDATE OR REPLACE t SET id = {key} WHERE b = {other}"),
                    7 => format!("UPDATE OR IGNORE t SET id = {key}, a = '{text}' WHERE b < {other}"),
                    8 => format!(
                        "INSERT INTO t VALUES ({key}, '{text}', {other}) ON CONFLICT (id) DO UPDATE SET b = NULL \
                         ON CONFLICT (a) DO UPDATE SET b = NULL ON CONFLICT DO NOTHING"
                    ),
                    9 => format!("DELETE FROM t WHERE b = {other}"),
                    _ => format!("UPDATE OR REPLACE t SET id = id || '{id}' WHERE b = {other}"),
                };
                // What a constraint refuses after all has no effect.
                drop(transaction.execute_run(&sql, Vec::new()).await);
            }
            if random.below(5) == 0 {
                transaction.rollback().await.unwrap();
            } else {
                transaction.commit().await.unwrap();
            }
        }
        follower.catch_up().await;
    }
}
