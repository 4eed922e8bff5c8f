//! Rows as they came off the wire: one shared buffer, and where each cell lies in it.

use bytes::{Buf, Bytes, BytesMut};

use super::frame::{self, HEADER, Phase};
use crate::error::{Error, Result};

/// A batch is closed when it holds this many bytes.
const BATCH_BYTES: usize = 64 << 10;
/// Smaller batches are copied, so that a kept row does not hold on to a whole read buffer.
const COPY_BELOW: usize = 4 << 10;

/// How a value is written on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// As text, as the type's output function writes it.
    #[default]
    Text,
    /// As the type's send function writes it.
    Binary,
}

impl Format {
    pub(crate) fn code(self) -> i16 {
        match self {
            Self::Text => 0,
            Self::Binary => 1,
        }
    }
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Column {
    /// The name, which need not be unique.
    pub name: String,
    /// The table it comes from, or 0.
    pub table_oid: u32,
    /// The attribute number in that table, or 0.
    pub column_id: i16,
    /// The data type.
    pub type_oid: u32,
    /// The bytes of a value, negative where they vary.
    pub type_size: i16,
    /// The type's modifier (`atttypmod`), -1 without one.
    pub type_modifier: i32,
    /// The format of the values.
    pub format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    start: u32,
    /// Negative for NULL.
    length: i32,
}

/// Consecutive rows of one result that share a buffer of about 64 KiB.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowBatch {
    buffer: Bytes,
    cells: Vec<Cell>,
    columns: usize,
    rows: usize,
}

impl RowBatch {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The number of columns of each row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The row at `index`, from 0.
    pub fn get(&self, index: usize) -> Option<Row<'_>> {
        if index >= self.rows {
            return None;
        }
        let first = index * self.columns;
        let cells = self.cells.get(first..first + self.columns)?;
        Some(Row { buffer: &self.buffer, cells })
    }

    /// The bytes that it takes.
    pub fn size(&self) -> usize {
        self.buffer.len() + self.cells.len() * size_of::<Cell>()
    }

    /// The same rows, holding on to no more memory than they need. For rows that are kept.
    #[must_use]
    pub fn detached(&self) -> Self {
        let buffer = if self.buffer.len() < COPY_BELOW {
            self.buffer.clone()
        } else {
            Bytes::copy_from_slice(&self.buffer)
        };
        Self { buffer, ..self.clone() }
    }

    /// The server's messages in which the rows came. [`RowBatch::read_frames`] reads them again.
    pub fn frames(&self) -> &[u8] {
        &self.buffer
    }

    /// Reads the rows in some [`RowBatch::frames`], which may be those of several batches.
    ///
    /// # Errors
    /// [`Error::Protocol`] where there is anything but whole rows.
    pub fn read_frames(frames: &[u8]) -> Result<Vec<Self>> {
        let mut inbound = BytesMut::from(frames);
        let mut batches = Vec::new();
        while !inbound.is_empty() {
            let batch = Self::take(&mut inbound)?;
            if batch.is_empty() {
                return Err(Error::protocol("rows that were kept are cut off"));
            }
            batches.push(batch);
        }
        Ok(batches)
    }

    /// All rows in their order.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.rows).filter_map(|index| self.get(index))
    }

    /// Takes the data rows at the start of `inbound`, as many as have arrived completely and fit in a batch.
    pub(crate) fn take(inbound: &mut BytesMut) -> Result<Self> {
        let mut batch = Self::default();
        let mut end = 0;
        while end < BATCH_BYTES {
            let rest = inbound.get(end..).unwrap_or_default();
            let Some((b'D', length)) = peek_row(rest)? else { break };
            let Some(body) = rest.get(HEADER..HEADER + length) else { break };
            batch.push(body, end + HEADER)?;
            end += HEADER + length;
        }
        batch.buffer = if end < COPY_BELOW {
            let copy = Bytes::copy_from_slice(inbound.get(..end).unwrap_or_default());
            inbound.advance(end);
            copy
        } else {
            inbound.split_to(end).freeze()
        };
        Ok(batch)
    }

    fn push(&mut self, body: &[u8], offset: usize) -> Result<()> {
        let malformed = || Error::protocol("DataRow is malformed");
        let (count, mut rest) = body.split_first_chunk::<2>().ok_or_else(malformed)?;
        let count = usize::from(u16::from_be_bytes(*count));
        if self.rows == 0 {
            self.columns = count;
        } else if self.columns != count {
            return Err(Error::protocol("DataRow has another number of columns than the row before"));
        }
        self.cells.reserve(count);
        for _ in 0..count {
            let (length, after) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
            let length = i32::from_be_bytes(*length);
            let start = u32::try_from(offset + body.len() - after.len()).map_err(|_| malformed())?;
            rest = match usize::try_from(length) {
                Ok(bytes) => after.get(bytes..).ok_or_else(malformed)?,
                Err(_) if length == -1 => after,
                Err(_) => return Err(malformed()),
            };
            self.cells.push(Cell { start, length });
        }
        if !rest.is_empty() {
            return Err(malformed());
        }
        self.rows += 1;
        Ok(())
    }
}

/// Looks at the next frame only when it is a row: whatever follows the rows is judged when its turn comes.
fn peek_row(rest: &[u8]) -> Result<Option<(u8, usize)>> {
    match rest.first() {
        Some(b'D') => frame::peek(rest, Phase::Running),
        _ => Ok(None),
    }
}

/// One row: its cells as the server sent them.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    buffer: &'a Bytes,
    cells: &'a [Cell],
}

impl<'a> Row<'a> {
    /// The number of cells.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether the row has no cell at all.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The bytes of the cell at `index`, from 0; `None` where it is NULL (or there is no such cell).
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        let cell = self.cells.get(index)?;
        let length = usize::try_from(cell.length).ok()?;
        let start = cell.start as usize;
        self.buffer.get(start..start + length)
    }

    /// The cell at `index` as text; `None` where it is NULL.
    ///
    /// # Errors
    /// The bytes are not UTF-8, as binary values need not be.
    pub fn get_str(&self, index: usize) -> Result<Option<&'a str>> {
        self.get(index)
            .map(std::str::from_utf8)
            .transpose()
            .map_err(|_| Error::protocol(format!("the value of column {index} is not UTF-8")))
    }

    /// The cell at `index` as bytes that share the batch's buffer; `None` where it is NULL.
    pub fn bytes(&self, index: usize) -> Option<Bytes> {
        self.get(index).map(|cell| self.buffer.slice_ref(cell))
    }

    /// All cells in their order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let row = *self;
        (0..row.len()).map(move |index| row.get(index))
    }
}

/// All rows of one result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Each batch with the number of its first row.
    batches: Vec<(usize, RowBatch)>,
    length: usize,
}

impl Rows {
    pub(crate) fn push(&mut self, batch: RowBatch) {
        let first = self.length;
        self.length += batch.len();
        self.batches.push((first, batch));
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The row at `index`, from 0.
    pub fn get(&self, index: usize) -> Option<Row<'_>> {
        let after = self.batches.partition_point(|(first, _)| *first <= index);
        let (first, batch) = self.batches.get(after.checked_sub(1)?)?;
        batch.get(index - first)
    }

    /// All rows in their order.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.batches.iter().flat_map(|(_, batch)| batch.iter())
    }

    /// The batches the rows came in.
    pub fn batches(&self) -> impl Iterator<Item = &RowBatch> {
        self.batches.iter().map(|(_, batch)| batch)
    }
}
