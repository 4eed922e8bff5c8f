//! The task that looks at the replicas of a project again and again: who answers, and how far each slave has come.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use data::progress::{Progress, ServerRole, progress};
use data::{Dialect, DialectKind, ErrorKind};
use futures_util::future::join_all;
use tokio::task::JoinHandle;

use super::failover;
use super::term::ask_term;
use super::{FedBy, Feed, Role, Topology, TopologyEvent};
use crate::managed::{FeedHead, FeedLook, ManagedFeed, head_for, look_at_feed};
use crate::manager::{SharedState, lock};

/// How long a replica may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The task of one project; it ends when this is dropped.
pub(crate) struct Watch {
    task: JoinHandle<()>,
}

impl Watch {
    /// Starts to look at the replicas of a project, on the runtime of the caller.
    pub(crate) fn start(shared: &Arc<SharedState>, project: &str) -> Self {
        Self { task: tokio::spawn(run(Arc::downgrade(shared), project.to_owned())) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A replica to be looked at.
pub(super) struct Target {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) dialect: Arc<dyn Dialect>,
    /// Its feed, where this library feeds it.
    pub(super) feed: Option<Arc<ManagedFeed>>,
    /// Whether its own database may take over from that.
    is_auto: bool,
    /// The project whose master it may have been made, where that is asked.
    claims: Option<String>,
}

/// What came of a look.
pub(super) enum Look {
    /// It answers; with its progress where its kind has that.
    Answers(Option<Progress>),
    /// It could not be reached.
    Gone(data::Error),
    /// Somebody is disconnecting it.
    Closed,
}

/// A target and what came of the look at it.
pub(super) struct Looked {
    pub(super) target: Target,
    pub(super) look: Look,
    /// How far it has come, where this library feeds it.
    pub(super) fed: Option<FeedLook>,
    /// When it was made the master, where that was asked.
    pub(super) term: Option<i64>,
}

/// The manager is not kept alive by its tasks: when it is gone, they end.
async fn run(shared: Weak<SharedState>, project: String) {
    loop {
        let Some(interval) = shared.upgrade().map(|shared| lock(&shared).topology.interval_of(&project))
        else {
            return;
        };
        tokio::time::sleep(interval).await;
        let Some(state) = shared.upgrade() else { return };
        let (targets, patience) = {
            let state = lock(&state);
            let pace = state.topology.pace(&project);
            (state.topology.targets(&project), pace.map_or(PATIENCE, |pace| pace.patience().min(PATIENCE)))
        };
        drop(state);
        let begun = Instant::now();
        let (master, slaves): (Vec<_>, Vec<_>) =
            targets.into_iter().partition(|target| target.role == Role::Master);
        // The master first: a slave that has what the master had then has everything that was committed by then.
        let mut looked = join_all(master.into_iter().map(|master| look_at(master, None, patience))).await;
        let answers = looked.iter().any(|looked| matches!(looked.look, Look::Answers(_)));
        let head = if answers { head_of_feeds(&slaves, patience).await } else { None };
        let seen_at = Instant::now();
        looked
            .extend(join_all(slaves.into_iter().map(|slave| look_at(slave, head.as_ref(), patience))).await);
        let Some(state) = shared.upgrade() else { return };
        let (events, listener) = {
            let mut state = lock(&state);
            let mut events = state.topology.saw(&project, &looked, head.as_ref(), seen_at);
            // Who has to follow another master takes no writes for the old one.
            if state.topology.usurper(&project).is_none() {
                events.extend(state.topology.count_majority(&project, &looked, begun));
            }
            (events, state.listener.clone())
        };
        let native =
            looked.iter().filter(|looked| looked.is_native()).filter_map(|looked| looked.target.feed.clone());
        let native: Vec<_> = native.collect();
        drop(looked);
        for feed in native {
            // Two that write the same rows would only be in each other's way.
            if let Some(error) = feed.remove().await {
                tracing::warn!(
                    code = error.code(),
                    "a feed that is not needed has left something behind: {error}"
                );
            }
        }
        if let Some(listener) = listener {
            events.into_iter().for_each(|event: TopologyEvent| listener(event));
        }
        failover::replace_dead_master(&state, &project).await;
    }
}

async fn look_at(target: Target, head: Option<&FeedHead>, patience: Duration) -> Looked {
    let fed = async {
        match &target.feed {
            Some(feed) => {
                let look = look_at_feed(feed, head, patience / 2);
                tokio::time::timeout(patience, look).await.ok().flatten()
            }
            None => None,
        }
    };
    let term = async {
        match &target.claims {
            Some(project) => ask_term(project, &target.dialect, patience).await,
            None => None,
        }
    };
    let (look, fed, term) =
        futures_util::future::join3(look(target.dialect.as_ref(), patience), fed, term).await;
    Looked { target, look, fed, term }
}

/// Where the log stands from which slaves are fed; it is the same one for all of them.
async fn head_of_feeds(slaves: &[Target], patience: Duration) -> Option<FeedHead> {
    let asked = async {
        for feed in slaves.iter().filter_map(|slave| slave.feed.as_ref()) {
            if let Some(head) = head_for(feed).await {
                return Some(head);
            }
        }
        None
    };
    tokio::time::timeout(patience, asked).await.ok().flatten()
}

impl Looked {
    /// Whether a slave that this library feeds has come to be fed by its database.
    pub(super) fn is_native(&self) -> bool {
        let Look::Answers(Some(progress)) = &self.look else { return false };
        let feeds_itself = matches!(progress.role, ServerRole::Standby | ServerRole::Replica);
        feeds_itself && self.target.is_auto && self.target.feed.is_some()
    }
}

async fn look(dialect: &dyn Dialect, patience: Duration) -> Look {
    let asked = async {
        match dialect.kind() {
            // Every question to it would run code of the application.
            DialectKind::Foreign => Ok(None),
            DialectKind::Sqlite | DialectKind::Cockroachdb => dialect.test_connection().await.map(|()| None),
            _ => match progress(dialect).await {
                Ok(None) => dialect.test_connection().await.map(|()| None),
                progress => progress,
            },
        }
    };
    match tokio::time::timeout(patience, asked).await {
        Ok(Ok(progress)) => Look::Answers(progress),
        Ok(Err(error)) => match error.kind() {
            ErrorKind::Connection | ErrorKind::Timeout | ErrorKind::Authentication => Look::Gone(error),
            ErrorKind::Closed => Look::Closed,
            // It lives, but its user may not see positions.
            _ => {
                tracing::debug!(code = error.code(), "the progress of a replica is not known: {error}");
                Look::Answers(None)
            }
        },
        Err(_) => {
            let message = format!("no answer within {patience:?}");
            Look::Gone(data::Error::new(ErrorKind::Timeout, message))
        }
    }
}

/// How often a replica must fail to answer before it counts as gone. A lost connection is sure; a late answer may only
/// mean that every connection of the pool is busy, and a master is given another chance.
pub(super) fn failures_needed(role: Role, error: &data::Error) -> u32 {
    match (error.kind(), role) {
        (ErrorKind::Timeout, _) => 3,
        (_, Role::Master) => 2,
        (_, Role::Slave) => 1,
    }
}

impl Topology {
    /// The connected replicas of a project, and those that were and do not answer.
    fn targets(&self, project: &str) -> Vec<Target> {
        let is_replaced = self.pace(project).is_some();
        let target = |replica: &super::Replica| {
            // What a standby says is its master's word.
            let may_claim = is_replaced && replica.standing.role != Some(ServerRole::Standby);
            Some(Target {
                name: replica.config.name.clone(),
                role: replica.config.role,
                dialect: replica.connection.clone()?,
                feed: replica.feed.clone().filter(|_| replica.fed_by == Some(FedBy::Managed)),
                is_auto: replica.config.feed == Feed::Auto,
                claims: may_claim.then(|| project.to_owned()),
            })
        };
        self.replicas(project).filter_map(target).collect()
    }
}
