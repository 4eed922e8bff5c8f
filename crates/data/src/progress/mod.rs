//! How far a database that is fed by another one has come: positions in logs, asked of either side.

mod mongodb;
mod mysql;
mod postgres;
mod sequences;

pub use sequences::advance_sequences;

use indexmap::IndexMap;

use crate::dialect::{Dialect, DialectKind};
use crate::error::Result;
use crate::value::Value;

/// What a database is within its own replication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerRole {
    /// It takes writes, and no other database feeds it.
    Primary,
    /// A physical standby of PostgreSQL.
    Standby,
    /// It takes writes itself, but another database feeds it too: a logical subscription.
    Subscriber,
    /// A replica of MySQL or MariaDB, or a secondary of MongoDB.
    Replica,
}

/// Where a database stands in a log. Positions of one log grow; those of different logs cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What the database is.
    pub role: ServerRole,
    /// Where it writes next in the log that others are fed from; `None` where it has no log, or its user may not see it.
    pub written: Option<u64>,
    /// Up to where it has received the log of the database that feeds it.
    pub received: Option<u64>,
    /// Up to where it has applied that log.
    pub applied: Option<u64>,
    /// Whether it is being fed: something receives the log, or reads it from an archive.
    pub receiving: bool,
    /// The commit time of what it applied last, in microseconds by the clock of the database that feeds it.
    pub applied_at: Option<i64>,
    /// Its own present, in microseconds.
    pub now: Option<i64>,
    /// How far it is behind in ms by its own account, where it gives one.
    pub own_lag: Option<u64>,
    /// Which server this is, where it says so: two names for one server are found out by this.
    pub server: Option<String>,
    /// What tells the databases that replicate among each other from every other one, where it is known.
    pub cluster: Option<String>,
    /// The names under which others are fed from this database, and of a subscriber those under which it is fed.
    pub feeds: Vec<String>,
    /// Whether it waits with each commit until a standby of PostgreSQL has it, unless a session asks it not to.
    pub synchronous: bool,
    /// How many of the low bits of a position count bytes of one log file; 0 where none do.
    pub byte_bits: u32,
}

impl Progress {
    /// A database of which nothing but its role is known.
    pub fn of(role: ServerRole) -> Self {
        Self {
            role,
            written: None,
            received: None,
            applied: None,
            receiving: false,
            applied_at: None,
            now: None,
            own_lag: None,
            server: None,
            cluster: None,
            feeds: Vec::new(),
            synchronous: false,
            byte_bits: 0,
        }
    }

    /// How many bytes are between two positions; `None` where they do not tell.
    pub fn bytes_between(&self, from: u64, to: u64) -> Option<u64> {
        let file_of = |position: u64| position.checked_shr(self.byte_bits).unwrap_or(0);
        (self.byte_bits > 0 && (to <= from || file_of(from) == file_of(to))).then(|| to.saturating_sub(from))
    }

    /// Whether its positions are those of the log of this database, as far as both tell.
    pub fn follows(&self, source: &Self) -> bool {
        match self.role {
            ServerRole::Primary => false,
            ServerRole::Subscriber => self.feeds.iter().any(|name| source.feeds.contains(name)),
            ServerRole::Standby | ServerRole::Replica => {
                self.cluster.is_none() || source.cluster.is_none() || self.cluster == source.cluster
            }
        }
    }
}

/// Asks a database how far it has come; `None` where its kind has no replication of its own. One round trip, or two.
///
/// # Errors
/// What the database reports; a user without the privilege to see positions is told so on MySQL and MariaDB.
pub async fn progress(database: &dyn Dialect) -> Result<Option<Progress>> {
    match database.kind() {
        DialectKind::Postgres => postgres::progress(database).await.map(Some),
        DialectKind::Mysql | DialectKind::Mariadb => mysql::progress(database).await.map(Some),
        DialectKind::Mongodb => mongodb::progress(database).await,
        DialectKind::Sqlite | DialectKind::Cockroachdb | DialectKind::Foreign => Ok(None),
    }
}

/// The position behind every change that was committed before the call; `None` where there is no log. To be asked of a
/// database that takes writes.
///
/// # Errors
/// What the database reports.
pub async fn end_of_log(database: &dyn Dialect) -> Result<Option<u64>> {
    match database.kind() {
        DialectKind::Postgres => postgres::end_of_log(database).await,
        _ => Ok(progress(database).await?.and_then(|progress| progress.written)),
    }
}

/// Which server of PostgreSQL this is, among those that were copied from each other and share everything else; `None` for
/// other databases. Two connections to one server are told the same until it is started again.
///
/// # Errors
/// What the database reports.
pub async fn server(database: &dyn Dialect) -> Result<Option<String>> {
    match database.kind() {
        DialectKind::Postgres => postgres::server(database).await,
        _ => Ok(None),
    }
}

/// Makes a standby of PostgreSQL a primary and waits until it takes writes, for `seconds` at the most; whether it does.
///
/// # Errors
/// What the database reports: the user needs the privilege to run `pg_promote`.
pub async fn promote_standby(database: &dyn Dialect, seconds: u32) -> Result<bool> {
    postgres::promote(database, seconds).await
}

/// An integer of a row, in whatever form the database gave it.
fn integer(row: &IndexMap<String, Value>, name: &str) -> Option<i64> {
    match row.get(name)? {
        Value::Int32(number) => Some(i64::from(*number)),
        Value::Int64(number) => Some(*number),
        Value::Text(text) => text.parse().ok(),
        Value::Decimal(text) => text.parse().ok(),
        _ => None,
    }
}

fn position(row: &IndexMap<String, Value>, name: &str) -> Option<u64> {
    integer(row, name).and_then(|number| u64::try_from(number).ok())
}

fn flag(row: &IndexMap<String, Value>, name: &str) -> bool {
    row.get(name) == Some(&Value::Bool(true))
}
