//! The right to replace a dead master: a lock on a majority of the project's replicas, which one process can have at a time.
//!
//! A standby of PostgreSQL is read only, but has locks of its own; other databases hold a lease in a row.

use std::sync::Arc;
use std::time::Duration;

use data::progress::{ServerRole, progress};
use data::{Dialect, DialectKind, Transaction, Value};

use super::quorum::is_majority;
use super::{Role, Topology};
use crate::cdc::{HeldName, digest};
use crate::manager::{SharedState, lock};
use crate::snapshot::End;

/// How long a replica may take to give its vote.
const PATIENCE: Duration = Duration::from_secs(2);

/// A replica that is asked for its vote.
struct Voter {
    name: String,
    dialect: Arc<dyn Dialect>,
    /// Whether it was a standby when it was last looked at.
    was_standby: bool,
}

/// A vote that was given; it is taken back when this is dropped.
enum Vote {
    /// A lock that ends with its transaction.
    Lock { _transaction: Arc<dyn Transaction> },
    /// A lease on a row.
    Row(Box<HeldName>),
}

/// The right to replace the master of a project.
pub(super) struct Mandate {
    votes: Vec<Vote>,
}

/// Asks every slave that can be reached for its vote.
///
/// # Errors
/// Why this process does not have the right, for a person.
pub(super) async fn ask_for_mandate(shared: &Arc<SharedState>, project: &str) -> Result<Mandate, String> {
    let (voters, all) = lock(shared).topology.voters(project);
    let mut votes = Vec::new();
    for voter in &voters {
        match tokio::time::timeout(PATIENCE, vote(project, voter)).await {
            Ok(Ok(Some(vote))) => votes.push(vote),
            Ok(Ok(None)) => {
                tracing::info!(replica = voter.name, "another process has the vote of this replica")
            }
            Ok(Err(error)) => tracing::info!(replica = voter.name, "a replica gives no vote: {error}"),
            Err(_) => tracing::info!(replica = voter.name, "a replica gives no vote in time"),
        }
    }
    let count = votes.len();
    let mandate = Mandate { votes };
    if !is_majority(count, all) {
        mandate.give_back().await;
        return Err(format!(
            "{count} of the project's {all} replicas gave this process their vote, which is no majority of them"
        ));
    }
    // Who had the votes before may have used them.
    for voter in voters.iter().filter(|voter| voter.was_standby) {
        let asked = tokio::time::timeout(PATIENCE, progress(voter.dialect.as_ref())).await;
        if let Ok(Ok(Some(stands))) = asked
            && stands.role == ServerRole::Primary
        {
            mandate.give_back().await;
            return Err(format!("another process has made replica \"{}\" the master", voter.name));
        }
    }
    Ok(mandate)
}

impl Mandate {
    /// Gives every vote back.
    pub(super) async fn give_back(self) {
        for vote in self.votes {
            // A lock ends with its transaction, which is undone when it is dropped.
            if let Vote::Row(held) = vote
                && let Err(error) = held.release().await
            {
                tracing::debug!("a vote was not given back: {error}");
            }
        }
    }
}

async fn vote(project: &str, voter: &Voter) -> data::Result<Option<Vote>> {
    if voter.dialect.kind() != DialectKind::Postgres {
        let end = End::database(Arc::clone(&voter.dialect), Vec::new());
        let held = HeldName::take(&format!("vote_{}", digest(&[project])), &end).await?;
        return Ok(held.map(|held| Vote::Row(Box::new(held))));
    }
    let transaction = voter.dialect.begin(None).await?;
    let rows = transaction
        .execute_query("SELECT pg_try_advisory_xact_lock($1::bigint) AS given", vec![lock_number(project)])
        .await?;
    let is_given = rows.first().is_some_and(|row| row.get("given") == Some(&Value::Bool(true)));
    Ok(is_given.then_some(Vote::Lock { _transaction: transaction }))
}

/// The number of the lock of a project.
fn lock_number(project: &str) -> Value {
    let number = u64::from_str_radix(&digest(&["replicaverse", project]), 16).unwrap_or_default();
    Value::Int64(number.cast_signed())
}

impl Topology {
    /// The slaves that can be asked for a vote, and how many replicas the project has.
    fn voters(&self, project: &str) -> (Vec<Voter>, usize) {
        let slaves = self
            .replicas(project)
            .filter(|replica| replica.config.role == Role::Slave && replica.state == super::State::Connected);
        let voters = slaves.filter_map(|replica| {
            Some(Voter {
                name: replica.config.name.clone(),
                dialect: replica.connection.clone()?,
                was_standby: replica.standing.role == Some(ServerRole::Standby),
            })
        });
        (voters.collect(), self.replicas(project).count())
    }
}
