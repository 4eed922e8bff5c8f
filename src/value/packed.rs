//! Rows that have the same columns, packed into numbers and texts of which JavaScript makes objects with little work.

use data::Cell;
use napi::bindgen_prelude::{Array, ToNapiValue, TypeName, ValueType};
use napi::{Env, sys};

use super::column::Column;
use crate::js_text::JsText;

/// Rows on their way to JavaScript: the names of their columns as a JSON list, an `ArrayBuffer` with the numbers, and the
/// texts, one after the other in a list.
///
/// The numbers are words (32 bits): how many rows, how many columns, at which double the doubles begin, the packing of each
/// column, then the words of each column; and from the next multiple of 8 bytes on the doubles of each.
#[derive(Debug, PartialEq, Eq)]
pub struct PackedRows {
    names: JsText,
    numbers: Vec<u8>,
    texts: Vec<JsText>,
}

/// Takes rows column by column.
#[derive(Debug, Default)]
pub(super) struct RowPacker {
    /// The names of the columns as a JSON list.
    names: String,
    columns: Vec<Column>,
    /// Which column comes next.
    next: usize,
    /// How many rows are whole.
    rows: usize,
}

impl RowPacker {
    /// Begins rows of these columns.
    pub(super) fn begin(&mut self, names: &[&str]) {
        // Texts always have a form in JSON.
        self.names = serde_json::to_string(names).unwrap_or_default();
        self.columns = names.iter().map(|_| Column::new()).collect();
        (self.next, self.rows) = (0, 0);
    }

    /// Whether rows have begun.
    pub(super) fn has_columns(&self) -> bool {
        !self.names.is_empty()
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether the next cell is the first of a row.
    pub(super) fn is_between_rows(&self) -> bool {
        self.next == 0
    }

    /// The bytes that the rows take.
    pub(super) fn len(&self) -> usize {
        self.columns.iter().map(Column::len).sum()
    }

    pub(super) fn cell(&mut self, cell: Cell<'_>) {
        if let Some(column) = self.columns.get_mut(self.next) {
            column.push(cell);
        }
        self.next += 1;
    }

    pub(super) fn end_row(&mut self) {
        self.next = 0;
        self.rows += 1;
    }

    /// The rows so far, which are forgotten here.
    pub(super) fn take(&mut self) -> PackedRows {
        let mut words = vec![place(self.rows), place(self.columns.len()), 0];
        words.extend(self.columns.iter().map(|column| column.packing() as i32));
        self.columns.iter().for_each(|column| words.extend(column.words()));
        let first_double = words.len().div_ceil(2);
        if let Some(word) = words.get_mut(2) {
            *word = place(first_double);
        }
        let doubles: usize = self.columns.iter().map(|column| column.doubles().len()).sum();
        let mut numbers = Vec::with_capacity((first_double + doubles) * 8);
        words.iter().for_each(|word| numbers.extend_from_slice(&word.to_ne_bytes()));
        numbers.resize(first_double * 8, 0);
        for double in self.columns.iter().flat_map(Column::doubles) {
            numbers.extend_from_slice(&double.to_ne_bytes());
        }
        let texts = self.columns.iter().filter_map(Column::text).collect();
        self.columns.iter_mut().for_each(Column::empty);
        self.rows = 0;
        PackedRows { names: JsText::from(self.names.clone()), numbers, texts }
    }
}

/// A count or place as a word. A batch holds far less than 2^31 of anything.
fn place(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

impl TypeName for PackedRows {
    fn type_name() -> &'static str {
        "PackedRows"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl ToNapiValue for PackedRows {
    unsafe fn to_napi_value(raw: sys::napi_env, rows: Self) -> napi::Result<sys::napi_value> {
        let length = u32::try_from(rows.texts.len() + 2)
            .map_err(|_| napi::Error::from_reason("a row has too many columns"))?;
        let env = Env::from_raw(raw);
        let mut list = env.create_array(length)?;
        list.set(0, rows.names)?;
        list.set(1, Numbers(rows.numbers))?;
        for (at, text) in (2..).zip(rows.texts) {
            list.set(at, text)?;
        }
        // SAFETY: the environment is that of the calling thread, to which the list belongs.
        unsafe { Array::to_napi_value(raw, list) }
    }
}

/// Bytes that are copied into memory of JavaScript's own, which needs no finalizer.
struct Numbers(Vec<u8>);

impl TypeName for Numbers {
    fn type_name() -> &'static str {
        "ArrayBuffer"
    }

    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl ToNapiValue for Numbers {
    unsafe fn to_napi_value(raw: sys::napi_env, Numbers(bytes): Self) -> napi::Result<sys::napi_value> {
        let mut start = std::ptr::null_mut();
        let mut value = std::ptr::null_mut();
        // SAFETY: the environment is that of the calling thread, and both places can be written to.
        let status =
            unsafe { sys::napi_create_arraybuffer(raw, bytes.len(), &raw mut start, &raw mut value) };
        match napi::Status::from(status) {
            napi::Status::Ok => {
                if !start.is_null() {
                    // SAFETY: Node-API gave as many bytes as were asked for, which nobody else knows yet.
                    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.cast(), bytes.len()) };
                }
                Ok(value)
            }
            status => Err(napi::Error::new(status, "there is no memory for rows".to_owned())),
        }
    }
}

#[cfg(test)]
impl PackedRows {
    /// The words and, from where they say, the doubles.
    pub(super) fn parts(&self) -> (Vec<i32>, Vec<f64>, &[JsText]) {
        let words: Vec<_> = self.numbers.as_chunks().0.iter().map(|word| i32::from_ne_bytes(*word)).collect();
        let doubles = self.numbers.as_chunks().0.iter().map(|double| f64::from_ne_bytes(*double));
        let first = usize::try_from(words[2]).unwrap();
        (words, doubles.skip(first).collect(), &self.texts)
    }

    /// How many rows there are.
    pub(super) fn count(&self) -> usize {
        usize::try_from(self.parts().0[0]).unwrap()
    }

    /// How many rows there are, and how many characters their texts have.
    pub(crate) fn counted(&self) -> (usize, usize) {
        let length = |text: &JsText| match text {
            JsText::OneByte(text) => text.len(),
            JsText::TwoByte(text) => text.len(),
        };
        (self.count(), self.texts.iter().map(length).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_lie_where_the_first_words_say() {
        let mut packer = RowPacker::default();
        packer.begin(&["id", "n", "score", "any"]);
        for (id, n, score) in [("a", 1, 0.5), ("bc", 2, 1.5)] {
            packer.cell(Cell::Text(id));
            packer.cell(Cell::Integer(n));
            packer.cell(Cell::Float(score));
            packer.cell(Cell::Json("{}"));
            packer.end_row();
        }
        let rows = packer.take();
        assert_eq!(rows.names, JsText::OneByte(br#"["id","n","score","any"]"#.to_vec()));
        let (words, doubles, texts) = rows.parts();
        assert_eq!(words[..11], [2, 4, 6, 1, 2, 3, 6, 1, 3, 1, 2]);
        assert_eq!(doubles, [0.5, 1.5]);
        assert_eq!(texts, [JsText::OneByte(b"abc".to_vec()), JsText::OneByte(b"[{},{}]".to_vec())]);
        assert_eq!(packer.take().count(), 0);
    }
}
