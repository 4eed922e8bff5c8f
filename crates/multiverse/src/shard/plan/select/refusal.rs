//! What a query may not have when it runs over shards.

use pg_query::protobuf::SelectStmt;
use serde_json::Value as Json;

use super::Planner;
use super::collation::is_by_bytes;
use crate::shard::catalogue::TextOrder;
use crate::shard::error::ShardError;
use crate::shard::plan::tree::{calls, field, items, node, text, walk};

const WITH_TIES: i32 = 3;

pub(super) fn refuse_clauses(select: &SelectStmt, json: &Json) -> Result<(), ShardError> {
    let refused = |what| Err(ShardError::unmergeable(what));
    if select.into_clause.is_some() {
        return Err(ShardError::statement("SELECT INTO cannot run over shards"));
    }
    if select.limit_option == WITH_TIES {
        return refused("FETCH FIRST … WITH TIES");
    }
    if !select.locking_clause.is_empty() {
        return refused("FOR UPDATE or FOR SHARE of rows on several shards");
    }
    if items(json, "distinct_clause").iter().any(|each| node(each).is_some()) {
        return refused("DISTINCT ON");
    }
    if !select.window_clause.is_empty() {
        return refused("a WINDOW clause");
    }
    Ok(())
}

impl Planner<'_> {
    /// Aggregates in the syntax of SQL/JSON, and those in a query that has no rows of its own, which belong to this one.
    pub(super) fn refuse_hidden_aggregates(&self) -> Result<(), ShardError> {
        let mut is_hidden = false;
        for place in ["target_list", "sort_clause", "having_clause"] {
            walk(self.json.get(place).unwrap_or(&Json::Null), &mut |kind, content| {
                is_hidden |= matches!(kind, "JsonArrayAgg" | "JsonObjectAgg");
                if kind == "SelectStmt" && items(content, "from_clause").is_empty() {
                    let targets = content.get("target_list").unwrap_or(&Json::Null);
                    calls(targets, &mut |name, _| is_hidden |= self.names.catalogue.is_aggregate(name));
                }
                true
            });
        }
        if is_hidden {
            Err(ShardError::unmergeable("an aggregate within a query, or one of SQL/JSON"))
        } else {
            Ok(())
        }
    }

    /// A window is each shard's own where it is partitioned by the shard key.
    pub(super) fn refuse_windows(&self) -> Result<(), ShardError> {
        let mut is_apart = true;
        for place in ["target_list", "sort_clause"] {
            calls(self.json.get(place).unwrap_or(&Json::Null), &mut |_, call| {
                if let Some(window) = field(call, "over") {
                    let by_key = items(window, "partition_clause")
                        .iter()
                        .any(|each| self.is_key(&self.compared(each)));
                    is_apart &= by_key && text(window, "refname").is_empty();
                }
            });
        }
        if is_apart {
            Ok(())
        } else {
            Err(ShardError::unmergeable("a window function without PARTITION BY of the shard key"))
        }
    }

    /// Texts that are equal though different cannot be told to be so.
    pub(super) fn refuse_folded(&self) -> Result<(), ShardError> {
        let mut columns = self.scope.instances.iter().flat_map(|instance| &instance.table.columns);
        if columns.any(|column| column.order == TextOrder::Folded) {
            return Err(ShardError::unmergeable(
                "DISTINCT or GROUP BY of a table with a nondeterministic collation",
            ));
        }
        for place in ["target_list", "group_clause"] {
            let mut is_collated = false;
            walk(self.json.get(place).unwrap_or(&Json::Null), &mut |kind, content| {
                is_collated |= kind == "CollateClause" && !is_by_bytes(content);
                true
            });
            if is_collated {
                return Err(ShardError::unmergeable("DISTINCT or GROUP BY with a COLLATE other than \"C\""));
            }
        }
        Ok(())
    }
}
