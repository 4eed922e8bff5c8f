//! SQLite, on sqlx.

mod application;
mod catalog;
mod error;
mod immediate;
mod json;
mod location;
mod log;
mod moment;
mod pool;
mod raw;
mod session;
mod store;
mod syntax;
mod value;

use std::sync::Arc;

use crate::config::ConnectionConfig;
use crate::dialect::Dialect;
use crate::error::Result;
use crate::sql::{Shared, SqlDialect};
use location::Location;
use pool::SqlitePools;
use session::SqliteSession;
use store::SqliteStore;
use syntax::SQLITE;

/// Opens a database file, or an in-memory database of its own.
pub(crate) async fn open(config: &ConnectionConfig) -> Result<Arc<dyn Dialect>> {
    let location = Location::parse(&config.uri)?;
    let pools = Arc::new(SqlitePools::open(&location, config.pool, config.acquire_timeout).await?);
    let session = Arc::new(SqliteSession::new(Arc::clone(&pools)));
    let store = Arc::new(SqliteStore::new(pools));
    Ok(Arc::new(SqlDialect::new(session, &SQLITE, Shared::new(config), store)))
}
