//! Schema strategies, indexes and prefixes.

use std::collections::BTreeMap;
use std::sync::Arc;

use data::{ConnectionConfig, Dialect, DialectKind, ErrorKind, Filter, SchemaStrategy};
use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use serde_json::json;

use crate::support::Server;
use crate::{connect_to, new_database, record, schema, users};

async fn open(database: &str, strategy: SchemaStrategy) -> Arc<dyn Dialect> {
    connect_to(Server::replica_set().uri(database, ""), strategy).await
}

#[tokio::test]
async fn validate_names_the_missing_collection() {
    let database = new_database();
    let error = open(&database, SchemaStrategy::Validate).await.init_schema(&[users()]).await.unwrap_err();
    assert_eq!(error.to_string(), "Schema validation failed: table \"users\" does not exist");
    assert_eq!(error.kind(), ErrorKind::UnknownTable);
    open(&database, SchemaStrategy::Update).await.init_schema(&[users()]).await.unwrap();
    open(&database, SchemaStrategy::Validate).await.init_schema(&[users()]).await.unwrap();
}

#[tokio::test]
async fn create_drops_first_and_create_drop_also_at_the_end() {
    let database = new_database();
    let count = async |dialect: &Arc<dyn Dialect>| {
        dialect.count(&users(), &Filter::everything(), false).await.unwrap()
    };
    let update = open(&database, SchemaStrategy::Update).await;
    update.init_schema(&[users()]).await.unwrap();
    update.create(&users(), record(json!({"name": "Ann"}))).await.unwrap();
    update.init_schema(&[users()]).await.unwrap();
    assert_eq!(count(&update).await, 1);
    open(&database, SchemaStrategy::None).await.init_schema(&[users()]).await.unwrap();
    assert_eq!(count(&update).await, 1);
    open(&database, SchemaStrategy::Create).await.init_schema(&[users()]).await.unwrap();
    assert_eq!(count(&update).await, 0);
    let create_drop = open(&database, SchemaStrategy::CreateDrop).await;
    create_drop.init_schema(&[users()]).await.unwrap();
    create_drop.disconnect().await.unwrap();
    assert_eq!(update.tables().unwrap().list_tables().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn indexes_and_collections_carry_the_prefix_and_their_names() {
    let server = Server::replica_set();
    let database = new_database();
    let mut config = ConnectionConfig::new(DialectKind::Mongodb, server.uri(&database, ""));
    config.table_prefix = "app_".to_owned();
    let dialect = data::connect(&config).await.unwrap();
    let posts = schema(json!({
        "name": "Post", "collection": "posts", "fields": {"slug": {"type": "string", "unique": true}, "body": {"type": "text"}},
        "indexes": [{"fields": {"slug": "asc", "body": "desc"}, "unique": true}, {"fields": {"body": "text"}}]
    }));
    let trash = schema(
        json!({"name": "Trash", "softDelete": true, "fields": {"name": {"type": "string", "unique": true}}}),
    );
    dialect.init_schema(&[posts.clone(), trash.clone()]).await.unwrap();
    dialect.init_schema(&[posts, trash]).await.unwrap();
    let stored = server.database(&database).await;
    let indexes = async |collection: &str| -> BTreeMap<String, Document> {
        let cursor = stored.run_cursor_command(doc! {"listIndexes": collection}).await.unwrap();
        let all: Vec<Document> = cursor.try_collect().await.unwrap();
        all.into_iter().map(|index| (index.get_str("name").unwrap().to_owned(), index)).collect()
    };
    let posts = indexes("app_posts").await;
    assert_eq!(
        posts.keys().map(String::as_str).collect::<Vec<_>>(),
        ["_id_", "idx_app_posts_0", "idx_app_posts_1", "slug_1"]
    );
    assert_eq!(posts["idx_app_posts_0"].get_document("key").unwrap(), &doc! {"slug": 1, "body": -1});
    let trash = indexes("app_trash").await;
    assert!(trash["uidx_app_trash_name_softdelete"].get_bool("unique").unwrap());
}

#[tokio::test]
async fn an_index_that_exists_in_another_form_is_left_alone() {
    let database = new_database();
    let stored = Server::replica_set().database(&database).await;
    let index = doc! {"key": {"email": 1}, "name": "email_1", "unique": true};
    stored.run_command(doc! {"createIndexes": "users", "indexes": [index]}).await.unwrap();
    open(&database, SchemaStrategy::Update).await.init_schema(&[users()]).await.unwrap();
}

#[tokio::test]
async fn several_processes_may_prepare_the_same_collections_at_once() {
    for _ in 0..5 {
        let database = new_database();
        let starts = (0..6).map(|_| {
            let database = database.clone();
            tokio::spawn(async move {
                open(&database, SchemaStrategy::Update).await.init_schema(&[users()]).await
            })
        });
        for started in futures_util::future::join_all(starts).await {
            started.unwrap().unwrap();
        }
    }
}
