//! One column of rows as JSON text, and how JavaScript has to finish it.

use data::Cell;

use super::cell::{Kind, push_cell};
use super::finish::Finish;
use crate::js_text::highest;

const TAGGED: Kind = Kind::Finished(Finish::Tagged);

/// What a column of values is after another one; `None` if the values before have to be written in another way.
fn followed_by(before: Kind, next: Kind) -> Option<Kind> {
    match (before, next) {
        (kind, Kind::Null) | (Kind::Null, kind) => Some(kind),
        (TAGGED, _) => Some(TAGGED),
        (before, next) if before == next => Some(before),
        (Kind::PlainNumber, Kind::Finished(Finish::Number)) => Some(next),
        (Kind::Finished(Finish::Number), Kind::PlainNumber) => Some(before),
        (Kind::Plain | Kind::PlainNumber, Kind::Finished(_)) => Some(TAGGED),
        (Kind::Plain | Kind::PlainNumber, _) => Some(Kind::Plain),
        (Kind::Finished(_), _) => None,
    }
}

/// The values of a column since the last time that it was emptied, with commas between them.
#[derive(Debug)]
pub(super) struct Column {
    text: Vec<u8>,
    /// Where the last value begins.
    last: usize,
    kind: Kind,
    /// What the column would be with nothing but its last value.
    last_kind: Kind,
    /// The highest byte of the text.
    highest: u8,
}

/// A value does not go with those before, which have to be handed over first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unlike;

impl Column {
    pub(super) fn new() -> Self {
        Self { text: Vec::new(), last: 0, kind: Kind::Null, last_kind: Kind::Null, highest: 0 }
    }

    /// The text, its highest byte, and how the column is finished.
    pub(super) fn content(&self) -> (&[u8], u8, Option<Finish>) {
        match self.kind {
            Kind::Finished(finish) => (&self.text, self.highest, Some(finish)),
            _ => (&self.text, self.highest, None),
        }
    }

    /// The bytes that it takes.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// The text without the last value.
    pub(super) fn before_last(&self) -> &[u8] {
        let before = self.text.get(..self.last).unwrap_or_default();
        before.strip_suffix(b",").unwrap_or(before)
    }

    /// Forgets every value but the last, if that is kept. Once values were tagged, they are from then on.
    pub(super) fn empty(&mut self, keeps_last: bool) {
        let is_tagged = self.kind == TAGGED;
        if keeps_last {
            self.text.drain(..self.last);
            self.kind = self.last_kind;
            self.highest = highest(&self.text);
        } else {
            self.text.clear();
            (self.kind, self.highest) = (Kind::Null, 0);
        }
        self.last = 0;
        if is_tagged {
            self.tag();
        }
    }

    /// Has values written so that any other can stand beside them.
    pub(super) fn tag(&mut self) {
        self.kind = TAGGED;
    }

    /// Appends a value.
    ///
    /// # Errors
    /// It does not go with the values before; nothing was appended.
    pub(super) fn push(&mut self, cell: Cell<'_>) -> Result<(), Unlike> {
        let kind = Kind::of(cell);
        self.kind = followed_by(self.kind, kind).ok_or(Unlike)?;
        self.last_kind = kind;
        if !self.text.is_empty() {
            self.text.push(b',');
        }
        self.last = self.text.len();
        push_cell(cell, self.kind == TAGGED, &mut self.text);
        self.highest = self.highest.max(highest(self.text.get(self.last..).unwrap_or_default()));
        Ok(())
    }
}
