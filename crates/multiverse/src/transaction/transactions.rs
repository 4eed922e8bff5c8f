//! The transactions of an application: begun, joined by further clusters, committed or rolled back by their ids.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;

use super::branch::Branch;
use super::commit::{Commit, roll_back};
use super::error::Error;
use super::options::TransactionOptions;
use super::state::State;
use super::{decision, forgetting, recovery};
use crate::client::PinnedClient;
use crate::engine::{Engine, Session};
use crate::route::{ReplayPosition, RouteOptions};

/// What a closing instance waits for what it has to write down.
const LAST_WRITES: Duration = Duration::from_secs(1);
/// How long the table of decisions may take to be made, with the waiting for a connection.
const TABLE_LIMIT: Duration = Duration::from_secs(5);

/// A part of a transaction, as its statements need to know it.
#[derive(Debug, Clone)]
pub struct Participant {
    /// The connection on which statements run.
    pub session: Session,
    /// The schemas that were named of this cluster.
    pub schemas: Vec<Arc<str>>,
}

/// A transaction that has begun.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Its id.
    pub id: Arc<str>,
    /// Its parts, in the order in which their schemas were named.
    pub participants: Vec<Participant>,
}

/// What is known of a transaction that was committed.
#[derive(Debug, Clone, Default)]
pub struct Committed {
    /// Whether several clusters were written to, so that it took two phases.
    pub is_distributed: bool,
    /// How far the logs of the clusters are then, where they are read with the consistency of sessions.
    pub written: Vec<(Arc<str>, ReplayPosition)>,
}

/// One transaction.
pub(crate) struct Transaction {
    pub(crate) id: Arc<str>,
    pub(crate) options: TransactionOptions,
    progress: Mutex<Progress>,
    /// Held while a cluster joins, so that it joins once.
    joining: tokio::sync::Mutex<()>,
}

struct Progress {
    state: State,
    /// Whoever ends the transaction takes them.
    branches: Vec<Branch>,
    /// The cluster to which the commit was sent by which it is decided.
    decider: Option<Arc<str>>,
}

impl Transaction {
    /// Goes over to a state, where that may come after the present one.
    pub(crate) fn become_state(&self, next: State) {
        let mut progress = lock(&self.progress);
        debug_assert!(
            progress.state == next || progress.state.may_become(next),
            "{} to {next}",
            progress.state
        );
        if progress.state.may_become(next) {
            progress.state = next;
        }
    }

    /// The commit of a cluster is about to be sent, by which the whole is decided.
    pub(crate) fn is_decided_by(&self, cluster: &Arc<str>) {
        self.become_state(State::Deciding);
        lock(&self.progress).decider = Some(Arc::clone(cluster));
    }

    /// The outcome, as far as it is known, for who waits for a commit that goes on no more. What is decided, others carry out.
    pub(crate) fn when_given_up(&self) -> Result<Committed, Error> {
        if self.state() == State::Committed {
            return Ok(Committed { is_distributed: true, written: Vec::new() });
        }
        Err(self.error_when_given_up())
    }

    /// The same for who waits for what the transaction has given back, too.
    pub(crate) fn error_when_given_up(&self) -> Error {
        let progress = lock(&self.progress);
        let may_be_committed = matches!(progress.state, State::Deciding | State::Unknown | State::Committed)
            && self.options.read_only != Some(true);
        let (id, source) = (Arc::clone(&self.id), crate::Error::Closed);
        match &progress.decider {
            Some(cluster) if may_be_committed => {
                Error::OutcomeUnknown { id, cluster: Arc::clone(cluster), source }
            }
            _ => Error::Database(source),
        }
    }

    fn state(&self) -> State {
        lock(&self.progress).state
    }

    fn refused(&self, state: State) -> Error {
        Error::State { id: Arc::clone(&self.id), state }
    }

    /// Begins to end the transaction: nobody else will.
    fn take(&self, next: State) -> Result<Vec<Branch>, Error> {
        let mut progress = lock(&self.progress);
        if progress.state != State::Active {
            return Err(self.refused(progress.state));
        }
        progress.state = next;
        Ok(std::mem::take(&mut progress.branches))
    }

    fn participant_on(&self, cluster: &str) -> Result<Option<Participant>, Error> {
        let progress = lock(&self.progress);
        if progress.state != State::Active {
            return Err(self.refused(progress.state));
        }
        let branch = progress.branches.iter().find(|branch| **branch.cluster() == *cluster);
        Ok(branch.map(|branch| Participant { session: branch.session().clone(), schemas: Vec::new() }))
    }
}

/// What all transactions of an application share.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    open: Mutex<HashMap<Arc<str>, Arc<Transaction>>>,
    /// The servers that were seen to let transactions be prepared.
    preparing: Mutex<HashSet<Arc<str>>>,
    /// The clusters that were seen to have the table of decisions.
    tables: Mutex<HashSet<Arc<str>>>,
    /// Decisions that nobody needs any more, by the cluster they stand on.
    forgettable: Mutex<HashMap<Arc<str>, Vec<Arc<str>>>>,
    /// Told when recovery has something to do.
    pub(crate) calls: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn may_prepare(&self, server: &str) -> bool {
        lock(&self.preparing).contains(server)
    }

    pub(crate) fn note_may_prepare(&self, server: &Arc<str>) {
        lock(&self.preparing).insert(Arc::clone(server));
    }

    /// Makes the table of decisions on a cluster where it is not known to be, on another connection than the
    /// transaction's, which would keep it from others. The waiting for that connection counts.
    pub(crate) async fn make_table(&self, cluster: &Arc<str>, limit: Duration) -> Result<(), Error> {
        if lock(&self.tables).contains(cluster) {
            return Ok(());
        }
        let open = async {
            let client = PinnedClient::open_primary(&self.engine, cluster, None).await?;
            Ok((decision::make_table(&client).await, client))
        };
        let (made, client) = recovery::within(limit, open).await?;
        made.map_err(|source| match source {
            crate::Error::Server(_) => Error::NoTable { cluster: Arc::clone(cluster), source },
            source => Error::Database(source),
        })?;
        client.give_back();
        lock(&self.tables).insert(Arc::clone(cluster));
        Ok(())
    }

    pub(crate) fn table_is_missing(&self, cluster: &str) {
        lock(&self.tables).remove(cluster);
    }

    /// Has a decision deleted some time, which is done for many together.
    pub(crate) fn forget_later(&self, cluster: &Arc<str>, id: &Arc<str>) {
        lock(&self.forgettable).entry(Arc::clone(cluster)).or_default().push(Arc::clone(id));
    }

    /// The decisions of a cluster that can be deleted. Whoever takes them deletes them, or gives them back.
    pub(crate) fn take_forgettable(&self, cluster: &str) -> Vec<Arc<str>> {
        lock(&self.forgettable).remove(cluster).unwrap_or_default()
    }

    /// Has decisions deleted later that could not be deleted now.
    pub(crate) fn forget_again(&self, cluster: &Arc<str>, ids: Vec<Arc<str>>) {
        if !ids.is_empty() {
            lock(&self.forgettable).entry(Arc::clone(cluster)).or_default().extend(ids);
        }
    }

    /// Has recovery look at once, and again until there is nothing left to do.
    pub(crate) fn call_recovery(&self) {
        self.calls.send_modify(|count| *count += 1);
    }

    /// Whether somebody here is still at a transaction.
    pub(crate) fn is_open(&self, id: &str) -> bool {
        lock(&self.open).contains_key(id)
    }

    fn find(&self, id: &str) -> Result<Arc<Transaction>, Error> {
        lock(&self.open).get(id).cloned().ok_or_else(|| Error::NotFound(Arc::from(id)))
    }
}

/// Transactions on the clusters of an engine. Its functions are to run by [`Transactions::spawn`].
#[derive(Clone)]
pub struct Transactions {
    shared: Arc<Shared>,
}

impl Transactions {
    /// Takes up work on an engine, and begins to finish what others have left on its clusters.
    #[must_use]
    pub fn start(engine: Arc<Engine>) -> Self {
        let shared = Arc::new(Shared {
            engine,
            open: Mutex::default(),
            preparing: Mutex::default(),
            tables: Mutex::default(),
            forgettable: Mutex::default(),
            calls: watch::Sender::default(),
        });
        shared.engine.runtime().spawn(recovery::run(Arc::downgrade(&shared)));
        Self { shared }
    }

    /// A transaction that is open.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Transaction>> {
        self.shared.find(id).ok()
    }

    /// Runs a task on the engine's thread. It is dropped when the engine is closed.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.engine.runtime().spawn(task);
    }

    /// Begins a transaction on the clusters of schemas.
    ///
    /// # Errors
    /// A schema is not known, or a transaction cannot be begun on its cluster.
    pub async fn begin(&self, schemas: &[Arc<str>], options: TransactionOptions) -> Result<Begun, Error> {
        let mut places: Vec<(Arc<str>, Vec<Arc<str>>)> = Vec::new();
        for schema in schemas {
            let route = RouteOptions { schema: Some(Arc::clone(schema)), ..RouteOptions::default() };
            let cluster = self.shared.engine.locate(&route)?;
            match places.iter_mut().find(|(known, _)| *known == cluster) {
                Some((_, named)) => named.push(Arc::clone(schema)),
                None => places.push((cluster, vec![Arc::clone(schema)])),
            }
        }
        self.begin_at(places, options).await
    }

    /// Begins a transaction on clusters, all of them with this schema.
    pub(crate) async fn begin_on(
        &self,
        clusters: &[Arc<str>],
        schema: Option<&Arc<str>>,
        options: TransactionOptions,
    ) -> Result<Begun, Error> {
        let place = |cluster: &Arc<str>| (Arc::clone(cluster), schema.into_iter().cloned().collect());
        self.begin_at(clusters.iter().map(place).collect(), options).await
    }

    /// Begins a transaction on clusters, of which schemas were named, in the time allowed.
    async fn begin_at(
        &self,
        places: Vec<(Arc<str>, Vec<Arc<str>>)>,
        options: TransactionOptions,
    ) -> Result<Begun, Error> {
        let begun = self.begin_on_all(places, options);
        let Some(limit) = options.begin_limit else { return begun.await };
        let late = Err(Error::Database(crate::Error::Timeout { limit }));
        // What was begun meanwhile is rolled back with its connections.
        tokio::time::timeout(limit, begun).await.unwrap_or(late)
    }

    async fn begin_on_all(
        &self,
        places: Vec<(Arc<str>, Vec<Arc<str>>)>,
        options: TransactionOptions,
    ) -> Result<Begun, Error> {
        if places.len() > 1 && options.read_only != Some(true) {
            // Before any connection is taken: many that wait for one more would wait for each other. Whether the table is
            // needed, and then why it is not there, shows in the end.
            let made = places.iter().map(|(cluster, _)| self.shared.make_table(cluster, TABLE_LIMIT));
            join_all(made).await;
        }
        let engine = &self.shared.engine;
        let begun = places
            .iter()
            .map(|(cluster, schemas)| Branch::begin(engine, cluster, schemas.first().cloned(), &options));
        let mut branches = Vec::new();
        let mut failure = None;
        for begun in join_all(begun).await {
            match begun {
                Ok(branch) => branches.push(branch),
                Err(error) => failure = Some(error),
            }
        }
        if let Some(failure) = failure {
            branches.into_iter().for_each(Branch::give_back);
            return Err(failure);
        }
        let id: Arc<str> = uuid::Uuid::new_v4().to_string().into();
        let named = places.into_iter().map(|(_, schemas)| schemas);
        let participants = branches.iter().zip(named);
        let participants = participants
            .map(|(branch, schemas)| Participant { session: branch.session().clone(), schemas })
            .collect();
        let transaction = Transaction {
            id: Arc::clone(&id),
            options,
            progress: Mutex::new(Progress { state: State::Active, branches, decider: None }),
            joining: tokio::sync::Mutex::default(),
        };
        lock(&self.shared.open).insert(Arc::clone(&id), Arc::new(transaction));
        Ok(Begun { id, participants })
    }

    /// The part of a transaction where a route leads to. A cluster that has none yet joins, if it may.
    ///
    /// # Errors
    /// [`Error::NoBranch`] where the cluster has no part and may not join; or it cannot.
    pub async fn join(&self, id: &str, route: &RouteOptions, may_join: bool) -> Result<Participant, Error> {
        let transaction = self.shared.find(id)?;
        let cluster = self.shared.engine.locate(route)?;
        let _joining = transaction.joining.lock().await;
        if let Some(participant) = transaction.participant_on(&cluster)? {
            return Ok(participant);
        }
        if !may_join {
            return Err(Error::NoBranch { id: Arc::clone(&transaction.id), cluster });
        }
        let options = &transaction.options;
        let branch = Branch::begin(&self.shared.engine, &cluster, route.schema.clone(), options).await?;
        let participant = Participant { session: branch.session().clone(), schemas: Vec::new() };
        let mut progress = lock(&transaction.progress);
        if progress.state != State::Active {
            // It was ended meanwhile.
            branch.give_back();
            return Err(transaction.refused(progress.state));
        }
        progress.branches.push(branch);
        Ok(participant)
    }

    /// Commits a transaction, or rolls it back and tells why.
    ///
    /// # Errors
    /// As [`Error`] tells. Only with [`Error::OutcomeUnknown`] it may have been committed.
    pub async fn commit(&self, id: &str, prepare_limit: Option<Duration>) -> Result<Committed, Error> {
        let transaction = self.shared.find(id)?;
        let branches = transaction.take(State::Preparing)?;
        let ending = Ended { shared: &self.shared, id: &transaction.id };
        let commit = Commit {
            shared: &self.shared,
            transaction: &transaction,
            branches: &branches,
            limit: prepare_limit,
        };
        let outcome = commit.run().await;
        if outcome.is_err() && !transaction.state().is_final() {
            transaction.become_state(State::Aborting);
            roll_back(&self.shared.engine, &branches).await;
            transaction.become_state(State::Aborted);
        }
        branches.into_iter().for_each(Branch::give_back);
        drop(ending);
        outcome
    }

    /// Rolls a transaction back; what its statements are still doing is cancelled.
    ///
    /// # Errors
    /// It is not there, or is being committed.
    pub async fn roll_back(&self, id: &str) -> Result<(), Error> {
        let transaction = self.shared.find(id)?;
        let branches = transaction.take(State::Aborting)?;
        let ending = Ended { shared: &self.shared, id: &transaction.id };
        roll_back(&self.shared.engine, &branches).await;
        transaction.become_state(State::Aborted);
        branches.into_iter().for_each(Branch::give_back);
        drop(ending);
        Ok(())
    }

    /// Writes down what is still to be written, as far as that takes only a moment.
    pub async fn close(&self) {
        if tokio::time::timeout(LAST_WRITES, forgetting::forget_all(&self.shared)).await.is_err() {
            tracing::debug!("decisions of transactions that are over are left to others");
        }
    }
}

/// Takes a transaction off the list of those that are open, also when the task that ends it is given up.
struct Ended<'e> {
    shared: &'e Shared,
    id: &'e Arc<str>,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        lock(&self.shared.open).remove(self.id);
    }
}

/// Nothing that holds these locks can panic and leave them half-written.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
