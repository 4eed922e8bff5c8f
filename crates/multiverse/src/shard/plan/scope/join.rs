//! Joins and conditions: which tables are joined by their shard keys, and by which values a shard key is bound.

use serde_json::Value as Json;

use super::Scope;
use crate::shard::error::ShardError;
use crate::shard::key::KeyType;
use crate::shard::plan::pin::{Pin, Source, elements_of, source_of};
use crate::shard::plan::tree::{conjuncts, field, flag, items, names, node_of, number};

const OPERATOR: i64 = 1;
const OPERATOR_ANY: i64 = 2;
const IN: i64 = 7;
const INNER: i64 = 1;
const LEFT: i64 = 2;
const RIGHT: i64 = 4;

/// Which tables a condition decides on.
pub(in crate::shard::plan) enum Reach<'j> {
    /// Whatever does not fulfil it is gone; where `binds`, from the whole query.
    All { binds: bool },
    /// It decides which rows of one side of an outer join meet which of the other, and no more.
    Across(&'j [usize], &'j [usize]),
}

impl Reach<'_> {
    fn joins(&self, one: usize, other: usize) -> bool {
        match self {
            Self::All { .. } => true,
            Self::Across(left, right) => {
                left.contains(&one) && right.contains(&other) || left.contains(&other) && right.contains(&one)
            }
        }
    }
}

impl Scope<'_> {
    pub(super) fn join(&mut self, join: &Json, level: usize, binds: bool) -> Result<Vec<usize>, ShardError> {
        let is_inner = number(join, "jointype") == INNER;
        let side = |scope: &mut Self, side| match field(join, side) {
            Some(item) => scope.row_source(item, level, binds && is_inner),
            None => Ok(Vec::new()),
        };
        let left = side(self, "larg")?;
        let right = side(self, "rarg")?;
        let without_partner: &[&[usize]] = match number(join, "jointype") {
            INNER => &[],
            LEFT => &[&right],
            RIGHT => &[&left],
            _ => &[&left, &right],
        };
        for at in without_partner.iter().copied().flatten() {
            if let Some(instance) = self.instances.get_mut(*at) {
                instance.is_nullable = true;
            }
        }
        if flag(join, "is_natural")
            || field(join, "alias").is_some()
            || field(join, "join_using_alias").is_some()
        {
            self.only_whole("a NATURAL JOIN, or one with a name of its own");
        }
        for column in names(join, "using_clause") {
            for (one, other) in left.iter().flat_map(|one| right.iter().map(move |other| (*one, *other))) {
                let is_key =
                    |at: usize| self.instances.get(at).is_some_and(|instance| instance.key == column);
                if is_key(one) && is_key(other) {
                    self.link(one, other, level);
                }
            }
        }
        if let Some(condition) = field(join, "quals") {
            let across = Reach::Across(&left, &right);
            let reach = if is_inner { Reach::All { binds } } else { across };
            self.condition(condition, level, &reach);
            self.expressions(condition, level)?;
        }
        Ok([left, right].concat())
    }

    /// Takes in what must hold of the rows of a level.
    pub(in crate::shard::plan) fn condition(&mut self, condition: &Json, level: usize, reach: &Reach<'_>) {
        let binds = matches!(reach, Reach::All { binds: true });
        for each in conjuncts(condition) {
            let Some(expression) = node_of(each, "AExpr").filter(|content| names(content, "name") == ["="])
            else {
                continue;
            };
            let (Some(left), Some(right)) = (field(expression, "lexpr"), field(expression, "rexpr")) else {
                continue;
            };
            let (left_key, right_key) = (self.key_at(left, level), self.key_at(right, level));
            match (number(expression, "kind"), left_key, right_key) {
                (OPERATOR, Some(one), Some(other)) if reach.joins(one, other) => self.link(one, other, level),
                (OPERATOR, Some(_), Some(_)) => {}
                (OPERATOR, Some(at), None) => {
                    self.bind(at, level, binds, |key| Some(vec![source_of(right, key)?]))
                }
                (OPERATOR, None, Some(at)) => {
                    self.bind(at, level, binds, |key| Some(vec![source_of(left, key)?]))
                }
                (OPERATOR_ANY, Some(at), _) => self.bind(at, level, binds, |key| elements_of(right, key)),
                (IN, Some(at), _) => self.bind(at, level, binds, |key| {
                    let list = items(node_of(right, "List")?, "items");
                    list.iter().map(|item| source_of(item, key)).collect()
                }),
                _ => {}
            }
        }
    }

    fn bind(
        &mut self,
        at: usize,
        level: usize,
        binds: bool,
        sources: impl FnOnce(KeyType) -> Option<Vec<Source>>,
    ) {
        let Some(instance) = self.instances.get_mut(at).filter(|instance| binds && instance.level == level)
        else {
            return;
        };
        if let Some(sources) = sources(instance.placement.key) {
            let (column, placement) = (instance.key.clone(), instance.placement.clone());
            instance.pins.push(Pin { column, placement, sources });
        }
    }

    /// Notes that the keys of two tables are equal.
    fn link(&mut self, one: usize, other: usize, level: usize) {
        let (Some(first), Some(second)) = (self.instances.get(one), self.instances.get(other)) else {
            return;
        };
        if !first.placement.key.agrees_with(second.placement.key) {
            return;
        }
        match (first.level == level, second.level == level) {
            (true, true) => {
                let (one, other) = (self.root(one), self.root(other));
                if one != other
                    && let Some(instance) = self.instances.get_mut(one)
                {
                    instance.joined = Some(other);
                }
            }
            (true, false) => self.anchor(one, other),
            (false, true) => self.anchor(other, one),
            // Both are outside, and this query decides on its own rows only.
            (false, false) => {}
        }
    }

    fn anchor(&mut self, inner: usize, outer: usize) {
        if let Some(instance) = self.instances.get_mut(inner) {
            instance.anchor.get_or_insert(outer);
        }
    }
}
