//! The aggregates that can be put together from those of shards.

use pg_query::{Node, NodeEnum};
use serde_json::Value as Json;

use super::tree::{field, flag, items, names, node, node_of, number};

/// An aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Count,
    Sum,
    Min,
    Max,
    Mean,
    And,
    Or,
}

/// An aggregate, and what is around it.
pub(super) struct Found<'j> {
    pub(super) kind: Wanted,
    /// Its result is cast to another type.
    pub(super) is_converted: bool,
    /// The expression within that cast.
    pub(super) source: &'j Json,
}

/// The aggregate that an expression is, with its call: by itself, cast, or, of a sum, with 0 in place of NULL.
pub(super) fn wanted(expression: &Json) -> Option<(Found<'_>, &Json)> {
    let (kind, content) = node(expression)?;
    match kind {
        "TypeCast" => {
            let target = field(content, "type_name")?;
            let is_plain = items(target, "typmods").is_empty() && items(target, "array_bounds").is_empty();
            let source = field(content, "arg")?;
            let (found, call) = wanted(source)?;
            (is_plain && !found.is_converted).then_some((Found { is_converted: true, source, ..found }, call))
        }
        "CoalesceExpr" => {
            let [call, otherwise] = items(content, "args") else { return None };
            let constant = node_of(otherwise, "AConst").filter(|constant| !flag(constant, "isnull"))?;
            let is_zero = field(constant, "val")?.get("Ival").is_some_and(|value| number(value, "ival") == 0);
            let kind = kind_of(call)?;
            (is_zero && kind == Wanted::Sum)
                .then_some((Found { kind, is_converted: false, source: expression }, call))
        }
        _ => {
            Some((Found { kind: kind_of(expression)?, is_converted: false, source: expression }, expression))
        }
    }
}

fn kind_of(call: &Json) -> Option<Wanted> {
    let content = node_of(call, "FuncCall")?;
    let is_plain = field(content, "over").is_none()
        && !flag(content, "agg_within_group")
        && !flag(content, "func_variadic")
        && items(content, "args").len() <= 1;
    let kind = match names(content, "funcname").as_slice() {
        ["count"] | ["pg_catalog", "count"] => Wanted::Count,
        ["sum"] | ["pg_catalog", "sum"] => Wanted::Sum,
        ["min"] | ["pg_catalog", "min"] => Wanted::Min,
        ["max"] | ["pg_catalog", "max"] => Wanted::Max,
        ["avg"] | ["pg_catalog", "avg"] => Wanted::Mean,
        ["bool_and" | "every"] | ["pg_catalog", "bool_and" | "every"] => Wanted::And,
        ["bool_or"] | ["pg_catalog", "bool_or"] => Wanted::Or,
        _ => return None,
    };
    is_plain.then_some(kind)
}

/// The parser's node within this one that serialises as what is wanted: it may be cast, or in COALESCE.
pub(super) fn find(place: &Node, wanted: &Json) -> Option<Node> {
    if serde_json::to_value(place).ok()? == *wanted {
        return Some(place.clone());
    }
    match place.node.as_ref()? {
        NodeEnum::ResTarget(target) => find(target.val.as_deref()?, wanted),
        NodeEnum::SortBy(sort) => find(sort.node.as_deref()?, wanted),
        NodeEnum::TypeCast(cast) => find(cast.arg.as_deref()?, wanted),
        NodeEnum::CoalesceExpr(coalesce) => coalesce.args.iter().find_map(|each| find(each, wanted)),
        _ => None,
    }
}

/// The call of another aggregate over the same values.
pub(super) fn renamed(mut call: Node, name: &str) -> Option<Node> {
    let Some(NodeEnum::FuncCall(content)) = &mut call.node else { return None };
    let name = pg_query::protobuf::String { sval: name.to_owned() };
    content.funcname = vec![Node { node: Some(NodeEnum::String(name)) }];
    Some(call)
}
