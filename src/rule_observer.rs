//! What a streaming rule tells, on its way to a JavaScript function.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use napi::Status;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use replication::{CdcEvent, CdcObserver};
use tokio::sync::Notify;

/// A JavaScript function that takes reports as JSON text. It keeps the process alive for as long as its rule streams.
pub(crate) type ReportFunction = ThreadsafeFunction<String, (), String, Status, false, false>;

/// From so many events on that JavaScript has not taken yet, the rule waits.
const MOST_UNHEARD: usize = 10_000;

/// Tells a JavaScript function of a streaming rule.
pub(crate) struct JsObserver {
    report: ReportFunction,
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

impl JsObserver {
    pub(crate) fn new(report: ReportFunction, wants_changes: Arc<AtomicBool>) -> Self {
        Self { report, wants_changes, unheard: Arc::default() }
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
