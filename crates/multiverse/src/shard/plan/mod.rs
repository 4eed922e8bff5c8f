//! From the text of a statement to what is done with it over shards. Made once per text, with the catalogue.

mod aggregate;
mod called;
mod insert;
mod names;
mod pin;
mod scope;
mod select;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeSet;
use std::sync::Arc;

use pg_query::NodeEnum;
use serde_json::Value as Json;

use self::called::function_that;
pub(crate) use self::insert::InsertPlan;
use self::names::Names;
pub(crate) use self::pin::Pin;
use self::scope::{Reach, Role, Scope};
use self::tree::{field, flag, items, node_of, number, text};
use super::catalogue::ShardCatalogue;
use super::error::ShardError;
use super::layout::ShardedCluster;
use super::merge_plan::Merge;
use crate::request::BindParameters;
use crate::route::with_syntax_tree;

/// What is done with a statement.
#[derive(Debug)]
pub(crate) enum Plan {
    /// It says the same on every shard.
    Anywhere,
    /// It is for all shards, whatever they hold, and changes what the catalogue says.
    Everywhere,
    /// It reads or changes rows of tables.
    Rows(RowsPlan),
    Insert(Box<InsertPlan>),
    Refused(ShardError),
}

/// A statement on rows: on one shard as it is, or in parts.
#[derive(Debug)]
pub(crate) struct RowsPlan {
    /// For each group of tables joined by their keys, what their key is bound by. On one shard the statement says what it
    /// says if all of them lie there.
    bound: Vec<Vec<Pin>>,
    /// Why it does not say on one shard what it says on all.
    never_alone: Option<ShardError>,
    /// How it runs on several.
    pub(crate) parts: Result<Parts, ShardError>,
    /// It changes rows.
    pub(crate) writes: bool,
}

/// What each of several shards is asked.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) text: Arc<str>,
    /// The parameters that the text uses, by positions from 0.
    pub(crate) used: BTreeSet<usize>,
    pub(crate) merge: Merge,
}

/// The shards that a statement needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Needed {
    /// One, on which the statement says what it says.
    One(u32),
    /// These, each for its part.
    Several(Vec<u32>),
}

impl RowsPlan {
    /// The shards that the statement needs with these parameters, of so many.
    ///
    /// # Errors
    /// A value is none of a shard key, or the statement needs several shards and does not run in parts.
    pub(crate) fn needed(&self, parameters: &BindParameters, count: u32) -> Result<Needed, ShardError> {
        let mut common: Option<BTreeSet<u32>> = None;
        let mut is_one = true;
        for pins in &self.bound {
            let mut shards: Option<BTreeSet<u32>> = None;
            for pin in pins {
                let found = pin.shards(parameters)?;
                shards = Some(match shards {
                    None => found,
                    Some(before) => before.intersection(&found).copied().collect(),
                });
            }
            match shards {
                None => is_one = false,
                Some(shards) => {
                    is_one &= shards.len() <= 1;
                    common = Some(match common {
                        None => shards,
                        Some(before) if before.is_empty() || shards.is_empty() => &before | &shards,
                        Some(before) if before == shards => before,
                        Some(before) => {
                            is_one = false;
                            &before | &shards
                        }
                    });
                }
            }
        }
        if is_one && let Some(common) = &common {
            if let Some(refused) = &self.never_alone {
                return Err(refused.clone());
            }
            // Without any shard there is no row, whichever is asked.
            return Ok(Needed::One(common.first().copied().unwrap_or(0)));
        }
        if let Err(refused) = &self.parts {
            return Err(refused.clone());
        }
        match common {
            // Only with one group of tables it is known that no other shard has any.
            Some(shards) if self.bound.len() == 1 => Ok(Needed::Several(shards.into_iter().collect())),
            _ => Ok(Needed::Several((0..count).collect())),
        }
    }
}

/// Plans a statement.
pub(crate) fn plan(
    sql: &str,
    cluster: &ShardedCluster,
    catalogue: &ShardCatalogue,
    schema: Option<&str>,
) -> Plan {
    let names = Names { cluster, catalogue, schema };
    let planned = with_syntax_tree(sql, |tree| {
        let statement = match &tree.stmts[..] {
            [] => return Plan::Anywhere,
            [only] => only.stmt.as_ref().and_then(|stmt| stmt.node.as_ref()),
            _ => None,
        };
        let Some(statement) = statement else {
            return Plan::Refused(ShardError::statement(
                "several statements in one text cannot run on a sharded cluster: send them one by one",
            ));
        };
        match serde_json::to_value(statement) {
            Ok(json) => of_statement(sql, statement, &json, &names).unwrap_or_else(Plan::Refused),
            Err(_) => Plan::Refused(ShardError::statement("the statement cannot be read")),
        }
    });
    planned.unwrap_or_else(|| {
        Plan::Refused(ShardError::statement(
            "the statement is no SQL that is known here, or is nested too deeply",
        ))
    })
}

fn of_statement(sql: &str, statement: &NodeEnum, json: &Json, names: &Names<'_>) -> Result<Plan, ShardError> {
    let content = json.as_object().and_then(|fields| fields.values().next()).unwrap_or(&Json::Null);
    let mut scope = Scope::new(names);
    let functions = names.catalogue.functions();
    match statement {
        NodeEnum::SelectStmt(select) => {
            scope.select(content, None, Role::Top)?;
            let varying = function_that(content, &scope.tables(), |name| functions.varies(name));
            if scope.instances.is_empty() {
                return match varying {
                    None => Ok(Plan::Anywhere),
                    Some(function) => Err(ShardError::statement(&format!(
                        "{} needs a shard to run on: pass shardKey",
                        called::varying(&function)
                    ))),
                };
            }
            let never_alone = called::never_alone(content, &scope.tables(), functions);
            let parts = scope.runs_in_parts().and_then(|()| match varying {
                Some(function) => Err(ShardError::unmergeable(&called::varying(&function))),
                None => {
                    let parts = select::parts_of(select, content, names, &scope)?;
                    if parts.select == **select {
                        return Ok(parts_with(sql.to_owned(), parts.merge));
                    }
                    let text = insert::deparsed(NodeEnum::SelectStmt(Box::new(parts.select)));
                    let text =
                        text.ok_or_else(|| ShardError::statement("the statement cannot be written"))?;
                    Ok(parts_with(text, parts.merge))
                }
            });
            Ok(Plan::Rows(RowsPlan { bound: scope.bound(), never_alone, parts, writes: false }))
        }
        NodeEnum::UpdateStmt(_) | NodeEnum::DeleteStmt(_) => {
            change(sql, statement, content, &mut scope, names).map(Plan::Rows)
        }
        NodeEnum::InsertStmt(insert) => {
            InsertPlan::new(insert, content, names).map(|plan| Plan::Insert(Box::new(plan)))
        }
        _ => other(statement, content),
    }
}

/// UPDATE and DELETE.
fn change(
    sql: &str,
    statement: &NodeEnum,
    content: &Json,
    scope: &mut Scope<'_>,
    names: &Names<'_>,
) -> Result<RowsPlan, ShardError> {
    let level = scope.open(None, Role::Top);
    scope.with_clause(content, level)?;
    let changed = scope.relation(field(content, "relation").unwrap_or(&Json::Null), level)?;
    for clause in ["from_clause", "using_clause"] {
        for item in items(content, clause) {
            scope.row_source(item, level, true)?;
        }
    }
    let key = changed.first().and_then(|at| scope.instances.get(*at)).map(|instance| instance.key.clone());
    if let (NodeEnum::UpdateStmt(_), Some(key)) = (statement, &key) {
        let targets = items(content, "target_list").iter().filter_map(|target| node_of(target, "ResTarget"));
        if targets.into_iter().any(|target| text(target, "name") == key) {
            return Err(ShardError::key_update(key));
        }
    }
    if let Some(condition) = field(content, "where_clause") {
        scope.condition(condition, level, &Reach::All { binds: true });
    }
    for tree in ["where_clause", "target_list", "returning_clause", "returning_list"] {
        field(content, tree).map_or(Ok(()), |tree| scope.expressions(tree, level))?;
    }
    let functions = names.catalogue.functions();
    let never_alone = called::never_alone(content, &scope.tables(), functions);
    let varying = function_that(content, &scope.tables(), |name| functions.varies(name));
    let parts = scope.runs_in_parts().and_then(|()| match varying {
        Some(function) => Err(ShardError::unmergeable(&called::varying(&function))),
        None => Ok(parts_with(sql.to_owned(), Merge::default())),
    });
    Ok(RowsPlan { bound: scope.bound(), never_alone, parts, writes: true })
}

fn parts_with(text: String, merge: Merge) -> Parts {
    let used = parameters_of(&text);
    Parts { text: text.into(), used, merge }
}

/// The positions of the parameters that a text uses.
pub(crate) fn parameters_of(text: &str) -> BTreeSet<usize> {
    let mut used = BTreeSet::new();
    let tree =
        with_syntax_tree(text, |tree| serde_json::to_value(tree).unwrap_or_default()).unwrap_or_default();
    tree::walk(&tree, &mut |kind, content| {
        if kind == "ParamRef" {
            used.extend(usize::try_from(number(content, "number") - 1).ok());
        }
        true
    });
    used
}

/// Statements that are not about rows.
fn other(statement: &NodeEnum, content: &Json) -> Result<Plan, ShardError> {
    let is_everywhere = match statement {
        NodeEnum::IndexStmt(_) => !flag(content, "concurrent"),
        NodeEnum::DropStmt(_) => !flag(content, "concurrent"),
        NodeEnum::CreateStmt(_)
        | NodeEnum::AlterTableStmt(_)
        | NodeEnum::RenameStmt(_)
        | NodeEnum::TruncateStmt(_)
        | NodeEnum::CommentStmt(_)
        | NodeEnum::GrantStmt(_)
        | NodeEnum::ViewStmt(_)
        | NodeEnum::CreateSchemaStmt(_)
        | NodeEnum::CreateSeqStmt(_)
        | NodeEnum::AlterSeqStmt(_)
        | NodeEnum::CreateEnumStmt(_)
        | NodeEnum::CreateDomainStmt(_)
        | NodeEnum::CompositeTypeStmt(_)
        | NodeEnum::CreateFunctionStmt(_)
        | NodeEnum::CreateTrigStmt(_)
        | NodeEnum::CreateExtensionStmt(_) => true,
        _ => false,
    };
    if is_everywhere {
        return Ok(Plan::Everywhere);
    }
    Err(ShardError::statement(
        "this kind of statement runs on no sharded cluster as a whole: name a single shard by clusterId (<cluster>/0, \
         <cluster>/1, …), or pass shardKey",
    ))
}
