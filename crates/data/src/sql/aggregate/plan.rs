//! Dividing the stages of an aggregation into SELECT statements, each on the rows of the one before it.

use indexmap::IndexMap;

use crate::aggregate::{Group, Pipeline, Stage};
use crate::filter::{Direction, Filter};

/// One SELECT: it filters, then groups, or else orders and cuts.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Level<'a> {
    pub(super) filters: Vec<&'a Filter>,
    pub(super) group: Option<&'a Group>,
    pub(super) sort: Option<&'a IndexMap<String, Direction>>,
    pub(super) limit: Option<u64>,
}

impl Level<'_> {
    /// A limit cuts the rows before what comes after it.
    fn is_cut(&self) -> bool {
        self.limit.is_some()
    }

    fn is_grouped(&self) -> bool {
        self.group.is_some()
    }
}

/// The levels of a pipeline, the innermost first; there is at least one.
pub(super) fn levels(pipeline: &Pipeline) -> Vec<Level<'_>> {
    let mut done = Vec::new();
    let mut current = Level::default();
    for stage in &pipeline.stages {
        let on_result = match stage {
            Stage::Match(_) | Stage::Group(_) | Stage::Sort(_) => current.is_grouped() || current.is_cut(),
            Stage::Limit(_) => current.is_grouped(),
        };
        if on_result {
            // A subquery promises no order, so it is asked for again.
            let sort = current.sort;
            done.push(std::mem::replace(&mut current, Level { sort, ..Level::default() }));
        }
        match stage {
            Stage::Match(filter) => current.filters.push(filter),
            Stage::Group(group) => {
                current.sort = None;
                current.group = Some(group);
            }
            Stage::Sort(sort) => current.sort = Some(sort),
            Stage::Limit(limit) => {
                current.limit = Some(current.limit.map_or(*limit, |smaller| smaller.min(*limit)));
            }
        }
    }
    done.push(current);
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::GroupKey;

    fn group() -> Stage {
        Stage::Group(Group { by: GroupKey::Nothing, fields: IndexMap::new() })
    }

    fn sort() -> Stage {
        Stage::Sort(IndexMap::from([("a".to_owned(), Direction::Ascending)]))
    }

    fn count(stages: Vec<Stage>) -> usize {
        levels(&Pipeline { stages }).len()
    }

    #[test]
    fn what_one_select_can_say_is_one_level() {
        assert_eq!(count(vec![]), 1);
        assert_eq!(count(vec![Stage::Match(Filter::everything()), sort(), Stage::Limit(3)]), 1);
        assert_eq!(count(vec![sort(), Stage::Match(Filter::everything()), group()]), 1);
    }

    #[test]
    fn a_stage_after_a_group_or_a_limit_works_on_its_result() {
        assert_eq!(count(vec![group(), sort(), Stage::Limit(1)]), 2);
        assert_eq!(count(vec![Stage::Limit(1), group()]), 2);
        assert_eq!(count(vec![group(), group()]), 2);
        assert_eq!(
            count(vec![Stage::Limit(1), sort(), Stage::Limit(1), Stage::Match(Filter::everything())]),
            3
        );
    }

    #[test]
    fn the_order_of_cut_rows_outlives_a_filter_but_not_a_group() {
        let stages = vec![sort(), Stage::Limit(5), Stage::Match(Filter::everything())];
        assert!(levels(&Pipeline { stages })[1].sort.is_some());
        assert!(levels(&Pipeline { stages: vec![sort(), Stage::Limit(5), group()] })[1].sort.is_none());
    }

    #[test]
    fn the_smaller_of_two_limits_counts() {
        let stages = vec![Stage::Limit(2), Stage::Limit(5)];
        assert_eq!(levels(&Pipeline { stages })[0].limit, Some(2));
    }
}
