//! How the texts of a query over shards are ordered.

use serde_json::Value as Json;

use super::{Planner, TOP};
use crate::shard::catalogue::TextOrder;
use crate::shard::plan::tree::{has, names, node_of};

impl Planner<'_> {
    /// How texts that an expression gives are ordered.
    pub(super) fn order_of(&self, expression: &Json) -> TextOrder {
        if let Some(collation) = node_of(expression, "CollateClause") {
            return if is_by_bytes(collation) { TextOrder::Bytes } else { TextOrder::Language };
        }
        if let Some((at, column)) = self.scope.column_at(expression, TOP) {
            let column = self.scope.instances.get(at).and_then(|instance| instance.table.column(column));
            return column.map_or(TextOrder::Language, |column| match column.order {
                TextOrder::Folded => TextOrder::Language,
                order => order,
            });
        }
        let is_collated = has(expression, |kind, _| kind == "CollateClause");
        if self.all_by_bytes() && !is_collated { TextOrder::Bytes } else { TextOrder::Language }
    }

    /// Whether no text of the query's tables is ordered by anything but its bytes.
    pub(super) fn all_by_bytes(&self) -> bool {
        let mut columns = self.scope.instances.iter().flat_map(|instance| &instance.table.columns);
        self.names.catalogue.orders_by_bytes
            && columns.all(|column| matches!(column.order, TextOrder::None | TextOrder::Bytes))
    }
}

/// Whether a collation orders texts by their bytes.
pub(super) fn is_by_bytes(collation: &Json) -> bool {
    names(collation, "collname").last().is_some_and(|name| ["C", "POSIX", "ucs_basic"].contains(name))
}
