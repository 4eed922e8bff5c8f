//! Reading recorded changes back, as values of their tables' columns.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;

use super::super::raw::stream_rows;
use super::super::value::{key_as_declared, row_as_declared};
use super::capture::Source;
use super::own_tables::{CHANGE, OPERATION_DELETE, OPERATION_INSERT};
use super::triggers::value_names;
use crate::error::{Error, ErrorKind, Result};
use crate::log::change_table::{Chunk, EVENT_BYTES, EVENT_CHANGES};
use crate::log::{Change, LogReader, Operation, Unchanged};
use crate::rows::{Cell, CellSink};
use crate::table::{Row, Table};
use crate::value::Value;

/// What stands before the values of a change.
const HEAD_CELLS: usize = 3;

/// What a reader reads of the change table.
pub(super) struct ReadLayouts {
    layouts: HashMap<i64, ReadLayout>,
    /// Values that the widest change has.
    width: usize,
}

/// A layout, and how its values become a row.
struct ReadLayout {
    table: Arc<Table>,
    /// How many values of the key come first.
    keys: usize,
    /// Where the columns of the table stand in the layout.
    columns: Vec<usize>,
}

impl ReadLayouts {
    /// The layouts of a reader's tables.
    pub(super) fn new(reader: &LogReader, sources: &[Source]) -> Self {
        let mut layouts = HashMap::new();
        let mut width = 0;
        for source in sources {
            let Some(known) = reader.tables.iter().find(|table| table.name == source.table) else { continue };
            let columns = source.layout.columns.iter().enumerate().filter(|(_, column)| !column.is_gone);
            let layout = ReadLayout {
                table: source.layout.table(known),
                keys: source.layout.key.len(),
                columns: columns.map(|(position, _)| position).collect(),
            };
            width = width.max(source.layout.width());
            layouts.insert(source.id, layout);
        }
        Self { layouts, width }
    }

    /// Reads changes behind one number, up to another.
    pub(super) async fn read(
        &self,
        connection: &mut SqliteConnection,
        behind: u64,
        up_to: u64,
    ) -> Result<Chunk> {
        let mut sources: Vec<String> = self.layouts.keys().map(ToString::to_string).collect();
        sources.sort_unstable();
        let values: String = value_names(self.width).map(|name| format!(", {name}")).collect();
        let sql = format!(
            "SELECT seq, source, operation{values} FROM {CHANGE} WHERE seq > ? AND seq <= ? AND source IN ({}) \
             ORDER BY seq LIMIT {EVENT_CHANGES}",
            sources.join(", ")
        );
        let number = |order: u64| Value::Int64(i64::try_from(order).unwrap_or(i64::MAX));
        let mut rows =
            ChangeRows { layouts: self, row: Vec::new(), changes: Vec::new(), last: up_to, bytes: 0 };
        match stream_rows(connection, &sql, &[number(behind), number(up_to)], &mut rows).await {
            Err(error) if error.kind() == ErrorKind::Stopped => {}
            result => result?,
        }
        let is_cut = rows.changes.len() >= EVENT_CHANGES || rows.bytes >= EVENT_BYTES;
        let last = if is_cut { rows.last } else { up_to };
        Ok(Chunk { changes: rows.changes, last, is_cut })
    }

    fn change(&self, row: &mut Vec<Value>) -> Result<Change> {
        let malformed = || Error::new(ErrorKind::Internal, "a row of the change table is malformed");
        let mut values = row.drain(..);
        let _seq = values.next();
        let source = values.next().and_then(|source| source.as_integer());
        let layout = source.and_then(|source| self.layouts.get(&source)).ok_or_else(malformed)?;
        let operation = values.next();
        let operation = operation.as_ref().and_then(Value::as_text).ok_or_else(malformed)?;
        let key: Vec<Value> = values.by_ref().take(layout.keys).collect();
        let key = || layout.key(key);
        let operation = match operation {
            OPERATION_DELETE => Operation::Delete { key: key() },
            OPERATION_INSERT => Operation::Insert { row: layout.row(values.collect()) },
            _ => {
                let old_key = key();
                // A key that the row still has is not recorded.
                let old_key = old_key.iter().any(|value| !matches!(value, Value::Null)).then_some(old_key);
                Operation::Update {
                    old_key,
                    row: layout.row(values.collect()),
                    unchanged: Unchanged::default(),
                }
            }
        };
        Ok(Change { table: Arc::clone(&layout.table), operation })
    }
}

impl ReadLayout {
    fn key(&self, values: Vec<Value>) -> Vec<Value> {
        let columns = self.table.key.iter().filter_map(|position| self.table.columns.get(*position));
        columns.zip(values).map(|(column, value)| key_as_declared(&column.column_type, value)).collect()
    }

    fn row(&self, mut values: Vec<Value>) -> Row {
        let mut value = |position: &usize| values.get_mut(*position).map(std::mem::take).unwrap_or_default();
        row_as_declared(&self.table, self.columns.iter().map(&mut value))
    }
}

/// Takes the rows of the change table, until there are enough for an event.
struct ChangeRows<'a> {
    layouts: &'a ReadLayouts,
    row: Vec<Value>,
    changes: Vec<Change>,
    last: u64,
    bytes: usize,
}

impl CellSink for ChangeRows<'_> {
    fn columns(&mut self, _names: &[&str]) -> Result<()> {
        Ok(())
    }

    fn cell(&mut self, cell: Cell<'_>) {
        self.bytes += match cell {
            Cell::Text(text) => text.len(),
            Cell::Bytes(bytes) => bytes.len(),
            _ => 0,
        } + size_of::<Value>();
        self.row.push(match cell {
            // Tables hold 64-bit integers; the narrow form is for applications.
            Cell::Integer(number) => Value::Int64(number),
            cell => cell.to_value(),
        });
    }

    fn end_row(&mut self) -> Result<()> {
        debug_assert!(self.row.len() >= HEAD_CELLS, "the cells of every change begin alike");
        let seq = self.row.first().and_then(Value::as_integer);
        self.last = seq.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(self.last);
        let change = self.layouts.change(&mut self.row)?;
        self.changes.push(change);
        if self.bytes >= EVENT_BYTES {
            return Err(Error::new(ErrorKind::Stopped, "the event is full"));
        }
        Ok(())
    }
}
