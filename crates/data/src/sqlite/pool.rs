//! The connections to one SQLite database: one that writes, several that read.

use std::ffi::c_int;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use libsqlite3_sys as ffi;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Executor, Sqlite};

use super::error::sqlite_error;
use super::immediate::ImmediateConnection;
use super::location::{Location, Mode};
use super::moment;
use super::raw::{self, QUOTED_TEXT};
use crate::config::PoolSize;
use crate::error::{Error, ErrorKind, Result, pool_exhausted};

/// How long a statement waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// What the writing connection may cache, in KiB because it is negative. Keys that come in no order touch the whole
/// index again and again, which would be written and read back all the time with SQLite's 2,000 KiB.
const WRITE_CACHE: &str = "-16000";
/// Pages that the write-ahead log may hold before they are copied into the database: 16 MiB of the usual 4 KiB pages.
/// A page that is changed again meanwhile is copied once.
const WRITE_AHEAD: &str = "4096";
/// Snapshots at one time at the most.
const MOST_SNAPSHOTS: u32 = 1_000;
/// How long the connections of snapshots that somebody still reads are waited for at the end.
const SNAPSHOT_CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Rows on their way from a connection's thread.
const ROW_BUFFER: usize = 512;

/// The connections to one database. SQLite lets one connection write at a time, so there is only one that may; the
/// others see the last committed state meanwhile.
pub(super) struct SqlitePools {
    read: SqlitePool,
    write: SqlitePool,
    /// Connections that each see the database at one moment; `None` for a database in memory, which has one connection.
    snapshots: Option<SqlitePool>,
    /// What answers at once, where there is a file that may be written.
    immediate: Option<ImmediateConnection>,
    /// How long an operation waits for a connection. A statement that writes outside an open transaction of the same
    /// dialect waits as long for its end, since only one connection writes.
    acquire_timeout: Duration,
}

/// A connection that sees the database at one moment.
pub(super) enum SnapshotConnection {
    /// To the database itself; closed when it is given back.
    Pooled(PoolConnection<Sqlite>),
    /// To a copy of a database in memory.
    Copied(SqliteConnection),
}

impl Deref for SnapshotConnection {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Copied(connection) => connection,
        }
    }
}

impl DerefMut for SnapshotConnection {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Copied(connection) => connection,
        }
    }
}

impl SqlitePools {
    /// Opens the database, and creates the file where that is wanted.
    pub(super) async fn open(location: &Location, size: PoolSize, acquire_timeout: Duration) -> Result<Self> {
        raw::count_no_memory();
        match location {
            Location::Memory => Self::in_memory(acquire_timeout).await,
            Location::File { path, mode, immutable } => {
                check_path(path, *mode)?;
                let options = plain_options()
                    .filename(path)
                    .create_if_missing(*mode == Mode::Create)
                    .read_only(*mode == Mode::ReadOnly)
                    .immutable(*immutable)
                    .foreign_keys(true);
                let place = |error: sqlx::Error| {
                    sqlite_error(error).in_context(format!("sqlite: {}", path.display()))
                };
                let options = prepare_file(options).await.map_err(place)?;
                let reader = options.clone().create_if_missing(false).pragma("query_only", "ON");
                let most = u32::try_from(size.max.max(1)).unwrap_or(u32::MAX);
                let least = u32::try_from(size.min).unwrap_or(most).min(most);
                let read = pool(most, acquire_timeout)
                    .min_connections(least)
                    .connect_with(reader.clone())
                    .await
                    .map_err(place)?;
                let options =
                    options.pragma("cache_size", WRITE_CACHE).pragma("wal_autocheckpoint", WRITE_AHEAD);
                let write = pool(1, acquire_timeout).connect_with(options).await.map_err(place)?;
                let at_once = *mode != Mode::ReadOnly && !immutable;
                let immediate = at_once.then(|| ImmediateConnection::new(path));
                let snapshots = pool(MOST_SNAPSHOTS, acquire_timeout)
                    .after_release(|_, _| Box::pin(async { Ok(false) }))
                    .connect_lazy_with(reader);
                Ok(Self { read, write, snapshots: Some(snapshots), immediate, acquire_timeout })
            }
        }
    }

    /// A database in memory lives as long as its one connection.
    async fn in_memory(acquire_timeout: Duration) -> Result<Self> {
        let options = plain_options().in_memory(true).foreign_keys(true);
        let pool =
            pool(1, acquire_timeout).min_connections(1).connect_with(options).await.map_err(sqlite_error)?;
        Ok(Self { read: pool.clone(), write: pool, snapshots: None, immediate: None, acquire_timeout })
    }

    /// What answers statements of one row at once.
    pub(super) fn immediate(&self) -> Option<&ImmediateConnection> {
        self.immediate.as_ref()
    }

    pub(super) async fn read(&self) -> Result<PoolConnection<Sqlite>> {
        self.read.acquire().await.map_err(|error| match error {
            sqlx::Error::PoolTimedOut if self.snapshots.is_some() => {
                pool_exhausted(self.read.size() as usize, self.acquire_timeout)
            }
            error => self.writer_error(error),
        })
    }

    pub(super) async fn write(&self) -> Result<PoolConnection<Sqlite>> {
        if let Some(immediate) = &self.immediate {
            immediate.written_elsewhere();
        }
        self.write.acquire().await.map_err(|error| self.writer_error(error))
    }

    fn writer_error(&self, error: sqlx::Error) -> Error {
        match error {
            sqlx::Error::PoolTimedOut => Error::new(
                ErrorKind::Timeout,
                format!(
                    "pool exhausted: the only connection that writes did not become free within {:?}; end transactions \
                     sooner, or work within them",
                    self.acquire_timeout
                ),
            ),
            error => sqlite_error(error),
        }
    }

    /// A connection of its own, outside the pool, that sees the database as it is now. Of a database in memory it
    /// is given a copy.
    pub(super) async fn snapshot(&self) -> Result<SnapshotConnection> {
        if let Some(snapshots) = &self.snapshots {
            let mut connection = snapshots.acquire().await.map_err(sqlite_error)?;
            // The snapshot is taken by the first read.
            connection.execute("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1").await.map_err(sqlite_error)?;
            return Ok(SnapshotConnection::Pooled(connection));
        }
        if self.write.is_closed() {
            return Err(Error::new(ErrorKind::Closed, "the connection is closed"));
        }
        let mut original = self.write().await?;
        let mut copy =
            SqliteConnection::connect_with(&plain_options().in_memory(true)).await.map_err(sqlite_error)?;
        take_quoted_names_as_names(&mut copy).await.map_err(sqlite_error)?;
        let pages: i64 =
            sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *original).await.map_err(sqlite_error)?;
        // An empty database has nothing to copy.
        if pages > 0 {
            let bytes = original.serialize(None).await.map_err(sqlite_error)?;
            copy.deserialize(None, bytes, true).await.map_err(sqlite_error)?;
        }
        Ok(SnapshotConnection::Copied(copy))
    }

    /// Nothing of ours has the file open afterwards, so that it may be put back from a copy: a connection that was closed
    /// later would write into that what it still knows of the old one.
    pub(super) async fn close(&self) {
        if let Some(snapshots) = &self.snapshots {
            let _ = tokio::time::timeout(SNAPSHOT_CLOSE_TIMEOUT, snapshots.close()).await;
        }
        if let Some(immediate) = &self.immediate {
            immediate.close();
        }
        self.read.close().await;
        self.write.close().await;
    }
}

fn plain_options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(ROW_BUFFER)
        .with_regexp()
        .collation(moment::COLLATION, moment::collate)
        .disable_statement_logging()
}

fn pool(most: u32, acquire_timeout: Duration) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(most)
        .acquire_timeout(acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(take_quoted_names_as_names(connection)))
}

async fn take_quoted_names_as_names(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    for option in QUOTED_TEXT {
        set_flag(connection, option, false).await?;
    }
    Ok(())
}

/// Whether foreign keys count on this connection. Unlike the pragma, this works within a transaction.
pub(super) async fn enforce_foreign_keys(
    connection: &mut SqliteConnection,
    enforced: bool,
) -> Result<(), sqlx::Error> {
    set_flag(connection, ffi::SQLITE_DBCONFIG_ENABLE_FKEY, enforced).await
}

async fn set_flag(connection: &mut SqliteConnection, option: c_int, on: bool) -> Result<(), sqlx::Error> {
    let mut handle = connection.lock_handle().await?;
    // SAFETY: the handle is locked, and so valid and ours alone.
    if unsafe { raw::set_flag(handle.as_raw_handle(), option, on) } {
        return Ok(());
    }
    Err(sqlx::Error::Configuration(format!("SQLite refuses to set its option {option}").into()))
}

/// Finds what SQLite would only call "unable to open database file".
fn check_path(path: &std::path::Path, mode: Mode) -> Result<()> {
    let refuse =
        |what: &str| Err(Error::new(ErrorKind::Config, format!("sqlite: {}: {what}", path.display())));
    if path.is_dir() {
        return refuse("this is a folder, not a database file");
    }
    if path.exists() {
        return Ok(());
    }
    if mode != Mode::Create {
        return refuse("the file does not exist");
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            refuse(&format!("the folder {} does not exist", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Switches the file to write-ahead logging where it can be written, and finds options under which it can be read
/// where it cannot.
async fn prepare_file(options: SqliteConnectOptions) -> Result<SqliteConnectOptions, sqlx::Error> {
    match try_file(&options).await {
        Ok(()) => Ok(options),
        // A write-ahead log cannot be opened in a folder that cannot be written, unless nobody else can write either.
        Err(error) if is_read_only(&error) => {
            let immutable = options.create_if_missing(false).read_only(true).immutable(true);
            try_file(&immutable).await.map(|()| immutable)
        }
        Err(error) => Err(error),
    }
}

async fn try_file(options: &SqliteConnectOptions) -> Result<(), sqlx::Error> {
    let mut connection = options.connect().await?;
    sqlx::query("SELECT count(*) FROM sqlite_schema").execute(&mut connection).await?;
    match connection.execute("PRAGMA journal_mode = WAL").await {
        Ok(_) => {}
        // Then it stays as it is: the switch needs the file alone for a moment, and others are working with it.
        Err(error) if is_read_only(&error) || is_busy(&error) => {}
        Err(error) => return Err(error),
    }
    connection.close().await
}

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

fn is_read_only(error: &sqlx::Error) -> bool {
    // SQLITE_READONLY and SQLITE_CANTOPEN.
    matches!(primary_code(error), Some(8 | 14))
}

fn is_busy(error: &sqlx::Error) -> bool {
    // SQLITE_BUSY and SQLITE_LOCKED.
    matches!(primary_code(error), Some(5 | 6))
}
