//! Columns that are only asked for because merging needs them.

use pg_query::protobuf::ResTarget;
use pg_query::{Node, NodeEnum};
use serde_json::Value as Json;

use super::Planner;
use crate::shard::error::ShardError;
use crate::shard::plan::aggregate;

impl Planner<'_> {
    /// Adds a column that nobody sees; gives its position.
    pub(super) fn hide(&mut self, value: Option<Box<Node>>, compared: Json) -> usize {
        // A name of its own, so that ORDER BY does not take it for another column.
        let name = format!("replicaverse_hidden_{}", self.hidden.len());
        let target = ResTarget { name, val: value, ..ResTarget::default() };
        self.select.target_list.push(Node { node: Some(NodeEnum::ResTarget(Box::new(target))) });
        self.hidden.push(compared);
        self.targets.len() + self.hidden.len() - 1
    }

    /// Adds the call of an aggregate, by another name if one is given, as a column that nobody sees.
    pub(super) fn hide_call(&mut self, call: &Json, name: Option<&str>) -> Result<usize, ShardError> {
        let lost = || ShardError::unmergeable("an aggregate");
        let node = self.find_node(call).ok_or_else(lost)?;
        let node = match name {
            Some(name) => aggregate::renamed(node, name).ok_or_else(lost)?,
            None => node,
        };
        // Nothing is compared with it.
        Ok(self.hide(Some(Box::new(node)), Json::Null))
    }

    /// The parser's node that serialises as this.
    fn find_node(&self, wanted: &Json) -> Option<Node> {
        let places = self.select.target_list.iter().chain(&self.select.sort_clause);
        places.into_iter().find_map(|place| aggregate::find(place, wanted))
    }

    pub(super) fn sort_node(&self, at: usize, expression: &Json) -> Option<Box<Node>> {
        if let Some(target) = self.alias_at(expression) {
            return self.target_node(target);
        }
        match self.select.sort_clause.get(at)?.node.as_ref()? {
            NodeEnum::SortBy(sort) => sort.node.clone(),
            _ => None,
        }
    }

    pub(super) fn target_node(&self, at: usize) -> Option<Box<Node>> {
        match self.select.target_list.get(at)?.node.as_ref()? {
            NodeEnum::ResTarget(target) => target.val.clone(),
            _ => None,
        }
    }
}
