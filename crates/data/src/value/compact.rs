//! JSON text in the form in which we write it, from the form in which a server does, without reading it into a value.

use super::{json_text, value_from_json_text};

/// Up to so many digits a double gives back every number.
const DIGITS_OF_A_DOUBLE: usize = 15;
/// Deeper documents are left to the parser, which knows where to stop.
const MOST_DEPTH: usize = 100;

/// Appends an object or list as [`json_text`] writes its value. The text is `jsonb` as PostgreSQL shows it: its names are
/// there once, and its strings have as few escapes as can be. `None` if it is neither an object nor a list, or cannot be
/// read; then what was appended is of no use.
pub(crate) fn append_compact_json(text: &str, out: &mut Vec<u8>) -> Option<()> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let start = out.len();
    if append_verbatim(text.as_bytes(), out).is_none() {
        out.truncate(start);
        let value = value_from_json_text(text.as_bytes()).ok()?;
        out.extend_from_slice(json_text(&value).as_bytes());
    }
    Some(())
}

/// Appends everything but the spaces between tokens; `None` at a token that we might write otherwise.
fn append_verbatim(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (mut at, mut copied, mut depth) = (0, 0, 0_usize);
    while let Some(byte) = text.get(at) {
        at = match byte {
            b'"' => end_of_string(text, at + 1)?,
            b' ' => {
                out.extend_from_slice(text.get(copied..at)?);
                copied = at + 1;
                copied
            }
            b',' | b':' => at + 1,
            b'{' | b'[' if depth < MOST_DEPTH => {
                depth += 1;
                at + 1
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at + 1
            }
            b'-' | b'0'..=b'9' => end_of_number(text, at)?,
            b't' | b'f' | b'n' => end_of_word(text, at)?,
            _ => return None,
        };
    }
    out.extend_from_slice(text.get(copied..)?);
    (depth == 0).then_some(())
}

/// The place behind the closing quote of a string with none but the short escapes, which everybody writes alike.
fn end_of_string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => match text.get(at + 1)? {
                b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                _ => return None,
            },
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

/// The place behind a number that is written in the shortest way that gives it back.
fn end_of_number(text: &[u8], start: usize) -> Option<usize> {
    let is_negative = text.get(start) == Some(&b'-');
    let whole_start = start + usize::from(is_negative);
    let digits = |at: usize| {
        text.get(at..).map_or(0, |rest| rest.iter().take_while(|digit| digit.is_ascii_digit()).count())
    };
    let whole = digits(whole_start);
    let mut end = whole_start + whole;
    let is_zero = text.get(whole_start) == Some(&b'0');
    if whole == 0 || (is_zero && whole > 1) {
        return None;
    }
    let mut fraction = 0;
    if text.get(end) == Some(&b'.') {
        fraction = digits(end + 1);
        let (first, last) = (text.get(end + 1)?, text.get(end + fraction)?);
        // Small fractions are written with an exponent, and zeros at the end are left out.
        if fraction == 0 || *last == b'0' || (is_zero && *first == b'0') {
            return None;
        }
        end += 1 + fraction;
    } else if is_zero && is_negative {
        return None;
    }
    let is_over = matches!(text.get(end), None | Some(b',' | b' ' | b'}' | b']'));
    (is_over && whole + fraction <= DIGITS_OF_A_DOUBLE).then_some(end)
}

fn end_of_word(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let word = ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word.as_bytes()))?;
    Some(at + word.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compact(text: &str) -> Option<String> {
        let mut out = b"before".to_vec();
        append_compact_json(text, &mut out)?;
        Some(String::from_utf8(out.split_off(6)).unwrap())
    }

    #[test]
    fn every_document_is_written_as_its_value_would_be() {
        for text in [
            "{}",
            "[]",
            r#"{"a": 1, "b": [true, false, null, -7, 0], "größer": {"c d": "x  y: z, ü"}}"#,
            r#"[0.25, -12.5, 1.50, 0.001, 0.00001, -0.0, 100000000000000000000, 123456789012345.6, 1e3, 1E-7]"#,
            r#"[12345678901234567890, 0.12345678901234567891, 999999999999999, 9007199254740993, 1.0, -0]"#,
            r#"{"quote": "\"\\\b\f\n\r\t", "unicode": "\u0001\u001f", "slash": "\/", "letter": "\u0041", "del": ""}"#,
            r#"[[[[["deep"]]]], "true", "[", "{\"a\": 1}"]"#,
        ] {
            let expected = json_text(&value_from_json_text(text.as_bytes()).unwrap());
            assert_eq!(compact(text).as_deref(), Some(expected.as_str()), "{text}");
        }
        let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
        assert_eq!(compact(&deep), Some(deep));
    }

    #[test]
    fn what_is_no_document_is_left_to_others() {
        for text in ["", "1", "null", r#""text""#, "{", "[1", r#"{"a"#, "[nul]", "[1 2x]", "]", "[1]]"] {
            assert_eq!(compact(text), None, "{text}");
        }
        assert_eq!(compact(&"[".repeat(200)), None);
    }
}
