//! The binary form of `numeric`: digits to the base of 10,000.

/// The text that the server would write; `None` if the bytes are malformed.
pub(super) fn decimal_text(bytes: &[u8]) -> Option<String> {
    let mut text = Vec::with_capacity(16);
    append_decimal(bytes, &mut text)?;
    String::from_utf8(text).ok()
}

/// Appends the text that the server would write; `None` if the bytes are malformed.
///
/// The form (`numeric_send`): number of digits, weight of the first (as a power of 10,000), sign, number of decimals
/// shown, then the digits, each a 16-bit integer.
pub(super) fn append_decimal(bytes: &[u8], text: &mut Vec<u8>) -> Option<()> {
    let (header, digits) = bytes.split_at_checked(8)?;
    let word = |at: usize| Some(u16::from_be_bytes([*header.get(at)?, *header.get(at + 1)?]));
    let (count, weight, sign, scale) =
        (word(0)?, i32::from(word(2)?.cast_signed()), word(4)?, usize::from(word(6)?));
    let special: &[u8] = match sign {
        0xC000 => b"NaN",
        0xD000 => b"Infinity",
        0xF000 => b"-Infinity",
        _ => b"",
    };
    if !special.is_empty() {
        text.extend_from_slice(special);
        return Some(());
    }
    if digits.len() != usize::from(count) * 2 {
        return None;
    }
    let digit = |position: i32| -> u16 {
        let bytes = usize::try_from(position).ok().and_then(|at| digits.get(at * 2..at * 2 + 2));
        bytes.map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
    };
    if sign == 0x4000 {
        text.push(b'-');
    }
    if weight < 0 {
        text.push(b'0');
    } else {
        let first = four_digits(digit(0));
        let zeros = first.iter().take(3).take_while(|digit| **digit == b'0').count();
        text.extend(first.into_iter().skip(zeros));
        (1..=weight).for_each(|position| text.extend_from_slice(&four_digits(digit(position))));
    }
    if scale > 0 {
        text.push(b'.');
        let end = text.len() + scale;
        let mut position = weight + 1;
        while text.len() < end {
            // Positions before the first digit are zeros that the form leaves out.
            text.extend_from_slice(&four_digits(digit(position)));
            position += 1;
        }
        text.truncate(end);
    }
    Some(())
}

/// A digit to the base of 10,000 in figures.
fn four_digits(digit: u16) -> [u8; 4] {
    let figure = |unit: u16| b'0' + u8::try_from(digit / unit % 10).unwrap_or(0);
    [figure(1000), figure(100), figure(10), figure(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(weight: i16, sign: u16, scale: u16, digits: &[u16]) -> Vec<u8> {
        let count = u16::try_from(digits.len()).unwrap();
        let header = [count, weight.cast_unsigned(), sign, scale];
        header.iter().chain(digits).flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn digits_are_placed_by_their_weight() {
        for (weight, sign, scale, digits, text) in [
            (0, 0, 0, &[0u16; 0][..], "0"),
            (0, 0, 2, &[1, 5000], "1.50"),
            (1, 0x4000, 0, &[12, 3456], "-123456"),
            (2, 0, 0, &[1], "100000000"),
            (-1, 0, 4, &[1], "0.0001"),
            (-2, 0, 8, &[25], "0.00000025"),
            (0, 0, 5, &[3, 1415, 9000], "3.14159"),
        ] {
            assert_eq!(decimal_text(&encoded(weight, sign, scale, digits)).unwrap(), text);
        }
        assert_eq!(decimal_text(&encoded(0, 0xC000, 0, &[])).unwrap(), "NaN");
    }

    #[test]
    fn a_form_cut_short_is_refused() {
        assert_eq!(decimal_text(&[0, 1, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(decimal_text(&[0; 3]), None);
    }
}
