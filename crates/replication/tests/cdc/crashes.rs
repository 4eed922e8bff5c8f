//! Processes that die at random moments under a random load: nothing is missing, twice or stale afterwards.

use std::sync::Arc;
use std::time::Duration;

use crate::world::{Dice, Pair, Place, Witness, World};

const TABLE: &str = "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT, long TEXT)";
const ITEMS: &str = "SELECT id, name, long FROM items ORDER BY id";
const PARENTS: &str = "CREATE TABLE parents (id BIGINT PRIMARY KEY, name TEXT)";

/// A random change.
fn statement(dice: &mut Dice, is_postgres: bool) -> String {
    let (id, other) = (dice.roll(60), 60 + dice.roll(60));
    let name = dice.roll(1000);
    match dice.roll(20) {
        0..=6 => format!(
            "INSERT INTO items VALUES ({id}, 'n{name}', '{}') ON CONFLICT (id) DO UPDATE SET name = excluded.name",
            "long ".repeat(600 + usize::try_from(name).unwrap())
        ),
        7..=11 => format!("UPDATE items SET name = 'u{name}' WHERE id % 7 = {}", id % 7),
        12 | 13 => format!("DELETE FROM items WHERE id = {id}"),
        14 | 15 => format!(
            "UPDATE items SET id = {other} WHERE id = {id} AND NOT EXISTS (SELECT 1 FROM items WHERE id = {other})"
        ),
        16 => format!("INSERT INTO parents VALUES ({id}, 'p{name}') ON CONFLICT (id) DO NOTHING"),
        17 => format!("UPDATE items SET long = 'short {name}' WHERE id = {id}"),
        18 if dice.roll(6) == 0 => {
            if is_postgres { "TRUNCATE items" } else { "DELETE FROM items" }.to_owned()
        }
        _ => format!("DELETE FROM parents WHERE id = {id}"),
    }
}

async fn survives(pair: Pair, seed: u64) {
    let mut dice = Dice::new(seed);
    let long = "ALTER TABLE items ALTER COLUMN long SET STORAGE EXTERNAL";
    let fill = "INSERT INTO items VALUES (1, 'first', 'x')";
    let statements =
        if pair.source.is_postgres() { vec![TABLE, PARENTS, long, fill] } else { vec![TABLE, PARENTS, fill] };
    let writer = World::new(&pair, &statements).await;
    writer.sync().await;
    if pair.target.dialect != "mongodb" {
        writer.audit(&pair).await;
    }
    for _ in 0..6 {
        let dying = World::new(&pair, &[]).await;
        dying.manager.start("r", Arc::new(Witness::default())).await.unwrap();
        for _ in 0..dice.roll(60) {
            let statement = statement(&mut dice, pair.source.is_postgres());
            writer.run(&[&statement]).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.roll(40))).await;
        // Its tasks are cut off where they are.
        drop(dying);
        for _ in 0..dice.roll(20) {
            let statement = statement(&mut dice, pair.source.is_postgres());
            writer.run(&[&statement]).await;
        }
    }
    let last = writer.sync().await;
    assert_eq!(last.errors, 0, "{last:?}");
    if matches!(pair.target.dialect, "mongodb" | "mariadb") {
        writer.assert_verified().await;
    } else {
        writer.assert_same(ITEMS).await;
        writer.assert_same("SELECT id, name FROM parents ORDER BY id").await;
        writer.assert_no_overlap().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_target_equals_its_source_after_crashes() {
    for seed in 1..=2 {
        survives(Pair::postgres_to_postgres(), seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sqlite_target_equals_its_source_after_crashes() {
    for seed in 3..=4 {
        survives(Pair::postgres_to_sqlite(), seed).await;
        survives(Pair::sqlite_to_sqlite(), seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mariadb_target_equals_its_source_after_crashes() {
    for seed in 7..=8 {
        survives(Pair::postgres_to_mariadb(), seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mongodb_target_equals_its_source_after_crashes() {
    for seed in 5..=6 {
        survives(Pair { source: Place::postgres(), target: Place::mongodb() }, seed).await;
    }
}
