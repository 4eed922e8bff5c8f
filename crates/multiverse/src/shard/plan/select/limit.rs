//! LIMIT and OFFSET of a query over shards.

use pg_query::NodeEnum;
use serde_json::Value as Json;

use super::Planner;
use crate::shard::error::ShardError;
use crate::shard::merge_plan::Bound;
use crate::shard::plan::tree::{field, flag, names, node, number, text};

impl Planner<'_> {
    /// Has each shard give as many rows as could be wanted of it.
    pub(super) fn push_limit(&mut self, offset: Option<Bound>, limit: Option<Bound>) {
        let Some(offset) = offset else { return };
        self.select.limit_offset = None;
        let Some(limit) = limit else { return };
        let statement = format!("SELECT LIMIT {}", sum(limit, offset));
        let statement =
            crate::route::parse_here(&statement).and_then(|tree| tree.stmts.into_iter().next()?.stmt?.node);
        if let Some(NodeEnum::SelectStmt(select)) = statement {
            self.select.limit_count = select.limit_count;
        }
    }
}

/// The sum of two bounds, and the largest there is where it is larger: the server would refuse it as out of range.
fn sum(limit: Bound, offset: Bound) -> String {
    if let (Bound::Rows(limit), Bound::Rows(offset)) = (limit, offset) {
        return limit.saturating_add(offset).to_string();
    }
    let written = |bound| match bound {
        Bound::Rows(rows) => format!("{rows}::pg_catalog.numeric"),
        Bound::Parameter(at) => format!("${}::pg_catalog.int8::pg_catalog.numeric", at + 1),
    };
    // LEAST passes over a sum that is NULL, which is for all rows.
    format!("LEAST({} + {}, {})::pg_catalog.int8", written(limit), written(offset), i64::MAX)
}

/// LIMIT or OFFSET; `None` for all rows.
pub(super) fn bound(expression: Option<&Json>) -> Result<Option<Bound>, ShardError> {
    let Some(expression) = expression else { return Ok(None) };
    let refused = || ShardError::unmergeable("LIMIT or OFFSET other than a number or parameter");
    match node(expression).ok_or_else(refused)? {
        ("AConst", constant) if flag(constant, "isnull") => Ok(None),
        ("AConst", constant) => {
            let rows = whole_number(constant).filter(|rows| *rows >= 0).ok_or_else(refused)?;
            Ok(Some(Bound::Rows(rows)))
        }
        ("ParamRef", content) => {
            Ok(usize::try_from(number(content, "number") - 1).ok().map(Bound::Parameter))
        }
        ("TypeCast", content) => {
            let target = field(content, "type_name").map(|target| names(target, "names")).unwrap_or_default();
            let most = match target.last() {
                Some(&"int4") => i32::MAX.into(),
                Some(&"int8") => i64::MAX,
                _ => return Err(refused()),
            };
            bound(field(content, "arg")).and_then(|bound| match bound {
                Some(Bound::Rows(rows)) if rows > most => Err(refused()),
                bound => Ok(bound),
            })
        }
        _ => Err(refused()),
    }
}

/// A whole number as it stands in a statement: one that an int4 does not hold is kept as its text.
fn whole_number(constant: &Json) -> Option<i64> {
    let value = field(constant, "val")?;
    match value.get("Ival") {
        Some(short) => Some(number(short, "ival")),
        None => field(value, "Fval").and_then(|long| text(long, "fval").parse().ok()),
    }
}
