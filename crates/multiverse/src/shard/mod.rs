//! Clusters whose rows are spread over others, their shards.
//!
//! A shard is a cluster of the engine like any other, with a primary, replicas, health and failover; which one is a shard of
//! which, the configuration says ([`crate::expand_shards`]). [`Shards`] stands before the engine: it plans each statement
//! once ([`plan`]), finds by the shard key the shard on which it runs, or asks several and puts their results together
//! ([`merge`]). What cannot be put together exactly is refused.

mod catalogue;
mod decimal;
mod dispatch;
mod error;
mod gather;
mod hash;
mod key;
mod known;
mod layout;
mod merge;
mod merge_plan;
mod moment;
mod parameters;
mod placement;
mod plan;
mod session;
mod survey;
mod write;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

pub use self::error::ShardError;
use self::known::Known;
use self::layout::{Layout, ShardedCluster};
pub use self::survey::{ShardedTable, SurveyReply};
use crate::config::Clusters;
use crate::engine::Engine;
use crate::error::Error;
use crate::request::{Request, RequestId};
use crate::transaction::Transactions;

/// Called when an answer was handed out on a thread that does not tell so by itself.
pub type Answered = Box<dyn Fn() + Send + Sync>;

/// The way to an engine some of whose clusters are shards. Requests for others go straight on.
#[derive(Clone)]
pub struct Shards(Arc<Inner>);

struct Inner {
    engine: Arc<Engine>,
    layout: RwLock<Arc<Layout>>,
    known: Mutex<HashMap<Arc<str>, Known>>,
    /// The requests that are parts of one, by its number.
    parts: Mutex<HashMap<u64, Vec<RequestId>>>,
    transactions: OnceLock<Transactions>,
    answered: Answered,
}

impl Shards {
    /// Stands before an engine that was started with these clusters.
    #[must_use]
    pub fn new(engine: Arc<Engine>, clusters: &Clusters, answered: Answered) -> Self {
        Self(Arc::new(Inner {
            engine,
            layout: RwLock::new(Arc::new(Layout::of(clusters))),
            known: Mutex::default(),
            parts: Mutex::default(),
            transactions: OnceLock::new(),
            answered,
        }))
    }

    /// The configuration has changed.
    pub fn reload(&self, clusters: &Clusters) {
        *self.0.layout.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Layout::of(clusters));
        lock(&self.0.known).clear();
    }

    /// Hands over requests, as [`Engine::submit`] does. Gives whether any was answered already.
    pub fn submit(&self, requests: Vec<Request>) -> bool {
        let layout = self.0.layout();
        if layout.is_empty() {
            return self.0.engine.submit(requests);
        }
        let mut outgoing = Vec::with_capacity(requests.len());
        let mut has_answered = false;
        for request in requests {
            has_answered |= self.0.dispatch(&layout, request, false, &mut outgoing);
        }
        if !outgoing.is_empty() {
            has_answered |= self.0.engine.submit(outgoing);
        }
        has_answered
    }

    /// Cancels a request, with all of its parts.
    pub fn cancel(&self, id: RequestId) {
        let parts = lock(&self.0.parts).get(&id.0).cloned();
        for part in parts.into_iter().flatten() {
            self.0.engine.cancel(part);
        }
        self.0.engine.cancel(id);
    }
}

impl Inner {
    fn layout(&self) -> Arc<Layout> {
        Arc::clone(&self.layout.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has the catalogue of a cluster read, and then whatever waits for it looked at again.
    fn read_catalogue(self: &Arc<Self>, cluster: &Arc<ShardedCluster>) {
        let (inner, cluster) = (Arc::clone(self), Arc::clone(cluster));
        let waiters = Waiters { inner: Arc::clone(self), cluster: Arc::clone(&cluster.id) };
        self.engine.runtime().spawn(async move {
            let changes = || lock(&inner.known).get(&cluster.id).map_or(0, |known| known.changes);
            let read = loop {
                let before = changes();
                let Some(first) = cluster.shards.first() else { break Err(Error::Closed) };
                let read = catalogue::ShardCatalogue::read(&inner.engine, first).await;
                // What was read while tables changed may be what they were.
                if read.is_err() || changes() == before {
                    break read;
                }
            };
            let (waiting, failure) = {
                let mut known = lock(&inner.known);
                let known = known.entry(Arc::clone(&cluster.id)).or_default();
                known.is_reading = false;
                let failure = match read {
                    Ok(catalogue) => {
                        known.learn(catalogue);
                        None
                    }
                    Err(error) => Some(error),
                };
                (std::mem::take(&mut known.waiting), failure)
            };
            let mut outgoing = Vec::new();
            let mut has_answered = false;
            let layout = inner.layout();
            for request in waiting {
                match &failure {
                    None => has_answered |= inner.dispatch(&layout, request, true, &mut outgoing),
                    Some(error) => {
                        request.answer.end(Err(error.clone()));
                        has_answered = true;
                    }
                }
            }
            if inner.engine.submit(outgoing) || has_answered {
                (inner.answered)();
            }
            drop(waiters);
        });
    }
}

/// Requests that wait for the catalogue of a cluster, and are answered even if the engine is closed meanwhile.
struct Waiters {
    inner: Arc<Inner>,
    cluster: Arc<str>,
}

impl Drop for Waiters {
    fn drop(&mut self) {
        let waiting = match lock(&self.inner.known).get_mut(&self.cluster) {
            Some(known) if known.is_reading => {
                known.is_reading = false;
                std::mem::take(&mut known.waiting)
            }
            _ => return,
        };
        for request in waiting {
            request.answer.end(Err(Error::Closed));
        }
        (self.inner.answered)();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
