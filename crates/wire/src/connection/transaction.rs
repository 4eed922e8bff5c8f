//! Transactions: begin, commit, roll back.

use super::Connection;
use crate::error::{Error, Result};

/// What a transaction sees of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IsolationLevel {
    /// Each statement sees what was committed before it.
    ReadCommitted,
    /// All statements see what was committed before the first.
    RepeatableRead,
    /// As if transactions ran one after the other.
    Serializable,
}

impl IsolationLevel {
    fn sql(self) -> &'static str {
        match self {
            Self::ReadCommitted => "READ COMMITTED",
            Self::RepeatableRead => "REPEATABLE READ",
            Self::Serializable => "SERIALIZABLE",
        }
    }
}

impl Connection {
    /// Begins a transaction, with the session's default where no isolation level is given.
    ///
    /// # Errors
    /// As for [`Connection::query`].
    pub async fn begin(&mut self, isolation: Option<IsolationLevel>, read_only: bool) -> Result<()> {
        let mut sql = String::from("BEGIN");
        if let Some(isolation) = isolation {
            sql.push_str(" ISOLATION LEVEL ");
            sql.push_str(isolation.sql());
        }
        if read_only {
            sql.push_str(" READ ONLY");
        }
        self.simple_query(&sql).await.map(drop)
    }

    /// Commits the transaction.
    ///
    /// # Errors
    /// [`Error::RolledBack`] where a statement in it had failed: the server then rolls back and calls that a
    /// success. [`Error::Server`] where it rejects the commit, as for a deferred constraint.
    pub async fn commit(&mut self) -> Result<()> {
        let results = self.simple_query("COMMIT").await?;
        match results.last().map(|result| result.command_tag.as_str()) {
            Some("ROLLBACK") => Err(Error::RolledBack),
            _ => Ok(()),
        }
    }

    /// Rolls the transaction back.
    ///
    /// # Errors
    /// As for [`Connection::query`].
    pub async fn rollback(&mut self) -> Result<()> {
        self.simple_query("ROLLBACK").await.map(drop)
    }
}
