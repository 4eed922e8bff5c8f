//! Asking for a decision, and carrying it out on a prepared branch. Whoever does so a second time does no harm.

use std::sync::Arc;

use super::decision::{self, Decision};
use super::plan::is_ended_already;
use super::prepared::{self, Fate};
use crate::client::PinnedClient;
use crate::engine::Engine;
use crate::error::Error;

/// A connection to the primary of a cluster.
pub(crate) async fn open(engine: &Arc<Engine>, cluster: &Arc<str>) -> Result<PinnedClient, Error> {
    PinnedClient::open_primary(engine, cluster, None).await
}

/// Asks a cluster what it has decided about a transaction.
pub(crate) async fn ask(engine: &Arc<Engine>, cluster: &Arc<str>, id: &str) -> Result<Decision, Error> {
    let client = open(engine, cluster).await?;
    let decision = decision::look(&client, id).await;
    if decision.is_ok() {
        client.give_back();
    }
    decision
}

/// Ends a prepared transaction, unless somebody else has done so.
pub(crate) async fn end(client: &PinnedClient, name: &str, fate: Fate) -> Result<(), Error> {
    match client.run(&prepared::end(name, fate), &[]).await {
        Err(error) if is_ended_already(&error) => Ok(()),
        ended => ended.map(drop),
    }
}
