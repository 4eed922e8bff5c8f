//! Cutting a dump into statements, and an INSERT into its rows, without holding more than one of them.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::super::error::format_error;
use super::super::spec::SqlFlavor;
use super::super::text::Lines;
use super::head::{copy_head, is_insert_head};
use crate::error::Result;

/// A statement or row beyond this is taken for one whose quote is not closed.
const LONGEST_PIECE: usize = 256 << 20;

/// A piece of a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A statement that brings no rows. COPY statements for which no rows follow are among these.
    Statement(String),
    /// The beginning of an INSERT, up to and with VALUES. Its rows follow.
    InsertHead(String),
    /// A row of the INSERT, in its parentheses.
    InsertRow(String),
    /// A `COPY … FROM stdin` statement. Its rows follow.
    CopyHead(String),
    /// A row of a COPY block, without the line's end.
    CopyRow(String),
}

/// A piece with the line on which it begins, and the place in the file of the statement to which it belongs.
pub(super) struct Placed {
    pub(super) piece: Piece,
    pub(super) line: u64,
    pub(super) statement: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Plain,
    LineComment,
    BlockComment,
    /// Within quotes of this kind; whether a backslash escapes.
    Quoted {
        quote: u8,
        backslash: bool,
    },
    Bracketed,
    /// Within `$tag$ … $tag$`.
    Dollar(Vec<u8>),
}

/// What the statement that is being read has turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    /// Between the rows of an INSERT.
    BetweenRows,
    Row,
    /// Behind the rows of an INSERT, as in ON CONFLICT.
    Tail,
    CopyRows,
}

/// Reads a dump piece by piece.
pub(super) struct Scanner<R> {
    path: PathBuf,
    lines: Lines<R>,
    flavor: SqlFlavor,
    delimiter: Vec<u8>,
    line: Vec<u8>,
    /// How much of `line` has been read.
    at: usize,
    state: State,
    part: Part,
    depth: usize,
    piece: Vec<u8>,
    piece_line: u64,
    /// The line on which the piece began that was taken last.
    taken_line: u64,
    statement: u64,
}

impl<R: BufRead> Scanner<R> {
    /// Begins at a place where a statement begins.
    pub(super) fn new(path: &Path, reader: R, flavor: SqlFlavor, lines_before: u64, offset: u64) -> Self {
        Self {
            path: path.to_owned(),
            lines: Lines::new(reader, lines_before, offset),
            flavor,
            delimiter: b";".to_vec(),
            line: Vec::new(),
            at: 0,
            state: State::Plain,
            part: Part::Head,
            depth: 0,
            piece: Vec::new(),
            piece_line: 0,
            taken_line: 0,
            statement: offset,
        }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read, is not UTF-8, or ends within quotes or a COPY block.
    pub(super) fn next(&mut self) -> Result<Option<Placed>> {
        loop {
            if self.at >= self.line.len() && !self.next_line()? {
                return self.end();
            }
            let found = if self.part == Part::CopyRows { self.copy_row() } else { self.step()? };
            if let Some(piece) = found {
                return Ok(Some(Placed { piece, line: self.taken_line, statement: self.statement }));
            }
        }
    }

    fn next_line(&mut self) -> Result<bool> {
        self.line.clear();
        self.at = 0;
        if !self.lines.read(&self.path, &mut self.line)? {
            return Ok(false);
        }
        if std::str::from_utf8(&self.line).is_err() {
            let problem =
                "the text is not UTF-8; dump bytes as hexadecimal (mysqldump --hex-blob) and text as UTF-8";
            return Err(format_error(&self.path, self.lines.number, problem));
        }
        if self.state == State::LineComment {
            self.state = State::Plain;
        }
        if self.part == Part::Head
            && self.state == State::Plain
            && self.piece.iter().all(u8::is_ascii_whitespace)
        {
            self.statement = self.lines.offset - self.line.len() as u64;
            self.directive();
        }
        Ok(true)
    }

    /// Lines between statements that clients understand, and servers do not.
    fn directive(&mut self) {
        let text = self.line.trim_ascii();
        if text.get(..10).is_some_and(|word| word.eq_ignore_ascii_case(b"DELIMITER ")) {
            self.delimiter = text.get(10..).unwrap_or_default().trim_ascii().to_vec();
        } else if !text.starts_with(b"\\") && !text.eq_ignore_ascii_case(b"GO") {
            return;
        }
        self.at = self.line.len();
    }

    fn copy_row(&mut self) -> Option<Piece> {
        self.at = self.line.len();
        (self.piece_line, self.taken_line) = (self.lines.number, self.lines.number);
        let row = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let row = row.strip_suffix(b"\r").unwrap_or(row);
        if row == b"\\." {
            self.part = Part::Head;
            return None;
        }
        Some(Piece::CopyRow(String::from_utf8_lossy(row).into_owned()))
    }

    /// Takes one byte, or what belongs together.
    fn step(&mut self) -> Result<Option<Piece>> {
        let rest = self.line.get(self.at..).unwrap_or_default();
        let Some(&byte) = rest.first() else { return Ok(None) };
        match &self.state {
            State::LineComment => self.at = self.line.len(),
            State::BlockComment if rest.starts_with(b"*/") => {
                self.state = State::Plain;
                self.at += 2;
            }
            State::BlockComment => self.at += 1,
            State::Quoted { backslash: true, .. } if byte == b'\\' => self.keep(2),
            // Two quotes stand for one.
            State::Quoted { quote, .. } if byte == *quote && rest.get(1) == Some(quote) => self.keep(2),
            State::Quoted { quote, .. } if byte == *quote => {
                self.state = State::Plain;
                self.keep(1);
            }
            State::Bracketed if byte == b']' => {
                self.state = State::Plain;
                self.keep(1);
            }
            State::Dollar(tag) if rest.starts_with(tag) => {
                let length = tag.len();
                self.state = State::Plain;
                self.keep(length);
            }
            State::Quoted { quote, backslash } => {
                let ends = |byte: &u8| byte == quote || (*backslash && *byte == b'\\');
                let run = rest.iter().position(ends).unwrap_or(rest.len());
                self.keep(run);
            }
            State::Bracketed | State::Dollar(_) => self.keep(1),
            State::Plain => return self.plain(byte),
        }
        if self.piece.len() > LONGEST_PIECE {
            let problem = "a statement or row of more than 256 MiB begins here; is a quote not closed?";
            return Err(format_error(&self.path, self.piece_line, problem));
        }
        Ok(None)
    }

    fn plain(&mut self, byte: u8) -> Result<Option<Piece>> {
        let rest = self.line.get(self.at..).unwrap_or_default();
        if self.depth == 0 && !self.delimiter.is_empty() && rest.starts_with(&self.delimiter) {
            self.at += self.delimiter.len();
            return Ok(self.end_of_statement());
        }
        let comment = rest.starts_with(b"--") || (byte == b'#' && self.flavor == SqlFlavor::Mysql);
        if comment {
            self.state = State::LineComment;
            return Ok(None);
        }
        if rest.starts_with(b"/*") {
            self.state = State::BlockComment;
            self.at += 2;
            return Ok(None);
        }
        match byte {
            b'\'' => {
                let backslash = self.flavor == SqlFlavor::Mysql || self.follows_escape_mark();
                self.state = State::Quoted { quote: byte, backslash };
            }
            b'"' => {
                let backslash = self.flavor == SqlFlavor::Mysql;
                self.state = State::Quoted { quote: byte, backslash };
            }
            b'`' => self.state = State::Quoted { quote: byte, backslash: false },
            // Elsewhere a bracket belongs to an array.
            b'[' if matches!(self.part, Part::Head) && self.flavor != SqlFlavor::Postgres => {
                self.state = State::Bracketed;
            }
            // Within a name a dollar is a letter.
            b'$' if self.flavor == SqlFlavor::Postgres && !self.follows_word() => {
                if let Some(tag) = dollar_tag(rest) {
                    let length = tag.len();
                    self.state = State::Dollar(tag);
                    self.keep(length);
                    return Ok(None);
                }
            }
            b'(' => return Ok(self.open()),
            b')' => return Ok(self.close()),
            _ => {}
        }
        match self.part {
            Part::Head | Part::Row
                if is_of_word(byte) && !self.delimiter.first().copied().is_some_and(is_of_word) =>
            {
                let run = rest.iter().position(|byte| !is_of_word(*byte)).unwrap_or(rest.len());
                self.keep(run);
            }
            Part::BetweenRows if !byte.is_ascii_whitespace() && byte != b',' => {
                self.part = Part::Tail;
                self.at += 1;
            }
            Part::BetweenRows | Part::Tail => self.at += 1,
            _ => self.keep(1),
        }
        Ok(None)
    }

    fn open(&mut self) -> Option<Piece> {
        self.depth += 1;
        let begins_rows = self.depth == 1 && self.part == Part::Head && is_insert_head(&self.piece);
        if begins_rows {
            let head = self.take_piece();
            self.part = Part::Row;
            self.keep(1);
            return Some(Piece::InsertHead(head));
        }
        if self.depth == 1 && self.part == Part::BetweenRows {
            self.part = Part::Row;
        }
        self.keep_unless_tail();
        None
    }

    fn close(&mut self) -> Option<Piece> {
        self.depth = self.depth.saturating_sub(1);
        self.keep_unless_tail();
        if self.depth == 0 && self.part == Part::Row {
            self.part = Part::BetweenRows;
            return Some(Piece::InsertRow(self.take_piece()));
        }
        None
    }

    fn end_of_statement(&mut self) -> Option<Piece> {
        let part = std::mem::replace(&mut self.part, Part::Head);
        self.state = State::Plain;
        let text = self.take_piece();
        let next = self.lines.offset - (self.line.len() - self.at) as u64;
        let own = self.statement;
        self.statement = next;
        let text = text.trim().to_owned();
        if part != Part::Head || text.is_empty() {
            return None;
        }
        // The piece still belongs to the statement that ends here.
        self.statement = own;
        if copy_head(&text).is_some() {
            // The rows begin on the next line.
            self.at = self.line.len();
            self.part = Part::CopyRows;
            return Some(Piece::CopyHead(text));
        }
        Some(Piece::Statement(text))
    }

    fn end(&mut self) -> Result<Option<Placed>> {
        let unfinished = match (&self.state, self.part) {
            (State::Quoted { .. } | State::Dollar(_) | State::Bracketed, _) => Some("a quote is not closed"),
            (State::BlockComment, _) => Some("a comment is not closed"),
            (_, Part::Row) => Some("a row is cut off"),
            (_, Part::CopyRows) => Some("a COPY block is cut off: its last line \\. is missing"),
            _ => None,
        };
        if let Some(problem) = unfinished {
            return Err(format_error(&self.path, self.piece_line.max(1), problem));
        }
        let piece = self.end_of_statement();
        Ok(piece.map(|piece| Placed { piece, line: self.taken_line, statement: self.statement }))
    }

    fn keep(&mut self, count: usize) {
        let end = (self.at + count).min(self.line.len());
        let kept = self.line.get(self.at..end).unwrap_or_default();
        if self.piece.is_empty() {
            if kept.iter().all(u8::is_ascii_whitespace) {
                self.at = end;
                return;
            }
            self.piece_line = self.lines.number;
            if self.part == Part::Head {
                self.statement = self.lines.offset - (self.line.len() - self.at) as u64;
            }
        }
        self.piece.extend_from_slice(kept);
        self.at = end;
    }

    fn keep_unless_tail(&mut self) {
        if matches!(self.part, Part::Tail | Part::BetweenRows) {
            self.at += 1;
        } else {
            self.keep(1);
        }
    }

    /// Every line was found to be UTF-8, and pieces are cut at ASCII characters.
    fn take_piece(&mut self) -> String {
        self.taken_line = self.piece_line;
        String::from_utf8_lossy(&std::mem::take(&mut self.piece)).into_owned()
    }

    fn follows_word(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|before| self.line.get(before));
        before.is_some_and(|before| before.is_ascii_alphanumeric() || *before == b'_')
    }

    /// Whether a quote that begins here is of the kind E'…'.
    fn follows_escape_mark(&self) -> bool {
        let before = self.line.get(..self.at).unwrap_or_default();
        match before {
            [.., word, b'E' | b'e'] => !word.is_ascii_alphanumeric() && *word != b'_',
            [b'E' | b'e'] => true,
            _ => false,
        }
    }
}

/// What never means anything but itself, unless a delimiter begins with it.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b',')
}

/// The opening tag of a dollar-quoted string.
fn dollar_tag(rest: &[u8]) -> Option<Vec<u8>> {
    let length =
        rest.iter().skip(1).take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    let starts_with_digit = rest.get(1).is_some_and(u8::is_ascii_digit);
    (rest.get(length + 1) == Some(&b'$') && !starts_with_digit).then(|| rest[..length + 2].to_vec())
}

#[cfg(test)]
mod tests;
