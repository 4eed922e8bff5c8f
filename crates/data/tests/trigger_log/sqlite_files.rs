//! SQLite's files under a log: other connections, copies that are put back, and files that cannot be written.

use std::path::Path;

use data::ErrorKind;

use crate::database::Database;
use crate::follower::{Follower, log, reader, run};

const T: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_other_connections_write_is_captured() {
    let db = Database::sqlite();
    let (dialect, other) = (db.open().await, db.open().await);
    run(&dialect, &[T]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(&other, &["INSERT INTO t VALUES (1, 'a')", "ALTER TABLE t ADD COLUMN b", "UPDATE t SET b = 5"]).await;
    follower.catch_up().await;
    assert_eq!(follower.copies["t"]["1"].len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_were_written_during_the_copy_are_told_once() {
    let db = Database::sqlite();
    let (dialect, other) = (db.open().await, db.open().await);
    run(&dialect, &[T]).await;
    let writer = tokio::spawn(async move {
        for id in 0..300 {
            run(&other, &[&format!("INSERT INTO t VALUES ({id}, 'a')")]).await;
        }
    });
    for name in ["a", "b", "c"] {
        let mut follower = Follower::new(&dialect, name, &["t"]).await;
        // A row that is told although it was copied fails here.
        follower.read_to_head().await;
        if writer.is_finished() {
            break;
        }
    }
    writer.await.unwrap();
    let mut follower = Follower::new(&dialect, "last", &["t"]).await;
    follower.catch_up().await;
}

fn restore(from: &Path, to: &str) {
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{to}{ending}"));
    }
    std::fs::copy(from, to).unwrap();
}

/// The files that this process has open at a path.
#[cfg(target_os = "linux")]
fn open_files(path: &str) -> Vec<std::path::PathBuf> {
    let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = links.filter_map(|link| std::fs::read_link(link.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with(path)).collect()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_stays_open_once_the_dialect_is_disconnected() {
    let db = Database::sqlite();
    let dialect = db.open().await;
    run(&dialect, &[T]).await;
    let reader = reader(&dialect, "r", &["t"]).await;
    log(&dialect).open(&reader).await.unwrap();
    let mut snapshots = Vec::new();
    for _ in 0..100 {
        snapshots.push(log(&dialect).snapshot(&reader).await.unwrap());
    }
    assert!(open_files(&db.uri).len() > 100);
    drop(snapshots);
    dialect.disconnect().await.unwrap();
    assert_eq!(open_files(&db.uri), Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_put_back_from_an_older_copy_is_noticed() {
    for rows_after in [0, 1, 50] {
        let db = Database::sqlite();
        let dialect = db.open().await;
        run(&dialect, &[T]).await;
        let mut follower = Follower::new(&dialect, "r", &["t"]).await;
        run(&dialect, &["INSERT INTO t VALUES (1, 'a')"]).await;
        follower.catch_up().await;
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.db");
        run(&dialect, &[&format!("VACUUM INTO '{}'", copy.display())]).await;
        run(&dialect, &["INSERT INTO t VALUES (2, 'b')"]).await;
        follower.catch_up().await;
        follower.close().await;
        dialect.disconnect().await.unwrap();
        restore(&copy, &db.uri);
        let again = db.open().await;
        for id in 0..rows_after {
            run(&again, &[&format!("INSERT INTO t VALUES ({id} + 10, 'c')")]).await;
        }
        let error = log(&again).stream(&follower.reader, &follower.position).await.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LogLost, "with {rows_after} rows more");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_written_is_refused_with_what_to_do() {
    let db = Database::sqlite();
    run(&db.open().await, &[T]).await;
    let uri = format!("file:{}?mode=ro", db.uri);
    let dialect = data::connect(&data::ConnectionConfig::new(data::DialectKind::Sqlite, uri)).await.unwrap();
    let reader = reader(&dialect, "r", &["t"]).await;
    let error = log(&dialect).open(&reader).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capture);
    assert!(error.to_string().contains("mode=ro"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_changes_that_somebody_dropped_are_noticed() {
    let db = Database::sqlite();
    let dialect = db.open().await;
    run(&dialect, &[T]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    follower.close().await;
    run(&dialect, &["DROP TABLE replicaverse_change"]).await;
    let error = log(&dialect).stream(&follower.reader, &follower.position).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LogLost);
    log(&dialect).remove(&follower.reader.name).await.unwrap();
    run(&dialect, &["INSERT INTO t VALUES (1, 'a')"]).await;
    assert_eq!(Follower::new(&dialect, "r", &["t"]).await.copies["t"].len(), 1);
}
