//! Bringing the collections of entities into being, by the schema strategy.

use std::collections::HashSet;
use std::sync::Arc;

use mongodb::bson::doc;

use super::connect::Connection;
use super::error::{INDEX_CONFLICTS, NAMESPACE_EXISTS, NAMESPACE_NOT_FOUND, driver_error, server_code};
use super::index::index_models;
use crate::config::SchemaStrategy;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::EntitySchema;

/// How often an index is tried again while another process drops or creates the same collection.
const ATTEMPTS: usize = 5;

/// Creates, checks or drops the collections of entities.
pub(super) async fn init_schema(connection: &Connection, schemas: &[Arc<EntitySchema>]) -> Result<()> {
    connection.check_open()?;
    let mut names = Vec::new();
    for schema in schemas {
        let name = connection.collection_name(schema);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    match connection.strategy {
        SchemaStrategy::None => return Ok(()),
        SchemaStrategy::Validate => return validate(connection, &names).await,
        SchemaStrategy::Create | SchemaStrategy::CreateDrop => drop_collections(connection, &names).await?,
        SchemaStrategy::Update => {}
    }
    connection.register(&names);
    let existing = collection_names(connection).await?;
    for name in names.iter().filter(|name| !existing.contains(*name)) {
        create_collection(connection, name).await?;
    }
    for schema in schemas {
        create_indexes(connection, schema).await?;
    }
    Ok(())
}

/// Creates a collection unless it exists, also when another process is quicker.
pub(super) async fn create_collection(connection: &Connection, name: &str) -> Result<()> {
    connection.trace("create", name);
    match connection.database.create_collection(name).await {
        Err(error) if server_code(&error) != Some(NAMESPACE_EXISTS) => {
            Err(driver_error(&error).in_context(name))
        }
        _ => Ok(()),
    }
}

/// The names of every collection and view.
pub(super) async fn collection_names(connection: &Connection) -> Result<HashSet<String>> {
    let names = connection.database.list_collection_names().await.map_err(|error| driver_error(&error))?;
    Ok(names.into_iter().collect())
}

async fn validate(connection: &Connection, names: &[String]) -> Result<()> {
    let existing = collection_names(connection).await?;
    match names.iter().find(|name| !existing.contains(*name)) {
        None => Ok(()),
        Some(missing) => Err(Error::new(
            ErrorKind::UnknownTable,
            format!("Schema validation failed: table \"{missing}\" does not exist"),
        )),
    }
}

/// Drops collections; one that does not exist is none to drop.
pub(super) async fn drop_collections(connection: &Connection, names: &[String]) -> Result<()> {
    for name in names {
        connection.trace("drop", name);
        connection.collection(name).drop().await.map_err(|error| driver_error(&error).in_context(name))?;
    }
    Ok(())
}

/// Creates the missing indexes. One that exists under the same name or on the same fields in another form is left as
/// it is, because an index of a running application is not ours to drop.
async fn create_indexes(connection: &Connection, schema: &EntitySchema) -> Result<()> {
    let name = connection.collection_name(schema);
    for index in index_models(schema, &name) {
        let mut attempt = 1;
        loop {
            connection.trace("createIndexes", &name);
            let command = doc! {"createIndexes": &name, "indexes": [index.clone()]};
            match connection.database.run_command(command).await.map(drop) {
                Ok(()) => break,
                Err(error) => match server_code(&error) {
                    Some(code) if INDEX_CONFLICTS.contains(&code) => break,
                    // Another process is dropping the collection, or has aborted the build.
                    Some(NAMESPACE_NOT_FOUND | 276 | 112) if attempt < ATTEMPTS => attempt += 1,
                    _ => return Err(driver_error(&error).in_context(format!("{name}: index {index}"))),
                },
            }
        }
    }
    Ok(())
}
