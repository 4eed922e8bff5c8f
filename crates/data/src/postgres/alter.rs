//! Changes of a table's columns.

use wire::Connection;

use super::catalog::{self, Relation, quoted};
use super::create_like::own_type;
use super::types::ddl_type;
use crate::error::{Error, ErrorKind, Result};
use crate::table::{ColumnChange, ColumnType, Table};

/// "cannot cast type".
const NO_CAST: &str = "42846";

/// Changes the columns. The caller has begun a transaction and locked the table. What is already as it is to be is left
/// so, since another process may have followed the same change.
pub(super) async fn alter(
    connection: &mut Connection,
    relation: &Relation,
    changes: &[ColumnChange],
) -> Result<()> {
    for change in changes {
        let table = catalog::describe(connection, relation).await?.table;
        let name = &relation.quoted;
        match change {
            ColumnChange::Add { name: column, column_type } => {
                let own_type = own_type(connection, column_type, false).await?;
                let column = quoted(column);
                let sql = format!("ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {column} {own_type}");
                connection.simple_query(&sql).await?;
            }
            ColumnChange::Drop { name: column } => {
                let sql = format!("ALTER TABLE {name} DROP COLUMN IF EXISTS {}", quoted(column));
                connection.simple_query(&sql).await?;
            }
            ColumnChange::Rename { from, to } => {
                if table.position(from).is_some() || table.position(to).is_none() {
                    let (from, to) = (quoted(from), quoted(to));
                    connection
                        .simple_query(&format!("ALTER TABLE {name} RENAME COLUMN {from} TO {to}"))
                        .await?;
                }
            }
            ColumnChange::Retype { name: column, column_type } => {
                retype(connection, relation, &table, column, column_type).await?;
            }
        }
    }
    Ok(())
}

async fn retype(
    connection: &mut Connection,
    relation: &Relation,
    table: &Table,
    column: &str,
    column_type: &ColumnType,
) -> Result<()> {
    let unknown =
        || Error::new(ErrorKind::Statement, format!("table \"{}\" has no column \"{column}\"", table.name));
    let position = table.position(column).ok_or_else(unknown)?;
    let is_key = table.key.contains(&position);
    let to = own_type(connection, column_type, is_key).await?;
    let existing = table.columns.get(position).map(|own| &own.column_type);
    let is_so = match existing {
        Some(ColumnType::Native(name)) => *name == to,
        Some(existing) => ddl_type(existing) == to,
        None => false,
    };
    if is_so {
        return Ok(());
    }
    // A cast to a type with a length would cut what is too long; assigning it fails instead.
    let unbounded = match column_type {
        ColumnType::Text(_) => "text".to_owned(),
        ColumnType::Decimal(_) => "numeric".to_owned(),
        _ => to.clone(),
    };
    let (name, column) = (&relation.quoted, quoted(column));
    let alter = |using: &str| format!("ALTER TABLE {name} ALTER COLUMN {column} TYPE {to} USING {using}");
    connection.simple_query("SAVEPOINT replicaverse_retype").await?;
    match connection.simple_query(&alter(&format!("{column}::{unbounded}"))).await.map_err(Error::from) {
        Err(error) if error.code() == NO_CAST => {
            connection.simple_query("ROLLBACK TO SAVEPOINT replicaverse_retype").await?;
            connection.simple_query(&alter(&format!("{column}::text::{unbounded}"))).await?;
        }
        altered => drop(altered?),
    }
    Ok(())
}
