//! What a copy did.

use std::time::Duration;

use serde::Serialize;

use crate::stats::{CollectionStats, Conversion, Failure};

/// The outcome of a copy.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyReport {
    /// The outcome per destination.
    pub destinations: Vec<DestinationReport>,
    /// What a person should know of how the source was read.
    pub notes: Vec<String>,
    /// Whether the copy was stopped before its end.
    pub stopped: bool,
    /// How long it took, in ms.
    pub duration: u64,
}

/// The outcome for one destination.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DestinationReport {
    /// Its name.
    pub label: String,
    /// What ended the copy to it early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
    /// The outcome per collection.
    pub collections: Vec<CollectionReport>,
    /// How long it took, in ms.
    pub duration: u64,
}

/// An error that ended a part of the copy.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// Its stable code, or that of the database.
    pub code: String,
    /// Its kind.
    pub kind: String,
    /// What went wrong.
    pub message: String,
}

/// The outcome of one collection at one destination.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectionReport {
    /// The entity or table.
    pub collection: String,
    /// Rows read.
    pub read: u64,
    /// Rows that the destination did not have.
    pub created: u64,
    /// Rows that differed and were overwritten.
    pub updated: u64,
    /// Rows that were deleted because the table was to be emptied.
    pub deleted: u64,
    /// Rows that were equal, or were left alone as asked.
    pub skipped: u64,
    /// Rows that could not be copied; a collection that could not be copied at all counts as one.
    pub errors: u64,
    /// The first of the rows that could not be copied; with an empty key, why the collection could not.
    pub failures: Vec<Failure>,
    /// The conversions that gave something up.
    pub conversions: Vec<Conversion>,
    /// How long it took, in ms.
    pub duration: u64,
}

impl Problem {
    pub(super) fn of(error: &data::Error) -> Self {
        Self {
            code: error.code().to_owned(),
            kind: format!("{:?}", error.kind()),
            message: error.to_string(),
        }
    }
}

impl CollectionReport {
    pub(super) fn of(stats: CollectionStats, read: u64, duration: Duration) -> Self {
        Self {
            collection: stats.collection,
            read,
            created: stats.created,
            updated: stats.updated,
            deleted: stats.deleted,
            skipped: stats.skipped,
            errors: stats.errors,
            failures: stats.failures,
            conversions: stats.conversions,
            duration: millis(duration),
        }
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
