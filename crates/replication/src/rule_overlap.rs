//! Rules that would write rows of the same table without knowing of each other.

use crate::rule::{Mode, Rule};

const EVERY: &str = "*";

/// The rule among others that writes rows of a table which this one writes too, with the project and the table, as a problem to be
/// told; none if their rows cannot meet.
pub(crate) fn overlap_with<'r>(rule: &Rule, others: impl Iterator<Item = &'r Rule>) -> Option<String> {
    others.filter(|other| other.name != rule.name && may_not_share(rule, other)).find_map(|other| {
        let (project, table) = shared_place(rule, other)?;
        let what = if table == EVERY { "tables".to_owned() } else { format!("\"{table}\"") };
        Some(format!(
            "rule \"{}\" writes {what} of \"{project}\" already; where rows of several sources share a table, give each rule \
             sourceColumn or a keyPrefix of its own",
            other.name
        ))
    })
}

/// Whether two rules must not write rows of one table.
fn may_not_share(rule: &Rule, other: &Rule) -> bool {
    match (rule.mode, other.mode) {
        _ if !(rule.enabled && other.enabled) => false,
        // One that goes both ways takes whatever others write for changes of an application.
        (Mode::Bidirectional, _) | (_, Mode::Bidirectional) => false,
        // A mirror of what a rule streams from the same place writes the same rows.
        (Mode::Snapshot, _) | (_, Mode::Snapshot) if rule.source == other.source => false,
        _ => !are_kept_apart(rule, other),
    }
}

/// Whether no row of one rule can have the key of a row of the other one.
fn are_kept_apart(rule: &Rule, other: &Rule) -> bool {
    let (own, theirs) = (&rule.shape, &other.shape);
    match (&own.source_column, &theirs.source_column) {
        // The column holds the name of the source.
        (Some(a), Some(b)) if a.eq_ignore_ascii_case(b) => return rule.source != other.source,
        _ => {}
    }
    match (&own.key_prefix, &theirs.key_prefix) {
        // Some databases do not tell letters apart by their case.
        (Some(a), Some(b)) => {
            let (a, b) = (a.to_lowercase(), b.to_lowercase());
            !a.starts_with(&b) && !b.starts_with(&a)
        }
        _ => false,
    }
}

/// A table that both rules write for sure: its project and its name.
fn shared_place(rule: &Rule, other: &Rule) -> Option<(String, String)> {
    if rule.target != other.target {
        return None;
    }
    let is_same_source = rule.source == other.source;
    let theirs = places(other);
    let shared = places(rule).into_iter().find_map(|own| {
        let is_shared = |their: &&Place| {
            let covers =
                |all: &Place, one: &Place| is_same_source && all.table == EVERY && one.table == one.name;
            own.table == their.table && own.table != EVERY || covers(&own, their) || covers(their, &own)
        };
        let met = theirs.iter().find(is_shared)?;
        Some(if own.table == EVERY { met.table.clone() } else { own.table })
    })?;
    Some((rule.target.clone(), shared))
}

/// A table that a rule writes.
struct Place {
    /// The name in the rule.
    name: String,
    /// The name at the target.
    table: String,
}

/// The tables that a rule writes, as far as they are known without asking its source.
fn places(rule: &Rule) -> Vec<Place> {
    let place = |name: &String| {
        // Under other names the tables of a source are as good as unknown.
        let is_unknown = name == EVERY && !rule.shape.rename.is_empty();
        let table = rule.shape.name_at_target(name).filter(|_| name != EVERY);
        (!is_unknown).then(|| Place { name: name.clone(), table: table.unwrap_or_else(|| name.clone()) })
    };
    rule.collections.iter().filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn rule(name: &str, source: &str, more: Json) -> Rule {
        let mut rule =
            json!({"name": name, "source": source, "target": "all", "mode": "cdc", "collections": ["sales"]});
        for (field, value) in more.as_object().unwrap() {
            rule[field] = value.clone();
        }
        Rule::from_json(rule).unwrap()
    }

    fn overlap(a: (&str, Json), b: (&str, Json)) -> Option<String> {
        overlap_with(&rule("a", a.0, a.1), [&rule("b", b.0, b.1)].into_iter())
    }

    #[test]
    fn two_rules_that_write_one_table_are_named() {
        let found = overlap(("north", json!({})), ("south", json!({}))).unwrap();
        assert!(found.starts_with("rule \"b\" writes \"sales\" of \"all\" already"), "{found}");
        assert!(overlap(("north", json!({})), ("north", json!({"where": {"total": 1}}))).is_some());
        let renamed = json!({"collections": ["orders"], "rename": {"orders": "sales"}});
        assert!(overlap(("north", json!({})), ("south", renamed)).is_some());
        assert!(overlap(("north", json!({"collections": ["*"]})), ("north", json!({}))).is_some());
        assert!(overlap(("north", json!({})), ("north", json!({"collections": ["*"]}))).is_some());
        assert!(overlap(("north", json!({"mode": "snapshot"})), ("south", json!({}))).is_some());
    }

    #[test]
    fn rules_whose_rows_cannot_meet_may_share_a_table() {
        let column = |name: &str| json!({"sourceColumn": name});
        assert_eq!(overlap(("north", column("branch")), ("south", column("branch"))), None);
        assert!(overlap(("north", column("branch")), ("north", column("branch"))).is_some());
        assert!(overlap(("north", column("branch")), ("south", column("place"))).is_some());
        assert!(overlap(("north", column("branch")), ("south", json!({}))).is_some());
        let prefix = |text: &str| json!({"keyPrefix": text});
        assert_eq!(overlap(("north", prefix("n:")), ("south", prefix("s:"))), None);
        assert!(overlap(("north", prefix("n")), ("south", prefix("N1"))).is_some());
    }

    #[test]
    fn other_tables_mirrors_and_rules_of_both_ways_are_let_be() {
        assert_eq!(overlap(("north", json!({})), ("south", json!({"collections": ["orders"]}))), None);
        assert_eq!(overlap(("north", json!({})), ("south", json!({"target": "some"}))), None);
        assert_eq!(overlap(("north", json!({"collections": ["*"]})), ("south", json!({}))), None);
        assert_eq!(overlap(("north", json!({"mode": "snapshot"})), ("north", json!({}))), None);
        assert_eq!(overlap(("north", json!({"mode": "bidirectional"})), ("south", json!({}))), None);
        assert_eq!(overlap(("north", json!({"enabled": false})), ("south", json!({}))), None);
        let renamed = json!({"rename": {"sales": "old_sales"}});
        assert_eq!(overlap(("north", json!({"collections": ["*"]})), ("north", renamed)), None);
    }
}
