//! Schema model, values, filters, and the dialects that carry them to PostgreSQL, CockroachDB, SQLite, MySQL,
//! MariaDB and MongoDB.
//!
//! Two views of a database live here. [`Dialect`] sees rows of entities, as an application of the ORM does.
//! [`table::TableStore`] sees the tables themselves, as replication does.

mod aggregate;
mod config;
mod connect;
mod dialect;
mod error;
pub mod file;
mod filter;
pub mod log;
mod mongodb;
mod mysql;
mod postgres;
pub mod progress;
pub mod record;
pub mod relation;
mod rows;
pub mod schema;
mod sql;
mod sqlite;
pub mod table;
mod value;

pub use aggregate::{Accumulator, Group, GroupKey, Pipeline, Stage};
pub use config::{ConnectionConfig, PoolSize, SchemaStrategy};
pub use connect::connect;
pub use dialect::{Dialect, DialectKind, Isolation, SharedTransaction, Transaction, Upserted};
pub use error::{DatabaseReport, Error, ErrorKind, Result};
pub use filter::{Condition, Direction, FieldPath, Filter, FindOptions, RowFilter};
pub use record::Record;
pub use rows::{Cell, CellSink, RowSink};
pub use schema::EntitySchema;
pub use value::{
    Object, ObjectId, Timestamp, Value, json_from_value, json_text, normal_decimal, plain_value,
    value_from_json,
};
