//! The filter language: which rows an operation concerns.

mod options;
mod parse;
mod row_filter;
mod row_test;

pub(crate) use options::parse_count;
pub use options::{Direction, FindOptions};
pub use row_filter::RowFilter;

use std::fmt;

use crate::value::Value;

/// A condition on a row. Its meaning is the same on every dialect: a field without a value is NULL, `$ne` and
/// `$nin` hold for NULL, and no ordering comparison does.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All of these hold; none means every row.
    All(Vec<Filter>),
    /// At least one of these holds; none means no row.
    Any(Vec<Filter>),
    /// A condition on one field.
    Field(FieldPath, Condition),
}

/// A field, or a place within its JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath {
    /// The field.
    pub field: String,
    /// The keys below it; empty for the field itself.
    pub below: Vec<String>,
}

/// What must hold for the value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Equal; with null, has no value.
    Eq(Value),
    /// Not equal; with null, has a value.
    Ne(Value),
    /// Greater.
    Gt(Value),
    /// Greater or equal.
    Gte(Value),
    /// Less.
    Lt(Value),
    /// Less or equal.
    Lte(Value),
    /// One of these.
    In(Vec<Value>),
    /// None of these.
    Nin(Vec<Value>),
    /// Matches the regular expression.
    Regex {
        /// The expression.
        pattern: String,
        /// Whether letters match in either case (flag `i`).
        ignore_case: bool,
    },
    /// Has a value, or has none.
    Exists(bool),
}

impl Condition {
    /// The values that the condition compares with.
    pub(crate) fn operands(&self) -> &[Value] {
        match self {
            Self::Eq(value)
            | Self::Ne(value)
            | Self::Gt(value)
            | Self::Gte(value)
            | Self::Lt(value)
            | Self::Lte(value) => std::slice::from_ref(value),
            Self::In(values) | Self::Nin(values) => values,
            Self::Regex { .. } | Self::Exists(_) => &[],
        }
    }
}

/// The path as it is written, such as `address.city`.
impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.field)?;
        self.below.iter().try_for_each(|key| write!(f, ".{key}"))
    }
}

impl Filter {
    /// The filter that every row passes.
    pub const fn everything() -> Self {
        Self::All(Vec::new())
    }

    /// The filter that a field equals a value.
    pub fn eq(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::Field(FieldPath { field: field.into(), below: Vec::new() }, Condition::Eq(value.into()))
    }

    /// Both filters.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::All(mut parts) => {
                parts.push(other);
                Self::All(parts)
            }
            single => Self::All(vec![single, other]),
        }
    }

    /// Whether the filter says anything about this field.
    pub fn mentions(&self, field: &str) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.mentions(field)),
            Self::Field(path, _) => path.field == field,
        }
    }
}
