//! Fresh databases for tests: a SQLite file, or a database of the one PostgreSQL cluster or MariaDB server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use data::{
    ConnectionConfig, Dialect, DialectKind, EntitySchema, Filter, FindOptions, Object, Record,
    SchemaStrategy, Value,
};
use serde_json::{Value as Json, json};

#[path = "../../../wire/tests/support/mod.rs"]
#[allow(dead_code, reason = "the module serves other tests as well")]
mod support;

#[path = "mariadb_server.rs"]
#[allow(dead_code, reason = "the module serves other tests as well")]
mod mariadb_server;

use mariadb_server::MariadbServer;
use support::Cluster;

/// A database of its own for one test.
pub(crate) struct Database {
    pub(crate) kind: DialectKind,
    pub(crate) uri: String,
    _folder: Option<tempfile::TempDir>,
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let uri = folder.path().join("test.db").display().to_string();
        Self { kind: DialectKind::Sqlite, uri, _folder: Some(folder) }
    }

    /// A database in memory, gone with the dialect that opened it.
    pub(crate) fn sqlite_in_memory() -> Self {
        Self { kind: DialectKind::Sqlite, uri: ":memory:".to_owned(), _folder: None }
    }

    pub(crate) fn postgres() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let cluster = cluster();
        cluster.psql(&format!("CREATE DATABASE {name}"));
        Self { kind: DialectKind::Postgres, uri: postgres_uri(&name), _folder: None }
    }

    pub(crate) fn mariadb() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        mariadb().sql(&format!("CREATE DATABASE {name}"));
        Self { kind: DialectKind::Mariadb, uri: mariadb_uri(&name), _folder: None }
    }

    /// A name in the quotes of this database.
    pub(crate) fn quote(&self, name: &str) -> String {
        let mark = if self.kind == DialectKind::Mariadb { '`' } else { '"' };
        format!("{mark}{name}{mark}")
    }

    /// The placeholder of the first parameter.
    pub(crate) fn mark(&self) -> &'static str {
        if self.kind == DialectKind::Postgres { "$1" } else { "?" }
    }

    pub(crate) fn config(&self) -> ConnectionConfig {
        ConnectionConfig::new(self.kind, self.uri.clone())
    }

    pub(crate) async fn open(&self) -> Arc<dyn Dialect> {
        data::connect(&self.config()).await.unwrap()
    }

    pub(crate) async fn open_with(&self, change: impl FnOnce(&mut ConnectionConfig)) -> Arc<dyn Dialect> {
        let mut config = self.config();
        change(&mut config);
        data::connect(&config).await.unwrap()
    }

    /// Connects and creates the tables of these schemas.
    pub(crate) async fn with(&self, schemas: &[&Arc<EntitySchema>]) -> Arc<dyn Dialect> {
        let dialect = self.open().await;
        let schemas: Vec<_> = schemas.iter().map(|schema| Arc::clone(schema)).collect();
        dialect.init_schema(&schemas).await.unwrap();
        dialect
    }

    pub(crate) async fn strategy(&self, strategy: SchemaStrategy) -> Arc<dyn Dialect> {
        self.open_with(|config| config.schema_strategy = strategy).await
    }
}

/// The cluster is stopped by its watchdog when the test process ends, as statics are never dropped.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let settings = "max_connections=200\nshared_buffers=32MB\nautovacuum=off\n";
        let hba = "local all all trust\nhost all locked 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";
        let cluster = Cluster::start(settings, hba, |_| {});
        cluster.psql("CREATE ROLE locked LOGIN PASSWORD 'the right one'");
        cluster
    })
}

/// The server is stopped by its watchdog, as the cluster is.
pub(crate) fn mariadb() -> &'static MariadbServer {
    static SERVER: OnceLock<MariadbServer> = OnceLock::new();
    SERVER.get_or_init(MariadbServer::start)
}

pub(crate) fn mariadb_uri(database: &str) -> String {
    format!("mariadb://root@127.0.0.1:{}/{database}", mariadb().port())
}

pub(crate) fn postgres_uri(database: &str) -> String {
    format!("postgres://postgres@127.0.0.1:{}/{database}", cluster().port())
}

pub(crate) fn postgres_port() -> u16 {
    cluster().port()
}

pub(crate) fn schema(json: Json) -> Arc<EntitySchema> {
    Arc::new(EntitySchema::from_json(&json).unwrap())
}

/// An entity with a field of every type.
pub(crate) fn person() -> Arc<EntitySchema> {
    schema(json!({
        "name": "Person", "collection": "people", "timestamps": true,
        "fields": {
            "name": {"type": "string", "required": true},
            "bio": {"type": "text"},
            "age": {"type": "number"},
            "active": {"type": "boolean", "default": true},
            "born": {"type": "date"},
            "address": {"type": "json"},
            "tags": {"type": "array"},
            "email": {"type": "string", "unique": true, "lowercase": true, "trim": true}
        }
    }))
}

pub(crate) fn object(json: Json) -> Object {
    match data::value_from_json(json) {
        Value::Object(object) => *object,
        other => panic!("{other:?} is no object"),
    }
}

pub(crate) fn record(json: Json) -> Record {
    object(json)
}

pub(crate) fn filter(json: Json) -> Filter {
    Filter::parse(&object(json)).unwrap()
}

pub(crate) fn options(json: Json) -> FindOptions {
    FindOptions::parse(&object(json)).unwrap()
}

/// The texts of one field of every row.
pub(crate) fn texts(rows: &[Record], field: &str) -> Vec<String> {
    rows.iter().map(|row| row.get(field).and_then(Value::as_text).unwrap_or("-").to_owned()).collect()
}

pub(crate) async fn insert(dialect: &dyn Dialect, schema: &EntitySchema, rows: Json) {
    for row in rows.as_array().unwrap() {
        dialect.create(schema, record(row.clone())).await.unwrap();
    }
}

/// The names of the people that a filter finds, sorted.
pub(crate) async fn names(dialect: &dyn Dialect, schema: &EntitySchema, by: Json) -> Vec<String> {
    let mut names = texts(&dialect.find(schema, &filter(by), &FindOptions::default()).await.unwrap(), "name");
    names.sort();
    names
}
