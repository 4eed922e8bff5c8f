//! The binary form of `numeric`: digits to the base of 10,000.

/// The text that the server would write; `None` if the bytes are malformed.
///
/// The form (`numeric_send`): number of digits, weight of the first (as a power of 10,000), sign, number of decimals
/// shown, then the digits, each a 16-bit integer.
pub(super) fn decimal_text(bytes: &[u8]) -> Option<String> {
    let (header, digits) = bytes.split_at_checked(8)?;
    let word = |at: usize| Some(u16::from_be_bytes([*header.get(at)?, *header.get(at + 1)?]));
    let (count, weight, sign, scale) =
        (word(0)?, i32::from(word(2)?.cast_signed()), word(4)?, usize::from(word(6)?));
    match sign {
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        _ => {}
    }
    if digits.len() != usize::from(count) * 2 {
        return None;
    }
    let digit = |position: i32| -> u16 {
        let bytes = usize::try_from(position).ok().and_then(|at| digits.get(at * 2..at * 2 + 2));
        bytes.map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
    };
    let mut text = String::new();
    if sign == 0x4000 {
        text.push('-');
    }
    if weight < 0 {
        text.push('0');
    } else {
        text.push_str(&digit(0).to_string());
        (1..=weight).for_each(|position| text.push_str(&format!("{:04}", digit(position))));
    }
    if scale > 0 {
        text.push('.');
        let end = text.len() + scale;
        let mut position = weight + 1;
        while text.len() < end {
            // Positions before the first digit are zeros that the form leaves out.
            text.push_str(&format!("{:04}", digit(position)));
            position += 1;
        }
        text.truncate(end);
    }
    Some(text)
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
