//! How to reach a database, and what to do with its schema.

use std::time::Duration;

use crate::dialect::DialectKind;
use crate::error::{Error, ErrorKind, Result};

/// How long an operation waits for a connection where nothing else is said.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// What happens to the tables of registered entities on connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SchemaStrategy {
    /// Tables must exist.
    Validate,
    /// Missing tables and columns are created.
    #[default]
    Update,
    /// The registered tables are dropped and created anew.
    Create,
    /// As `Create`, and dropped on disconnect.
    CreateDrop,
    /// Nothing is touched.
    None,
}

impl SchemaStrategy {
    /// Reads the name that configurations use.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the known ones.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "validate" => Ok(Self::Validate),
            "update" => Ok(Self::Update),
            "create" => Ok(Self::Create),
            "create-drop" => Ok(Self::CreateDrop),
            "none" => Ok(Self::None),
            other => Err(Error::new(
                ErrorKind::Config,
                format!(
                    "schemaStrategy: unknown value \"{other}\"; known are validate, update, create, create-drop, none"
                ),
            )),
        }
    }

    /// The name that configurations use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Update => "update",
            Self::Create => "create",
            Self::CreateDrop => "create-drop",
            Self::None => "none",
        }
    }
}

/// How many connections a pool holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSize {
    /// Connections kept open.
    pub min: usize,
    /// Connections at the most.
    pub max: usize,
}

impl Default for PoolSize {
    fn default() -> Self {
        Self { min: 2, max: 20 }
    }
}

/// How to reach a database.
#[derive(Clone)]
pub struct ConnectionConfig {
    /// Which kind of database.
    pub dialect: DialectKind,
    /// Where: a URI; for SQLite a path, `file:` or `sqlite:` URI, or `:memory:`.
    pub uri: String,
    /// What happens to the tables of registered entities.
    pub schema_strategy: SchemaStrategy,
    /// The pool.
    pub pool: PoolSize,
    /// How long an operation waits for a connection of the pool.
    pub acquire_timeout: Duration,
    /// Put before every table, index and junction name.
    pub table_prefix: String,
    /// Whether statements are reported as `tracing` events of the target `replicaverse::sql`, without values.
    pub show_sql: bool,
}

impl ConnectionConfig {
    /// The defaults for a database.
    pub fn new(dialect: DialectKind, uri: impl Into<String>) -> Self {
        Self {
            dialect,
            uri: uri.into(),
            schema_strategy: SchemaStrategy::default(),
            pool: PoolSize::default(),
            acquire_timeout: ACQUIRE_TIMEOUT,
            table_prefix: String::new(),
            show_sql: false,
        }
    }
}

impl std::fmt::Debug for ConnectionConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URI holds the password.
        f.debug_struct("ConnectionConfig")
            .field("dialect", &self.dialect)
            .field("schema_strategy", &self.schema_strategy)
            .field("pool", &self.pool)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("table_prefix", &self.table_prefix)
            .finish_non_exhaustive()
    }
}
