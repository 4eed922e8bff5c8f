//! PostgreSQL and CockroachDB, over our own wire client.

mod alter;
mod apply;
mod catalog;
mod course;
mod create_like;
mod decode;
mod encode;
mod error;
mod identity;
mod json_numbers;
mod live_columns;
mod load;
mod log;
mod numeric;
mod own_tables;
mod pack;
mod pool;
mod scan;
mod session;
mod stored;
mod syntax;
mod table_store;
mod text;
mod trigger_log;
mod types;

pub(crate) use decode::decode_tuples;
pub(crate) use pack::pack_tuples;
pub(crate) use text::array_literal;

use std::sync::Arc;

use crate::config::ConnectionConfig;
use crate::dialect::Dialect;
use crate::error::Result;
use crate::sql::{Shared, SqlDialect};

/// Connects to a server.
pub(crate) async fn open(config: &ConnectionConfig) -> Result<Arc<dyn Dialect>> {
    let pool = pool::Pool::open(config).await?;
    let session = Arc::new(session::PostgresSession::new(pool.clone(), config.dialect));
    let tables = Arc::new(table_store::PostgresTables::new(pool, config.dialect));
    Ok(Arc::new(SqlDialect::new(session, syntax::syntax_of(config.dialect), Shared::new(config), tables)))
}
