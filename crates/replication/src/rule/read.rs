//! Rules as applications and tree files give them: read and checked.

use indexmap::IndexMap;
use serde::Deserialize;

use super::{Capture, ConflictResolution, ExtraFields, Mode, OnRowError, Rule};
use crate::column_rule::ColumnRule;
use crate::error::{Error, Result};
use crate::rule_shape::RawRuleShape;

/// The longest overlap, a century: beyond it lie no dates of any use.
const MOST_POLL_OVERLAP_MS: f64 = 3.2e12;

/// Beyond this a double no longer tells one byte from the next.
const MOST_RETAINED_BYTES: f64 = 9_007_199_254_740_991.0;

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
