//! Telling JSON texts that mean the same to every reader, so that they can be passed on as they are.

/// Deeper texts are left to the parser.
const DEEPEST: u32 = 32;
/// Up to so many digits a double gives back every number.
const DIGITS_OF_A_DOUBLE: usize = 15;

/// Whether a text is well-formed JSON that is plain: without exponents or numbers that a double may round, without
/// escapes of code units, of which a text may hold unpaired halves, and without names that begin with `$$`. Only a text
/// that is not plain has to be parsed.
pub(crate) fn is_plain_json(text: &str) -> bool {
    let mut scanner = Scanner(text.as_bytes());
    let scanned = scanner.value(DEEPEST);
    scanner.space();
    scanned.is_some() && scanner.0.is_empty()
}

/// What is left to read.
struct Scanner<'a>(&'a [u8]);

impl Scanner<'_> {
    fn value(&mut self, deepest: u32) -> Option<()> {
        self.space();
        match self.next()? {
            b'"' => self.string(),
            b'{' => self.object(deepest.checked_sub(1)?),
            b'[' => self.array(deepest.checked_sub(1)?),
            b't' => self.word(b"rue"),
            b'f' => self.word(b"alse"),
            b'n' => self.word(b"ull"),
            b'-' => self.next().and_then(|first| self.number(first)),
            first => self.number(first),
        }
    }

    /// What follows `{`.
    fn object(&mut self, deepest: u32) -> Option<()> {
        self.space();
        if self.take(b'}') {
            return Some(());
        }
        loop {
            self.space();
            if self.next()? != b'"' || self.0.starts_with(b"$$") {
                return None;
            }
            self.string()?;
            self.space();
            if self.next()? != b':' {
                return None;
            }
            self.value(deepest)?;
            self.space();
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// What follows `[`.
    fn array(&mut self, deepest: u32) -> Option<()> {
        self.space();
        if self.take(b']') {
            return Some(());
        }
        loop {
            self.value(deepest)?;
            self.space();
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// What follows the quote. It is UTF-8, because the whole text is.
    fn string(&mut self) -> Option<()> {
        loop {
            let end = self.0.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20))?;
            let (found, rest) = self.0.get(end..)?.split_first()?;
            self.0 = rest;
            match found {
                b'"' => return Some(()),
                b'\\' if matches!(self.next()?, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {}
                _ => return None,
            }
        }
    }

    /// What follows the first digit.
    fn number(&mut self, first: u8) -> Option<()> {
        let whole = match first {
            b'0' => 1,
            b'1'..=b'9' => 1 + self.digits(),
            _ => return None,
        };
        let fraction = if self.take(b'.') { Some(self.digits()) } else { None };
        let is_plain = fraction != Some(0)
            && whole + fraction.unwrap_or(0) <= DIGITS_OF_A_DOUBLE
            && !matches!(self.0.first(), Some(b'e' | b'E' | b'0'..=b'9' | b'.'));
        is_plain.then_some(())
    }

    fn digits(&mut self) -> usize {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.0 = self.0.get(count..).unwrap_or_default();
        count
    }

    fn word(&mut self, rest: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(rest)?;
        Some(())
    }

    fn space(&mut self) {
        while let Some((b' ' | b'\n' | b'\r' | b'\t', rest)) = self.0.split_first() {
            self.0 = rest;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.0.first() == Some(&byte);
        if found {
            self.0 = self.0.get(1..).unwrap_or_default();
        }
        found
    }

    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_documents_are_plain() {
        for text in [
            r#"{"street":"Lindenallee 7","code":"é\n\"","n":-12.5,"list":[1,0,-0,true,false,null,[],{}]}"#,
            " [ 1 , 2 ] ",
            "\"text\"",
            "0.12345678901234",
            "null",
            r#"{"$date":1,"a$$b":2}"#,
        ] {
            assert!(is_plain_json(text), "{text}");
        }
    }

    #[test]
    fn what_readers_could_take_differently_is_not_plain() {
        for text in [
            "9007199254740993",
            "1234567890.1234567",
            "1e3",
            "-1E400",
            r#""\ud800""#,
            r#"{"\u0024$a":1}"#,
            r#"{"$$date":1}"#,
            r#"[{"a":{"$$x":1}}]"#,
        ] {
            assert!(!is_plain_json(text), "{text}");
        }
        assert!(!is_plain_json(&"[".repeat(100)));
    }

    #[test]
    fn what_is_no_json_is_not_plain() {
        for text in [
            "", " ", "{", "[1,]", "{\"a\"}", "{\"a\":}", "{,}", "[1 2]", "01", "1.", ".5", "-", "+1", "tru",
            "nulls", "\"a", "\"\t\"", "\"\\x\"", "1 1", "'a'", "NaN", "{a:1}", "[1]]", "1.2.3", "-a",
        ] {
            assert!(!is_plain_json(text), "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "{text}");
        }
    }
}
