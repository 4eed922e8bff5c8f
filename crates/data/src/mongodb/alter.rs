//! Changes of a collection's fields that follow those of a source's columns.

use mongodb::bson::{Document, doc};

use super::connect::Connection;
use super::error::driver_error;
use super::fields::KEY;
use super::infer::describe;
use super::tables::stored_type;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::ID;
use crate::table::{ColumnChange, Table, TableColumn};

/// Changes the fields of every document, one change after the other. Each of them can be made again. A field without a value
/// is none, and any field takes any type, so that there is nothing to do for a new column or another type.
pub(super) async fn alter(connection: &Connection, name: &str, changes: &[ColumnChange]) -> Result<Table> {
    let unknown = || Error::new(ErrorKind::UnknownTable, format!("collection \"{name}\" does not exist"));
    describe(connection, name).await?.ok_or_else(unknown)?;
    for change in changes {
        match change {
            ColumnChange::Add { .. } | ColumnChange::Retype { .. } => {}
            ColumnChange::Drop { name: field } => {
                update(connection, name, exists(field), vec![remove(field)]).await?;
            }
            ColumnChange::Rename { from, to } => {
                let source = if from == ID { KEY } else { from };
                let mut stages = vec![set(to, doc! {"$getField": {"$literal": source}})];
                if from != ID && from != KEY {
                    stages.push(remove(from));
                }
                let filter = if from == ID || from == KEY { without(to) } else { exists(from) };
                update(connection, name, filter, stages).await?;
            }
        }
    }
    let mut table = describe(connection, name).await?.ok_or_else(unknown)?;
    complete(&mut table, changes);
    Ok(table)
}

async fn update(connection: &Connection, name: &str, filter: Document, stages: Vec<Document>) -> Result<()> {
    connection.trace("update", name);
    let updated = connection.collection(name).update_many(filter, stages).await;
    updated.map(drop).map_err(|error| driver_error(&error).in_context(name))
}

/// The type of a field; `missing` where there is none. Unlike a query, this takes no name for a path.
fn type_of(field: &str) -> Document {
    doc! {"$type": {"$getField": {"$literal": field}}}
}

fn exists(field: &str) -> Document {
    doc! {"$expr": {"$ne": [type_of(field), "missing"]}}
}

fn without(field: &str) -> Document {
    doc! {"$expr": {"$eq": [type_of(field), "missing"]}}
}

fn set(field: &str, value: Document) -> Document {
    let operands = doc! {"field": {"$literal": field}, "input": "$$ROOT", "value": value};
    doc! {"$replaceWith": {"$setField": operands}}
}

fn remove(field: &str) -> Document {
    doc! {"$replaceWith": {"$unsetField": {"field": {"$literal": field}, "input": "$$ROOT"}}}
}

/// Adds what no document shows yet, and the types that were declared.
fn complete(table: &mut Table, changes: &[ColumnChange]) {
    for change in changes {
        if let ColumnChange::Add { name, column_type } | ColumnChange::Retype { name, column_type } = change {
            let column_type = stored_type(column_type);
            match table.columns.iter_mut().find(|column| column.name == *name) {
                Some(column) => column.column_type = column_type,
                None => table.columns.push(TableColumn {
                    name: name.clone(),
                    column_type,
                    nullable: true,
                    generated: false,
                }),
            }
        }
    }
}
