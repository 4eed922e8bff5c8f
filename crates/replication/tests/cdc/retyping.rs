//! Columns that are given another type while a rule streams.

use std::sync::Arc;

use serde_json::json;

use crate::world::{Pair, Place, Witness, World, until_rows};

const TABLE: &str = "CREATE TABLE items (id BIGINT PRIMARY KEY, state VARCHAR(50))";
const FILL: &str = "INSERT INTO items VALUES (1, 'open'), (2, 'shut')";
const ITEMS: &str = "SELECT id, state FROM items ORDER BY id";

/// What the source makes of its values is in no log, so that they are read again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_whose_values_do_not_become_those_of_its_new_type_is_made_anew() {
    let computed = "ALTER TABLE items ALTER state TYPE INT USING CASE state WHEN 'open' THEN 1 ELSE 2 END";
    let replaced = "ALTER TABLE items DROP state, ADD state INT DEFAULT 3";
    for (pair, change) in [
        (Pair::postgres_to_postgres(), computed),
        (Pair::postgres_to_postgres(), replaced),
        (Pair::postgres_to_mariadb(), computed),
        (Pair::postgres_to_sqlite(), computed),
        (Pair { source: Place::postgres(), target: Place::mongodb() }, computed),
        (Pair::mariadb_to_postgres(), replaced),
        (Pair::mariadb_to_mariadb(), replaced),
    ] {
        let is_documents = pair.target.dialect == "mongodb";
        let world = World::new(&pair, &[TABLE, FILL]).await;
        world.manager.start("r", Arc::new(Witness::default())).await.unwrap();
        if is_documents {
            world.run(&[change, "INSERT INTO items VALUES (3, 7)"]).await;
            let query = r#"{"find": "items", "sort": {"_id": 1}}"#;
            let expected = json!([{"_id": 1, "state": 1}, {"_id": 2, "state": 2}, {"_id": 3, "state": 7}]);
            until_rows(world.target.as_ref(), query, expected).await;
        } else {
            world.until_same(ITEMS).await;
            world.run(&[change, "INSERT INTO items VALUES (3, 7)"]).await;
            world.until_same(ITEMS).await;
        }
        world.assert_verified().await;
        world.manager.disconnect_all().await;
    }
}

/// The columns of before are known although no row told of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_that_changes_before_the_first_change_of_a_row_is_followed() {
    for pair in [Pair::mariadb_to_postgres(), Pair::postgres_to_postgres()] {
        let fill = "INSERT INTO items VALUES (1, '1'), (2, '2')";
        let world = World::new(&pair, &[TABLE, fill]).await;
        world.manager.start("r", Arc::new(Witness::default())).await.unwrap();
        world.until_same(ITEMS).await;
        world
            .run(&["ALTER TABLE items DROP state, ADD state INT", "UPDATE items SET state = 5 WHERE id = 1"])
            .await;
        world.until_same(ITEMS).await;
        world.assert_verified().await;
        world.manager.disconnect_all().await;
    }
}
