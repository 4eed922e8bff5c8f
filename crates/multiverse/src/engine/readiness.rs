//! Which connections have something to do: their wakers put them on a list and wake the engine once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// A connection of a pool. The serial number tells it from those that had the slot before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) pool: usize,
    pub(crate) slot: usize,
    pub(crate) serial: u64,
}

/// The list of connections whose sockets became readable or writable.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    tokens: Vec<Token>,
    engine: Option<Waker>,
}

impl Readiness {
    /// Has the engine woken when a connection becomes ready.
    pub(crate) fn register(&self, engine: &Waker) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner.engine.as_ref().is_some_and(|known| known.will_wake(engine)) {
            inner.engine = Some(engine.clone());
        }
    }

    /// Has the engine's thread take a turn.
    pub(crate) fn wake_engine(&self) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &inner.engine {
            engine.wake_by_ref();
        }
    }

    /// Exchanges the list for an empty one.
    pub(crate) fn take(&self, tokens: &mut Vec<Token>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut inner.tokens, tokens);
    }

    fn push(&self, token: Token) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.tokens.push(token);
        if let Some(engine) = &inner.engine {
            engine.wake_by_ref();
        }
    }
}

/// The waker of one connection.
#[derive(Debug)]
pub(crate) struct ConnectionWaker {
    token: Token,
    listed: AtomicBool,
    readiness: Arc<Readiness>,
}

impl ConnectionWaker {
    pub(crate) fn new(token: Token, readiness: &Arc<Readiness>) -> Arc<Self> {
        Arc::new(Self { token, listed: AtomicBool::new(false), readiness: Arc::clone(readiness) })
    }

    /// To be called before the connection is looked after, so that what happens meanwhile lists it again.
    pub(crate) fn unlist(&self) {
        self.listed.store(false, Ordering::Release);
    }
}

impl Wake for ConnectionWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.listed.swap(true, Ordering::AcqRel) {
            self.readiness.push(self.token);
        }
    }
}
