//! What the benchmark asks for and is told.

use std::time::Duration;

use data::DialectKind;
use serde::Deserialize;

/// What to do.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Job {
    /// Reads a table into memory, and then inserts it at the target, which is what is timed.
    Insert { source: Place, target: Place, table: String },
    /// Writes events of ready operations to a collection, which is what is timed.
    Change { target: Place, table: String, events: usize },
    /// Reads so many changes of a table out of a log, from a place on, which is what is timed.
    Read { source: Place, table: String, events: usize, from: String },
    /// Counts the rows of a table in a SQLite file.
    CountSqlite { file: String, table: String },
}

/// Where a database is.
#[derive(Deserialize)]
pub(crate) struct Place {
    dialect: String,
    pub(crate) uri: String,
}

/// What was done.
pub(crate) struct Outcome {
    pub(crate) rows: u64,
    /// What the inserts alone took.
    pub(crate) elapsed: Duration,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the job cannot be read: {0}")]
    Job(#[from] serde_json::Error),
    #[error("the job cannot be read: {0}")]
    Input(#[from] std::io::Error),
    #[error("there is no peer for {0}")]
    NoPeer(&'static str),
    #[error("{0} is no place in a log")]
    Place(String),
    #[error("table \"{0}\" is not there")]
    NoTable(String),
    #[error("a value has no equivalent: {0}")]
    Value(String),
    #[error(transparent)]
    Data(#[from] data::Error),
    #[error(transparent)]
    Mongodb(#[from] ::mongodb::error::Error),
    #[error(transparent)]
    Bson(#[from] ::mongodb::bson::error::Error),
    #[error(transparent)]
    Mysql(#[from] sqlx::Error),
    #[error(transparent)]
    Binlog(#[from] mysql_async::Error),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl Job {
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        Ok(serde_json::from_str(text)?)
    }
}

impl Place {
    pub(crate) fn kind(&self) -> Result<DialectKind, Failure> {
        Ok(DialectKind::parse(&self.dialect)?)
    }
}

impl Outcome {
    pub(crate) fn of(rows: usize, elapsed: Duration) -> Self {
        Self { rows: u64::try_from(rows).unwrap_or(u64::MAX), elapsed }
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::json!({ "rows": self.rows, "seconds": self.elapsed.as_secs_f64() }).to_string()
    }
}
