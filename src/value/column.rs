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
mod tests {
    use data::Value;

    use super::*;

    fn column(values: &[Value]) -> Column {
        let mut column = Column::new();
        values.iter().for_each(|value| column.push(Cell::from(value)));
        column
    }

    fn text(column: &Column) -> String {
        match column.text() {
            Some(JsText::OneByte(text)) => text.into_iter().map(char::from).collect(),
            Some(JsText::TwoByte(text)) => String::from_utf16(&text).unwrap(),
            None => String::new(),
        }
    }

    fn words(column: &Column) -> Vec<i32> {
        column.words().collect()
    }

    #[test]
    fn texts_are_one_text_with_the_end_of_each() {
        let column = column(&["é\"".into(), Value::Null, "".into(), "a😀".into()]);
        assert_eq!((column.packing(), text(&column)), (Packing::Text, "é\"a😀".to_owned()));
        assert_eq!(words(&column), [2, -1, 2, 5]);
    }

    #[test]
    fn a_text_that_was_there_before_is_not_there_twice() {
        let mut column = column(&["é".into(), Value::Null, "b".into(), "é".into(), "b".into(), "é".into()]);
        assert_eq!((text(&column), words(&column)), ("éb".to_owned(), vec![1, -1, 2, -2, -4, -2]));
        column.push(Cell::Bool(true));
        assert_eq!(text(&column), r#"["é",null,"b","é","b","é",true]"#);
        column.empty();
        column.push(Cell::Text("é"));
        assert_eq!((text(&column), words(&column)), ("é".to_owned(), vec![1]));
    }

    #[test]
    fn whole_numbers_are_words_until_one_is_not() {
        let mut column = column(&[Value::Null, 7.into(), Value::Float(-3.0)]);
        assert_eq!((column.packing(), words(&column)), (Packing::IntOrNull, vec![1, 0, 7, -3]));
        column.push(Cell::Float(-0.0));
        column.push(Cell::Integer(1 << 53));
        column.push(Cell::Float(f64::NAN));
        assert_eq!((column.packing(), words(&column)), (Packing::DoubleOrNull, vec![1]));
        let bits = column.doubles().iter().map(|double| double.to_bits()).collect::<Vec<_>>();
        let expected = [0.0, 7.0, -3.0, -0.0, 9_007_199_254_740_992.0, f64::NAN].map(f64::to_bits);
        assert_eq!(bits, expected);
    }

    #[test]
    fn which_numbers_are_null_is_told_by_a_bit_for_each() {
        let mut column = Column::new();
        (0..33).for_each(|number| column.push(Cell::Integer(number)));
        column.push(Cell::Null);
        column.push(Cell::Integer(-1));
        assert_eq!(words(&column)[..2], [0, 2]);
        assert_eq!(words(&column).len(), 2 + 35);
    }

    #[test]
    fn flags_and_moments_tell_null_by_a_value_of_their_own() {
        assert_eq!(words(&column(&[true.into(), Value::Null, false.into()])), [1, -1, 0]);
        let moments = column(&[
            Value::Timestamp(Timestamp(-1)),
            Value::Null,
            Value::Timestamp(Timestamp::NEG_INFINITY),
        ]);
        assert_eq!(moments.packing(), Packing::Moment);
        assert!(matches!(moments.doubles(), [-1.0, null, f64::NEG_INFINITY] if null.is_nan()));
    }

    #[test]
    fn documents_are_one_list() {
        let list = column(&[Value::Null, Value::Array(vec![1.into()]), Value::JsonNull]);
        assert_eq!((list.packing(), text(&list)), (Packing::Json, "[null,[1],null]".to_owned()));
        let dated = column(&[
            Value::object([("a", 1.into())]),
            Value::object([("a", Value::Timestamp(Timestamp(5_000)))]),
        ]);
        assert_eq!(
            (dated.packing(), text(&dated)),
            (Packing::Tagged, r#"[{"a":1},{"a":{"$$date":5}}]"#.into())
        );
    }

    #[test]
    fn values_of_several_types_are_tagged() {
        let far = Value::Timestamp(Timestamp(9_000_000_000_000_000_000));
        for (values, expected) in [
            (vec!["a".into(), Value::Null, "é".into(), 7.into()], r#"["a",null,"é",7]"#),
            (vec![1.into(), Value::Null, "x".into()], r#"[1,null,"x"]"#),
            (vec![Value::Float(f64::NAN), true.into()], r#"[{"$$number":"NaN"},true]"#),
            (vec![true.into(), Value::Null, 0.5.into()], "[true,null,0.5]"),
            (
                vec![Value::Timestamp(Timestamp(2_000)), Value::Null, far.clone()],
                r#"[{"$$date":2},null,{"$$date":"+287168-08-24T16:00:00.000Z"}]"#,
            ),
            (vec![1.into(), i64::MAX.into()], r#"[1,{"$$bigint":"9223372036854775807"}]"#),
            (vec![Value::Bytes(vec![1].into()), Value::Null], r#"[{"$$bytes":"AQ=="},null]"#),
            (vec![Value::JsonNull, Value::Timestamp(Timestamp::INFINITY)], r#"[null,{"$$date":"Infinity"}]"#),
        ] {
            let column = column(&values);
            assert_eq!((column.packing(), text(&column)), (Packing::Tagged, expected.to_owned()));
        }
    }

    #[test]
    fn an_emptied_column_begins_anew() {
        let mut column = column(&["a".into(), 1.into()]);
        column.empty();
        column.push(Cell::Integer(1));
        assert_eq!((column.packing(), words(&column)), (Packing::Int, vec![1]));
    }
}
