//! Changes of a table's columns. Each is a transaction of its own, as the servers have it.

use super::super::catalog;
use super::super::error::{says_it_exists, says_it_is_gone};
use super::super::pool::Link;
use super::super::session::fetch_on;
use super::super::syntax::quote;
use super::super::types::{ddl_type, key_type};
use super::create_like::{definition, key_characters};
use super::described::unknown_table;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Access;
use crate::table::{ColumnChange, ColumnType, Table, TableColumn};
use crate::value::Value;

/// Changes the columns. What is already as it is to be is left so, since another process may have followed the same
/// change.
pub(super) async fn alter(link: &mut Link, name: &str, changes: &[ColumnChange]) -> Result<()> {
    for change in changes {
        let described = catalog::describe(link, name).await?.ok_or_else(|| unknown_table(name))?;
        let table = &described.table;
        let action = match change {
            ColumnChange::Add { name, column_type } => {
                let (name, column_type) = (name.clone(), column_type.clone());
                let column = TableColumn { name, column_type, nullable: true, generated: false };
                Some(format!("ADD COLUMN {}", definition(&column, &mut 0, false)))
            }
            ColumnChange::Drop { name } => Some(format!("DROP COLUMN {}", quote(name))),
            ColumnChange::Rename { from, to } => (position(table, from).is_some()
                || position(table, to).is_none())
            .then(|| format!("RENAME COLUMN {} TO {}", quote(from), quote(to))),
            ColumnChange::Retype { name, column_type } => retype(link, table, name, column_type).await?,
        };
        let Some(action) = action else { continue };
        match link.run(&format!("ALTER TABLE {} {action}", quote(&table.name))).await {
            Err(error) if says_it_exists(&error) && matches!(change, ColumnChange::Add { .. }) => {}
            Err(error) if says_it_is_gone(&error) && matches!(change, ColumnChange::Drop { .. }) => {}
            altered => drop(altered?),
        }
    }
    Ok(())
}

/// The servers take names of columns in either case.
fn position(table: &Table, name: &str) -> Option<usize> {
    table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
}

/// The servers forget of a column what its new definition does not say again.
async fn retype(
    link: &mut Link,
    table: &Table,
    name: &str,
    column_type: &ColumnType,
) -> Result<Option<String>> {
    let unknown =
        || Error::new(ErrorKind::Statement, format!("table \"{}\" has no column \"{name}\"", table.name));
    let position = position(table, name).ok_or_else(unknown)?;
    let existing = table.columns.get(position).ok_or_else(unknown)?;
    let wanted = |column_type: &ColumnType| match table.key.contains(&position) {
        true => key_type(column_type, key_characters(table)),
        false => ddl_type(column_type),
    };
    let to = wanted(column_type);
    if existing.column_type == *column_type || wanted(&existing.column_type) == to {
        return Ok(None);
    }
    let required = if existing.nullable { "" } else { " NOT NULL" };
    let counts = if counts_itself(link, &table.name, &existing.name).await? { " AUTO_INCREMENT" } else { "" };
    Ok(Some(format!("MODIFY COLUMN {} {to}{required}{counts}", quote(&existing.name))))
}

async fn counts_itself(link: &mut Link, table: &str, column: &str) -> Result<bool> {
    let sql = "SELECT EXTRA LIKE '%auto_increment%' FROM information_schema.COLUMNS
               WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND COLUMN_NAME = ?";
    let params: [Value; 2] = [table.into(), column.into()];
    let told = fetch_on(link, Access::Read, sql, &params).await?.into_scalar();
    Ok(told.and_then(|told| told.as_integer()) == Some(1))
}
