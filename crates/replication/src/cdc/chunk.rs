//! The parts of a first copy, each kept on the target with the position that its rows were read at.

use std::sync::Arc;

use data::log::Position;
use data::table::{KeyRange, Row, ScanOptions, Table, TableTransaction};
use data::{Result, Value};

use super::control_tables::{Fields, row_of, signed};
use super::identity::digest;
use super::typed_json::{typed_text, values_of_typed_text};
use crate::snapshot::End;

/// A part of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chunk {
    /// The table at the source.
    pub(super) table: String,
    /// Its place among the parts of the table.
    pub(super) number: u64,
    /// The last key of the part; none for the last one.
    pub(super) upper_bound: Option<Vec<Value>>,
    /// The holder of the lease that copies it.
    pub(super) epoch: u64,
    /// Where in the log its rows were read, or began to be where they are not written in one transaction.
    pub(super) position: Option<Position>,
    /// Whether all of them have been written.
    pub(super) is_copied: bool,
}

impl Chunk {
    /// The parts of a table between these bounds.
    pub(super) fn plan(table: &str, bounds: Vec<Vec<Value>>, epoch: u64) -> Vec<Self> {
        let bounds = bounds.into_iter().map(Some).chain(std::iter::once(None));
        let parts = bounds.zip(0..).map(|(upper_bound, number)| Self {
            table: table.to_owned(),
            number,
            upper_bound,
            epoch,
            position: None,
            is_copied: false,
        });
        parts.collect()
    }

    /// The keys it holds, given the part before it.
    pub(super) fn range(&self, before: Option<&Self>) -> Option<KeyRange> {
        let after = before.and_then(|before| before.upper_bound.clone());
        let is_whole = after.is_none() && self.upper_bound.is_none();
        (!is_whole).then(|| KeyRange { after, up_to: self.upper_bound.clone() })
    }

    fn key(&self, reader: &str) -> String {
        format!("{reader}:{}:{}", digest(&[&self.table]), self.number)
    }

    fn of_row(table: &Table, row: &Row) -> Self {
        let fields = Fields::of(table, row);
        let position = (fields.integer("begun") != 0).then(|| Position {
            order: fields.unsigned("position"),
            token: fields.text("token").map(str::to_owned),
        });
        Self {
            table: fields.text("source_table").unwrap_or_default().to_owned(),
            number: fields.unsigned("number"),
            upper_bound: fields.text("upper_bound").and_then(values_of_typed_text),
            epoch: fields.unsigned("epoch"),
            position,
            is_copied: fields.integer("copied") != 0,
        }
    }

    fn row(&self, table: &Table, reader: &str) -> Row {
        let position = self.position.as_ref();
        let values = [
            ("reader", Value::from(reader)),
            ("source_table", Value::from(self.table.as_str())),
            ("number", signed(self.number)),
            ("upper_bound", Value::from(self.upper_bound.as_deref().map(typed_text))),
            ("epoch", signed(self.epoch)),
            ("begun", Value::Int64(i64::from(position.is_some()))),
            ("position", signed(position.map_or(0, |position| position.order))),
            ("token", Value::from(position.and_then(|position| position.token.clone()))),
            ("copied", Value::Int64(i64::from(self.is_copied))),
        ];
        row_of(table, &self.key(reader), &values)
    }
}

/// The chunks of a reader, by table and number.
pub(super) async fn load_chunks(target: &End, table: &Table, reader: &str) -> Result<Vec<Chunk>> {
    let snapshot = target.tables()?.snapshot().await?;
    let mut batches = snapshot.scan(Arc::new(table.clone()), ScanOptions::default()).await?;
    let mut chunks = Vec::new();
    while let Some(batch) = batches.recv().await {
        let rows = batch?.into_rows()?;
        let own = rows.iter().filter(|row| Fields::of(table, row).text("reader") == Some(reader));
        chunks.extend(own.map(|row| Chunk::of_row(table, row)));
    }
    chunks.sort_by(|a, b| (&a.table, a.number).cmp(&(&b.table, b.number)));
    Ok(chunks)
}

/// Whether a chunk is still to be copied by the holder of the lease that means to; kept so until the end of the
/// transaction.
pub(super) async fn is_to_be_copied(
    transaction: &mut dyn TableTransaction,
    table: &Table,
    reader: &str,
    chunk: &Chunk,
) -> Result<bool> {
    let rows = transaction.fetch(table, &[vec![Value::from(chunk.key(reader))]]).await?;
    let stored = rows.first().map(|row| Chunk::of_row(table, row));
    Ok(stored.is_some_and(|stored| stored.epoch == chunk.epoch && !stored.is_copied))
}

/// Writes chunks as they are.
pub(super) async fn store_chunks(
    transaction: &mut dyn TableTransaction,
    table: &Table,
    reader: &str,
    chunks: &[Chunk],
) -> Result<()> {
    let rows: Vec<Row> = chunks.iter().map(|chunk| chunk.row(table, reader)).collect();
    if rows.is_empty() { Ok(()) } else { transaction.upsert(table, &rows).await }
}

/// Forgets chunks.
pub(super) async fn remove_chunks(
    transaction: &mut dyn TableTransaction,
    table: &Table,
    reader: &str,
    chunks: &[Chunk],
) -> Result<()> {
    let keys: Vec<_> = chunks.iter().map(|chunk| vec![Value::from(chunk.key(reader))]).collect();
    if keys.is_empty() { Ok(()) } else { transaction.delete(table, &keys).await.map(drop) }
}
