//! Why a request failed: one error type, its kinds, and what may be tried again.

use std::sync::Arc;
use std::time::Duration;

use crate::config::ConfigError;
use crate::request::SessionId;
use crate::route::RouteError;
use crate::shard::ShardError;

/// A failure of a request or of the engine. No message ever holds a password or a value.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The server refused the statement. The message is the server's own.
    #[error("{}", .0.message)]
    Server(Box<wire::ServerError>),
    /// No connection to the server could be opened.
    #[error("{server}: {source}")]
    Connect {
        /// The server's pool id.
        server: Arc<str>,
        /// Why.
        source: Arc<wire::Error>,
    },
    /// The connection was lost.
    #[error("{server}: the connection was lost {}: {reason}", if *.sent { "after the statement was sent" } else { "before the statement was sent" })]
    ConnectionLost {
        /// The server's pool id.
        server: Arc<str>,
        /// Whether the statement had been sent, so that the server may have carried it out.
        sent: bool,
        /// What happened.
        reason: Arc<str>,
    },
    /// The server that takes writes has become one that only reads. Its connections are opened anew.
    #[error("{server}: the primary accepts no writes any more: {}", .error.message)]
    Demoted {
        /// The server's pool id.
        server: Arc<str>,
        /// What the server said.
        error: Box<wire::ServerError>,
    },
    /// No server of the cluster takes writes at the moment; this one did.
    #[error("{server}: takes no writes, and no other server of the cluster does")]
    NoPrimary {
        /// The server's pool id.
        server: Arc<str>,
    },
    /// A failover was asked for to a replica that is not configured.
    #[error("No replicas available for failover in cluster: {cluster}")]
    NoReplica {
        /// The cluster's id.
        cluster: Arc<str>,
    },
    /// A replica that was to be promoted was not.
    #[error("{server}: was not promoted: {problem}")]
    Promotion {
        /// The server's pool id.
        server: Arc<str>,
        /// Why not.
        problem: Arc<str>,
    },
    /// No connection became free in time.
    #[error("{server}: no connection became free within {} ms{}", .limit.as_millis(), because(.reason.as_ref()))]
    AcquireTimeout {
        /// The server's pool id.
        server: Arc<str>,
        /// Why there was none, where that is more than that all were in use.
        reason: Option<Arc<str>>,
        /// The time allowed.
        limit: Duration,
    },
    /// The request was not answered in the time it was given; its statement is cancelled on the server.
    #[error("Query timed out after {} ms", .limit.as_millis())]
    Timeout {
        /// The time allowed.
        limit: Duration,
    },
    /// The caller cancelled the request.
    #[error("the query was cancelled")]
    Cancelled,
    /// The engine is closed.
    #[error("the connection pool is closed")]
    Closed,
    /// The session was released, or its connection was lost.
    #[error("the client was released or has lost its connection")]
    NoSession(SessionId),
    /// A statement would end the transaction of its session, which is ended otherwise.
    #[error(
        "this statement begins or ends a transaction: commit and rollback of the transaction itself do that"
    )]
    TransactionControl,
    /// No server can be chosen.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The statement cannot be carried out over the shards of its cluster.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// The transaction in which several shards were to be written to failed.
    #[error(transparent)]
    Transaction(Arc<crate::transaction::Error>),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The statement or its parameters cannot be sent.
    #[error("{0}")]
    Request(Arc<wire::Error>),
    /// The operating system refused the engine its thread or its event queue.
    #[error("the engine cannot start: {0}")]
    Start(Arc<std::io::Error>),
}

/// The kind of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// See [`Error::Server`].
    Server,
    /// See [`Error::Connect`].
    Connect,
    /// The server refused the user or the password.
    Authentication,
    /// See [`Error::ConnectionLost`].
    ConnectionLost,
    /// See [`Error::Demoted`].
    Demoted,
    /// See [`Error::NoPrimary`].
    NoPrimary,
    /// See [`Error::NoReplica`].
    NoReplica,
    /// See [`Error::Promotion`].
    Promotion,
    /// See [`Error::AcquireTimeout`].
    AcquireTimeout,
    /// See [`Error::Timeout`].
    Timeout,
    /// See [`Error::Cancelled`].
    Cancelled,
    /// See [`Error::Closed`].
    Closed,
    /// See [`Error::NoSession`].
    NoSession,
    /// See [`Error::TransactionControl`].
    TransactionControl,
    /// See [`Error::Route`].
    Route,
    /// See [`Error::Shard`].
    Shard,
    /// See [`Error::Transaction`].
    Transaction,
    /// See [`Error::Config`].
    Config,
    /// See [`Error::Request`].
    Request,
    /// See [`Error::Start`].
    Start,
}

impl ErrorKind {
    /// The stable code that JavaScript sees as `error.code` where the server gave none.
    pub fn code(self) -> &'static str {
        match self {
            Self::Server => "ERR_STATEMENT",
            Self::Connect | Self::ConnectionLost => "ERR_CONNECTION",
            Self::Authentication => "ERR_AUTHENTICATION",
            Self::Demoted => "ERR_READ_ONLY_PRIMARY",
            Self::NoPrimary => "ERR_NO_PRIMARY",
            Self::NoReplica => "ERR_NO_REPLICA",
            Self::Promotion => "ERR_PROMOTION",
            Self::AcquireTimeout => "ERR_ACQUIRE_TIMEOUT",
            Self::Timeout => "ERR_TIMEOUT",
            Self::Cancelled => "ERR_ABORTED",
            Self::Closed => "ERR_CLOSED",
            Self::NoSession => "ERR_RELEASED",
            Self::TransactionControl => "ERR_TRANSACTION_CONTROL",
            Self::Route => "ERR_ROUTE",
            Self::Shard => "ERR_SHARD_STATEMENT",
            Self::Transaction => "ERR_TRANSACTION",
            Self::Config | Self::Request => "ERR_CONFIG",
            Self::Start => "ERR_INTERNAL",
        }
    }
}

impl Error {
    /// The kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Server(_) => ErrorKind::Server,
            Self::Connect { source, .. } if is_refusal(source) => ErrorKind::Authentication,
            Self::Connect { .. } => ErrorKind::Connect,
            Self::ConnectionLost { .. } => ErrorKind::ConnectionLost,
            Self::Demoted { .. } => ErrorKind::Demoted,
            Self::NoPrimary { .. } => ErrorKind::NoPrimary,
            Self::NoReplica { .. } => ErrorKind::NoReplica,
            Self::Promotion { .. } => ErrorKind::Promotion,
            Self::AcquireTimeout { .. } => ErrorKind::AcquireTimeout,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Closed => ErrorKind::Closed,
            Self::NoSession(_) => ErrorKind::NoSession,
            Self::TransactionControl => ErrorKind::TransactionControl,
            Self::Route(_) => ErrorKind::Route,
            Self::Shard(_) => ErrorKind::Shard,
            Self::Transaction(_) => ErrorKind::Transaction,
            Self::Config(_) => ErrorKind::Config,
            Self::Request(_) => ErrorKind::Request,
            Self::Start(_) => ErrorKind::Start,
        }
    }

    /// What JavaScript sees as `error.code`: the SQLSTATE where the server gave one, else that of the kind.
    pub fn code(&self) -> &str {
        match self {
            Self::Shard(error) => error.code,
            Self::Transaction(error) => error.code(),
            _ => self.server_error().map_or(self.kind().code(), |error| &error.code),
        }
    }

    /// The server's error with all its fields, where there is one.
    pub fn server_error(&self) -> Option<&wire::ServerError> {
        match self {
            Self::Server(error) | Self::Demoted { error, .. } => Some(error),
            Self::Connect { source, .. } | Self::Request(source) => source.server(),
            _ => None,
        }
    }

    /// Whether the same request may succeed when it is made again. Where [`Error::ConnectionLost`] came after the
    /// statement was sent, the server may have carried it out.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Server(error) => error.is_retryable(),
            Self::Connect { source, .. } => source.is_retryable(),
            Self::Transaction(error) => error.is_retryable(),
            Self::ConnectionLost { .. }
            | Self::Demoted { .. }
            | Self::NoPrimary { .. }
            | Self::Promotion { .. }
            | Self::AcquireTimeout { .. } => true,
            Self::Route(RouteError::NoActiveCluster) => true,
            _ => false,
        }
    }
}

fn because(reason: Option<&Arc<str>>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

/// Whether the server has no connection to spare.
pub(crate) fn is_full(error: &wire::Error) -> bool {
    error.sqlstate() == Some("53300")
}

/// Whether a server that can be reached does not let the user in.
pub(crate) fn is_refusal(error: &wire::Error) -> bool {
    matches!(error, wire::Error::Authentication(_))
        || error.sqlstate().is_some_and(|code| code.starts_with("28"))
}
