//! Decimals in their stored form: nine digits in four bytes, fewer in fewer, a sign in the first bit.

use super::bytes::{Bytes, big_endian, malformed};
use crate::error::Result;

/// The digits that four bytes hold.
const FULL_GROUP: usize = 9;
/// The bytes that so many digits of a group take.
const BYTES_OF: [usize; FULL_GROUP + 1] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

/// How many bytes a decimal of a precision and scale takes.
pub(super) fn stored_size(precision: u8, scale: u8) -> Result<usize> {
    let whole = usize::from(precision).checked_sub(usize::from(scale)).ok_or_else(malformed)?;
    Ok(groups(whole, true).chain(groups(usize::from(scale), false)).map(bytes_of).sum())
}

/// Reads a decimal of a precision and scale, and writes it with all digits of its scale.
pub(super) fn decimal_text(bytes: &mut Bytes<'_>, precision: u8, scale: u8) -> Result<String> {
    let (precision, scale) = (usize::from(precision), usize::from(scale));
    let whole = precision.checked_sub(scale).ok_or_else(malformed)?;
    let groups = groups(whole, true).chain(groups(scale, false));
    let size = groups.clone().map(bytes_of).sum();
    let stored = bytes.take(size)?;
    let is_negative = stored.first().ok_or_else(malformed)? & 0x80 == 0;
    let mut stored: Vec<u8> = stored.iter().map(|byte| if is_negative { !byte } else { *byte }).collect();
    if let Some(first) = stored.first_mut() {
        *first ^= 0x80;
    }
    let (mut digits, mut rest) = (String::with_capacity(precision + 2), Bytes(&stored));
    for width in groups {
        digits.push_str(&format!("{:0width$}", big_endian(rest.take(bytes_of(width))?)));
    }
    let (before, behind) = digits.split_at_checked(whole).ok_or_else(malformed)?;
    let before = match before.trim_start_matches('0') {
        "" => "0",
        before => before,
    };
    let is_zero = digits.bytes().all(|digit| digit == b'0');
    let sign = if is_negative && !is_zero { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    Ok(format!("{sign}{before}{point}{behind}"))
}

/// How many digits each group has: the one that is not full is farthest from the point.
fn groups(digits: usize, leads: bool) -> impl Iterator<Item = usize> + Clone {
    let (full, left) = (digits / FULL_GROUP, digits % FULL_GROUP);
    let partial = (left > 0).then_some(left);
    let (first, last) = if leads { (partial, None) } else { (None, partial) };
    first.into_iter().chain(std::iter::repeat_n(FULL_GROUP, full)).chain(last)
}

fn bytes_of(digits: usize) -> usize {
    BYTES_OF.get(digits).copied().unwrap_or(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_come_with_every_digit() {
        // The example of MySQL's own description of the format: DECIMAL(14,4) of 1234567890.1234, and its negative.
        let positive = [0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
        let negative = positive.map(|byte: u8| !byte);
        assert_eq!(decimal_text(&mut Bytes(&positive), 14, 4).unwrap(), "1234567890.1234");
        assert_eq!(decimal_text(&mut Bytes(&negative), 14, 4).unwrap(), "-1234567890.1234");
        assert_eq!(decimal_text(&mut Bytes(&[0x80, 0, 0, 0, 0]), 10, 2).unwrap(), "0.00");
        assert_eq!(decimal_text(&mut Bytes(&[0x80, 0x05]), 4, 0).unwrap(), "5");
        assert!(decimal_text(&mut Bytes(&[0x80]), 10, 2).is_err());
        assert!(decimal_text(&mut Bytes(&[0x80]), 1, 2).is_err());
    }
}
