//! What a streaming rule tells, on its way to a JavaScript function.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use napi::Status;
use napi::bindgen_prelude::Promise;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use replication::{CdcEvent, CdcObserver, Resolution, RowVersions};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use tokio::sync::Notify;

/// A JavaScript function that takes reports as JSON text. It keeps the process alive for as long as its rule streams.
pub(crate) type ReportFunction = ThreadsafeFunction<String, (), String, Status, false, false>;

/// A JavaScript function that decides between two versions of a row, given and answered as JSON text. Its promise does not
/// reject: an error is an answer. It does not keep the process alive.
pub(crate) type ResolveFunction = ThreadsafeFunction<String, Promise<String>, String, Status, false, true>;

/// From so many events on that JavaScript has not taken yet, the rule waits.
const MOST_UNHEARD: usize = 10_000;

/// Tells a JavaScript function of a streaming rule.
pub(crate) struct JsObserver {
    report: ReportFunction,
    resolve: Option<ResolveFunction>,
    /// Whether anybody listens to single changes.
    wants_changes: Arc<AtomicBool>,
    unheard: Arc<Unheard>,
}

/// The events on their way to JavaScript.
#[derive(Default)]
struct Unheard {
    count: AtomicUsize,
    heard: Notify,
}

/// An event on its way, until it has been taken or can no longer be.
struct OnItsWay(Arc<Unheard>);

impl Drop for OnItsWay {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::Relaxed) <= MOST_UNHEARD {
            self.0.heard.notify_waiters();
        }
    }
}

/// What the function that decides has answered; with neither a row nor an error there is to be no row.
#[derive(Deserialize)]
struct Answer {
    row: Option<Map<String, Json>>,
    error: Option<String>,
}

impl JsObserver {
    pub(crate) fn new(
        report: ReportFunction,
        resolve: Option<ResolveFunction>,
        wants_changes: Arc<AtomicBool>,
    ) -> Self {
        Self { report, resolve, wants_changes, unheard: Arc::default() }
    }
}

#[async_trait]
impl CdcObserver for JsObserver {
    fn on(&self, event: CdcEvent) {
        let Ok(text) = serde_json::to_string(&event) else { return };
        self.unheard.count.fetch_add(1, Ordering::Relaxed);
        let on_its_way = OnItsWay(Arc::clone(&self.unheard));
        let heard = move |_: napi::Result<()>, _| {
            drop(on_its_way);
            Ok(())
        };
        self.report.call_with_return_value(text, ThreadsafeFunctionCallMode::NonBlocking, heard);
    }

    fn wants_changes(&self) -> bool {
        self.wants_changes.load(Ordering::Relaxed)
    }

    async fn resolve(&self, conflict: RowVersions) -> Result<Resolution, String> {
        let resolve = self.resolve.as_ref().ok_or("there is no function that decides")?;
        let text = serde_json::to_string(&conflict).map_err(|error| error.to_string())?;
        let promise = resolve.call_async_catch(text).await.map_err(|error| error.reason.clone())?;
        let answer = promise.await.map_err(|error| error.reason.clone())?;
        match serde_json::from_str(&answer).map_err(|error| error.to_string())? {
            Answer { error: Some(reason), .. } => Err(reason),
            Answer { row: Some(row), .. } => Ok(Resolution::Row(row)),
            Answer { .. } => Ok(Resolution::Delete),
        }
    }

    async fn ready(&self) {
        loop {
            let heard = self.unheard.heard.notified();
            tokio::pin!(heard);
            // Before the count is looked at, so that nothing is missed between the two.
            heard.as_mut().enable();
            if self.unheard.count.load(Ordering::Relaxed) < MOST_UNHEARD {
                return;
            }
            heard.await;
        }
    }
}
