//! Statements that a server refuses as it would if tables had changed since they were planned: they are planned anew, once.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use wire::{Column, RowBatch};

use super::layout::ShardedCluster;
use super::waiting::Waiting;
use super::{Inner, lock};
use crate::answer::{Answer, Completed, Flow};
use crate::cache::{CacheKey, CacheOptions};
use crate::error::Error;
use crate::request::{BindParameters, Request, RequestId, Retry};
use crate::route::RouteOptions;

/// Refusals that a change of tables explains: names, types and numbers of columns that do not fit. They come before a
/// statement has done anything, or undo what it has done.
const SIGNS: [&str; 9] = ["42703", "42P01", "42702", "42804", "42883", "42601", "42P10", "3F000", "42P18"];

/// Takes the results of a request for a sharded cluster.
struct Watched {
    inner: Weak<Inner>,
    cluster: Arc<ShardedCluster>,
    /// How the request is made again, if it may be.
    again: Option<Box<Again>>,
    started: Instant,
    /// The time that the caller has allowed for all of it.
    limit: Option<Duration>,
    has_begun: bool,
    answer: Box<dyn Answer>,
}

/// A request without its answer.
struct Again {
    id: RequestId,
    sql: Arc<str>,
    parameters: BindParameters,
    route: RouteOptions,
    retry: Retry,
    cache: Option<Arc<CacheOptions>>,
}

impl Inner {
    /// The request, with its answer watched for signs of changed tables.
    pub(super) fn watched(self: &Arc<Self>, cluster: &Arc<ShardedCluster>, request: Request) -> Request {
        // What a transaction has done is undone with the failure, and what is streamed may have been taken already. With the
        // key by option a procedure may run, which may have committed before it failed.
        let may_repeat =
            request.route.branches.is_none() && !request.streamed && request.route.shard_key.is_none();
        let again = may_repeat.then(|| {
            Box::new(Again {
                id: request.id,
                sql: Arc::clone(&request.sql),
                parameters: request.parameters.clone(),
                route: request.route.clone(),
                retry: request.retry,
                cache: request.cache.clone(),
            })
        });
        let watched = Watched {
            inner: Arc::downgrade(self),
            cluster: Arc::clone(cluster),
            again,
            started: Instant::now(),
            limit: request.timeout,
            has_begun: false,
            answer: request.answer,
        };
        Request { answer: Box::new(watched), ..request }
    }

    /// Takes note that tables may have changed. Gives whether that is news.
    fn doubt(&self, cluster: &ShardedCluster) -> bool {
        lock(&self.known).get_mut(&cluster.id).is_some_and(super::known::Known::doubt)
    }

    fn plan_again(self: &Arc<Self>, cluster: &Arc<ShardedCluster>, request: Request, started: Instant) {
        let waits = (request.id, request.timeout.map(|limit| limit.saturating_sub(started.elapsed())));
        let was_reading = {
            let mut known = lock(&self.known);
            let known = known.entry(Arc::clone(&cluster.id)).or_default();
            known.waiting.push(Waiting::since(request, started));
            std::mem::replace(&mut known.is_reading, true)
        };
        if !was_reading {
            self.read_catalogue(cluster);
        }
        self.watch_waiting(&cluster.id, waits, false);
    }
}

impl Answer for Watched {
    fn columns(&mut self, columns: &Arc<[Column]>) {
        self.has_begun = true;
        self.answer.columns(columns);
    }

    fn rows(&mut self, rows: RowBatch) -> Flow {
        self.answer.rows(rows)
    }

    fn result(&mut self, command_tag: &str) {
        self.has_begun = true;
        self.answer.result(command_tag);
    }

    fn looked_up(&mut self, is_hit: bool, key: &CacheKey) {
        // The caller is told once.
        self.again = None;
        self.answer.looked_up(is_hit, key);
    }

    fn end(self: Box<Self>, outcome: Result<Completed, Error>) {
        let Self { inner, cluster, again, started, limit, has_begun, answer } = *self;
        let outcome = match (outcome, limit) {
            (Err(Error::Timeout { .. }), Some(limit)) => Err(Error::Timeout { limit }),
            (outcome, _) => outcome,
        };
        let is_sign = matches!(&outcome, Err(Error::Server(report)) if SIGNS.contains(&report.code.as_str()));
        if let Some(inner) = inner.upgrade().filter(|_| is_sign)
            && inner.doubt(&cluster)
            && let Some(again) = again.filter(|_| !has_begun)
        {
            let Again { id, sql, parameters, route, retry, cache } = *again;
            let watched = Watched {
                inner: Arc::downgrade(&inner),
                cluster: Arc::clone(&cluster),
                again: None,
                started,
                limit,
                has_begun,
                answer,
            };
            let request = Request {
                id,
                sql,
                parameters,
                route,
                session: None,
                timeout: limit,
                retry,
                streamed: false,
                cache,
                answer: Box::new(watched),
            };
            return inner.plan_again(&cluster, request, started);
        }
        answer.end(outcome);
    }
}
