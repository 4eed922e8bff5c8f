//! Rows that the target holds already, and which of the two versions stays.

use std::collections::HashMap;

use data::schema::UPDATED_AT;
use data::table::{Row, TableTransaction};
use data::{Result, Timestamp, Value};

use super::isolate::Prepared;
use crate::rule::ConflictResolution;
use crate::snapshot::{Collection, Mapping, canonical_key, moment};

const OWN_ROW_WINS: &str = "the target holds another version of the row, which wins";
const OWN_ROW_IS_NEWER: &str = "the target holds a newer version of the row";
const NEWER_THAN_DELETE: &str = "the target holds a version of the row that is newer than its deletion";

/// Rows of the target, by their keys.
pub(super) struct Existing(HashMap<String, Row>);

impl Existing {
    /// Reads them, and keeps others from changing them until the end of the transaction.
    pub(super) async fn fetch(
        transaction: &mut dyn TableTransaction,
        mapping: &Mapping,
        keys: &[Vec<Value>],
    ) -> Result<Self> {
        if keys.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        let rows = transaction.fetch(&mapping.target, keys).await?;
        Ok(Self(rows.into_iter().map(|row| (canonical_key(&mapping.target.key_of(&row)), row)).collect()))
    }

    pub(super) fn row(&self, key: &[Value]) -> Option<&Row> {
        self.0.get(&canonical_key(key))
    }

    /// The rows with the canonical texts of their keys.
    pub(super) fn into_rows(self) -> impl Iterator<Item = (String, Row)> {
        self.0.into_iter()
    }
}

/// Why a row is not written over the one that the target holds; none if it is.
pub(super) fn keeps_own_row(collection: &Collection, row: &Prepared, own: &[Value]) -> Option<&'static str> {
    let mapping = &collection.mapping;
    let differs = mapping.differing_columns(&row.row, own).any(|column| !row.missing.contains(&column));
    match collection.resolution {
        ConflictResolution::SourceWins => None,
        _ if !differs => None,
        ConflictResolution::TargetWins => Some(OWN_ROW_WINS),
        ConflictResolution::Timestamp | ConflictResolution::Resolve => {
            (!mapping.is_newer(&row.row, own)).then_some(OWN_ROW_IS_NEWER)
        }
    }
}

/// Why a row that was deleted at the source is kept at the target; none if it is not.
pub(super) fn keeps_deleted_row(
    collection: &Collection,
    own: &[Value],
    deleted_at: Timestamp,
) -> Option<&'static str> {
    let mapping = &collection.mapping;
    let updated_at = mapping.target.position(UPDATED_AT).and_then(|position| own.get(position));
    let is_newer = updated_at.and_then(moment).is_some_and(|updated_at| updated_at > deleted_at);
    (collection.resolution == ConflictResolution::Timestamp && is_newer).then_some(NEWER_THAN_DELETE)
}
