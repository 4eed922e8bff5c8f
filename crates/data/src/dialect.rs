//! What every database dialect can do with the rows of an entity.

use std::sync::Arc;

use async_trait::async_trait;

use crate::aggregate::Pipeline;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Condition, FieldPath, Filter, FindOptions};
use crate::record::Record;
use crate::rows::RowSink;
use crate::schema::{EntitySchema, ID};
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
    /// MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
    /// A dialect that an application brings; configurations know it by its own name.
    Foreign,
}

impl DialectKind {
    /// Every dialect with the names that configurations use for it.
    const NAMES: [(&'static str, Self); 9] = [
        ("postgres", Self::Postgres),
        ("cockroachdb", Self::Cockroachdb),
        ("sqlite", Self::Sqlite),
        ("mongodb", Self::Mongodb),
        ("mysql", Self::Mysql),
        ("mariadb", Self::Mariadb),
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
            // Somebody may have put a URI in the place of the name, and its password is not to be seen.
            let name = name.split_once("://").map_or(name, |(scheme, _)| scheme);
            Error::new(
                ErrorKind::UnknownDialect,
                format!("unknown dialect \"{name}\"; known are postgres, cockroachdb, sqlite, mongodb, mysql, mariadb"),
            )
        })
    }

    /// The name that configurations use.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("foreign", |(name, _)| name)
    }
}

impl DialectKind {
    /// Whether rows may have any fields, so that a catalogue can only say what the rows at hand have.
    pub fn is_schemaless(self) -> bool {
        self == Self::Mongodb
    }

    /// Whether the null of JSON is another value than a missing one.
    pub fn has_json_null(self) -> bool {
        !matches!(self, Self::Mongodb | Self::Foreign)
    }

    /// Whether the links of a many-to-many relation are rows of a junction table that replication can reach.
    pub fn has_junctions(self) -> bool {
        !matches!(self, Self::Mongodb | Self::Foreign)
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
/// every dialect. Every built-in dialect has every operation; those with a body are the ones that a dialect of an
/// application's own does not need.
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

    /// As [`find`](Self::find), with the rows handed on as they are read.
    async fn find_into(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        options: &FindOptions,
        rows: &mut dyn RowSink,
    ) -> Result<()> {
        self.find(schema, filter, options).await?.into_iter().try_for_each(|record| rows.record(record))
    }

    /// How many rows pass the filter.
    async fn count(&self, schema: &EntitySchema, filter: &Filter, include_deleted: bool) -> Result<u64>;

    /// Inserts a row and returns it as stored.
    async fn create(&self, schema: &EntitySchema, record: Record) -> Result<Record>;

    /// As [`create`](Self::create), with the row handed on.
    async fn create_into(&self, schema: &EntitySchema, record: Record, row: &mut dyn RowSink) -> Result<()> {
        row.record(self.create(schema, record).await?)
    }

    /// Changes the row of this id and returns it as stored; `None` if there is none.
    async fn update(&self, schema: &EntitySchema, id: &Value, changes: Record) -> Result<Option<Record>>;

    /// Deletes the row of this id, softly where the entity says so; whether there was one.
    async fn delete(&self, schema: &EntitySchema, id: &Value) -> Result<bool>;

    /// Changes the first row that passes the filter, or inserts the record with the filter's equalities. Safe against
    /// another upsert of the same unique key at the same time.
    async fn upsert(&self, schema: &EntitySchema, filter: &Filter, record: Record) -> Result<Upserted>;

    /// Changes every row that passes the filter; how many there were.
    async fn update_many(&self, schema: &EntitySchema, filter: &Filter, changes: Record) -> Result<u64> {
        let _ = (schema, filter, changes);
        Err(missing())
    }

    /// Deletes every row that passes the filter, softly where the entity says so; how many there were. Of rows that
    /// are softly deleted already none counts.
    async fn delete_many(&self, schema: &EntitySchema, filter: &Filter) -> Result<u64> {
        let _ = (schema, filter);
        Err(missing())
    }

    /// The different values of a field among the rows that pass the filter, in ascending order; of an array field its
    /// items. NULL is not among them.
    async fn distinct(&self, schema: &EntitySchema, field: &str, filter: &Filter) -> Result<Vec<Value>> {
        let _ = (schema, field, filter);
        Err(missing())
    }

    /// The rows that an aggregation makes of those of the entity; softly deleted ones are left out unless a `$match`
    /// names `deletedAt`.
    async fn aggregate(&self, schema: &EntitySchema, pipeline: &Pipeline) -> Result<Vec<Record>> {
        let _ = (schema, pipeline);
        Err(missing())
    }

    /// Adds an amount to a number field of one row, atomically; no value counts as 0. The row as it now is, `None` if
    /// there is none.
    async fn increment(
        &self,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        amount: &Value,
    ) -> Result<Option<Record>> {
        let _ = (schema, id, field, amount);
        Err(missing())
    }

    /// Adds a value to an array field, or a many-to-many relation, of one row, unless it is among its items, atomically.
    /// The row as it now is.
    async fn add_to_set(
        &self,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        value: Value,
    ) -> Result<Option<Record>> {
        let _ = (schema, id, field, value);
        Err(missing())
    }

    /// Removes every item equal to a value from an array field, or a many-to-many relation, of one row, atomically. The
    /// row as it now is.
    async fn pull(
        &self,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        value: &Value,
    ) -> Result<Option<Record>> {
        let _ = (schema, id, field, value);
        Err(missing())
    }

    /// The rows that hold a text, in either case of its letters, in one of the fields; without fields, in one of the
    /// string and text fields. `%`, `_` and what a regular expression would interpret stand for themselves.
    async fn search(
        &self,
        schema: &EntitySchema,
        text: &str,
        fields: &[String],
        options: &FindOptions,
    ) -> Result<Vec<Record>> {
        let _ = (schema, text, fields, options);
        Err(missing())
    }

    /// For each of the rows with these ids, the ids that a many-to-many relation lists, as pairs of both.
    async fn links(
        &self,
        schema: &EntitySchema,
        relation: &str,
        ids: &[Value],
    ) -> Result<Vec<(Value, Value)>> {
        let _ = (schema, relation, ids);
        Err(missing())
    }

    /// Removes ids from the lists of a many-to-many relation, in whichever row they are; softly deleted rows are left as
    /// they are unless the entity is given as one without soft deletes.
    async fn unlink(&self, schema: &EntitySchema, relation: &str, ids: &[Value]) -> Result<()> {
        let path = FieldPath { field: relation.to_owned(), below: Vec::new() };
        let options = FindOptions { select: vec![ID.to_owned()], ..FindOptions::default() };
        let rows = self.find(schema, &Filter::Field(path, Condition::In(ids.to_vec())), &options).await?;
        let rows: Vec<Value> = rows.into_iter().filter_map(|mut row| row.shift_remove(ID)).collect();
        for (row, id) in self.links(schema, relation, &rows).await? {
            if ids.iter().any(|gone| gone.same_as(&id)) {
                self.pull(schema, &row, relation, &id).await?;
            }
        }
        Ok(())
    }

    /// Drops a table or collection, given without the prefix, if it exists.
    async fn drop_table(&self, collection: &str) -> Result<()> {
        let _ = collection;
        Err(missing())
    }

    /// Empties a table or collection, given without the prefix.
    async fn truncate_table(&self, collection: &str) -> Result<()> {
        let _ = collection;
        Err(missing())
    }

    /// Drops the tables of these entities, with their junctions, in any order of their references; their names.
    async fn drop_schema(&self, schemas: &[Arc<EntitySchema>]) -> Result<Vec<String>> {
        let _ = schemas;
        Err(missing())
    }

    /// Empties the tables of these entities, with their junctions, in any order of their references; their names.
    async fn truncate_all(&self, schemas: &[Arc<EntitySchema>]) -> Result<Vec<String>> {
        let _ = schemas;
        Err(missing())
    }

    /// Drops every table of the application, those with the prefix if there is one; not the library's own.
    async fn drop_all_tables(&self) -> Result<()> {
        Err(missing())
    }

    /// Runs a statement in the database's own language and returns its rows. MongoDB takes a command as JSON text.
    async fn execute_query(&self, statement: &str, params: Vec<Value>) -> Result<Vec<Record>>;

    /// Runs a statement in the database's own language and returns how many rows it changed.
    async fn execute_run(&self, statement: &str, params: Vec<Value>) -> Result<u64>;

    /// Starts a transaction pinned to one connection; within a transaction, a savepoint.
    async fn begin(&self, isolation: Option<Isolation>) -> Result<Arc<dyn Transaction>>;

    /// As [`begin`](Self::begin), for what belongs to one operation: other operations of a transaction wait until it has ended.
    async fn begin_step(&self) -> Result<Arc<dyn Transaction>> {
        self.begin(None).await
    }

    /// Has the rows that this thread creates from now on share a transaction, where the database writes a row at once. A creation
    /// that is not finished by its first step is not part of it.
    fn share_transaction(&self) -> Option<Box<dyn SharedTransaction + '_>> {
        None
    }

    /// The tables beneath the entities, for replication. A transaction has none of its own.
    fn tables(&self) -> Option<&dyn TableStore>;
}

/// A transaction that the rows share which one thread creates. Dropped before its end, it is rolled back.
pub trait SharedTransaction {
    /// Makes the rows permanent; whether that could be done. Else none of them was, as if they had not been created.
    fn end(self: Box<Self>) -> bool;
}

/// A transaction: every operation of the dialect, on one connection.
#[async_trait]
pub trait Transaction: Dialect {
    /// Makes the changes permanent. Afterwards every call fails with [`ErrorKind::Transaction`].
    async fn commit(&self) -> Result<()>;

    /// Undoes the changes; after the end it does nothing. A transaction that is dropped is rolled back.
    async fn rollback(&self) -> Result<()>;
}

/// Only a dialect that an application brings leaves operations out: JavaScript calls the application's own object for
/// them, and the core reads and writes its tables.
fn missing() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the core does not have this operation for a dialect of the application's own",
    )
}
