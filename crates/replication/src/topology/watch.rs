//! The task that looks at the replicas of a project again and again: who answers, and how far each slave has come.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use data::progress::{Progress, progress};
use data::{Dialect, DialectKind, ErrorKind};
use futures_util::future::join_all;
use tokio::task::JoinHandle;

use super::failover;
use super::{Role, Topology, TopologyEvent};
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
}

/// The manager is not kept alive by its tasks: when it is gone, they end.
async fn run(shared: Weak<SharedState>, project: String) {
    loop {
        let Some(interval) = shared.upgrade().map(|shared| lock(&shared).topology.interval()) else { return };
        tokio::time::sleep(interval).await;
        let Some(state) = shared.upgrade() else { return };
        let targets = lock(&state).topology.targets(&project);
        drop(state);
        let (master, slaves): (Vec<_>, Vec<_>) =
            targets.into_iter().partition(|target| target.role == Role::Master);
        // The master first: a slave that has what the master had then has everything that was committed by then.
        let mut looked = join_all(master.into_iter().map(look_at)).await;
        let seen_at = Instant::now();
        looked.extend(join_all(slaves.into_iter().map(look_at)).await);
        let Some(state) = shared.upgrade() else { return };
        let (events, listener) = {
            let mut state = lock(&state);
            (state.topology.saw(&project, &looked, seen_at), state.listener.clone())
        };
        drop(looked);
        if let Some(listener) = listener {
            events.into_iter().for_each(|event: TopologyEvent| listener(event));
        }
        failover::replace_dead_master(&state, &project).await;
    }
}

async fn look_at(target: Target) -> Looked {
    let look = look(target.dialect.as_ref()).await;
    Looked { target, look }
}

async fn look(dialect: &dyn Dialect) -> Look {
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
    match tokio::time::timeout(PATIENCE, asked).await {
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
            let message = format!("no answer within {PATIENCE:?}");
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
        let target = |replica: &super::Replica| {
            Some(Target {
                name: replica.config.name.clone(),
                role: replica.config.role,
                dialect: replica.connection.clone()?,
            })
        };
        self.replicas(project).filter_map(target).collect()
    }
}
