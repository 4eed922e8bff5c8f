//! Making a table like one of another database.

use wire::{Connection, Param};

use super::catalog::{self, Relation, quoted, split_name};
use super::types::ddl_type;
use crate::error::Result;
use crate::table::{ColumnType, Table, TableColumn};

/// What a server says to one of two who make the same at once, also with IF NOT EXISTS: a unique value in its catalogues that is
/// taken, or an object, a table or a schema that exists.
const MADE_BY_ANOTHER: [&str; 4] = ["23505", "42710", "42P07", "42P06"];

/// Creates the table unless it exists, else adds the columns that it lacks. Both are repeatable, so that two processes
/// may do it at once.
pub(super) async fn create_like(connection: &mut Connection, source: &Table) -> Result<Relation> {
    if let Some(relation) = catalog::find(connection, &source.name).await? {
        add_missing_columns(connection, &relation, source).await?;
        return Ok(relation);
    }
    let (schema, table) = split_name(&source.name);
    let name = match schema {
        Some(schema) => {
            make(connection, &format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(schema))).await?;
            format!("{}.{}", quoted(schema), quoted(table))
        }
        None => quoted(table),
    };
    let mut definitions = Vec::with_capacity(source.columns.len() + 1);
    for (position, column) in source.columns.iter().enumerate() {
        let is_key = source.key.contains(&position);
        definitions.push(definition(connection, column, is_key || !column.nullable, is_key).await?);
    }
    let key: Vec<_> = source.key.iter().map(|position| quoted(&source.columns[*position].name)).collect();
    definitions.push(format!("PRIMARY KEY ({})", key.join(", ")));
    let statement = format!("CREATE TABLE IF NOT EXISTS {name} (\n  {}\n)", definitions.join(",\n  "));
    make(connection, &statement).await?;
    let created = catalog::find(connection, &source.name).await?;
    created.ok_or_else(|| {
        let message =
            format!("table \"{}\" was created, but the search path does not lead to it", source.name);
        crate::Error::new(crate::ErrorKind::UnknownTable, message)
    })
}

async fn make(connection: &mut Connection, statement: &str) -> Result<()> {
    match connection.simple_query(statement).await {
        Err(wire::Error::Server(error)) if MADE_BY_ANOTHER.contains(&error.code.as_str()) => Ok(()),
        made => made.map(drop).map_err(Into::into),
    }
}

async fn add_missing_columns(connection: &mut Connection, relation: &Relation, source: &Table) -> Result<()> {
    let existing = catalog::describe(connection, relation).await?.table;
    for column in source.columns.iter().filter(|column| existing.position(&column.name).is_none()) {
        let definition = definition(connection, column, false, false).await?;
        let statement = format!("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {definition}", relation.quoted);
        connection.simple_query(&statement).await?;
    }
    Ok(())
}

async fn definition(
    connection: &mut Connection,
    column: &TableColumn,
    not_null: bool,
    is_key: bool,
) -> Result<String> {
    let own_type = own_type(connection, &column.column_type, is_key).await?;
    Ok(format!("{} {own_type}{}", quoted(&column.name), if not_null { " NOT NULL" } else { "" }))
}

/// The type of a column like one of another database.
pub(super) async fn own_type(
    connection: &mut Connection,
    column_type: &ColumnType,
    is_key: bool,
) -> Result<String> {
    Ok(match column_type {
        // jsonb cannot tell a key's types apart as the other database did.
        ColumnType::Any | ColumnType::Json if is_key => "text".to_owned(),
        ColumnType::Native(name) => native_type(connection, name).await?,
        column_type => ddl_type(column_type),
    })
}

/// A type of the source's own, if this database has one of that name too.
async fn native_type(connection: &mut Connection, name: &str) -> Result<String> {
    let result = connection.query("SELECT to_regtype($1) IS NOT NULL", &[Param::text(name)]).await;
    match result {
        Ok(result) => {
            let known = result.rows.get(0).map(|row| row.get_str(0)).transpose()?.flatten() == Some("t");
            // The name is what `format_type` gave at the source, which is SQL and quoted where it must be.
            Ok(if known { name } else { "text" }.to_owned())
        }
        // A name that is no type name at all in PostgreSQL's grammar.
        Err(wire::Error::Server(_)) => Ok("text".to_owned()),
        Err(error) => Err(error.into()),
    }
}
