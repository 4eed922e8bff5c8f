//! Rows as the stream sends them: one shared buffer, and where each value lies in it.

use std::fmt;

use bytes::Bytes;

use super::body::Body;
use super::error::DecodeError;
use super::relation::Relation;

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TupleValue<'a> {
    /// NULL. In a key, every column outside the key is NULL.
    Null,
    /// The value was stored out of line and has not been changed, and is not sent for that reason.
    Unchanged,
    /// As the type's output function writes it, in UTF-8.
    Text(&'a [u8]),
    /// As the type's send function writes it.
    Binary(&'a [u8]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Unchanged,
    Text,
    Binary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    kind: Kind,
    start: u32,
    length: u32,
}

/// A row, with a value for each column of its relation.
///
/// It shares the buffer of about 64 KiB that it was read into, with other messages. To keep few of many rows, keep
/// [detached](Tuple::detached) ones. Values are not shown by `Debug`.
#[derive(Clone)]
pub struct Tuple {
    data: Bytes,
    cells: Vec<Cell>,
}

impl Tuple {
    pub(super) fn read(body: &mut Body<'_>, relation: &Relation) -> Result<Self, DecodeError> {
        let count = usize::from(body.u16()?);
        if count != relation.columns.len() {
            return Err(DecodeError::ColumnCount {
                message: body.message(),
                oid: relation.oid,
                expected: relation.columns.len(),
                found: count,
            });
        }
        let mut cells = Vec::with_capacity(count);
        for _ in 0..count {
            let kind = match body.u8()? {
                b'n' => Kind::Null,
                b'u' => Kind::Unchanged,
                b't' => Kind::Text,
                b'b' => Kind::Binary,
                _ => return Err(body.invalid("kind of value")),
            };
            let (start, length) = match kind {
                Kind::Null | Kind::Unchanged => (0, 0),
                Kind::Text | Kind::Binary => body.skip_sized("length of a value")?,
            };
            let offset = |number| u32::try_from(number).map_err(|_| body.invalid("length of a value"));
            cells.push(Cell { kind, start: offset(start)?, length: offset(length)? });
        }
        Ok(Self { data: body.whole().clone(), cells })
    }

    /// The number of values, which is that of the relation's columns.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether the relation has no column.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The value at `index`, from 0; `None` where there is no such column.
    pub fn get(&self, index: usize) -> Option<TupleValue<'_>> {
        self.cells.get(index).map(|cell| self.value(*cell))
    }

    /// All values in their order.
    pub fn iter(&self) -> impl Iterator<Item = TupleValue<'_>> {
        self.cells.iter().map(|cell| self.value(*cell))
    }

    fn value(&self, cell: Cell) -> TupleValue<'_> {
        match cell.kind {
            Kind::Null => TupleValue::Null,
            Kind::Unchanged => TupleValue::Unchanged,
            Kind::Text => TupleValue::Text(self.slice(cell)),
            Kind::Binary => TupleValue::Binary(self.slice(cell)),
        }
    }

    fn slice(&self, cell: Cell) -> &[u8] {
        let start = cell.start as usize;
        // Each cell was found within the data.
        self.data.get(start..start + cell.length as usize).unwrap_or_default()
    }

    /// The bytes of the value at `index`, sharing the row's buffer; `None` where it is NULL, unchanged or not
    /// there.
    pub fn bytes(&self, index: usize) -> Option<Bytes> {
        match self.get(index)? {
            TupleValue::Text(value) | TupleValue::Binary(value) => Some(self.data.slice_ref(value)),
            TupleValue::Null | TupleValue::Unchanged => None,
        }
    }

    /// The bytes of the message the row came in, which is about what it takes to keep it.
    pub fn size(&self) -> usize {
        self.data.len()
    }

    /// The same row in a buffer of its own.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self { data: Bytes::copy_from_slice(&self.data), cells: self.cells.clone() }
    }
}

impl PartialEq for Tuple {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Tuple {}

/// Shows what kind of value each column has: values have no place in logs.
impl fmt::Debug for Tuple {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.cells.iter().map(|cell| cell.kind)).finish()
    }
}
