//! Reads the fields of a message one after the other.

use bytes::Bytes;

use super::error::DecodeError;
use crate::replication::{Lsn, Timestamp};

/// The part of a message that is not read yet.
pub(super) struct Body<'a> {
    whole: &'a Bytes,
    rest: &'a [u8],
    message: &'static str,
}

impl<'a> Body<'a> {
    /// The body of a message after its type.
    pub(super) fn new(whole: &'a Bytes, rest: &'a [u8], message: &'static str) -> Self {
        Self { whole, rest, message }
    }

    /// The message's name in the protocol.
    pub(super) fn message(&self) -> &'static str {
        self.message
    }

    /// The whole message, whose buffer its values share.
    pub(super) fn whole(&self) -> &'a Bytes {
        self.whole
    }

    /// Where in the whole message the rest begins.
    pub(super) fn position(&self) -> usize {
        self.whole.len() - self.rest.len()
    }

    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    fn truncated(&self) -> DecodeError {
        DecodeError::Truncated { message: self.message }
    }

    pub(super) fn invalid(&self, field: &'static str) -> DecodeError {
        DecodeError::Field { message: self.message, field }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (array, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| self.truncated())?;
        self.rest = rest;
        Ok(*array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn lsn(&mut self) -> Result<Lsn, DecodeError> {
        Ok(Lsn::from(u64::from_be_bytes(self.array()?)))
    }

    pub(super) fn timestamp(&mut self) -> Result<Timestamp, DecodeError> {
        Ok(Timestamp::from_epoch_micros(i64::from_be_bytes(self.array()?)))
    }

    /// A length and that many bytes. Returns where in the whole message they lie.
    pub(super) fn skip_sized(&mut self, field: &'static str) -> Result<(usize, usize), DecodeError> {
        let length = usize::try_from(self.i32()?).map_err(|_| self.invalid(field))?;
        let start = self.position();
        self.rest = self.rest.get(length..).ok_or_else(|| self.truncated())?;
        Ok((start, length))
    }

    /// A text that ends with a zero byte.
    pub(super) fn string(&mut self, field: &'static str) -> Result<String, DecodeError> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or_else(|| self.truncated())?;
        let (text, rest) = self.rest.split_at(end);
        let text = std::str::from_utf8(text).map_err(|_| self.invalid(field))?;
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(text.to_owned())
    }

    /// # Errors
    /// The message goes on.
    pub(super) fn end(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(DecodeError::Excess { message: self.message, bytes: self.rest.len() })
    }
}
