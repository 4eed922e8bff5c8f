//! Finding rows by their keys.

use std::borrow::Cow;

use super::super::server::ServerKind;
use super::super::syntax::quote;
use super::super::text::exact;
use super::stored::{StoredColumn, StoredTable};
use crate::value::{Value, json_text, normal_decimal};

/// Keys looked up by one statement, so that statements have few different texts.
const KEYS_PER_STATEMENT: usize = 500;

/// A condition that finds rows by their keys, and what is bound to it.
pub(super) struct Lookup {
    pub(super) condition: String,
    pub(super) params: Vec<Value>,
}

impl Lookup {
    /// The conditions for these keys, in as many statements as they need.
    pub(super) fn of(stored: &StoredTable<'_>, keys: &[Vec<Value>], server: ServerKind) -> Vec<Self> {
        let columns = stored.key();
        let lax = columns.iter().any(|column| column.is_lax);
        let lookup = |keys: &[Vec<Value>]| {
            let mut condition = one_of(&columns, keys.len(), quoted);
            let mut params = bound(&columns, keys);
            if lax {
                // The index finds what the column takes for the same, and of that only the very same counts.
                let strict = one_of(&columns, keys.len(), |column| match column.is_lax {
                    true => exact(server, &quoted(column)),
                    false => quoted(column),
                });
                condition = format!("{condition} AND {strict}");
                params.extend_from_within(..);
            }
            Self { condition, params }
        };
        keys.chunks(KEYS_PER_STATEMENT).map(lookup).collect()
    }
}

fn quoted(column: &StoredColumn<'_>) -> String {
    quote(&column.declared.name)
}

fn one_of(
    columns: &[&StoredColumn<'_>],
    keys: usize,
    expression: impl Fn(&StoredColumn<'_>) -> String,
) -> String {
    let names: Vec<String> = columns.iter().map(|column| expression(column)).collect();
    let places: Vec<Cow<'_, str>> = columns.iter().map(|column| column.placeholder(true)).collect();
    let (names, tuple) = match (names.as_slice(), places.as_slice()) {
        ([name], [place]) => (name.clone(), place.to_string()),
        _ => (format!("({})", names.join(", ")), format!("({})", places.join(", "))),
    };
    format!("{names} IN ({})", vec![tuple; keys].join(", "))
}

fn bound(columns: &[&StoredColumn<'_>], keys: &[Vec<Value>]) -> Vec<Value> {
    keys.iter()
        .flat_map(|key| columns.iter().zip(key).map(|(column, value)| column.bound(value).into_owned()))
        .collect()
}

/// A form of a key that is the same for the same key, whatever the width of its numbers.
pub(super) fn identity<'a>(key: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    key.into_iter()
        .map(|value| match value {
            Value::Bool(flag) => format!("n{}", u8::from(*flag)),
            Value::Int32(number) => format!("n{number}"),
            Value::Int64(number) => format!("n{number}"),
            Value::Float(number) => format!("n{}", normal_decimal(&number.to_string())),
            Value::Decimal(text) => format!("n{}", normal_decimal(text)),
            Value::Text(text) => format!("t{text}"),
            Value::Bytes(bytes) => format!("b{bytes:?}"),
            other => format!("j{}", json_text(other)),
        })
        .collect()
}
