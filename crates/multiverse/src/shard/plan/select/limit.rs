//! LIMIT and OFFSET of a query over shards.

use pg_query::NodeEnum;
use serde_json::Value as Json;

use super::Planner;
use crate::shard::error::ShardError;
use crate::shard::merge_plan::Bound;
use crate::shard::plan::tree::{field, flag, names, node, number};

impl Planner<'_> {
    /// Has each shard give as many rows as could be wanted of it.
    pub(super) fn push_limit(&mut self, offset: Option<Bound>, limit: Option<Bound>) {
        let Some(offset) = offset else { return };
        self.select.limit_offset = None;
        let Some(limit) = limit else { return };
        let written = |bound| match bound {
            Bound::Rows(rows) => rows.to_string(),
            Bound::Parameter(at) => format!("${}::pg_catalog.int8", at + 1),
        };
        let text = format!("SELECT LIMIT {} + {}", written(limit), written(offset));
        let statement =
            crate::route::parse_here(&text).and_then(|tree| tree.stmts.into_iter().next()?.stmt?.node);
        if let Some(NodeEnum::SelectStmt(select)) = statement {
            self.select.limit_count = select.limit_count;
        }
    }
}

/// LIMIT or OFFSET; `None` for all rows.
pub(super) fn bound(expression: Option<&Json>) -> Result<Option<Bound>, ShardError> {
    let Some(expression) = expression else { return Ok(None) };
    let refused = || ShardError::unmergeable("LIMIT or OFFSET other than a number or parameter");
    match node(expression).ok_or_else(refused)? {
        ("AConst", constant) if flag(constant, "isnull") => Ok(None),
        ("AConst", constant) => {
            let value = field(constant, "val").and_then(|value| value.get("Ival")).ok_or_else(refused)?;
            Ok(Some(Bound::Rows(number(value, "ival"))).filter(|_| number(value, "ival") >= 0))
                .and_then(|bound| bound.map(Some).ok_or_else(refused))
        }
        ("ParamRef", content) => {
            Ok(usize::try_from(number(content, "number") - 1).ok().map(Bound::Parameter))
        }
        ("TypeCast", content) => {
            let target = field(content, "type_name").map(|target| names(target, "names")).unwrap_or_default();
            match target.last() {
                Some(&("int4" | "int8")) => bound(field(content, "arg")),
                _ => Err(refused()),
            }
        }
        _ => Err(refused()),
    }
}
