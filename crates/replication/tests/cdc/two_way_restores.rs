//! Bidirectional rules one side of which is restored from a backup that lacks no more than the last moments.

use std::sync::Arc;

use data::{Dialect, DialectKind};
use mongodb::bson::{Document, doc};
use serde_json::json;

use crate::two_way::{begun, conflicts, opened, start, until_both_have, until_equal, write};
use crate::world::{Pair, Place, Server, Witness, rows, run};

/// What is restored, in an order in which triggers spoil nothing: what they have noted is restored after the rows.
const TABLES: [&str; 7] = [
    "items",
    "replicaverse_change",
    "replicaverse_checkpoint",
    "replicaverse_conflict",
    "replicaverse_dead_letter",
    "replicaverse_reader",
    "replicaverse_version",
];

/// What a database held at a moment, our own tables among it.
struct Backup<'a> {
    place: &'a Place,
    folder: tempfile::TempDir,
    tables: Vec<&'static str>,
}

impl<'a> Backup<'a> {
    async fn of(place: &'a Place, dialect: &dyn Dialect) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut tables = Vec::new();
        for name in TABLES {
            if dialect.tables().unwrap().describe(name).await.unwrap().is_some() {
                tables.push(name);
            }
        }
        match dialect.kind() {
            DialectKind::Sqlite => {
                let file = folder.path().join("backup.db").display().to_string();
                run(dialect, &[&format!("VACUUM INTO '{file}'")]).await;
            }
            DialectKind::Mongodb => {
                for table in &tables {
                    copied(place, table, &format!("kept_{table}")).await;
                }
            }
            _ => {
                for table in &tables {
                    run(dialect, &[&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")]).await;
                }
            }
        }
        Self { place, folder, tables }
    }

    /// Brings the database back to what it held. Nothing is to be connected to a file.
    async fn restore(&self) {
        if self.place.dialect == "sqlite" {
            std::fs::write(&self.place.uri, std::fs::read(self.folder.path().join("backup.db")).unwrap())
                .unwrap();
            return;
        }
        if self.place.dialect == "mongodb" {
            for table in &self.tables {
                copied(self.place, &format!("kept_{table}"), table).await;
            }
            return;
        }
        let pair = Pair { source: Place::memory(), target: self.place.clone() };
        let world = opened(&pair, json!({})).await;
        for table in &self.tables {
            let insert = format!("INSERT INTO {table} SELECT * FROM kept_{table}");
            run(world.target.as_ref(), &[&format!("DELETE FROM {table}"), &insert]).await;
        }
        world.manager.disconnect_all().await;
    }
}

async fn copied(place: &Place, from: &str, to: &str) {
    let database = Server::replica_set().database(place.database()).await;
    let out = [doc! {"$match": {}}, doc! {"$out": to}];
    database.collection::<Document>(from).aggregate(out).await.unwrap();
}

async fn is_noticed(pair: Pair, restores_source: bool) {
    let what = format!("{} and {}, the source: {restores_source}", pair.source.dialect, pair.target.dialect);
    let world = begun(&pair, json!({})).await;
    start(&world, Arc::new(Witness::default())).await;
    write(world.source.as_ref(), 1, Some("kept")).await;
    until_both_have(&world, 1, Some("kept")).await;
    let (place, lossy) =
        if restores_source { (&pair.source, &world.source) } else { (&pair.target, &world.target) };
    let backup = Backup::of(place, lossy.as_ref()).await;
    write(lossy.as_ref(), 2, Some("lost at one side")).await;
    until_both_have(&world, 2, Some("lost at one side")).await;
    world.manager.disconnect_all().await;
    backup.restore().await;
    let world = opened(&pair, json!({})).await;
    let restored = if restores_source { &world.source } else { &world.target };
    for id in 5..=8 {
        write(restored.as_ref(), id, Some("after the restore")).await;
    }
    let error = world.manager.sync("r", None).await.unwrap_err();
    assert_eq!(error.code(), "ERR_LOG_LOST", "{what}: {error}");
    assert!(error.to_string().contains("as after a restore"), "{what}: {error}");
    let stats = world.manager.resync("r", None).await.unwrap();
    assert_eq!(stats.errors, 0, "{what}: {stats:?}");
    let both = until_equal(&world).await;
    assert_eq!(both.keys().copied().collect::<Vec<_>>(), [1, 2, 5, 6, 7, 8], "{what}");
    assert_eq!(conflicts(&world).await, [], "{what}");
    write(restored.as_ref(), 2, None).await;
    world.sync().await;
    assert_eq!(until_equal(&world).await.len(), 5, "{what}");
    assert_eq!(world.counts().await, (0, 0, 0, 0, 0), "{what}");
    world.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sqlite_side_that_lost_only_the_last_moments_is_united_anew() {
    is_noticed(Pair::sqlite_to_sqlite(), true).await;
    is_noticed(Pair::sqlite_to_sqlite(), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mariadb_side_that_lost_only_the_last_moments_is_united_anew() {
    is_noticed(Pair { source: Place::sqlite(), target: Place::mariadb() }, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mongodb_side_that_lost_only_the_last_moments_is_united_anew() {
    is_noticed(Pair { source: Place::sqlite(), target: Place::mongodb() }, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_side_that_lost_only_the_last_moments_is_united_anew() {
    is_noticed(Pair::postgres_to_sqlite(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_cut_off_while_nothing_is_lost_goes_on() {
    let pair = Pair::sqlite_to_sqlite();
    let world = begun(&pair, json!({})).await;
    for round in 1..=5 {
        let dying = opened(&pair, json!({})).await;
        start(&dying, Arc::new(Witness::default())).await;
        write(world.source.as_ref(), round, Some("from the source")).await;
        write(world.target.as_ref(), 10 + round, Some("from the target")).await;
        until_both_have(&world, round, Some("from the source")).await;
        until_both_have(&world, 10 + round, Some("from the target")).await;
        drop(dying);
    }
    world.sync().await;
    let history = rows(world.target.as_ref(), "SELECT history FROM replicaverse_checkpoint").await;
    assert_eq!(history.as_array().map(Vec::len), Some(1), "{history}");
    assert_eq!(until_equal(&world).await.len(), 10);
    assert_eq!(conflicts(&world).await, []);
    world.manager.disconnect_all().await;
}
