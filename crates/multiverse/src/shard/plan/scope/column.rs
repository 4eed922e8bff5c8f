//! Which table and column an expression is.

use serde_json::Value as Json;

use super::{Instance, Scope};
use crate::shard::plan::tree::{column_names, node_of};

impl Scope<'_> {
    /// The table that stands for all that are joined with one by their keys.
    pub(in crate::shard::plan) fn root(&self, mut at: usize) -> usize {
        while let Some(next) = self.instances.get(at).and_then(|instance| instance.joined) {
            at = next;
        }
        at
    }

    /// The table whose shard key an expression is.
    pub(super) fn key_at(&self, expression: &Json, level: usize) -> Option<usize> {
        let (at, column) = self.column_at(expression, level)?;
        self.instances.get(at).is_some_and(|instance| instance.key == column).then_some(at)
    }

    /// The table and the name of the column that an expression is, seen from a level.
    pub(in crate::shard::plan) fn column_at<'j>(
        &self,
        expression: &'j Json,
        level: usize,
    ) -> Option<(usize, &'j str)> {
        let parts = column_names(node_of(expression, "ColumnRef")?)?;
        let (qualifier, column) = match parts[..] {
            [column] => (None, column),
            [alias, column] => (Some((None, alias)), column),
            [schema, table, column] => (Some((Some(schema), table)), column),
            _ => return None,
        };
        let mut seen = Some(level);
        while let Some(at) = seen {
            let found: Vec<usize> = (0..self.instances.len())
                .filter(|place| {
                    self.instances
                        .get(*place)
                        .is_some_and(|i| i.level == at && i.answers_to(qualifier, column))
                })
                .collect();
            if let Some(first) = found.first() {
                let root = self.root(*first);
                // Of several, USING makes one.
                let is_one = found.iter().all(|other| self.root(*other) == root);
                return is_one.then_some((*first, column));
            }
            let here = self.levels.get(at)?;
            if here.has_others {
                return None;
            }
            seen = here.outer;
        }
        None
    }
}

impl Instance {
    fn answers_to(&self, qualifier: Option<(Option<&str>, &str)>, column: &str) -> bool {
        let is_meant = qualifier.is_none_or(|(schema, alias)| {
            self.alias == alias && schema.is_none_or(|schema| self.table.schema == schema)
        });
        is_meant && self.table.column(column).is_some()
    }
}
