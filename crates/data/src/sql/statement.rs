//! SQL text under construction, with the values bound to it.

use std::fmt;

use super::syntax::SqlSyntax;
use crate::value::Value;

/// A statement and its parameters. Names go in quoted and values go in as parameters, so nothing a caller gives can
/// become SQL.
#[derive(Clone)]
pub(crate) struct Statement {
    text: String,
    params: Vec<Value>,
    syntax: &'static dyn SqlSyntax,
}

/// Values are left out, as they are the application's.
impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement").field("text", &self.text).finish_non_exhaustive()
    }
}

impl Statement {
    pub(crate) fn new(syntax: &'static dyn SqlSyntax, text: &str) -> Self {
        // Most statements are no longer, and so never moved while they grow.
        let mut buffer = String::with_capacity(512);
        buffer.push_str(text);
        Self { text: buffer, params: Vec::new(), syntax }
    }

    /// The syntax that it is written in.
    pub(crate) fn syntax(&self) -> &'static dyn SqlSyntax {
        self.syntax
    }

    /// Appends SQL that we wrote ourselves.
    pub(crate) fn push(&mut self, sql: &str) -> &mut Self {
        self.text.push_str(sql);
        self
    }

    /// Appends an identifier, quoted.
    pub(crate) fn name(&mut self, name: &str) -> &mut Self {
        push_quoted(&mut self.text, self.syntax.quotation_mark(), name);
        self
    }

    /// Appends a placeholder and binds the value, which is already in its stored form.
    pub(crate) fn bind(&mut self, value: Value) -> &mut Self {
        self.params.push(value);
        self.syntax.placeholder(&mut self.text, self.params.len());
        self
    }

    /// An empty statement, for a part that stands within an expression of this one.
    pub(crate) fn part(&self) -> Self {
        Self::new(self.syntax, "")
    }

    /// Appends an expression that holds a part, with the values bound to the part. Only placeholders that do not say their
    /// position can be moved so.
    pub(crate) fn append(&mut self, expression: &str, part: Self) {
        self.text.push_str(expression);
        self.params.extend(part.params);
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

    /// The same statement with other values, as many as it has.
    pub(crate) fn with(&self, params: Vec<Value>) -> Self {
        Self { text: self.text.clone(), params, syntax: self.syntax }
    }
}

/// An identifier in double quotes, as standard SQL has it.
pub(crate) fn double_quoted(name: &str) -> String {
    quoted_by('"', name)
}

/// An identifier between two of these marks, which are doubled within it.
pub(crate) fn quoted_by(mark: char, name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    push_quoted(&mut quoted, mark, name);
    quoted
}

fn push_quoted(text: &mut String, mark: char, name: &str) {
    text.push(mark);
    for (at, part) in name.split(mark).enumerate() {
        if at > 0 {
            text.extend([mark, mark]);
        }
        text.push_str(part);
    }
    text.push(mark);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_name_is_doubled() {
        assert_eq!(double_quoted(r#"a"; DROP TABLE b; --"#), r#""a""; DROP TABLE b; --""#);
        assert_eq!(quoted_by('`', "a`b\"c"), "`a``b\"c`");
    }
}
