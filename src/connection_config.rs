//! How to reach a database, as JavaScript says it.

use std::time::Duration;

use data::{ConnectionConfig, DialectKind, Error, ErrorKind, PoolSize, SchemaStrategy};
use napi_derive::napi;

/// How to reach a database. What is left out has the default of the core.
#[napi(object)]
pub struct NativeConnectionConfig {
    /// The name of the dialect.
    pub dialect: String,
    /// Where the database is.
    pub uri: String,
    /// What happens to the tables of entities.
    pub schema_strategy: Option<String>,
    /// Connections kept open.
    pub pool_min: Option<u32>,
    /// Connections at the most.
    pub pool_max: Option<u32>,
    /// Milliseconds that an operation waits for a connection of the pool.
    pub pool_acquire_timeout: Option<u32>,
    /// Put before every table name.
    pub table_prefix: Option<String>,
}

impl NativeConnectionConfig {
    /// The configuration of the core.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] or [`ErrorKind::UnknownDialect`], naming the setting and what is known.
    pub(crate) fn read(self, show_sql: bool) -> data::Result<ConnectionConfig> {
        let mut config = ConnectionConfig::new(DialectKind::parse(&self.dialect)?, self.uri);
        if let Some(strategy) = &self.schema_strategy {
            config.schema_strategy = SchemaStrategy::parse(strategy)?;
        }
        config.pool = pool_size(self.pool_min, self.pool_max)?;
        if let Some(millis) = self.pool_acquire_timeout {
            config.acquire_timeout = acquire_timeout(millis)?;
        }
        config.table_prefix = self.table_prefix.unwrap_or_default();
        config.show_sql = show_sql;
        Ok(config)
    }
}

fn pool_size(min: Option<u32>, max: Option<u32>) -> data::Result<PoolSize> {
    let defaults = PoolSize::default();
    let max = max.map_or(defaults.max, |max| max as usize);
    let min = min.map_or(defaults.min.min(max), |min| min as usize);
    if max == 0 || min > max {
        let message =
            format!("pool: min {min} and max {max} do not fit; max must be at least 1 and at least min");
        return Err(Error::new(ErrorKind::Config, message));
    }
    Ok(PoolSize { min, max })
}

fn acquire_timeout(millis: u32) -> data::Result<Duration> {
    if millis == 0 {
        return Err(Error::new(ErrorKind::Config, "pool.acquireTimeoutMillis: must be at least 1"));
    }
    Ok(Duration::from_millis(millis.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_maximum_lowers_the_default_minimum() {
        assert_eq!(pool_size(None, Some(1)).unwrap(), PoolSize { min: 1, max: 1 });
        assert_eq!(pool_size(None, None).unwrap(), PoolSize::default());
    }

    #[test]
    fn a_pool_that_could_hold_no_connection_is_refused() {
        for (min, max) in [(None, Some(0)), (Some(5), Some(4))] {
            assert_eq!(pool_size(min, max).unwrap_err().kind(), ErrorKind::Config);
        }
    }
}
