//! The part of a transaction on one cluster.

use std::sync::Arc;
use std::time::Duration;

use super::error::Error;
use super::options::TransactionOptions;
use super::plan::Ending;
use crate::client::PinnedClient;
use crate::engine::{Engine, Session};
use crate::route::ReplayPosition;

/// Whether something must be made durable, and how much the server lets be prepared. A function may write although the
/// text that calls it does not look so.
const SURVEY: &str = "SELECT (pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL)::text, \
    pg_catalog.current_setting('max_prepared_transactions')";
/// How long a server may take to roll back before its connection is given up.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(5);

/// What a server says about a branch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Survey {
    pub(crate) has_written: bool,
    pub(crate) may_prepare: bool,
}

/// A transaction of one session, on the primary of a cluster.
pub(crate) struct Branch {
    client: PinnedClient,
}

impl Branch {
    /// Begins a transaction on a connection of its own. Names are looked up in `schema` first.
    pub(crate) async fn begin(
        engine: &Arc<Engine>,
        cluster: &Arc<str>,
        schema: Option<Arc<str>>,
        options: &TransactionOptions,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Begin { cluster: Arc::clone(cluster), source };
        let client = PinnedClient::open_primary(engine, cluster, schema).await.map_err(failed)?;
        engine.guard_session(client.session().id);
        client.run(&options.begin_statement(), &[]).await.map_err(failed)?;
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

    /// Asks the server what the branch has done.
    pub(crate) async fn survey(&self, limit: Duration) -> Result<Survey, crate::Error> {
        let rows = self.client.run_within(Some(limit), SURVEY, &[]).await?.rows;
        let cell = |at: usize| rows.first().and_then(|row| row.get(at)?.as_deref());
        Ok(Survey { has_written: cell(0) == Some("true"), may_prepare: cell(1) != Some("0") })
    }

    /// Commits as any transaction is.
    pub(crate) async fn commit(&self) -> (Ending, Option<ReplayPosition>) {
        self.commit_within(None).await
    }

    /// As [`Self::commit`]; after the time allowed, if there is one, it is cancelled.
    pub(crate) async fn commit_within(&self, limit: Option<Duration>) -> (Ending, Option<ReplayPosition>) {
        match self.client.run_within(limit, "COMMIT", &[]).await {
            Ok(reply) => (Ending::of(Ok(&reply), "COMMIT"), reply.written),
            Err(error) => (Ending::of(Err(error), "COMMIT"), None),
        }
    }

    /// Rolls back. Where that cannot be said to the server, it happens with the end of the connection.
    pub(crate) async fn roll_back(&self, engine: &Engine) {
        engine.cancel_session(self.client.session().id);
        if let Err(error) = self.client.run_within(Some(ROLLBACK_LIMIT), "ROLLBACK", &[]).await {
            tracing::debug!(cluster = %self.cluster(), %error, "a branch is rolled back with its connection");
        }
    }

    /// Gives the connection back to its pool.
    pub(crate) fn give_back(self) {
        self.client.give_back();
    }
}
