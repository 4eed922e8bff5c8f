//! Requests that wait until the catalogue of their cluster is known: for no longer than they may, and until they are cancelled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{Inner, lock};
use crate::error::Error;
use crate::request::{Request, RequestId};

/// A catalogue that cannot be compared with a server's for so long is used as it is: all connections may be in the hands of
/// transactions whose statements wait here.
const LONGEST_COMPARISON: Duration = Duration::from_secs(1);

/// A request that waits.
pub(super) struct Waiting {
    pub(super) request: Request,
    since: Instant,
}

/// Requests that have waited and are on their way to the engine. Whoever cancels one meanwhile would not find it there yet.
#[derive(Default)]
pub(super) struct InTransit(Mutex<HashMap<u64, bool>>);

impl InTransit {
    fn enter(&self, id: RequestId) {
        lock(&self.0).insert(id.0, false);
    }

    /// Takes note of a request that is cancelled.
    pub(super) fn cancel(&self, id: RequestId) {
        if let Some(is_cancelled) = lock(&self.0).get_mut(&id.0) {
            *is_cancelled = true;
        }
    }

    /// Whether it was cancelled on its way.
    fn leave(&self, id: RequestId) -> bool {
        lock(&self.0).remove(&id.0).unwrap_or_default()
    }
}

impl Waiting {
    /// A request whose time counts from a moment on.
    pub(super) fn since(request: Request, since: Instant) -> Self {
        Self { request, since }
    }

    /// The request with the time that it has left.
    fn resumed(self) -> Request {
        let Self { mut request, since } = self;
        // A limit of nothing would be none.
        let left = |limit: Duration| limit.saturating_sub(since.elapsed()).max(Duration::from_millis(1));
        request.timeout = request.timeout.map(left);
        request
    }
}

impl Inner {
    /// Ends the waiting of a request when its time is over, or, with a catalogue that could be used, after a moment.
    pub(super) fn watch_waiting(
        self: &Arc<Self>,
        cluster: &Arc<str>,
        (id, timeout): (RequestId, Option<Duration>),
        may_go_on: bool,
    ) {
        let patience = may_go_on.then_some(LONGEST_COMPARISON);
        let Some(limit) = timeout.into_iter().chain(patience).min() else { return };
        let goes_on = patience == Some(limit) && timeout != Some(limit);
        // Nobody needs the engine only for this.
        let (inner, cluster) = (Arc::downgrade(self), Arc::clone(cluster));
        self.engine.runtime().spawn(async move {
            tokio::time::sleep(limit).await;
            let Some(inner) = inner.upgrade() else { return };
            let waiting = lock(&inner.known).get_mut(&cluster).and_then(|known| {
                let waiting = known.leave(id)?;
                if goes_on {
                    known.excuse();
                    inner.in_transit.enter(id);
                }
                Some(waiting)
            });
            match waiting {
                None => {}
                Some(waiting) if goes_on => inner.resume(vec![waiting]),
                Some(waiting) => {
                    waiting.request.answer.end(Err(Error::Timeout { limit }));
                    (inner.answered)();
                }
            }
        });
    }

    /// The catalogue of a cluster was read, or cannot be.
    pub(super) fn serve_waiting(self: &Arc<Self>, cluster: &Arc<str>, outcome: Result<(), Error>) {
        let (waiting, goes_on) = match lock(&self.known).get_mut(cluster) {
            Some(known) if known.is_reading => {
                known.is_reading = false;
                let goes_on = match &outcome {
                    Ok(()) => true,
                    Err(Error::Closed) => false,
                    Err(_) => known.excuse(),
                };
                let waiting = std::mem::take(&mut known.waiting);
                if goes_on {
                    // While nobody else looks, so that whoever cancels one finds it here or there.
                    waiting.iter().for_each(|waiting| self.in_transit.enter(waiting.request.id));
                }
                (waiting, goes_on)
            }
            _ => return,
        };
        match outcome {
            Err(error) if !goes_on => {
                let has_answered = !waiting.is_empty();
                for waiting in waiting {
                    waiting.request.answer.end(Err(error.clone()));
                }
                if has_answered {
                    (self.answered)();
                }
            }
            _ => self.resume(waiting),
        }
    }

    /// Sends requests that have waited, and are in transit, on their way.
    fn resume(self: &Arc<Self>, waiting: Vec<Waiting>) {
        let ids: Vec<RequestId> = waiting.iter().map(|waiting| waiting.request.id).collect();
        let mut outgoing = Vec::new();
        let mut has_answered = false;
        let layout = self.layout();
        for waiting in waiting {
            has_answered |= self.dispatch(&layout, waiting.resumed(), true, &mut outgoing);
        }
        if self.engine.submit(outgoing) || has_answered {
            (self.answered)();
        }
        for id in ids {
            if self.in_transit.leave(id) {
                self.cancel(id);
            }
        }
    }

    /// Cancels a request, wherever it is.
    pub(super) fn cancel(&self, id: RequestId) {
        let waiting = lock(&self.known).values_mut().find_map(|known| known.leave(id));
        if let Some(waiting) = waiting {
            waiting.request.answer.end(Err(Error::Cancelled));
            (self.answered)();
            return;
        }
        self.in_transit.cancel(id);
        for part in self.progress.cancel(id) {
            self.engine.cancel(part);
        }
        self.engine.cancel(id);
    }
}
