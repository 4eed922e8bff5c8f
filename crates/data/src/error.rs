//! The one error type of this crate: a kind, a message, and what the database itself said.

use std::error::Error as StdError;
use std::time::Duration;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller may want to act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A connection setting or an argument is missing or malformed.
    Config,
    /// No dialect of that name exists here.
    UnknownDialect,
    /// The server cannot be reached, or the connection was lost.
    Connection,
    /// The server refused the user or the password.
    Authentication,
    /// The server did not answer, or no connection became free, in time.
    Timeout,
    /// An entity schema is malformed.
    Schema,
    /// The entity is not registered.
    UnknownEntity,
    /// A table or collection does not exist.
    UnknownTable,
    /// A filter, sort or projection is malformed or names an unknown field.
    Filter,
    /// A value does not fit its field or column.
    Value,
    /// A unique index already holds the value.
    UniqueViolation,
    /// A required value is missing.
    NotNullViolation,
    /// A referenced row does not exist, or is still referenced.
    ForeignKeyViolation,
    /// A check constraint or document validator refused the row.
    CheckViolation,
    /// The table has no primary key.
    NoPrimaryKey,
    /// The database or file cannot be written.
    ReadOnly,
    /// The disk or quota of the database is full.
    DiskFull,
    /// The user lacks a privilege.
    Permission,
    /// Two transactions collided; running the transaction again may succeed.
    Conflict,
    /// The transaction was used after its end, or cannot be started.
    Transaction,
    /// The statement is wrong, or the database refused it for another reason.
    Statement,
    /// A file does not exist, or cannot be read or written.
    File,
    /// A file's content is not what its format says.
    Format,
    /// Changes cannot be captured safely until a setting is changed or a statement is run, which the message names.
    Capture,
    /// The log no longer holds the changes that a reader has not seen.
    LogLost,
    /// Whoever asked for it stopped it.
    Stopped,
    /// The dialect cannot do this.
    Unsupported,
    /// The dialect was used after `disconnect`.
    Closed,
    /// A defect in this library.
    Internal,
}

impl ErrorKind {
    /// The stable code that JavaScript sees as `error.code` where the database gave none.
    pub fn code(self) -> &'static str {
        match self {
            Self::Config => "ERR_CONFIG",
            Self::UnknownDialect => "ERR_UNKNOWN_DIALECT",
            Self::Connection => "ERR_CONNECTION",
            Self::Authentication => "ERR_AUTHENTICATION",
            Self::Timeout => "ERR_TIMEOUT",
            Self::Schema => "ERR_SCHEMA",
            Self::UnknownEntity => "ENTITY_NOT_FOUND",
            Self::UnknownTable => "ERR_UNKNOWN_TABLE",
            Self::Filter => "ERR_FILTER",
            Self::Value => "ERR_VALUE",
            Self::UniqueViolation => "ERR_UNIQUE",
            Self::NotNullViolation => "ERR_REQUIRED",
            Self::ForeignKeyViolation => "ERR_FOREIGN_KEY",
            Self::CheckViolation => "ERR_CHECK",
            Self::NoPrimaryKey => "ERR_NO_PRIMARY_KEY",
            Self::ReadOnly => "ERR_READ_ONLY",
            Self::DiskFull => "ERR_DISK_FULL",
            Self::Permission => "ERR_PERMISSION",
            Self::Conflict => "ERR_CONFLICT",
            Self::Transaction => "ERR_TRANSACTION",
            Self::Statement => "ERR_STATEMENT",
            Self::File => "ERR_FILE",
            Self::Format => "ERR_FORMAT",
            Self::Capture => "ERR_CAPTURE",
            Self::LogLost => "ERR_LOG_LOST",
            Self::Stopped => "ERR_STOPPED",
            Self::Unsupported => "ERR_UNSUPPORTED",
            Self::Closed => "ERR_CLOSED",
            Self::Internal => "ERR_INTERNAL",
        }
    }

    /// Whether the same call may succeed later without any change by the caller.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Connection | Self::Timeout | Self::Conflict)
    }

    /// Whether the error is about one row, so that the other rows of its batch can still be written.
    pub fn is_row_level(self) -> bool {
        matches!(
            self,
            Self::Value
                | Self::UniqueViolation
                | Self::NotNullViolation
                | Self::ForeignKeyViolation
                | Self::CheckViolation
        )
    }
}

/// What the database reported, as it reported it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseReport {
    /// SQLSTATE, MySQL error number, SQLite result code or MongoDB error code.
    pub code: String,
    /// PostgreSQL's severity.
    pub severity: Option<String>,
    /// A longer explanation.
    pub detail: Option<String>,
    /// The database's own advice.
    pub hint: Option<String>,
    /// Character position in the statement, counted from 1.
    pub position: Option<String>,
    /// The schema concerned.
    pub schema: Option<String>,
    /// The table concerned.
    pub table: Option<String>,
    /// The column concerned.
    pub column: Option<String>,
    /// The constraint concerned.
    pub constraint: Option<String>,
}

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    report: Option<Box<DatabaseReport>>,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The error that no connection of a pool of this size became free in time.
pub(crate) fn pool_exhausted(size: usize, waited: Duration) -> Error {
    Error::new(
        ErrorKind::Timeout,
        format!(
            "pool exhausted: no connection became free within {waited:?}, as all {size} are in use; raise pool.max or \
             end transactions sooner"
        ),
    )
}

impl Error {
    /// An error of this kind; the message names what is wrong and, where there is one, the fix.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), report: None, source: None }
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds what the database reported.
    #[must_use]
    pub fn with_report(mut self, report: DatabaseReport) -> Self {
        self.report = Some(Box::new(report));
        self
    }

    /// Puts the place where the error arose before the message.
    #[must_use]
    pub fn in_context(mut self, context: impl std::fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The database's own report, if it came that far.
    pub fn report(&self) -> Option<&DatabaseReport> {
        self.report.as_deref()
    }

    /// The database's code where there is one, else the code of the kind.
    pub fn code(&self) -> &str {
        match &self.report {
            Some(report) if !report.code.is_empty() => &report.code,
            _ => self.kind.code(),
        }
    }
}
