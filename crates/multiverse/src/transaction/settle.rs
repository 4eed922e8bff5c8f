//! Asking for a decision, and carrying it out on a prepared branch. Whoever does so a second time does no harm.

use std::sync::Arc;
use std::time::Duration;

use super::decision::{self, Decision};
use super::plan::is_ended_already;
use super::prepared::{self, DatabaseId, Fate};
use crate::client::PinnedClient;
use crate::engine::Engine;
use crate::error::Error;

/// How long a server may take to say what it has decided.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Asks a cluster what it has decided about a transaction, if it is the database that decides about it. Takes little longer
/// than `limit`, which is for a connection, also where the primary is away or silent.
pub(crate) async fn ask(
    engine: &Arc<Engine>,
    cluster: &Arc<str>,
    (decider, id): (&DatabaseId, &str),
    limit: Duration,
) -> Result<Decision, Error> {
    let client = PinnedClient::open_in_background(engine, cluster, limit).await?;
    let asked = async {
        // A cluster may have come to be another database since it was asked what it is.
        if decision::identity(&client).await? == *decider {
            decision::look(&client, id).await
        } else {
            Ok(Decision::Elsewhere)
        }
    };
    let late = Err(Error::Timeout { limit: ANSWER_LIMIT });
    let decision = tokio::time::timeout(ANSWER_LIMIT, asked).await.unwrap_or(late);
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
