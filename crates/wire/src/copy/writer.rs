//! Writes rows of a binary COPY.

use bytes::{BufMut, Bytes, BytesMut};

use super::SIGNATURE;
use crate::error::{Error, Result};

/// Builds a binary COPY in a buffer, from which it is taken piece by piece.
#[derive(Debug)]
pub struct BinaryCopyWriter {
    buffer: BytesMut,
}

impl BinaryCopyWriter {
    /// A writer whose buffer holds the header.
    pub fn new() -> Self {
        let mut buffer = BytesMut::with_capacity(128 << 10);
        buffer.put_slice(SIGNATURE);
        // No flags, no extension.
        buffer.put_u64(0);
        Self { buffer }
    }

    /// Begins a row. It counts once [`RowWriter::finish`] is called; dropped before, it leaves no trace.
    pub fn row(&mut self) -> RowWriter<'_> {
        let start = self.buffer.len();
        self.buffer.put_i16(0);
        RowWriter { buffer: &mut self.buffer, start, fields: 0, is_too_long: false, is_finished: false }
    }

    /// The bytes in the buffer.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether the buffer is empty.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Takes what the buffer holds, which ends with a whole row.
    pub fn take(&mut self) -> Bytes {
        let capacity = self.buffer.capacity().min(256 << 10);
        std::mem::replace(&mut self.buffer, BytesMut::with_capacity(capacity)).freeze()
    }

    /// What the buffer holds and the end of the COPY.
    pub fn finish(mut self) -> Bytes {
        self.buffer.put_i16(-1);
        self.buffer.freeze()
    }
}

impl Default for BinaryCopyWriter {
    fn default() -> Self {
        Self::new()
    }
}

/// One row being written.
#[derive(Debug)]
pub struct RowWriter<'a> {
    buffer: &'a mut BytesMut,
    start: usize,
    fields: usize,
    is_too_long: bool,
    is_finished: bool,
}

impl RowWriter<'_> {
    /// Adds a field, in the binary format of its type.
    pub fn field(&mut self, value: &[u8]) {
        self.field_with(|buffer| buffer.put_slice(value));
    }

    /// Adds a field that `write` appends to the buffer. It must not touch what is in it.
    pub fn field_with(&mut self, write: impl FnOnce(&mut BytesMut)) {
        self.fields += 1;
        self.buffer.put_i32(0);
        let start = self.buffer.len();
        write(self.buffer);
        let length = self.buffer.len().saturating_sub(start);
        match (i32::try_from(length), start.checked_sub(4).and_then(|at| self.buffer.get_mut(at..start))) {
            (Ok(length), Some(field)) => field.copy_from_slice(&length.to_be_bytes()),
            _ => self.is_too_long = true,
        }
    }

    /// Adds a NULL.
    pub fn null(&mut self) {
        self.fields += 1;
        self.buffer.put_i32(-1);
    }

    /// The bytes of the row so far.
    pub fn len(&self) -> usize {
        self.buffer.len().saturating_sub(self.start)
    }

    /// Whether the row has no field yet.
    pub fn is_empty(&self) -> bool {
        self.fields == 0
    }

    /// Ends the row.
    ///
    /// # Errors
    /// It has more fields, or a longer one, than the format can say; the row is not written.
    pub fn finish(mut self) -> Result<()> {
        let count = i16::try_from(self.fields).map_err(|_| {
            Error::config("row", format!("{} fields are more than a row can have", self.fields))
        })?;
        if self.is_too_long {
            return Err(Error::config("row", "a field is longer than 2 GiB"));
        }
        if let Some(field) = self.buffer.get_mut(self.start..self.start + 2) {
            field.copy_from_slice(&count.to_be_bytes());
        }
        self.is_finished = true;
        Ok(())
    }
}

impl Drop for RowWriter<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.buffer.truncate(self.start);
        }
    }
}
