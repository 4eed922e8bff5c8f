//! The declaration of a table as SQLite keeps it, with the type of a column replaced.

/// What ends the type in the declaration of a column.
const CONSTRAINTS: [&str; 11] = [
    "CONSTRAINT",
    "PRIMARY",
    "NOT",
    "NULL",
    "UNIQUE",
    "CHECK",
    "DEFAULT",
    "COLLATE",
    "REFERENCES",
    "GENERATED",
    "AS",
];

/// What stands behind the name in `CREATE TABLE`, with another type for a column; `None` if the column is not found.
pub(super) fn retyped(declaration: &str, column: &str, new_type: &str) -> Option<String> {
    let tokens = tokens(declaration);
    let body = tokens.iter().position(|token| token.text == "(")?;
    let (mut depth, mut is_first) = (0usize, false);
    for (at, token) in tokens.iter().enumerate().skip(body) {
        match token.text {
            "(" => {
                depth += 1;
                is_first = depth == 1;
                continue;
            }
            ")" => depth = depth.checked_sub(1)?,
            "," if depth == 1 => {
                is_first = true;
                continue;
            }
            name if is_first && unquoted(name).eq_ignore_ascii_case(column) && !is_constraint(name) => {
                let end = type_end(&tokens, at + 1);
                let (before, after) =
                    (declaration.get(tokens.get(body)?.start..token.end)?, tokens.get(end)?);
                return Some(format!("{before} {new_type} {}", declaration.get(after.start..)?));
            }
            _ => {}
        }
        is_first = false;
    }
    None
}

/// The constraints of a table begin as a column could, but for its quotes.
fn is_constraint(word: &str) -> bool {
    ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}

/// The first token that belongs to no type, which may be of several words and have lengths in parentheses.
fn type_end(tokens: &[Token<'_>], start: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text {
            "(" => depth += 1,
            ")" if depth > 0 => depth -= 1,
            ")" | "," if depth == 0 => return at,
            word if depth == 0 && CONSTRAINTS.iter().any(|known| word.eq_ignore_ascii_case(known)) => {
                return at;
            }
            _ => {}
        }
    }
    tokens.len()
}

/// A word, a quoted name or text, or a single other character; with its place.
struct Token<'a> {
    text: &'a str,
    start: usize,
    end: usize,
}

fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while let Some(rest) = sql.get(start..).filter(|rest| !rest.is_empty()) {
        let length = token_length(rest);
        let text = rest.get(..length).unwrap_or(rest);
        let is_blank = text.trim().is_empty() || text.starts_with("--") || text.starts_with("/*");
        if !is_blank {
            tokens.push(Token { text, start, end: start + text.len() });
        }
        start += text.len();
    }
    tokens
}

fn token_length(rest: &str) -> usize {
    let up_to = |end: &str, skipped: usize| {
        rest.get(skipped..)
            .and_then(|inner| inner.find(end))
            .map_or(rest.len(), |at| skipped + at + end.len())
    };
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
    match rest.chars().next() {
        _ if rest.starts_with("--") => up_to("\n", 2),
        _ if rest.starts_with("/*") => up_to("*/", 2),
        Some('[') => up_to("]", 1),
        Some(quote @ ('"' | '`' | '\'')) => quoted_length(rest, quote),
        Some(first) if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
        Some(first) => first.len_utf8(),
        None => 0,
    }
}

/// A quote within quotes is doubled.
fn quoted_length(rest: &str, quote: char) -> usize {
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    rest.len()
}

fn unquoted(token: &str) -> String {
    let inner = |token: &str| token.get(1..token.len().saturating_sub(1)).unwrap_or_default().to_owned();
    match token.chars().next() {
        Some('[') => inner(token),
        Some(quote @ ('"' | '`' | '\'')) => {
            inner(token).replace(&format!("{quote}{quote}"), &quote.to_string())
        }
        _ => token.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_type_of_the_column_changes() {
        let declared = "CREATE TABLE \"a (b\" (id INTEGER PRIMARY KEY, -- n TEXT\n [n] VARCHAR(10, 2) NOT NULL \
                        DEFAULT 'x, n TEXT', \"we\"\"ird\", CHECK (n <> ''), UNIQUE (n)) STRICT";
        let of = |column: &str| retyped(declared, column, "REAL");
        assert_eq!(
            of("N").unwrap(),
            "(id INTEGER PRIMARY KEY, -- n TEXT\n [n] REAL NOT NULL \
             DEFAULT 'x, n TEXT', \"we\"\"ird\", CHECK (n <> ''), UNIQUE (n)) STRICT"
        );
        assert!(of("we\"ird").unwrap().contains("\"we\"\"ird\" REAL , CHECK"));
        assert!(of("id").unwrap().starts_with("(id REAL PRIMARY KEY,"));
        assert_eq!(of("check"), None);
        assert_eq!(of("missing"), None);
    }
}
