//! The beginnings of INSERT and COPY statements: which table they fill, and which of its columns.

use sqlparser::dialect::Dialect;
use sqlparser::tokenizer::{Token, Tokenizer};

/// The table and the columns that a statement fills; no columns where it names none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) table: String,
    pub(super) columns: Vec<String>,
}

/// Whether this is an INSERT or REPLACE up to the VALUES before its first row.
pub(super) fn is_insert_head(piece: &[u8]) -> bool {
    let begins = |word: &[u8]| piece.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if !begins(b"INSERT") && !begins(b"REPLACE") {
        return false;
    }
    let text = piece.trim_ascii_end();
    let ends = |word: &[u8]| {
        let Some(at) = text.len().checked_sub(word.len()) else { return false };
        let (before, end) = text.split_at(at);
        let is_word = before
            .last()
            .is_some_and(|last| last.is_ascii_whitespace() || matches!(last, b')' | b'"' | b'`' | b']'));
        end.eq_ignore_ascii_case(word) && is_word
    };
    ends(b"VALUES") || ends(b"VALUE")
}

/// The head of `INSERT INTO table (columns) VALUES`.
pub(super) fn insert_head(text: &str, dialect: &dyn Dialect) -> Option<Head> {
    let tokens = words(text, dialect)?;
    let into = tokens.iter().position(|token| is_word(token, "INTO"))?;
    // MySQL lets INTO out.
    head_at(tokens.get(into + 1..)?)
}

/// The head of `COPY table (columns) FROM stdin`, if rows follow in text format.
pub(super) fn copy_head(text: &str) -> Option<Head> {
    if !text.get(..4)?.eq_ignore_ascii_case("COPY") {
        return None;
    }
    let tokens = words(text, &sqlparser::dialect::PostgreSqlDialect {})?;
    let from = tokens.iter().position(|token| is_word(token, "FROM"))?;
    let is_stdin = tokens.get(from + 1).is_some_and(|token| is_word(token, "STDIN"));
    if !is_stdin {
        return None;
    }
    head_at(tokens.get(1..from)?)
}

fn words(text: &str, dialect: &dyn Dialect) -> Option<Vec<Token>> {
    let tokens = Tokenizer::new(dialect, text).tokenize().ok()?;
    Some(tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect())
}

fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
}

/// `[schema.]table [(column, …)]`
fn head_at(tokens: &[Token]) -> Option<Head> {
    let mut tokens = tokens.iter().peekable();
    let mut parts = vec![name(tokens.next()?)?];
    while tokens.next_if(|token| **token == Token::Period).is_some() {
        parts.push(name(tokens.next()?)?);
    }
    let mut columns = Vec::new();
    if tokens.next_if(|token| **token == Token::LParen).is_some() {
        loop {
            columns.push(name(tokens.next()?)?);
            match tokens.next()? {
                Token::Comma => {}
                Token::RParen => break,
                _ => return None,
            }
        }
    }
    Some(Head { table: table_name(&parts), columns })
}

fn name(token: &Token) -> Option<String> {
    match token {
        Token::Word(word) => Some(match word.quote_style {
            // The tokenizer leaves doubled quotes as they are.
            Some(quote) => {
                let quote = if quote == '[' { ']' } else { quote };
                word.value.replace(&format!("{quote}{quote}"), &quote.to_string())
            }
            None => word.value.clone(),
        }),
        Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => Some(text.clone()),
        _ => None,
    }
}

/// The name of a table without the schema that every database has by default.
pub(super) fn table_name(parts: &[String]) -> String {
    match parts {
        [schema, table] if matches!(schema.as_str(), "public" | "main" | "dbo") => table.clone(),
        parts => parts.join("."),
    }
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::{GenericDialect, MySqlDialect, PostgreSqlDialect};

    use super::*;

    fn head(table: &str, columns: &[&str]) -> Option<Head> {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        Some(Head { table: table.to_owned(), columns })
    }

    #[test]
    fn tables_and_columns_are_named_in_the_quotes_of_every_dialect() {
        let postgres = PostgreSqlDialect {};
        assert_eq!(
            insert_head("INSERT INTO public.\"or\"\"der\" (id, \"createdAt\") VALUES", &postgres),
            head("or\"der", &["id", "createdAt"])
        );
        assert_eq!(
            insert_head("insert ignore into `my``table` (`a`) values", &MySqlDialect {}),
            head("my`table", &["a"])
        );
        assert_eq!(insert_head("INSERT OR REPLACE INTO t VALUES", &GenericDialect {}), head("t", &[]));
        assert_eq!(insert_head("REPLACE INTO shop.t VALUES", &MySqlDialect {}), head("shop.t", &[]));
    }

    #[test]
    fn a_copy_statement_is_told_from_others() {
        assert_eq!(copy_head("COPY public.users (id, name) FROM stdin"), head("users", &["id", "name"]));
        assert_eq!(copy_head("COPY users TO stdout"), None);
        assert_eq!(copy_head("COMMIT"), None);
    }
}
