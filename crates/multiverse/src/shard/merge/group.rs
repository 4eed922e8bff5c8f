//! Groups of which several shards have a part.

use std::borrow::Cow;
use std::cmp::Ordering;

use indexmap::IndexMap;
use wire::Column;

use super::value::{Unwritable, Value, is_collated, is_short_float};
use super::{Row, unknown_type, value_at};
use crate::shard::error::ShardError;
use crate::shard::merge_plan::{Grouping, Part};

/// Puts the rows of each group together.
pub(super) fn grouped<'r>(
    rows: Vec<Row<'r>>,
    grouping: &Grouping,
    columns: &[Column],
) -> Result<Vec<Row<'r>>, ShardError> {
    let mut groups: IndexMap<Vec<u8>, Vec<Row<'r>>> = IndexMap::new();
    for row in rows {
        let mut key = Vec::new();
        for at in &grouping.keys {
            value_at(&row, *at, columns)?.write_key(&mut key);
        }
        groups.entry(key).or_default().push(row);
    }
    groups.into_values().map(|rows| one_row(&rows, grouping, columns)).collect()
}

fn one_row<'r>(rows: &[Row<'r>], grouping: &Grouping, columns: &[Column]) -> Result<Row<'r>, ShardError> {
    grouping
        .parts
        .iter()
        .enumerate()
        .map(|(at, part)| {
            let column = columns.get(at).ok_or_else(unknown_type)?;
            match part {
                Part::Same => Ok(rows.first().and_then(|row| row.get(at).cloned()).flatten()),
                Part::Sum { of } => made(&sum(rows, *of, columns)?, column),
                Part::Mean { sum: of, count } => {
                    if columns.get(*of).is_some_and(|column| is_short_float(column.type_oid)) {
                        return Err(unknown_type());
                    }
                    let Value::Int(count) = sum(rows, *count, columns)? else { return Err(unknown_type()) };
                    let count = i64::try_from(count).map_err(|_| unknown_type())?;
                    made(&sum(rows, *of, columns)?.mean(count).ok_or_else(unknown_type)?, column)
                }
                Part::Min { by_bytes } => best(rows, at, columns, *by_bytes, Ordering::Less),
                Part::Max { by_bytes } => best(rows, at, columns, *by_bytes, Ordering::Greater),
                Part::And => truth(rows, at, columns, |values| values.iter().all(|value| *value)),
                Part::Or => truth(rows, at, columns, |values| values.contains(&true)),
            }
        })
        .collect()
}

fn made<'r>(value: &Value, column: &Column) -> Result<Option<Cow<'r, [u8]>>, ShardError> {
    match value.write(column) {
        Ok(cell) => Ok(cell.map(Cow::Owned)),
        Err(Unwritable::Type) => Err(unknown_type()),
        Err(Unwritable::Range) => Err(ShardError::out_of_range()),
    }
}

fn sum(rows: &[Row<'_>], of: usize, columns: &[Column]) -> Result<Value, ShardError> {
    rows.iter()
        .try_fold(Value::Null, |sum, row| sum.add(&value_at(row, of, columns)?).ok_or_else(unknown_type))
}

fn best<'r>(
    rows: &[Row<'r>],
    at: usize,
    columns: &[Column],
    by_bytes: bool,
    wanted: Ordering,
) -> Result<Option<Cow<'r, [u8]>>, ShardError> {
    if columns.get(at).is_some_and(|column| is_collated(column.type_oid)) && !by_bytes {
        return Err(ShardError::unmergeable(
            "min or max of text by the rules of a language (not COLLATE \"C\")",
        ));
    }
    let mut best: Option<(Value, &Row<'r>)> = None;
    for row in rows {
        let value = value_at(row, at, columns)?;
        if value != Value::Null && best.as_ref().is_none_or(|(best, _)| value.order(best) == wanted) {
            best = Some((value, row));
        }
    }
    Ok(best.and_then(|(_, row)| row.get(at).cloned()).flatten())
}

/// NULL counts for nothing.
fn truth<'r>(
    rows: &[Row<'r>],
    at: usize,
    columns: &[Column],
    judge: impl Fn(&[bool]) -> bool,
) -> Result<Option<Cow<'r, [u8]>>, ShardError> {
    let mut values = Vec::new();
    for row in rows {
        match value_at(row, at, columns)? {
            Value::Null => {}
            Value::Bool(value) => values.push(value),
            _ => return Err(unknown_type()),
        }
    }
    let value = if values.is_empty() { Value::Null } else { Value::Bool(judge(&values)) };
    let column = columns.get(at).ok_or_else(unknown_type)?;
    made(&value, column)
}
