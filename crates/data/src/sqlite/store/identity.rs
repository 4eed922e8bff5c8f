//! What tells a SQLite database from every other one.

use std::path::Path;

use sqlx::sqlite::SqliteConnection;

use super::super::session::fetch_on;
use crate::error::{Error, ErrorKind, Result};
use crate::value::Value;

/// The path of the file, whatever way it was given, and its number in the file system, which another file at the same place
/// does not have. A database in memory goes by a name that it got when it was opened.
pub(super) async fn identity(connection: &mut SqliteConnection, name: uuid::Uuid) -> Result<String> {
    let sql = "SELECT file FROM pragma_database_list WHERE name = 'main'";
    match fetch_on(connection, sql, &[]).await?.into_scalar() {
        Some(Value::Text(path)) if !path.is_empty() => of_file(Path::new(&path)),
        _ => Ok(format!("sqlite:memory/{name}")),
    }
}

fn of_file(path: &Path) -> Result<String> {
    let refuse = |error: std::io::Error| {
        Error::new(ErrorKind::File, format!("sqlite: {}: {error}", path.display())).with_source(error)
    };
    let path = path.canonicalize().map_err(refuse)?;
    let number = number(&path.metadata().map_err(refuse)?);
    Ok(format!("sqlite:{number}/{}", path.display()))
}

/// The number of the device is left out, as it may be another one after the machine was started again.
#[cfg(unix)]
fn number(file: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(file)
}

#[cfg(not(unix))]
fn number(file: &std::fs::Metadata) -> u64 {
    let since_epoch = file.created().ok().and_then(|made| made.duration_since(std::time::UNIX_EPOCH).ok());
    since_epoch.map_or(0, |since_epoch| since_epoch.as_secs())
}
