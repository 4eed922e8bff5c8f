//! The MongoDB dialect against a genuine mongod.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where what it needs is missing")]

mod aggregate;
mod atomic;
mod collections;
mod command;
mod connect;
mod crud;
mod faults;
mod filter;
mod infer;
mod log;
mod many;
mod schema;
mod search;
mod support;
mod table_transactions;
mod tables;
mod transaction;
mod upsert;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use data::{
    ConnectionConfig, Dialect, DialectKind, EntitySchema, Filter, FindOptions, Record, SchemaStrategy, Value,
    value_from_json,
};
use serde_json::{Value as Json, json};
use support::Server;

/// A database name that no other test of this process uses; the servers live as long as the process.
fn new_database() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("test{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

async fn connect_to(uri: String, strategy: SchemaStrategy) -> Arc<dyn Dialect> {
    let mut config = ConnectionConfig::new(DialectKind::Mongodb, uri);
    config.schema_strategy = strategy;
    data::connect(&config).await.expect("the server is there")
}

/// A connection to a fresh database of the replica set, and the driver's own view of it.
async fn fresh() -> (Arc<dyn Dialect>, mongodb::Database) {
    fresh_on(Server::replica_set(), "").await
}

async fn fresh_on(server: &Server, options: &str) -> (Arc<dyn Dialect>, mongodb::Database) {
    let name = new_database();
    let dialect = connect_to(server.uri(&name, options), SchemaStrategy::Update).await;
    (dialect, server.database(&name).await)
}

fn schema(json: Json) -> Arc<EntitySchema> {
    Arc::new(EntitySchema::from_json(&json).expect("the schema is well formed"))
}

fn users() -> Arc<EntitySchema> {
    schema(json!({
        "name": "User", "collection": "users", "timestamps": true,
        "fields": {
            "name": {"type": "string", "required": true}, "email": {"type": "string", "unique": true},
            "age": {"type": "number"}, "active": {"type": "boolean", "default": true}, "born": {"type": "date"},
            "tags": {"type": "array"}, "extra": {"type": "json"}
        },
        "relations": {
            "boss": {"type": "many-to-one", "target": "User", "joinColumn": "bossId"},
            "groups": {"type": "many-to-many", "target": "Group", "through": "user_groups"}
        }
    }))
}

fn record(json: Json) -> Record {
    match value_from_json(json) {
        Value::Object(object) => *object,
        other => panic!("expected an object, found {}", other.type_name()),
    }
}

fn filter(json: Json) -> Filter {
    Filter::parse(&record(json)).expect("the filter is well formed")
}

fn options(json: Json) -> FindOptions {
    FindOptions::parse(&record(json)).expect("the options are well formed")
}

fn text<'r>(record: &'r Record, name: &str) -> &'r str {
    record.get(name).and_then(Value::as_text).unwrap_or_else(|| panic!("{name} of {record:?}"))
}

/// The names of the users that pass a filter, in order.
async fn names(dialect: &Arc<dyn Dialect>, condition: Json) -> Vec<String> {
    let found = dialect.find(&users(), &filter(condition), &options(json!({"sort": {"name": 1}}))).await;
    found.expect("the filter is accepted").iter().map(|user| text(user, "name").to_owned()).collect()
}
