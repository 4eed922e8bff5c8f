//! What a streaming rule tells, on its way to a JavaScript function.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use napi::Status;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use replication::{CdcEvent, CdcObserver};

/// A JavaScript function that takes reports as JSON text. It keeps the process alive for as long as its rule streams.
pub(crate) type ReportFunction = ThreadsafeFunction<String, (), String, Status, false, false>;

/// Tells a JavaScript function of a streaming rule.
pub(crate) struct JsObserver {
    report: ReportFunction,
    /// Whether anybody listens to single changes.
    wants_changes: Arc<AtomicBool>,
}

impl JsObserver {
    pub(crate) fn new(report: ReportFunction, wants_changes: Arc<AtomicBool>) -> Self {
        Self { report, wants_changes }
    }
}

impl CdcObserver for JsObserver {
    fn on(&self, event: CdcEvent) {
        if let Ok(text) = serde_json::to_string(&event) {
            self.report.call(text, ThreadsafeFunctionCallMode::NonBlocking);
        }
    }

    fn wants_changes(&self) -> bool {
        self.wants_changes.load(Ordering::Relaxed)
    }
}
