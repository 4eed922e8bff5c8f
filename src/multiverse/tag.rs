//! What a command tag tells, as node-postgres reads it.

/// The parts of a command tag.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    /// The first word, `None` if the tag does not begin with one.
    pub(super) command: Option<&'a str>,
    /// The object id of an inserted row, which servers since 12 give as 0.
    pub(super) oid: Option<u32>,
    /// The number of rows.
    pub(super) rows: Option<u64>,
}

impl<'a> Tag<'a> {
    /// Reads a tag: a word, and up to two numbers, of which the last is the number of rows.
    pub(super) fn read(tag: &'a str) -> Self {
        let end = tag.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(tag.len());
        let (word, rest) = tag.split_at(end);
        if word.is_empty() {
            return Self { command: None, oid: None, rows: None };
        }
        let (first, rest) = number(rest);
        let (second, _) = number(rest);
        match second {
            Some(_) => {
                Self { command: Some(word), oid: first.and_then(|oid| u32::try_from(oid).ok()), rows: second }
            }
            None => Self { command: Some(word), oid: None, rows: first },
        }
    }
}

/// A number after a space, and what follows it.
fn number(text: &str) -> (Option<u64>, &str) {
    let Some(digits) = text.strip_prefix(' ') else { return (None, text) };
    let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    match digits.parse() {
        Ok(number) => (Some(number), rest),
        Err(_) => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_node_postgres_reads_them() {
        for (tag, command, oid, rows) in [
            ("SELECT 5", Some("SELECT"), None, Some(5)),
            ("INSERT 0 3", Some("INSERT"), Some(0), Some(3)),
            ("CREATE TABLE", Some("CREATE"), None, None),
            ("BEGIN", Some("BEGIN"), None, None),
            ("COPY 4294967296", Some("COPY"), None, Some(4_294_967_296)),
            ("", None, None, None),
        ] {
            assert_eq!(Tag::read(tag), Tag { command, oid, rows }, "{tag}");
        }
    }
}
