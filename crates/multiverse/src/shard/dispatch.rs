//! One request on its way: to its shard, to several, or to its end with the reason why not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::catalogue::{ShardCatalogue, TableColumn};
use super::error::ShardError;
use super::gather::Gather;
use super::key::KeyType;
use super::layout::{Layout, ShardedCluster};
use super::merge::{ShardResult, merged};
use super::parameters::only_used;
use super::placement::Placement;
use super::plan::{InsertPlan, Needed, Parts, Plan};
use super::write::Portion;
use super::{Inner, lock};
use crate::answer::{Answer, Completed};
use crate::error::Error;
use crate::request::{Request, RequestId, SessionId};

/// What is done with a request.
enum Way {
    /// It goes to one shard as it is.
    One(u32),
    /// It reads from several.
    Read(Arc<Plan>, Vec<u32>),
    /// It writes on several.
    Write(Vec<Portion>, Option<Arc<Plan>>, Changes),
}

/// What a statement that writes on several shards changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Changes {
    Rows,
    /// What the catalogue says.
    Definitions,
}

impl Inner {
    /// Finds out where a request runs. Gives whether it was answered. With `is_fresh`, the catalogue was just read.
    pub(super) fn dispatch(
        self: &Arc<Self>,
        layout: &Layout,
        request: Request,
        is_fresh: bool,
        outgoing: &mut Vec<Request>,
    ) -> bool {
        if request.session.is_some() {
            outgoing.push(request);
            return false;
        }
        let Some(cluster) = layout.cluster_of(&request.route) else {
            outgoing.push(request);
            return false;
        };
        let planned = {
            let mut known = lock(&self.known);
            let known = known.entry(Arc::clone(&cluster.id)).or_default();
            let plan = known.plan(cluster, &request);
            let is_unknown =
                matches!(plan.as_deref(), Some(Plan::Refused(error)) if error.code == "ERR_SHARD_TABLE");
            let must_wait = plan.is_none() || is_unknown && !is_fresh && request.route.shard_key.is_none();
            if must_wait || known.is_old() {
                let was_reading = std::mem::replace(&mut known.is_reading, true);
                if !was_reading {
                    self.read_catalogue(cluster);
                }
            }
            match (plan, known.catalogue(), must_wait) {
                (Some(plan), Some(catalogue), false) => (plan, Arc::clone(catalogue)),
                _ => {
                    known.waiting.push(request);
                    return false;
                }
            }
        };
        let (plan, catalogue) = planned;
        match way(cluster, &catalogue, &plan, &request) {
            Ok(way) => self.go(cluster, way, request, outgoing),
            Err(error) => {
                request.answer.end(Err(Error::Shard(error)));
                true
            }
        }
    }

    fn go(
        self: &Arc<Self>,
        cluster: &Arc<ShardedCluster>,
        way: Way,
        request: Request,
        outgoing: &mut Vec<Request>,
    ) -> bool {
        let needed: Vec<u32> = match &way {
            Way::One(shard) => vec![*shard],
            Way::Read(_, shards) => shards.clone(),
            Way::Write(portions, ..) => portions.iter().map(|portion| portion.shard).collect(),
        };
        let sessions = match sessions_of(cluster, &request, &needed) {
            Ok(sessions) => sessions,
            Err(error) => {
                request.answer.end(Err(Error::Shard(error)));
                return true;
            }
        };
        match way {
            Way::One(shard) => {
                outgoing.push(to_shard(cluster, shard, sessions.first().copied().flatten(), request));
            }
            Way::Read(plan, shards) => {
                if let Plan::Rows(rows) = &*plan
                    && let Ok(parts) = &rows.parts
                {
                    let portions = portions_of(parts, &request, &shards);
                    self.scatter(cluster, portions, &sessions, Some(Arc::clone(&plan)), request, outgoing);
                }
            }
            // Within a transaction, what commits it commits all of it.
            Way::Write(portions, plan, _) if request.route.branches.is_some() => {
                self.scatter(cluster, portions, &sessions, plan, request, outgoing);
            }
            Way::Write(portions, _, changes) => self.write(cluster, portions, changes, request),
        }
        false
    }

    /// Sends each shard its portion, and puts the answers together.
    fn scatter(
        self: &Arc<Self>,
        cluster: &Arc<ShardedCluster>,
        portions: Vec<Portion>,
        sessions: &[Option<SessionId>],
        plan: Option<Arc<Plan>>,
        request: Request,
        outgoing: &mut Vec<Request>,
    ) {
        let started = Instant::now();
        let Request { id, parameters, route, timeout, retry, answer: caller, .. } = request;
        let (inner, own) = (Arc::clone(self), Arc::clone(cluster));
        let is_read = matches!(plan.as_deref(), Some(Plan::Rows(rows)) if !rows.writes);
        let answers = Gather::answers(portions.len(), move |outcome| {
            lock(&inner.parts).remove(&id.0);
            let outcome = outcome.and_then(|results| {
                let merge = match plan.as_deref() {
                    Some(Plan::Rows(rows)) => rows.parts.as_ref().ok().map(|parts| parts.merge.clone()),
                    _ => None,
                };
                merged(results, &merge.unwrap_or_default(), &parameters).map_err(Error::Shard)
            });
            deliver(caller, outcome, &own.id, is_read, started);
        });
        let mut ids = Vec::new();
        for ((portion, answer), session) in portions.into_iter().zip(answers).zip(sessions) {
            let part = Request {
                id: RequestId::next_part(),
                sql: portion.text,
                parameters: portion.parameters,
                route: route.clone(),
                session: None,
                timeout,
                retry,
                streamed: false,
                // What is cached is the result of a whole statement.
                cache: None,
                answer,
            };
            ids.push(part.id);
            outgoing.push(to_shard(cluster, portion.shard, *session, part));
        }
        lock(&self.parts).insert(id.0, ids);
    }
}

/// Hands out the result of a whole statement.
pub(super) fn deliver(
    mut caller: Box<dyn Answer>,
    outcome: Result<ShardResult, Error>,
    cluster: &Arc<str>,
    is_read: bool,
    started: Instant,
) {
    let outcome = outcome.map(|result| {
        if let Some(columns) = &result.columns {
            caller.columns(columns);
        }
        for batch in result.batches.into_iter().filter(|batch| !batch.is_empty()) {
            // All of it is in memory, so that there is nothing to pause.
            let _ = caller.rows(batch);
        }
        caller.result(&result.tag);
        let cluster = Arc::clone(cluster);
        Completed {
            server: Arc::clone(&cluster),
            cluster,
            is_read,
            duration: started.elapsed(),
            written: None,
        }
    });
    caller.end(outcome);
}

/// A request for one shard.
pub(super) fn to_shard(
    cluster: &ShardedCluster,
    shard: u32,
    session: Option<SessionId>,
    mut request: Request,
) -> Request {
    request.route.cluster_id = cluster.shards.get(shard as usize).cloned();
    request.route.branches = None;
    request.session = session;
    request
}

/// The connections of a transaction to the shards that are needed, in their order; none outside a transaction.
fn sessions_of(
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

fn portions_of(parts: &Parts, request: &Request, shards: &[u32]) -> Vec<Portion> {
    let parameters = only_used(&request.parameters, |at| parts.used.contains(&at));
    let portion = |shard: &u32| Portion {
        shard: *shard,
        text: Arc::clone(&parts.text),
        parameters: parameters.clone(),
    };
    shards.iter().map(portion).collect()
}

fn way(
    cluster: &ShardedCluster,
    catalogue: &ShardCatalogue,
    plan: &Arc<Plan>,
    request: &Request,
) -> Result<Way, ShardError> {
    let count = u32::try_from(cluster.shards.len()).unwrap_or(u32::MAX);
    if let Some(key) = &request.route.shard_key {
        let shard = shard_of_option(cluster, catalogue, request.route.schema.as_deref(), key)?;
        if let Plan::Insert(insert) = &**plan
            && places(insert, request)?.iter().any(|place| *place != shard)
        {
            return Err(ShardError::statement("shardKey leads to another shard than the rows of the INSERT"));
        }
        return Ok(Way::One(shard));
    }
    match &**plan {
        Plan::Refused(error) => Err(error.clone()),
        Plan::Anywhere => Ok(Way::One(first_known(cluster, request))),
        Plan::Everywhere => {
            let portion = |shard| Portion {
                shard,
                text: Arc::clone(&request.sql),
                parameters: request.parameters.clone(),
            };
            Ok(Way::Write((0..count).map(portion).collect(), None, Changes::Definitions))
        }
        Plan::Rows(rows) => match (rows.needed(&request.parameters, count)?, &rows.parts) {
            (Needed::One(shard), _) => Ok(Way::One(shard)),
            (Needed::Several(_), Err(error)) => Err(error.clone()),
            (Needed::Several(shards), Ok(parts)) if rows.writes => {
                Ok(Way::Write(portions_of(parts, request, &shards), Some(Arc::clone(plan)), Changes::Rows))
            }
            (Needed::Several(shards), Ok(_)) => Ok(Way::Read(Arc::clone(plan), shards)),
        },
        Plan::Insert(insert) => split(insert, request),
    }
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
        return Ok(Way::One(*only));
    }
    let portion = |shard: u32| {
        let text = insert.text_of(|row| places.get(row) == Some(&shard));
        let text = text.ok_or_else(|| ShardError::statement("the rows of the INSERT cannot be split"))?;
        let used = super::plan::parameters_of(&text);
        let parameters = only_used(&request.parameters, |at| used.contains(&at));
        Ok(Portion { shard, text: text.into(), parameters })
    };
    let portions = shards.into_iter().map(portion).collect::<Result<_, ShardError>>()?;
    Ok(Way::Write(portions, None, Changes::Rows))
}

/// The shard that a call names by a value of the shard key.
pub(super) fn shard_of_option(
    cluster: &ShardedCluster,
    catalogue: &ShardCatalogue,
    schema: Option<&str>,
    value: &str,
) -> Result<u32, ShardError> {
    let path: Vec<&str> = match schema {
        Some(schema) => vec![schema],
        None => cluster.search_path.iter().map(String::as_str).collect(),
    };
    let mut found: Option<(&str, KeyType)> = None;
    for table in catalogue.tables().filter(|table| table.is_table && path.contains(&table.schema.as_str())) {
        let name = cluster.key_of(&table.schema);
        let Some(key) = table.column(name).and_then(TableColumn::key_type) else {
            continue;
        };
        match found {
            Some((_, known)) if !known.agrees_with(key) => {
                return Err(ShardError::key_required(
                    "shardKey does not tell which type it has, as the columns of the shard key have different types: \
                     compare the key with a value in the statement",
                ));
            }
            // Of integers, the widest takes all values.
            Some((_, KeyType::Int8)) => {}
            _ => found = Some((name, key)),
        }
    }
    let (name, key) =
        found.ok_or_else(|| ShardError::key_required("no table has a column of the shard key"))?;
    let value = key.parse(value).ok_or_else(|| ShardError::value(name, key))?;
    Placement::new(&cluster.sharding, key)?.shard_of(&value).ok_or_else(|| ShardError::no_shard(name))
}
