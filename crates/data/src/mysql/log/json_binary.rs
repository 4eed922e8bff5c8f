//! The binary form in which MySQL keeps JSON, as text.
//!
//! A document is a type and a value. Objects and lists begin with how many items and bytes they have, and then tell where
//! each key and each value lies; small ones have numbers of two bytes for that, large ones of four.

use super::super::cell::{Civil, clock_text, date_text};
use super::bytes::{Bytes, malformed};
use super::decimal::decimal_text;
use super::table_map::types;
use crate::error::Result;
use crate::value::{Value, json_text};

/// How deep a document may be nested; servers refuse more.
const DEEPEST: usize = 101;
/// The longest text of a document; one whose parts refer to each other again and again would have no end.
const LONGEST: usize = 1 << 30;

/// The text of a document. One of no bytes is null.
pub(super) fn json_text_of(document: &[u8]) -> Result<String> {
    let mut text = String::new();
    match document.split_first() {
        Some((kind, rest)) => push(*kind, rest, &mut text, 0)?,
        None => text.push_str("null"),
    }
    Ok(text)
}

/// Appends the value of a type at the beginning of some bytes.
fn push(kind: u8, own: &[u8], out: &mut String, depth: usize) -> Result<()> {
    if depth > DEEPEST || out.len() > LONGEST {
        return Err(malformed());
    }
    let mut bytes = Bytes(own);
    match kind {
        0 => push_container(own, 2, true, out, depth)?,
        1 => push_container(own, 4, true, out, depth)?,
        2 => push_container(own, 2, false, out, depth)?,
        3 => push_container(own, 4, false, out, depth)?,
        4 => out.push_str(literal(bytes.u8()?)?),
        5 => out.push_str(&signed(bytes.little_endian(2)?, 2).to_string()),
        6 => out.push_str(&bytes.little_endian(2)?.to_string()),
        7 => out.push_str(&signed(bytes.little_endian(4)?, 4).to_string()),
        8 => out.push_str(&bytes.little_endian(4)?.to_string()),
        9 => out.push_str(&signed(bytes.little_endian(8)?, 8).to_string()),
        10 => out.push_str(&bytes.little_endian(8)?.to_string()),
        11 => {
            let own = bytes.take(8)?.try_into().map_err(|_| malformed())?;
            out.push_str(&json_text(&Value::Float(f64::from_le_bytes(own))));
        }
        12 => {
            let length = variable_length(&mut bytes)?;
            push_text(bytes.take(length)?, out)?;
        }
        15 => push_opaque(&mut bytes, out)?,
        _ => return Err(malformed()),
    }
    Ok(())
}

/// Appends an object or a list, whose places are numbers of so many bytes from its own beginning.
fn push_container(own: &[u8], width: usize, is_object: bool, out: &mut String, depth: usize) -> Result<()> {
    let mut bytes = Bytes(own);
    let count = bytes.length(width)?;
    bytes.length(width)?;
    let mut keys = Vec::new();
    if is_object {
        for _ in 0..count {
            let (at, length) = (bytes.length(width)?, bytes.length(2)?);
            keys.push(Bytes(own.get(at..).ok_or_else(malformed)?).take(length)?);
        }
    }
    out.push(if is_object { '{' } else { '[' });
    for item in 0..count {
        if item > 0 {
            out.push(',');
        }
        if let Some(key) = keys.get(item) {
            push_text(key, out)?;
            out.push(':');
        }
        let kind = bytes.u8()?;
        let place = bytes.take(width)?;
        if is_inline(kind, width) {
            push(kind, place, out, depth + 1)?;
        } else {
            let at = Bytes(place).length(width)?;
            push(kind, own.get(at..).ok_or_else(malformed)?, out, depth + 1)?;
        }
    }
    out.push(if is_object { '}' } else { ']' });
    Ok(())
}

/// Whether a value stands where its place would.
fn is_inline(kind: u8, width: usize) -> bool {
    matches!((kind, width), (4..=6, _) | (7 | 8, 4))
}

fn literal(number: u8) -> Result<&'static str> {
    match number {
        0 => Ok("null"),
        1 => Ok("true"),
        2 => Ok("false"),
        _ => Err(malformed()),
    }
}

fn signed(number: u64, width: u32) -> i64 {
    let unused = 64 - 8 * width;
    (number << unused).cast_signed() >> unused
}

/// A length of seven bits in each byte, whose upper bit says that there is one more.
fn variable_length(bytes: &mut Bytes<'_>) -> Result<usize> {
    let mut length = 0;
    for shift in (0..35).step_by(7) {
        let byte = bytes.u8()?;
        length |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(length).map_err(|_| malformed());
        }
    }
    Err(malformed())
}

fn push_text(own: &[u8], out: &mut String) -> Result<()> {
    let text = std::str::from_utf8(own).map_err(|_| malformed())?;
    out.push_str(&json_text(&Value::Text(text.to_owned())));
    Ok(())
}

/// Appends a value of one of the server's types that JSON does not have.
fn push_opaque(bytes: &mut Bytes<'_>, out: &mut String) -> Result<()> {
    let type_number = bytes.u8()?;
    let length = variable_length(bytes)?;
    let mut own = Bytes(bytes.take(length)?);
    match type_number {
        types::NEWDECIMAL => {
            let (precision, scale) = (own.u8()?, own.u8()?);
            out.push_str(&decimal_text(&mut own, precision, scale)?);
        }
        types::TIME => {
            let packed = own.little_endian(8)?.cast_signed();
            let (clock, micros) = (packed.unsigned_abs() >> 24, packed.unsigned_abs() & 0xff_ffff);
            let text = clock_text(packed < 0, clock >> 12 & 0x3ff, clock >> 6 & 63, clock & 63, 0);
            push_text(format!("{text}.{micros:06}").as_bytes(), out)?;
        }
        types::DATE | types::DATETIME | types::TIMESTAMP => {
            let packed = own.little_endian(8)?;
            let (clock, micros) = (packed >> 24, packed & 0xff_ffff);
            let months = clock >> 22;
            let mut text = date_text(&Civil::day(months / 13, months % 13, clock >> 17 & 31));
            if type_number != types::DATE {
                let (hour, minute, second) = (clock >> 12 & 31, clock >> 6 & 63, clock & 63);
                text.push_str(&format!(" {hour:02}:{minute:02}:{second:02}.{micros:06}"));
            }
            push_text(text.as_bytes(), out)?;
        }
        // Other bytes are written so by the server.
        other => {
            use base64::Engine;
            let encoded = base64::engine::general_purpose::STANDARD.encode(own.0);
            push_text(format!("base64:type{other}:{encoded}").as_bytes(), out)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_as_the_server_writes_them() {
        // {"a": 1, "b": [true, null, "x"]}
        let list = [3, 0, 15, 0, 4, 1, 0, 4, 0, 0, 12, 13, 0, 1, b'x'];
        let mut object = vec![0, 2, 0, 35, 0, 18, 0, 1, 0, 19, 0, 1, 0, 5, 1, 0, 2, 20, 0, b'a', b'b'];
        object.extend(list);
        assert_eq!(json_text_of(&object).unwrap(), r#"{"a":1,"b":[true,null,"x"]}"#);
        for (document, text) in [
            (&b""[..], "null"),
            (&[4, 2], "false"),
            (&[5, 0xff, 0xff], "-1"),
            (&[10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "18446744073709551615"),
            (&[12, 3, b'a', b'"', b'b'], r#""a\"b""#),
            (&[15, 246, 4, 3, 2, 0x81, 0x32], "1.50"),
            (&[15, 253, 2, 1, 2], r#""base64:type253:AQI=""#),
        ] {
            assert_eq!(json_text_of(document).unwrap(), text);
        }
        // 2024-02-29 12:30:01.5
        let clock: u64 = ((2024 * 13 + 2) << 5 | 29) << 17 | 12 << 12 | 30 << 6 | 1;
        let mut moment = vec![15, 12, 8];
        moment.extend((clock << 24 | 500_000).to_le_bytes());
        assert_eq!(json_text_of(&moment).unwrap(), r#""2024-02-29 12:30:01.500000""#);
    }

    #[test]
    fn a_document_that_holds_itself_is_refused() {
        assert!(json_text_of(&[2, 1, 0, 7, 0, 2, 0, 0]).is_err());
    }
}
