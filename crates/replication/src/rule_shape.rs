//! What a rule says of the rows that it carries and of the names that they get: `where`, `rename`, `sourceColumn`,
//! `keyPrefix` and `transform`.

use std::time::Duration;

use data::schema::Discriminator;
use data::{Filter, RowFilter, Value, value_from_json};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::row_shape::Transform;

/// What stands for every collection that is not named, and in a new name for the old one.
const EVERY: &str = "*";

/// How many milliseconds a row may take on its way through the transform of a rule, unless the rule says otherwise.
pub const DEFAULT_TRANSFORM_TIMEOUT_MS: u64 = 10_000;
/// The longest that a timer of JavaScript waits.
const MOST_TRANSFORM_TIMEOUT_MS: f64 = 2_147_483_647.0;

/// Which rows a rule carries, and under which names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleShape {
    /// Only rows for which the filter holds, by collection; `*` stands for those that are not named.
    #[serde(rename = "where", skip_serializing_if = "IndexMap::is_empty")]
    pub filters: IndexMap<String, Json>,
    /// The names of collections at the target; `*` stands for those that are not named, and in the name for the old one.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub rename: IndexMap<String, String>,
    /// The column of the target, part of its primary key, that gets the name of the source, so that several sources can
    /// share a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_column: Option<String>,
    /// What the primary keys of the source begin with at the target, so that several sources can share a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_prefix: Option<String>,
    /// How many milliseconds a row may take on its way through the function; the default is
    /// [`DEFAULT_TRANSFORM_TIMEOUT_MS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transform_timeout_ms: Option<u64>,
    /// Whether rows pass through a function of the application.
    #[serde(rename = "transform", skip_serializing_if = "std::ops::Not::not")]
    pub transforms: bool,
    /// The function, once the application has given it.
    #[serde(skip)]
    pub(crate) transform: Option<Transform>,
}

/// The shape of a rule as an application or a tree file gives it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawRuleShape {
    #[serde(rename = "where")]
    filter: Option<Json>,
    rename: Option<IndexMap<String, String>>,
    source_column: Option<String>,
    key_prefix: Option<String>,
    transform_timeout_ms: Option<f64>,
    transform: Option<bool>,
}

/// What is wrong with a setting: its name, and the problem.
pub(crate) type ShapeProblem = (&'static str, String);

impl RawRuleShape {
    /// Checks what needs no database.
    pub(crate) fn checked(
        self,
        collections: &[String],
        goes_both_ways: bool,
    ) -> Result<RuleShape, ShapeProblem> {
        let shape = RuleShape {
            filters: filters(self.filter, collections).map_err(|problem| ("where", problem))?,
            rename: self.rename.unwrap_or_default(),
            source_column: self.source_column,
            key_prefix: self.key_prefix,
            transform_timeout_ms: transform_timeout(self.transform_timeout_ms)
                .map_err(|problem| ("transformTimeoutMs", problem))?,
            transforms: self.transform.unwrap_or_default(),
            transform: None,
        };
        if goes_both_ways {
            let used = [
                ("where", !shape.filters.is_empty()),
                ("rename", !shape.rename.is_empty()),
                ("sourceColumn", shape.source_column.is_some()),
                ("keyPrefix", shape.key_prefix.is_some()),
                ("transform", shape.transforms),
                ("transformTimeoutMs", shape.transform_timeout_ms.is_some()),
            ];
            if let Some((name, _)) = used.into_iter().find(|(_, is_used)| *is_used) {
                return Err((
                    name,
                    "is for rules of mode snapshot or cdc, which have one direction".to_owned(),
                ));
            }
        }
        check_names(&shape.rename, collections).map_err(|problem| ("rename", problem))?;
        if shape.source_column.as_deref() == Some("") {
            return Err(("sourceColumn", "must be the name of a column".to_owned()));
        }
        if shape.key_prefix.as_deref() == Some("") {
            return Err(("keyPrefix", "must be a text that keys can begin with".to_owned()));
        }
        if shape.key_prefix.is_some() && shape.source_column.is_some() {
            return Err(("keyPrefix", "takes the place of sourceColumn; give one of them".to_owned()));
        }
        Ok(shape)
    }
}

impl RuleShape {
    /// The filter of a collection. It was checked when the rule was read.
    pub(crate) fn filter_of(&self, collection: &str) -> Option<Filter> {
        let json = self.filters.get(collection).or_else(|| self.filters.get(EVERY))?;
        parse_filter(json).ok()
    }

    /// The name of a collection at the target, if it has another one there.
    pub(crate) fn name_at_target(&self, collection: &str) -> Option<String> {
        let name = self.rename.get(collection).or_else(|| self.rename.get(EVERY))?;
        Some(name.replace(EVERY, collection))
    }

    /// How long a row may take on its way through the transform.
    pub(crate) fn transform_limit(&self) -> Duration {
        Duration::from_millis(self.transform_timeout_ms.unwrap_or(DEFAULT_TRANSFORM_TIMEOUT_MS))
    }

    /// What marks the rows of a source at the target.
    pub(crate) fn mark_of(&self, source: &str) -> Option<Discriminator> {
        let column = self.source_column.clone()?;
        Some(Discriminator { column, value: source.to_owned() })
    }
}

fn transform_timeout(given: Option<f64>) -> Result<Option<u64>, String> {
    match given {
        None => Ok(None),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the guard bounds it")]
        Some(ms) if (1.0..=MOST_TRANSFORM_TIMEOUT_MS).contains(&ms) => Ok(Some(ms as u64)),
        Some(ms) => Err(format!("expected milliseconds from 1 to {MOST_TRANSFORM_TIMEOUT_MS}, found {ms}")),
    }
}

/// One filter for all collections, or one for each by its name.
fn filters(json: Option<Json>, collections: &[String]) -> Result<IndexMap<String, Json>, String> {
    let Some(json) = json else { return Ok(IndexMap::new()) };
    let Json::Object(object) = json else {
        return Err("expected a filter, or one for each collection".to_owned());
    };
    let is_filter = |json: &Json| {
        json.as_object().is_some_and(|filter| {
            filter.keys().all(|key| !key.starts_with('$') || key == "$or" || key == "$and")
        })
    };
    let filters: IndexMap<String, Json> = if object.is_empty() {
        IndexMap::new()
    } else if object.values().all(is_filter) {
        object.into_iter().collect()
    } else {
        IndexMap::from([(EVERY.to_owned(), Json::Object(object))])
    };
    let names_everything = collections.iter().any(|own| own == EVERY);
    for (name, json) in &filters {
        if name != EVERY && !names_everything && !collections.contains(name) {
            return Err(format!("\"{name}\" is none of the rule's collections"));
        }
        parse_filter(json)?;
    }
    Ok(filters)
}

fn parse_filter(json: &Json) -> Result<Filter, String> {
    let Value::Object(object) = value_from_json(json.clone()) else {
        return Err("expected a filter".to_owned());
    };
    let filter = Filter::parse(&object).map_err(|error| error.to_string())?;
    RowFilter::check(&filter).map_err(|error| error.to_string())?;
    Ok(filter)
}

fn check_names(names: &IndexMap<String, String>, collections: &[String]) -> Result<(), String> {
    let names_everything = collections.iter().any(|own| own == EVERY);
    for (from, to) in names {
        if from != EVERY && !names_everything && !collections.contains(from) {
            return Err(format!("\"{from}\" is none of the rule's collections"));
        }
        if to.is_empty() {
            return Err(format!("\"{from}\" has no name"));
        }
        if from == EVERY && !to.contains(EVERY) {
            return Err(format!(
                "\"{to}\" would be the name of every collection; put * where the old name is to stand"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape(json: Json, collections: &[&str]) -> Result<RuleShape, ShapeProblem> {
        let collections: Vec<String> = collections.iter().map(|name| (*name).to_owned()).collect();
        let raw: RawRuleShape = serde_json::from_value(json).unwrap();
        raw.checked(&collections, false)
    }

    #[test]
    fn a_filter_is_for_all_collections_or_for_one() {
        let all = shape(json!({"where": {"tenant": "a"}}), &["users", "orders"]).unwrap();
        assert_eq!(all.filter_of("users"), Some(Filter::eq("tenant", "a")));
        let one = shape(json!({"where": {"users": {"age": {"$gt": 1}}}}), &["users", "orders"]).unwrap();
        assert_eq!((one.filter_of("users").is_some(), one.filter_of("orders")), (true, None));
        let operators = shape(json!({"where": {"age": {"$gt": 1}}}), &["users"]).unwrap();
        assert!(operators.filter_of("users").is_some());
        let again = shape(serde_json::to_value(&all).unwrap(), &["users", "orders"]).unwrap();
        assert_eq!(again, all);
    }

    #[test]
    fn a_filter_that_cannot_be_meant_is_refused() {
        for (json, problem) in [
            (json!({"where": {"usres": {"a": 1}}}), "\"usres\" is none"),
            (json!({"where": {"users": {"a": {"$near": 1}}}}), "$near"),
            (json!({"where": {"a": {"$regex": "x+"}}}), "do not agree"),
            (json!({"where": 5}), "expected a filter"),
        ] {
            let (setting, message) = shape(json, &["users"]).unwrap_err();
            assert_eq!(setting, "where");
            assert!(message.contains(problem), "{message}");
        }
    }

    #[test]
    fn collections_get_other_names() {
        let named =
            shape(json!({"rename": {"users": "people", "*": "crm_*"}}), &["users", "orders"]).unwrap();
        assert_eq!(named.name_at_target("users").as_deref(), Some("people"));
        assert_eq!(named.name_at_target("orders").as_deref(), Some("crm_orders"));
        assert!(shape(json!({"rename": {"*": "one"}}), &["*"]).is_err());
        assert!(shape(json!({"rename": {"nothing": "x"}}), &["users"]).is_err());
    }

    #[test]
    fn a_rule_of_two_directions_has_no_shape() {
        let raw: RawRuleShape = serde_json::from_value(json!({"where": {"a": 1}})).unwrap();
        assert_eq!(raw.checked(&["users".to_owned()], true).unwrap_err().0, "where");
    }
}
