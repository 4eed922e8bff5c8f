//! What every database dialect can do with the rows of an entity.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Filter, FindOptions};
use crate::record::Record;
use crate::schema::EntitySchema;
use crate::table::TableStore;
use crate::value::Value;

/// The databases that have a dialect here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DialectKind {
    /// PostgreSQL.
    Postgres,
    /// CockroachDB, over PostgreSQL's protocol.
    Cockroachdb,
    /// SQLite.
    Sqlite,
    /// MongoDB.
    Mongodb,
}

impl DialectKind {
    /// Every dialect with the names that configurations use for it.
    const NAMES: [(&'static str, Self); 7] = [
        ("postgres", Self::Postgres),
        ("cockroachdb", Self::Cockroachdb),
        ("sqlite", Self::Sqlite),
        ("mongodb", Self::Mongodb),
        ("postgresql", Self::Postgres),
        ("cockroach", Self::Cockroachdb),
        ("mongo", Self::Mongodb),
    ];

    /// The dialect of this name.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownDialect`] naming the known ones.
    pub fn parse(name: &str) -> Result<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind).ok_or_else(|| {
            Error::new(
                ErrorKind::UnknownDialect,
                format!("unknown dialect \"{name}\"; known are postgres, cockroachdb, sqlite, mongodb"),
            )
        })
    }

    /// The name that configurations use.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

impl DialectKind {
    /// Whether rows may have any fields, so that a catalogue can only say what the rows at hand have.
    pub fn is_schemaless(self) -> bool {
        self == Self::Mongodb
    }
}

/// The isolation of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Sees what others have committed when each statement starts.
    ReadCommitted,
    /// Sees what others had committed when the transaction started.
    RepeatableRead,
    /// As if transactions ran one after another.
    Serializable,
}

impl Isolation {
    /// Reads `serializable`, `READ_COMMITTED`, `repeatable read` and the like; `read uncommitted` gives read
    /// committed, which is what PostgreSQL does with it.
    ///
    /// # Errors
    /// [`ErrorKind::Config`].
    pub fn parse(text: &str) -> Result<Self> {
        match text.to_lowercase().replace(['_', '-'], " ").as_str() {
            "read uncommitted" | "read committed" => Ok(Self::ReadCommitted),
            "repeatable read" | "snapshot" => Ok(Self::RepeatableRead),
            "serializable" => Ok(Self::Serializable),
            _ => Err(Error::new(
                ErrorKind::Config,
                format!(
                    "isolation: unknown level \"{text}\"; known are read committed, repeatable read, serializable"
                ),
            )),
        }
    }
}

/// The outcome of an upsert.
#[derive(Debug, Clone, PartialEq)]
pub struct Upserted {
    /// The row as it now is.
    pub record: Record,
    /// Whether it was inserted.
    pub created: bool,
}

/// A database, or one transaction on it, seen as rows of entities. Filters, options and schemas mean the same on
/// every dialect.
#[async_trait]
pub trait Dialect: Send + Sync + 'static {
    /// Which database this is.
    fn kind(&self) -> DialectKind;

    /// Makes one round trip.
    async fn test_connection(&self) -> Result<()>;

    /// Closes every connection; under `create-drop` the registered tables are dropped first. Calling it again does
    /// nothing.
    async fn disconnect(&self) -> Result<()>;

    /// Brings the tables of these entities into being, as the connection's schema strategy says.
    async fn init_schema(&self, schemas: &[Arc<EntitySchema>]) -> Result<()>;

    /// The rows that pass the filter.
    async fn find(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        options: &FindOptions,
    ) -> Result<Vec<Record>>;

    /// How many rows pass the filter.
    async fn count(&self, schema: &EntitySchema, filter: &Filter, include_deleted: bool) -> Result<u64>;

    /// Inserts a row and returns it as stored.
    async fn create(&self, schema: &EntitySchema, record: Record) -> Result<Record>;

    /// Changes the row of this id and returns it as stored; `None` if there is none.
    async fn update(&self, schema: &EntitySchema, id: &Value, changes: Record) -> Result<Option<Record>>;

    /// Deletes the row of this id, softly where the entity says so; whether there was one.
    async fn delete(&self, schema: &EntitySchema, id: &Value) -> Result<bool>;

    /// Changes the first row that passes the filter, or inserts the record with the filter's equalities. Safe against
    /// another upsert of the same unique key at the same time.
    async fn upsert(&self, schema: &EntitySchema, filter: &Filter, record: Record) -> Result<Upserted>;

    /// Runs a statement in the database's own language and returns its rows. MongoDB takes a command as JSON text.
    async fn execute_query(&self, statement: &str, params: Vec<Value>) -> Result<Vec<Record>>;

    /// Runs a statement in the database's own language and returns how many rows it changed.
    async fn execute_run(&self, statement: &str, params: Vec<Value>) -> Result<u64>;

    /// Starts a transaction pinned to one connection; within a transaction, a savepoint.
    async fn begin(&self, isolation: Option<Isolation>) -> Result<Arc<dyn Transaction>>;

    /// The tables beneath the entities, for replication. A transaction has none of its own.
    fn tables(&self) -> Option<&dyn TableStore>;
}

/// A transaction: every operation of the dialect, on one connection.
#[async_trait]
pub trait Transaction: Dialect {
    /// Makes the changes permanent. Afterwards every call fails with [`ErrorKind::Transaction`].
    async fn commit(&self) -> Result<()>;

    /// Undoes the changes; after the end it does nothing. A transaction that is dropped is rolled back.
    async fn rollback(&self) -> Result<()>;
}
