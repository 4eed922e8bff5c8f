//! Replication rules: what is copied from which project to which.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

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
}

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
            None | Some("source-wins") => ConflictResolution::SourceWins,
            Some("target-wins") => ConflictResolution::TargetWins,
            Some("timestamp") => ConflictResolution::Timestamp,
            Some(other) => {
                let problem =
                    format!("unknown value \"{other}\"; known are source-wins, target-wins, timestamp");
                return Err(Error::config(place("conflictResolution"), problem));
            }
        };
        Ok(Self {
            source: required(&place("source"), raw.source)?,
            target: required(&place("target"), raw.target)?,
            mode,
            collections,
            conflict_resolution,
            enabled: raw.enabled.unwrap_or(true),
            name,
        })
    }
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
