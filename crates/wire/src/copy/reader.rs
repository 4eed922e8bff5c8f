//! Reads rows from a binary COPY that arrives in pieces.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

use super::SIGNATURE;
use crate::error::{Error, Result};

/// The signature, the flags and the length of the extension.
const HEADER: usize = 19;
/// Flags in the upper half change the format; this client knows none.
const CRITICAL_FLAGS: u32 = 0xffff_0000;
/// The longest extension of the header that is passed over. PostgreSQL writes none.
const LONGEST_EXTENSION: usize = 64 << 10;
/// The longest field the server can hold.
const LONGEST_FIELD: usize = 0x4000_0000;

/// Finds rows and their fields in a binary COPY. Only a row that is cut by the end of a piece is copied.
#[derive(Debug, Default)]
pub struct BinaryCopyReader {
    /// The piece being read.
    current: Bytes,
    /// The pieces after it.
    following: VecDeque<Bytes>,
    stage: Stage,
    /// The bytes of the last row returned.
    row: Bytes,
    fields: Vec<Option<Range<usize>>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Header,
    Rows,
    Ended,
}

/// What the bytes at hand amount to.
enum Found {
    /// A row of this many bytes.
    Row(usize),
    Trailer,
    /// At least this many bytes are needed.
    Short(usize),
}

/// A row of a binary COPY.
#[derive(Debug, Clone, Copy)]
pub struct CopyRow<'a> {
    data: &'a Bytes,
    fields: &'a [Option<Range<usize>>],
}

impl<'a> CopyRow<'a> {
    /// Where each field lies in [`CopyRow::data`]; `None` for NULL.
    pub fn fields(&self) -> &'a [Option<Range<usize>>] {
        self.fields
    }

    /// The bytes of the row.
    pub fn data(&self) -> &'a Bytes {
        self.data
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether the row has no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The bytes of the field at `index`; `None` where it is NULL (or there is no such field).
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.data.get(self.fields.get(index)?.clone()?)
    }

    /// The field at `index` as bytes that share the piece's buffer; `None` where it is NULL.
    pub fn bytes(&self, index: usize) -> Option<Bytes> {
        self.get(index).map(|field| self.data.slice_ref(field))
    }
}

impl BinaryCopyReader {
    /// A reader at the beginning of a COPY.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next piece.
    pub fn push(&mut self, piece: Bytes) {
        if self.current.is_empty() && self.following.is_empty() {
            self.current = piece;
        } else if !piece.is_empty() {
            self.following.push_back(piece);
        }
    }

    /// The next row, or `None` when another piece is needed or the COPY has ended.
    ///
    /// # Errors
    /// The data is no binary COPY.
    pub fn next_row(&mut self) -> Result<Option<CopyRow<'_>>> {
        loop {
            let found = match self.stage {
                Stage::Header => find_header(&self.current)?,
                Stage::Rows => find_row(&self.current, &mut self.fields)?,
                Stage::Ended => {
                    return if self.current.is_empty() {
                        Ok(None)
                    } else {
                        Err(malformed("data after its end"))
                    };
                }
            };
            match (found, self.stage) {
                (Found::Short(needed), _) => {
                    if !self.lengthen(needed) {
                        return Ok(None);
                    }
                }
                (Found::Row(length), Stage::Header) => {
                    self.advance(length);
                    self.stage = Stage::Rows;
                }
                (Found::Row(length), _) => {
                    self.row = self.current.split_to(length);
                    self.take_following();
                    return Ok(Some(CopyRow { data: &self.row, fields: &self.fields }));
                }
                (Found::Trailer, _) => {
                    self.advance(2);
                    self.stage = Stage::Ended;
                }
            }
        }
    }

    /// Whether the end of the COPY has been read.
    pub fn is_ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// To be called after the last piece.
    ///
    /// # Errors
    /// The COPY was cut off: its end is missing.
    pub fn finish(&self) -> Result<()> {
        if self.is_ended() { Ok(()) } else { Err(malformed("the end is missing")) }
    }

    fn advance(&mut self, length: usize) {
        self.current.advance(length);
        self.take_following();
    }

    fn take_following(&mut self) {
        if self.current.is_empty()
            && let Some(next) = self.following.pop_front()
        {
            self.current = next;
        }
    }

    /// Makes the current piece at least `needed` bytes long with bytes of those after it. Returns whether
    /// there are enough.
    fn lengthen(&mut self, needed: usize) -> bool {
        let available = self.current.len() + self.following.iter().map(Bytes::len).sum::<usize>();
        if available < needed {
            return false;
        }
        let mut joined = match std::mem::take(&mut self.current).try_into_mut() {
            Ok(joined) => joined,
            Err(shared) => BytesMut::from(&*shared),
        };
        joined.reserve(needed - joined.len());
        while joined.len() < needed {
            let Some(next) = self.following.front_mut() else { break };
            let piece = next.split_to(next.len().min(needed - joined.len()));
            joined.extend_from_slice(&piece);
            if next.is_empty() {
                self.following.pop_front();
            }
        }
        self.current = joined.freeze();
        true
    }
}

fn find_header(bytes: &[u8]) -> Result<Found> {
    let signature = bytes.get(..SIGNATURE.len().min(bytes.len())).unwrap_or_default();
    if !SIGNATURE.starts_with(signature) {
        return Err(malformed("the signature is missing"));
    }
    let Some([flags @ .., e0, e1, e2, e3]) = bytes.get(SIGNATURE.len()..HEADER) else {
        return Ok(Found::Short(HEADER));
    };
    let flags = flags.iter().fold(0_u32, |flags, byte| flags << 8 | u32::from(*byte));
    if flags & CRITICAL_FLAGS != 0 {
        return Err(malformed("the header has unknown flags"));
    }
    let extension = u32::from_be_bytes([*e0, *e1, *e2, *e3]) as usize;
    if extension > LONGEST_EXTENSION {
        return Err(malformed("the header's extension is too long"));
    }
    let length = HEADER + extension;
    Ok(if bytes.len() < length { Found::Short(length) } else { Found::Row(length) })
}

fn find_row(bytes: &[u8], fields: &mut Vec<Option<Range<usize>>>) -> Result<Found> {
    fields.clear();
    let Some((count, mut rest)) = bytes.split_first_chunk::<2>() else { return Ok(Found::Short(2)) };
    let count = i16::from_be_bytes(*count);
    if count == -1 {
        return Ok(Found::Trailer);
    }
    let count = usize::try_from(count).map_err(|_| malformed("a row has a negative number of fields"))?;
    let mut at = 2;
    for _ in 0..count {
        let Some((length, after)) = rest.split_first_chunk::<4>() else { return Ok(Found::Short(at + 4)) };
        at += 4;
        rest = after;
        let length = match i32::from_be_bytes(*length) {
            -1 => {
                fields.push(None);
                continue;
            }
            length => usize::try_from(length).ok().filter(|length| *length <= LONGEST_FIELD),
        };
        let length = length.ok_or_else(|| malformed("a field has an impossible length"))?;
        let Some(after) = rest.get(length..) else { return Ok(Found::Short(at + length)) };
        fields.push(Some(at..at + length));
        at += length;
        rest = after;
    }
    Ok(Found::Row(at))
}

fn malformed(what: &str) -> Error {
    Error::protocol(format!("binary COPY: {what}"))
}
