//! Writing rows in bulk, and finding and deleting them by key.

use std::collections::HashSet;

use bytes::Bytes;
use wire::{Connection, Param, QueryOptions};

use super::catalog::{Relation, quoted};
use super::decode::{decode, decode_list_key, is_list_key};
use super::encode::{push_copy_row, text_of};
use super::stored::StoredTypes;
use crate::error::{Error, ErrorKind, Result};
use crate::table::{ColumnType, Row, RowBatch, Table, TableColumn};
use crate::value::Value;

/// The text of a COPY is sent in pieces of this size.
const PIECE_BYTES: usize = 256 << 10;
/// The protocol counts parameters in 16 bits.
const MOST_PARAMETERS: usize = 65_535;
/// Rows per statement of an upsert; more would not be faster.
const UPSERT_ROWS: usize = 1000;
/// What a binary COPY begins and ends with.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: &[u8; 2] = &[0xff, 0xff];

/// Inserts a batch by COPY. The caller has begun the transaction.
pub(super) async fn insert(
    connection: &mut Connection,
    relation: &Relation,
    table: &Table,
    batch: &RowBatch,
) -> Result<()> {
    let columns: Vec<_> = writable(table).map(|(_, column)| quoted(&column.name)).collect();
    let target = format!("COPY {} ({}) FROM STDIN", relation.quoted, columns.join(", "));
    match batch {
        RowBatch::PgBinary { tuples, .. } => {
            let mut copy = connection.copy_in(&format!("{target} (FORMAT binary)")).await?;
            copy.send(Bytes::from_static(HEADER)).await?;
            copy.send(tuples).await?;
            copy.send(Bytes::from_static(TRAILER)).await?;
            copy.finish().await?;
        }
        RowBatch::Rows(rows) => {
            let mut copy = connection.copy_in(&target).await?;
            let mut buffer = Vec::with_capacity(PIECE_BYTES + (PIECE_BYTES >> 3));
            for row in rows {
                let values = writable(table)
                    .map(|(i, column)| (row.get(i).unwrap_or(&Value::Null), &column.column_type));
                push_copy_row(&mut buffer, values);
                if buffer.len() >= PIECE_BYTES {
                    copy.send(&buffer).await?;
                    buffer.clear();
                }
            }
            copy.send(&buffer).await?;
            copy.finish().await?;
        }
        RowBatch::Packed(_) => {
            let message = "rows that were packed for another database were handed to PostgreSQL";
            return Err(Error::new(ErrorKind::Internal, message));
        }
    }
    Ok(())
}

/// Inserts or overwrites rows. The caller has begun the transaction.
pub(super) async fn upsert(
    connection: &mut Connection,
    relation: &Relation,
    table: &Table,
    rows: &[Row],
) -> Result<()> {
    let per_statement = UPSERT_ROWS.min(MOST_PARAMETERS / table.columns.len().max(1)).max(1);
    let rows = last_of_each_key(table, rows);
    for chunk in rows.chunks(per_statement) {
        let statement = upsert_statement(relation, table, chunk.len());
        let parameters: Vec<_> = chunk.iter().flat_map(|row| row_parameters(table, row)).collect();
        connection.query(&statement, &parameters).await?;
    }
    Ok(())
}

/// The rows without those that a later one overwrites, as one statement may touch a row only once.
fn last_of_each_key<'a>(table: &Table, rows: &'a [Row]) -> Vec<&'a Row> {
    let key = |row: &Row| -> Vec<Option<String>> {
        table.key.iter().map(|position| row.get(*position).and_then(|value| text_of(value, None))).collect()
    };
    let mut seen = HashSet::with_capacity(rows.len());
    let mut last: Vec<&Row> = rows.iter().rev().filter(|row| seen.insert(key(row))).collect();
    last.reverse();
    last
}

fn upsert_statement(relation: &Relation, table: &Table, rows: usize) -> String {
    let names: Vec<_> = writable(table).map(|(_, column)| quoted(&column.name)).collect();
    let width = names.len();
    let tuple = |row: usize| {
        let places: Vec<_> = (1..=width).map(|column| format!("${}", row * width + column)).collect();
        format!("({})", places.join(", "))
    };
    let key: Vec<_> = table.key.iter().map(|position| quoted(&table.columns[*position].name)).collect();
    let changed: Vec<_> = writable(table)
        .filter(|(position, _)| !table.key.contains(position))
        .map(|(_, column)| quoted(&column.name))
        .map(|name| format!("{name} = EXCLUDED.{name}"))
        .collect();
    let action =
        if changed.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", changed.join(", ")) };
    format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES {} ON CONFLICT ({}) DO {action}",
        relation.quoted,
        names.join(", "),
        (0..rows).map(tuple).collect::<Vec<_>>().join(", "),
        key.join(", ")
    )
}

fn row_parameters<'a>(table: &'a Table, row: &'a Row) -> impl Iterator<Item = Param<'static>> + 'a {
    writable(table)
        .map(|(i, column)| row.get(i).and_then(|value| text_of(value, Some(&column.column_type))).into())
}

/// The columns that can be written, with their positions.
fn writable(table: &Table) -> impl Iterator<Item = (usize, &TableColumn)> {
    table.columns.iter().enumerate().filter(|(_, column)| !column.generated)
}

/// The rows with these keys.
pub(super) async fn fetch(
    connection: &mut Connection,
    relation: &Relation,
    stored: &StoredTypes,
    keys: &[Vec<Value>],
) -> Result<Vec<Row>> {
    let table = stored.table();
    let columns = stored.selection();
    let mut rows = Vec::with_capacity(keys.len());
    for lookup in Lookup::of(table, keys) {
        let statement = format!("SELECT {columns} FROM {} WHERE {}", relation.own_rows(), lookup.condition);
        let options = QueryOptions { cache: lookup.is_repeated, ..QueryOptions::binary() };
        let result = connection.query_with(&statement, &lookup.parameters, &options).await?;
        for row in result.rows.iter() {
            let values =
                row.iter().zip(&table.columns).enumerate().map(|(position, (field, column))| match field {
                    None => Ok(Value::Null),
                    Some(field) if is_list_key(table, position) => {
                        decode_list_key(&column.column_type, field)
                    }
                    Some(field) => decode(&column.column_type, field),
                });
            rows.push(values.collect::<Result<Row>>()?);
        }
    }
    Ok(stored.declare(rows))
}

/// Deletes the rows with these keys. The caller has begun the transaction.
pub(super) async fn delete(
    connection: &mut Connection,
    relation: &Relation,
    table: &Table,
    keys: &[Vec<Value>],
) -> Result<u64> {
    let mut deleted = 0;
    for lookup in Lookup::of(table, keys) {
        let statement = format!("DELETE FROM {} WHERE {}", relation.own_rows(), lookup.condition);
        let options = QueryOptions { cache: lookup.is_repeated, ..QueryOptions::default() };
        deleted += connection.query_with(&statement, &lookup.parameters, &options).await?.rows_affected;
    }
    Ok(deleted)
}

/// Deletes rows of several tables by one statement, at whose end foreign keys are looked at. How many there were in each.
pub(super) async fn delete_together(
    connection: &mut Connection,
    parts: &[(Relation, &Table, &[Vec<Value>])],
) -> Result<Vec<u64>> {
    let (mut deletions, mut counted, mut parameters) = (Vec::new(), Vec::new(), Vec::new());
    for (part, (relation, table, keys)) in parts.iter().enumerate() {
        for chunk in Lookup::chunks(table, keys) {
            let lookup = Lookup::behind(parameters.len(), table, chunk);
            let (name, rows) = (format!("d{}", deletions.len()), relation.own_rows());
            deletions.push(format!("{name} AS (DELETE FROM {rows} WHERE {} RETURNING 1)", lookup.condition));
            counted.push(part);
            parameters.extend(lookup.parameters);
        }
    }
    let counts: Vec<_> = (0..deletions.len()).map(|at| format!("(SELECT count(*) FROM d{at})")).collect();
    let statement = format!("WITH {} SELECT {}", deletions.join(", "), counts.join(", "));
    let result = connection.query(&statement, &parameters).await?;
    let mut deleted = vec![0; parts.len()];
    for (at, part) in counted.into_iter().enumerate() {
        let count = result.rows.get(0).map(|row| row.get_str(at)).transpose()?.flatten();
        if let Some(total) = deleted.get_mut(part) {
            *total += count.and_then(|count| count.parse::<u64>().ok()).unwrap_or_default();
        }
    }
    Ok(deleted)
}

/// A condition that finds rows by their keys.
struct Lookup {
    condition: String,
    parameters: Vec<Param<'static>>,
    /// Whether the same text comes again, so that its statement is worth keeping.
    is_repeated: bool,
}

/// What makes a value of the column's own type of a parameter. The server cannot find out that a parameter is a composite type; one
/// with a length, which would cut it, is left to it.
fn cast(column: &TableColumn) -> String {
    match &column.column_type {
        ColumnType::Native(name) if !name.contains('(') => format!("::{name}"),
        _ => String::new(),
    }
}

fn list_cast(column: &TableColumn) -> String {
    let element = cast(column);
    if element.is_empty() { element } else { element + "[]" }
}

/// The only column of a key whose values may stand in a list. A list of lists would be taken for one of more dimensions, and JSON
/// in it is written in a syntax within a syntax.
fn list_column(table: &Table) -> Option<&TableColumn> {
    let [position] = *table.key.as_slice() else { return None };
    let column = table.columns.get(position)?;
    (!matches!(column.column_type, ColumnType::Array(_) | ColumnType::Json)).then_some(column)
}

impl Lookup {
    /// The conditions for keys, each with parameters from the first on.
    fn of(table: &Table, keys: &[Vec<Value>]) -> Vec<Self> {
        Self::chunks(table, keys).map(|chunk| Self::behind(0, table, chunk)).collect()
    }

    /// The keys in parts that each fit one condition.
    fn chunks<'k>(table: &Table, keys: &'k [Vec<Value>]) -> std::slice::Chunks<'k, Vec<Value>> {
        let width = table.key.len().max(1);
        let tuples = (MOST_PARAMETERS / width).min(UPSERT_ROWS);
        keys.chunks(if list_column(table).is_some() { keys.len() } else { tuples }.max(1))
    }

    /// The condition for some keys, in a statement that has some parameters already: one list for a key of one plain column,
    /// tuples for others.
    fn behind(earlier: usize, table: &Table, keys: &[Vec<Value>]) -> Self {
        if let Some(column) = list_column(table) {
            let list = Value::Array(keys.iter().filter_map(|key| key.first().cloned()).collect());
            let element = ColumnType::Array(Box::new(column.column_type.clone()));
            return Self {
                condition: format!("{} = ANY(${}{})", quoted(&column.name), earlier + 1, list_cast(column)),
                parameters: vec![text_of(&list, Some(&element)).into()],
                is_repeated: true,
            };
        }
        let columns: Vec<_> = table.key.iter().map(|position| &table.columns[*position]).collect();
        let names: Vec<_> = columns.iter().map(|column| quoted(&column.name)).collect();
        let width = columns.len().max(1);
        let tuple = |row: usize| {
            let place = |(at, column): (usize, &&TableColumn)| {
                format!("${}{}", earlier + row * width + at + 1, cast(column))
            };
            let places: Vec<_> = columns.iter().enumerate().map(place).collect();
            format!("({})", places.join(", "))
        };
        let tuples: Vec<_> = (0..keys.len()).map(tuple).collect();
        let parameters = keys.iter().flat_map(|key| {
            key.iter().zip(&columns).map(|(value, column)| text_of(value, Some(&column.column_type)).into())
        });
        Self {
            condition: format!("({}) IN ({})", names.join(", "), tuples.join(", ")),
            parameters: parameters.collect(),
            is_repeated: false,
        }
    }
}
