//! Positions in the write-ahead log.

use std::fmt;
use std::str::FromStr;

/// A position in the write-ahead log of a server: the bytes written before it.
///
/// Positions of one timeline are ordered as the log is. The text form is the server's, as `16/B374D848`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(u64);

impl Lsn {
    /// No position: before the whole log. As a start it stands for the position that the slot has confirmed.
    pub const ZERO: Self = Self(0);

    /// The bytes from `earlier` to this position; 0 where `earlier` is not earlier.
    pub fn bytes_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<u64> for Lsn {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl From<Lsn> for u64 {
    fn from(lsn: Lsn) -> Self {
        lsn.0
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

/// A text that is no position in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no log position, which is written as two hexadecimal numbers with a slash between")]
pub struct ParseLsnError;

impl FromStr for Lsn {
    type Err = ParseLsnError;

    fn from_str(text: &str) -> Result<Self, ParseLsnError> {
        let (high, low) = text.split_once('/').ok_or(ParseLsnError)?;
        Ok(Self(half(high)? << 32 | half(low)?))
    }
}

/// One to eight hexadecimal digits. A sign, which the standard library would accept, is none.
fn half(text: &str) -> Result<u64, ParseLsnError> {
    if text.len() > 8 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(ParseLsnError);
    }
    u64::from_str_radix(text, 16).map_err(|_| ParseLsnError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_as_it_is_written() {
        for (text, bytes) in [
            ("0/0", 0),
            ("0/1", 1),
            ("16/B374D848", 0x16_B374_D848),
            ("FFFFFFFF/FFFFFFFF", u64::MAX),
            ("1/0", 1 << 32),
        ] {
            let lsn: Lsn = text.parse().unwrap();
            assert_eq!((u64::from(lsn), lsn.to_string().as_str()), (bytes, text));
        }
        assert_eq!("00000016/b374d848".parse(), Ok(Lsn::from(0x16_B374_D848)));
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in ["", "/", "0", "0/", "/0", "+1/0", "0/-1", "0/0/0", "100000000/0", "0/G", " 0/0", "0/0 "]
        {
            assert_eq!(text.parse::<Lsn>(), Err(ParseLsnError), "{text:?}");
        }
    }

    #[test]
    fn positions_are_ordered_by_their_bytes() {
        let lsn = |text: &str| text.parse::<Lsn>().unwrap();
        assert!(lsn("0/FFFFFFFF") < lsn("1/0") && lsn("9/0") < lsn("10/0"));
        assert_eq!(lsn("1/10").bytes_since(lsn("1/0")), 16);
        assert_eq!(lsn("1/0").bytes_since(lsn("1/10")), 0);
    }
}
