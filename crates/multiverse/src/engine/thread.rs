//! The engine's thread: a runtime of its own that turns the engine whenever something has happened.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Sleep, sleep_until};
use wire::ConnectConfig;

use super::core::{Core, Inbox};
use super::definition_changes::DefinitionChanges;
use super::reload::pool_id;
use super::shared::{Shared, State, Turned};
use super::{Command, EngineSettings, TurnEnd};
use crate::cache::CacheEpoch;
use crate::config::Clusters;
use crate::error::Error;
use crate::pool::connect_config;
use crate::route::{Router, ServerIndex};

/// How long a look-up of a host's name may keep the thread from ending.
const LAST_LOOK_UP: Duration = Duration::from_millis(20);

/// A configuration that can be used.
pub(crate) struct Plan {
    pub(crate) clusters: Clusters,
    /// How to connect to each server, by its pool's id.
    pub(crate) connect: HashMap<String, ConnectConfig>,
}

/// # Errors
/// The settings of a server cannot be used.
pub(super) fn plan(clusters: Clusters, settings: &EngineSettings) -> Result<Plan, Error> {
    let mut connect = HashMap::new();
    for (id, cluster) in &clusters {
        for server in (0..cluster.server_count()).map(ServerIndex) {
            let Some(config) = cluster.server(server) else { continue };
            let pool = pool_id(id, server);
            let config = connect_config(&pool, config, &cluster.pool_of(server), settings)?;
            connect.insert(pool, config);
        }
    }
    Ok(Plan { clusters, connect })
}

/// The engine's thread, and what its handle needs to reach it.
pub(super) struct Started {
    pub(super) commands: UnboundedSender<Command>,
    pub(super) shared: Shared,
    pub(super) thread: JoinHandle<()>,
    pub(super) runtime: Handle,
    pub(super) definition_changes: Arc<DefinitionChanges>,
    pub(super) cache_epoch: CacheEpoch,
}

pub(super) fn start(
    clusters: Clusters,
    settings: EngineSettings,
    on_turn_end: TurnEnd,
) -> Result<Started, Error> {
    let refused = |error: std::io::Error| Error::Start(error.into());
    let plan = plan(clusters, &settings)?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(refused)?;
    let (sender, commands) = unbounded_channel();
    let (event_sender, events) = unbounded_channel();
    let core = Core::new(settings, Router::new(&plan.clusters), event_sender, runtime.handle().clone());
    let definition_changes = Arc::clone(&core.definition_changes);
    let cache_epoch = core.cache_epoch.clone();
    let shared = Shared::new(core, Inbox { commands, events });
    let own = shared.clone();
    let handle = runtime.handle().clone();
    let thread = std::thread::Builder::new()
        .name("replicaverse-io".to_owned())
        .spawn(move || run(runtime, &plan, &own, on_turn_end))
        .map_err(refused)?;
    Ok(Started { commands: sender, shared, thread, runtime: handle, definition_changes, cache_epoch })
}

fn run(runtime: Runtime, plan: &Plan, shared: &Shared, mut on_turn_end: TurnEnd) {
    runtime.block_on(tokio::task::unconstrained(async {
        shared.begin(plan);
        let mut alarm = Alarm::new();
        let closed = poll_fn(|context| {
            loop {
                let Some(Turned { has_answered, next, closed, dropped }) = shared.turn(context) else {
                    return Poll::Ready(None);
                };
                if has_answered {
                    on_turn_end();
                }
                drop(dropped);
                // A timer that is due by now asks for another turn.
                if closed.is_some() {
                    return Poll::Ready(closed);
                }
                if !alarm.is_due(next, context) {
                    return Poll::Pending;
                }
            }
        })
        .await;
        if let Some(State { mut core, mut inbox, .. }) = closed {
            core.refuse_rest(&mut inbox.commands);
            if core.has_answered {
                on_turn_end();
            }
            core.cancel_abandoned().await;
            core.reply_closed();
        }
    }));
    runtime.shutdown_timeout(LAST_LOOK_UP);
}

/// Wakes the engine when its next timer is due.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    set_for: Option<Instant>,
}

impl Alarm {
    fn new() -> Self {
        Self { sleep: Box::pin(sleep_until(Instant::now().into())), set_for: None }
    }

    /// Sets the alarm, unless it is set already. Returns whether it would go off at once.
    fn is_due(&mut self, next: Option<Instant>, context: &mut Context<'_>) -> bool {
        let Some(next) = next else {
            self.set_for = None;
            return false;
        };
        if self.set_for == Some(next) && !self.sleep.is_elapsed() {
            return false;
        }
        self.set_for = Some(next);
        self.sleep.as_mut().reset(next.into());
        match self.sleep.as_mut().poll(context) {
            Poll::Ready(()) => true,
            Poll::Pending => false,
        }
    }
}
