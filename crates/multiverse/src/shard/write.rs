//! Writing on several shards: on all of them or on none, by a transaction in two phases.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::dispatch::{Changes, deliver, to_shard};
use super::gather::{Gather, Gathered};
use super::layout::ShardedCluster;
use super::merge::{ShardResult, merged};
use super::merge_plan::Merge;
use super::{Inner, lock};
use crate::answer::Answer;
use crate::error::Error;
use crate::request::{BindParameters, Request, RequestId, Retry};
use crate::route::RouteOptions;
use crate::transaction::{self, Begun, TransactionOptions, Transactions};

/// What one shard is asked.
pub(super) struct Portion {
    pub(super) shard: u32,
    pub(super) text: Arc<str>,
    pub(super) parameters: BindParameters,
}

/// A request without its caller.
struct Job {
    id: RequestId,
    parameters: BindParameters,
    route: RouteOptions,
    timeout: Option<Duration>,
}

/// A caller who is answered even if the engine is closed meanwhile.
struct Owed {
    inner: Arc<Inner>,
    answer: Option<Box<dyn Answer>>,
}

impl Drop for Owed {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            answer.end(Err(Error::Closed));
            (self.inner.answered)();
        }
    }
}

impl Inner {
    /// Carries out the portions of a request in one transaction, and answers it.
    pub(super) fn write(
        self: &Arc<Self>,
        cluster: &Arc<ShardedCluster>,
        portions: Vec<Portion>,
        changes: Changes,
        request: Request,
    ) {
        let (inner, cluster) = (Arc::clone(self), Arc::clone(cluster));
        let Request { id, parameters, route, timeout, answer, .. } = request;
        let mut owed = Owed { inner: Arc::clone(self), answer: Some(answer) };
        let job = Job { id, parameters, route, timeout };
        self.engine.runtime().spawn(async move {
            let started = Instant::now();
            let outcome = inner.write_together(&cluster, portions, &job).await;
            lock(&inner.parts).remove(&job.id.0);
            if changes == Changes::Definitions
                && let Some(known) = lock(&inner.known).get_mut(&cluster.id)
            {
                known.forget();
            }
            if let Some(answer) = owed.answer.take() {
                deliver(answer, outcome, &cluster.id, false, started);
                (inner.answered)();
            }
        });
    }

    async fn write_together(
        &self,
        cluster: &ShardedCluster,
        portions: Vec<Portion>,
        job: &Job,
    ) -> Result<ShardResult, Error> {
        let transactions = self.transactions.get_or_init(|| Transactions::start(Arc::clone(&self.engine)));
        let shards: Vec<Arc<str>> = portions
            .iter()
            .filter_map(|portion| cluster.shards.get(portion.shard as usize).cloned())
            .collect();
        let options = TransactionOptions::default();
        let begun = transactions.begin_on(&shards, job.route.schema.as_ref(), options).await;
        let begun = begun.map_err(of_transaction)?;
        let mut results = Vec::new();
        // One after the other, in the order of shards: two that lock rows on several shards at the same time would wait for
        // each other, and no server would see it.
        for portion in portions {
            match self.run(cluster, portion, &begun, job).await {
                Ok(result) => results.extend(result),
                Err(error) => {
                    // Why is known; without its connections the transaction is rolled back in any case.
                    let _ = transactions.roll_back(&begun.id).await;
                    return Err(error);
                }
            }
        }
        let merged = merged(results, &Merge::default(), &job.parameters).map_err(Error::Shard);
        if merged.is_err() {
            let _ = transactions.roll_back(&begun.id).await;
            return merged;
        }
        transactions.commit(&begun.id, job.timeout).await.map_err(of_transaction)?;
        merged
    }

    async fn run(&self, cluster: &ShardedCluster, portion: Portion, begun: &Begun, job: &Job) -> Gathered {
        let shard = cluster.shards.get(portion.shard as usize);
        let session = begun.participants.iter().map(|participant| &participant.session);
        let session =
            session.into_iter().find(|session| Some(&session.cluster) == shard).map(|session| session.id);
        let (reply, answered) = oneshot::channel();
        let mut answers = Gather::answers(1, move |outcome| drop(reply.send(outcome)));
        let Some(answer) = answers.pop() else { return Err(Error::Closed) };
        let part = Request {
            id: RequestId::next_part(),
            sql: portion.text,
            parameters: portion.parameters,
            route: job.route.clone(),
            session: None,
            timeout: job.timeout,
            retry: Retry::default(),
            streamed: false,
            cache: None,
            answer,
        };
        lock(&self.parts).insert(job.id.0, vec![part.id]);
        self.engine.submit(vec![to_shard(cluster, portion.shard, session, part)]);
        answered.await.unwrap_or(Err(Error::Closed))
    }
}

/// An error of a transaction, as one of a request.
fn of_transaction(error: transaction::Error) -> Error {
    match error {
        transaction::Error::Database(error) => error,
        error => Error::Transaction(Arc::new(error)),
    }
}
