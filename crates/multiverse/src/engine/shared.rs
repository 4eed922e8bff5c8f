//! The state of an engine as its thread and its callers share it. The thread takes turns with it; a caller that has a
//! single request for an engine at rest carries it out by itself, which saves the way to the thread and back to the
//! server's socket.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll};
use std::time::Instant;

use super::core::{Core, Inbox};
use super::thread::Plan;
use crate::cache::{DroppedResults, Invalidation, ResultCache};
use crate::request::Request;

/// Requests under way beside which a caller still carries out its own. With more of them it pays to leave the writing to
/// the engine's thread, which does it for many requests together.
const MOST_BESIDE: usize = 1;
/// The longest parameters that a caller writes by itself.
const LONGEST_AT_ONCE: usize = 64 << 10;
/// The entries that a caller looks at to drop them. More would keep it from everything else.
const MOST_DROPPED: usize = 5_000;

/// An engine's state, as long as it is open.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Option<State>>>);

pub(super) struct State {
    pub(super) core: Core,
    pub(super) inbox: Inbox,
    /// When the thread takes its next turn, if nothing happens before.
    alarm: Option<Instant>,
}

/// What is left to do after a turn, when nobody keeps the state any more.
pub(super) struct Turned {
    pub(super) has_answered: bool,
    /// When the next timer is due.
    pub(super) next: Option<Instant>,
    /// The state, if the engine has been closed: nobody else uses it from now on.
    pub(super) closed: Option<State>,
    /// What has left the cache, freed with this.
    pub(super) dropped: DroppedResults,
}

/// What became of requests on the caller's thread.
pub(super) struct AtOnce {
    /// What is left to the engine's thread.
    pub(super) left: Option<Vec<Request>>,
    /// Whether any was answered from the cache.
    pub(super) has_answered: bool,
}

impl Shared {
    pub(super) fn new(core: Core, inbox: Inbox) -> Self {
        Self(Arc::new(Mutex::new(Some(State { core, inbox, alarm: None }))))
    }

    /// Takes the first configuration into force.
    pub(super) fn begin(&self, plan: &Plan) {
        if let Some(state) = self.lock().as_mut() {
            state.core.reload(plan);
        }
    }

    /// Takes a turn on the engine's thread. Gives `None` once the engine has been closed.
    pub(super) fn turn(&self, context: &mut Context<'_>) -> Option<Turned> {
        let mut shared = self.lock();
        let State { core, inbox, alarm } = shared.as_mut()?;
        let turn = core.turn(inbox, context);
        let has_answered = std::mem::take(&mut core.has_answered);
        let next = core.timers.next();
        *alarm = next;
        let dropped = core.cache.as_mut().map(ResultCache::take_dropped).unwrap_or_default();
        let closed = if turn == Poll::Ready(()) { shared.take() } else { None };
        Some(Turned { has_answered, next, closed, dropped })
    }

    /// Looks at the state, or changes something that no turn waits for. `None` once the engine has been closed. For what
    /// runs on the engine's thread between turns: others might wait for a turn.
    pub(super) fn with_core<T>(&self, act: impl FnOnce(&mut Core) -> T) -> Option<T> {
        self.lock().as_mut().map(|state| act(&mut state.core))
    }

    /// Carries out requests on the caller's thread, where that takes only a moment.
    pub(super) fn submit_at_once(&self, requests: Vec<Request>) -> AtOnce {
        let is_single = requests.len() == 1;
        if !is_single && requests.iter().all(|request| request.cache.is_none()) {
            return AtOnce { left: Some(requests), has_answered: false };
        }
        // Whoever has it is at work, and waited for by nobody.
        let mut shared = match self.0.try_lock() {
            Ok(shared) => shared,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return AtOnce { left: Some(requests), has_answered: false },
        };
        let Some(State { core, inbox, alarm }) = shared.as_mut() else {
            return AtOnce { left: Some(requests), has_answered: false };
        };
        // What was asked before comes first.
        if !inbox.commands.is_empty() {
            return AtOnce { left: Some(requests), has_answered: false };
        }
        let was_answering = std::mem::take(&mut core.has_answered);
        let requests = core.answer_from_cache(requests);
        let has_answered = std::mem::replace(&mut core.has_answered, was_answering);
        if requests.is_empty() {
            return AtOnce { left: None, has_answered };
        }
        let is_at_rest = is_single && core.requests.len() <= MOST_BESIDE;
        if !is_at_rest || !requests.iter().all(|request| core.is_quick(request)) {
            return AtOnce { left: Some(requests), has_answered };
        }
        core.submit_at_once(requests);
        let is_due_sooner = match (core.timers.next(), *alarm) {
            (Some(next), Some(alarm)) => next < alarm,
            (next, None) => next.is_some(),
            (None, Some(_)) => false,
        };
        if is_due_sooner || core.has_answered || core.catalogues.is_wanted {
            core.readiness.wake_engine();
        }
        AtOnce { left: None, has_answered }
    }

    /// Drops results on the caller's thread, where that takes only a moment; how many. What else is to be done then is left to the
    /// engine's thread.
    pub(super) fn invalidate_at_once(&self, what: &Invalidation) -> Option<usize> {
        let mut shared = self.0.try_lock().ok()?;
        let State { core, inbox, .. } = shared.as_mut()?;
        let reached = core.cache.as_ref().map_or(0, |cache| cache.reached_by(what));
        // What was asked before comes first.
        if !inbox.commands.is_empty() || reached > MOST_DROPPED {
            return None;
        }
        let count = core.drop_results(what);
        core.readiness.wake_engine();
        Some(count)
    }

    /// A turn that panicked has ended the thread; what it left is closed with it.
    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// Whether submitting a request takes only a moment: everything about its text is known.
    fn is_quick(&self, request: &Request) -> bool {
        request.parameters.section().len() <= LONGEST_AT_ONCE && self.texts.knows(&request.sql)
    }

    /// Submits requests and sends what can be sent.
    fn submit_at_once(&mut self, requests: Vec<Request>) {
        self.now = Instant::now();
        self.has_read_sockets = false;
        for request in requests {
            self.submit(request);
        }
        self.send_what_can_be_sent();
        self.has_read_sockets = true;
    }
}
