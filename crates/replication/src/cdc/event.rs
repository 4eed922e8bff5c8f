//! What a running rule tells whoever watches it.

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::stats::Winner;

/// What a rule of mode `cdc` is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// It is being prepared.
    Starting,
    /// Another process runs the rule; this one takes over when that ends.
    Standby,
    /// What the source holds is being copied.
    Copying,
    /// Changes are applied as they come.
    Streaming,
    /// A connection was lost or a transaction collided; it is tried again.
    Retrying,
    /// It was stopped, or an error stopped it.
    Stopped,
    /// The log no longer holds the changes that are to be applied; `resync` repairs the target.
    Lost,
}

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RowOperation {
    /// It was inserted.
    Insert,
    /// It was updated.
    Update,
    /// It was deleted.
    Delete,
    /// Every row was removed.
    Truncate,
}

impl RowOperation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Truncate => "truncate",
        }
    }
}

/// Something that happened to a running rule.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum CdcEvent {
    /// The rule is in another state.
    State {
        /// The rule.
        rule: String,
        /// Its state.
        state: RunState,
        /// Why, if not because somebody asked for it.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Changes were applied and committed.
    Batch {
        /// The rule.
        rule: String,
        /// How many transactions of the source ended in the batch.
        transactions: u64,
        /// Rows created.
        created: u64,
        /// Rows updated.
        updated: u64,
        /// Rows deleted.
        deleted: u64,
        /// Rows that the conflict rule left alone.
        skipped: u64,
        /// Rows that were set aside.
        failed: u64,
        /// Up to where in the log.
        position: String,
        /// When the last transaction was committed at the source, in ms since the epoch.
        committed_at_ms: i64,
        /// How long applying took, in ms.
        duration_ms: u64,
    },
    /// How far the target is behind.
    Lag {
        /// The rule.
        rule: String,
        /// How far the target is behind, in ms.
        lag_ms: u64,
        /// Bytes of the log that the source keeps for the rule.
        retained_bytes: u64,
    },
    /// A row had changed on both sides of a bidirectional rule.
    Conflict {
        /// The rule.
        rule: String,
        /// The collection, as the rule names it.
        collection: String,
        /// Its primary key at the source, for a person.
        key: String,
        /// Whose version has stayed.
        winner: Winner,
        /// The fields that differed; none where one side had deleted the row.
        fields: Vec<String>,
    },
    /// Something went wrong.
    Error {
        /// The rule.
        rule: String,
        /// A stable code.
        code: String,
        /// What went wrong.
        message: String,
        /// Whether the rule goes on by itself.
        retryable: bool,
    },
    /// A row was changed; only told to who wants it.
    Change {
        /// The rule.
        rule: String,
        /// The collection, as the rule names it.
        collection: String,
        /// What happened to the row.
        operation: RowOperation,
        /// Its primary key at the source, for a person.
        key: String,
        /// When the change was committed at the source, in ms since the epoch.
        at: i64,
    },
}

/// Watches a running rule. It is called from the task that runs the rule and must not block. A change is told when it was
/// committed, and of a very large transaction before; one that is applied again is told again.
#[async_trait]
pub trait CdcObserver: Send + Sync {
    /// Is told what happened.
    fn on(&self, event: CdcEvent);

    /// Waits until it has dealt with so much of what it was told that it can be told more; the rule goes on after that.
    async fn ready(&self) {}

    /// Whether it wants to know of every row.
    fn wants_changes(&self) -> bool {
        false
    }

    /// Decides between two versions of a row, where a bidirectional rule leaves that to the application.
    ///
    /// # Errors
    /// Why it cannot; the row is set aside then, and both sides keep their versions.
    async fn resolve(&self, conflict: RowVersions) -> Result<Resolution, String> {
        Err(format!("nobody decides between the versions of {}", conflict.key))
    }
}

/// A row that has changed on both sides of a bidirectional rule.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RowVersions {
    /// The rule.
    pub rule: String,
    /// The collection, as the rule names it.
    pub collection: String,
    /// Its primary key at the source, for a person.
    pub key: String,
    /// The row as the source has it, by the names of its columns; `null` if it was deleted there.
    pub source: Option<Json>,
    /// The row as the target has it, by the names that the source has for its columns; `null` if it was deleted there.
    pub target: Option<Json>,
}

/// What an application makes of two versions of a row.
#[derive(Debug, Clone)]
pub enum Resolution {
    /// The row that both sides are to have, by the names of the columns at the source. Columns that are left out are those of
    /// the source, or of the target where the source has no row.
    Row(Map<String, Json>),
    /// Neither side is to have the row.
    Delete,
}

/// A rule that runs.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleState {
    /// The rule.
    pub rule: String,
    /// What it is doing.
    pub state: RunState,
    /// Up to where in the log changes have been applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// How far the target is behind, in ms, once that has been measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
    /// Bytes of the log that the source keeps for the rule, once that has been measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retained_bytes: Option<u64>,
    /// Since when it is in this state, in ms since the epoch.
    pub since: u64,
}
