//! Replication rules: what is copied from which project to which.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::column_rule::ColumnRule;
use crate::error::{Error, Result};
use crate::rule_shape::{RawRuleShape, RuleShape};

/// How a rule replicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A full mirror on each run.
    Snapshot,
    /// Changes as they are captured.
    Cdc,
    /// Changes both ways.
    Bidirectional,
}

impl Mode {
    /// The name that configurations use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Cdc => "cdc",
            Self::Bidirectional => "bidirectional",
        }
    }
}

/// Which version of a row stays when source and target differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictResolution {
    /// The source's.
    SourceWins,
    /// The target's.
    TargetWins,
    /// The one with the later `updatedAt`; the source's where one has none.
    Timestamp,
    /// The one that the application makes of both; only of a bidirectional rule that streams.
    Resolve,
}

/// How a rule of mode `cdc` learns of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capture {
    /// By what suits the source best.
    #[default]
    Auto,
    /// From the log of the source.
    Log,
    /// From a table that triggers fill.
    Trigger,
    /// By asking for rows with a later `updatedAt`, which cannot see deletes.
    Poll,
}

impl Capture {
    /// The name that configurations use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Log => "log",
            Self::Trigger => "trigger",
            Self::Poll => "poll",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Auto, Self::Log, Self::Trigger, Self::Poll].into_iter().find(|capture| capture.name() == name)
    }

    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

/// What happens when the target of a rule of mode `cdc` refuses a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnRowError {
    /// The row is set aside in the target's table `replicaverse_dead_letter`, and tried again.
    #[default]
    DeadLetter,
    /// The rule stops before the transaction that the row belongs to.
    Stop,
}

impl OnRowError {
    fn is_default(&self) -> bool {
        *self == Self::DeadLetter
    }
}

/// What becomes of the fields of a document for which the target has no column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExtraFields {
    /// They are left out, and counted in the stats.
    #[default]
    Report,
    /// They are kept together in the column `extra`, as JSON.
    Column,
}

impl ExtraFields {
    fn is_default(&self) -> bool {
        *self == Self::Report
    }
}

/// How far a poll reads back behind what it has seen, in ms, unless the rule says otherwise.
pub const DEFAULT_POLL_OVERLAP_MS: u64 = 5000;
/// The longest overlap, a century: beyond it lie no dates of any use.
const MOST_POLL_OVERLAP_MS: f64 = 3.2e12;

/// Beyond this a double no longer tells one byte from the next.
const MOST_RETAINED_BYTES: f64 = 9_007_199_254_740_991.0;

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

/// A rule as an application or a tree file gives it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(expecting = "a replication rule")]
struct RawRule {
    name: Option<String>,
    source: Option<String>,
    target: Option<String>,
    mode: Option<String>,
    collections: Option<Vec<String>>,
    conflict_resolution: Option<String>,
    enabled: Option<bool>,
    capture: Option<String>,
    poll_overlap_ms: Option<f64>,
    on_row_error: Option<String>,
    max_retained_bytes: Option<f64>,
    extra_fields: Option<String>,
    columns: Option<IndexMap<String, ColumnRule>>,
    #[serde(flatten)]
    shape: RawRuleShape,
}

impl Rule {
    /// Reads and checks a rule from its JSON form.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field, or [`Error::UnknownMode`].
    pub fn from_json(json: serde_json::Value) -> Result<Self> {
        let raw: RawRule =
            serde_json::from_value(json).map_err(|error| Error::config("rule", error.to_string()))?;
        let name = required("rule.name", raw.name)?;
        let place = |field: &str| format!("rule \"{name}\".{field}");
        let collections = raw.collections.unwrap_or_default();
        if collections.is_empty() || collections.iter().any(String::is_empty) {
            return Err(Error::config(
                place("collections"),
                "must name at least one entity or table, or '*' for all",
            ));
        }
        let mode = match required(&place("mode"), raw.mode)?.as_str() {
            "snapshot" => Mode::Snapshot,
            "cdc" => Mode::Cdc,
            "bidirectional" => Mode::Bidirectional,
            other => return Err(Error::UnknownMode(other.to_owned())),
        };
        let conflict_resolution = match raw.conflict_resolution.as_deref() {
            None if mode == Mode::Bidirectional => ConflictResolution::Timestamp,
            None | Some("source-wins") => ConflictResolution::SourceWins,
            Some("target-wins") => ConflictResolution::TargetWins,
            Some("timestamp") => ConflictResolution::Timestamp,
            Some("resolve") if mode == Mode::Bidirectional => ConflictResolution::Resolve,
            Some(other) => {
                let problem = format!(
                    "unknown value \"{other}\"; known are source-wins, target-wins, timestamp, and in mode bidirectional resolve"
                );
                return Err(Error::config(place("conflictResolution"), problem));
            }
        };
        let capture = match raw.capture.as_deref() {
            None => Capture::Auto,
            Some(name) => Capture::parse(name).ok_or_else(|| {
                let problem = format!("unknown value \"{name}\"; known are auto, log, trigger, poll");
                Error::config(place("capture"), problem)
            })?,
        };
        let poll_overlap_ms = match raw.poll_overlap_ms {
            None => None,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the guard bounds it"
            )]
            Some(ms) if (0.0..=MOST_POLL_OVERLAP_MS).contains(&ms) => Some(ms as u64),
            Some(ms) => {
                let problem = format!("expected milliseconds from 0, found {ms}");
                return Err(Error::config(place("pollOverlapMs"), problem));
            }
        };
        let on_row_error = match raw.on_row_error.as_deref() {
            None | Some("dead-letter") => OnRowError::DeadLetter,
            Some("stop") => OnRowError::Stop,
            Some(other) => {
                let problem = format!("unknown value \"{other}\"; known are dead-letter, stop");
                return Err(Error::config(place("onRowError"), problem));
            }
        };
        let max_retained_bytes = match raw.max_retained_bytes {
            None => None,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the guard bounds it"
            )]
            Some(bytes) if (1.0..=MOST_RETAINED_BYTES).contains(&bytes) => Some(bytes as u64),
            Some(bytes) => {
                let problem = format!("expected bytes from 1, found {bytes}");
                return Err(Error::config(place("maxRetainedBytes"), problem));
            }
        };
        let extra_fields = match raw.extra_fields.as_deref() {
            None | Some("report") => ExtraFields::Report,
            Some("column") => ExtraFields::Column,
            Some(other) => {
                let problem = format!("unknown value \"{other}\"; known are report, column");
                return Err(Error::config(place("extraFields"), problem));
            }
        };
        let columns = raw.columns.unwrap_or_default();
        let reads_log = mode == Mode::Cdc && capture != Capture::Poll;
        check_columns(&columns, &collections, reads_log)
            .map_err(|problem| Error::config(place("columns"), problem))?;
        let shape = raw.shape.checked(&collections, mode == Mode::Bidirectional);
        let shape = shape.map_err(|(setting, problem)| Error::config(place(setting), problem))?;
        if !shape.transforms && columns.values().any(|columns| !columns.add.is_empty()) {
            return Err(Error::config(place("columns"), "add is for columns that a transform fills"));
        }
        Ok(Self {
            source: required(&place("source"), raw.source)?,
            target: required(&place("target"), raw.target)?,
            mode,
            collections,
            conflict_resolution,
            enabled: raw.enabled.unwrap_or(true),
            capture,
            poll_overlap_ms,
            on_row_error,
            max_retained_bytes,
            left_out: Vec::new(),
            extra_fields,
            columns,
            shape,
            name,
        })
    }
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

fn check_columns(
    columns: &IndexMap<String, ColumnRule>,
    collections: &[String],
    reads_log: bool,
) -> Result<(), String> {
    if !columns.is_empty() && !reads_log {
        return Err("is for rules of mode cdc that read a log or what triggers record".to_owned());
    }
    for (name, columns) in columns {
        if !collections.iter().any(|collection| collection == name || collection == "*") {
            return Err(format!("\"{name}\" is none of the rule's collections"));
        }
        if let Some(problem) = columns.problem() {
            return Err(format!("of \"{name}\": {problem}"));
        }
    }
    Ok(())
}

fn required(field: &str, value: Option<String>) -> Result<String> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| Error::config(field, "is required"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_is_enabled_unless_it_says_otherwise() {
        let rule = Rule::from_json(json!({
            "name": "r", "source": "a", "target": "b", "mode": "snapshot", "collections": ["*"],
            "conflictResolution": "timestamp"
        }))
        .unwrap();
        assert!(rule.enabled);
        assert_eq!(rule.conflict_resolution, ConflictResolution::Timestamp);
    }

    #[test]
    fn capture_and_overlap_are_kept_and_checked() {
        let json = json!({
            "name": "r", "source": "a", "target": "b", "mode": "cdc", "collections": ["*"],
            "capture": "poll", "pollOverlapMs": 250
        });
        let rule = Rule::from_json(json.clone()).unwrap();
        assert_eq!((rule.capture, rule.poll_overlap_ms), (Capture::Poll, Some(250)));
        let saved = serde_json::to_value(&rule).unwrap();
        assert_eq!(Rule::from_json(saved).unwrap(), rule);
        for (field, value) in [("capture", json!("guess")), ("pollOverlapMs", json!(-1))] {
            let mut json = json.clone();
            json[field] = value;
            let message = Rule::from_json(json).unwrap_err().to_string();
            assert!(message.starts_with(&format!("rule \"r\".{field}")), "{message}");
        }
    }

    #[test]
    fn what_becomes_of_refused_rows_and_of_a_large_log_is_kept_and_checked() {
        let json = json!({
            "name": "r", "source": "a", "target": "b", "mode": "cdc", "collections": ["*"],
            "onRowError": "stop", "maxRetainedBytes": 1_000_000, "extraFields": "column"
        });
        let rule = Rule::from_json(json.clone()).unwrap();
        assert_eq!((rule.on_row_error, rule.max_retained_bytes), (OnRowError::Stop, Some(1_000_000)));
        assert_eq!(rule.extra_fields, ExtraFields::Column);
        let saved = serde_json::to_value(&rule).unwrap();
        assert_eq!(Rule::from_json(saved).unwrap(), rule);
        let wrong =
            [("onRowError", json!("ignore")), ("maxRetainedBytes", json!(0)), ("extraFields", json!("drop"))];
        for (field, value) in wrong {
            let mut json = json.clone();
            json[field] = value;
            let message = Rule::from_json(json).unwrap_err().to_string();
            assert!(message.starts_with(&format!("rule \"r\".{field}")), "{message}");
        }
    }

    #[test]
    fn the_newest_row_wins_under_a_bidirectional_rule_that_says_nothing_else() {
        let rule = |mode: &str| {
            let json = json!({"name": "r", "source": "a", "target": "b", "mode": mode, "collections": ["*"]});
            Rule::from_json(json).unwrap().conflict_resolution
        };
        assert_eq!(rule("bidirectional"), ConflictResolution::Timestamp);
        assert_eq!(rule("snapshot"), ConflictResolution::SourceWins);
    }

    #[test]
    fn a_mode_that_does_not_exist_is_refused_in_the_known_words() {
        let rule = json!({"name": "r", "source": "a", "target": "b", "mode": "magic", "collections": ["*"]});
        assert!(
            Rule::from_json(rule).unwrap_err().to_string().contains("Mode de replication inconnu: magic")
        );
    }

    #[test]
    fn a_rule_without_collections_names_the_field() {
        let rule = json!({"name": "r", "source": "a", "target": "b", "mode": "cdc", "collections": []});
        assert!(Rule::from_json(rule).unwrap_err().to_string().starts_with("rule \"r\".collections"));
    }
}
