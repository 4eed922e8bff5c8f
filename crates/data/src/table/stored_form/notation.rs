//! Texts that a database reads as something else, and writes in one notation.

use std::net::IpAddr;

use crate::value::fits_precision;

/// How a server whose `lc_monetary` is C or that of the United States writes -1234.5 as `money`.
const PLAIN_MONEY: &str = "-$1,234.50";

/// A uuid in lower case and with its hyphens; `None` if the text is none.
pub(super) fn uuid(text: &str) -> Option<String> {
    let bare = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let digits: String =
        bare.chars().filter(|letter| *letter != '-').collect::<String>().to_ascii_lowercase();
    let is_uuid = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_uuid.then(|| [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]).join("-"))
}

/// An address, without the mask of a single one.
pub(super) fn address(text: &str) -> Option<String> {
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let single = if address.is_ipv4() { 32 } else { 128 };
    Some(match mask.filter(|mask| *mask != single) {
        Some(mask) => format!("{address}/{mask}"),
        None => address.to_string(),
    })
}

/// A hardware address of so many bytes.
pub(super) fn hardware_address(text: &str, bytes: usize) -> Option<String> {
    let digits: Vec<char> = text.chars().filter(|letter| !matches!(letter, ':' | '-' | '.')).collect();
    let is_address = digits.len() == bytes * 2 && digits.iter().all(char::is_ascii_hexdigit);
    let byte = |pair: &[char]| pair.iter().collect::<String>().to_ascii_lowercase();
    is_address.then(|| digits.chunks(2).map(byte).collect::<Vec<_>>().join(":"))
}

/// Whether a text is a number of 32 bits without a sign, as the server writes it.
pub(super) fn is_unsigned(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|number| number.to_string() == text)
}

/// Whether a text is one byte, as the server writes it: those that are no ASCII by their octal digits.
pub(super) fn is_single_byte(text: &str) -> bool {
    let octal =
        |digits: &str| digits.len() == 3 && u8::from_str_radix(digits, 8).is_ok_and(|byte| byte > 127);
    text.len() <= 1 || text.strip_prefix('\\').is_some_and(octal)
}

/// Whether a text is a string of bits of this length, or at the most of it.
pub(super) fn is_bits(text: &str, length: Option<u32>, is_varying: bool) -> bool {
    let fits = length.is_none_or(|length| match is_varying {
        true => text.len() <= length as usize,
        false => text.len() == length as usize,
    });
    fits && text.bytes().all(|bit| matches!(bit, b'0' | b'1'))
}

/// An amount of money as a server writes it that writes -1234.5 in such a way; `None` if it is not known how, or the amount would be
/// rounded.
pub(super) fn money(text: &str, sample: &str) -> Option<String> {
    if sample != PLAIN_MONEY {
        return None;
    }
    let plain = text.replacen('$', "", 1).replace(',', "");
    let (sign, amount) = plain.strip_prefix('-').map_or(("", plain.as_str()), |amount| ("-", amount));
    let (whole, cents) = amount.split_once('.').unwrap_or((amount, ""));
    let is_digits = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    // As many as 64 bits of cents have.
    if whole.is_empty() || !is_digits(whole) || !is_digits(cents) || !fits_precision(amount, 18, 2) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let mut grouped = String::new();
    for (place, digit) in whole.char_indices() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let whole = if grouped.is_empty() { "0" } else { &grouped };
    let cents: String = cents.chars().chain("00".chars()).take(2).collect();
    let sign = if whole == "0" && cents == "00" { "" } else { sign };
    let told = format!("{sign}${whole}.{cents}");
    // What is no plain number is taken if it is what the server would write.
    (text.parse::<f64>().is_ok() || told == text).then_some(told)
}

/// Members of a set in the order of its definition, each once; `None` if one is not of it, or comes twice.
pub(super) fn members(text: &str, known: &[String]) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    let given: Vec<&str> = text.split(',').collect();
    let ordered: Vec<&str> =
        known.iter().map(String::as_str).filter(|member| given.contains(member)).collect();
    (ordered.len() == given.len()).then(|| ordered.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_as_the_server_does() {
        for (text, told) in [
            ("12.5", "$12.50"),
            ("-1234567.89", "-$1,234,567.89"),
            ("0", "$0.00"),
            ("007.10", "$7.10"),
            ("$1,000.00", "$1,000.00"),
            ("-$0.05", "-$0.05"),
        ] {
            assert_eq!(money(text, PLAIN_MONEY).as_deref(), Some(told), "{text}");
        }
        for text in ["12.345", "1.000,00 €", "$1000.00", "1e3", "NaN", "", "99999999999999999999"] {
            assert_eq!(money(text, PLAIN_MONEY), None, "{text}");
        }
        assert_eq!(money("12.5", "-1.234,50 €"), None, "nobody knows how others write it");
    }

    #[test]
    fn addresses_have_one_notation() {
        assert_eq!(address("10.0.0.1/32").as_deref(), Some("10.0.0.1"));
        assert_eq!(address("10.0.0.1/8").as_deref(), Some("10.0.0.1/8"));
        assert_eq!(address("0:0:0:0:0:0:0:FF").as_deref(), Some("::ff"));
        assert_eq!(address("010.0.0.1"), None);
        assert_eq!(hardware_address("AABB.CC00.1122", 6).as_deref(), Some("aa:bb:cc:00:11:22"));
        assert_eq!(hardware_address("AABB.CC00.11", 6), None);
    }

    #[test]
    fn members_of_a_set_are_put_in_order() {
        let known = ["b".to_owned(), "a".to_owned()];
        assert_eq!(members("a,b", &known).as_deref(), Some("b,a"));
        assert_eq!(members("", &known).as_deref(), Some(""));
        for text in ["c", "A", "a,a", "1"] {
            assert_eq!(members(text, &known), None, "{text}");
        }
    }
}
