//! Fresh databases of every kind for tests, and what tests say about their rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use data::relation::Entity;
use data::{
    ConnectionConfig, Dialect, DialectKind, EntitySchema, Filter, FindOptions, Object, Record, Value,
};
use serde_json::Value as Json;

#[path = "../mongodb/support.rs"]
#[allow(dead_code, reason = "the module serves other tests as well")]
mod mongod;
#[path = "../sql_dialects/database.rs"]
#[allow(dead_code, reason = "the module serves other tests as well")]
mod sql;

/// A database of its own for one test.
pub(crate) struct Fresh {
    config: ConnectionConfig,
    _sql: Option<sql::Database>,
}

impl Fresh {
    pub(crate) fn sqlite() -> Self {
        Self::of(sql::Database::sqlite())
    }

    pub(crate) fn postgres() -> Self {
        Self::of(sql::Database::postgres())
    }

    pub(crate) fn mariadb() -> Self {
        Self::of(sql::Database::mariadb())
    }

    fn of(database: sql::Database) -> Self {
        Self { config: database.config(), _sql: Some(database) }
    }

    pub(crate) fn mongodb() -> Self {
        Self::on(mongod::Server::replica_set())
    }

    /// A MongoDB server without transactions.
    pub(crate) fn standalone_mongodb() -> Self {
        Self::on(mongod::Server::standalone())
    }

    fn on(server: &mongod::Server) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("relations{}", COUNT.fetch_add(1, Ordering::Relaxed));
        Self { config: ConnectionConfig::new(DialectKind::Mongodb, server.uri(&name, "")), _sql: None }
    }

    /// Connects and creates the tables of these entities.
    pub(crate) async fn with(&self, schemas: &[Arc<EntitySchema>]) -> Arc<dyn Dialect> {
        let dialect = data::connect(&self.config).await.unwrap();
        dialect.init_schema(schemas).await.unwrap();
        dialect
    }

    /// Connects to a database with these entities, under a prefix of tables.
    pub(crate) async fn with_prefix(&self, prefix: &str, schemas: &[Arc<EntitySchema>]) -> Arc<dyn Dialect> {
        let mut config = self.config.clone();
        config.table_prefix = prefix.to_owned();
        let dialect = data::connect(&config).await.unwrap();
        dialect.init_schema(schemas).await.unwrap();
        dialect
    }
}

pub(crate) fn schema(json: Json) -> Arc<EntitySchema> {
    Arc::new(EntitySchema::from_json(&json).unwrap())
}

pub(crate) fn object(json: Json) -> Object {
    match data::value_from_json(json) {
        Value::Object(object) => *object,
        other => panic!("{other:?} is no object"),
    }
}

pub(crate) fn filter(json: Json) -> Filter {
    Filter::parse(&object(json)).unwrap()
}

pub(crate) fn options(json: Json) -> FindOptions {
    FindOptions::parse(&object(json)).unwrap()
}

/// An entity among others, on one database.
pub(crate) struct Table<'d> {
    pub(crate) dialect: &'d dyn Dialect,
    pub(crate) entity: Entity,
}

impl<'d> Table<'d> {
    pub(crate) fn new(dialect: &'d dyn Dialect, name: &str, schemas: &[Arc<EntitySchema>]) -> Self {
        let schema = schemas.iter().find(|schema| schema.name == name).unwrap();
        Self { dialect, entity: Entity::new(Arc::clone(schema), schemas) }
    }

    pub(crate) async fn create(&self, row: Json) -> Record {
        self.entity.create(self.dialect, object(row)).await.unwrap()
    }

    pub(crate) async fn update(&self, id: &str, changes: Json) -> Option<Record> {
        self.entity.update(self.dialect, &id.into(), object(changes)).await.unwrap()
    }

    pub(crate) async fn delete(&self, id: &str) -> bool {
        self.entity.delete(self.dialect, &id.into()).await.unwrap()
    }

    /// The row of an id with relations, as JSON.
    pub(crate) async fn row(&self, id: &str, relations: &[&str]) -> Json {
        let rows = self.rows(serde_json::json!({"id": id}), relations).await;
        rows.as_array().unwrap().first().cloned().unwrap_or_default()
    }

    /// The rows of a filter with relations, ordered by id, as JSON.
    pub(crate) async fn rows(&self, by: Json, relations: &[&str]) -> Json {
        json(self.read(by, relations, serde_json::json!({"sort": {"id": 1}})).await.unwrap())
    }

    /// The rows of a filter with relations.
    pub(crate) async fn read(&self, by: Json, relations: &[&str], how: Json) -> data::Result<Vec<Record>> {
        let relations: Vec<String> = relations.iter().map(|&name| name.to_owned()).collect();
        self.entity.find_with_relations(self.dialect, &filter(by), &relations, &options(how)).await
    }

    /// The ids of the rows of a filter, in order.
    pub(crate) async fn ids(&self, by: Json) -> Vec<String> {
        let options = options(serde_json::json!({"sort": {"id": 1}, "select": ["id"]}));
        let rows = self.dialect.find(self.entity.schema(), &filter(by), &options).await.unwrap();
        rows.iter().map(|row| row["id"].as_text().unwrap().to_owned()).collect()
    }

    pub(crate) async fn count(&self) -> u64 {
        self.dialect.count(self.entity.schema(), &Filter::everything(), true).await.unwrap()
    }
}

pub(crate) fn json(rows: Vec<Record>) -> Json {
    Json::Array(rows.into_iter().map(|row| data::json_from_value(&Value::Object(Box::new(row)))).collect())
}
