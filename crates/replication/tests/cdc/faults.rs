//! What goes wrong: crashes in the first copy, rows that do not fit, logs that are lost, columns that change.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use replication::{Error, ProgressListener};
use serde_json::json;

use crate::world::{Pair, Place, World, run, totals};

const TABLE: &str = "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT)";
const ITEMS: &str = "SELECT id, name FROM items ORDER BY id";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_copy_that_is_broken_off_goes_on_where_it_was() {
    for pair in [Pair::postgres_to_postgres(), Pair::postgres_to_sqlite()] {
        let fill = "INSERT INTO items SELECT g, 'row ' || g FROM generate_series(1, 180000) AS g";
        let world = World::new(&pair, &[TABLE, fill, "ANALYZE items"]).await;
        let seen = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&seen);
        let listener: ProgressListener = Arc::new(move |progress| {
            told.store(progress.rows, Ordering::Relaxed);
        });
        let manager = Arc::clone(&world.manager);
        let broken = tokio::spawn(async move { manager.sync("r", Some(listener)).await });
        let finished = "SELECT count(*) AS n FROM replicaverse_chunk WHERE copied = 1";
        while seen.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        while world.at_target(finished).await[0]["n"].as_u64() == Some(0) && !broken.is_finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        broken.abort();
        drop(broken.await);
        // Rows of parts that were copied and of parts that were not change meanwhile.
        world
            .run(&[
                "UPDATE items SET name = 'changed' WHERE id % 1000 = 0",
                "DELETE FROM items WHERE id % 1000 = 1",
                "UPDATE items SET id = 1000000 + id WHERE id % 1000 = 2",
                "INSERT INTO items SELECT g, 'new' FROM generate_series(200001, 200100) AS g",
            ])
            .await;
        world.sync().await;
        let sums =
            "SELECT count(*) AS n, CAST(sum(id) AS BIGINT) AS ids, sum(length(name)) AS lengths FROM items";
        assert_eq!(
            world.at_target(sums).await.to_string(),
            crate::world::rows(world.source.as_ref(), sums).await.to_string()
        );
        world.assert_same("SELECT id, name FROM items WHERE id % 1000 < 4 OR id > 200000 ORDER BY id").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_3_an_unchanged_toasted_value_stays() {
    let pair = Pair::postgres_to_postgres();
    let table = "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT, long TEXT)";
    let long = "ALTER TABLE items ALTER COLUMN long SET STORAGE EXTERNAL";
    let world =
        World::new(&pair, &[table, long, "INSERT INTO items VALUES (1, 'a', repeat('long', 3000))"]).await;
    world.sync().await;
    world
        .run(&[
            "UPDATE items SET name = 'b' WHERE id = 1",
            "INSERT INTO items VALUES (2, 'c', repeat('other', 3000))",
            "UPDATE items SET name = 'd' WHERE id = 2",
            "INSERT INTO items VALUES (3, 'e', repeat('third', 3000))",
        ])
        .await;
    world.sync().await;
    world.assert_same("SELECT * FROM items ORDER BY id").await;
    // A row that moves takes the value along, from where the target has it.
    world.run(&["UPDATE items SET id = 30, name = 'moved' WHERE id = 3"]).await;
    world.sync().await;
    world.assert_same("SELECT * FROM items ORDER BY id").await;
    // One that the target has lost is read at the source.
    run(world.target.as_ref(), &["DELETE FROM items WHERE id = 1", "DELETE FROM items WHERE id = 30"]).await;
    world.run(&["UPDATE items SET name = 'z'", "UPDATE items SET id = 31 WHERE id = 30"]).await;
    world.sync().await;
    world.assert_same("SELECT * FROM items ORDER BY id").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_the_target_refuses_is_set_aside_and_written_when_it_fits() {
    for pair in [Pair::postgres_to_sqlite(), Pair::postgres_to_postgres(), Pair::sqlite_to_sqlite()] {
        let world = World::new(&pair, &[TABLE]).await;
        run(
            world.target.as_ref(),
            &["CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT CHECK (name <> 'bad'))"],
        )
        .await;
        world.sync().await;
        world
            .run(&[
                "INSERT INTO items VALUES (1, 'good')",
                "INSERT INTO items VALUES (2, 'bad')",
                "INSERT INTO items VALUES (3, 'good')",
            ])
            .await;
        let stats = world.sync().await;
        assert_eq!(totals(&stats), (2, 0, 0, 0, 1));
        assert_eq!(stats.details[0].failures[0].key, "2");
        let letters = "SELECT collection, row_key, operation, attempts FROM replicaverse_dead_letter";
        let letter = json!([{"collection": "items", "row_key": "2", "operation": "insert", "attempts": 1}]);
        assert_eq!(world.at_target(letters).await, letter);
        // It is tried again with every run.
        assert_eq!(world.counts().await, (0, 0, 0, 0, 1));
        assert_eq!(world.at_target(letters).await[0]["attempts"], 2);
        // A newer change of the row takes its place.
        world.run(&["UPDATE items SET name = 'better' WHERE id = 2"]).await;
        world.sync().await;
        assert_eq!(world.at_target(letters).await, json!([]));
        world.assert_same(ITEMS).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_was_set_aside_is_written_once_it_fits() {
    let pair = Pair::postgres_to_sqlite();
    let world = World::new(&pair, &[TABLE, "INSERT INTO items VALUES (1, 'same')"]).await;
    run(world.target.as_ref(), &["CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT UNIQUE)"]).await;
    world.sync().await;
    world.run(&["INSERT INTO items VALUES (2, 'same')"]).await;
    assert_eq!(world.counts().await, (0, 0, 0, 0, 1));
    world.run(&["UPDATE items SET name = 'other' WHERE id = 1"]).await;
    // The change makes room; the next run finds that the row fits.
    world.sync().await;
    assert_eq!(world.counts().await, (1, 0, 0, 0, 0));
    world.assert_same(ITEMS).await;
    assert_eq!(world.at_target("SELECT * FROM replicaverse_dead_letter").await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_stops_at_a_refused_row_loses_nothing() {
    let pair = Pair::postgres_to_sqlite();
    let world = World::with(&pair, &[TABLE], json!({"onRowError": "stop"})).await;
    run(
        world.target.as_ref(),
        &["CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT CHECK (name <> 'bad'))"],
    )
    .await;
    world.sync().await;
    world.run(&["INSERT INTO items VALUES (1, 'before')"]).await;
    world.run(&["INSERT INTO items VALUES (2, 'bad'), (3, 'good')"]).await;
    let error = world.manager.sync("r", None).await.unwrap_err();
    assert!(matches!(&error, Error::RowRefused { key, .. } if key == "2"), "{error}");
    assert_eq!(world.at_target(ITEMS).await, json!([{"id": 1, "name": "before"}]));
    run(
        world.target.as_ref(),
        &[
            "DROP TABLE items",
            "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT)",
            "INSERT INTO items VALUES (1, 'before')",
        ],
    )
    .await;
    world.sync().await;
    world.assert_same(ITEMS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_the_target_win_where_the_rule_says_so() {
    for pair in [Pair::postgres_to_postgres(), Pair::sqlite_to_sqlite()] {
        let fill = "INSERT INTO items VALUES (1, 'a'), (2, 'b')";
        let world = World::with(&pair, &[TABLE, fill], json!({"conflictResolution": "target-wins"})).await;
        run(world.target.as_ref(), &[TABLE, "INSERT INTO items VALUES (1, 'own'), (9, 'only here')"]).await;
        let stats = world.sync().await;
        assert_eq!(totals(&stats), (1, 0, 0, 2, 0));
        assert_eq!(stats.details[0].skips.len(), 2, "{stats:?}");
        world.run(&["UPDATE items SET name = 'changed'", "INSERT INTO items VALUES (3, 'c')"]).await;
        assert_eq!(world.counts().await, (1, 0, 0, 2, 0));
        let expected = json!([{"id": 1, "name": "own"}, {"id": 2, "name": "b"}, {"id": 3, "name": "c"}, {"id": 9, "name": "only here"}]);
        assert_eq!(world.at_target(ITEMS).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newer_row_wins_where_the_rule_says_so() {
    let pair = Pair::postgres_to_postgres();
    let table = "CREATE TABLE items (id BIGINT PRIMARY KEY, name TEXT, \"updatedAt\" TIMESTAMPTZ)";
    let fill = "INSERT INTO items VALUES (1, 'a', now()), (2, 'b', now()), (3, 'c', now())";
    let world = World::with(&pair, &[table, fill], json!({"conflictResolution": "timestamp"})).await;
    world.sync().await;
    let newer = "UPDATE items SET name = 'own', \"updatedAt\" = now() + interval '1 hour' WHERE id IN (1, 3)";
    run(world.target.as_ref(), &[newer]).await;
    world
        .run(&[
            "UPDATE items SET name = 'x', \"updatedAt\" = now() WHERE id < 3",
            "DELETE FROM items WHERE id = 3",
        ])
        .await;
    let stats = world.sync().await;
    assert_eq!(totals(&stats), (0, 1, 0, 2, 0), "{stats:?}");
    let expected = json!([{"id": 1, "name": "own"}, {"id": 2, "name": "x"}, {"id": 3, "name": "own"}]);
    assert_eq!(world.at_target(ITEMS).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_of_the_target_follow_those_of_the_source() {
    for pair in [Pair::postgres_to_sqlite(), Pair::postgres_to_postgres(), Pair::sqlite_to_sqlite()] {
        let world = World::new(&pair, &[TABLE, "INSERT INTO items VALUES (1, 'a')"]).await;
        world.sync().await;
        world
            .run(&[
                "INSERT INTO items VALUES (2, 'b')",
                "ALTER TABLE items ADD COLUMN size BIGINT DEFAULT 7",
                "INSERT INTO items VALUES (3, 'c', 3)",
                "ALTER TABLE items RENAME COLUMN name TO title",
                "INSERT INTO items VALUES (4, 'd', 4)",
            ])
            .await;
        world.sync().await;
        world.assert_same("SELECT id, title, size FROM items ORDER BY id").await;
        world.run(&["ALTER TABLE items DROP COLUMN size", "INSERT INTO items VALUES (5, 'e')"]).await;
        world.sync().await;
        world.assert_same("SELECT * FROM items ORDER BY id").await;
    }
}

/// What was logged before the change of the columns is applied after the table was copied again for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_from_before_a_column_was_added_are_not_lost_and_do_not_empty_it() {
    for pair in [Pair::postgres_to_sqlite(), Pair::postgres_to_postgres(), Pair::sqlite_to_sqlite()] {
        let fill = "INSERT INTO items VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')";
        let world = World::new(&pair, &[TABLE, fill]).await;
        world.sync().await;
        world
            .run(&[
                "DELETE FROM items WHERE id = 1",
                "UPDATE items SET name = 'B' WHERE id = 2",
                "UPDATE items SET id = 30 WHERE id = 3",
                "INSERT INTO items VALUES (5, 'e'), (6, 'f')",
                "DELETE FROM items WHERE id = 6",
                "ALTER TABLE items ADD COLUMN size BIGINT DEFAULT 7",
                "UPDATE items SET size = 8 WHERE id = 4",
                "DELETE FROM items WHERE id = 5",
            ])
            .await;
        let stats = world.sync().await;
        assert_eq!(stats.errors, 0, "{stats:?}");
        world.assert_same("SELECT id, name, size FROM items ORDER BY id").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncation_before_a_column_was_added_empties_the_target_too() {
    for pair in [Pair::postgres_to_postgres(), Pair::postgres_to_sqlite()] {
        let world = World::new(&pair, &[TABLE, "INSERT INTO items VALUES (1, 'a'), (2, 'b')"]).await;
        world.sync().await;
        world
            .run(&[
                "TRUNCATE items",
                "INSERT INTO items VALUES (2, 'new')",
                "ALTER TABLE items ADD COLUMN size BIGINT DEFAULT 7",
                "INSERT INTO items VALUES (3, 'c', 3)",
            ])
            .await;
        let stats = world.sync().await;
        assert_eq!(stats.errors, 0, "{stats:?}");
        world.assert_same("SELECT id, name, size FROM items ORDER BY id").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_before_a_column_was_renamed_is_not_lost() {
    for pair in [Pair::postgres_to_sqlite(), Pair::postgres_to_postgres(), Pair::sqlite_to_sqlite()] {
        let fill = "INSERT INTO items VALUES (1, 'a'), (2, 'b')";
        let world = World::new(&pair, &[TABLE, fill]).await;
        world.sync().await;
        let rename = "ALTER TABLE items RENAME COLUMN name TO title";
        world.run(&["DELETE FROM items WHERE id = 1", rename, "UPDATE items SET title = 'B'"]).await;
        world.sync().await;
        world.assert_same("SELECT id, title FROM items ORDER BY id").await;
    }
}

/// So many changes of one transaction that some are written before the truncation is met.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncation_within_a_large_transaction_before_a_column_was_added_is_applied() {
    for pair in [Pair::postgres_to_postgres(), Pair::postgres_to_sqlite()] {
        let archive = "CREATE TABLE archive (id BIGINT PRIMARY KEY)";
        let fill = "INSERT INTO items SELECT g, 'n' || g FROM generate_series(1, 3000) AS g";
        let world = World::new(&pair, &[TABLE, archive, fill]).await;
        world.sync().await;
        world
            .run(&[
                "DO $$ BEGIN
                     INSERT INTO archive SELECT id FROM items;
                     DELETE FROM items WHERE id < 2900;
                     TRUNCATE items;
                     INSERT INTO items VALUES (1, 'again');
                 END $$",
                "ALTER TABLE items ADD COLUMN size BIGINT DEFAULT 7",
                "INSERT INTO items VALUES (5, 'e', 5)",
            ])
            .await;
        let stats = world.sync().await;
        assert_eq!(stats.errors, 0, "{stats:?}");
        world.assert_same("SELECT id, name, size FROM items ORDER BY id").await;
        world.assert_same("SELECT count(*) AS n FROM archive").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_change_while_a_rule_streams() {
    for pair in [Pair::postgres_to_postgres(), Pair::sqlite_to_sqlite()] {
        let world = World::new(&pair, &[TABLE, "INSERT INTO items VALUES (1, 'a')"]).await;
        world.manager.start("r", Arc::new(crate::world::Witness::default())).await.unwrap();
        world
            .run(&[
                "INSERT INTO items VALUES (2, 'b')",
                "ALTER TABLE items ADD COLUMN size BIGINT",
                "INSERT INTO items VALUES (3, 'c', 3)",
            ])
            .await;
        let deadline = std::time::Instant::now() + crate::world::PATIENCE;
        while world
            .target
            .execute_query("SELECT size FROM items WHERE id = 3", Vec::new())
            .await
            .is_ok_and(|rows| rows.is_empty())
            || world.target.execute_query("SELECT size FROM items", Vec::new()).await.is_err()
        {
            assert!(
                std::time::Instant::now() < deadline,
                "the column did not come: {:?}",
                world.manager.running()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        world.until_same("SELECT * FROM items ORDER BY id").await;
        world.manager.disconnect_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_key_that_changes_stops_the_rule_before_it_takes_rows_for_each_other() {
    for (source, target) in [
        (Place::postgres(), Place::sqlite()),
        (Place::postgres(), Place::mongodb()),
        (Place::mariadb(), Place::mongodb()),
    ] {
        let is_postgres = source.is_postgres();
        let pair = Pair { source, target };
        let table = "CREATE TABLE items (id BIGINT, name VARCHAR(20) NOT NULL, PRIMARY KEY (id))";
        let world = World::new(&pair, &[table, "INSERT INTO items VALUES (1, 'a'), (2, 'b')"]).await;
        world.sync().await;
        let other_key = match is_postgres {
            true => "ALTER TABLE items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (id, name)",
            false => "ALTER TABLE items DROP PRIMARY KEY, ADD PRIMARY KEY (id, name)",
        };
        world.run(&[other_key, "INSERT INTO items VALUES (2, 'c')"]).await;
        let error = world.manager.sync("r", None).await.unwrap_err();
        assert_eq!(error.code(), "ERR_SCHEMA_CHANGED", "{error}");
        assert!(error.to_string().contains("primary key"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_whose_target_is_not_to_change_stops_and_names_the_column() {
    let pair = Pair::postgres_to_postgres();
    let world = World::with_strategy(&pair, &[TABLE], json!({}), "validate").await;
    run(world.target.as_ref(), &[TABLE]).await;
    world.sync().await;
    world.run(&["ALTER TABLE items ADD COLUMN size BIGINT", "INSERT INTO items VALUES (1, 'a', 2)"]).await;
    let error = world.manager.sync("r", None).await.unwrap_err();
    assert_eq!(error.code(), "ERR_SCHEMA_CHANGED");
    assert!(error.to_string().contains("\"size\"") && error.to_string().contains("\"items\""), "{error}");
    run(world.target.as_ref(), &["ALTER TABLE items ADD COLUMN size BIGINT"]).await;
    world.sync().await;
    world.assert_same("SELECT * FROM items ORDER BY id").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_6_a_slot_that_is_gone_leads_to_a_resynchronisation() {
    let pair = Pair::postgres_to_sqlite();
    let world = World::new(&pair, &[TABLE, "INSERT INTO items VALUES (1, 'a'), (2, 'b')"]).await;
    world.sync().await;
    run(world.target.as_ref(), &["INSERT INTO items VALUES (99, 'only here')"]).await;
    let drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()";
    world.source.execute_query(drop, Vec::new()).await.unwrap();
    world.run(&["UPDATE items SET name = 'changed' WHERE id = 1", "INSERT INTO items VALUES (3, 'c')"]).await;
    let stats = world.manager.resync("r", None).await.unwrap();
    assert_eq!(totals(&stats), (1, 1, 0, 2, 0), "{stats:?}");
    world.assert_same("SELECT id, name FROM items WHERE id < 99 ORDER BY id").await;
    assert_eq!(world.at_target("SELECT id FROM items WHERE id = 99").await, json!([{"id": 99}]));
    world.run(&["DELETE FROM items WHERE id = 2"]).await;
    assert_eq!(world.counts().await, (0, 0, 1, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_keeps_too_much_is_given_free_and_the_rule_stopped() {
    let pair = Pair::postgres_to_sqlite();
    let world = World::with(&pair, &[TABLE], json!({"maxRetainedBytes": 50_000_000})).await;
    world.sync().await;
    let name = "SELECT count(*) AS n FROM pg_replication_slots WHERE database = current_database()";
    world.run(&["INSERT INTO items SELECT g, repeat('x', 500) FROM generate_series(1, 100000) AS g"]).await;
    let error = world.manager.sync("r", None).await.unwrap_err();
    assert_eq!(error.code(), "ERR_LOG_RETENTION", "{error}");
    assert_eq!(
        crate::world::rows(world.source.as_ref(), name).await[0]["n"].to_string().trim_matches('"'),
        "0"
    );
    world.run(&["DELETE FROM items WHERE id > 10"]).await;
    world.sync().await;
    world.assert_same(ITEMS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_5_a_transaction_larger_than_a_batch_is_applied_as_one() {
    let pair = Pair { source: Place::postgres(), target: Place::sqlite() };
    let world = World::new(&pair, &[TABLE]).await;
    world.sync().await;
    // What everybody can see at the target whenever a checkpoint is written.
    let audit = [
        "CREATE TABLE seen (rows INTEGER)",
        "CREATE TRIGGER seen AFTER UPDATE ON replicaverse_checkpoint
             BEGIN INSERT INTO seen SELECT count(*) FROM items; END",
    ];
    run(world.target.as_ref(), &audit).await;
    world.run(&["INSERT INTO items SELECT g, 'row ' || g FROM generate_series(1, 20000) AS g"]).await;
    assert_eq!(world.counts().await, (20_000, 0, 0, 0, 0));
    world.assert_same("SELECT count(*) AS n, max(id) AS most FROM items").await;
    let parts = "SELECT rows FROM seen WHERE rows NOT IN (0, 20000)";
    assert_eq!(world.at_target(parts).await, json!([]));
}
