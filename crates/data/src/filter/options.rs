//! How many rows are read, in which order, and which of their fields.

use indexmap::IndexMap;

use crate::error::{Error, ErrorKind, Result};
use crate::value::{Object, Value};

/// The direction of a sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first; rows without a value come first of all.
    Ascending,
    /// Largest first; rows without a value come last.
    Descending,
}

/// The options of a read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FindOptions {
    /// The sort order, outermost field first.
    pub sort: IndexMap<String, Direction>,
    /// How many rows to pass over.
    pub skip: Option<u64>,
    /// How many rows to return at the most.
    pub limit: Option<u64>,
    /// The fields to return (`id` always is); empty means all.
    pub select: Vec<String>,
    /// The fields to leave out.
    pub exclude: Vec<String>,
    /// Whether softly deleted rows are returned as well.
    pub include_deleted: bool,
    /// Whether nobody else changes the rows before the end of the transaction, where the database locks rows.
    pub lock: bool,
}

impl FindOptions {
    /// Reads options from their JavaScript form; keys that are not options are passed over. A limit of 0 is none, as MongoDB
    /// has it.
    ///
    /// # Errors
    /// [`ErrorKind::Filter`] naming the option.
    pub fn parse(object: &Object) -> Result<Self> {
        let mut options = Self::default();
        for (name, value) in object {
            match (name.as_str(), value) {
                (_, Value::Null) => {}
                ("sort", Value::Object(sort)) => options.sort = parse_sort(sort)?,
                ("skip", value) => options.skip = Some(parse_count("skip", value)?),
                ("limit", value) => {
                    options.limit = Some(parse_count("limit", value)?).filter(|limit| *limit > 0)
                }
                ("select", value) => options.select = parse_names("select", value)?,
                ("exclude", value) => options.exclude = parse_names("exclude", value)?,
                ("includeDeleted", Value::Bool(flag)) => options.include_deleted = *flag,
                ("sort" | "includeDeleted", value) => {
                    let expected = if name == "sort" { "{field: 1 | -1}" } else { "true or false" };
                    return Err(option_error(name, expected, value));
                }
                _ => {}
            }
        }
        Ok(options)
    }

    /// Whether a field belongs into the result.
    pub fn returns(&self, field: &str) -> bool {
        if field == crate::schema::ID {
            return true;
        }
        (self.select.is_empty() || self.select.iter().any(|name| name == field))
            && !self.exclude.iter().any(|name| name == field)
    }

    /// Whether one row is asked for, with all that it has, unless it is softly deleted.
    pub(crate) fn ask_for_a_whole_row(&self) -> bool {
        let is_first = self.limit == Some(1) && self.skip.is_none_or(|skip| skip == 0);
        let is_whole = self.select.is_empty() && self.exclude.is_empty();
        is_first && is_whole && self.sort.is_empty() && !self.include_deleted && !self.lock
    }
}

fn parse_sort(sort: &Object) -> Result<IndexMap<String, Direction>> {
    sort.iter()
        .map(|(field, value)| {
            let direction = match (value.as_f64(), value.as_text()) {
                (Some(1.0), _) => Direction::Ascending,
                (Some(-1.0), _) => Direction::Descending,
                (_, Some("asc" | "ASC" | "ascending")) => Direction::Ascending,
                (_, Some("desc" | "DESC" | "descending")) => Direction::Descending,
                _ => {
                    return Err(option_error(&format!("sort.{field}"), "1, -1, 'asc' or 'desc'", value));
                }
            };
            Ok((field.clone(), direction))
        })
        .collect()
}

pub(crate) fn parse_count(name: &str, value: &Value) -> Result<u64> {
    let whole = value.as_f64().filter(|number| *number >= 0.0 && number.fract() == 0.0 && *number <= 1e15);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the filter bounds it")]
    whole.map(|number| number as u64).ok_or_else(|| option_error(name, "a whole number from 0", value))
}

fn parse_names(name: &str, value: &Value) -> Result<Vec<String>> {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| {
                item.as_text()
                    .map(str::to_owned)
                    .ok_or_else(|| option_error(name, "a list of field names", item))
            })
            .collect(),
        other => Err(option_error(name, "a list of field names", other)),
    }
}

fn option_error(name: &str, expected: &str, found: &Value) -> Error {
    Error::new(
        ErrorKind::Filter,
        format!("option \"{name}\": expected {expected}, found {}", found.type_name()),
    )
}
