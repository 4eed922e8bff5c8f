//! What the source of a function mentions, whatever its language.
//!
//! PostgreSQL keeps a function that is declared STABLE or IMMUTABLE from writing by a statement of its own, but lets it
//! call one that writes. The source is not parsed: every word in it counts, also in strings and comments, so that
//! statements put together at run time are seen as far as they can be.

/// A word of a function's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word<'a> {
    /// The word as written, without quotes.
    pub(crate) text: &'a str,
    /// Whether a parenthesis follows, as after the name of a function.
    pub(crate) is_called: bool,
}

/// The words of a source, in order.
pub(crate) fn words(source: &str) -> impl Iterator<Item = Word<'_>> {
    let is_part = |character: char| character.is_alphanumeric() || matches!(character, '_' | '$');
    let mut rest = source;
    std::iter::from_fn(move || {
        let start = rest.find(is_part)?;
        let from_word = rest.get(start..)?;
        let end = from_word.find(|character| !is_part(character)).unwrap_or(from_word.len());
        let (text, after) = from_word.split_at(end);
        rest = after;
        let is_called =
            after.trim_start_matches(|character: char| character == '"' || character.is_whitespace());
        Some(Word { text, is_called: is_called.starts_with('(') })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_and_calls_are_told_apart() {
        let source = "BEGIN RETURN pg_catalog.\"nextval\" ('s'::regclass) + größe; -- count(x)\nEND";
        let called: Vec<_> = words(source).filter(|word| word.is_called).map(|word| word.text).collect();
        assert_eq!(called, ["nextval", "count"]);
        assert!(words(source).any(|word| word.text == "größe"));
        assert_eq!(words(" ;").count(), 0);
    }
}
