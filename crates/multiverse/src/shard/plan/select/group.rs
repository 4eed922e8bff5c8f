//! GROUP BY of a query over shards: what is the same for all rows of a group, and what it is compared by.

use pg_query::Node;
use serde_json::Value as Json;

use super::{Planner, TOP, is_star, value_of};
use crate::shard::error::ShardError;
use crate::shard::plan::tree::{calls, field, items, node_of, number};

impl<'a> Planner<'a> {
    /// Reads GROUP BY: expressions, positions and names of columns.
    pub(super) fn read_groups(&mut self) -> Result<(), ShardError> {
        let groups = items(self.json, "group_clause").iter().map(|item| self.group_value(item));
        let groups: Vec<&Json> = groups.collect::<Result<_, _>>()?;
        self.groups = groups.into_iter().map(|group| self.compared(group)).collect();
        Ok(())
    }

    fn group_value(&self, item: &'a Json) -> Result<&'a Json, ShardError> {
        if let Some(constant) = node_of(item, "AConst") {
            let position =
                field(constant, "val").and_then(|value| value.get("Ival")).map(|value| number(value, "ival"));
            let at = position.and_then(|position| usize::try_from(position - 1).ok());
            if self.targets.iter().any(|target| is_star(value_of(target))) {
                return Err(ShardError::unmergeable("GROUP BY of a position beside a star"));
            }
            let target = at.and_then(|at| self.targets.get(at));
            return Ok(target.map_or(item, |target| value_of(target)));
        }
        // A column of a table comes before the name of a column of the result.
        if self.scope.column_at(item, TOP).is_some() {
            return Ok(item);
        }
        self.refuse_ambiguous(item)?;
        Ok(self.alias_value(item).unwrap_or(item))
    }

    /// An expression as it is compared: columns with their tables, and without its place in the text.
    pub(super) fn compared(&self, expression: &Json) -> Json {
        if let Some((at, column)) = self.scope.column_at(expression, TOP) {
            let alias = self.scope.instances.get(self.scope.root(at)).map(|instance| instance.alias.as_str());
            let own =
                self.scope.instances.get(at).map(|instance| {
                    (instance.alias.as_str(), instance.key == column && !instance.is_nullable)
                });
            // The keys of joined tables are equal.
            let alias = match own {
                Some((_, true)) => alias,
                Some((own, false)) => Some(own),
                None => None,
            };
            let column = if own.is_some_and(|(_, is_key)| is_key) { "the key" } else { column };
            return serde_json::json!({"column": [alias, column]});
        }
        match expression {
            Json::Array(list) => list.iter().map(|each| self.compared(each)).collect(),
            Json::Object(fields) => fields
                .iter()
                .filter(|(name, _)| *name != "location" && !name.ends_with("_location"))
                .map(|(name, value)| (name.clone(), self.compared(value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }

    /// Whether an expression, as it is compared, is the shard key of the query's tables.
    pub(super) fn is_key(&self, compared: &Json) -> bool {
        compared.get("column").and_then(|column| column.get(1)).and_then(Json::as_str) == Some("the key")
    }

    /// Whether an expression is the same for all rows of a group.
    pub(super) fn is_of_group(&self, compared: &Json) -> bool {
        fn has_column(tree: &Json, groups: &[Json]) -> bool {
            if groups.contains(tree) {
                return false;
            }
            match tree {
                Json::Array(list) => list.iter().any(|each| has_column(each, groups)),
                Json::Object(fields) => {
                    fields.contains_key("column")
                        || fields.contains_key("ColumnRef")
                        || fields.contains_key("SubLink")
                        || fields.values().any(|each| has_column(each, groups))
                }
                _ => false,
            }
        }
        let mut has_aggregate = false;
        calls(compared, &mut |name, _| has_aggregate |= self.names.catalogue.is_aggregate(name));
        !has_aggregate && !has_column(compared, &self.groups)
    }

    pub(super) fn column_is(&self, at: usize, compared: &Json) -> bool {
        match self.targets.get(at) {
            Some(target) => self.compared(value_of(target)) == *compared,
            None => self.hidden.get(at - self.targets.len()) == Some(compared),
        }
    }

    pub(super) fn group_node(&self, at: usize) -> Option<Box<Node>> {
        let item = items(self.json, "group_clause").get(at)?;
        let alias = self.scope.column_at(item, TOP).is_none().then(|| self.alias_at(item)).flatten();
        match alias {
            Some(target) => self.target_node(target),
            None => self.select.group_clause.get(at).cloned().map(Box::new),
        }
    }
}
