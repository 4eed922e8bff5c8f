//! The connections of a database: a pool for statements, and single ones for snapshots.

use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use futures_util::future::try_join_all;
use wire::{ConnectConfig, Connection, ReplicationMode};

use crate::config::ConnectionConfig;
use crate::error::{Error, ErrorKind, Result, pool_exhausted};

/// How long connecting may take where the URI does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Values must come in one notation, whatever the server's or the role's defaults.
const SESSION_SETTINGS: &str =
    "-c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres -c bytea_output=hex";

/// Copying a table may take longer than the limits that are set for the statements of applications.
const NO_TIME_LIMITS: &str = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0";

/// A connection of the pool, which goes back to it when dropped.
pub(super) type Pooled = managed::Object<Connector>;

/// The pool of one database.
#[derive(Clone)]
pub(super) struct Pool {
    pool: managed::Pool<Connector>,
    config: ConnectConfig,
    size: usize,
    acquire_timeout: Duration,
}

impl Pool {
    /// Makes a pool and opens its least connections, one at any rate, so that a wrong address or password shows at once.
    pub(super) async fn open(config: &ConnectionConfig) -> Result<Self> {
        let mut connect = ConnectConfig::parse(&config.uri)?;
        let options = connect.options.take();
        connect.options = Some(match options {
            Some(own) => format!("{SESSION_SETTINGS} {own}"),
            None => SESSION_SETTINGS.to_owned(),
        });
        connect.connect_timeout.get_or_insert(CONNECT_TIMEOUT);
        let pool = managed::Pool::builder(Connector { config: connect.clone() })
            .max_size(config.pool.max.max(1))
            .wait_timeout(Some(config.acquire_timeout))
            .runtime(deadpool::Runtime::Tokio1)
            // The connection used last has the statements prepared, and its server's caches are warm.
            .queue_mode(managed::QueueMode::Lifo)
            .build()
            .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        let size = config.pool.max.max(1);
        let opened = Self { pool, config: connect, size, acquire_timeout: config.acquire_timeout };
        let least = config.pool.min.clamp(1, opened.size);
        drop(try_join_all((0..least).map(|_| opened.get())).await?);
        Ok(opened)
    }

    /// A connection, outside any transaction.
    pub(super) async fn get(&self) -> Result<Pooled> {
        self.pool.get().await.map_err(|error| match error {
            managed::PoolError::Backend(error) => error,
            managed::PoolError::Timeout(_) => pool_exhausted(self.size, self.acquire_timeout),
            managed::PoolError::Closed => Error::new(ErrorKind::Closed, "the dialect is disconnected"),
            other => Error::new(ErrorKind::Internal, other.to_string()),
        })
    }

    /// A connection of its own, which does not count against the pool.
    pub(super) async fn connect_apart(&self) -> Result<Connection> {
        if self.pool.is_closed() {
            return Err(Error::new(ErrorKind::Closed, "the dialect is disconnected"));
        }
        Ok(Connection::connect(&self.config).await?)
    }

    /// A connection of its own, without limits of time.
    pub(super) async fn connect_to_copy(&self) -> Result<Connection> {
        self.connect_unlimited(None).await
    }

    /// A connection of its own for the commands of replication.
    pub(super) async fn connect_replication(&self) -> Result<Connection> {
        self.connect_unlimited(Some(ReplicationMode::Database)).await
    }

    async fn connect_unlimited(&self, replication: Option<ReplicationMode>) -> Result<Connection> {
        if self.pool.is_closed() {
            return Err(Error::new(ErrorKind::Closed, "the dialect is disconnected"));
        }
        let mut config = self.config.clone();
        config.replication = replication;
        let options = config.options.take().unwrap_or_default();
        config.options = Some(format!("{options} {NO_TIME_LIMITS}"));
        Ok(Connection::connect(&config).await?)
    }

    /// Closes every connection, those in use once they come back.
    pub(super) fn close(&self) {
        self.pool.close();
    }
}

/// Rolls back whatever runs on a connection that nobody waits for any more, and gives it back to the pool.
pub(super) fn roll_back_later(mut connection: Pooled) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => {
            runtime.spawn(async move {
                if let Err(error) = connection.rollback().await {
                    tracing::debug!(%error, "an abandoned transaction ends with its connection");
                }
            });
        }
        // Without its connection the server rolls back.
        Err(_) => drop(Pooled::take(connection)),
    }
}

/// Opens connections and looks at them when they come back.
pub(super) struct Connector {
    config: ConnectConfig,
}

impl managed::Manager for Connector {
    type Type = Connection;
    type Error = Error;

    async fn create(&self) -> Result<Connection> {
        Ok(Connection::connect(&self.config).await?)
    }

    /// A connection that the server has closed meanwhile is replaced before a statement can fail on it.
    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<Error> {
        if !connection.probe() {
            return Err(RecycleError::message("the connection is lost"));
        }
        if connection.transaction_status() != wire::TransactionStatus::Idle {
            connection.rollback().await.map_err(|error| RecycleError::Backend(error.into()))?;
        }
        Ok(())
    }
}
