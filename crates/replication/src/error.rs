//! The error type of this crate. The messages that applications of the JavaScript original match are kept as they
//! were, in French; new ones are in English.

use std::path::PathBuf;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A replica of that name exists.
    #[error("Replica \"{replica}\" existe deja dans le projet \"{project}\"")]
    DuplicateReplica {
        /// The project.
        project: String,
        /// The name.
        replica: String,
    },
    /// A project has one master at the most.
    #[error("Le projet \"{project}\" a deja un master: \"{master}\"")]
    SecondMaster {
        /// The project.
        project: String,
        /// The master it has.
        master: String,
    },
    /// The project is unknown here.
    #[error("Projet \"{0}\" n'a pas de replicas")]
    NoReplicas(String),
    /// The project has no such replica.
    #[error("Replica \"{replica}\" introuvable dans \"{project}\"")]
    UnknownReplica {
        /// The project.
        project: String,
        /// The name.
        replica: String,
    },
    /// The replica cannot be promoted.
    #[error("Replica \"{replica}\" n'est pas connectee (status: {status})")]
    NotConnected {
        /// The name.
        replica: String,
        /// Its status.
        status: &'static str,
    },
    /// The replica lacks what the master had, and must not.
    #[error(
        "replica \"{replica}\" has lagTolerance 0 and is not promoted: {}; {{force: true}} gives that up",
        bytes.map_or("it cannot be told what it lacks".to_owned(), |bytes| format!("it is {bytes} bytes behind the master"))
    )]
    Behind {
        /// The name.
        replica: String,
        /// How many bytes of log it lacks, where that can be told.
        bytes: Option<u64>,
    },
    /// The replica cannot be made the master.
    #[error("replica \"{replica}\" is not promoted: {problem}")]
    Promotion {
        /// The name.
        replica: String,
        /// Why not, and what to do.
        problem: String,
    },
    /// The replica went away while it was being connected.
    #[error(
        "replica \"{replica}\" of project \"{project}\" was removed or disconnected while it was connecting"
    )]
    Removed {
        /// The project.
        project: String,
        /// The name.
        replica: String,
    },
    /// A rule of that name exists.
    #[error("Regle de replication \"{0}\" existe deja")]
    DuplicateRule(String),
    /// Changes would come back to where they were made, and begin anew there.
    #[error(
        "rule \"{rule}\" would carry changes round in a circle: {cycle}; leave it out, or make one rule of mode \
         'bidirectional' of those between two projects"
    )]
    RuleCycle {
        /// The rule.
        rule: String,
        /// The places that changes would pass.
        cycle: String,
    },
    /// There is no such rule.
    #[error("Regle \"{0}\" introuvable")]
    UnknownRule(String),
    /// The rule is switched off.
    #[error("Regle \"{0}\" est desactivee")]
    RuleDisabled(String),
    /// One end of the rule has no connected master.
    #[error("Pas de master connecte pour le projet {end} \"{project}\"")]
    NoMaster {
        /// `source` or `target`.
        end: &'static str,
        /// The project.
        project: String,
    },
    /// No mode of that name exists.
    #[error("Mode de replication inconnu: {0}; known are snapshot, cdc, bidirectional")]
    UnknownMode(String),
    /// Changes of this rule would have to be captured in a way that its source does not have.
    #[error(
        "rule \"{rule}\": changes of this source cannot be captured with capture: '{capture}'; set capture: 'poll' (by \
         updatedAt, without deletes), or use mode snapshot"
    )]
    UnsupportedCapture {
        /// The rule.
        rule: String,
        /// Its way of capture.
        capture: &'static str,
    },
    /// The rule is being run already.
    #[error("rule \"{0}\" is running already; stop it first")]
    RuleRunning(String),
    /// The log no longer holds the changes that are to be applied next.
    #[error(
        "rule \"{rule}\": the log of the source no longer holds the changes to be applied next ({reason}); repair the \
             target with resync"
    )]
    LogLost {
        /// The rule.
        rule: String,
        /// What became of the log.
        reason: String,
    },
    /// The source keeps more of its log for the rule than it may.
    #[error(
        "rule \"{rule}\": the source kept {retained} bytes of its log, of {most} that it may (maxRetainedBytes); the \
             rule was stopped and they were given free, so that its next run copies everything anew"
    )]
    LogRetention {
        /// The rule.
        rule: String,
        /// The bytes kept.
        retained: u64,
        /// The bytes that may be kept.
        most: u64,
    },
    /// The target refused a row, and the rule is to stop then.
    #[error(
        "rule \"{rule}\": the target refused the row {key} of \"{collection}\" ({reason}); correct it, or set \
             onRowError: 'dead-letter'"
    )]
    RowRefused {
        /// The rule.
        rule: String,
        /// The collection.
        collection: String,
        /// The row's key.
        key: String,
        /// Why it was refused.
        reason: String,
    },
    /// Columns of the source have changed, and those of the target are not to.
    #[error(
        "rule \"{rule}\": of table \"{source_table}\" at the source {changes}; change table \"{target_table}\" at the \
             target alike, or give it schemaStrategy: 'update'; nothing was lost"
    )]
    SchemaChanged {
        /// The rule.
        rule: String,
        /// What has changed.
        changes: String,
        /// The table at the source.
        source_table: String,
        /// The table at the target.
        target_table: String,
    },
    /// Rows of the source are told apart by other columns than before.
    #[error(
        "rule \"{rule}\": the primary key of table \"{source_table}\" at the source was changed, by which rows are told apart; \
             give table \"{target_table}\" at the target the same one, then resync the rule; nothing was lost"
    )]
    KeyChanged {
        /// The rule.
        rule: String,
        /// The table at the source.
        source_table: String,
        /// The table at the target.
        target_table: String,
    },
    /// Another process runs the rule.
    #[error("rule \"{0}\" is run by another process now")]
    LeaseLost(String),
    /// What a run is based on has changed, so that it begins anew.
    #[error("{0}")]
    Retry(String),
    /// A setting is missing or malformed.
    #[error("{field}: {problem}")]
    Config {
        /// The setting.
        field: String,
        /// What is wrong, and the fix.
        problem: String,
    },
    /// The tree file cannot be read or written.
    #[error("tree file {}: {problem}", path.display())]
    TreeFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A database refused or failed.
    #[error("{context}: {source}")]
    Database {
        /// What was being done.
        context: String,
        /// What the data layer said.
        source: data::Error,
    },
    /// A task of ours ended without a result.
    #[error("a replication task ended unexpectedly: {0}")]
    Task(String),
}

impl Error {
    /// The stable code that JavaScript sees as `error.code`.
    pub fn code(&self) -> &str {
        match self {
            Self::DuplicateReplica { .. } => "ERR_DUPLICATE_REPLICA",
            Self::SecondMaster { .. } => "ERR_SECOND_MASTER",
            Self::NoReplicas(_) => "ERR_NO_REPLICAS",
            Self::UnknownReplica { .. } => "ERR_UNKNOWN_REPLICA",
            Self::NotConnected { .. } => "ERR_NOT_CONNECTED",
            Self::Behind { .. } => "ERR_REPLICA_BEHIND",
            Self::Promotion { .. } => "ERR_PROMOTION",
            Self::Removed { .. } => "ERR_REPLICA_REMOVED",
            Self::DuplicateRule(_) => "ERR_DUPLICATE_RULE",
            Self::RuleCycle { .. } => "ERR_RULE_CYCLE",
            Self::UnknownRule(_) => "ERR_UNKNOWN_RULE",
            Self::RuleDisabled(_) => "ERR_RULE_DISABLED",
            Self::NoMaster { .. } => "ERR_NO_MASTER",
            Self::UnknownMode(_) => "ERR_UNKNOWN_MODE",
            Self::UnsupportedCapture { .. } => "ERR_UNSUPPORTED",
            Self::RuleRunning(_) => "ERR_RULE_RUNNING",
            Self::LogLost { .. } => "ERR_LOG_LOST",
            Self::LogRetention { .. } => "ERR_LOG_RETENTION",
            Self::RowRefused { .. } => "ERR_ROW_REFUSED",
            Self::SchemaChanged { .. } | Self::KeyChanged { .. } => "ERR_SCHEMA_CHANGED",
            Self::LeaseLost(_) => "ERR_LEASE_LOST",
            Self::Retry(_) => "ERR_CONFLICT",
            Self::Config { .. } => "ERR_CONFIG",
            Self::TreeFile { .. } => "ERR_TREE_FILE",
            Self::Database { source, .. } => source.code(),
            Self::Task(_) => "ERR_INTERNAL",
        }
    }

    /// The data layer's error, where one caused this.
    pub fn database(&self) -> Option<&data::Error> {
        match self {
            Self::Database { source, .. } => Some(source),
            _ => None,
        }
    }

    pub(crate) fn config(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config { field: field.into(), problem: problem.into() }
    }

    pub(crate) fn database_in(context: impl Into<String>) -> impl FnOnce(data::Error) -> Self {
        let context = context.into();
        move |source| Self::Database { context, source }
    }
}
