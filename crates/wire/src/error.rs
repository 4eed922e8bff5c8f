//! What can go wrong on a connection: one error type, its kinds, and the fields of a server's error.

use std::io;
use std::time::Duration;

use crate::notice::ServerNotice;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of the client, of the network or of the server.
///
/// No message ever holds a password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The network failed, or a file named by the configuration could not be read.
    #[error("{context}: {source}")]
    Io {
        /// What was being done.
        context: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// The server did not answer in the time allowed.
    #[error("{context}: no answer within {limit:?}")]
    Timeout {
        /// What was being done.
        context: String,
        /// The time that was allowed.
        limit: Duration,
    },
    /// TLS was asked for and could not be had.
    #[error("TLS: {0}")]
    Tls(String),
    /// The client refused to go on with authentication (the server's refusal is [`Error::Server`]).
    #[error("authentication: {0}")]
    Authentication(String),
    /// The connection string, an environment variable or a call argument is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server sent what the protocol does not allow.
    #[error("protocol: {0}")]
    Protocol(String),
    /// The connection is closed.
    #[error("the connection is closed: {0}")]
    Closed(String),
    /// No host offers the kind of session that `target_session_attrs` asks for.
    #[error("no suitable host: {0}")]
    UnsuitableHost(String),
    /// COMMIT was sent in a failed transaction, and the server rolled it back.
    #[error("the transaction had failed, so COMMIT rolled it back")]
    RolledBack,
    /// The server reported an error.
    #[error("{0}")]
    Server(Box<ServerError>),
}

/// The kind of an [`Error`], without its detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// See [`Error::Io`].
    Io,
    /// See [`Error::Timeout`].
    Timeout,
    /// See [`Error::Tls`].
    Tls,
    /// See [`Error::Authentication`].
    Authentication,
    /// See [`Error::Config`].
    Config,
    /// See [`Error::Protocol`].
    Protocol,
    /// See [`Error::Closed`].
    Closed,
    /// See [`Error::UnsuitableHost`].
    UnsuitableHost,
    /// See [`Error::RolledBack`].
    RolledBack,
    /// See [`Error::Server`].
    Server,
}

/// A parameter that is unknown, or whose value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("connection parameter {parameter}: {message}")]
pub struct ConfigError {
    /// The name of the parameter, as the connection string spells it.
    pub parameter: String,
    /// What is wrong with it. The value of a secret is never repeated.
    pub message: String,
}

impl ConfigError {
    pub(crate) fn new(parameter: impl Into<String>, message: impl Into<String>) -> Self {
        Self { parameter: parameter.into(), message: message.into() }
    }
}

/// An error of the server, with every field of its message.
///
/// The names are those of the protocol; `where_` is the field `where`.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("{severity}: {message} (SQLSTATE {code})")]
pub struct ServerError {
    /// ERROR, FATAL or PANIC, never translated.
    pub severity: String,
    /// The five characters of the SQLSTATE.
    pub code: String,
    /// The main message, in the language of the server.
    pub message: String,
    /// A second, longer message.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The position of the error in the statement, in characters from 1.
    pub position: Option<u32>,
    /// The position in `internal_query`, in characters from 1.
    pub internal_position: Option<u32>,
    /// The text of a statement that the server itself made.
    pub internal_query: Option<String>,
    /// The call stack of PL/pgSQL functions and generated statements.
    pub where_: Option<String>,
    /// The schema of the object the error is about.
    pub schema: Option<String>,
    /// The table the error is about.
    pub table: Option<String>,
    /// The column the error is about.
    pub column: Option<String>,
    /// The data type the error is about.
    pub data_type: Option<String>,
    /// The constraint that was violated.
    pub constraint: Option<String>,
    /// The server's source file.
    pub file: Option<String>,
    /// The line in the server's source file.
    pub line: Option<u32>,
    /// The server's source routine.
    pub routine: Option<String>,
}

impl ServerError {
    /// Whether the server closes the connection after this error.
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }

    /// Whether the same transaction may succeed when it is run again from its beginning, perhaps on a new connection.
    pub fn is_retryable(&self) -> bool {
        let code = self.code.as_str();
        // Class 08 is connection exceptions; 57P01 to 57P03 are a server that stops or starts;
        // 57P05 is an idle session timeout.
        code.starts_with("08")
            || matches!(code, "40001" | "40P01" | "55P03" | "53300" | "57P01" | "57P02" | "57P03" | "57P05")
            || self.is_outdated_plan()
    }

    /// Whether a prepared statement has become unusable: its result type changed or it is gone.
    pub(crate) fn invalidates_statement(&self) -> bool {
        self.code == "26000" || self.is_outdated_plan()
    }

    /// Whether a statement was prepared before a change of definitions, by which it would return other columns.
    pub fn is_outdated_plan(&self) -> bool {
        // The message is translated, the name of the routine is not.
        self.code == "0A000" && self.routine.as_deref() == Some("RevalidateCachedQuery")
    }

    /// Whether a statement kept from before may have been refused only because a column that it compares or writes had
    /// another type when its parameters were given theirs: the data or the statement is called wrong.
    pub(crate) fn may_be_of_former_types(&self) -> bool {
        self.code.starts_with("22") || self.code.starts_with("42")
    }
}

impl From<ServerNotice> for ServerError {
    fn from(notice: ServerNotice) -> Self {
        notice.0
    }
}

impl Error {
    pub(crate) fn io(context: impl Into<String>, source: io::Error) -> Self {
        Self::Io { context: context.into(), source }
    }

    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::Protocol(message.into())
    }

    pub(crate) fn config(parameter: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Config(ConfigError::new(parameter, message))
    }

    /// The kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } => ErrorKind::Io,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Tls(_) => ErrorKind::Tls,
            Self::Authentication(_) => ErrorKind::Authentication,
            Self::Config(_) => ErrorKind::Config,
            Self::Protocol(_) => ErrorKind::Protocol,
            Self::Closed(_) => ErrorKind::Closed,
            Self::UnsuitableHost(_) => ErrorKind::UnsuitableHost,
            Self::RolledBack => ErrorKind::RolledBack,
            Self::Server(_) => ErrorKind::Server,
        }
    }

    /// The server's error, where it is one.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Self::Server(error) => Some(error),
            _ => None,
        }
    }

    /// The SQLSTATE, where the server gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        self.server().map(|error| error.code.as_str())
    }

    /// Whether the same work, from the beginning of its transaction and perhaps on a new connection, may succeed.
    ///
    /// True for network failures, lost connections, serialization failures, deadlocks and a server that is
    /// starting, stopping or out of connections. A statement that is not idempotent may have been carried out
    /// before the network failed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Timeout { .. } | Self::Closed(_) | Self::UnsuitableHost(_) => true,
            Self::Server(error) => error.is_retryable(),
            _ => false,
        }
    }
}
