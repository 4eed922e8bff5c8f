//! Rules that would carry changes round in a circle.

use std::collections::HashSet;

use crate::rule::{Mode, Rule};

const EVERY: &str = "*";

/// A collection of a project; `*` is any.
type Place = (String, String);

/// The circle that a rule would close with others of mode cdc, as a text; none if it closes none. Rules that go both ways
/// know what came from the other side, and close one only where others carry changes on.
pub(crate) fn cycle_with<'r>(rule: &'r Rule, others: impl Iterator<Item = &'r Rule>) -> Option<String> {
    if rule.mode == Mode::Snapshot {
        return None;
    }
    let others: Vec<&Rule> =
        others.filter(|other| other.mode != Mode::Snapshot && other.name != rule.name).collect();
    let projects: &[&String] = match rule.mode {
        Mode::Bidirectional => &[&rule.source, &rule.target],
        _ => &[&rule.source],
    };
    let starts = projects
        .iter()
        .flat_map(|project| rule.collections.iter().map(|name| ((*project).clone(), name.clone())));
    starts.into_iter().find_map(|start: Place| {
        let next = carried(rule, &start)?;
        let mut search = Search { others: &others, start: &start, seen: HashSet::new() };
        let path = search.path(next, &mut vec![rule])?;
        let places: Vec<String> =
            std::iter::once(&start).chain(&path).map(|(project, name)| format!("{project}.{name}")).collect();
        Some(places.join(" → "))
    })
}

struct Search<'s, 'r> {
    others: &'s [&'r Rule],
    start: &'s Place,
    seen: HashSet<(String, Place)>,
}

impl<'r> Search<'_, 'r> {
    /// The places from here back to the start, by rules that were not used yet.
    fn path(&mut self, here: Place, used: &mut Vec<&'r Rule>) -> Option<Vec<Place>> {
        let is_back = here.0 == self.start.0 && is_same(&here.1, &self.start.1);
        if is_back {
            let is_one_way = used.iter().any(|rule| rule.mode == Mode::Cdc);
            return is_one_way.then(|| vec![here]);
        }
        for other in self.others {
            if used.iter().any(|rule| rule.name == other.name) {
                continue;
            }
            let Some(next) = carried(other, &here) else { continue };
            if !self.seen.insert((other.name.clone(), here.clone())) {
                continue;
            }
            used.push(other);
            if let Some(mut path) = self.path(next, used) {
                path.insert(0, here);
                return Some(path);
            }
            used.pop();
        }
        None
    }
}

/// Where a rule carries the changes of a place; rules that go both ways carry them either way.
fn carried(rule: &Rule, (project, name): &Place) -> Option<Place> {
    let carries = rule.collections.iter().any(|own| is_same(own, name));
    if rule.source == *project && carries {
        let at_target = rule.shape.name_at_target(name).filter(|_| name != EVERY);
        let is_renamed = name == EVERY && !rule.shape.rename.is_empty();
        let at_target = at_target.unwrap_or_else(|| if is_renamed { EVERY.to_owned() } else { name.clone() });
        return Some((rule.target.clone(), at_target));
    }
    (rule.mode == Mode::Bidirectional && rule.target == *project && carries)
        .then(|| (rule.source.clone(), name.clone()))
}

fn is_same(a: &str, b: &str) -> bool {
    a == b || a == EVERY || b == EVERY
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn rule(name: &str, source: &str, target: &str, more: Json) -> Rule {
        let mut rule = json!({"name": name, "source": source, "target": target, "mode": "cdc", "collections": ["users"]});
        for (field, value) in more.as_object().unwrap() {
            rule[field] = value.clone();
        }
        Rule::from_json(rule).unwrap()
    }

    #[test]
    fn a_circle_is_named_by_its_places() {
        let (there, on) =
            (rule("ab", "a", "b", json!({})), rule("bc", "b", "c", json!({"collections": ["*"]})));
        let back = rule("ca", "c", "a", json!({}));
        let found = cycle_with(&back, [&there, &on].into_iter());
        assert_eq!(found.as_deref(), Some("c.users → a.users → b.users → c.users"));
    }

    #[test]
    fn chains_and_trees_are_no_circles() {
        let rules = [
            rule("ab", "a", "b", json!({})),
            rule("bc", "b", "c", json!({})),
            rule("bd", "b", "d", json!({})),
        ];
        for rule in &rules {
            assert_eq!(cycle_with(rule, rules.iter()), None);
        }
    }

    #[test]
    fn other_collections_and_other_names_close_no_circle() {
        let there = rule("ab", "a", "b", json!({}));
        assert_eq!(
            cycle_with(&rule("ba", "b", "a", json!({"collections": ["orders"]})), [&there].into_iter()),
            None
        );
        let renamed = rule("ba", "b", "a", json!({"rename": {"users": "copies"}}));
        assert_eq!(cycle_with(&renamed, [&there].into_iter()), None);
        assert!(cycle_with(&rule("ba", "b", "a", json!({})), [&there].into_iter()).is_some());
        let within = rule("aa", "a", "a", json!({}));
        assert!(cycle_with(&within, [].into_iter()).is_some());
        assert_eq!(
            cycle_with(&rule("aa", "a", "a", json!({"rename": {"users": "copies"}})), [].into_iter()),
            None
        );
    }

    #[test]
    fn a_rule_of_both_ways_is_a_circle_only_with_another_one() {
        let both = rule("ab", "a", "b", json!({"mode": "bidirectional"}));
        assert_eq!(cycle_with(&both, [].into_iter()), None);
        let back = rule("ba", "b", "a", json!({}));
        assert!(cycle_with(&back, [&both].into_iter()).is_some());
        assert!(cycle_with(&both, [&back].into_iter()).is_some());
        assert!(cycle_with(&both, [&rule("cd", "a", "b", json!({}))].into_iter()).is_some());
        let mirror = rule("ba", "b", "a", json!({"mode": "snapshot"}));
        assert_eq!(cycle_with(&mirror, [&both].into_iter()), None);
    }
}
