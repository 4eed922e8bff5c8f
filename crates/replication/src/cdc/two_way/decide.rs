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
    /// What the fingerprint was before columns came.
    pub(super) former: Option<String>,
    /// Those of these columns that hold something.
    new_values: Vec<String>,
}

impl Held {
    /// What a side holds, where the collection had these columns before, if it has others by now.
    pub(super) fn of(pair: &Pair, side: Which, row: Option<Row>, former: Option<&Vec<String>>) -> Self {
        let now = row.as_ref().map(|row| fingerprint_of(pair, side, row));
        let new_values = former.zip(row.as_ref()).map_or_else(Vec::new, |(former, row)| {
            let is_new = |name: &str| !former.iter().any(|known| known == name);
            let held = values_of(pair, side, row).filter(|(name, value)| is_new(name) && !value.is_null());
            held.map(|(name, _)| name.to_owned()).collect()
        });
        let former = former.zip(row.as_ref()).map(|(former, row)| {
            let is_former = |name: &str| former.iter().any(|known| known == name);
            fingerprint(values_of(pair, side, row).filter(|(name, _)| is_former(name)))
        });
        Self { row, fingerprint: now, former, new_values }
    }

    /// Whether this is what a version says.
    fn is(&self, version: Option<&str>) -> bool {
        self.fingerprint.as_deref() == version || (self.former.is_some() && self.former.as_deref() == version)
    }

    /// Whether this is what a version says but for what columns that have come since hold in some of these fields.
    fn is_but_for_new(&self, version: Option<&str>, fields: &[String]) -> bool {
        self.fingerprint.as_deref() != version && fields.iter().any(|field| self.new_values.contains(field))
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
    let source_rests = met.source.is(version.of(Which::Source));
    let target_rests = met.target.is(version.of(Which::Target));
    let has_new_columns = met.source.former.is_some() || met.target.former.is_some();
    // A side that rests may hold something in new columns, which is a change as well.
    let loses = |side, Difference { fields, .. }: &Difference| {
        met.held(side).is_but_for_new(version.of(side), fields)
    };
    let carry = |winner| Decision::Carry { winner, conflict: None };
    let against = |winner, fields| Decision::Carry { winner, conflict: Some(fields) };
    match (&met.source.row, &met.target.row) {
        (None, None) if met.at_source.is_none() && met.at_target.is_none() => Decision::Rest,
        (None, None) => Decision::Forget,
        (Some(row), Some(own)) if source_rests && target_rests && has_new_columns => {
            match pair.difference(row, own) {
                None => Decision::Agree,
                Some(Difference { winner, fields }) => match only_one_knows(pair, row, own, &fields) {
                    Some(winner) => carry(winner),
                    None => against(Which::of(winner), fields),
                },
            }
        }
        _ if source_rests && target_rests => Decision::Rest,
        (Some(row), Some(own)) => match pair.difference(row, own) {
            None => Decision::Agree,
            Some(difference) if target_rests && !loses(Which::Target, &difference) => carry(Which::Source),
            Some(difference) if source_rests && !loses(Which::Source, &difference) => carry(Which::Target),
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

/// The side that has values in columns where the other one has none.
fn only_one_knows(pair: &Pair, row: &[Value], own: &[Value], fields: &[String]) -> Option<Which> {
    let differing = || pair.columns.iter().filter(|column| fields.contains(&column.name));
    let is_null = |row: &[Value], position: usize| row.get(position).is_none_or(Value::is_null);
    if differing().all(|column| is_null(own, column.at_target)) {
        Some(Which::Source)
    } else if differing().all(|column| is_null(row, column.at_source)) {
        Some(Which::Target)
    } else {
        None
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
    fingerprint(values_of(pair, side, row))
}

/// The values of a row of a side that are exchanged, by the names that their columns have at the source.
fn values_of<'a>(
    pair: &'a Pair,
    side: Which,
    row: &'a [Value],
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    pair.columns.iter().map(move |column| {
        let position = if side == Which::Target { column.at_target } else { column.at_source };
        (column.name.as_str(), row.get(position).unwrap_or(&Value::Null))
    })
}
