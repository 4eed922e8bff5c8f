//! Decimals as text: when two of them are the same number, and whether one fits a declared precision.

use std::cmp::Ordering;

/// A form that is the same for the same number: no exponent, no zeros that add nothing. Other text stays as it is.
pub fn normal_decimal(text: &str) -> String {
    parts(text).map_or_else(
        || text.to_owned(),
        |Parts { negative, whole, fraction }| {
            let sign = if negative && !(whole.is_empty() && fraction.is_empty()) { "-" } else { "" };
            let whole = if whole.is_empty() { "0" } else { &whole };
            if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
        },
    )
}

/// Whether a number fits `numeric(precision, scale)` without being rounded.
pub(crate) fn fits_precision(text: &str, precision: u32, scale: u32) -> bool {
    let Some(Parts { whole, fraction, .. }) = parts(text) else { return text == "NaN" };
    fraction.len() <= scale as usize && whole.len() + scale as usize <= precision as usize
}

/// How two numbers compare by their exact worth; `None` where one of the texts is no finite number.
pub(crate) fn order_decimals(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (parts(a)?, parts(b)?);
    let by_size = |a: &Parts, b: &Parts| {
        let whole = a.whole.len().cmp(&b.whole.len()).then_with(|| a.whole.cmp(&b.whole));
        whole.then_with(|| a.fraction.cmp(&b.fraction))
    };
    Some(match (a.is_below_zero(), b.is_below_zero()) {
        (false, false) => by_size(&a, &b),
        (true, true) => by_size(&b, &a),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    })
}

/// The digits of a number, without zeros that add nothing.
struct Parts {
    negative: bool,
    whole: String,
    fraction: String,
}

impl Parts {
    fn is_below_zero(&self) -> bool {
        self.negative && !(self.whole.is_empty() && self.fraction.is_empty())
    }
}

/// Exponents beyond this are no numbers that a database holds.
const MOST_PLACES: i64 = 20_000;

fn parts(text: &str) -> Option<Parts> {
    let text = text.trim();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let point = i64::try_from(whole.len()).ok()?.checked_add(exponent)?;
    if point.abs() > MOST_PLACES {
        return None;
    }
    let (whole, fraction) = match usize::try_from(point) {
        Ok(point) if point <= digits.len() => (digits[..point].to_owned(), digits[point..].to_owned()),
        Ok(point) => (format!("{digits}{}", "0".repeat(point - digits.len())), String::new()),
        Err(_) => (String::new(), format!("{}{digits}", "0".repeat(usize::try_from(-point).ok()?))),
    };
    Some(Parts {
        negative: mantissa.starts_with('-'),
        whole: whole.trim_start_matches('0').to_owned(),
        fraction: fraction.trim_end_matches('0').to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_has_one_form() {
        for (text, form) in [
            ("1", "1"),
            ("1.00", "1"),
            ("-0.50", "-0.5"),
            ("-0", "0"),
            ("007", "7"),
            ("1.5E+3", "1500"),
            ("15e-4", "0.0015"),
            ("NaN", "NaN"),
        ] {
            assert_eq!(normal_decimal(text), form);
        }
    }

    #[test]
    fn numbers_are_in_the_order_of_their_exact_worth() {
        let ascending = [
            "-12345678901234567890.5",
            "-2",
            "-0.01",
            "0",
            "0.009",
            "0.01",
            "9",
            "10",
            "1.1e1",
            "12345678901234567890",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(order_decimals(a, b), Some(i.cmp(&j)), "{a} and {b}");
            }
        }
        assert_eq!(order_decimals("-0", "0.0"), Some(Ordering::Equal));
        assert_eq!(order_decimals("NaN", "0"), None);
    }

    #[test]
    fn a_number_fits_if_it_needs_no_rounding() {
        assert!(fits_precision("12345678.90", 10, 2));
        assert!(fits_precision("1.500", 10, 2));
        assert!(!fits_precision("1.005", 10, 2));
        assert!(!fits_precision("123456789", 10, 2));
    }
}
