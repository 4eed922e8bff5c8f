//! Progress of a run, for whoever shows it to a person.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::Collection;
use crate::rule::Rule;

/// How far the copy of a collection has come.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The rule.
    pub rule: String,
    /// The collection, as the rule names it.
    pub collection: String,
    /// Rows read and dealt with so far.
    pub rows: u64,
    /// How many rows the source is thought to hold; `None` where it cannot tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<u64>,
    /// Whether the collection is finished.
    pub done: bool,
}

/// Is told of progress after every batch. It must not block.
pub type ProgressListener = Arc<dyn Fn(Progress) + Send + Sync>;

/// Counts the rows of one collection and tells the listener.
pub(crate) struct Reporter {
    listener: Option<ProgressListener>,
    rule: String,
    collection: String,
    rows: AtomicU64,
    estimate: Option<u64>,
}

impl Reporter {
    /// Begins a collection. The estimate is only asked for if someone listens.
    pub(crate) async fn start(
        listener: Option<ProgressListener>,
        rule: &Rule,
        collection: &Collection,
    ) -> Self {
        let estimate = match (&listener, collection.source.tables()) {
            // Without an estimate the progress has no end to show, which is no reason to stop the run.
            (Some(_), Ok(tables)) => tables.estimate_rows(&collection.mapping.source).await.ok().flatten(),
            _ => None,
        };
        let reporter = Self {
            listener,
            rule: rule.name.clone(),
            collection: collection.label.clone(),
            rows: AtomicU64::new(0),
            estimate,
        };
        reporter.tell(0, false);
        reporter
    }

    pub(crate) fn add(&self, rows: usize) {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        let total = self.rows.fetch_add(rows, Ordering::Relaxed).saturating_add(rows);
        self.tell(total, false);
    }

    pub(crate) fn finish(&self) {
        self.tell(self.rows.load(Ordering::Relaxed), true);
    }

    fn tell(&self, rows: u64, done: bool) {
        if let Some(listener) = &self.listener {
            listener(Progress {
                rule: self.rule.clone(),
                collection: self.collection.clone(),
                rows,
                estimate: self.estimate,
                done,
            });
        }
    }
}
