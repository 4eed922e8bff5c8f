//! Why a transaction fails: one error type, and its kinds.

use std::sync::Arc;

use super::decision;
use super::state::State;

/// A failure of a transaction. No message holds a password or a value.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is no transaction of this id, or it has ended.
    #[error("Transaction {0} not found")]
    NotFound(Arc<str>),
    /// The transaction takes no such call any more.
    #[error("Transaction {id} is in {state} state, cannot execute operations")]
    State {
        /// The transaction.
        id: Arc<str>,
        /// Where it stands.
        state: State,
    },
    /// A statement is meant for a cluster that has no part in the transaction.
    #[error("No connection available for cluster {cluster} in transaction {id}")]
    NoBranch {
        /// The transaction.
        id: Arc<str>,
        /// The cluster.
        cluster: Arc<str>,
    },
    /// The transaction could not be begun on a cluster.
    #[error("Failed to start transaction on cluster {cluster}: {source}")]
    Begin {
        /// The cluster.
        cluster: Arc<str>,
        /// Why.
        source: crate::Error,
    },
    /// Nothing can be prepared on a server.
    #[error(
        "cluster {0} cannot take part in a transaction that writes on several clusters: its max_prepared_transactions \
         is 0. Set max_prepared_transactions in postgresql.conf to at least the number of such transactions at a time \
         (max_connections is a safe value), and restart the server"
    )]
    PreparedDisabled(Arc<str>),
    /// A branch did what PostgreSQL prepares no transaction with.
    #[error(
        "cluster {cluster} cannot take part in a transaction that writes on several clusters: {source}. PostgreSQL \
         prepares no transaction that has used temporary tables, LISTEN, UNLISTEN or NOTIFY, cursors WITH HOLD, or \
         advisory locks of both the session and the transaction"
    )]
    Unpreparable {
        /// The cluster.
        cluster: Arc<str>,
        /// What the server says.
        source: crate::Error,
    },
    /// Branches could not be prepared. Everything is rolled back.
    #[error("Prepare phase failed on clusters: {}", names(.0))]
    Prepare(Vec<(Arc<str>, crate::Error)>),
    /// A statement had failed, and the transaction was to be committed nevertheless. Everything is rolled back.
    #[error("the transaction was rolled back: a statement on cluster {0} had failed")]
    RolledBack(Arc<str>),
    /// The table of decisions is not there and cannot be made.
    #[error(
        "cluster {cluster} has no table for the decisions of transactions over several clusters, and it cannot be made: \
         {source}. Have it made, and let the role write to it: {}",
        decision::TABLE
    )]
    NoTable {
        /// The cluster.
        cluster: Arc<str>,
        /// Why it cannot be made.
        source: crate::Error,
    },
    /// The commit was sent, and nobody can be asked whether it was carried out. It may have been.
    #[error(
        "the outcome of transaction {id} is not known: the commit on cluster {cluster} was sent, but not answered: {source}"
    )]
    OutcomeUnknown {
        /// The transaction.
        id: Arc<str>,
        /// The cluster that decides.
        cluster: Arc<str>,
        /// What happened.
        source: crate::Error,
    },
    /// A server refused something, or cannot be reached. Everything is rolled back.
    #[error(transparent)]
    Database(#[from] crate::Error),
}

/// The kind of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// See [`Error::NotFound`], [`Error::State`] and [`Error::NoBranch`].
    Usage,
    /// See [`Error::Begin`].
    Begin,
    /// See [`Error::PreparedDisabled`].
    PreparedDisabled,
    /// See [`Error::Unpreparable`].
    Unpreparable,
    /// See [`Error::Prepare`].
    Prepare,
    /// See [`Error::RolledBack`].
    RolledBack,
    /// See [`Error::NoTable`].
    NoTable,
    /// See [`Error::OutcomeUnknown`].
    OutcomeUnknown,
    /// See [`Error::Database`].
    Database,
}

impl Error {
    /// The kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) | Self::State { .. } | Self::NoBranch { .. } => ErrorKind::Usage,
            Self::Begin { .. } => ErrorKind::Begin,
            Self::PreparedDisabled(_) => ErrorKind::PreparedDisabled,
            Self::Unpreparable { .. } => ErrorKind::Unpreparable,
            Self::Prepare(_) => ErrorKind::Prepare,
            Self::RolledBack(_) => ErrorKind::RolledBack,
            Self::NoTable { .. } => ErrorKind::NoTable,
            Self::OutcomeUnknown { .. } => ErrorKind::OutcomeUnknown,
            Self::Database(_) => ErrorKind::Database,
        }
    }

    /// What JavaScript sees as `error.code`: the cause's, where whoever repeats the transaction must know it, else that of
    /// the kind.
    pub fn code(&self) -> &str {
        match self {
            Self::NotFound(_) => "ERR_TRANSACTION_NOT_FOUND",
            Self::State { .. } => "ERR_TRANSACTION_STATE",
            Self::NoBranch { .. } => "ERR_TRANSACTION_CLUSTER",
            Self::PreparedDisabled(_) => "ERR_PREPARED_TRANSACTIONS_DISABLED",
            Self::Unpreparable { .. } => "ERR_TRANSACTION_UNPREPARABLE",
            Self::RolledBack(_) => "ERR_TRANSACTION_ABORTED",
            Self::NoTable { .. } => "ERR_TRANSACTION_TABLE",
            Self::OutcomeUnknown { .. } => "ERR_TRANSACTION_OUTCOME_UNKNOWN",
            Self::Prepare(failures) => {
                failures.first().map_or("ERR_TRANSACTION_PREPARE", |(_, error)| error.code())
            }
            Self::Begin { source, .. } | Self::Database(source) => source.code(),
        }
    }

    /// Whether the same transaction may succeed when all of it is done again. Never where it may have been committed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Prepare(failures) => failures.iter().all(|(_, error)| error.is_retryable()),
            Self::Begin { source, .. } | Self::Database(source) => source.is_retryable(),
            _ => false,
        }
    }
}

fn names(failures: &[(Arc<str>, crate::Error)]) -> String {
    let names: Vec<&str> = failures.iter().map(|(cluster, _)| &**cluster).collect();
    names.join(", ")
}
