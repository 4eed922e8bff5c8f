//! Writing on several shards: on all of them or on none, by a transaction in two phases, or by the caller's transaction.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use super::Inner;
use super::dispatch::deliver;
use super::gather::{Gather, Gathered};
use super::layout::ShardedCluster;
use super::lock;
use super::merge::{ShardResult, inserted, merged};
use super::merge_plan::Merge;
use super::progress::Cancellation;
use super::way::{Changes, Portion};
use crate::answer::Answer;
use crate::client::PinnedClient;
use crate::config::ConsistencyLevel;
use crate::error::Error;
use crate::request::{BindParameters, Request, RequestId, Retry, SessionId};
use crate::route::RouteOptions;
use crate::session::position;
use crate::transaction::{self, Begun, Committed, Transaction, TransactionOptions, Transactions};

/// A request without its caller.
struct Job {
    id: RequestId,
    parameters: BindParameters,
    route: RouteOptions,
    timeout: Option<Duration>,
    started: Instant,
    cancellation: Cancellation,
    committing: Committing,
}

/// The transaction that is being committed.
type Committing = Arc<OnceLock<Arc<Transaction>>>;

/// A caller who is answered even if the engine is closed meanwhile.
struct Owed {
    inner: Arc<Inner>,
    answer: Option<Box<dyn Answer>>,
    committing: Committing,
}

impl Drop for Owed {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            let transaction = self.committing.get();
            let error = transaction.map(|transaction| of_transaction(transaction.error_when_given_up()));
            answer.end(Err(error.unwrap_or(Error::Closed)));
            (self.inner.answered)();
        }
    }
}

impl Job {
    /// The time that is left for all that is still to be done.
    ///
    /// # Errors
    /// It is over, or the request was cancelled.
    fn left(&self) -> Result<Option<Duration>, Error> {
        self.cancellation.check()?;
        let Some(limit) = self.timeout else { return Ok(None) };
        match limit.checked_sub(self.started.elapsed()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(Error::Timeout { limit }),
        }
    }
}

impl Inner {
    /// Carries out the portions of a request one after the other, in the order of shards, and answers it: in a transaction
    /// of their own, or in that of the caller, whose connections these are.
    pub(super) fn write(
        self: &Arc<Self>,
        cluster: &Arc<ShardedCluster>,
        portions: Vec<Portion>,
        sessions: &[Option<SessionId>],
        changes: Changes,
        request: Request,
    ) {
        let (inner, cluster) = (Arc::clone(self), Arc::clone(cluster));
        let Request { id, parameters, route, timeout, answer, .. } = request;
        let committing = Committing::default();
        let mut owed =
            Owed { inner: Arc::clone(self), answer: Some(answer), committing: Arc::clone(&committing) };
        let cancellation = self.progress.begin(id);
        let (started, sessions) = (Instant::now(), sessions.to_vec());
        let job = Job { id, parameters, route, timeout, started, cancellation, committing };
        self.engine.runtime().spawn(async move {
            let outcome = if job.route.branches.is_some() {
                inner.run_all(&cluster, portions, &sessions, &job).await
            } else {
                inner.write_together(&cluster, portions, &job).await
            };
            inner.progress.end(job.id);
            if changes == Changes::Definitions
                && let Some(known) = lock(&inner.known).get_mut(&cluster.id)
            {
                known.forget();
            }
            if let Some(answer) = owed.answer.take() {
                deliver(answer, outcome, &cluster.id, false, job.started);
                (inner.answered)();
            }
        });
    }

    /// Carries out the portions in a transaction of their own.
    async fn write_together(
        &self,
        cluster: &ShardedCluster,
        portions: Vec<Portion>,
        job: &Job,
    ) -> Result<ShardResult, Error> {
        let transactions =
            self.transactions.get_or_init(|| Transactions::start(Arc::clone(&self.engine))).clone();
        let begun = self.begin(&transactions, cluster, &portions, job).await?;
        let session = |portion: &Portion| {
            let shard = cluster.shards.get(portion.shard as usize);
            let mut sessions = begun.participants.iter().map(|participant| &participant.session);
            sessions.find(|session| Some(&session.cluster) == shard).map(|session| session.id)
        };
        let sessions: Vec<Option<SessionId>> = portions.iter().map(session).collect();
        let outcome = self.run_all(cluster, portions, &sessions, job).await;
        let outcome = outcome.and_then(|merged| Ok((merged, job.left()?)));
        let (merged, left) = match outcome {
            Ok(ready) => ready,
            Err(error) => {
                self.roll_back(&transactions, &begun, &error).await;
                return Err(error);
            }
        };
        if let Some(transaction) = transactions.find(&begun.id) {
            job.committing.get_or_init(|| transaction);
        }
        let committed = transactions.commit(&begun.id, left).await.map_err(of_transaction)?;
        self.note_written(&begun, committed, job).await;
        Ok(merged)
    }

    async fn begin(
        &self,
        transactions: &Transactions,
        cluster: &ShardedCluster,
        portions: &[Portion],
        job: &Job,
    ) -> Result<Begun, Error> {
        let shards =
            portions.iter().filter_map(|portion| cluster.shards.get(portion.shard as usize).cloned());
        let shards: Vec<Arc<str>> = shards.collect();
        let options = TransactionOptions { begin_limit: job.left()?, ..TransactionOptions::default() };
        let begin = Box::pin(transactions.begin_on(&shards, job.route.schema.as_ref(), options));
        let cancelled = Box::pin(job.cancellation.clone().cancelled());
        match select(begin, cancelled).await {
            Either::Left((begun, _)) => begun.map_err(of_transaction),
            // What was begun meanwhile is rolled back with its connections.
            Either::Right(_) => Err(Error::Cancelled),
        }
    }

    /// Rolls back because of an error. Without its connections the transaction is rolled back in any case.
    async fn roll_back(&self, transactions: &Transactions, begun: &Begun, error: &Error) {
        let (own, id) = (transactions.clone(), Arc::clone(&begun.id));
        let rolled_back = async move { drop(own.roll_back(&id).await) };
        if matches!(error, Error::Timeout { .. } | Error::Cancelled) {
            // The caller has waited long enough.
            self.engine.runtime().spawn(rolled_back);
        } else {
            rolled_back.await;
        }
    }

    /// Carries out the portions on these connections. One after the other, in the order of shards: two that lock rows on
    /// several shards at the same time would wait for each other, and no server would see it.
    async fn run_all(
        &self,
        cluster: &ShardedCluster,
        portions: Vec<Portion>,
        sessions: &[Option<SessionId>],
        job: &Job,
    ) -> Result<ShardResult, Error> {
        let mut results = Vec::new();
        let mut rows = Vec::new();
        for (mut portion, session) in portions.into_iter().zip(sessions) {
            rows.push(std::mem::take(&mut portion.rows));
            results.extend(self.run(cluster, portion, *session, job).await?);
        }
        let merged = merged(results, &Merge::default(), &job.parameters);
        let result = merged.and_then(|result| inserted(result, &rows));
        result.map_err(|error| Error::Shard(error.after_writing()))
    }

    async fn run(
        &self,
        cluster: &ShardedCluster,
        portion: Portion,
        session: Option<SessionId>,
        job: &Job,
    ) -> Gathered {
        let timeout = job.left()?;
        let (reply, answered) = oneshot::channel();
        let mut answers = Gather::answers(1, &self.written, move |outcome| drop(reply.send(outcome)));
        let Some(answer) = answers.pop() else { return Err(Error::Closed) };
        let part = Request {
            id: RequestId::next_part(),
            sql: portion.text,
            parameters: portion.parameters,
            route: job.route.clone(),
            session: None,
            timeout,
            retry: Retry::default(),
            streamed: false,
            cache: None,
            answer,
        };
        let id = part.id;
        self.progress.enter(job.id, vec![id]);
        self.engine.submit(vec![self.to_shard(cluster, portion.shard, session, part)]);
        if job.cancellation.is_cancelled() {
            // Whoever cancelled it meanwhile may have been faster than the part.
            self.engine.cancel(id);
        }
        answered.await.unwrap_or(Err(Error::Closed))
    }

    /// Notes how far the logs are after a commit. Where only the call asks for the consistency of sessions, they are asked.
    async fn note_written(&self, begun: &Begun, committed: Committed, job: &Job) {
        let is_wanted = job.route.consistency_level == Some(ConsistencyLevel::Session);
        let shards = begun.participants.iter().map(|participant| &participant.session.cluster);
        let unknown = shards.filter(|shard| !committed.written.iter().any(|(known, _)| known == *shard));
        for shard in unknown.filter(|_| is_wanted) {
            match self.position_of(shard).await {
                Ok(Some(position)) => self.written.note(shard, position),
                Ok(None) => {}
                Err(error) => tracing::debug!(%shard, %error, "the position of a log could not be asked for"),
            }
        }
        for (shard, position) in committed.written {
            self.written.note(&shard, position);
        }
    }

    async fn position_of(&self, shard: &Arc<str>) -> Result<Option<crate::route::ReplayPosition>, Error> {
        let client = PinnedClient::open_primary(&self.engine, shard, None).await?;
        let rows = client.run(position::WRITTEN, &[]).await?.rows;
        client.give_back();
        let cell = |at: usize| rows.first().and_then(|row| row.get(at)?.as_deref());
        Ok(cell(0).zip(cell(1)).and_then(|(lsn, timeline)| position::parse(lsn, timeline)))
    }
}

/// An error of a transaction, as one of a request.
fn of_transaction(error: transaction::Error) -> Error {
    match error {
        transaction::Error::Database(error) => error,
        error => Error::Transaction(Arc::new(error)),
    }
}
