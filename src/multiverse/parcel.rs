//! Parcels: the outcomes of many queries, packed so that JavaScript takes them over in one call.
//!
//! A parcel is a list of items, each some words (32 bits), and what the words point to: doubles, bytes and texts. The
//! kinds of items are those that `lib/pg-multiverse/parcel-reading.ts` knows.

use std::sync::Arc;

use super::window::Window;

/// A parcel is closed when its contents take this many bytes. JavaScript reads one in a few milliseconds.
const FULL: usize = 64 << 10;
/// What is larger is not kept for reuse.
const LARGEST_KEPT: usize = 256 << 10;

/// What an item says; the words that follow it are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum ItemKind {
    /// Shape, text with its columns, 1 if all shapes from before are forgotten.
    Shape = 1,
    /// Number, text: a name that stands as its number from now on.
    Name = 2,
    /// Slot, shape: a result with columns begins.
    Begin = 3,
    /// Slot, rows, text of cells or -1, JSON text or -1, first double, first byte, number of words, the words.
    Rows = 4,
    /// Slot, name of the command or -1, 1 (object id) + 2 (row count) as far as known, object id, row count in two words.
    Result = 5,
    /// Slot, name of the cluster, microseconds in two words.
    Done = 6,
    /// Slot, text with the error.
    Failed = 7,
    /// Slot, 1 if the result is in the cache, text with its key.
    Looked = 8,
    /// Why, text with the key of an entry that has left the cache: 0 its time, 1 no room, 2 invalidated.
    Evicted = 9,
    /// Flight in two words, text: a result that is looked for in the shared cache, as JSON.
    RemoteLook = 10,
    /// Flight in two words, text or -1, first byte, number of bytes: what was fetched meanwhile, for the shared cache.
    RemoteEnd = 11,
    /// Name of a cluster as text, text or -1: why the cache does not follow its log; -1 if it does.
    LogState = 12,
    /// Text: the scopes of which everything is to be dropped from the shared cache, as JSON.
    RemoteDrop = 13,
    /// Slot, epoch of the cache, microseconds: the cache would have the result for so long, until the epoch ends.
    Holds = 14,
}

/// A text within all texts of a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TextEnd {
    pub(super) end: usize,
    /// Then JavaScript takes the bytes as they are.
    pub(super) is_ascii: bool,
}

/// The packed outcomes.
#[derive(Debug, Default)]
pub(super) struct Parcel {
    pub(super) words: Vec<i32>,
    pub(super) doubles: Vec<f64>,
    pub(super) bytes: Vec<u8>,
    /// All texts, in UTF-8, one after the other.
    pub(super) text: Vec<u8>,
    pub(super) texts: Vec<TextEnd>,
    /// The results that wait for room, and the bytes of each that this parcel carries.
    pub(super) windows: Vec<(Arc<Window>, usize)>,
}

impl Parcel {
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.size() >= FULL
    }

    /// The bytes of its contents.
    pub(super) fn size(&self) -> usize {
        self.words.len() * 4 + self.doubles.len() * 8 + self.bytes.len() + self.text.len()
    }

    pub(super) fn item<const N: usize>(&mut self, kind: ItemKind, words: [i32; N]) {
        self.words.push(kind as i32);
        self.words.extend_from_slice(&words);
    }

    /// Adds a text and gives its place.
    pub(super) fn add_text(&mut self, text: &str) -> i32 {
        self.text.extend_from_slice(text.as_bytes());
        self.end_text(text.is_ascii())
    }

    /// Ends the text that was written since the last one, and gives its place.
    pub(super) fn end_text(&mut self, is_ascii: bool) -> i32 {
        self.texts.push(TextEnd { end: self.text.len(), is_ascii });
        place(self.texts.len() - 1)
    }

    /// The texts with whether each is ASCII.
    pub(super) fn each_text(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let starts = std::iter::once(0).chain(self.texts.iter().map(|text| text.end));
        starts.zip(&self.texts).map(|(start, TextEnd { end, is_ascii })| {
            (self.text.get(start..*end).unwrap_or_default(), *is_ascii)
        })
    }

    /// The bytes that [`Self::write_to`] writes.
    pub(super) fn written_size(&self) -> usize {
        self.doubles_at() + self.doubles.len() * 8 + self.bytes.len()
    }

    fn doubles_at(&self) -> usize {
        (HEADER + self.words.len() * 4).next_multiple_of(8)
    }

    /// Writes everything but the texts where JavaScript reads it: a header, the words, the doubles, the bytes. The header
    /// holds the number of words, the number of doubles, 1 if another parcel waits, and a word that says nothing.
    ///
    /// Returns `None`, and writes nothing of use, if there is too little room.
    pub(super) fn write_to(&self, arena: &mut [u8], has_more: bool) -> Option<()> {
        let counts = [place(self.words.len()), place(self.doubles.len()), has_more.into(), 0];
        write_each(arena.get_mut(..HEADER)?, counts.map(i32::to_ne_bytes));
        let words = self.words.iter().map(|word| word.to_ne_bytes());
        write_each(arena.get_mut(HEADER..HEADER + self.words.len() * 4)?, words);
        let at = self.doubles_at();
        let bytes_at = at + self.doubles.len() * 8;
        write_each(arena.get_mut(at..bytes_at)?, self.doubles.iter().map(|double| double.to_ne_bytes()));
        arena.get_mut(bytes_at..bytes_at + self.bytes.len())?.copy_from_slice(&self.bytes);
        Some(())
    }

    /// Empties the parcel; what it holds is reused unless it grew large.
    pub(super) fn emptied(mut self) -> Self {
        if self.size() > LARGEST_KEPT {
            return Self::default();
        }
        self.words.clear();
        self.doubles.clear();
        self.bytes.clear();
        self.text.clear();
        self.texts.clear();
        self.windows.clear();
        self
    }
}

const HEADER: usize = 16;

fn write_each<const N: usize>(target: &mut [u8], pieces: impl IntoIterator<Item = [u8; N]>) {
    for (slot, piece) in target.as_chunks_mut::<N>().0.iter_mut().zip(pieces) {
        *slot = piece;
    }
}

/// A count or place as a word. A parcel holds far less than 2^31 of anything: it ends after the batch that fills it, and
/// the server's messages are shorter than 1 GiB.
pub(super) fn place(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A number in two words, the lower first.
pub(super) fn two_words(number: u64) -> [i32; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    [number as u32 as i32, (number >> 32) as u32 as i32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_lies_where_the_header_says() {
        let mut parcel = Parcel::default();
        parcel.item(ItemKind::Begin, [7, 3]);
        parcel.doubles.push(0.5);
        parcel.bytes.extend_from_slice(b"xyz");
        let mut arena = vec![0; parcel.written_size()];
        parcel.write_to(&mut arena, true).unwrap();
        let word = |at: usize| i32::from_ne_bytes(arena[at * 4..at * 4 + 4].try_into().unwrap());
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(word), [3, 1, 1, 0, 3, 7, 3]);
        assert_eq!(arena[32..40], 0.5_f64.to_ne_bytes());
        assert_eq!(&arena[40..], b"xyz");
        assert_eq!(parcel.write_to(&mut arena[..38], true), None);
    }

    #[test]
    fn texts_are_told_apart_again() {
        let mut parcel = Parcel::default();
        assert_eq!((parcel.add_text("a"), parcel.add_text(""), parcel.add_text("é")), (0, 1, 2));
        let texts: Vec<_> = parcel.each_text().collect();
        assert_eq!(texts, [(&b"a"[..], true), (b"", true), ("é".as_bytes(), false)]);
    }
}
