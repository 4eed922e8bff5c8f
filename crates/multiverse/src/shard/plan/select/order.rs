//! ORDER BY of a query over shards: by which columns its rows are merged.

use serde_json::Value as Json;

use super::implicit_name::implicit_name;
use super::{Planner, is_star, value_of};
use crate::shard::catalogue::TextOrder;
use crate::shard::error::ShardError;
use crate::shard::merge_plan::{Part, Place, SortKey};
use crate::shard::plan::tree::{column_names, field, node_of, number, text};

const DESCENDING: i64 = 3;
const BY_OPERATOR: i64 = 4;
const NULLS_FIRST: i64 = 2;
const NULLS_LAST: i64 = 3;

impl<'a> Planner<'a> {
    pub(super) fn sort_key(
        &mut self,
        at: usize,
        item: &'a Json,
        parts: Option<&mut Vec<Result<Part, Json>>>,
    ) -> Result<Option<SortKey>, ShardError> {
        let Some(sort) = node_of(item, "SortBy") else { return Ok(None) };
        let direction = number(sort, "sortby_dir");
        if direction == BY_OPERATOR {
            return Err(ShardError::unmergeable("ORDER BY … USING"));
        }
        let is_descending = direction == DESCENDING;
        let nulls_first = match number(sort, "sortby_nulls") {
            NULLS_FIRST => true,
            NULLS_LAST => false,
            _ => is_descending,
        };
        let Some(expression) = field(sort, "node") else { return Ok(None) };
        self.refuse_ambiguous(expression)?;
        let (place, by) = match self.visible_place(expression)? {
            Some(place) => (place, self.value_at(place)),
            None => {
                if parts.is_none() && self.is_distinct() {
                    return Err(ShardError::unmergeable(
                        "DISTINCT with ORDER BY of something that is not selected",
                    ));
                }
                let by = self.alias_value(expression).unwrap_or(expression);
                let node = self.sort_node(at, expression);
                let compared = self.compared(by);
                if let Some(parts) = parts {
                    parts.push(Err(by.clone()));
                }
                let visible = self.targets.len();
                let hidden = self.hide(node, compared) - visible;
                (Place::Hidden(hidden), Some(by))
            }
        };
        let by_bytes = match by {
            Some(by) => self.order_of(by) != TextOrder::Language,
            None => self.all_by_bytes(),
        };
        Ok(Some(SortKey { place, is_descending, nulls_first, by_bytes }))
    }

    /// The column that an item of ORDER BY means, if it is one of those that are selected, and its position is known.
    fn visible_place(&self, expression: &Json) -> Result<Option<Place>, ShardError> {
        if let Some(constant) = node_of(expression, "AConst") {
            let position =
                field(constant, "val").and_then(|value| value.get("Ival")).map(|value| number(value, "ival"));
            let position = position.and_then(|position| usize::try_from(position - 1).ok());
            return position
                .map(|at| Some(Place::Visible(at)))
                .ok_or_else(|| ShardError::unmergeable("ORDER BY of a constant"));
        }
        let stars = self.targets.iter().position(|target| is_star(value_of(target)));
        let before_star = stars.unwrap_or(self.targets.len());
        let found = match self.alias_at(expression) {
            Some(at) => Some(at),
            None => {
                let compared = self.compared(expression);
                self.targets.iter().position(|target| self.compared(value_of(target)) == compared)
            }
        };
        Ok(found.filter(|at| *at < before_star).map(Place::Visible))
    }

    /// A name that different columns of the result have stands for none of them.
    pub(super) fn refuse_ambiguous(&self, expression: &Json) -> Result<(), ShardError> {
        let values = self.called_as(expression).filter_map(|at| self.targets.get(at));
        let mut compared = values.map(|target| self.compared(value_of(target)));
        let Some(first) = compared.next() else { return Ok(()) };
        if compared.all(|other| other == first) {
            return Ok(());
        }
        Err(ShardError::unmergeable("ORDER BY or GROUP BY of a name that several columns have"))
    }

    /// The column whose name an item of ORDER BY is.
    pub(super) fn alias_at(&self, expression: &Json) -> Option<usize> {
        self.called_as(expression).next()
    }

    /// All columns of that name.
    fn called_as<'e>(&'e self, expression: &'e Json) -> impl Iterator<Item = usize> + 'e {
        let names = node_of(expression, "ColumnRef").and_then(column_names).unwrap_or_default();
        let name = if let [name] = names[..] { Some(name) } else { None };
        let is_called = move |target: &Json| match text(target, "name") {
            "" => name.is_some() && implicit_name(value_of(target)) == name,
            given => Some(given) == name,
        };
        self.targets.iter().enumerate().filter(move |(_, target)| is_called(target)).map(|(at, _)| at)
    }

    pub(super) fn alias_value(&self, expression: &Json) -> Option<&'a Json> {
        self.alias_at(expression).and_then(|at| self.targets.get(at)).map(|target| value_of(target))
    }

    fn value_at(&self, place: Place) -> Option<&'a Json> {
        let Place::Visible(at) = place else { return None };
        let has_star_before = self.targets.iter().take(at + 1).any(|target| is_star(value_of(target)));
        if has_star_before { None } else { self.targets.get(at).map(|target| value_of(target)) }
    }
}
