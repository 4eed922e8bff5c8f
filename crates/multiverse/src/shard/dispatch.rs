//! One request on its way: to its shard, to several, or to its end with the reason why not.

use std::sync::Arc;
use std::time::Instant;

use super::gather::Gather;
use super::layout::{Layout, ShardedCluster};
use super::merge::{ShardResult, merged};
use super::plan::Plan;
use super::waiting::Waiting;
use super::way::{Portion, Way, sessions_of};
use super::{Inner, lock};
use crate::answer::{Answer, Completed};
use crate::error::Error;
use crate::request::{Request, RequestId, SessionId};

impl Inner {
    /// Finds out where a request runs. Gives whether it was answered. With `has_waited`, it has waited for the catalogue,
    /// which is used as it is now.
    pub(super) fn dispatch(
        self: &Arc<Self>,
        layout: &Layout,
        request: Request,
        has_waited: bool,
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
        let request = if has_waited { request } else { self.watched(cluster, request) };
        let planned = {
            let mut known = lock(&self.known);
            let known = known.entry(Arc::clone(&cluster.id)).or_default();
            known.take_note(self.engine.definition_changes(), &cluster.shards);
            let plan = known.plan(cluster, &request);
            let is_unknown =
                matches!(plan.as_deref(), Some(Plan::Refused(error)) if error.code == "ERR_SHARD_TABLE");
            let is_lacking = is_unknown && request.route.shard_key.is_none();
            let must_wait = plan.is_none() || !has_waited && (is_lacking || known.is_doubtful());
            if (must_wait || known.is_old()) && !std::mem::replace(&mut known.is_reading, true) {
                self.read_catalogue(cluster);
            }
            match (plan, known.catalogue(), must_wait) {
                (Some(plan), Some(catalogue), false) => (plan, Arc::clone(catalogue)),
                (plan, ..) => {
                    let waits = (request.id, request.timeout);
                    known.waiting.push(Waiting::since(request, Instant::now()));
                    self.watch_waiting(&cluster.id, waits, plan.is_some() && !is_lacking);
                    return false;
                }
            }
        };
        let (plan, catalogue) = planned;
        let way = Way::of(cluster, &catalogue, &plan, &request);
        let way = way.and_then(|way| Ok((sessions_of(cluster, &request, &way.shards())?, way)));
        match way {
            Ok((sessions, way)) => {
                self.go(cluster, way, &sessions, request, outgoing);
                false
            }
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
        sessions: &[Option<SessionId>],
        mut request: Request,
        outgoing: &mut Vec<Request>,
    ) {
        match way {
            Way::One(shard, text) => {
                if let Some(text) = text {
                    request.sql = text;
                }
                outgoing.push(self.to_shard(cluster, shard, sessions.first().copied().flatten(), request));
            }
            Way::Read(plan, portions) => self.read(cluster, portions, sessions, plan, request, outgoing),
            Way::Write(portions, changes) => self.write(cluster, portions, sessions, changes, request),
        }
    }

    /// Sends each shard its portion, and puts the answers together.
    fn read(
        self: &Arc<Self>,
        cluster: &Arc<ShardedCluster>,
        portions: Vec<Portion>,
        sessions: &[Option<SessionId>],
        plan: Arc<Plan>,
        request: Request,
        outgoing: &mut Vec<Request>,
    ) {
        let started = Instant::now();
        let Request { id, parameters, route, timeout, retry, answer: caller, .. } = request;
        let (inner, own) = (Arc::clone(self), Arc::clone(cluster));
        let answers = Gather::answers(portions.len(), &self.written, move |outcome| {
            inner.progress.end(id);
            let outcome = outcome.and_then(|results| {
                let merge = match &*plan {
                    Plan::Rows(rows) => rows.parts.as_ref().ok().map(|parts| parts.merge.clone()),
                    _ => None,
                };
                merged(results, &merge.unwrap_or_default(), &parameters).map_err(Error::Shard)
            });
            deliver(caller, outcome, &own.id, true, started);
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
            outgoing.push(self.to_shard(cluster, portion.shard, *session, part));
        }
        self.progress.enter(id, ids);
    }

    /// A request for one shard.
    pub(super) fn to_shard(
        &self,
        cluster: &ShardedCluster,
        shard: u32,
        session: Option<SessionId>,
        mut request: Request,
    ) -> Request {
        let shard = cluster.shards.get(shard as usize);
        // What was written on other shards stands in other logs.
        request.route.written = shard.and_then(|shard| self.written.on(shard));
        request.route.cluster_id = shard.cloned();
        request.route.branches = None;
        request.session = session;
        request
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
            // The positions of the shards were noted one by one.
            written: None,
        }
    });
    caller.end(outcome);
}
