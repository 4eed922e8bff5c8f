//! Why migrations stop: one error type, its kinds, and the failures of single migrations.

use std::fmt::Write as _;

use super::definition::Place;
use super::host::Direction;

/// A failure of a plan or of the migrations in it. No message holds a password.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A migration, an option or a file is not as it must be.
    #[error("{0}")]
    Invalid(String),
    /// A migration names one that does not exist.
    #[error("Migration {version} depends on missing migration: {dependency}")]
    MissingDependency {
        /// The migration.
        version: String,
        /// What it names.
        dependency: String,
    },
    /// A migration needs one that neither was applied nor comes before it in the plan.
    #[error("Migration {version} depends on unapplied migration: {dependency} ({place})")]
    UnappliedDependency {
        /// The migration.
        version: String,
        /// What it needs.
        dependency: String,
        /// Where that is missing.
        place: Place,
    },
    /// Migrations need each other.
    #[error("Migrations depend on each other in a circle: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// A migration is pending though a later one was applied.
    #[error(
        "Migration {version} is out of order on {place}: {applied} was applied before it. Set allowOutOfOrder to apply it nevertheless"
    )]
    OutOfOrder {
        /// The migration.
        version: String,
        /// The later one.
        applied: String,
        /// Where.
        place: Place,
    },
    /// A migration was changed after it was applied.
    #[error(
        "Migration {version} was changed after it was applied on {place}: {file} has checksum {found}, the history {recorded}"
    )]
    Changed {
        /// The migration.
        version: Box<str>,
        /// The file it stands in, or what it was given as.
        file: Box<str>,
        /// The checksum in the history.
        recorded: Box<str>,
        /// The checksum now.
        found: Box<str>,
        /// Where it was applied.
        place: Place,
    },
    /// A migration stopped half-way in an earlier run, outside of a transaction.
    #[error(
        "Migration {version} stopped half-way on {place}: {what}. Continue it with resume (pgm {} --resume), or settle it with repair (pgm repair)", direction.command()
    )]
    HalfDone {
        /// The migration.
        version: String,
        /// Where.
        place: Place,
        /// Whether it was being applied or taken back.
        direction: Direction,
        /// What is known of it.
        what: String,
    },
    /// Another runner holds the lock of a cluster.
    #[error("Cluster {cluster} is locked by another migration runner: {holder}; waited {waited_ms} ms")]
    Locked {
        /// The cluster.
        cluster: String,
        /// Who holds it, and since when.
        holder: String,
        /// The time waited, in milliseconds.
        waited_ms: u128,
    },
    /// The lock of a cluster was lost, so that nothing more may be done there.
    #[error("The migration lock of cluster {cluster} was lost: {source}")]
    LockLost {
        /// The cluster.
        cluster: String,
        /// Why.
        source: crate::Error,
    },
    /// A server refused something, or cannot be reached.
    #[error("{context}: {source}")]
    Database {
        /// What was being done, and where.
        context: String,
        /// What happened.
        source: crate::Error,
    },
    /// Lint found errors in pending migrations, and they were to be refused.
    #[error("{}", .0.join("\n"))]
    Lint(Vec<String>),
    /// A function of the application threw.
    #[error("{}", .0.message)]
    Script(super::host::ScriptError),
    /// Migrations failed. Those that are not named were applied, or not begun.
    #[error("{}", list(.0))]
    Failed(Vec<Failure>),
}

/// The kind of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The call, a file or a migration is not valid.
    Invalid,
    /// A dependency is missing, not applied or circular.
    Dependency,
    /// See [`Error::OutOfOrder`].
    OutOfOrder,
    /// See [`Error::Changed`].
    Changed,
    /// See [`Error::HalfDone`].
    HalfDone,
    /// The lock is held by others, or was lost.
    Locked,
    /// See [`Error::Lint`].
    Lint,
    /// See [`Error::Database`].
    Database,
    /// A migration failed.
    Failed,
}

/// A migration that failed at one place.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Where.
    pub place: Place,
    /// Why.
    pub error: Error,
}

impl Error {
    /// The kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::MissingDependency { .. } | Self::UnappliedDependency { .. } | Self::Cycle(_) => {
                ErrorKind::Dependency
            }
            Self::OutOfOrder { .. } => ErrorKind::OutOfOrder,
            Self::Changed { .. } => ErrorKind::Changed,
            Self::HalfDone { .. } => ErrorKind::HalfDone,
            Self::Locked { .. } | Self::LockLost { .. } => ErrorKind::Locked,
            Self::Lint(_) => ErrorKind::Lint,
            Self::Database { .. } => ErrorKind::Database,
            Self::Script(_) | Self::Failed(_) => ErrorKind::Failed,
        }
    }

    /// What JavaScript sees as `error.code`: the server's SQLSTATE where it gave one, else that of the kind.
    pub fn code(&self) -> &str {
        match self {
            Self::Database { source, .. } => source.code(),
            Self::Script(error) => error.code.as_deref().unwrap_or("ERR_MIGRATION_FAILED"),
            Self::LockLost { .. } => "ERR_MIGRATION_LOCK_LOST",
            _ => self.kind().code(),
        }
    }

    /// Whether the same call may succeed later without any change.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Locked { .. } => true,
            Self::LockLost { source, .. } | Self::Database { source, .. } => source.is_retryable(),
            _ => false,
        }
    }

    /// The server's report, where there is one.
    pub fn server_error(&self) -> Option<&wire::ServerError> {
        match self {
            Self::LockLost { source, .. } | Self::Database { source, .. } => source.server_error(),
            _ => None,
        }
    }
}

impl ErrorKind {
    /// The stable code of the kind.
    pub fn code(self) -> &'static str {
        match self {
            Self::Invalid => "ERR_MIGRATION",
            Self::Dependency => "ERR_MIGRATION_DEPENDENCY",
            Self::OutOfOrder => "ERR_MIGRATION_ORDER",
            Self::Changed => "ERR_MIGRATION_CHECKSUM",
            Self::HalfDone => "ERR_MIGRATION_HALF_DONE",
            Self::Locked => "ERR_MIGRATION_LOCKED",
            Self::Lint => "ERR_MIGRATION_LINT",
            Self::Database => "ERR_STATEMENT",
            Self::Failed => "ERR_MIGRATION_FAILED",
        }
    }
}

fn list(failures: &[Failure]) -> String {
    let mut text = format!("{} migration(s) failed", failures.len());
    for failure in failures {
        // Writing to a text cannot fail.
        let _ = write!(text, "; {} on {}: {}", failure.version, failure.place, failure.error);
    }
    text
}
