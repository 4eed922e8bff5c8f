//! Text on its way to JavaScript, in one of the two forms in which its engine holds text, so that nothing is left to be
//! converted on its thread.

use napi::bindgen_prelude::{ToNapiValue, TypeName, ValueType};
use napi::{Status, sys};

/// The highest byte in the UTF-8 of the characters that are one byte each.
const ONE_BYTE: u8 = 0xc3;
/// The highest byte of ASCII.
pub(crate) const ASCII: u8 = 0x7f;

/// A text that was converted.
#[derive(Debug, PartialEq, Eq)]
pub enum JsText {
    /// Characters up to U+00FF.
    OneByte(Vec<u8>),
    /// UTF-16.
    TwoByte(Vec<u16>),
}

/// A part of a text, with what is known of its bytes.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    /// UTF-8.
    pub(crate) bytes: &'a [u8],
    /// The highest of the bytes, or one that is higher.
    pub(crate) highest: u8,
}

impl<'a> Part<'a> {
    /// A part that is ASCII.
    pub(crate) fn ascii(text: &'static str) -> Self {
        Self { bytes: text.as_bytes(), highest: ASCII }
    }

    /// A part of which nothing is known.
    pub(crate) fn of(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), highest: highest(text.as_bytes()) }
    }
}

/// The highest byte, 0 of nothing.
pub(crate) fn highest(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |highest, byte| highest.max(*byte))
}

impl JsText {
    /// The parts, one after the other.
    pub(crate) fn of(parts: &[Part<'_>]) -> Self {
        let length = parts.iter().map(|part| part.bytes.len()).sum();
        if parts.iter().all(|part| part.highest <= ONE_BYTE) {
            let mut text = Vec::with_capacity(length);
            parts.iter().for_each(|part| push_one_byte(*part, &mut text));
            return Self::OneByte(text);
        }
        let mut text = Vec::with_capacity(length);
        parts.iter().for_each(|part| push_two_byte(*part, &mut text));
        Self::TwoByte(text)
    }
}

fn push_one_byte(part: Part<'_>, text: &mut Vec<u8>) {
    if part.highest <= ASCII {
        text.extend_from_slice(part.bytes);
        return;
    }
    let mut rest = part.bytes;
    loop {
        let plain = rest.iter().position(|byte| *byte > ASCII).unwrap_or(rest.len());
        let (ascii, other) = rest.split_at(plain);
        text.extend_from_slice(ascii);
        let [lead, next, after @ ..] = other else { break };
        text.push(lead << 6 | next & 0x3f);
        rest = after;
    }
}

fn push_two_byte(part: Part<'_>, text: &mut Vec<u16>) {
    match std::str::from_utf8(part.bytes) {
        Ok(characters) if part.highest > ASCII => text.extend(characters.encode_utf16()),
        // All text is UTF-8, so that this is ASCII.
        _ => text.extend(part.bytes.iter().map(|byte| u16::from(*byte))),
    }
}

impl From<String> for JsText {
    fn from(text: String) -> Self {
        let part = Part::of(&text);
        if part.highest <= ASCII { Self::OneByte(text.into_bytes()) } else { Self::of(&[part]) }
    }
}

impl TypeName for JsText {
    fn type_name() -> &'static str {
        "String"
    }

    fn value_type() -> ValueType {
        ValueType::String
    }
}

impl ToNapiValue for JsText {
    unsafe fn to_napi_value(env: sys::napi_env, text: Self) -> napi::Result<sys::napi_value> {
        let length = |length: usize| {
            isize::try_from(length).map_err(|_| napi::Error::from_reason("a text is too long"))
        };
        let mut value = std::ptr::null_mut();
        // SAFETY: the environment is that of the calling thread, and Node-API copies as many characters as it is told.
        let status = unsafe {
            match &text {
                Self::OneByte(text) => sys::napi_create_string_latin1(
                    env,
                    text.as_ptr().cast(),
                    length(text.len())?,
                    &raw mut value,
                ),
                Self::TwoByte(text) => sys::napi_create_string_utf16(
                    env,
                    text.as_ptr().cast(),
                    length(text.len())?,
                    &raw mut value,
                ),
            }
        };
        match Status::from(status) {
            Status::Ok => Ok(value),
            status => Err(napi::Error::new(status, "a text could not be made".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_takes_one_byte_for_each_character_while_that_is_possible() {
        let parts = [Part::ascii("["), Part::of("Zoë ÿ\u{80}"), Part::ascii("]")];
        assert_eq!(JsText::of(&parts), JsText::OneByte(b"[Zo\xeb \xff\x80]".to_vec()));
        assert_eq!(JsText::from("plain".to_owned()), JsText::OneByte(b"plain".to_vec()));
    }

    #[test]
    fn text_with_other_characters_is_utf_16() {
        for text in ["Łódź", "a😀", "\u{100}"] {
            let parts = [Part::ascii("é is not ASCII").bytes, text.as_bytes()]
                .map(|bytes| Part { bytes, highest: highest(bytes) });
            let expected = format!("é is not ASCII{text}").encode_utf16().collect();
            assert_eq!(JsText::of(&parts), JsText::TwoByte(expected), "{text}");
        }
    }
}
