//! Dropping and emptying collections.

use std::sync::Arc;

use data::{ConnectionConfig, Dialect, DialectKind, EntitySchema, ErrorKind, Filter};
use serde_json::json;

use crate::support::Server;
use crate::{fresh, new_database, record, schema, users};

fn notes() -> Arc<EntitySchema> {
    schema(
        json!({"name": "Note", "collection": "notes", "fields": {"title": {"type": "string", "unique": true}}}),
    )
}

/// A connection with the prefix `app_`, beside a collection of somebody else.
async fn prefixed() -> (Arc<dyn Dialect>, mongodb::Database) {
    let (server, name) = (Server::replica_set(), new_database());
    let mut config = ConnectionConfig::new(DialectKind::Mongodb, server.uri(&name, ""));
    config.table_prefix = "app_".to_owned();
    let dialect = data::connect(&config).await.unwrap();
    dialect.init_schema(&[users(), notes()]).await.unwrap();
    dialect.create(&notes(), record(json!({"title": "a"}))).await.unwrap();
    let stored = server.database(&name).await;
    stored.create_collection("other").await.unwrap();
    (dialect, stored)
}

async fn collections(stored: &mongodb::Database) -> Vec<String> {
    let mut names = stored.list_collection_names().await.unwrap();
    names.sort();
    names
}

#[tokio::test]
async fn the_prefix_stands_before_every_name() {
    let (dialect, stored) = prefixed().await;
    dialect.truncate_table("notes").await.unwrap();
    assert_eq!(dialect.count(&notes(), &Filter::everything(), true).await.unwrap(), 0);
    assert!(
        !stored
            .collection::<mongodb::bson::Document>("app_notes")
            .list_index_names()
            .await
            .unwrap()
            .is_empty()
    );
    dialect.drop_table("notes").await.unwrap();
    dialect.drop_table("notes").await.unwrap();
    assert_eq!(collections(&stored).await, ["app_users", "other"]);
    for name in ["", "system.users", "a$b", "a\0"] {
        assert_eq!(dialect.drop_table(name).await.unwrap_err().kind(), ErrorKind::Config, "{name:?}");
        assert_eq!(dialect.truncate_table(name).await.unwrap_err().kind(), ErrorKind::Config, "{name:?}");
    }
}

#[tokio::test]
async fn entities_are_emptied_or_dropped_and_named() {
    let (dialect, stored) = prefixed().await;
    let absent = schema(json!({"name": "Absent"}));
    let schemas = [users(), absent, notes(), notes()];
    assert_eq!(dialect.truncate_all(&schemas).await.unwrap(), ["users", "notes"]);
    assert_eq!(dialect.count(&notes(), &Filter::everything(), true).await.unwrap(), 0);
    assert_eq!(dialect.drop_schema(&schemas).await.unwrap(), ["users", "notes"]);
    assert_eq!(collections(&stored).await, ["other"]);
    assert!(dialect.drop_schema(&schemas).await.unwrap().is_empty());
}

#[tokio::test]
async fn dropping_everything_spares_what_does_not_carry_the_prefix() {
    let (dialect, stored) = prefixed().await;
    dialect.drop_all_tables().await.unwrap();
    assert_eq!(collections(&stored).await, ["other"]);
    let (whole, stored) = fresh().await;
    whole.init_schema(&[users(), notes()]).await.unwrap();
    stored.create_collection("replicaverse_checkpoint").await.unwrap();
    whole.drop_all_tables().await.unwrap();
    assert_eq!(collections(&stored).await, ["replicaverse_checkpoint"]);
}

#[tokio::test]
async fn a_transaction_empties_but_does_not_drop() {
    let (dialect, _) = prefixed().await;
    let transaction = dialect.begin(None).await.unwrap();
    for dropped in [
        transaction.drop_table("notes").await,
        transaction.drop_schema(&[notes()]).await.map(drop),
        transaction.drop_all_tables().await,
    ] {
        assert_eq!(dropped.unwrap_err().kind(), ErrorKind::Unsupported);
    }
    transaction.truncate_all(&[notes()]).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(dialect.count(&notes(), &Filter::everything(), true).await.unwrap(), 1);
}
