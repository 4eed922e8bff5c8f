//! Exact decimals between their plain text and the sixteen bytes of BSON's Decimal128.

const BIAS: i32 = 6176;
const COEFFICIENT_BITS: u32 = 113;
const LARGEST_COEFFICIENT: u128 = 9_999_999_999_999_999_999_999_999_999_999_999;
const INFINITY: u128 = 0b11110 << 122;
const NAN: u128 = 0b11111 << 122;
const SIGN: u128 = 1 << 127;

/// The bytes of a decimal, or `None` where its digits, with the zeros after its point, exceed 34 or the text is no
/// decimal.
pub(super) fn encode(text: &str) -> Option<[u8; 16]> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = match unsigned {
        "NaN" => return Some(NAN.to_le_bytes()),
        "Infinity" => INFINITY,
        finite => encode_finite(finite)?,
    };
    Some((magnitude | if negative { SIGN } else { 0 }).to_le_bytes())
}

fn encode_finite(text: &str) -> Option<u128> {
    let (mantissa, mut exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok().filter(|e| e.abs() < 100_000)?),
        None => (text, 0),
    };
    let mut coefficient = 0u128;
    let mut digits = 0usize;
    let mut after_point = false;
    // Zeros are added to the coefficient only when a digit follows, so that those that end a whole number can
    // become its exponent where there are too many.
    let mut pending_zeros = 0u32;
    for byte in mantissa.bytes() {
        match byte {
            b'.' if !after_point => {
                after_point = true;
                continue;
            }
            b'0' => pending_zeros += 1,
            b'1'..=b'9' => {
                coefficient = shift(coefficient, pending_zeros)?.checked_mul(10)? + u128::from(byte - b'0');
                pending_zeros = 0;
            }
            _ => return None,
        }
        if coefficient > LARGEST_COEFFICIENT {
            return None;
        }
        digits += 1;
        exponent -= i32::from(after_point);
    }
    if digits == 0 {
        return None;
    }
    match shift(coefficient, pending_zeros).filter(|shifted| *shifted <= LARGEST_COEFFICIENT) {
        Some(shifted) => coefficient = shifted,
        None if exponent >= 0 => exponent += i32::try_from(pending_zeros).ok()?,
        None => return None,
    }
    // An exponent beyond the largest can be taken back into the coefficient while that has room.
    while exponent > 6111 && coefficient != 0 && coefficient <= LARGEST_COEFFICIENT / 10 {
        coefficient *= 10;
        exponent -= 1;
    }
    let biased = u128::try_from(exponent + BIAS).ok().filter(|biased| *biased <= 12_287)?;
    Some(biased << COEFFICIENT_BITS | coefficient)
}

fn shift(coefficient: u128, zeros: u32) -> Option<u128> {
    if coefficient == 0 {
        return Some(0);
    }
    10u128.checked_pow(zeros)?.checked_mul(coefficient)
}

/// The decimal in plain notation, as PostgreSQL writes it: the zeros after its point are kept, no exponent, no sign
/// before a zero.
pub(super) fn decode(bytes: [u8; 16]) -> String {
    let bits = u128::from_le_bytes(bytes);
    let negative = bits & SIGN != 0;
    if bits & NAN == NAN {
        return "NaN".to_owned();
    }
    if bits & NAN == INFINITY {
        return if negative { "-Infinity" } else { "Infinity" }.to_owned();
    }
    let (biased, coefficient) = if bits >> 125 & 0b11 == 0b11 {
        // The long form can only hold coefficients beyond 34 digits, which the standard reads as zero.
        (bits >> (COEFFICIENT_BITS - 2) & 0x3fff, 0)
    } else {
        let coefficient = bits & ((1 << COEFFICIENT_BITS) - 1);
        (bits >> COEFFICIENT_BITS & 0x3fff, if coefficient > LARGEST_COEFFICIENT { 0 } else { coefficient })
    };
    let exponent = i32::try_from(biased).unwrap_or_default() - BIAS;
    let mut text = plain(coefficient, exponent);
    if negative && coefficient != 0 {
        text.insert(0, '-');
    }
    text
}

fn plain(coefficient: u128, exponent: i32) -> String {
    let mut digits = coefficient.to_string();
    let places = usize::try_from(exponent.unsigned_abs()).unwrap_or_default();
    if exponent >= 0 {
        if coefficient != 0 {
            digits.extend(std::iter::repeat_n('0', places));
        }
        return digits;
    }
    if digits.len() <= places {
        digits.insert_str(0, &"0".repeat(places + 1 - digits.len()));
    }
    digits.insert(digits.len() - places, '.');
    digits
}

#[cfg(test)]
mod tests {
    use mongodb::bson::Decimal128;

    use super::*;

    #[test]
    fn decimals_come_back_as_postgresql_writes_them() {
        let forty_digits = format!("1{}", "0".repeat(39));
        for text in [
            "0",
            "0.00",
            "1",
            "-1",
            "1.50",
            "-0.001",
            "123456789012345678901234567890.1234",
            "NaN",
            "Infinity",
            "-Infinity",
            "100",
            "0.0000000000000000000000000000000001",
            &forty_digits,
            "1200.0300",
        ] {
            assert_eq!(decode(encode(text).unwrap()), text, "{text}");
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_driver() {
        for text in [
            "0",
            "1",
            "-1.50",
            "12345.678",
            "9999999999999999999999999999999999",
            "1E+40",
            "0.000001",
            "7e-30",
        ] {
            let expected: Decimal128 = text.parse().unwrap();
            assert_eq!(encode(text), Some(expected.bytes()), "{text}");
        }
    }

    #[test]
    fn exponents_become_plain_digits() {
        assert_eq!(decode("1E+3".parse::<Decimal128>().unwrap().bytes()), "1000");
        assert_eq!(decode("12E-3".parse::<Decimal128>().unwrap().bytes()), "0.012");
        assert_eq!(decode("-0.0".parse::<Decimal128>().unwrap().bytes()), "0.0");
    }

    #[test]
    fn what_does_not_fit_exactly_is_refused() {
        for text in [
            "12345678901234567890123456789012345",
            "0.12345678901234567890123456789012345",
            "1.0000000000000000000000000000000000000",
            "1e7000",
            "",
            "-",
            ".",
            "1.2.3",
            "abc",
        ] {
            assert_eq!(encode(text), None, "{text}");
        }
    }
}
