//! A SELECT for all shards: what each of them is asked, and how their results become one.

mod aggregates;
mod collation;
mod group;
mod hidden;
mod implicit_name;
mod limit;
mod order;
mod refusal;

use pg_query::protobuf::SelectStmt;
use serde_json::Value as Json;

use self::limit::bound;
use self::refusal::refuse_clauses;
use super::names::Names;
use super::scope::Scope;
use super::tree::{column_names, field, flag, has, items, node_of};
use crate::shard::error::ShardError;
use crate::shard::merge_plan::{Grouping, Merge, Part};

/// The level of the query itself.
const TOP: usize = 0;

/// What each shard is asked, and what is done with the results.
pub(super) struct SelectParts {
    pub(super) select: SelectStmt,
    pub(super) merge: Merge,
}

/// Plans a SELECT over shards.
///
/// # Errors
/// What cannot be merged.
pub(super) fn parts_of(
    select: &SelectStmt,
    json: &Json,
    names: &Names<'_>,
    scope: &Scope<'_>,
) -> Result<SelectParts, ShardError> {
    refuse_clauses(select, json)?;
    let mut planner = Planner {
        names,
        scope,
        json,
        select: select.clone(),
        targets: items(json, "target_list")
            .iter()
            .filter_map(|target| node_of(target, "ResTarget"))
            .collect(),
        hidden: Vec::new(),
        groups: Vec::new(),
    };
    planner.read_groups()?;
    let has_key = planner.groups.iter().any(|group| planner.is_key(group));
    let aggregates = planner.has_aggregates();
    if flag(json, "group_distinct")
        || has(json.get("group_clause").unwrap_or(&Json::Null), |kind, _| kind == "GroupingSet")
    {
        return Err(ShardError::unmergeable("GROUPING SETS, ROLLUP or CUBE"));
    }
    planner.refuse_windows()?;
    planner.refuse_hidden_aggregates()?;
    let is_grouped = aggregates || !planner.groups.is_empty() || field(json, "having_clause").is_some();
    if is_grouped && !has_key { planner.groups_over_shards() } else { planner.rows() }
}

struct Planner<'a> {
    names: &'a Names<'a>,
    scope: &'a Scope<'a>,
    json: &'a Json,
    select: SelectStmt,
    targets: Vec<&'a Json>,
    /// What was added to the columns, as it is compared.
    hidden: Vec<Json>,
    /// What rows are grouped by, as it is compared.
    groups: Vec<Json>,
}

impl Planner<'_> {
    /// Rows that each shard has for itself: they are gathered, ordered and cut off.
    fn rows(mut self) -> Result<SelectParts, ShardError> {
        let distinct = self.is_distinct()
            && !self.targets.iter().any(|target| self.is_key(&self.compared(value_of(target))));
        if distinct {
            self.refuse_folded()?;
        }
        let mut sort = Vec::new();
        for (at, item) in items(self.json, "sort_clause").iter().enumerate() {
            sort.extend(self.sort_key(at, item, None)?);
        }
        let (offset, limit) =
            (bound(field(self.json, "limit_offset"))?, bound(field(self.json, "limit_count"))?);
        self.push_limit(offset, limit);
        let merge = Merge { hidden: self.hidden.len(), grouping: None, distinct, sort, offset, limit };
        Ok(SelectParts { select: self.select, merge })
    }

    /// Groups of which several shards may have a part, or one row over all rows.
    fn groups_over_shards(mut self) -> Result<SelectParts, ShardError> {
        if field(self.json, "having_clause").is_some() {
            return Err(ShardError::unmergeable("HAVING without the shard key in GROUP BY"));
        }
        self.refuse_folded()?;
        let mut parts = Vec::new();
        for target in self.targets.clone() {
            let value = value_of(target);
            if node_of(value, "ColumnRef").is_some_and(|content| column_names(content).is_none()) {
                return Err(ShardError::unmergeable("a star beside GROUP BY or an aggregate"));
            }
            parts.push(Err(value.clone()));
        }
        // Whatever is ordered by must be there, and the keys of groups.
        let visible = self.targets.len();
        let mut sort = Vec::new();
        for (at, item) in items(self.json, "sort_clause").iter().enumerate() {
            sort.extend(self.sort_key(at, item, Some(&mut parts))?);
        }
        let mut keys = Vec::new();
        for (at, group) in self.groups.clone().into_iter().enumerate() {
            let known = (0..visible + self.hidden.len()).find(|at| self.column_is(*at, &group));
            keys.push(match known {
                Some(known) => known,
                None => {
                    let node = self.group_node(at);
                    parts.push(Ok(Part::Same));
                    self.hide(node, group)
                }
            });
        }
        let mut finished = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            finished.push(match part {
                Ok(part) => part.clone(),
                Err(value) => self.part(value, at)?,
            });
        }
        // What the aggregates have added comes last.
        finished.resize(visible + self.hidden.len(), Part::Same);
        let (offset, limit) =
            (bound(field(self.json, "limit_offset"))?, bound(field(self.json, "limit_count"))?);
        let distinct = self.is_distinct();
        self.select.sort_clause.clear();
        self.select.distinct_clause.clear();
        self.select.limit_count = None;
        self.select.limit_offset = None;
        let grouping = Some(Grouping { keys, parts: finished });
        let merge = Merge { hidden: self.hidden.len(), grouping, distinct, sort, offset, limit };
        Ok(SelectParts { select: self.select, merge })
    }

    fn is_distinct(&self) -> bool {
        !items(self.json, "distinct_clause").is_empty()
    }
}

/// The expression of a column.
fn value_of(target: &Json) -> &Json {
    field(target, "val").unwrap_or(&Json::Null)
}

fn is_star(value: &Json) -> bool {
    let is_of_value = || {
        let parts = node_of(value, "AIndirection").map(|content| items(content, "indirection"));
        parts.is_some_and(|parts| parts.iter().any(|part| node_of(part, "AStar").is_some()))
    };
    node_of(value, "ColumnRef").is_some_and(|content| column_names(content).is_none()) || is_of_value()
}
