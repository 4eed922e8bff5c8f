//! What the rules say of one statement.

use super::rule::Rule;

/// A rule that a statement breaks.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) rule: &'static Rule,
    /// The table, column or other object that it is about.
    pub(super) subject: String,
}

/// Collects what the rules say.
#[derive(Debug, Default)]
pub(super) struct Hits {
    pub(super) list: Vec<Hit>,
}

impl Hits {
    pub(super) fn add(&mut self, rule: &'static Rule, subject: impl Into<String>) {
        self.list.push(Hit { rule, subject: subject.into() });
    }
}
