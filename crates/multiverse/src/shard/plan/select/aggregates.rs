//! The aggregates of a query over shards: of which of those of the shards each is made.

use serde_json::Value as Json;

use super::Planner;
use crate::shard::catalogue::TextOrder;
use crate::shard::error::ShardError;
use crate::shard::merge_plan::Part;
use crate::shard::plan::aggregate::{Wanted, wanted};
use crate::shard::plan::tree::{calls, field, flag, items, node_of};

impl Planner<'_> {
    /// What becomes of the column with this expression at this position.
    pub(super) fn part(&mut self, value: &Json, at: usize) -> Result<Part, ShardError> {
        if self.is_of_group(&self.compared(value)) {
            return Ok(Part::Same);
        }
        let refused = || {
            ShardError::unmergeable(
                "an expression that is neither of GROUP BY nor one of count, sum, min, max, avg, bool_and and bool_or",
            )
        };
        let (wanted, call) = wanted(value).ok_or_else(refused)?;
        let content = node_of(call, "FuncCall").ok_or_else(refused)?;
        let is_cast = wanted.is_converted;
        let argument = items(content, "args").first();
        if flag(content, "agg_distinct") {
            let of_key = argument.is_some_and(|argument| self.is_key(&self.compared(argument)));
            let is_harmless =
                matches!(wanted.kind, Wanted::Min | Wanted::Max) || wanted.kind == Wanted::Count && of_key;
            if !is_harmless {
                return Err(ShardError::unmergeable(
                    "an aggregate over DISTINCT values other than the shard key",
                ));
            }
        }
        let by_bytes = argument.is_some_and(|argument| self.order_of(argument) != TextOrder::Language);
        Ok(match wanted.kind {
            Wanted::Count | Wanted::Sum if is_cast => Part::Sum { of: self.hide_call(wanted.source, None)? },
            Wanted::Count | Wanted::Sum => Part::Sum { of: at },
            Wanted::Mean => {
                let sum = self.hide_call(call, Some("sum"))?;
                Part::Mean { sum, count: self.hide_call(call, Some("count"))? }
            }
            Wanted::Min if !is_cast => Part::Min { by_bytes },
            Wanted::Max if !is_cast => Part::Max { by_bytes },
            Wanted::And if !is_cast => Part::And,
            Wanted::Or if !is_cast => Part::Or,
            _ => return Err(refused()),
        })
    }

    pub(super) fn has_aggregates(&self) -> bool {
        let mut found = false;
        for place in ["target_list", "sort_clause", "having_clause"] {
            let tree = self.json.get(place).unwrap_or(&Json::Null);
            calls(tree, &mut |name, call| {
                found |= field(call, "over").is_none() && self.names.catalogue.is_aggregate(name);
            });
        }
        found
    }
}
