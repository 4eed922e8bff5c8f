//! IDENTIFY_SYSTEM: which cluster a replication connection has reached, and where it stands.

use std::str::FromStr;

use super::lsn::Lsn;
use crate::connection::{Connection, QueryResult};
use crate::error::{Error, Result};

/// Which cluster this is and where its log stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemIdentity {
    /// The identifier given to the cluster when it was made, which its physical standbys share.
    pub system_id: u64,
    /// The timeline, which changes when a standby is promoted.
    pub timeline: u32,
    /// How far the log has been flushed.
    pub flushed: Lsn,
    /// The database of the connection, `None` on one of physical replication.
    pub database: Option<String>,
}

impl Connection {
    /// Asks which cluster this is. For replication connections only.
    ///
    /// # Errors
    /// As for [`Connection::simple_query`]; SQLSTATE 42601 on a connection that is not one of replication.
    pub async fn identify_system(&mut self) -> Result<SystemIdentity> {
        let results = self.simple_query("IDENTIFY_SYSTEM").await?;
        let answer = CommandAnswer::new(&results, "IDENTIFY_SYSTEM")?;
        Ok(SystemIdentity {
            system_id: answer.required(0)?,
            timeline: answer.required(1)?,
            flushed: answer.required(2)?,
            database: answer.optional(3)?,
        })
    }
}

/// The one row that answers a replication command.
pub(super) struct CommandAnswer<'a> {
    results: &'a [QueryResult],
    command: &'static str,
}

impl<'a> CommandAnswer<'a> {
    pub(super) fn new(results: &'a [QueryResult], command: &'static str) -> Result<Self> {
        let answer = Self { results, command };
        if results.first().is_none_or(|result| result.rows.is_empty()) {
            return Err(answer.malformed());
        }
        Ok(answer)
    }

    /// The value at `index`, `None` where it is NULL.
    pub(super) fn optional<T: FromStr>(&self, index: usize) -> Result<Option<T>> {
        let row = self.results.first().and_then(|result| result.rows.get(0));
        let text = row.map(|row| row.get_str(index)).transpose()?.flatten();
        text.map(|text| text.parse().map_err(|_| self.malformed())).transpose()
    }

    pub(super) fn required<T: FromStr>(&self, index: usize) -> Result<T> {
        self.optional(index)?.ok_or_else(|| self.malformed())
    }

    fn malformed(&self) -> Error {
        Error::protocol(format!("the answer to {} is malformed", self.command))
    }
}
