//! Functions of the application that a statement calls, and that may keep it from running over shards.

use serde_json::Value as Json;

use super::tree::{column_names, has, items, names, node_of, text};
use crate::shard::catalogue::Table;
use crate::shard::error::ShardError;
use crate::shard::functions::Functions;

/// The first function that is called and is of the kind wanted. `row.name` calls one where the row has no such column.
pub(super) fn function_that(
    tree: &Json,
    tables: &[&Table],
    is_wanted: impl Fn(&str) -> bool,
) -> Option<String> {
    let is_column = |name: &str| tables.iter().any(|table| table.column(name).is_some());
    let mut found = None;
    has(tree, |kind, content| {
        if found.is_some() {
            return true;
        }
        let called = match kind {
            "FuncCall" => names(content, "funcname"),
            "ColumnRef" => match column_names(content).as_deref() {
                Some([_, .., last]) if !is_column(last) => vec![*last],
                _ => Vec::new(),
            },
            "AIndirection" => {
                let parts = items(content, "indirection").iter();
                parts.filter_map(|part| Some(text(node_of(part, "String")?, "sval"))).collect()
            }
            _ => Vec::new(),
        };
        found = called.last().filter(|name| is_wanted(name)).map(|name| (*name).to_owned());
        found.is_some()
    });
    found
}

/// Why a statement that calls functions does not say on one shard what it says on all.
pub(super) fn never_alone(tree: &Json, tables: &[&Table], functions: &Functions) -> Option<ShardError> {
    let function = function_that(tree, tables, |name| functions.reads(name))?;
    Some(ShardError::unmergeable(&format!(
        "the function {function}, which reads tables and so sees the rows of one shard only,"
    )))
}

pub(super) fn varying(function: &str) -> String {
    format!("the function {function}, which is not IMMUTABLE and may say something else on every shard,")
}
