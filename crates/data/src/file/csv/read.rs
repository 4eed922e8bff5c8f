//! Reading the records of a CSV file one by one.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::super::error::format_error;
use super::super::text::{self, Lines};
use crate::error::Result;

/// A record beyond this is taken for one whose quote is not closed.
const LONGEST_RECORD: usize = 256 << 20;

/// A cell, and whether it stood in quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Field {
    pub(in super::super) text: String,
    pub(in super::super) quoted: bool,
}

/// The records of a file behind its header.
pub(in super::super) struct Records {
    path: PathBuf,
    lines: Lines<BufReader<File>>,
    delimiter: u8,
    parser: csv_core::Reader,
    pub(in super::super) header: Vec<String>,
}

impl Records {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// The file cannot be read, has no header, or one that names a column twice or not at all.
    pub(in super::super) fn open(path: &Path, delimiter: u8) -> Result<Self> {
        let mut records = Self {
            path: path.to_owned(),
            lines: Lines::new(text::open(path)?, 0, 0),
            delimiter,
            parser: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            header: Vec::new(),
        };
        let Some((line, fields)) = records.next_fields()? else {
            return Err(format_error(path, 1, "the file is empty; a header with the columns is needed"));
        };
        for field in fields {
            if field.text.is_empty() || records.header.contains(&field.text) {
                let problem = format!(
                    "the header must name every column once; found {:?} again or no name",
                    field.text
                );
                return Err(format_error(path, line, problem));
            }
            records.header.push(field.text);
        }
        Ok(records)
    }

    /// The next record, with one field per column.
    ///
    /// # Errors
    /// The record is malformed; the file and its line are named.
    pub(in super::super) fn next(&mut self) -> Result<Option<Vec<Field>>> {
        let Some((line, fields)) = self.next_fields()? else { return Ok(None) };
        if fields.len() != self.header.len() {
            let problem = format!("{} cells, where the header has {}", fields.len(), self.header.len());
            return Err(format_error(&self.path, line, problem));
        }
        Ok(Some(fields))
    }

    fn next_fields(&mut self) -> Result<Option<(u64, Vec<Field>)>> {
        loop {
            let line = self.lines.number + 1;
            let mut bytes = Vec::new();
            let mut scanner = Scanner::new(self.delimiter);
            loop {
                let from = bytes.len();
                if !self.lines.read(&self.path, &mut bytes)? {
                    if bytes.is_empty() {
                        return Ok(None);
                    }
                    return Err(format_error(
                        &self.path,
                        line,
                        "a cell begins with a quote that is not closed",
                    ));
                }
                if bytes.len() > LONGEST_RECORD {
                    return Err(format_error(
                        &self.path,
                        line,
                        "a record of more than 256 MiB; is a quote not closed?",
                    ));
                }
                scanner.scan(&bytes[from..]);
                if !scanner.is_in_quotes() {
                    break;
                }
            }
            if bytes.last() != Some(&b'\n') {
                bytes.push(b'\n');
            }
            let is_blank = matches!(bytes.as_slice(), b"\n" | b"\r\n");
            if !is_blank {
                return Ok(Some((line, self.split(&bytes, &scanner.quoted, line)?)));
            }
            // A row of one column may be a NULL; elsewhere a blank line is none.
            if self.header.len() == 1 {
                return Ok(Some((line, vec![Field { text: String::new(), quoted: false }])));
            }
        }
    }

    fn split(&mut self, bytes: &[u8], quoted: &[bool], line: u64) -> Result<Vec<Field>> {
        let mut output = vec![0; bytes.len()];
        let mut ends = vec![0; quoted.len() + 1];
        let (result, _, _, count) = self.parser.read_record(bytes, &mut output, &mut ends);
        if result != csv_core::ReadRecordResult::Record || count != quoted.len() {
            return Err(format_error(&self.path, line, "the cells cannot be told apart; check the quotes"));
        }
        let mut start = 0;
        let mut fields = Vec::with_capacity(count);
        for (end, quoted) in ends.iter().zip(quoted) {
            let text = output.get(start..*end).unwrap_or_default();
            let text = std::str::from_utf8(text).map_err(|_| {
                format_error(&self.path, line, "the text is not UTF-8; save the file as UTF-8")
            })?;
            fields.push(Field { text: text.to_owned(), quoted: *quoted });
            start = *end;
        }
        Ok(fields)
    }
}

/// Finds where a record ends, and which of its cells begin with a quote.
struct Scanner {
    delimiter: u8,
    state: State,
    quoted: Vec<bool>,
}

#[derive(PartialEq, Eq)]
enum State {
    CellStart,
    Plain,
    InQuotes,
    /// After a quote within quotes: it ends the cell, or is the first of two.
    AfterQuote,
}

impl Scanner {
    fn new(delimiter: u8) -> Self {
        Self { delimiter, state: State::CellStart, quoted: vec![false] }
    }

    fn is_in_quotes(&self) -> bool {
        self.state == State::InQuotes
    }

    fn scan(&mut self, line: &[u8]) {
        for byte in line {
            self.state = match (&self.state, *byte) {
                (State::InQuotes, b'"') => State::AfterQuote,
                (State::InQuotes, _) | (State::AfterQuote, b'"') => State::InQuotes,
                (State::CellStart, b'"') => {
                    if let Some(last) = self.quoted.last_mut() {
                        *last = true;
                    }
                    State::InQuotes
                }
                (_, byte) if byte == self.delimiter => {
                    self.quoted.push(false);
                    State::CellStart
                }
                _ => State::Plain,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<Vec<Field>>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        let mut records = Records::open(&path, b',')?;
        let mut rows = Vec::new();
        while let Some(fields) = records.next()? {
            rows.push(fields);
        }
        Ok(rows)
    }

    fn texts(text: &str) -> Vec<Vec<String>> {
        let rows = read(text.as_bytes()).unwrap();
        rows.into_iter().map(|row| row.into_iter().map(|field| field.text).collect()).collect()
    }

    #[test]
    fn quotes_commas_and_line_breaks_within_cells_are_read() {
        assert_eq!(
            texts("a,b\r\n\"x,\"\"y\"\"\",\"two\r\nlines\"\r\n1,5\" pipe\n"),
            [["x,\"y\"", "two\r\nlines"], ["1", "5\" pipe"]]
        );
        assert_eq!(texts("\u{feff}a,b\n1,é"), [["1", "é"]]);
        assert_eq!(texts("a,b\n\n1,2\n\n"), [["1", "2"]]);
    }

    #[test]
    fn an_empty_cell_in_quotes_is_told_from_one_without() {
        let rows = read(b"a,b,c\n\"\",,\"x\"\n").unwrap();
        assert_eq!(rows[0].iter().map(|field| field.quoted).collect::<Vec<_>>(), [true, false, true]);
    }

    #[test]
    fn a_malformed_record_is_named_by_file_and_line() {
        for (text, place) in [
            (&b"a,b\n1,2\n3\n"[..], "t.csv:3: 1 cells, where the header has 2"),
            (b"a,b\n\"x\ny\",2\n1,\"open\n2,3\n", "t.csv:4: a cell begins with a quote that is not closed"),
            (b"a,b\n1,\xff\n", "t.csv:2: the text is not UTF-8"),
            (b"a,a\n", "t.csv:1: the header"),
            (b"", "t.csv:1: the file is empty"),
            (b"\xff\xfea\0", "UTF-16"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Format);
            assert!(error.to_string().contains(place), "{error}");
        }
    }
}
