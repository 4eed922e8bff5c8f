//! The name that PostgreSQL gives to a column of a result for which the query names none.

use serde_json::Value as Json;

use crate::shard::plan::tree::{column_names, field, items, names, node, node_of, number, text};

const NULLIF: i64 = 6;
const GREATEST: i64 = 1;
const EXISTS: i64 = 1;
const VALUE: i64 = 5;
const ARRAY: i64 = 7;

/// The name of a column with this expression; `None` where it has none that could be referred to.
pub(super) fn implicit_name(value: &Json) -> Option<&str> {
    named(value).map(|(name, _)| name)
}

/// The name, and whether it is better than that of a cast around it.
fn named(value: &Json) -> Option<(&str, bool)> {
    let (kind, content) = node(value)?;
    let within = |place: &str| field(content, place).and_then(named);
    let name = match kind {
        "ColumnRef" => column_names(content)?.last().copied()?,
        "FuncCall" => names(content, "funcname").last().copied()?,
        "AIndirection" => {
            let fields = items(content, "indirection").iter();
            match fields.filter_map(|part| Some(text(node_of(part, "String")?, "sval"))).next_back() {
                Some(name) => name,
                None => return within("arg"),
            }
        }
        "AExpr" if number(content, "kind") == NULLIF => "nullif",
        "GroupingFunc" => "grouping",
        "AArrayExpr" => "array",
        "RowExpr" => "row",
        "CoalesceExpr" => "coalesce",
        "MinMaxExpr" if number(content, "op") == GREATEST => "greatest",
        "MinMaxExpr" => "least",
        "SubLink" => match number(content, "sub_link_type") {
            EXISTS => "exists",
            ARRAY => "array",
            VALUE => of_query(content)?,
            _ => return None,
        },
        "CollateClause" => return within("arg"),
        "CaseExpr" => {
            return within("defresult").filter(|(_, is_better)| *is_better).or(Some(("case", false)));
        }
        "TypeCast" => {
            let target = field(content, "type_name").map(|target| names(target, "names")).unwrap_or_default();
            let of_type = target.last().map(|name| (*name, false));
            return within("arg").filter(|(_, is_better)| *is_better).or(of_type);
        }
        _ => return None,
    };
    Some((name, true))
}

/// The name of the only column of a query that stands for a value.
fn of_query(link: &Json) -> Option<&str> {
    let select = node_of(field(link, "subselect")?, "SelectStmt")?;
    let target = node_of(items(select, "target_list").first()?, "ResTarget")?;
    match text(target, "name") {
        "" => implicit_name(field(target, "val")?),
        name => Some(name),
    }
}
