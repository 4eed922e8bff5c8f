//! What a synchronisation did.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data::Value;
use indexmap::IndexMap;
use serde::Serialize;

use crate::snapshot::key_text;

/// How many failed rows are named per collection; the others are only counted.
const NAMED_FAILURES: usize = 100;
/// How many conflicts are named per collection; the others are only counted.
const NAMED_CONFLICTS: usize = 100;
/// How many keys of failed rows are kept per collection, so that a run can try them again.
const KEPT_KEYS: usize = 10_000;

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
    /// Rows that the target did not have; under a bidirectional rule, that one side did not have.
    pub created: u64,
    /// Rows that differed and were overwritten, on either side.
    pub updated: u64,
    /// Rows that the source does not have.
    pub deleted: u64,
    /// Rows that were equal, or that the conflict rule left alone.
    pub skipped: u64,
    /// Rows that could not be written; a collection that could not be read counts as one.
    pub errors: u64,
    /// The first of the rows that could not be written.
    pub failures: Vec<Failure>,
    /// The first of the rows of a rule of mode `cdc` that were left alone although they differ, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skips: Vec<Failure>,
    /// The conversions that gave something up.
    pub conversions: Vec<Conversion>,
    /// Rows of a bidirectional rule that differed between both sides.
    pub conflicts: u64,
    /// The first of them.
    pub conflict_list: Vec<Conflict>,
    #[serde(skip)]
    failed_keys: FailedKeys,
}

/// The keys, at the source, of rows that failed.
#[derive(Debug, Clone, Default)]
pub(crate) struct FailedKeys {
    pub(crate) keys: Vec<Vec<Value>>,
    /// Whether there were more than are kept.
    pub(crate) overflown: bool,
}

/// A row that differed between both sides of a bidirectional rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Its primary key, as the source of the rule has it.
    pub key: String,
    /// Whose version both sides were to have afterwards.
    pub winner: Winner,
    /// The fields that differed.
    pub fields: Vec<String>,
}

/// A side of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Winner {
    /// The source.
    Source,
    /// The target.
    Target,
    /// Neither: the application has made a version of its own.
    Merged,
}

impl Winner {
    /// The name that reports use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
            Self::Merged => "merged",
        }
    }
}

/// A row that could not be written, or was left alone.
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

    /// Counts a row that is left alone although it differs.
    pub(crate) fn skip(&mut self, key: String, reason: &str) {
        self.skipped += 1;
        if self.skips.len() < NAMED_FAILURES {
            self.skips.push(Failure { key, reason: reason.to_owned() });
        }
    }

    /// Counts a row as failed, and keeps its key at the source.
    pub(crate) fn fail_row(&mut self, key: Vec<Value>, reason: String) {
        self.fail(key_text(&key), reason);
        self.failed_keys.keep(key);
    }

    /// The keys of failed rows, which are no longer kept afterwards.
    pub(crate) fn take_failed_keys(&mut self) -> FailedKeys {
        std::mem::take(&mut self.failed_keys)
    }

    /// Counts a row that differs between both sides.
    pub(crate) fn conflict(&mut self, conflict: impl FnOnce() -> Conflict) {
        self.conflicts += 1;
        if self.conflict_list.len() < NAMED_CONFLICTS {
            self.conflict_list.push(conflict());
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
        let room = NAMED_FAILURES.saturating_sub(self.skips.len());
        self.skips.extend(part.skips.into_iter().take(room));
        for conversion in part.conversions {
            self.convert(&conversion.field, &conversion.reason, conversion.rows);
        }
        self.conflicts += part.conflicts;
        let room = NAMED_CONFLICTS.saturating_sub(self.conflict_list.len());
        self.conflict_list.extend(part.conflict_list.into_iter().take(room));
        self.failed_keys.overflown |= part.failed_keys.overflown;
        part.failed_keys.keys.into_iter().for_each(|key| self.failed_keys.keep(key));
    }
}

impl FailedKeys {
    fn keep(&mut self, key: Vec<Value>) {
        if self.keys.len() < KEPT_KEYS {
            self.keys.push(key);
        } else {
            self.overflown = true;
        }
    }
}

/// Up to when each collection of a rule has been read.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncCursor {
    /// The rule.
    pub rule_name: String,
    /// In ms since the epoch: the start of the last run that read the collection without an error, and where changes are
    /// polled, from which `updatedAt` on the next run reads.
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
