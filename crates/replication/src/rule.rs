//! Replication rules: what is copied from which project to which.

mod choices;
mod read;

use indexmap::IndexMap;
use serde::Serialize;

use crate::column_rule::ColumnRule;
use crate::rule_shape::RuleShape;

pub use choices::{Capture, ConflictResolution, ExtraFields, Mode, OnRowError};

/// How far a poll reads back behind what it has seen, in ms, unless the rule says otherwise.
pub const DEFAULT_POLL_OVERLAP_MS: u64 = 5000;

/// A replication rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// The project read from.
    pub source: String,
    /// The project written to.
    pub target: String,
    /// How it replicates.
    pub mode: Mode,
    /// Entities or tables; `*` is every table of the source.
    pub collections: Vec<String>,
    /// What happens to rows that differ.
    pub conflict_resolution: ConflictResolution,
    /// Whether `sync` may run it.
    pub enabled: bool,
    /// How changes are learnt of; only mode `cdc` asks.
    #[serde(skip_serializing_if = "Capture::is_auto")]
    pub capture: Capture,
    /// How far a poll reads back behind what it has seen, in ms; the default is [`DEFAULT_POLL_OVERLAP_MS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll_overlap_ms: Option<u64>,
    /// What happens when the target refuses a row; only mode `cdc` asks.
    #[serde(skip_serializing_if = "OnRowError::is_default")]
    pub on_row_error: OnRowError,
    /// How many bytes of its log the source may keep for the rule. Above that the rule stops and gives them free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retained_bytes: Option<u64>,
    /// Tables that `*` does not stand for, because their rows cannot be told apart.
    #[serde(skip)]
    pub(crate) left_out: Vec<String>,
    /// What becomes of fields of documents that have no column at a SQL target; only captured documents ask.
    #[serde(skip_serializing_if = "ExtraFields::is_default")]
    pub extra_fields: ExtraFields,
    /// Which columns are replicated, by collection as `collections` or the source names it; only mode `cdc` asks.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub columns: IndexMap<String, ColumnRule>,
    /// Which rows it carries, and under which names.
    #[serde(flatten)]
    pub shape: RuleShape,
}

impl Rule {
    /// What stands for every table of a project's master where no rule does.
    pub(crate) fn of_project(project: &str) -> Self {
        Self {
            name: project.to_owned(),
            source: project.to_owned(),
            target: project.to_owned(),
            mode: Mode::Cdc,
            collections: vec!["*".to_owned()],
            conflict_resolution: ConflictResolution::SourceWins,
            enabled: true,
            capture: Capture::Auto,
            poll_overlap_ms: None,
            on_row_error: OnRowError::default(),
            max_retained_bytes: None,
            left_out: Vec::new(),
            extra_fields: ExtraFields::default(),
            columns: IndexMap::new(),
            shape: RuleShape::default(),
        }
    }

    /// Whether it learns of changes from a log or from what triggers record.
    pub(crate) fn reads_log(&self) -> bool {
        self.mode == Mode::Cdc && self.capture != Capture::Poll
    }
}
