//! One column of rows on its way to JavaScript: numbers, or a text of all its values, as its values turn out to be.

use data::{Cell, Timestamp};

use super::cell::push_cell;
use super::finish::{Finish, is_exact};
use super::repeats::{Repeats, repeated_row, word_of_repeat};
use super::write::is_date;
use crate::js_text::{ASCII, JsText, Part, highest};

/// How the values of a column are packed. The numbers are those that `lib/orm/packed-rows.ts` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Packing {
    /// Nothing: every value is NULL.
    Nulls = 0,
    /// A word for each value: where it ends in the text of the column, in UTF-16 units; -1 for NULL; -2 - n where it is the
    /// same as that of row n, which is not there twice.
    Text = 1,
    /// A word for each value.
    Int = 2,
    /// A double for each value.
    Double = 3,
    /// A word for each value: 0, 1, or -1 for NULL.
    Bool = 4,
    /// A double for each value: milliseconds since 1970, an infinity, or NaN for NULL.
    Moment = 5,
    /// The text of the column is a JSON list.
    Json = 6,
    /// So it is, with tags where JSON lacks the type.
    Tagged = 7,
    /// As [`Int`](Self::Int), after words whose bits tell which values are NULL.
    IntOrNull = 8,
    /// As [`Double`](Self::Double), after such words.
    DoubleOrNull = 9,
}

impl Packing {
    /// How a value is best packed that is not NULL.
    fn of(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Null => Self::Nulls,
            Cell::Bool(_) => Self::Bool,
            Cell::Text(_) | Cell::Decimal(_) => Self::Text,
            Cell::Integer(number) if i32::try_from(number).is_ok() => Self::Int,
            Cell::Integer(number) if is_exact(number) => Self::Double,
            Cell::Float(number) if word_of(number).is_some() => Self::Int,
            Cell::Float(_) => Self::Double,
            Cell::Timestamp(moment) if moment.is_infinite() || is_date(moment) => Self::Moment,
            Cell::Json(_) => Self::Json,
            Cell::Value(value) if Finish::of(value).is_none() => Self::Json,
            Cell::Integer(_) | Cell::Timestamp(_) | Cell::Bytes(_) | Cell::Value(_) => Self::Tagged,
        }
    }

    /// How a column is packed that has been packed so, and now has a value that is best packed as `next`.
    fn followed_by(self, next: Self) -> Self {
        match (self, next) {
            (Self::Nulls, next) => next,
            (Self::Int | Self::Double, Self::Int | Self::Double) if self != next => Self::Double,
            (Self::Json, Self::Text | Self::Int | Self::Bool) => Self::Json,
            (before, next) if before == next => before,
            _ => Self::Tagged,
        }
    }
}

/// The values of a column since the last time that it was emptied.
#[derive(Debug)]
pub(super) struct Column {
    packing: Packing,
    rows: usize,
    words: Vec<i32>,
    doubles: Vec<f64>,
    /// A bit for each value, from the first NULL on; only numbers need it.
    nulls: Vec<i32>,
    text: Vec<u8>,
    /// The highest byte of the text.
    highest: u8,
    /// How long the text is for JavaScript.
    units: usize,
    repeats: Repeats,
}

impl Column {
    pub(super) fn new() -> Self {
        Self {
            packing: Packing::Nulls,
            rows: 0,
            words: Vec::new(),
            doubles: Vec::new(),
            nulls: Vec::new(),
            text: Vec::new(),
            highest: 0,
            units: 0,
            repeats: Repeats::default(),
        }
    }

    /// The bytes that it takes.
    pub(super) fn len(&self) -> usize {
        self.words.len() * 4 + self.doubles.len() * 8 + self.text.len()
    }

    /// How the values are packed, as JavaScript is told.
    pub(super) fn packing(&self) -> Packing {
        match self.packing {
            Packing::Int if !self.nulls.is_empty() => Packing::IntOrNull,
            Packing::Double if !self.nulls.is_empty() => Packing::DoubleOrNull,
            packing => packing,
        }
    }

    /// The words, first those whose bits tell which values are NULL.
    pub(super) fn words(&self) -> impl Iterator<Item = i32> {
        let mask = if self.nulls.is_empty() { 0 } else { self.rows.div_ceil(32) };
        let nulls = self.nulls.iter().copied().chain(std::iter::repeat(0)).take(mask);
        nulls.chain(self.words.iter().copied())
    }

    /// The doubles.
    pub(super) fn doubles(&self) -> &[f64] {
        &self.doubles
    }

    /// The text, where there is one.
    pub(super) fn text(&self) -> Option<JsText> {
        let part = Part { bytes: &self.text, highest: self.highest };
        match self.packing {
            Packing::Text => Some(JsText::of(&[part])),
            Packing::Json | Packing::Tagged => Some(JsText::of(&[Part::ascii("["), part, Part::ascii("]")])),
            _ => None,
        }
    }

    /// Forgets every value.
    pub(super) fn empty(&mut self) {
        self.packing = Packing::Nulls;
        self.rows = 0;
        self.words.clear();
        self.doubles.clear();
        self.nulls.clear();
        self.text.clear();
        self.highest = 0;
        self.units = 0;
        self.repeats.forget();
    }

    /// Appends a value.
    pub(super) fn push(&mut self, cell: Cell<'_>) {
        if cell != Cell::Null {
            let packing = self.packing.followed_by(Packing::of(cell));
            if packing != self.packing {
                self.pack_as(packing);
            }
        }
        self.append(cell);
        self.rows += 1;
    }

    /// Packs the values so far in another way.
    fn pack_as(&mut self, packing: Packing) {
        match (self.packing, packing) {
            (Packing::Nulls, _) => {
                self.packing = packing;
                let rows = std::mem::take(&mut self.rows);
                for _ in 0..rows {
                    self.append(Cell::Null);
                    self.rows += 1;
                }
            }
            (Packing::Int, Packing::Double) => {
                self.packing = packing;
                self.doubles.extend(self.words.drain(..).map(f64::from));
            }
            // What was written without tags means the same where others have some.
            (Packing::Json, _) => self.packing = packing,
            _ => self.tag(),
        }
    }

    /// Packs the values so far as JSON with tags.
    fn tag(&mut self) {
        let before = std::mem::replace(self, Self { packing: Packing::Tagged, ..Self::new() });
        let texts = if before.packing == Packing::Text { before.texts() } else { Vec::new() };
        for row in 0..before.rows {
            let cell = match before.packing {
                Packing::Text => texts.get(row).and_then(Option::as_deref).map_or(Cell::Null, Cell::Text),
                _ => before.number(row),
            };
            self.append(cell);
            self.rows += 1;
        }
    }

    /// The values of a column of texts.
    fn texts(&self) -> Vec<Option<String>> {
        let units: Vec<u16> = String::from_utf8_lossy(&self.text).encode_utf16().collect();
        let mut texts: Vec<Option<String>> = Vec::with_capacity(self.rows);
        let mut start = 0;
        for word in &self.words {
            let text = match usize::try_from(*word) {
                Ok(end) => {
                    let text = String::from_utf16_lossy(units.get(start..end).unwrap_or_default());
                    start = end;
                    Some(text)
                }
                Err(_) => repeated_row(*word).and_then(|row| texts.get(row).cloned().flatten()),
            };
            texts.push(text);
        }
        texts
    }

    /// A word that is not negative.
    fn word(&self, row: usize) -> Option<usize> {
        self.words.get(row).and_then(|word| usize::try_from(*word).ok())
    }

    /// The value of a row of numbers.
    fn number(&self, row: usize) -> Cell<'static> {
        if self.nulls.get(row / 32).is_some_and(|word| word & 1 << (row % 32) != 0) {
            return Cell::Null;
        }
        let double = self.doubles.get(row).copied();
        match (self.packing, double) {
            (Packing::Int, _) => {
                self.words.get(row).map_or(Cell::Null, |word| Cell::Integer(i64::from(*word)))
            }
            (Packing::Bool, _) => self.word(row).map_or(Cell::Null, |word| Cell::Bool(word == 1)),
            (Packing::Double, Some(double)) => Cell::Float(double),
            (Packing::Moment, Some(millis)) if !millis.is_nan() => Cell::Timestamp(moment_of(millis)),
            _ => Cell::Null,
        }
    }

    /// Appends a value that fits the packing, without counting it.
    fn append(&mut self, cell: Cell<'_>) {
        match (self.packing, cell) {
            (Packing::Nulls, _) => {}
            (Packing::Text, Cell::Text(text) | Cell::Decimal(text)) => self.append_text(text),
            (Packing::Text | Packing::Bool, Cell::Null) => self.words.push(-1),
            (Packing::Bool, cell) => self.words.push(i32::from(cell == Cell::Bool(true))),
            (Packing::Int, cell) => {
                self.words.push(number_of(cell).and_then(word_of).unwrap_or(0));
                self.note_null(cell);
            }
            (Packing::Double, cell) => {
                self.doubles.push(number_of(cell).unwrap_or(0.0));
                self.note_null(cell);
            }
            (Packing::Moment, Cell::Timestamp(moment)) => self.doubles.push(millis_of(moment)),
            (Packing::Moment, _) => self.doubles.push(f64::NAN),
            (_, cell) => {
                let start = self.text.len();
                if self.rows > 0 {
                    self.text.push(b',');
                }
                push_cell(cell, self.packing == Packing::Tagged, &mut self.text);
                self.highest = self.highest.max(highest(self.text.get(start..).unwrap_or_default()));
            }
        }
    }

    fn append_text(&mut self, text: &str) {
        if let Some(row) = self.repeats.row_of(text, &self.text, self.rows) {
            self.words.push(word_of_repeat(row));
            return;
        }
        let highest = highest(text.as_bytes());
        self.highest = self.highest.max(highest);
        self.units += units_of(text, highest);
        self.text.extend_from_slice(text.as_bytes());
        // A batch ends long before, unless one text is larger than JavaScript could take anyway.
        self.words.push(i32::try_from(self.units).unwrap_or(i32::MAX));
    }

    fn note_null(&mut self, cell: Cell<'_>) {
        if cell != Cell::Null {
            return;
        }
        let at = self.rows / 32;
        if self.nulls.len() <= at {
            self.nulls.resize(at + 1, 0);
        }
        if let Some(word) = self.nulls.get_mut(at) {
            *word |= 1 << (self.rows % 32);
        }
    }
}

/// The number of a cell that JavaScript's numbers hold.
fn number_of(cell: Cell<'_>) -> Option<f64> {
    match cell {
        #[expect(clippy::cast_precision_loss, reason = "it is exact, else it would be tagged")]
        Cell::Integer(number) => Some(number as f64),
        Cell::Float(number) => Some(number),
        _ => None,
    }
}

/// The word that is this number to its last bit; a negative zero is none.
fn word_of(number: f64) -> Option<i32> {
    #[expect(clippy::cast_possible_truncation, reason = "what was cut is not equal")]
    let word = number as i32;
    (f64::from(word).to_bits() == number.to_bits()).then_some(word)
}

/// How many UTF-16 units a text takes: one for each character, and one more for those of four bytes.
fn units_of(text: &str, highest: u8) -> usize {
    if highest <= ASCII {
        return text.len();
    }
    let bytes = text.as_bytes();
    let characters = bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    characters + bytes.iter().filter(|byte| **byte >= 0xf0).count()
}

/// Without the microseconds that a JavaScript date cannot hold.
fn millis_of(moment: Timestamp) -> f64 {
    match moment {
        Timestamp::INFINITY => f64::INFINITY,
        Timestamp::NEG_INFINITY => f64::NEG_INFINITY,
        #[expect(clippy::cast_precision_loss, reason = "JavaScript's dates lie within 8.64e15 ms")]
        moment => moment.millis() as f64,
    }
}

fn moment_of(millis: f64) -> Timestamp {
    if millis.is_infinite() {
        return if millis > 0.0 { Timestamp::INFINITY } else { Timestamp::NEG_INFINITY };
    }
    #[expect(clippy::cast_possible_truncation, reason = "it was an integer before")]
    Timestamp::from_millis(millis as i64)
}

#[cfg(test)]
mod tests;
