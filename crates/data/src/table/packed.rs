//! Rows in the form in which a table stores them, packed into a few buffers however many values they have.

use std::sync::Arc;

use bytes::Bytes;

use super::Table;

/// Rows that only have to be bound. The tuples of PostgreSQL that they were made of are kept: texts lie there, and they
/// can be decoded where rows must be looked at one by one.
#[derive(Debug, Clone)]
pub struct PackedRows {
    pub(crate) rows: usize,
    /// How many values a row has.
    pub(crate) width: usize,
    /// The values, row by row.
    pub(crate) cells: Vec<Cell>,
    /// The texts that do not lie in the tuples.
    pub(crate) rendered: Vec<u8>,
    pub(crate) tuples: Bytes,
    /// The table that the tuples were read from.
    pub(crate) table: Arc<Table>,
}

/// A value, or where it lies.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Double(f64),
    /// UTF-8 among the tuples.
    Text(Place),
    /// UTF-8 that was rendered.
    Rendered(Place),
    /// Bytes among the tuples.
    Bytes(Place),
}

/// A part of a buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    start: u32,
    length: u32,
}

/// A value to be bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum PackedValue<'a> {
    Null,
    Integer(i64),
    Double(f64),
    /// UTF-8.
    Text(&'a [u8]),
    Bytes(&'a [u8]),
}

impl Place {
    /// The part from one position to another; `None` in a buffer of 4 GiB.
    pub(crate) fn between(start: usize, end: usize) -> Option<Self> {
        let length = end.checked_sub(start)?;
        Some(Self { start: u32::try_from(start).ok()?, length: u32::try_from(length).ok()? })
    }

    fn of(self, buffer: &[u8]) -> &[u8] {
        let start = self.start as usize;
        buffer.get(start..start + self.length as usize).unwrap_or_default()
    }
}

impl PackedRows {
    /// The rows, each with its values.
    pub(crate) fn each_row(&self) -> impl Iterator<Item = impl Iterator<Item = PackedValue<'_>> + Clone> {
        self.cells.chunks(self.width.max(1)).map(|row| row.iter().map(|cell| self.value(*cell)))
    }

    /// The value of one of the cells.
    pub(crate) fn value(&self, cell: Cell) -> PackedValue<'_> {
        match cell {
            Cell::Null => PackedValue::Null,
            Cell::Integer(number) => PackedValue::Integer(number),
            Cell::Double(number) => PackedValue::Double(number),
            Cell::Text(place) => PackedValue::Text(place.of(&self.tuples)),
            Cell::Rendered(place) => PackedValue::Text(place.of(&self.rendered)),
            Cell::Bytes(place) => PackedValue::Bytes(place.of(&self.tuples)),
        }
    }
}
