//! What becomes of a key: which side has changed since both agreed, and which row stays where both have.

use data::schema::{DELETED_AT, UPDATED_AT};
use data::table::{Row, Table};
use data::{Timestamp, Value};

use super::side::Which;
use super::version::{Version, fingerprint};
use crate::bidirectional::{Difference, Pair};
use crate::rule::ConflictResolution;
use crate::snapshot::moment;

/// A row of one side with its fingerprint; none where there is no row.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    pub(super) row: Option<Row>,
    pub(super) fingerprint: Option<String>,
}

impl Held {
    /// What a side holds.
    pub(super) fn of(pair: &Pair, side: Which, row: Option<Row>) -> Self {
        let fingerprint = row.as_ref().map(|row| fingerprint_of(pair, side, row));
        Self { row, fingerprint }
    }
}

/// A key with what both sides hold under it, and the versions that they keep.
#[derive(Debug, Clone)]
pub(super) struct Met {
    /// The key, as the source has it.
    pub(super) key: Vec<Value>,
    pub(super) source: Held,
    pub(super) target: Held,
    pub(super) at_source: Option<Version>,
    pub(super) at_target: Option<Version>,
    /// When a side lost its row, as its log has told.
    pub(super) deleted_at: [Option<Timestamp>; 2],
}

impl Met {
    /// The version that counts.
    pub(super) fn version(&self) -> Version {
        let number = |version: &Option<Version>| version.as_ref().map_or(0, |version| version.number);
        let counts =
            if number(&self.at_target) > number(&self.at_source) { &self.at_target } else { &self.at_source };
        counts.clone().unwrap_or_default()
    }

    /// What a side holds.
    pub(super) fn held(&self, side: Which) -> &Held {
        match side {
            Which::Source => &self.source,
            Which::Target => &self.target,
        }
    }
}

/// What becomes of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing.
    Rest,
    /// Both sides hold the same, and the version is to say so.
    Agree,
    /// Neither side has the row any more.
    Forget,
    /// What one side holds goes to the other; with the fields that differed, if that had changed too.
    Carry { winner: Which, conflict: Option<Vec<String>> },
    /// The application is asked.
    Ask,
    /// When the row was deleted is still to be told by the log.
    Await,
}

/// Decides a key. `is_last` if the time of a deletion that is not known will not be told either.
pub(super) fn decide(pair: &Pair, met: &Met, is_last: bool) -> Decision {
    let version = met.version();
    let is_same = |held: &Held, side| held.fingerprint.as_deref() == version.of(side);
    let (source_rests, target_rests) =
        (is_same(&met.source, Which::Source), is_same(&met.target, Which::Target));
    let carry = |winner| Decision::Carry { winner, conflict: None };
    let against = |winner, fields| Decision::Carry { winner, conflict: Some(fields) };
    match (&met.source.row, &met.target.row) {
        (None, None) if met.at_source.is_none() && met.at_target.is_none() => Decision::Rest,
        (None, None) => Decision::Forget,
        _ if source_rests && target_rests => Decision::Rest,
        (Some(row), Some(own)) => match pair.difference(row, own) {
            None => Decision::Agree,
            Some(_) if target_rests => carry(Which::Source),
            Some(_) if source_rests => carry(Which::Target),
            Some(_) if pair.resolution == ConflictResolution::Resolve => Decision::Ask,
            Some(Difference { winner, fields }) => against(Which::of(winner), fields),
        },
        _ if target_rests => carry(Which::Source),
        _ if source_rests => carry(Which::Target),
        (Some(row), None) => {
            let (table, [_, at]) = (&pair.to_target.mapping.source, met.deleted_at);
            deleted(pair, table, row, Which::Source, at, is_last)
                .map_or_else(|decision| decision, |winner| against(winner, Vec::new()))
        }
        (None, Some(own)) => {
            let (table, [at, _]) = (&pair.to_source.mapping.source, met.deleted_at);
            deleted(pair, table, own, Which::Target, at, is_last)
                .map_or_else(|decision| decision, |winner| against(winner, Vec::new()))
        }
    }
}

/// Who wins where the side `holder` has changed a row that the other one has deleted, at that time if it is known.
fn deleted(
    pair: &Pair,
    table: &Table,
    row: &[Value],
    holder: Which,
    at: Option<Timestamp>,
    is_last: bool,
) -> Result<Which, Decision> {
    match pair.resolution {
        ConflictResolution::SourceWins => Ok(Which::Source),
        ConflictResolution::TargetWins => Ok(Which::Target),
        ConflictResolution::Resolve => Err(Decision::Ask),
        ConflictResolution::Timestamp => {
            let value = |name: &str| table.position(name).and_then(|position| row.get(position));
            let Some(updated_at) = value(UPDATED_AT).and_then(moment) else { return Ok(Which::Source) };
            let written_at = value(DELETED_AT).and_then(moment).map_or(updated_at, |at| at.max(updated_at));
            match at {
                Some(at) if written_at > at => Ok(holder),
                Some(_) => Ok(holder.other()),
                // A row that is there is not given up for a deletion of which nobody knows when it was.
                None if is_last => Ok(holder),
                None => Err(Decision::Await),
            }
        }
    }
}

/// The fingerprint of a row of a side.
pub(super) fn fingerprint_of(pair: &Pair, side: Which, row: &[Value]) -> String {
    let columns = pair.columns.iter().map(|column| {
        let position = if side == Which::Target { column.at_target } else { column.at_source };
        (column.name.as_str(), row.get(position).unwrap_or(&Value::Null))
    });
    fingerprint(columns)
}
