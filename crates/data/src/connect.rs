//! Opening a database by its configuration.

use std::sync::Arc;

use crate::config::ConnectionConfig;
use crate::dialect::{Dialect, DialectKind};
use crate::error::{Error, ErrorKind, Result};

/// Connects to a database and checks that it answers. The entities' tables are left to
/// [`Dialect::init_schema`].
///
/// # Errors
/// [`Config`](crate::ErrorKind::Config), [`Connection`](crate::ErrorKind::Connection),
/// [`Authentication`](crate::ErrorKind::Authentication) or [`Timeout`](crate::ErrorKind::Timeout); no message holds a
/// password.
pub async fn connect(config: &ConnectionConfig) -> Result<Arc<dyn Dialect>> {
    match config.dialect {
        DialectKind::Postgres | DialectKind::Cockroachdb => crate::postgres::open(config).await,
        DialectKind::Sqlite => crate::sqlite::open(config).await,
        DialectKind::Mongodb => crate::mongodb::open(config).await,
        DialectKind::Mysql | DialectKind::Mariadb => crate::mysql::open(config).await,
        DialectKind::Foreign => Err(Error::new(
            ErrorKind::UnknownDialect,
            "a dialect that an application brings is connected by the application",
        )),
    }
}
