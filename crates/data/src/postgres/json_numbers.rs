//! The numbers of a `json` text as `jsonb` writes them: without exponents, and zero without a sign.

use std::borrow::Cow;

/// Numbers with larger exponents are left as they are; they have the same value, in fewer digits.
const LARGEST_EXPONENT: i64 = 1000;

/// The text with every number as `jsonb` would write it. Text that is no JSON is left as it is somewhere.
pub(super) fn plain_numbers(text: &[u8]) -> Cow<'_, [u8]> {
    let mut plain = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = string_end(text, at + 1),
            b'-' | b'0'..=b'9' => {
                let end = number_end(text, at);
                if let Some(number) = text.get(at..end).and_then(plain_number) {
                    plain.extend_from_slice(text.get(copied..at).unwrap_or_default());
                    plain.extend_from_slice(number.as_bytes());
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    plain.extend_from_slice(text.get(copied..).unwrap_or_default());
    Cow::Owned(plain)
}

/// Behind the quote that ends a string.
fn string_end(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn number_end(text: &[u8], start: usize) -> usize {
    let rest = text.get(start + 1..).unwrap_or_default();
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    start + 1 + rest.iter().take_while(|byte| is_part(byte)).count()
}

/// Another way to write a number, if it has an exponent or is a zero with a sign.
fn plain_number(number: &[u8]) -> Option<String> {
    let is_negative = number.first() == Some(&b'-');
    let has_exponent = number.iter().any(|byte| matches!(byte, b'e' | b'E'));
    let is_zero = |digits: &[u8]| {
        digits
            .iter()
            .take_while(|byte| !matches!(byte, b'e' | b'E'))
            .all(|byte| !(b'1'..=b'9').contains(byte))
    };
    let is_signed_zero = is_negative && number.len() > 1 && is_zero(number);
    if !has_exponent && !is_signed_zero {
        return None;
    }
    let number = std::str::from_utf8(number).ok()?;
    let unsigned = number.strip_prefix('-').unwrap_or(number);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent: i64 = exponent.parse().ok().filter(|exponent: &i64| exponent.abs() <= LARGEST_EXPONENT)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let point = i64::try_from(whole.len()).ok()? + exponent;
    let sign = if is_negative && !is_zero(mantissa.as_bytes()) { "-" } else { "" };
    let (whole, fraction) = match usize::try_from(point) {
        Ok(point) if point >= digits.len() => (format!("{digits:0<point$}"), String::new()),
        Ok(point) => {
            let (whole, fraction) = digits.split_at_checked(point)?;
            (whole.to_owned(), fraction.to_owned())
        }
        Err(_) => {
            let zeros = usize::try_from(-point).ok()?;
            (String::new(), format!("{}{digits}", "0".repeat(zeros)))
        }
    };
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let separator = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{separator}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_written_out() {
        for (text, plain) in [
            ("1e2", "100"),
            ("[1E+2, -1.5e3]", "[100, -1500]"),
            ("1.50e1", "15.0"),
            ("1.5E-3", "0.0015"),
            ("12.34e-1", "1.234"),
            ("100e-2", "1.00"),
            ("0.05e1", "0.5"),
            ("-0", "0"),
            ("-0.00", "0.00"),
            ("0.0e5", "0"),
            ("-0e0", "0"),
        ] {
            assert_eq!(plain_numbers(text.as_bytes()), plain.as_bytes(), "{text}");
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for text in [r#"{"1e2":"-0 \" 3e4","a":[-1.5,0,true,1e9999]}"#, "", "\"", "-", "1e", "\"\\"] {
            assert_eq!(plain_numbers(text.as_bytes()), text.as_bytes(), "{text}");
        }
    }
}
