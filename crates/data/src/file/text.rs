//! Opening text files: UTF-8, with or without a byte order mark.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::error::{content_error, file_error};
use crate::error::Result;

const READ_BUFFER: usize = 64 << 10;

/// Opens a text file behind its byte order mark.
///
/// # Errors
/// The file cannot be opened, or is in UTF-16.
pub(super) fn open(path: &Path) -> Result<BufReader<File>> {
    let file = File::open(path).map_err(|error| file_error(path, error))?;
    let mut reader = BufReader::with_capacity(READ_BUFFER, file);
    let start = reader.fill_buf().map_err(|error| file_error(path, error))?;
    match start {
        [0xef, 0xbb, 0xbf, ..] => reader.consume(3),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            return Err(content_error(path, "the file is in UTF-16; save it as UTF-8"));
        }
        _ => {}
    }
    Ok(reader)
}

/// Counts lines while it is read.
pub(super) struct Lines<R> {
    reader: R,
    /// The number of the line that was read last, from 1; 0 before the first.
    pub(super) number: u64,
    /// How many bytes have been read.
    pub(super) offset: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R, number: u64, offset: u64) -> Self {
        Self { reader, number, offset }
    }

    /// Appends the next line with its end to `buffer`; whether there was one.
    pub(super) fn read(&mut self, path: &Path, buffer: &mut Vec<u8>) -> Result<bool> {
        let read = self.reader.read_until(b'\n', buffer).map_err(|error| file_error(path, error))?;
        self.number += u64::from(read > 0);
        self.offset += read as u64;
        Ok(read > 0)
    }
}
