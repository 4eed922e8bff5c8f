//! An INSERT over shards: which value of each row is its shard key.

use std::sync::Arc;

use pg_query::protobuf::{InsertStmt, ParseResult, RawStmt, ResTarget};
use pg_query::{DeparseOptions, Node, NodeEnum};
use serde_json::Value as Json;

use super::called;
use super::names::Names;
use super::pin::{Pin, Source, source_of};
use super::tree::{field, has, items, node_of, number, text};
use crate::shard::catalogue::Table;
use crate::shard::error::ShardError;

const NOTHING: i64 = 2;
const UPDATE: i64 = 3;
const NO_SET_OPERATION: i64 = 1;

/// An INSERT of rows whose shard keys are known.
#[derive(Debug)]
pub(crate) struct InsertPlan {
    /// How keys lead to shards; it has no values of its own.
    pub(crate) pin: Pin,
    /// The key of each row.
    pub(crate) keys: Vec<Source>,
    statement: InsertStmt,
    /// The text with the names of its columns, where it did not say them: whatever has become of the table meanwhile, the
    /// value that was taken for the key is stored as the key, or nothing is stored.
    pub(crate) named: Option<Arc<str>>,
}

impl InsertPlan {
    /// Plans an INSERT.
    ///
    /// # Errors
    /// It does not say the shard key of each row, or what it does on conflict depends on other shards.
    pub(super) fn new(insert: &InsertStmt, json: &Json, names: &Names<'_>) -> Result<Self, ShardError> {
        let relation = field(json, "relation").unwrap_or(&Json::Null);
        let table = names.table(text(relation, "schemaname"), text(relation, "relname"))?;
        let (key, placement) = names.key_of(&table)?;
        let required = |what: &str| {
            ShardError::key_required(&format!(
                "{what} does not say the value of the shard key {key} as a literal or parameter: insert VALUES with it, or \
                 pass shardKey"
            ))
        };
        if field(json, "with_clause").is_some() || has(json, |kind, _| kind == "SubLink") {
            return Err(required("an INSERT with a query in it"));
        }
        let columns = items(json, "cols");
        let place = if columns.is_empty() {
            table.columns.iter().position(|column| column.name == key)
        } else {
            let name = |column| node_of(column, "ResTarget").map(|target| text(target, "name"));
            columns.iter().position(|column| name(column) == Some(key.as_str()))
        };
        let place = place.ok_or_else(|| required("the INSERT"))?;
        if let Some(refused) = called::never_alone(json, &[&table], names.catalogue.functions()) {
            return Err(refused);
        }
        let select = field(json, "select_stmt").and_then(|select| node_of(select, "SelectStmt"));
        let select = select.filter(|select| number(select, "op") <= NO_SET_OPERATION);
        let rows = select.map_or(&[][..], |select| items(select, "values_lists"));
        if rows.is_empty() {
            return Err(required("INSERT … SELECT or DEFAULT VALUES"));
        }
        let has_rest = select.is_some_and(|select| {
            ["limit_count", "limit_offset", "with_clause"].iter().any(|rest| field(select, rest).is_some())
        });
        if has_rest {
            return Err(required("VALUES with LIMIT, OFFSET or WITH"));
        }
        let several = if rows.len() > 1 { rows } else { &[] };
        let mut calls = several.iter().filter_map(|row| {
            called::function_that(row, &[&table], |name| names.catalogue.functions().returns_set(name))
        });
        // A server refuses them in several rows, and not in the only one that a shard would be left with.
        if let Some(function) = calls.next() {
            return Err(ShardError::statement(&format!(
                "the function {function}, which returns a set, cannot be called in VALUES of several rows"
            )));
        }
        let key_of_row = |row: &Json| {
            let value = items(node_of(row, "List")?, "items").get(place)?;
            source_of(value, placement.key)
        };
        let keys = rows.iter().map(|row| key_of_row(row).ok_or_else(|| required("a row of the INSERT")));
        let keys = keys.collect::<Result<_, _>>()?;
        check_conflict(json, &key)?;
        let pin = Pin { column: key, placement, sources: Vec::new() };
        let mut statement = insert.clone();
        if columns.is_empty() {
            let count = rows.iter().filter_map(|row| Some(items(node_of(row, "List")?, "items").len())).max();
            statement.cols = named_columns(&table, count.unwrap_or(0))?;
        }
        let named = if columns.is_empty() {
            let unwritable = || ShardError::statement("the INSERT cannot be written: name its columns");
            Some(written(statement.clone()).ok_or_else(unwritable)?.into())
        } else {
            None
        };
        Ok(Self { pin, keys, statement, named })
    }

    /// The text of the INSERT with only some of its rows.
    pub(crate) fn text_of(&self, is_wanted: impl Fn(usize) -> bool) -> Option<String> {
        let mut statement = self.statement.clone();
        if let Some(NodeEnum::SelectStmt(select)) = statement.select_stmt.as_mut()?.node.as_mut() {
            let mut at = 0;
            select.values_lists.retain(|_| {
                at += 1;
                is_wanted(at - 1)
            });
        }
        written(statement)
    }
}

fn written(statement: InsertStmt) -> Option<String> {
    deparsed(NodeEnum::InsertStmt(Box::new(statement)))
}

/// The first columns of a table, as an INSERT names them.
fn named_columns(table: &Table, count: usize) -> Result<Vec<Node>, ShardError> {
    let columns = table.columns.get(..count).ok_or_else(|| {
        ShardError::table(format!("the INSERT has more values than the table {} has columns", table.name))
    })?;
    let named = columns.iter().map(|column| {
        let target = ResTarget { name: column.name.clone(), ..ResTarget::default() };
        Node { node: Some(NodeEnum::ResTarget(Box::new(target))) }
    });
    Ok(named.collect())
}

/// Whether rows are the same is only seen within a shard.
fn check_conflict(json: &Json, key: &str) -> Result<(), ShardError> {
    let Some(clause) = field(json, "on_conflict_clause") else { return Ok(()) };
    if !matches!(number(clause, "action"), NOTHING | UPDATE) {
        return Ok(());
    }
    let updates_key = items(clause, "target_list")
        .iter()
        .filter_map(|target| node_of(target, "ResTarget"))
        .any(|target| text(target, "name") == key);
    if updates_key {
        return Err(ShardError::key_update(key));
    }
    let columns = field(clause, "infer").map_or(&[][..], |infer| items(infer, "index_elems"));
    let has_key = columns
        .iter()
        .filter_map(|column| node_of(column, "IndexElem"))
        .any(|column| text(column, "name") == key);
    if has_key {
        return Ok(());
    }
    Err(ShardError::statement(
        "ON CONFLICT must name columns of which one is the shard key: rows on other shards are not seen",
    ))
}

/// The text of a statement.
pub(super) fn deparsed(statement: NodeEnum) -> Option<String> {
    let stmt = Some(Box::new(Node { node: Some(statement) }));
    let tree = ParseResult { version: 0, stmts: vec![RawStmt { stmt, stmt_location: 0, stmt_len: 0 }] };
    pg_query::deparse(&tree, DeparseOptions::default()).ok()
}
