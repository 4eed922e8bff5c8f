//! Names and strings in replication commands, which take no parameters.

/// A name in double quotes.
pub(super) fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string in single quotes. In replication commands a backslash is a character like any other.
pub(super) fn string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Names in one string, each in double quotes, as `publication_names` wants them.
pub(super) fn name_list(names: &[String]) -> String {
    string(&names.iter().map(|item| name(item)).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_within_are_doubled() {
        assert_eq!(name("a\"b'c"), "\"a\"\"b'c\"");
        assert_eq!(string("a\"b'c\\"), "'a\"b''c\\'");
        assert_eq!(name_list(&["a,b".to_owned(), "c'd\"e".to_owned()]), "'\"a,b\",\"c''d\"\"e\"'");
    }
}
