//! Columns of the source that were added, dropped, renamed or given another type since a table was copied.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use data::log::Operation;
use data::table::{ColumnChange, ColumnType, Table, TableColumn, TableStore};
use data::{ErrorKind, Value};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::routes::{Route, Routes};
use super::run::Session;
use crate::column_rule::ColumnRule;
use crate::error::{Error, Result};
use crate::snapshot::{CollectionPlan, End, RestOfDocuments};

/// Tables of the source with their columns as they were last known, kept with the checkpoint.
pub(super) type KnownTables = IndexMap<String, Vec<KnownColumn>>;

/// A column as it was last known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownColumn {
    name: String,
    /// The type, in words that only need to differ where types do.
    #[serde(rename = "type")]
    column_type: String,
    /// Whether it is one of the primary key's; not known of what earlier versions kept.
    #[serde(rename = "key", default, skip_serializing_if = "Option::is_none")]
    is_key: Option<bool>,
}

impl KnownColumn {
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// The columns of a table.
pub(super) fn columns_of(table: &Table) -> Vec<KnownColumn> {
    let column = |(position, column): (usize, &TableColumn)| KnownColumn {
        name: column.name.clone(),
        column_type: format!("{:?}", column.column_type),
        is_key: Some(table.key.contains(&position)),
    };
    table.columns.iter().enumerate().map(column).collect()
}

/// Whether two descriptions have the same columns, in whatever order.
pub(super) fn same_columns(a: &Table, b: &Table) -> bool {
    let known = |table: &Table| {
        let columns = columns_of(table).into_iter();
        let mut columns: Vec<_> = columns.map(|column| (column.name, column.column_type)).collect();
        columns.sort_unstable();
        columns
    };
    known(a) == known(b)
}

/// Whether two descriptions have the same primary key.
fn same_key(a: &Table, b: &Table) -> bool {
    let names = |table: &Table| {
        let columns = table.key.iter().filter_map(|position| table.columns.get(*position));
        columns.map(|column| column.name.clone()).collect::<HashSet<_>>()
    };
    names(a) == names(b)
}

/// Whether columns that stay have come into the primary key or have left it.
fn key_changed(known: &[KnownColumn], table: &Table) -> bool {
    let now = columns_of(table);
    let had_key = known.iter().any(|old| old.is_key == Some(true));
    had_key
        && now.iter().any(|new| {
            let old = known.iter().find(|old| old.name == new.name).and_then(|old| old.is_key);
            old.is_some_and(|old| Some(old) != new.is_key)
        })
}

/// What has changed in a table since its columns were known. A rename is recognised where exactly one column went and one
/// of the same type came at the same place.
fn changes(known: &[KnownColumn], table: &Table) -> Vec<ColumnChange> {
    let now = columns_of(table);
    let gone: Vec<_> =
        known.iter().enumerate().filter(|(_, old)| !now.iter().any(|new| new.name == old.name)).collect();
    let new: Vec<_> =
        now.iter().enumerate().filter(|(_, new)| !known.iter().any(|old| old.name == new.name)).collect();
    let mut changes = Vec::new();
    match (gone.as_slice(), new.as_slice()) {
        ([(from_at, from)], [(to_at, to)]) if from_at == to_at && from.column_type == to.column_type => {
            changes.push(ColumnChange::Rename { from: from.name.clone(), to: to.name.clone() });
        }
        _ => {
            changes.extend(gone.iter().map(|(_, old)| ColumnChange::Drop { name: old.name.clone() }));
            let added = new.iter().filter_map(|(at, _)| table.columns.get(*at));
            changes.extend(added.map(|column| ColumnChange::Add {
                name: column.name.clone(),
                column_type: column.column_type.clone(),
            }));
        }
    }
    let retyped = now.iter().zip(&table.columns).filter(|(new, _)| {
        known.iter().any(|old| old.name == new.name && old.column_type != new.column_type)
    });
    changes.extend(retyped.map(|(_, column)| ColumnChange::Retype {
        name: column.name.clone(),
        column_type: column.column_type.clone(),
    }));
    changes
}

/// The changes that concern the target, under the names that its columns have.
fn taken(changes: Vec<ColumnChange>, source: &Table, columns: &ColumnRule) -> Vec<ColumnChange> {
    let source_type =
        |name: &str| source.columns.iter().find(|own| own.name == name).map(|own| own.column_type.clone());
    let named = |name: &str| columns.takes(name).then(|| columns.at_target(name).to_owned());
    let taken = |change: ColumnChange| match change {
        ColumnChange::Add { name, column_type } => {
            Some(ColumnChange::Add { name: named(&name)?, column_type })
        }
        ColumnChange::Drop { name } => Some(ColumnChange::Drop { name: named(&name)? }),
        ColumnChange::Retype { name, column_type } => {
            Some(ColumnChange::Retype { name: named(&name)?, column_type })
        }
        ColumnChange::Rename { from, to } => match (named(&from), named(&to)) {
            (Some(from), Some(to)) if from == to => None,
            (Some(from), Some(to)) => Some(ColumnChange::Rename { from, to }),
            (Some(name), None) => Some(ColumnChange::Drop { name }),
            (None, Some(name)) => source_type(&to).map(|column_type| ColumnChange::Add { name, column_type }),
            (None, None) => None,
        },
    };
    changes.into_iter().filter_map(taken).collect()
}

/// Brings a table of the target up to its source; whether its rows are to be copied again, because the log does not tell
/// what the change did to those that were there.
///
/// # Errors
/// [`Error::SchemaChanged`] where the target's columns are not to be touched and do not follow already,
/// [`Error::KeyChanged`] where its key is not that of the source any more.
pub(super) async fn follow(
    rule: &str,
    plan: &CollectionPlan,
    known: &[KnownColumn],
    source: &Table,
    target: &End,
) -> Result<bool> {
    if key_changed(known, source) && !has_key_of(source, plan, target).await? {
        return Err(Error::KeyChanged {
            rule: rule.to_owned(),
            source_table: plan.source_table.clone(),
            target_table: plan.target_table.clone(),
        });
    }
    let changes = taken(changes(known, source), source, &plan.columns);
    if changes.is_empty() {
        return Ok(false);
    }
    let in_table = || Error::database_in(format!("table \"{}\" at the target", plan.target_table));
    let tables = target.tables().map_err(in_table())?;
    let Some(own) = tables.describe(&plan.target_table).await.map_err(in_table())? else {
        return Ok(true);
    };
    if !target.is_schemaless() {
        let missing: Vec<_> = changes.iter().filter(|change| !is_followed(change, &own)).cloned().collect();
        if !missing.is_empty() && !target.follows_schema() {
            return Err(refused(rule, plan, &missing));
        }
        if !missing.is_empty() {
            alter(tables, &own, &missing).await.map_err(in_table())?;
        }
    } else if target.follows_schema() {
        tables.alter(&plan.target_table, &changes).await.map_err(in_table())?;
    }
    Ok(changes.iter().any(|change| !matches!(change, ColumnChange::Drop { .. })))
}

/// Changes the columns of a table of the target. Where values do not become those of another type by themselves, the column is
/// made anew: what the source made of them comes when the rows are copied again, as they are after every change of a type.
async fn alter(tables: &dyn TableStore, own: &Table, changes: &[ColumnChange]) -> data::Result<()> {
    let refused = match tables.alter(&own.name, changes).await {
        Err(error) if error.kind() == ErrorKind::Value => error,
        altered => return altered.map(drop),
    };
    let is_key = |name: &str| {
        let key = own.key.iter().filter_map(|position| own.columns.get(*position));
        key.into_iter().any(|column| column.name.eq_ignore_ascii_case(name))
    };
    let anew = |change: &ColumnChange| match change {
        ColumnChange::Retype { name, column_type } if !is_key(name) => vec![
            ColumnChange::Drop { name: name.clone() },
            ColumnChange::Add { name: name.clone(), column_type: column_type.clone() },
        ],
        change => vec![change.clone()],
    };
    let anew: Vec<_> = changes.iter().flat_map(anew).collect();
    if anew == changes {
        return Err(refused);
    }
    tracing::warn!(table = own.name, reason = %refused, "columns of another type are made anew, and their rows copied again");
    tables.alter(&own.name, &anew).await.map(drop)
}

/// Whether the rows of the target are told apart by the same columns. Documents are by what they were copied with.
async fn has_key_of(source: &Table, plan: &CollectionPlan, target: &End) -> Result<bool> {
    if target.is_schemaless() {
        return Ok(false);
    }
    let in_table = || Error::database_in(format!("table \"{}\" at the target", plan.target_table));
    let described = target.tables().map_err(in_table())?.describe(&plan.target_table).await;
    let Some(mut own) = described.map_err(in_table())? else { return Ok(true) };
    own.columns.iter_mut().for_each(|column| column.name = column.name.to_lowercase());
    let mut wanted = source.clone();
    let named = |name: &str| plan.columns.at_target(name).to_lowercase();
    wanted.columns.iter_mut().for_each(|column| column.name = named(&column.name));
    Ok(same_key(&own, &wanted))
}

/// Follows the fields of documents: forgets the tables that have been given further columns, so that they are copied again, as
/// rows may have been written without them; and widens columns of numbers. Whether a table was widened, so that it must be
/// described again.
pub(super) async fn follow_documents(routes: &Routes, target: &End, known: &mut KnownTables) -> Result<bool> {
    let mut widened = false;
    for route in &routes.list {
        if !matches!(route.plan.rest, RestOfDocuments::Reported | RestOfDocuments::Column) {
            continue;
        }
        let Some(columns) = known.get(&route.captured.name) else { continue };
        let now = columns_of(&route.captured);
        if now.iter().any(|new| !columns.iter().any(|old| old.name == new.name)) {
            known.shift_remove(&route.captured.name);
            continue;
        }
        if !target.follows_schema() {
            continue;
        }
        let wider = route.captured.columns.iter().zip(&now).filter(|(column, new)| {
            let is_wider =
                |old: &KnownColumn| old.name == new.name && is_wider_number(&old.column_type, column);
            columns.iter().any(is_wider)
        });
        let changes: Vec<ColumnChange> = wider
            .filter(|(column, _)| route.plan.columns.takes(&column.name))
            .map(|(column, _)| ColumnChange::Retype {
                name: route.plan.columns.at_target(&column.name).to_owned(),
                column_type: column.column_type.clone(),
            })
            .collect();
        if !changes.is_empty() {
            let in_table = Error::database_in(format!("table \"{}\" at the target", route.plan.target_table));
            let tables = target.tables().map_err(Error::database_in("target"))?;
            tables.alter(&route.plan.target_table, &changes).await.map_err(in_table)?;
            widened = true;
        }
    }
    Ok(widened)
}

/// Whether the documents of a collection have come to hold larger numbers, or fractions, in a field of integers.
fn is_wider_number(known: &str, now: &TableColumn) -> bool {
    known == "Int32" && matches!(now.column_type, ColumnType::Int64 | ColumnType::Float64)
}

/// Whether a table has taken a change already.
fn is_followed(change: &ColumnChange, own: &Table) -> bool {
    let has = |name: &str| own.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    match change {
        ColumnChange::Add { name, .. } => has(name),
        ColumnChange::Drop { name } => !has(name),
        ColumnChange::Rename { from, to } => has(to) && !has(from),
        ColumnChange::Retype { name, column_type } => {
            let column = own.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
            column.is_some_and(|column| column.column_type == *column_type)
        }
    }
}

fn refused(rule: &str, plan: &CollectionPlan, changes: &[ColumnChange]) -> Error {
    let told: Vec<String> = changes
        .iter()
        .map(|change| match change {
            ColumnChange::Add { name, .. } => format!("column \"{name}\" was added"),
            ColumnChange::Drop { name } => format!("column \"{name}\" was dropped"),
            ColumnChange::Rename { from, to } => format!("column \"{from}\" was renamed to \"{to}\""),
            ColumnChange::Retype { name, .. } => format!("column \"{name}\" was given another type"),
        })
        .collect();
    Error::SchemaChanged {
        rule: rule.to_owned(),
        changes: told.join(", "),
        source_table: plan.source_table.clone(),
        target_table: plan.target_table.clone(),
    }
}

impl Session {
    /// Whether documents have fields that the target is still to be given columns for. A field that no document has any more
    /// is none of them.
    pub(super) async fn has_new_fields(
        &self,
        route: &Route,
        table: &Table,
        operation: &Operation,
    ) -> Result<bool> {
        if route.plan.rest != RestOfDocuments::Reported || !self.target.follows_schema() {
            return Ok(false);
        }
        let (Operation::Insert { row } | Operation::Update { row, .. }) = operation else { return Ok(false) };
        let Some(Value::Object(rest)) = table.rest().and_then(|rest| row.get(rest)) else { return Ok(false) };
        let vanished = || route.vanished.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = |name: &&String| route.plan.columns.takes(name) && !vanished().contains(*name);
        let unknown: Vec<String> = rest.keys().filter(is_new).cloned().collect();
        if unknown.is_empty() {
            return Ok(false);
        }
        let in_table = || Error::database_in(format!("table \"{}\" at the source", table.name));
        let tables = self.source.tables().map_err(in_table())?;
        let described = tables.describe(&table.name).await.map_err(in_table())?;
        let is_there = |name: &String| described.as_ref().is_some_and(|table| table.position(name).is_some());
        if unknown.iter().any(is_there) {
            return Ok(true);
        }
        vanished().extend(unknown);
        Ok(false)
    }

    /// Whether the columns or the key of a table that is being read have changed since the session began. A change that was logged
    /// before an earlier change of the columns has the old ones, which is no news; and by another replica identity the log tells
    /// another key.
    pub(super) async fn columns_changed(&self, table: &Arc<Table>, route: &Route) -> Result<bool> {
        let captured = &route.captured;
        let is_same = |table: &Table| same_columns(table, captured) && same_key(table, captured);
        let told_otherwise = || route.told_otherwise.lock().unwrap_or_else(PoisonError::into_inner);
        let is_judged = told_otherwise().as_ref().is_some_and(|judged| Arc::ptr_eq(judged, table));
        if is_judged || is_same(table) {
            return Ok(false);
        }
        let in_table = || Error::database_in(format!("table \"{}\" at the source", table.name));
        let tables = self.source.tables().map_err(in_table())?;
        let described = tables.describe(&table.name).await.map_err(in_table())?;
        let has_changed = described.is_none_or(|described| !is_same(&described));
        if !has_changed {
            *told_otherwise() = Some(Arc::clone(table));
        }
        Ok(has_changed)
    }
}

#[cfg(test)]
mod tests {
    use data::table::{ColumnType, TableColumn};

    use super::*;

    fn table(columns: &[(&str, ColumnType)]) -> Table {
        let column = |(name, column_type): &(&str, ColumnType)| TableColumn {
            name: (*name).to_owned(),
            column_type: column_type.clone(),
            nullable: true,
            generated: false,
        };
        Table {
            name: "t".to_owned(),
            columns: columns.iter().map(column).collect(),
            key: vec![0],
            references: Vec::new(),
        }
    }

    #[test]
    fn a_column_of_the_same_type_at_the_same_place_was_renamed() {
        let before = columns_of(&table(&[("id", ColumnType::Int64), ("a", ColumnType::Text(None))]));
        let renamed = table(&[("id", ColumnType::Int64), ("b", ColumnType::Text(None))]);
        let rename = ColumnChange::Rename { from: "a".to_owned(), to: "b".to_owned() };
        assert_eq!(changes(&before, &renamed), [rename]);
        let replaced = table(&[("id", ColumnType::Int64), ("b", ColumnType::Bool)]);
        let drop = ColumnChange::Drop { name: "a".to_owned() };
        let add = ColumnChange::Add { name: "b".to_owned(), column_type: ColumnType::Bool };
        assert_eq!(changes(&before, &replaced), [drop, add]);
    }

    #[test]
    fn another_order_is_no_change_and_another_type_is() {
        let before = columns_of(&table(&[("id", ColumnType::Int64), ("a", ColumnType::Int32)]));
        let turned = table(&[("a", ColumnType::Int32), ("id", ColumnType::Int64)]);
        assert!(changes(&before, &turned).is_empty());
        let retyped = table(&[("id", ColumnType::Int64), ("a", ColumnType::Int64)]);
        let retype = ColumnChange::Retype { name: "a".to_owned(), column_type: ColumnType::Int64 };
        assert_eq!(changes(&before, &retyped), [retype]);
    }
}
