//! Texts of a column that were there before, as those of a status or a country are: they are sent once, and JavaScript has
//! one string for all of them.

use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;

/// How many texts are remembered at a time.
const PLACES: usize = 64;
/// Bytes beyond which a text is not remembered: what is long is rarely there twice.
const MOST_BYTES: usize = 256;
/// After how many texts that were all different the column is taken for one of different texts.
const MOST_DIFFERENT: u32 = 128;

/// The texts of a column that came last, each at the place that its hash says.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    places: Vec<Option<Place>>,
    /// How many texts came since the last that was there before.
    different: u32,
}

/// Where a text is.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The row that has it.
    row: usize,
    /// Its first byte in the text of the column, and its length in bytes.
    start: usize,
    length: usize,
}

impl Repeats {
    /// The row that has the same text. If none is known, the text is taken to become that of `next_row`, at the end of what
    /// the column has.
    pub(super) fn row_of(&mut self, text: &str, column: &[u8], next_row: usize) -> Option<usize> {
        if self.different >= MOST_DIFFERENT || text.len() > MOST_BYTES {
            return None;
        }
        if self.places.is_empty() {
            self.places.resize(PLACES, None);
        }
        let hash = FixedState::default().hash_one(text.as_bytes());
        let place = self.places.get_mut(usize::try_from(hash).unwrap_or_default() % PLACES)?;
        if let Some(Place { row, start, length }) = *place
            && column.get(start..start + length) == Some(text.as_bytes())
        {
            self.different = 0;
            return Some(row);
        }
        self.different += 1;
        *place = Some(Place { row: next_row, start: column.len(), length: text.len() });
        None
    }

    /// Begins anew, with what is known of the column in general.
    pub(super) fn forget(&mut self) {
        self.places.clear();
    }
}

/// The word for a text that an earlier row has. A batch holds far less than 2^31 rows.
pub(super) fn word_of_repeat(row: usize) -> i32 {
    i32::try_from(row).map_or(i32::MIN, |row| -2 - row)
}

/// The row that a word means.
pub(super) fn repeated_row(word: i32) -> Option<usize> {
    usize::try_from(-2_i64 - i64::from(word)).ok()
}
