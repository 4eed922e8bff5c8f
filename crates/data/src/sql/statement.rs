//! SQL text under construction, with the values bound to it.

use super::syntax::SqlSyntax;
use crate::value::Value;

/// A statement and its parameters. Names go in quoted and values go in as parameters, so nothing a caller gives can
/// become SQL.
pub(crate) struct Statement {
    text: String,
    params: Vec<Value>,
    syntax: &'static dyn SqlSyntax,
}

impl Statement {
    pub(crate) fn new(syntax: &'static dyn SqlSyntax, text: &str) -> Self {
        Self { text: text.to_owned(), params: Vec::new(), syntax }
    }

    /// Appends SQL that we wrote ourselves.
    pub(crate) fn push(&mut self, sql: &str) -> &mut Self {
        self.text.push_str(sql);
        self
    }

    /// Appends an identifier, quoted.
    pub(crate) fn name(&mut self, name: &str) -> &mut Self {
        quote_into(&mut self.text, name);
        self
    }

    /// Appends a placeholder and binds the value, which is already in its stored form.
    pub(crate) fn bind(&mut self, value: Value) -> &mut Self {
        self.params.push(value);
        self.syntax.placeholder(&mut self.text, self.params.len());
        self
    }

    /// Appends items with a separator between them.
    pub(crate) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        separator: &str,
        mut each: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                self.push(separator);
            }
            each(self, item);
        }
        self
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn params(&self) -> &[Value] {
        &self.params
    }
}

/// An identifier in double quotes.
pub(crate) fn quote(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quote_into(&mut quoted, name);
    quoted
}

fn quote_into(text: &mut String, name: &str) {
    text.push('"');
    for character in name.chars() {
        if character == '"' {
            text.push('"');
        }
        text.push(character);
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_name_is_doubled() {
        assert_eq!(quote(r#"a"; DROP TABLE b; --"#), r#""a""; DROP TABLE b; --""#);
    }
}
