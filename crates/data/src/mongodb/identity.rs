//! What tells a database from every other one, whatever address it is reached by.

use mongodb::bson::{Document, doc};

use super::connect::Connection;
use super::error::driver_error;
use crate::error::Result;

/// The replica set by its name and the number that it was given when it was made; the sharded cluster by its number; the
/// standalone server, which has none, by its address. And the name of the database.
pub(super) async fn identity(connection: &Connection) -> Result<String> {
    let hello = connection.database.run_command(doc! {"hello": 1}).await;
    let hello = hello.map_err(|error| driver_error(&error))?;
    let deployment = if hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
        sharded_cluster(connection).await?
    } else {
        match hello.get_str("setName") {
            Ok(name) => replica_set(connection, name, &hello).await?,
            Err(_) => connection.hosts().to_owned(),
        }
    };
    Ok(format!("mongodb:{deployment}/{}", connection.database.name()))
}

/// Where the user may not see the number, the hosts stand for it.
async fn replica_set(connection: &Connection, name: &str, hello: &Document) -> Result<String> {
    let asked = connection.client().database("admin").run_command(doc! {"replSetGetConfig": 1}).await;
    let config = asked.as_ref().ok().and_then(|reply| reply.get_document("config").ok());
    let settings = config.and_then(|config| config.get_document("settings").ok());
    if let Some(id) = settings.and_then(|settings| settings.get_object_id("replicaSetId").ok()) {
        return Ok(format!("{name}/{}", id.to_hex()));
    }
    let hosts = hello.get_array("hosts").into_iter().flatten().filter_map(|host| host.as_str());
    let mut hosts: Vec<&str> = hosts.collect();
    hosts.sort_unstable();
    Ok(format!("{name}/{}", hosts.join(",")))
}

async fn sharded_cluster(connection: &Connection) -> Result<String> {
    let version = connection.client().database("config").collection::<Document>("version");
    match version.find_one(doc! {}).await {
        Ok(Some(found)) if found.get_object_id("clusterId").is_ok() => {
            Ok(found.get_object_id("clusterId").map(|id| id.to_hex()).unwrap_or_default())
        }
        Ok(_) => Ok(connection.hosts().to_owned()),
        Err(error) => match driver_error(&error) {
            error if error.kind().is_retryable() => Err(error),
            _ => Ok(connection.hosts().to_owned()),
        },
    }
}
