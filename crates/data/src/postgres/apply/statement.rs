//! The statements that change or find many rows at once: each column of the rows is one parameter.

use std::ops::Range;

use wire::Param;

use super::super::catalog::quoted;
use super::target::Target;
use crate::error::{Error, ErrorKind, Result};
use crate::table::{Row, RowPatch, Table, TableColumn};
use crate::value::Value;

/// Rows of one statement at the most; more are not faster.
const MOST_ROWS: usize = 5_000;
/// Bytes of one statement at the most, but for a single row that is longer.
const MOST_BYTES: usize = 8 << 20;
/// About what a value takes that is no text.
const VALUE_BYTES: usize = 16;

/// A statement with its parameters.
pub(super) struct Prepared {
    pub(super) sql: String,
    pub(super) parameters: Vec<Param<'static>>,
}

/// Some columns of some rows, as parameters and as what they are called in the statement.
struct Given {
    /// What stands after FROM.
    source: String,
    /// The columns, as values of the types of those of the table.
    values: Vec<String>,
    parameters: Vec<Param<'static>>,
}

impl Given {
    /// `values` gives the value of a column of a row, both by their position.
    fn of<'v>(
        target: &Target,
        columns: &[&TableColumn],
        rows: usize,
        value: impl Fn(usize, usize) -> &'v Value,
    ) -> Self {
        let (mut arrays, mut names) = (Vec::new(), Vec::new());
        let (mut values, mut parameters) = (Vec::new(), Vec::new());
        for (position, column) in columns.iter().enumerate() {
            // No column of a table is called so.
            let name = format!("replicaverse_{position}");
            let array = target.array(column, Rows { next: 0, end: rows, value: |row| value(position, row) });
            arrays.push(format!("${}::{}", position + 1, array.element.array_sql()));
            values.push(target.typed(column, array.element, &name));
            names.push(name);
            parameters.push(Param::binary(array.bytes));
        }
        let source = format!("unnest({}) AS replicaverse_rows ({})", arrays.join(", "), names.join(", "));
        Self { source, values, parameters }
    }
}

/// Counts through rows.
#[derive(Clone)]
struct Rows<F> {
    next: usize,
    end: usize,
    value: F,
}

impl<'v, F: Fn(usize) -> &'v Value> Iterator for Rows<F> {
    type Item = &'v Value;

    fn next(&mut self) -> Option<&'v Value> {
        let row = self.next;
        (row < self.end).then(|| {
            self.next += 1;
            (self.value)(row)
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end - self.next;
        (left, Some(left))
    }
}

impl<'v, F: Fn(usize) -> &'v Value> ExactSizeIterator for Rows<F> {}

/// Inserts rows; where `overwrites`, those that exist under the same key are changed instead.
pub(super) fn insert(target: &Target, table: &Table, rows: &[Row], overwrites: bool) -> Result<Prepared> {
    if let Some(row) = rows.iter().find(|row| row.len() != table.columns.len()) {
        let message =
            format!("table \"{}\": a row has {} values, not {}", table.name, row.len(), table.columns.len());
        return Err(Error::new(ErrorKind::Internal, message));
    }
    let (positions, columns): (Vec<_>, Vec<_>) =
        table.columns.iter().enumerate().filter(|(_, column)| !column.generated).unzip();
    let given =
        Given::of(target, &columns, rows.len(), |column, row| value_at(rows, row, &positions, column));
    let conflict = if overwrites { on_conflict(table) } else { String::new() };
    let sql = format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}{conflict}",
        target.relation.quoted,
        Target::names(columns).join(", "),
        given.values.join(", "),
        given.source
    );
    Ok(Prepared { sql, parameters: given.parameters })
}

fn value_at<'v>(rows: &'v [Row], row: usize, positions: &[usize], column: usize) -> &'v Value {
    let value = |position: &usize| rows.get(row)?.get(*position);
    positions.get(column).and_then(value).unwrap_or(&Value::Null)
}

fn on_conflict(table: &Table) -> String {
    let key = Target::names(key_columns(table));
    let changed: Vec<_> = table
        .columns
        .iter()
        .enumerate()
        .filter(|(position, column)| !column.generated && !table.key.contains(position))
        .map(|(_, column)| quoted(&column.name))
        .map(|name| format!("{name} = EXCLUDED.{name}"))
        .collect();
    let action =
        if changed.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", changed.join(", ")) };
    format!(" ON CONFLICT ({}) DO {action}", key.join(", "))
}

/// Changes the same columns of several rows.
pub(super) fn patch(target: &Target, table: &Table, changed: &[usize], patches: &[&RowPatch]) -> Prepared {
    let key = key_columns(table);
    let width = key.len();
    let written: Vec<_> = changed.iter().filter_map(|position| table.columns.get(*position)).collect();
    let columns: Vec<_> = key.iter().chain(&written).copied().collect();
    let given = Given::of(target, &columns, patches.len(), |column, row| {
        let patch = patches.get(row);
        let value = match column.checked_sub(width) {
            None => patch.and_then(|patch| patch.key.get(column)),
            Some(place) => patch.and_then(|patch| {
                let position = changed.get(place)?;
                patch.values.iter().find(|(own, _)| own == position).map(|(_, value)| value)
            }),
        };
        value.unwrap_or(&Value::Null)
    });
    let equal = |(column, value): (&&TableColumn, &String)| {
        format!("replicaverse_target.{} = {value}", quoted(&column.name))
    };
    let conditions: Vec<_> = key.iter().zip(&given.values).map(equal).collect();
    let assigned = written.iter().zip(given.values.iter().skip(width));
    let mut assignments: Vec<_> =
        assigned.map(|(column, value)| format!("{} = {value}", quoted(&column.name))).collect();
    // Nothing is to change, and the rows that exist are only to be counted.
    if let (true, Some(column)) = (assignments.is_empty(), key.first()) {
        assignments.push(format!("{0} = replicaverse_target.{0}", quoted(&column.name)));
    }
    let sql = format!(
        "UPDATE {} AS replicaverse_target SET {} FROM {} WHERE {}",
        target.relation.own_rows(),
        assignments.join(", "),
        given.source,
        conditions.join(" AND ")
    );
    Prepared { sql, parameters: given.parameters }
}

/// Deletes the rows with these keys.
pub(super) fn delete(target: &Target, table: &Table, keys: &[Vec<Value>]) -> Prepared {
    with_keys(target, table, keys, |condition| {
        format!("DELETE FROM {} WHERE {condition}", target.relation.own_rows())
    })
}

/// Reads and locks the rows with these keys.
pub(super) fn fetch(target: &Target, table: &Table, keys: &[Vec<Value>], selection: &str) -> Prepared {
    with_keys(target, table, keys, |condition| {
        format!("SELECT {selection} FROM {} WHERE {condition} FOR UPDATE", target.relation.own_rows())
    })
}

fn with_keys(
    target: &Target,
    table: &Table,
    keys: &[Vec<Value>],
    sql: impl FnOnce(&str) -> String,
) -> Prepared {
    let columns = key_columns(table);
    if let [column] = columns.as_slice() {
        let values = Rows { next: 0, end: keys.len(), value: |row| key_value(keys, row, 0) };
        let array = target.array(column, values);
        if target.is_comparable(column, array.element) {
            let condition = format!("{} = ANY ($1::{})", quoted(&column.name), array.element.array_sql());
            return Prepared { sql: sql(&condition), parameters: vec![Param::binary(array.bytes)] };
        }
    }
    let given = Given::of(target, &columns, keys.len(), |column, row| key_value(keys, row, column));
    let names = Target::names(columns).join(", ");
    let condition = format!("({names}) IN (SELECT {} FROM {})", given.values.join(", "), given.source);
    Prepared { sql: sql(&condition), parameters: given.parameters }
}

fn key_value(keys: &[Vec<Value>], row: usize, column: usize) -> &Value {
    keys.get(row).and_then(|key| key.get(column)).unwrap_or(&Value::Null)
}

fn key_columns(table: &Table) -> Vec<&TableColumn> {
    table.key.iter().filter_map(|position| table.columns.get(*position)).collect()
}

/// The items that each statement takes, in their order; `size` says about how many bytes one has.
pub(super) fn portions<T>(items: &[T], size: impl Fn(&T) -> usize) -> Vec<Range<usize>> {
    let mut portions = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (position, item) in items.iter().enumerate() {
        let size = size(item);
        if position > start && (position - start >= MOST_ROWS || bytes + size > MOST_BYTES) {
            portions.push(start..position);
            (start, bytes) = (position, 0);
        }
        bytes += size;
    }
    if start < items.len() {
        portions.push(start..items.len());
    }
    portions
}

/// About how many bytes values take.
pub(super) fn size_of<'v>(values: impl IntoIterator<Item = &'v Value>) -> usize {
    values
        .into_iter()
        .map(|value| match value {
            Value::Text(text) => VALUE_BYTES + text.len(),
            Value::Bytes(bytes) => VALUE_BYTES + bytes.len(),
            Value::Array(items) => VALUE_BYTES + size_of(items),
            Value::Object(object) => {
                VALUE_BYTES + object.keys().map(String::len).sum::<usize>() + size_of(object.values())
            }
            _ => VALUE_BYTES,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_takes_so_many_rows_and_bytes() {
        let sizes = |items: &[usize]| portions(items, |size| *size);
        assert!(sizes(&[]).is_empty());
        assert_eq!(sizes(&[MOST_BYTES * 2, 1, MOST_BYTES]), [0..1, 1..2, 2..3]);
        assert_eq!(sizes(&vec![1; MOST_ROWS + 1]), [0..MOST_ROWS, MOST_ROWS..MOST_ROWS + 1]);
    }
}
