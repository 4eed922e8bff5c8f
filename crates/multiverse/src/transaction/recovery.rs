//! Finishing what was left: prepared branches whose process or server died, and decisions that nobody needs any more.
//!
//! Any number of processes may do so at the same time. What they carry out is the same, the server lets only one end a
//! prepared transaction, and to the others it is simply gone.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::decision::{self, Decision};
use super::failpoint::{self, Step};
use super::prepared::{self, BranchName, DatabaseId, Fate, Found};
use super::settle;
use super::transactions::Shared;
use crate::error::Error;

/// Between two looks while transactions are used here.
const WHILE_USED: Duration = Duration::from_secs(1);
/// Between two looks of a process that has no transactions over several clusters itself.
const WHILE_QUIET: Duration = Duration::from_secs(10);
/// Between two looks while something is known to be left.
const WHILE_CALLED: Duration = Duration::from_millis(200);
/// For how long a process counts as one that uses transactions.
const USED_FOR: Duration = Duration::from_secs(600);
/// Seconds for which a branch of another process may be prepared before anybody looks after it.
const GRACE: f64 = 1.0;
/// Between two attempts at what cannot be ended from here.
const FOREIGN_PAUSE: Duration = Duration::from_secs(30);
/// How long a cluster may keep a look waiting.
const LOOK_LIMIT: Duration = Duration::from_secs(5);
/// Decisions that were not deleted by who made them are looked at when they are older.
const OLD: &str = "1 hour";
const OLD_LOOKS: Duration = Duration::from_secs(600);

/// Looks after the clusters until nobody uses their transactions any more.
pub(crate) async fn run(shared: Weak<Shared>) {
    let mut recovery = Recovery::default();
    loop {
        let Some(alive) = shared.upgrade() else { return };
        let pause = recovery.look(&alive).await;
        let calls = Arc::clone(&alive.calls);
        // Who only waits must not keep the last reference.
        drop(alive);
        recovery.was_called |= tokio::time::timeout(pause, calls.notified()).await.is_ok();
    }
}

/// What recovery knows from one look to the next.
#[derive(Default)]
struct Recovery {
    /// Which databases the clusters are.
    databases: HashMap<Arc<str>, DatabaseId>,
    /// Prepared transactions that cannot be ended from here, and when that is tried again.
    foreign: HashMap<String, Instant>,
    /// Something was left by a transaction of this process.
    was_called: bool,
    /// A cluster could not be looked at, or something could not be ended yet.
    is_left: bool,
    last_use: Option<Instant>,
    last_look: Option<Instant>,
    last_old: Option<Instant>,
}

impl Recovery {
    /// Looks, if it is time to, and tells how long to wait.
    async fn look(&mut self, shared: &Arc<Shared>) -> Duration {
        let now = Instant::now();
        let has_forgotten = forget(shared).await;
        if self.was_called || has_forgotten {
            self.last_use = Some(now);
        }
        let is_used = self.last_use.is_some_and(|last| now < last + USED_FOR);
        let interval = if is_used || self.is_left { WHILE_USED } else { WHILE_QUIET };
        let is_due = self.last_look.is_none_or(|last| now >= last + interval);
        if !is_due && !self.was_called {
            return WHILE_USED;
        }
        self.last_look = Some(now);
        let clusters = shared.engine.cluster_ids();
        self.is_left = self.settle_all(shared, &clusters).await;
        self.was_called &= self.is_left;
        if is_used && self.last_old.is_none_or(|last| now >= last + OLD_LOOKS) {
            self.last_old = Some(now);
            drop_old(shared, &clusters).await;
        }
        if self.was_called { WHILE_CALLED } else { WHILE_USED }
    }

    /// Ends what is prepared on all clusters and can be ended. Whether something may be left.
    async fn settle_all(&mut self, shared: &Arc<Shared>, clusters: &[Arc<str>]) -> bool {
        let looks = clusters.iter().map(|cluster| async move {
            let found = tokio::time::timeout(LOOK_LIMIT, find(shared, cluster)).await;
            found.unwrap_or(Err(Error::Timeout { limit: LOOK_LIMIT }))
        });
        let looks = join_all(looks).await;
        let mut is_left = false;
        for (cluster, found) in clusters.iter().zip(looks) {
            match found {
                Ok(found) => {
                    for (name, found) in found {
                        is_left |= !self.settle(shared, clusters, cluster, &name, &found).await;
                    }
                }
                Err(error) => {
                    tracing::debug!(%cluster, %error, "prepared transactions cannot be looked for");
                    is_left = true;
                }
            }
        }
        is_left
    }

    /// Ends a prepared branch as was decided. Whether that is done.
    async fn settle(
        &mut self,
        shared: &Arc<Shared>,
        clusters: &[Arc<str>],
        cluster: &Arc<str>,
        name: &BranchName,
        found: &Found,
    ) -> bool {
        let is_others = !shared.is_open(&name.transaction);
        if !is_others || found.age < GRACE && !self.was_called {
            return false;
        }
        if self.foreign.get(&found.name).is_some_and(|until| Instant::now() < *until) {
            return true;
        }
        let settled =
            tokio::time::timeout(LOOK_LIMIT, self.try_settle(shared, clusters, cluster, name, found));
        let problem = match settled.await {
            Ok(Ok(Settled::Done)) => return true,
            Ok(Ok(Settled::NotYet)) | Err(_) => return false,
            Ok(Ok(Settled::Foreign)) => "it was decided on a database that is not configured".to_owned(),
            // Only what the role may not do is the same the next time.
            Ok(Err(Error::Server(report))) if report.code.starts_with("42") => report.message,
            Ok(Err(error)) => {
                tracing::debug!(%cluster, name = %found.name, %error, "a prepared transaction cannot be ended yet");
                return false;
            }
        };
        tracing::warn!(%cluster, name = %found.name, problem, "a prepared transaction cannot be ended from here");
        self.foreign.retain(|_, until| Instant::now() < *until);
        self.foreign.insert(found.name.clone(), Instant::now() + FOREIGN_PAUSE);
        true
    }

    async fn try_settle(
        &mut self,
        shared: &Arc<Shared>,
        clusters: &[Arc<str>],
        cluster: &Arc<str>,
        name: &BranchName,
        found: &Found,
    ) -> Result<Settled, Error> {
        let deciders = self.clusters_of(shared, clusters, &name.decider).await;
        let has_asked_all = clusters.iter().all(|cluster| self.databases.contains_key(cluster));
        let Some(fate) = fate_of(shared, &deciders, &name.transaction).await? else {
            return Ok(Settled::NotYet);
        };
        // A cluster that is not known yet may be the one that has decided.
        if fate == Fate::RollBack && !has_asked_all {
            return Ok(Settled::NotYet);
        }
        if deciders.is_empty() {
            return Ok(Settled::Foreign);
        }
        failpoint::reached(Step::Recovering).await;
        let client = settle::open(&shared.engine, cluster).await?;
        settle::end(&client, &found.name, fate).await?;
        client.give_back();
        tracing::info!(%cluster, name = %found.name, ?fate, "a prepared transaction that was left has been ended");
        Ok(Settled::Done)
    }

    /// The clusters that are a database: several, where they were copied from one another. Clusters may have come to be others
    /// since they were asked; one that does not answer is taken for what it was.
    async fn clusters_of(
        &mut self,
        shared: &Arc<Shared>,
        clusters: &[Arc<str>],
        wanted: &DatabaseId,
    ) -> Vec<Arc<str>> {
        let asked = clusters.iter().map(|cluster| async move {
            let id = tokio::time::timeout(LOOK_LIMIT / 2, identity_of(shared, cluster)).await;
            Some((Arc::clone(cluster), id.ok()?.ok()?))
        });
        self.databases.retain(|cluster, _| clusters.contains(cluster));
        self.databases.extend(join_all(asked).await.into_iter().flatten());
        let same = self.databases.iter().filter(|(_, id)| *id == wanted);
        same.map(|(cluster, _)| Arc::clone(cluster)).collect()
    }
}

/// What becomes of a transaction, by what those tell one of which has decided it; none if that cannot be told yet.
async fn fate_of(shared: &Arc<Shared>, deciders: &[Arc<str>], id: &str) -> Result<Option<Fate>, Error> {
    let mut is_open = false;
    for decider in deciders {
        match settle::ask(&shared.engine, decider, id).await {
            Ok(Decision::Committed) => return Ok(Some(Fate::Commit)),
            Ok(Decision::Aborted) => {}
            Ok(Decision::Open) => is_open = true,
            // A copy that has never decided anything has no table.
            Err(Error::Server(report)) if report.code == "42P01" && deciders.len() > 1 => {}
            Err(error) => return Err(error),
        }
    }
    Ok((!is_open).then_some(Fate::RollBack))
}

/// What came of a prepared transaction that was found.
enum Settled {
    Done,
    /// Its owner is still at it, or a cluster cannot be asked.
    NotYet,
    /// It was decided on none of the clusters.
    Foreign,
}

async fn identity_of(shared: &Arc<Shared>, cluster: &Arc<str>) -> Result<DatabaseId, Error> {
    let client = settle::open(&shared.engine, cluster).await?;
    let id = decision::identity(&client).await?;
    client.give_back();
    Ok(id)
}

/// What is prepared on a cluster.
async fn find(shared: &Arc<Shared>, cluster: &Arc<str>) -> Result<Vec<(BranchName, Found)>, Error> {
    let client = settle::open(&shared.engine, cluster).await?;
    // A standby shows nothing of what is prepared.
    if client.run("SELECT pg_catalog.pg_is_in_recovery()::text", &[]).await?.rows
        != [[Some("false".to_owned())]]
    {
        return Err(Error::NoPrimary { server: Arc::clone(&client.session().server) });
    }
    let found = prepared::list(&client, BranchName::PREFIX).await?;
    client.give_back();
    Ok(found.into_iter().filter_map(|found| Some((BranchName::read(&found.name)?, found))).collect())
}

/// Deletes the decisions of transactions that are over. Whether there were any.
pub(crate) async fn forget(shared: &Arc<Shared>) -> bool {
    let forgettable = shared.take_forgettable();
    let has_any = !forgettable.is_empty();
    let deletions = forgettable.into_iter().map(|(cluster, ids)| async move {
        let deleted = async {
            let client = settle::open(&shared.engine, &cluster).await?;
            decision::forget(&client, &ids).await?;
            client.give_back();
            Ok::<(), Error>(())
        };
        if let Err(error) = deleted.await {
            // They do no harm, and are deleted when they are old.
            tracing::debug!(%cluster, %error, "decisions of transactions that are over could not be deleted");
        }
    });
    join_all(deletions).await;
    has_any
}

/// Deletes old decisions of transactions of which nothing is prepared any more, on clusters all of which can be asked.
async fn drop_old(shared: &Arc<Shared>, clusters: &[Arc<str>]) {
    for cluster in clusters {
        if let Err(error) = drop_old_of(shared, clusters, cluster).await {
            tracing::debug!(%cluster, %error, "old decisions cannot be looked at");
        }
    }
}

async fn drop_old_of(shared: &Arc<Shared>, clusters: &[Arc<str>], cluster: &Arc<str>) -> Result<(), Error> {
    let client = settle::open(&shared.engine, cluster).await?;
    let mut old = decision::old(&client, OLD).await?;
    old.retain(|row| row.participants.iter().all(|name| clusters.iter().any(|known| **known == **name)));
    // What is prepared is looked for after the rows were read: a row is there before anything can be over.
    let asked: HashSet<&str> =
        old.iter().flat_map(|row| row.participants.iter().map(String::as_str)).collect();
    let mut needed = HashSet::new();
    for name in clusters.iter().filter(|known| asked.contains(&***known)) {
        needed.extend(find(shared, name).await?.into_iter().map(|(name, _)| name.transaction));
    }
    let ids: Vec<Arc<str>> =
        old.iter().filter(|row| !needed.contains(&row.id)).map(|row| Arc::from(row.id.as_str())).collect();
    if !ids.is_empty() {
        decision::forget(&client, &ids).await?;
    }
    client.give_back();
    Ok(())
}
