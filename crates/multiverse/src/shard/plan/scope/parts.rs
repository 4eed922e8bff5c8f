//! By which values a statement is bound, and whether every shard can do its part of it.

use super::{Role, Scope};
use crate::shard::catalogue::Table;
use crate::shard::error::ShardError;
use crate::shard::plan::pin::Pin;

impl Scope<'_> {
    /// The tables of all levels.
    pub(in crate::shard::plan) fn tables(&self) -> Vec<&Table> {
        self.instances.iter().map(|instance| &*instance.table).collect()
    }

    /// What every group of joined tables is bound by, of those that no outer table decides on.
    pub(in crate::shard::plan) fn bound(&self) -> Vec<Vec<Pin>> {
        let roots = (0..self.instances.len()).filter(|at| self.root(*at) == *at);
        let members = |root: usize| {
            (0..self.instances.len())
                .filter(move |at| self.root(*at) == root)
                .filter_map(|at| self.instances.get(at))
        };
        roots
            .filter(|root| members(*root).all(|instance| instance.anchor.is_none()))
            .map(|root| members(root).flat_map(|instance| instance.pins.iter().cloned()).collect())
            .collect()
    }

    /// Whether each shard can do its part of the statement with its own rows.
    pub(in crate::shard::plan) fn runs_in_parts(&self) -> Result<(), ShardError> {
        if let Some(because) = self.whole_because {
            return Err(ShardError::unmergeable(because));
        }
        let is_top = |level: usize| self.levels.get(level).is_some_and(|level| level.role == Role::Top);
        let mut top: Option<usize> = None;
        for at in 0..self.instances.len() {
            let (root, level) = (self.root(at), self.instances.get(at).map_or(0, |instance| instance.level));
            if is_top(level) {
                if top.is_some_and(|top| top != root) {
                    return Err(ShardError::unmergeable(
                        "a join of tables whose shard keys are not compared by =",
                    ));
                }
                top = Some(root);
            } else {
                let is_anchored = self
                    .instances
                    .iter()
                    .enumerate()
                    .any(|(other, instance)| instance.anchor.is_some() && self.root(other) == root);
                if !is_anchored {
                    return Err(ShardError::unmergeable(
                        "a subquery whose shard key is not compared by = with that of the query around it",
                    ));
                }
            }
        }
        // A subquery without a table at the top would be answered once by every shard.
        if top.is_none() && !self.instances.is_empty() {
            return Err(ShardError::unmergeable("a subquery in a query without tables"));
        }
        Ok(())
    }
}
