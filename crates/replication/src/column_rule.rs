//! Which columns of a collection a rule replicates, and under which names.

use data::Object;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// The columns of a collection that are replicated, and their names at the target. Of documents they are the fields.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ColumnRule {
    /// Only these, if they are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<String>>,
    /// Without these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// The names at the target of those that have another one there.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub rename: IndexMap<String, String>,
    /// Further columns of the target, which the rule's transform fills.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
}

impl ColumnRule {
    /// Whether a column is replicated.
    pub(crate) fn takes(&self, column: &str) -> bool {
        let is_included = self.include.as_ref().is_none_or(|names| names.iter().any(|name| name == column));
        is_included && !self.exclude.iter().any(|name| name == column)
    }

    /// The name of a column at the target.
    pub(crate) fn at_target<'n>(&'n self, column: &'n str) -> &'n str {
        self.rename.get(column).map_or(column, String::as_str)
    }

    /// The fields of a document that are replicated, under their names at the target.
    pub(crate) fn fields(&self, fields: Object) -> Object {
        let taken = fields.into_iter().filter(|(name, _)| self.takes(name));
        taken.map(|(name, value)| (self.at_target(&name).to_owned(), value)).collect()
    }

    /// What contradicts itself, if anything does.
    pub(crate) fn problem(&self) -> Option<String> {
        let mut names: Vec<&String> = self.rename.values().collect();
        names.sort_unstable();
        let twice = names
            .windows(2)
            .find_map(|pair| matches!(pair, [a, b] if a == b).then(|| pair.first()).flatten());
        if let Some(name) = twice {
            return Some(format!("two columns are renamed to \"{name}\""));
        }
        let taken_twice = self.add.iter().find(|name| self.rename.values().any(|other| other == *name));
        if let Some(name) = taken_twice {
            return Some(format!("\"{name}\" is added, and another column is renamed to it"));
        }
        let untaken = self.rename.keys().find(|name| !self.takes(name));
        untaken.map(|name| format!("\"{name}\" is renamed and left out"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(json: serde_json::Value) -> ColumnRule {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_is_included_and_not_excluded_is_taken() {
        let columns = rule(json!({"include": ["id", "a", "b"], "exclude": ["b"], "rename": {"a": "c"}}));
        assert_eq!(["id", "a", "b", "z"].map(|name| columns.takes(name)), [true, true, false, false]);
        assert_eq!((columns.at_target("a"), columns.at_target("id")), ("c", "id"));
        assert!(ColumnRule::default().takes("anything"));
    }

    #[test]
    fn contradictions_are_found() {
        assert!(rule(json!({"rename": {"a": "c", "b": "c"}})).problem().is_some());
        assert!(rule(json!({"rename": {"a": "c"}, "exclude": ["a"]})).problem().is_some());
        assert_eq!(rule(json!({"rename": {"a": "b", "b": "a"}})).problem(), None);
    }
}
