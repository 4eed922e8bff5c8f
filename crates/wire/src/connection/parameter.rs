//! Parameters of queries and the formats of their results.

use std::borrow::Cow;

use crate::protocol::frontend::BindParameter;
use crate::protocol::row::{Column, Format};

/// One parameter of a query, as it goes over the wire.
///
/// A text whose type the server infers is what most callers want: `Param::text("42")` fits an integer, a
/// numeric and a text alike.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Param<'a> {
    /// The bytes, `None` for NULL.
    pub value: Option<Cow<'a, [u8]>>,
    /// What the bytes are.
    pub format: Format,
    /// The type's oid, where the server must not infer it.
    pub type_oid: Option<u32>,
}

impl<'a> Param<'a> {
    /// A value as text.
    pub fn text(value: impl Into<Cow<'a, str>>) -> Self {
        let bytes = match value.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Self { value: Some(bytes), ..Self::default() }
    }

    /// A value in the binary format of its type, which the server infers unless it is [set](Param::of_type).
    pub fn binary(value: impl Into<Cow<'a, [u8]>>) -> Self {
        Self { value: Some(value.into()), format: Format::Binary, type_oid: None }
    }

    /// NULL.
    pub fn null() -> Self {
        Self::default()
    }

    /// The same with the type of this oid.
    #[must_use]
    pub fn of_type(self, type_oid: u32) -> Self {
        Self { type_oid: Some(type_oid), ..self }
    }

    pub(super) fn to_bind(&self) -> BindParameter<'_> {
        BindParameter { value: self.value.as_deref(), format: self.format }
    }
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(value: &'a str) -> Self {
        Self::text(value)
    }
}

impl From<String> for Param<'_> {
    fn from(value: String) -> Self {
        Self::text(value)
    }
}

impl<'a, T: Into<Param<'a>>> From<Option<T>> for Param<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(Self::null, Into::into)
    }
}

/// The types given, up to the last one; 0 stands for a type to infer.
pub(super) fn given_types(parameters: &[Param<'_>]) -> Vec<u32> {
    let count =
        parameters.iter().rposition(|parameter| parameter.type_oid.is_some()).map_or(0, |last| last + 1);
    parameters.iter().take(count).map(|parameter| parameter.type_oid.unwrap_or(0)).collect()
}

/// The formats in which the columns of a result are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ResultFormat {
    /// All as text.
    #[default]
    Text,
    /// All binary.
    Binary,
    /// Each its own; there must be as many as columns.
    Columns(Vec<Format>),
    /// Columns of the types with these oids binary, the others as text. All are text when a statement is run for the first
    /// time, as its columns are not known before, and in a batch.
    BinaryTypes(&'static [u32]),
}

impl ResultFormat {
    pub(super) fn codes(&self) -> &[Format] {
        match self {
            Self::Text | Self::BinaryTypes(_) => &[],
            Self::Binary => &[Format::Binary],
            Self::Columns(formats) => formats,
        }
    }

    /// The formats for columns that are known.
    pub(super) fn of_columns(&self, columns: &[Column]) -> Cow<'_, Self> {
        let Self::BinaryTypes(types) = self else { return Cow::Borrowed(self) };
        let format = |column: &Column| {
            if types.contains(&column.type_oid) { Format::Binary } else { Format::Text }
        };
        Cow::Owned(Self::Columns(columns.iter().map(format).collect()))
    }

    pub(super) fn of_column(&self, index: usize) -> Format {
        match self {
            Self::Text | Self::BinaryTypes(_) => Format::Text,
            Self::Binary => Format::Binary,
            // A single format counts for all columns.
            Self::Columns(formats) if formats.len() == 1 => formats.first().copied().unwrap_or_default(),
            Self::Columns(formats) => formats.get(index).copied().unwrap_or_default(),
        }
    }
}

/// How a query is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryOptions {
    /// The formats of the result.
    pub result_format: ResultFormat,
    /// Whether its prepared statement is kept for the next time. Texts that do not come again should not be.
    pub cache: bool,
}

impl Default for QueryOptions {
    fn default() -> Self {
        Self { result_format: ResultFormat::Text, cache: true }
    }
}

impl QueryOptions {
    /// The default with all columns binary.
    pub fn binary() -> Self {
        Self { result_format: ResultFormat::Binary, ..Self::default() }
    }
}
