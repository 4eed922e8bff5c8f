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
mod functions;
mod gather;
mod hash;
mod key;
mod known;
mod layout;
mod learning;
mod merge;
mod merge_plan;
mod moment;
mod option_key;
mod parameters;
mod placement;
mod plan;
mod progress;
mod replan;
mod session;
mod survey;
mod waiting;
mod way;
mod write;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

pub use self::error::ShardError;
use self::known::Known;
use self::layout::Layout;
use self::progress::Progress;
pub use self::survey::{ShardedTable, SurveyReply};
use self::waiting::InTransit;
use crate::config::Clusters;
use crate::engine::Engine;
use crate::request::{Request, RequestId};
use crate::transaction::Transactions;
use crate::written::Written;

/// Called when an answer was handed out on a thread that does not tell so by itself.
pub type Answered = Box<dyn Fn() + Send + Sync>;

/// The way to an engine some of whose clusters are shards. Requests for others go straight on.
#[derive(Clone)]
pub struct Shards(Arc<Inner>);

struct Inner {
    engine: Arc<Engine>,
    layout: RwLock<Arc<Layout>>,
    known: Mutex<HashMap<Arc<str>, Known>>,
    progress: Progress,
    in_transit: InTransit,
    /// What the application has written last, shard by shard.
    written: Arc<Written>,
    transactions: OnceLock<Transactions>,
    answered: Answered,
}

impl Shards {
    /// Stands before an engine that was started with these clusters, and notes what is written on several shards.
    #[must_use]
    pub fn new(engine: Arc<Engine>, clusters: &Clusters, written: Arc<Written>, answered: Answered) -> Self {
        Self(Arc::new(Inner {
            engine,
            layout: RwLock::new(Arc::new(Layout::of(clusters))),
            known: Mutex::default(),
            progress: Progress::default(),
            in_transit: InTransit::default(),
            written,
            transactions: OnceLock::new(),
            answered,
        }))
    }

    /// The configuration has changed.
    pub fn reload(&self, clusters: &Clusters) {
        *self.0.layout.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Layout::of(clusters));
        // What waits for a catalogue goes on waiting for it.
        lock(&self.0.known).values_mut().for_each(Known::forget);
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
        self.0.cancel(id);
    }
}

impl Inner {
    fn layout(&self) -> Arc<Layout> {
        Arc::clone(&self.layout.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
