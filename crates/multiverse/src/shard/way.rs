//! Where a planned statement runs with its parameters: on one shard, or which portion on which of several.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::catalogue::ShardCatalogue;
use super::error::ShardError;
use super::layout::ShardedCluster;
use super::option_key::shard_of_option;
use super::parameters::only_used;
use super::plan::{InsertPlan, Needed, Parts, Plan, parameters_of};
use crate::request::{BindParameters, Request, SessionId};

/// What is done with a request.
pub(super) enum Way {
    /// It goes to one shard: as it is, or with another text that says the same.
    One(u32, Option<Arc<str>>),
    /// It reads from several.
    Read(Arc<Plan>, Vec<Portion>),
    /// It writes on several.
    Write(Vec<Portion>, Changes),
}

/// What one shard is asked.
pub(super) struct Portion {
    pub(super) shard: u32,
    pub(super) text: Arc<str>,
    pub(super) parameters: BindParameters,
    /// Of an INSERT, the positions of its rows among those of the whole.
    pub(super) rows: Vec<usize>,
}

/// What a statement that writes on several shards changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Changes {
    Rows,
    /// What the catalogue says.
    Definitions,
}

impl Way {
    /// The way of a request.
    ///
    /// # Errors
    /// Why it cannot be carried out.
    pub(super) fn of(
        cluster: &ShardedCluster,
        catalogue: &ShardCatalogue,
        plan: &Arc<Plan>,
        request: &Request,
    ) -> Result<Self, ShardError> {
        let count = u32::try_from(cluster.shards.len()).unwrap_or(u32::MAX);
        if let Some(key) = &request.route.shard_key {
            let shard = shard_of_option(cluster, catalogue, request.route.schema.as_deref(), key)?;
            let Plan::Insert(insert) = &**plan else { return Ok(Self::One(shard, None)) };
            if places(insert, request)?.iter().any(|place| *place != shard) {
                return Err(ShardError::statement(
                    "shardKey leads to another shard than the rows of the INSERT",
                ));
            }
            return Ok(Self::One(shard, insert.named.clone()));
        }
        match &**plan {
            Plan::Refused(error) => Err(error.clone()),
            Plan::Anywhere => Ok(Self::One(first_known(cluster, request), None)),
            Plan::Everywhere => {
                let (text, parameters) = (Arc::clone(&request.sql), request.parameters.clone());
                Ok(Self::Write(same_for((0..count).collect(), &text, &parameters), Changes::Definitions))
            }
            Plan::Rows(rows) => match (rows.needed(&request.parameters, count)?, &rows.parts) {
                (Needed::One(shard), _) => Ok(Self::One(shard, None)),
                (Needed::Several(_), Err(error)) => Err(error.clone()),
                (Needed::Several(shards), Ok(parts)) => {
                    let portions = portions_of(parts, request, shards);
                    Ok(match rows.writes {
                        true => Self::Write(portions, Changes::Rows),
                        false => Self::Read(Arc::clone(plan), portions),
                    })
                }
            },
            Plan::Insert(insert) => split(insert, request),
        }
    }

    /// The shards that have a part in it, in the order of its portions.
    pub(super) fn shards(&self) -> Vec<u32> {
        match self {
            Self::One(shard, _) => vec![*shard],
            Self::Read(_, portions) | Self::Write(portions, _) => {
                portions.iter().map(|portion| portion.shard).collect()
            }
        }
    }
}

/// The connections of a transaction to the shards that are needed, in their order; none outside a transaction.
///
/// # Errors
/// Shards have no part in the transaction yet.
pub(super) fn sessions_of(
    cluster: &ShardedCluster,
    request: &Request,
    needed: &[u32],
) -> Result<Vec<Option<SessionId>>, ShardError> {
    let Some(branches) = &request.route.branches else { return Ok(vec![None; needed.len()]) };
    let names: Vec<&str> =
        needed.iter().filter_map(|shard| cluster.shards.get(*shard as usize)).map(|id| &**id).collect();
    let session = |name: &str| branches.iter().find(|(id, _)| **id == *name).map(|(_, session)| *session);
    let missing: Vec<&str> = names.iter().copied().filter(|name| session(name).is_none()).collect();
    if missing.is_empty() {
        Ok(names.into_iter().map(session).collect())
    } else {
        Err(ShardError::not_joined(&missing))
    }
}

fn portions_of(parts: &Parts, request: &Request, shards: Vec<u32>) -> Vec<Portion> {
    let parameters = only_used(&request.parameters, |at| parts.used.contains(&at));
    same_for(shards, &parts.text, &parameters)
}

fn same_for(shards: Vec<u32>, text: &Arc<str>, parameters: &BindParameters) -> Vec<Portion> {
    let portion =
        |shard| Portion { shard, text: Arc::clone(text), parameters: parameters.clone(), rows: Vec::new() };
    shards.into_iter().map(portion).collect()
}

/// The shard for what says the same everywhere: within a transaction, one that takes part in it already.
fn first_known(cluster: &ShardedCluster, request: &Request) -> u32 {
    let branches = request.route.branches.as_deref().unwrap_or_default();
    let known = cluster.shards.iter().position(|shard| branches.iter().any(|(id, _)| id == shard));
    known.and_then(|at| u32::try_from(at).ok()).unwrap_or(0)
}

fn places(insert: &InsertPlan, request: &Request) -> Result<Vec<u32>, ShardError> {
    insert.keys.iter().map(|key| insert.pin.place(key, &request.parameters)).collect()
}

/// The rows of an INSERT, by their shards.
fn split(insert: &InsertPlan, request: &Request) -> Result<Way, ShardError> {
    let places = places(insert, request)?;
    let shards: BTreeSet<u32> = places.iter().copied().collect();
    if let (1, Some(only)) = (shards.len(), shards.first()) {
        return Ok(Way::One(*only, insert.named.clone()));
    }
    let portion = |shard: u32| {
        let text = insert.text_of(|row| places.get(row) == Some(&shard));
        let text = text.ok_or_else(|| ShardError::statement("the rows of the INSERT cannot be split"))?;
        let used = parameters_of(&text);
        let parameters = only_used(&request.parameters, |at| used.contains(&at));
        let rows = places.iter().enumerate().filter(|(_, place)| **place == shard).map(|(row, _)| row);
        Ok(Portion { shard, text: text.into(), parameters, rows: rows.collect() })
    };
    let portions = shards.into_iter().map(portion).collect::<Result<_, ShardError>>()?;
    Ok(Way::Write(portions, Changes::Rows))
}
