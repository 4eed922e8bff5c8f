//! Deleting decisions of transactions that are over.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::decision;
use super::recovery::{find, within};
use super::transactions::Shared;
use crate::client::PinnedClient;
use crate::error::Error;

/// Decisions that were not deleted by who made them are looked at when they are older.
const OLD: &str = "1 hour";
const OLD_LOOKS: Duration = Duration::from_secs(600);
/// How long a connection is waited for, and how long each server may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Whether old decisions are to be looked at now.
pub(super) fn is_due(last: &mut Option<Instant>) -> bool {
    let is_due = last.is_none_or(|last| last.elapsed() >= OLD_LOOKS);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}

/// Deletes the decisions on all clusters that nobody needs any more. Takes no longer than a cluster may take that cannot be
/// reached; what is not deleted does no harm, and is deleted when it is old.
pub(super) async fn forget_all(shared: &Arc<Shared>) {
    let clusters = shared.engine.cluster_ids();
    let deletions = clusters.iter().map(|cluster| async move {
        let ids = shared.take_forgettable(cluster);
        if ids.is_empty() {
            return;
        }
        let deleted = async {
            let client = PinnedClient::open_in_background(&shared.engine, cluster, LIMIT).await?;
            within(LIMIT, decision::forget(&client, &ids)).await?;
            client.give_back();
            Ok::<(), Error>(())
        };
        if let Err(error) = deleted.await {
            tracing::debug!(%cluster, %error, "decisions of transactions that are over could not be deleted");
        }
    });
    join_all(deletions).await;
}

/// Deletes old decisions of a cluster of which nothing is prepared any more, on clusters all of which can be asked.
pub(super) async fn drop_old(shared: Arc<Shared>, clusters: Vec<Arc<str>>, cluster: Arc<str>) {
    if let Err(error) = drop_old_of(&shared, &clusters, &cluster).await {
        tracing::debug!(%cluster, %error, "old decisions cannot be looked at");
    }
}

async fn drop_old_of(shared: &Arc<Shared>, clusters: &[Arc<str>], cluster: &Arc<str>) -> Result<(), Error> {
    let client = PinnedClient::open_in_background(&shared.engine, cluster, LIMIT).await?;
    let mut old = within(LIMIT, decision::old(&client, OLD)).await?;
    old.retain(|row| row.participants.iter().all(|name| clusters.iter().any(|known| **known == **name)));
    // What is prepared is looked for after the rows were read: a row is there before anything can be over.
    let asked: HashSet<&str> =
        old.iter().flat_map(|row| row.participants.iter().map(String::as_str)).collect();
    let looks = clusters.iter().filter(|known| asked.contains(&***known)).map(|name| async move {
        let other = PinnedClient::open_in_background(&shared.engine, name, LIMIT).await?;
        let found = within(LIMIT, find(&other)).await?;
        other.give_back();
        Ok::<_, Error>(found)
    });
    let mut needed = HashSet::new();
    for found in join_all(looks).await {
        needed.extend(found?.into_iter().map(|(name, _)| name.transaction));
    }
    let ids: Vec<Arc<str>> =
        old.iter().filter(|row| !needed.contains(&row.id)).map(|row| Arc::from(row.id.as_str())).collect();
    if !ids.is_empty() {
        within(LIMIT, decision::forget(&client, &ids)).await?;
    }
    client.give_back();
    Ok(())
}
