//! Reading the bytes of an event, of which none is taken for granted.

use crate::error::{Error, ErrorKind, Result};

/// What is left of some bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    /// The next bytes.
    ///
    /// # Errors
    /// That there are fewer.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().ok_or_else(malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    /// A number of so many bytes, at most eight, the smallest first.
    pub(super) fn little_endian(&mut self, count: usize) -> Result<u64> {
        if count > 8 {
            return Err(malformed());
        }
        Ok(self.take(count)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A number of so many bytes, at most eight, the largest first.
    pub(super) fn big_endian(&mut self, count: usize) -> Result<u64> {
        if count > 8 {
            return Err(malformed());
        }
        Ok(big_endian(self.take(count)?))
    }

    /// A length of so many bytes.
    pub(super) fn length(&mut self, bytes: usize) -> Result<usize> {
        usize::try_from(self.little_endian(bytes)?).map_err(|_| malformed())
    }

    /// A number in the form in which the protocol packs lengths.
    pub(super) fn packed(&mut self) -> Result<usize> {
        match self.u8()? {
            small @ 0..=250 => Ok(usize::from(small)),
            252 => self.length(2),
            253 => self.length(3),
            254 => self.length(8),
            _ => Err(malformed()),
        }
    }

    /// Text up to a zero.
    pub(super) fn text_to_zero(&mut self, length: usize) -> Result<String> {
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Ok(text)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A number of at most eight bytes, the largest first.
pub(super) fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Whether a bit of a bitmap is set; those that it does not have are not.
pub(super) fn bit(bitmap: &[u8], position: usize) -> bool {
    bitmap.get(position / 8).is_some_and(|byte| byte >> (position % 8) & 1 == 1)
}

/// That an event is not as the format says.
pub(super) fn malformed() -> Error {
    Error::new(ErrorKind::Internal, "the server sent an event of its log that cannot be read")
}
