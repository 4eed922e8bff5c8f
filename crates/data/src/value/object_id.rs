//! MongoDB's object id, and its form as 24 hexadecimal digits.

use std::fmt;

/// Twelve bytes that name a MongoDB document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectId(pub [u8; 12]);

impl ObjectId {
    /// Reads 24 lower-case hexadecimal digits. Upper case is refused, as it would come back in another form.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 24 {
            return None;
        }
        let mut bytes = [0u8; 12];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Self(bytes))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_text_comes_back_unchanged() {
        let text = "65a1f0c2d4e5b6a798897766";
        assert_eq!(ObjectId::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn other_text_is_no_object_id() {
        for text in ["", "65A1F0C2D4E5B6A798897766", "65a1f0c2d4e5b6a79889776", "65a1f0c2d4e5b6a79889776g"] {
            assert_eq!(ObjectId::parse(text), None, "{text}");
        }
    }
}
