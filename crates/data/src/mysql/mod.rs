//! MySQL and MariaDB, on sqlx.

mod cascade;
mod catalog;
mod cell;
mod error;
mod field;
mod index;
mod json;
mod log;
mod options;
mod parameters;
mod pool;
mod schema_change;
mod server;
mod session;
mod store;
mod stored_form;
mod syntax;
mod text;
mod trigger_log;
mod types;

use std::sync::Arc;

use crate::config::ConnectionConfig;
use crate::dialect::Dialect;
use crate::error::Result;
use crate::sql::{Shared, SqlDialect};
use pool::Pool;
use session::MysqlSession;
use store::MysqlStore;

/// Connects to a server. Either name in the configuration leads to either server; what it is decides on the SQL.
pub(crate) async fn open(config: &ConnectionConfig) -> Result<Arc<dyn Dialect>> {
    let pool = Pool::open(config).await?;
    let syntax = syntax::syntax_of(config.dialect, pool.server().kind);
    let session = Arc::new(MysqlSession::new(pool.clone()));
    // On the heap, as the futures of callers would nest too deeply otherwise.
    let store = Arc::new(Box::pin(MysqlStore::open(pool)).await?);
    Ok(Arc::new(SqlDialect::new(session, syntax, Shared::new(config), store)))
}
