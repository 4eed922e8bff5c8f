//! A pinned connection to the primary of a cluster, and statements on it.

use std::sync::Arc;

use super::error::Error;
use crate::client::PinnedClient;
pub(crate) use crate::client::Rows;
use crate::engine::{Engine, Session};

/// A connection that is closed when this is dropped, with all that was set or locked on it.
pub(crate) struct Database {
    client: PinnedClient,
}

impl Database {
    /// Waits for a connection.
    pub(crate) async fn open(engine: &Arc<Engine>, cluster: &str) -> Result<Self, Error> {
        let opened = PinnedClient::open_primary(engine, &Arc::from(cluster), None).await;
        let client = opened.map_err(|source| failed(&format!("cluster {cluster}"), source))?;
        Ok(Self { client })
    }

    pub(crate) fn cluster(&self) -> &Arc<str> {
        self.client.cluster()
    }

    pub(crate) fn session(&self) -> &Session {
        self.client.session()
    }

    pub(crate) fn client(&self) -> &PinnedClient {
        &self.client
    }

    /// Runs a statement, or without values several.
    pub(crate) async fn run(&self, sql: &str, values: &[Option<&str>]) -> Result<Rows, crate::Error> {
        self.client.run(sql, values).await.map(|reply| reply.rows)
    }

    /// As [`Self::run`]; the error says what was being done.
    pub(crate) async fn query(&self, what: &str, sql: &str, values: &[Option<&str>]) -> Result<Rows, Error> {
        let context = || format!("{what} on cluster {}", self.cluster());
        self.run(sql, values).await.map_err(|source| failed(&context(), source))
    }
}

pub(crate) fn failed(context: &str, source: crate::Error) -> Error {
    Error::Database { context: context.to_owned(), source }
}

/// The value at a place of a row, empty for NULL.
pub(crate) fn text(row: &[Option<String>], at: usize) -> &str {
    row.get(at).and_then(Option::as_deref).unwrap_or_default()
}

/// The first value of all.
pub(crate) fn first(rows: &Rows) -> Option<&str> {
    rows.first()?.first()?.as_deref()
}

/// A name in quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The SQL of a time without a zone, as pg-multiverse keeps them, in ISO 8601: it was written in the zone of the session.
pub(crate) fn time_in_utc(column: &str) -> String {
    format!(
        "pg_catalog.to_char({column}::pg_catalog.timestamptz AT TIME ZONE 'UTC', \
         'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    )
}
