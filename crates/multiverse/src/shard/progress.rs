//! Requests that are carried out in parts: which parts are under way, and whether the whole was cancelled.

use std::collections::HashMap;
use std::sync::Mutex;

use tokio::sync::watch;

use super::lock;
use crate::error::Error;
use crate::request::RequestId;

/// The requests in parts, by their numbers.
#[derive(Default)]
pub(super) struct Progress(Mutex<HashMap<u64, Parts>>);

#[derive(Default)]
struct Parts {
    under_way: Vec<RequestId>,
    is_cancelled: watch::Sender<bool>,
}

/// Tells whether a request was cancelled.
#[derive(Clone)]
pub(super) struct Cancellation(watch::Receiver<bool>);

impl Progress {
    /// Begins a request whose parts come one after the other.
    pub(super) fn begin(&self, id: RequestId) -> Cancellation {
        let parts = Parts::default();
        let cancellation = Cancellation(parts.is_cancelled.subscribe());
        lock(&self.0).insert(id.0, parts);
        cancellation
    }

    /// These parts of a request are under way from now on, and no others.
    pub(super) fn enter(&self, id: RequestId, under_way: Vec<RequestId>) {
        lock(&self.0).entry(id.0).or_default().under_way = under_way;
    }

    /// A request has ended.
    pub(super) fn end(&self, id: RequestId) {
        lock(&self.0).remove(&id.0);
    }

    /// Cancels a request; gives the parts that are to be cancelled.
    pub(super) fn cancel(&self, id: RequestId) -> Vec<RequestId> {
        match lock(&self.0).get(&id.0) {
            Some(parts) => {
                parts.is_cancelled.send_replace(true);
                parts.under_way.clone()
            }
            None => Vec::new(),
        }
    }
}

impl Cancellation {
    pub(super) fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Fails if the request was cancelled.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Waits until it is. For ever if it is not.
    pub(super) async fn cancelled(mut self) {
        if self.0.wait_for(|is_cancelled| *is_cancelled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
