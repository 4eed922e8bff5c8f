//! Text in the character sets of columns.

use std::sync::Arc;

use super::super::pool::Link;
use super::super::session::fetch_on;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Access;
use crate::value::Value;

/// How text is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Charset {
    Utf8,
    /// Two bytes each, the larger one first, and pairs of them.
    Utf16,
    /// Two bytes each, the smaller one first, and pairs of them.
    Utf16Le,
    /// Four bytes each, the largest first.
    Utf32,
    /// One byte each: what the server makes of each of them.
    SingleByte(Arc<[String]>),
}

impl Charset {
    /// A character set by its name. What the bytes of one of a single byte mean is asked of the server, which knows best.
    ///
    /// # Errors
    /// [`ErrorKind::Capture`] for one that is not decoded here.
    pub(super) async fn find(link: &mut Link, name: &str) -> Result<Self> {
        match name {
            "utf8mb4" | "utf8mb3" | "utf8" | "ascii" => return Ok(Self::Utf8),
            "utf16" | "ucs2" => return Ok(Self::Utf16),
            "utf16le" => return Ok(Self::Utf16Le),
            "utf32" => return Ok(Self::Utf32),
            _ => {}
        }
        let sql = "SELECT MAXLEN FROM information_schema.CHARACTER_SETS WHERE CHARACTER_SET_NAME = ?";
        let longest = fetch_on(link, Access::Read, sql, &[name.into()]).await?.into_scalar();
        let is_plain = name.chars().all(|letter| letter.is_ascii_alphanumeric());
        if !is_plain || longest.and_then(|longest| longest.as_integer()) != Some(1) {
            return Err(Error::new(
                ErrorKind::Capture,
                format!("the character set {name} is not read from the log"),
            ));
        }
        let characters: Vec<String> =
            (0..=255).map(|byte| format!("CONVERT(_{name} X'{byte:02x}' USING utf8mb4)")).collect();
        let sql = format!("SELECT {}", characters.join(", "));
        let row = fetch_on(link, Access::Read, &sql, &[]).await?.rows.into_iter().next().unwrap_or_default();
        let characters = row.into_iter().map(|value| match value {
            Value::Text(text) => text,
            _ => String::new(),
        });
        Ok(Self::SingleByte(characters.collect()))
    }

    /// Decodes text.
    ///
    /// # Errors
    /// [`ErrorKind::Value`] if it is none.
    pub(super) fn decode(&self, bytes: &[u8]) -> Result<String> {
        match self {
            Self::Utf8 => std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| no_text()),
            Self::Utf16 => utf16(bytes, u16::from_be_bytes),
            Self::Utf16Le => utf16(bytes, u16::from_le_bytes),
            Self::Utf32 => {
                let (characters, rest) = bytes.as_chunks::<4>();
                let decoded: Option<String> =
                    characters.iter().map(|own| char::from_u32(u32::from_be_bytes(*own))).collect();
                decoded.filter(|_| rest.is_empty()).ok_or_else(no_text)
            }
            Self::SingleByte(characters) => {
                let own =
                    |byte: &u8| characters.get(usize::from(*byte)).map(String::as_str).unwrap_or_default();
                Ok(bytes.iter().map(own).collect())
            }
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String> {
    let (units, rest) = bytes.as_chunks::<2>();
    let decoded: std::result::Result<String, _> =
        char::decode_utf16(units.iter().map(|own| unit(*own))).collect();
    decoded.ok().filter(|_| rest.is_empty()).ok_or_else(no_text)
}

fn no_text() -> Error {
    Error::new(ErrorKind::Value, "a stored value cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_of_unicode_is_decoded() {
        let text = "aé\u{1F600}";
        let utf16: Vec<u16> = text.encode_utf16().collect();
        let large_first: Vec<u8> = utf16.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let small_first: Vec<u8> = utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let utf32: Vec<u8> = text.chars().flat_map(|own| u32::from(own).to_be_bytes()).collect();
        assert_eq!(Charset::Utf8.decode(text.as_bytes()).unwrap(), text);
        assert_eq!(Charset::Utf16.decode(&large_first).unwrap(), text);
        assert_eq!(Charset::Utf16Le.decode(&small_first).unwrap(), text);
        assert_eq!(Charset::Utf32.decode(&utf32).unwrap(), text);
        for charset in [Charset::Utf8, Charset::Utf16, Charset::Utf16Le, Charset::Utf32] {
            assert!(charset.decode(&[0xd8]).is_err());
        }
    }
}
