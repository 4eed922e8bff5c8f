//! What a synchronisation did.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indexmap::IndexMap;
use serde::Serialize;

/// How many failed rows are named per collection; the others are only counted.
const NAMED_FAILURES: usize = 100;

/// The outcome of one run of a rule.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncStats {
    /// The rule, or `project/replica`.
    pub rule_name: String,
    /// When the run ended, in ms since the epoch; `None` if there was none yet.
    pub last_sync: Option<u64>,
    /// Rows created and updated.
    pub records_synced: u64,
    /// Rows and collections that failed.
    pub errors: u64,
    /// How long the run took, in ms.
    pub duration: u64,
    /// The outcome per collection.
    pub details: Vec<CollectionStats>,
}

impl SyncStats {
    /// Stats without a run.
    pub(crate) fn none(name: impl Into<String>) -> Self {
        Self { rule_name: name.into(), ..Self::default() }
    }

    /// The sums over the collections of a run that has just ended.
    pub(crate) fn of_run(rule_name: &str, duration: Duration, details: Vec<CollectionStats>) -> Self {
        Self {
            rule_name: rule_name.to_owned(),
            last_sync: Some(millis_now()),
            records_synced: details.iter().map(|detail| detail.created + detail.updated).sum(),
            errors: details.iter().map(|detail| detail.errors).sum(),
            duration: millis(duration),
            details,
        }
    }
}

/// The outcome of one collection.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectionStats {
    /// The entity or table, as the rule names it.
    pub collection: String,
    /// Rows that the target did not have.
    pub created: u64,
    /// Rows that differed and were overwritten.
    pub updated: u64,
    /// Rows that the source does not have.
    pub deleted: u64,
    /// Rows that were equal, or that the conflict rule left alone.
    pub skipped: u64,
    /// Rows that could not be written; a collection that could not be read counts as one.
    pub errors: u64,
    /// The first of the rows that could not be written.
    pub failures: Vec<Failure>,
    /// The conversions that gave something up.
    pub conversions: Vec<Conversion>,
}

/// A row that could not be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Its primary key: the value, or the values joined by commas; empty if the whole collection failed.
    pub key: String,
    /// Why.
    pub reason: String,
}

/// A documented conversion that gave something up, counted per field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conversion {
    /// The field.
    pub field: String,
    /// What was given up.
    pub reason: String,
    /// In how many rows.
    pub rows: u64,
}

impl CollectionStats {
    pub(crate) fn new(collection: impl Into<String>) -> Self {
        Self { collection: collection.into(), ..Self::default() }
    }

    /// Counts a row, or with an empty key the collection, as failed.
    pub(crate) fn fail(&mut self, key: String, reason: String) {
        self.errors += 1;
        if self.failures.len() < NAMED_FAILURES {
            self.failures.push(Failure { key, reason });
        }
    }

    /// Counts a conversion.
    pub(crate) fn convert(&mut self, field: &str, reason: &str, rows: u64) {
        match self.conversions.iter_mut().find(|known| known.field == field && known.reason == reason) {
            Some(known) => known.rows += rows,
            None => {
                self.conversions.push(Conversion { field: field.to_owned(), reason: reason.to_owned(), rows })
            }
        }
    }

    /// Adds the outcome of a part of the collection.
    pub(crate) fn add(&mut self, part: Self) {
        self.created += part.created;
        self.updated += part.updated;
        self.deleted += part.deleted;
        self.skipped += part.skipped;
        self.errors += part.errors;
        let room = NAMED_FAILURES.saturating_sub(self.failures.len());
        self.failures.extend(part.failures.into_iter().take(room));
        for conversion in part.conversions {
            self.convert(&conversion.field, &conversion.reason, conversion.rows);
        }
    }
}

/// Up to when each collection of a rule has been read.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncCursor {
    /// The rule.
    pub rule_name: String,
    /// The start of the last run that read the collection without an error, in ms since the epoch.
    pub cursors: IndexMap<String, u64>,
}

pub(crate) fn millis_now() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_counted_and_the_first_hundred_are_named() {
        let mut stats = CollectionStats::new("users");
        (0..250).for_each(|i| stats.fail(i.to_string(), "no".to_owned()));
        let mut total = CollectionStats::new("users");
        total.add(stats.clone());
        total.add(stats);
        assert_eq!((total.errors, total.failures.len()), (500, 100));
        assert_eq!(total.failures[99].key, "99");
    }
}
