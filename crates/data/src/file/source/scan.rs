//! The rows of a table in a file, batch by batch, in the types of its columns.

use tokio::sync::mpsc;

use super::super::cell::Raw;
use super::super::csv::{Field, Records};
use super::super::json::{each_line, each_object};
use super::super::spec::EmptyCells;
use super::super::sql::each_row;
use super::Files;
use super::parts::Content;
use crate::error::{Error, ErrorKind, Result};
use crate::table::{ColumnType, Row, RowBatch, ScanOptions, Table};
use crate::value::{Object, Value};

/// Rows of a batch at the most.
const BATCH_ROWS: usize = 5_000;
/// Bytes of a batch at the most, about.
const BATCH_BYTES: usize = 4 << 20;

/// Reads a table to its end, or until nobody takes its batches any more.
pub(super) fn scan(
    files: &Files,
    table: &Table,
    options: &ScanOptions,
    batches: &mpsc::Sender<Result<RowBatch>>,
) -> Result<()> {
    let Some(part) = files.part(&table.name) else {
        return Err(Error::new(ErrorKind::UnknownTable, format!("no file holds \"{}\"", table.name)));
    };
    let mut batch = Batch::new(table, options, batches);
    match &part.content {
        Content::Csv => {
            let mut records = Records::open(&part.path, files.spec.delimiter)?;
            let places: Vec<Option<usize>> = table
                .columns
                .iter()
                .map(|column| records.header.iter().position(|name| *name == column.name))
                .collect();
            while let Some(fields) = records.next()? {
                let mut fields: Vec<Option<Field>> = fields.into_iter().map(Some).collect();
                let row = table.columns.iter().zip(&places).map(|(column, place)| {
                    let field = place.and_then(|place| fields.get_mut(place)).and_then(Option::take);
                    field.map_or(Value::Null, |field| {
                        raw_field(field, files.spec.empty_cells, Some(&column.column_type))
                            .in_column(&column.column_type)
                    })
                });
                if !batch.add(row.collect())? {
                    return Ok(());
                }
            }
        }
        Content::Json(place) => {
            each_object(&part.path, place, &mut |object| batch.add(fields_in(table, object)))?
        }
        Content::Ndjson => each_line(&part.path, &mut |object| batch.add(fields_in(table, object)))?,
        Content::Sql(flavor, dump) => {
            let places: Vec<Option<usize>> = table
                .columns
                .iter()
                .map(|column| dump.columns.iter().position(|own| own.name == column.name))
                .collect();
            each_row(&part.path, *flavor, dump, &mut |mut values| {
                let row = table.columns.iter().zip(&places).map(|(column, place)| {
                    let raw = place
                        .and_then(|place| values.get_mut(place))
                        .map(|raw| std::mem::replace(raw, Raw::Null));
                    raw.unwrap_or(Raw::Null).in_column(&column.column_type)
                });
                batch.add(row.collect())
            })?;
        }
    }
    batch.send();
    Ok(())
}

fn fields_in(table: &Table, mut object: Object) -> Row {
    let value =
        |name: &str, object: &mut Object| object.get_mut(name).map(std::mem::take).unwrap_or_default();
    table
        .columns
        .iter()
        .map(|column| Raw::Plain(value(&column.name, &mut object)).in_column(&column.column_type))
        .collect()
}

/// What a cell stands for. Without a type it may yet turn out to be text.
pub(super) fn raw_field(field: Field, empty_cells: EmptyCells, column_type: Option<&ColumnType>) -> Raw {
    if !field.text.is_empty() {
        return Raw::Cell(field.text);
    }
    let takes_text = !column_type.is_some_and(|column_type| {
        matches!(
            column_type,
            ColumnType::Bool
                | ColumnType::Int16
                | ColumnType::Int32
                | ColumnType::Int64
                | ColumnType::Decimal(_)
                | ColumnType::Float32
                | ColumnType::Float64
                | ColumnType::Timestamp { .. }
                | ColumnType::Date
                | ColumnType::Time
                | ColumnType::Interval
                | ColumnType::Uuid
                | ColumnType::Json
                | ColumnType::Array(_)
                | ColumnType::Bytes
                | ColumnType::ObjectId
        )
    });
    let is_text = match empty_cells {
        EmptyCells::UnquotedAreNull => field.quoted,
        EmptyCells::AreNull => false,
        // Without a type an empty cell must not make text of a column of numbers.
        EmptyCells::AreText => column_type.is_some(),
    };
    if is_text && takes_text { Raw::Cell(String::new()) } else { Raw::Null }
}

/// Rows that are not yet handed on.
struct Batch<'a> {
    rows: Vec<Row>,
    bytes: usize,
    most_rows: usize,
    /// The position and value by which the rows of the entity are told from others.
    only: Option<(usize, &'a str)>,
    batches: &'a mpsc::Sender<Result<RowBatch>>,
}

impl<'a> Batch<'a> {
    fn new(table: &Table, options: &'a ScanOptions, batches: &'a mpsc::Sender<Result<RowBatch>>) -> Self {
        let only = options.discriminator.as_ref().and_then(|discriminator| {
            table.position(&discriminator.column).map(|position| (position, discriminator.value.as_str()))
        });
        let most_rows = options.batch_rows.unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS);
        Self { rows: Vec::new(), bytes: 0, most_rows, only, batches }
    }

    /// Takes a row; whether more are wanted.
    fn add(&mut self, row: Row) -> Result<bool> {
        if let Some((position, value)) = self.only
            && row.get(position).and_then(Value::as_text) != Some(value)
        {
            return Ok(true);
        }
        self.bytes += row.iter().map(size_of_value).sum::<usize>();
        self.rows.push(row);
        Ok(self.rows.len() < self.most_rows && self.bytes < BATCH_BYTES || self.send())
    }

    fn send(&mut self) -> bool {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.rows);
        rows.is_empty() || self.batches.blocking_send(Ok(RowBatch::Rows(rows))).is_ok()
    }
}

fn size_of_value(value: &Value) -> usize {
    const OWN: usize = 32;
    OWN + match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(items) => items.iter().map(size_of_value).sum(),
        Value::Object(object) => object.iter().map(|(name, value)| name.len() + size_of_value(value)).sum(),
        _ => 0,
    }
}
