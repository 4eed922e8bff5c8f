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

/// A timeline that came before the present one, and where it was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormerTimeline {
    /// Its number.
    pub timeline: u32,
    /// The position behind which the log is another one's.
    pub end: Lsn,
}

impl Connection {
    /// Asks which timelines led to one that this server has been on. For replication connections only.
    ///
    /// # Errors
    /// As for [`Connection::simple_query`]; SQLSTATE 58P01 where the server no longer has the file of it.
    pub async fn timeline_history(&mut self, timeline: u32) -> Result<Vec<FormerTimeline>> {
        // The first one has no history.
        if timeline <= 1 {
            return Ok(Vec::new());
        }
        let results = self.simple_query(&format!("TIMELINE_HISTORY {timeline}")).await?;
        let answer = CommandAnswer::new(&results, "TIMELINE_HISTORY")?;
        Ok(former_timelines(&answer.required::<String>(1)?))
    }
}

/// Reads a history: a number, a position and a reason in each line, with lines of comments between them.
fn former_timelines(history: &str) -> Vec<FormerTimeline> {
    let former = |line: &str| {
        let mut fields = line.split_whitespace();
        Some(FormerTimeline { timeline: fields.next()?.parse().ok()?, end: fields.next()?.parse().ok()? })
    };
    history.lines().filter_map(former).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_names_the_timelines_before_with_their_ends() {
        let history =
            "1\t0/3000148\tno recovery target specified\n\n# a comment\n2\t1/A\tat restore point \"x\"\n";
        let former = [(1, 0x300_0148), (2, 0x1_0000_000A)];
        let former = former.map(|(timeline, end)| FormerTimeline { timeline, end: Lsn::from(end) });
        assert_eq!(former_timelines(history), former);
    }
}
