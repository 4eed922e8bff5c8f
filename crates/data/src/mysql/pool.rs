//! The connections of a database: a pool for statements, and single ones for snapshots.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use futures_util::future::try_join_all;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row};
use tokio::time::timeout;

use super::error::mysql_error;
use super::options::{self, Login};
use super::server::Server;
use crate::config::ConnectionConfig;
use crate::error::{Error, ErrorKind, Result, pool_exhausted};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that was idle for longer is asked whether it still lives, before it is handed out.
const TRUSTED_FOR: Duration = Duration::from_secs(5);

/// A connection of the pool, which goes back to it when dropped.
pub(super) type Pooled = managed::Object<Connector>;

/// A connection, and whether it can be used again.
pub(super) struct Link {
    connection: MySqlConnection,
    server: Server,
    /// Set while a statement runs. If it stays set, the statement was abandoned and its answer is still to come.
    is_busy: bool,
    used: Instant,
}

impl Link {
    async fn connect(options: &MySqlConnectOptions) -> Result<(MySqlConnection, Server)> {
        let connecting = async {
            let mut connection = options.connect().await?;
            let about = connection.fetch_one("SELECT VERSION(), @@max_allowed_packet").await?;
            let max_packet: u64 = about.try_get_unchecked::<i64, _>(1)?.unsigned_abs();
            let server = Server::new(
                &about.try_get_unchecked::<String, _>(0)?,
                usize::try_from(max_packet).unwrap_or(usize::MAX),
            );
            connection.execute(AssertSqlSafe(server.session_settings())).await?;
            Ok::<_, sqlx::Error>((connection, server))
        };
        let place = || format!("mysql: {}", address(options));
        match timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected.map_err(|error| mysql_error(error, "").in_context(place())),
            Err(_) => Err(Error::new(
                ErrorKind::Timeout,
                format!("{}: no connection within {} s", place(), CONNECT_TIMEOUT.as_secs()),
            )),
        }
    }

    async fn open(options: &MySqlConnectOptions) -> Result<Self> {
        let (connection, server) = Self::connect(options).await?;
        Ok(Self { connection, server, is_busy: false, used: Instant::now() })
    }

    /// The server it leads to.
    pub(super) fn server(&self) -> Server {
        self.server
    }

    /// The connection, to run one statement on it. Until [`done`](Self::done) is called, the connection counts as lost.
    pub(super) fn start(&mut self) -> &mut MySqlConnection {
        self.is_busy = true;
        &mut self.connection
    }

    /// Notes that the answer to a statement was read to its end; after an error of the connection nothing is left to
    /// read, but nothing can be asked either.
    pub(super) fn done<T>(&mut self, result: Result<T, sqlx::Error>, sql: &str) -> Result<T> {
        self.used = Instant::now();
        match result {
            Ok(value) => {
                self.is_busy = false;
                Ok(value)
            }
            Err(error) => {
                self.is_busy = !matches!(error, sqlx::Error::Database(_));
                Err(mysql_error(error, sql))
            }
        }
    }

    /// Runs statements of ours that have no parameters and return no rows.
    pub(super) async fn run(&mut self, sql: &str) -> Result<u64> {
        let result = self.start().execute(AssertSqlSafe(sql.to_owned())).await;
        self.done(result, sql).map(|done| done.rows_affected())
    }

    /// Whether nothing can be asked any more.
    pub(super) fn is_lost(&self) -> bool {
        self.is_busy
    }

    /// Gives the connection up.
    pub(super) fn break_off(&mut self) {
        self.is_busy = true;
    }
}

/// The place of a server for messages, without user and password.
fn address(options: &MySqlConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

/// The pool of one database.
#[derive(Clone)]
pub(super) struct Pool {
    pool: managed::Pool<Connector>,
    options: MySqlConnectOptions,
    login: Arc<Login>,
    size: usize,
    acquire_timeout: Duration,
    server: Server,
}

impl Pool {
    /// Makes a pool and opens its least connections, one at any rate, so that a wrong address or password shows at once.
    pub(super) async fn open(config: &ConnectionConfig) -> Result<Self> {
        let (options, login) = options::parse(&config.uri)?;
        let (size, acquire_timeout) = (config.pool.max.max(1), config.acquire_timeout);
        let pool = managed::Pool::builder(Connector { options: options.clone() })
            .max_size(size)
            .wait_timeout(Some(acquire_timeout))
            .runtime(deadpool::Runtime::Tokio1)
            // The connection used last has the statements prepared, and its server's caches are warm.
            .queue_mode(managed::QueueMode::Lifo)
            .build()
            .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        let get = || async { pool.get().await.map_err(|error| pool_error(error, size, acquire_timeout)) };
        let least = config.pool.min.clamp(1, size);
        let opened = try_join_all((0..least).map(|_| get())).await?;
        let Some(server) = opened.first().map(|link: &Pooled| link.server()) else {
            return Err(Error::new(ErrorKind::Internal, "a pool was opened without a connection"));
        };
        drop(opened);
        Ok(Self { pool, options, login: Arc::new(login), size, acquire_timeout, server })
    }

    /// The server, as it was on opening.
    pub(super) fn server(&self) -> Server {
        self.server
    }

    /// Where the server is and who connects to it.
    pub(super) fn login(&self) -> &Login {
        &self.login
    }

    /// The database that every connection uses.
    pub(super) fn database(&self) -> &str {
        self.options.get_database().unwrap_or_default()
    }

    /// A connection, outside any transaction.
    pub(super) async fn get(&self) -> Result<Pooled> {
        self.pool.get().await.map_err(|error| pool_error(error, self.size, self.acquire_timeout))
    }

    /// A connection of its own, which does not count against the pool.
    pub(super) async fn connect_apart(&self) -> Result<Link> {
        if self.pool.is_closed() {
            return Err(disconnected());
        }
        Link::open(&self.options).await
    }

    /// Closes every connection, those in use once they come back.
    pub(super) fn close(&self) {
        self.pool.close();
    }
}

fn pool_error(error: managed::PoolError<Error>, size: usize, waited: Duration) -> Error {
    match error {
        managed::PoolError::Backend(error) => error,
        managed::PoolError::Timeout(_) => pool_exhausted(size, waited),
        managed::PoolError::Closed => disconnected(),
        other => Error::new(ErrorKind::Internal, other.to_string()),
    }
}

fn disconnected() -> Error {
    Error::new(ErrorKind::Closed, "the dialect is disconnected")
}

/// Opens connections and looks at them before they are handed out again.
pub(super) struct Connector {
    options: MySqlConnectOptions,
}

impl managed::Manager for Connector {
    type Type = Link;
    type Error = Error;

    async fn create(&self) -> Result<Link> {
        Link::open(&self.options).await
    }

    /// A connection that the server has closed meanwhile is replaced before a statement can fail on it.
    async fn recycle(&self, link: &mut Link, _: &Metrics) -> RecycleResult<Error> {
        if link.is_busy {
            return Err(RecycleError::message("a statement was abandoned on it"));
        }
        if link.used.elapsed() > TRUSTED_FOR {
            let pinged = timeout(CONNECT_TIMEOUT, link.connection.ping()).await;
            if !matches!(pinged, Ok(Ok(()))) {
                return Err(RecycleError::message("the connection is lost"));
            }
            link.used = Instant::now();
        }
        Ok(())
    }
}
