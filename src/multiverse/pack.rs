//! Rows in wire format become words, doubles, bytes and texts of a parcel.

use wire::{Row, RowBatch};

use super::cell::{Malformed, boolean, day, double, integer, moment};
use super::parcel::{ItemKind, Parcel, place};
use super::shape::{Packing, Shape};

/// Adds rows of a result to a parcel.
///
/// # Errors
/// A row has other columns than its result, or a cell is not of its type. The parcel is as before then.
pub(super) fn pack_rows(
    parcel: &mut Parcel,
    slot: i32,
    shape: &Shape,
    batch: &RowBatch,
) -> Result<(), Malformed> {
    let mark = Mark::of(parcel);
    let packed = RowPacker::new(parcel, slot, shape).pack(batch);
    if packed.is_err() {
        mark.rewind(parcel);
    }
    packed
}

/// How far a parcel was filled.
struct Mark {
    words: usize,
    doubles: usize,
    bytes: usize,
    text: usize,
    texts: usize,
}

impl Mark {
    fn of(parcel: &Parcel) -> Self {
        Self {
            words: parcel.words.len(),
            doubles: parcel.doubles.len(),
            bytes: parcel.bytes.len(),
            text: parcel.text.len(),
            texts: parcel.texts.len(),
        }
    }

    fn rewind(&self, parcel: &mut Parcel) {
        parcel.words.truncate(self.words);
        parcel.doubles.truncate(self.doubles);
        parcel.bytes.truncate(self.bytes);
        parcel.text.truncate(self.text);
        parcel.texts.truncate(self.texts);
    }
}

struct RowPacker<'a> {
    parcel: &'a mut Parcel,
    slot: i32,
    shape: &'a Shape,
    first_byte: usize,
    /// The end of the text of the cells so far, in the units in which JavaScript counts.
    text_units: usize,
    is_ascii: bool,
    /// JSON texts are collected apart, since a row's cells come in turn.
    json: Vec<u8>,
}

impl<'a> RowPacker<'a> {
    fn new(parcel: &'a mut Parcel, slot: i32, shape: &'a Shape) -> Self {
        let first_byte = parcel.bytes.len();
        Self { parcel, slot, shape, first_byte, text_units: 0, is_ascii: true, json: Vec::new() }
    }

    fn pack(mut self, batch: &RowBatch) -> Result<(), Malformed> {
        if batch.columns() != self.shape.cells.len() {
            return Err(Malformed);
        }
        let first_double = self.parcel.doubles.len();
        let (rows, slot) = (place(batch.len()), self.slot);
        let (first_double, first_byte) = (place(first_double), place(self.first_byte));
        self.parcel.item(ItemKind::Rows, [slot, rows, -1, -1, first_double, first_byte, 0]);
        let words_at = self.parcel.words.len();
        for row in batch.iter() {
            self.pack_row(row)?;
        }
        let text = if self.shape.has_text { self.parcel.end_text(self.is_ascii) } else { -1 };
        let json = self.end_json();
        let words = place(self.parcel.words.len() - words_at);
        // The item's own words, which lie just before those of the rows.
        if let Some([text_word, json_word, _, _, words_word]) =
            self.parcel.words.get_mut(words_at - 5..words_at)
        {
            (*text_word, *json_word, *words_word) = (text, json, words);
        }
        Ok(())
    }

    fn pack_row(&mut self, row: Row<'_>) -> Result<(), Malformed> {
        let shape = self.shape;
        let nulls_at = self.parcel.words.len();
        self.parcel.words.extend(std::iter::repeat_n(0, shape.null_words));
        let mut null_bit = 0;
        for (cell, (packing, type_oid)) in row.iter().zip(&shape.cells) {
            match packing {
                Packing::Text => self.pack_text(cell)?,
                Packing::Json => self.pack_json(cell),
                Packing::Bytes => self.pack_bytes(cell)?,
                fixed => {
                    if cell.is_none()
                        && let Some(word) = self.parcel.words.get_mut(nulls_at + null_bit / 32)
                    {
                        *word |= 1 << (null_bit % 32);
                    }
                    null_bit += 1;
                    self.pack_fixed(*fixed, *type_oid, cell)?;
                }
            }
        }
        Ok(())
    }

    /// A cell that always takes the same room.
    fn pack_fixed(&mut self, packing: Packing, type_oid: u32, cell: Option<&[u8]>) -> Result<(), Malformed> {
        let Parcel { words, doubles, .. } = &mut *self.parcel;
        match packing {
            Packing::Double => doubles.push(cell.map_or(Ok(0.0), double)?),
            Packing::LocalTime | Packing::Instant => doubles.push(cell.map_or(Ok(0.0), moment)?),
            Packing::Bool => words.push(cell.map_or(Ok(0), boolean)?),
            Packing::Date => words.push(cell.map_or(Ok(0), day)?),
            _ if type_oid == 21 && cell.is_some_and(|cell| cell.len() != 2) => return Err(Malformed),
            _ => words.push(cell.map_or(Ok(0), integer)?),
        }
        Ok(())
    }

    fn pack_text(&mut self, cell: Option<&[u8]>) -> Result<(), Malformed> {
        let Some(cell) = cell else {
            self.parcel.words.push(-1);
            return Ok(());
        };
        if cell.is_ascii() {
            self.parcel.text.extend_from_slice(cell);
            self.text_units += cell.len();
        } else {
            // A database without an encoding gives any bytes. JavaScript would decode them the same way.
            let text = String::from_utf8_lossy(cell);
            self.parcel.text.extend_from_slice(text.as_bytes());
            self.text_units += text.chars().map(char::len_utf16).sum::<usize>();
            self.is_ascii = false;
        }
        self.parcel.words.push(i32::try_from(self.text_units).map_err(|_| Malformed)?);
        Ok(())
    }

    fn pack_bytes(&mut self, cell: Option<&[u8]>) -> Result<(), Malformed> {
        let Some(cell) = cell else {
            self.parcel.words.push(-1);
            return Ok(());
        };
        self.parcel.bytes.extend_from_slice(cell);
        let end = self.parcel.bytes.len() - self.first_byte;
        self.parcel.words.push(i32::try_from(end).map_err(|_| Malformed)?);
        Ok(())
    }

    /// NULL and JSON's own null are the same in JavaScript.
    fn pack_json(&mut self, cell: Option<&[u8]>) {
        self.json.push(if self.json.is_empty() { b'[' } else { b',' });
        self.json.extend_from_slice(cell.unwrap_or(b"null"));
    }

    fn end_json(&mut self) -> i32 {
        if !self.shape.has_json {
            return -1;
        }
        self.json.push(b']');
        match String::from_utf8_lossy(&self.json) {
            std::borrow::Cow::Borrowed(text) => self.parcel.add_text(text),
            std::borrow::Cow::Owned(text) => self.parcel.add_text(&text),
        }
    }
}
