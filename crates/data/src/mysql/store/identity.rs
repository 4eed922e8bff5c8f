//! What tells a database from every other one, whatever address it is reached by.

use super::super::pool::Link;
use super::super::server::ServerKind;
use super::super::session::fetch_on;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Access;
use crate::value::Value;

/// The number that MySQL gives each server; MariaDB does not, so that the machine, the port and the folder stand for it. And
/// the name of the database.
pub(super) async fn identity(link: &mut Link) -> Result<String> {
    let server = match link.server().kind {
        ServerKind::Mysql => "CONCAT('mysql:', @@server_uuid)",
        ServerKind::Mariadb => "CONCAT('mariadb:', @@hostname, ':', @@port, @@datadir)",
    };
    let sql = format!("SELECT CONCAT({server}, '/', DATABASE())");
    match fetch_on(link, Access::Read, &sql, &[]).await?.into_scalar() {
        Some(Value::Text(identity)) => Ok(identity),
        _ => Err(Error::new(ErrorKind::Config, "the URI names no database")),
    }
}
