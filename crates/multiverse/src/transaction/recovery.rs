//! Finishing what was left: prepared branches whose process or server died.
//!
//! Any number of processes may do so at the same time. What they carry out is the same, the server lets only one end a
//! prepared transaction, and to the others it is simply gone. Each cluster is looked after by itself, so that one which
//! cannot be reached keeps nobody from looking at the others.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};

use super::decision::{self, Decision};
use super::failpoint::{self, Step};
use super::forgetting;
use super::prepared::{self, BranchName, DatabaseId, Fate, Found};
use super::settle;
use super::transactions::{Shared, lock};
use crate::client::PinnedClient;
use crate::error::Error;
use crate::failover::ClusterEvent;

/// Between two looks while transactions are used here, or something is known to be left.
const WHILE_USED: Duration = Duration::from_secs(1);
/// Between two looks of a process that has no transactions over several clusters itself. What others leave is to be ended
/// within five seconds.
const WHILE_QUIET: Duration = Duration::from_secs(2);
/// Between two looks while something of this process is known to be left.
const WHILE_CALLED: Duration = Duration::from_millis(200);
/// For how long a process counts as one that uses transactions.
const USED_FOR: Duration = Duration::from_secs(600);
/// Seconds for which a branch of another process may be prepared before anybody looks after it.
const GRACE: f64 = 1.0;
/// Between two attempts at what cannot be ended from here.
const FOREIGN_PAUSE: Duration = Duration::from_secs(30);
/// How long a connection to a cluster that is looked at is waited for, and how long its answers are.
const OPEN_LIMIT: Duration = Duration::from_secs(10);
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// How long other clusters may take to say which database they are, and to let somebody in who asks for a decision.
const OTHERS_LIMIT: Duration = Duration::from_millis(1500);
/// How long a branch may take to be ended; then its connection is given up.
const END_LIMIT: Duration = Duration::from_secs(5);
/// What a cluster has said of itself is believed for so long.
const IDENTITY_HOLDS: Duration = Duration::from_secs(1);
/// Branches of one cluster that are ended at the same time.
const MOST_AT_ONCE: usize = 4;
/// The role lacks a privilege.
const FORBIDDEN: &str = "42501";

/// Has every cluster looked after, until nobody uses their transactions any more.
pub(crate) async fn run(shared: Weak<Shared>) {
    let known = Arc::new(Known::default());
    loop {
        let Some(alive) = shared.upgrade() else { return };
        for cluster in alive.engine.cluster_ids() {
            if lock(&known.kept).insert(Arc::clone(&cluster)) {
                let keeper = Keeper { cluster, known: Arc::clone(&known), last_use: None, last_old: None };
                alive.engine.runtime().spawn(keeper.keep(Weak::clone(&shared)));
            }
        }
        // Who only waits must not keep the last reference.
        drop(alive);
        tokio::time::sleep(WHILE_USED).await;
    }
}

/// What is known of all clusters from one look to the next.
#[derive(Default)]
struct Known {
    /// The clusters that somebody looks after.
    kept: Mutex<HashSet<Arc<str>>>,
    /// Which databases the clusters are, and when they said so.
    databases: Mutex<HashMap<Arc<str>, (DatabaseId, Instant)>>,
    /// Prepared transactions that cannot be ended from here, and when that is tried again.
    foreign: Mutex<HashMap<String, Instant>>,
    /// What was told that the role may not do: each of it once.
    told: Mutex<HashSet<String>>,
}

/// Looks after one cluster.
struct Keeper {
    cluster: Arc<str>,
    known: Arc<Known>,
    last_use: Option<Instant>,
    last_old: Option<Instant>,
}

impl Keeper {
    async fn keep(mut self, shared: Weak<Shared>) {
        // Whoever calls during a look is heard after it.
        let Some(mut calls) = shared.upgrade().map(|alive| alive.calls.subscribe()) else { return };
        let mut was_called = false;
        loop {
            let Some(alive) = shared.upgrade() else { return };
            let clusters = alive.engine.cluster_ids();
            if !clusters.contains(&self.cluster) {
                lock(&self.known.kept).remove(&self.cluster);
                return;
            }
            let is_left = self.look(&alive, &clusters, was_called).await;
            let is_used = self.last_use.is_some_and(|last| last.elapsed() < USED_FOR);
            if is_used && forgetting::is_due(&mut self.last_old) {
                let old = forgetting::drop_old(Arc::clone(&alive), clusters, Arc::clone(&self.cluster));
                alive.engine.runtime().spawn(old);
            }
            drop(alive);
            was_called &= is_left;
            let pause = match (was_called, is_left || is_used) {
                (true, _) => WHILE_CALLED,
                (false, true) => WHILE_USED,
                (false, false) => WHILE_QUIET,
            };
            if let Ok(Ok(())) = tokio::time::timeout(pause, calls.changed()).await {
                was_called = true;
                self.last_use = Some(Instant::now());
            }
        }
    }

    /// Ends what is prepared on the cluster and can be ended, and deletes decisions nobody needs. Whether something may be
    /// left.
    async fn look(&mut self, shared: &Arc<Shared>, clusters: &[Arc<str>], was_called: bool) -> bool {
        let forgettable = shared.take_forgettable(&self.cluster);
        if !forgettable.is_empty() {
            self.last_use = Some(Instant::now());
        }
        let found = match look_at(shared, &self.cluster, forgettable).await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(cluster = %self.cluster, %error, "prepared transactions cannot be looked for");
                if let Error::Server(report) = error
                    && report.code == FORBIDDEN
                {
                    let problem = format!("it cannot be looked what is prepared: {}", report.message);
                    self.known.tell(shared, &self.cluster, problem);
                }
                return true;
            }
        };
        let is_ripe = |name: &BranchName, found: &Found| {
            !shared.is_open(&name.transaction) && (found.age >= GRACE || was_called)
        };
        let (ripe, unripe): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|(name, found)| is_ripe(name, found));
        if ripe.is_empty() {
            return !unripe.is_empty();
        }
        self.known.ask_databases(shared, clusters).await;
        let settling = Settling {
            shared,
            clusters,
            cluster: &self.cluster,
            known: &self.known,
            unreachable: Mutex::default(),
        };
        let endings: Vec<_> = ripe.iter().map(|(name, found)| settling.settle(name, found)).collect();
        let settled: Vec<bool> = stream::iter(endings).buffer_unordered(MOST_AT_ONCE).collect().await;
        !unripe.is_empty() || settled.contains(&false)
    }
}

/// Ending the branches that one look has found on a cluster.
struct Settling<'s> {
    shared: &'s Arc<Shared>,
    clusters: &'s [Arc<str>],
    cluster: &'s Arc<str>,
    known: &'s Known,
    /// Databases that could not be asked for their decisions: one of them must not be waited for again and again.
    unreachable: Mutex<HashSet<DatabaseId>>,
}

impl Settling<'_> {
    /// Ends a prepared branch as was decided. Whether that is done.
    async fn settle(&self, name: &BranchName, found: &Found) -> bool {
        if lock(&self.known.foreign).get(&found.name).is_some_and(|until| Instant::now() < *until) {
            return true;
        }
        let cluster = self.cluster;
        let problem = match self.try_settle(name, found).await {
            Ok(Settled::Done) => return true,
            Ok(Settled::NotYet) => return false,
            Ok(Settled::Foreign) => "it was decided on a database that is not configured".to_owned(),
            // Only what the role may not do is the same the next time.
            Err(Error::Server(report)) if report.code.starts_with("42") => {
                let problem = format!("{} cannot be ended: {}", found.name, report.message);
                self.known.tell(self.shared, cluster, problem);
                report.message
            }
            Err(error) => {
                tracing::debug!(%cluster, name = %found.name, %error, "a prepared transaction cannot be ended yet");
                return false;
            }
        };
        tracing::warn!(%cluster, name = %found.name, problem, "a prepared transaction cannot be ended from here");
        let mut foreign = lock(&self.known.foreign);
        foreign.retain(|_, until| Instant::now() < *until);
        foreign.insert(found.name.clone(), Instant::now() + FOREIGN_PAUSE);
        true
    }

    async fn try_settle(&self, name: &BranchName, found: &Found) -> Result<Settled, Error> {
        if lock(&self.unreachable).contains(&name.decider) {
            return Ok(Settled::NotYet);
        }
        let (deciders, has_asked_all) = self.known.clusters_of(self.clusters, &name.decider);
        let fate = match self.fate_of(&deciders, name).await {
            Ok(Some(fate)) => fate,
            Ok(None) => return Ok(Settled::NotYet),
            Err(error) => {
                if !matches!(error, Error::Server(_)) {
                    lock(&self.unreachable).insert(name.decider);
                }
                return Err(error);
            }
        };
        // A cluster that is not known yet may be the one that has decided.
        if fate == Fate::RollBack && !has_asked_all {
            return Ok(Settled::NotYet);
        }
        if deciders.is_empty() {
            return Ok(Settled::Foreign);
        }
        failpoint::reached(Step::Recovering).await;
        let client =
            PinnedClient::open_in_background(&self.shared.engine, self.cluster, OTHERS_LIMIT).await?;
        within(END_LIMIT, settle::end(&client, &found.name, fate)).await?;
        client.give_back();
        tracing::info!(cluster = %self.cluster, name = %found.name, ?fate, "a prepared transaction that was left has been ended");
        Ok(Settled::Done)
    }

    /// What becomes of a transaction, by what those tell one of which has decided it; none if that cannot be told yet.
    async fn fate_of(&self, deciders: &[Arc<str>], name: &BranchName) -> Result<Option<Fate>, Error> {
        let mut is_open = false;
        for decider in deciders {
            let question = (&name.decider, name.transaction.as_str());
            match settle::ask(&self.shared.engine, decider, question, OTHERS_LIMIT).await {
                Ok(Decision::Committed) => return Ok(Some(Fate::Commit)),
                Ok(Decision::Aborted) => {}
                Ok(Decision::Open) => is_open = true,
                Ok(Decision::Elsewhere) => {
                    // It is asked anew what it is.
                    lock(&self.known.databases).remove(decider);
                    is_open = true;
                }
                // A copy that has never decided anything has no table.
                Err(Error::Server(report)) if report.code == "42P01" && deciders.len() > 1 => {}
                Err(error) => return Err(error),
            }
        }
        Ok((!is_open).then_some(Fate::RollBack))
    }
}

/// What came of a prepared transaction that was found.
enum Settled {
    Done,
    /// Its owner is still at it, or a cluster cannot be asked.
    NotYet,
    /// It was decided on none of the clusters.
    Foreign,
}

impl Known {
    /// Asks all clusters which databases they are, unless they have just said so. Clusters may have come to be others since
    /// they were asked; one that does not answer is taken for what it was.
    async fn ask_databases(&self, shared: &Arc<Shared>, clusters: &[Arc<str>]) {
        let is_fresh = |at: &Instant| at.elapsed() < IDENTITY_HOLDS;
        let wanted: Vec<&Arc<str>> = {
            let mut databases = lock(&self.databases);
            databases.retain(|cluster, _| clusters.contains(cluster));
            let is_wanted = |id: &&Arc<str>| databases.get(*id).is_none_or(|(_, at)| !is_fresh(at));
            clusters.iter().filter(is_wanted).collect()
        };
        let asked = wanted.into_iter().map(|cluster| async move {
            match identity_of(shared, cluster).await {
                Ok(id) => Some((Arc::clone(cluster), (id, Instant::now()))),
                Err(error) => {
                    tracing::debug!(%cluster, %error, "a cluster does not say which database it is");
                    if let Error::Server(report) = error
                        && report.code == FORBIDDEN
                    {
                        let problem = format!("it is not told which database this is: {}", report.message);
                        self.tell(shared, cluster, problem);
                    }
                    None
                }
            }
        });
        let answers = join_all(asked).await;
        lock(&self.databases).extend(answers.into_iter().flatten());
    }

    /// Tells of what the role of a cluster may not do, unless that was told.
    fn tell(&self, shared: &Shared, cluster: &Arc<str>, problem: String) {
        if lock(&self.told).insert(format!("{cluster}: {problem}")) {
            shared.engine.tell_of(ClusterEvent::Left { cluster: Arc::clone(cluster), problem });
        }
    }

    /// The clusters that are a database: several, where they were copied from one another. And whether it is known of all
    /// clusters which databases they are.
    fn clusters_of(&self, clusters: &[Arc<str>], wanted: &DatabaseId) -> (Vec<Arc<str>>, bool) {
        let databases = lock(&self.databases);
        let same = databases.iter().filter(|(_, (id, _))| id == wanted);
        let same = same.map(|(cluster, _)| Arc::clone(cluster)).collect();
        (same, clusters.iter().all(|cluster| databases.contains_key(cluster)))
    }
}

async fn identity_of(shared: &Arc<Shared>, cluster: &Arc<str>) -> Result<DatabaseId, Error> {
    let client = PinnedClient::open_in_background(&shared.engine, cluster, OTHERS_LIMIT).await?;
    let id = within(OTHERS_LIMIT, decision::identity(&client)).await?;
    client.give_back();
    Ok(id)
}

/// What is prepared on a cluster. Decisions that nobody needs are deleted on the way.
async fn look_at(
    shared: &Arc<Shared>,
    cluster: &Arc<str>,
    forgettable: Vec<Arc<str>>,
) -> Result<Vec<(BranchName, Found)>, Error> {
    let looked = async {
        let client = PinnedClient::open_in_background(&shared.engine, cluster, OPEN_LIMIT).await?;
        let found = within(ANSWER_LIMIT, find(&client)).await?;
        Ok((client, found))
    };
    let (client, found) = match looked.await {
        Ok(looked) => looked,
        Err(error) => {
            shared.forget_again(cluster, forgettable);
            return Err(error);
        }
    };
    if forgettable.is_empty() {
        client.give_back();
        return Ok(found);
    }
    match within(ANSWER_LIMIT, decision::forget(&client, &forgettable)).await {
        Ok(()) => client.give_back(),
        Err(error) => {
            // They do no harm, and are looked at when they are old.
            tracing::debug!(%cluster, %error, "decisions of transactions that are over could not be deleted");
        }
    }
    Ok(found)
}

/// What is prepared on the server of a connection.
pub(crate) async fn find(client: &PinnedClient) -> Result<Vec<(BranchName, Found)>, Error> {
    // A standby shows nothing of what is prepared.
    if client.run("SELECT pg_catalog.pg_is_in_recovery()::text", &[]).await?.rows
        != [[Some("false".to_owned())]]
    {
        return Err(Error::NoPrimary { server: Arc::clone(&client.session().server) });
    }
    let found = prepared::list(client, BranchName::PREFIX).await?;
    Ok(found.into_iter().filter_map(|found| Some((BranchName::read(&found.name)?, found))).collect())
}

/// Gives up what takes longer than it may.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(Error::Timeout { limit }))
}
