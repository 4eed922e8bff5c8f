//! The statements that a dialect runs, reported to JavaScript for `showSql`.
//!
//! The dialects report statements as `tracing` events. The events of one call are told apart from those of others by a
//! task-local listener, so that each dialect reports to its own JavaScript function, also across worker threads.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Once};

use napi::Status;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

/// The target of the events that report a statement.
const TARGET: &str = "replicaverse::sql";

/// A JavaScript function that takes the text of a statement. It does not keep the process alive.
pub(crate) type StatementFunction = ThreadsafeFunction<String, (), String, Status, false, true>;

/// Where the statements of a dialect are reported, if anywhere.
#[derive(Clone, Default)]
pub(crate) struct StatementLog(Option<Arc<StatementFunction>>);

tokio::task_local! {
    static LISTENER: Arc<StatementFunction>;
}

impl StatementLog {
    /// Reports to this function; without one, nothing is reported or even formatted.
    pub(crate) fn new(function: Option<StatementFunction>) -> Self {
        static INSTALL: Once = Once::new();
        if function.is_some() {
            // The addon's copy of `tracing` is its own, so that a default that is already set can only be this one.
            INSTALL.call_once(|| drop(tracing::subscriber::set_global_default(StatementSubscriber)));
        }
        Self(function.map(Arc::new))
    }

    /// Whether statements are reported.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Runs a future whose statements are reported.
    pub(crate) async fn record<F: Future>(self, future: F) -> F::Output {
        match self.0 {
            Some(listener) => LISTENER.scope(listener, future).await,
            None => future.await,
        }
    }
}

/// Takes the events that report a statement, and no others.
struct StatementSubscriber;

impl Subscriber for StatementSubscriber {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_event() && metadata.target() == TARGET {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == TARGET
    }

    fn event(&self, event: &Event<'_>) {
        let mut statement = StatementText::default();
        event.record(&mut statement);
        // Outside of a dialect's call, or without showSql, there is no listener.
        let _ = LISTENER.try_with(|listener| {
            listener.call(statement.0, ThreadsafeFunctionCallMode::NonBlocking);
        });
    }

    // Spans are never enabled, so that these are not reached with anything to keep.
    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// The text of a statement: the values of the event's fields, without the name of the dialect. SQL dialects report the
/// statement itself, MongoDB's the command and the collection.
#[derive(Default)]
struct StatementText(String);

impl StatementText {
    fn add(&mut self, field: &Field, text: &str) {
        if field.name() == "dialect" {
            return;
        }
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(text);
    }
}

impl Visit for StatementText {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format!("{value:?}"));
    }
}
