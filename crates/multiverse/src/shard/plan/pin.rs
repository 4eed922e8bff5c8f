//! Values that a statement compares a shard key with, or inserts into it.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::tree::{field, flag, items, names, node, number, text};
use crate::request::BindParameters;
use crate::shard::error::ShardError;
use crate::shard::key::{KeyType, KeyValue};
use crate::shard::parameters::{Parameter, array_items, parameter};
use crate::shard::placement::Placement;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    Literal(KeyValue),
    /// A parameter, from 0.
    Parameter(usize),
    /// The elements of an array that is a parameter.
    Elements(usize),
}

/// A shard key is one of these values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pin {
    pub(crate) column: String,
    pub(crate) placement: Placement,
    pub(crate) sources: Vec<Source>,
}

impl Pin {
    /// The shards on which rows with these values lie. There are none with NULL, or with a value that has no shard.
    pub(crate) fn shards(&self, parameters: &BindParameters) -> Result<BTreeSet<u32>, ShardError> {
        let mut shards = BTreeSet::new();
        for source in &self.sources {
            for value in self.values(source, parameters)? {
                if value != KeyValue::Null {
                    shards.extend(self.placement.shard_of(&value));
                }
            }
        }
        Ok(shards)
    }

    /// The one shard on which a row with this value is to lie.
    pub(crate) fn place(&self, source: &Source, parameters: &BindParameters) -> Result<u32, ShardError> {
        let values = self.values(source, parameters)?;
        let [value] = &values[..] else { return Err(ShardError::no_shard(&self.column)) };
        self.placement.shard_of_stored(value).ok_or_else(|| ShardError::no_shard(&self.column))
    }

    fn values(&self, source: &Source, parameters: &BindParameters) -> Result<Vec<KeyValue>, ShardError> {
        let key = self.placement.key;
        let unfit = || ShardError::value(&self.column, key);
        let missing =
            || ShardError::key_required("a parameter that is compared with the shard key is missing");
        match source {
            Source::Literal(value) => Ok(vec![value.clone()]),
            Source::Parameter(at) => match parameter(parameters, *at).ok_or_else(missing)? {
                Parameter::Null => Ok(vec![KeyValue::Null]),
                Parameter::Text(text) => Ok(vec![key.parse(text).ok_or_else(unfit)?]),
                Parameter::Binary(bytes) => Ok(vec![key.parse_binary(bytes).ok_or_else(unfit)?]),
            },
            Source::Elements(at) => match parameter(parameters, *at).ok_or_else(missing)? {
                Parameter::Null => Ok(Vec::new()),
                Parameter::Binary(_) => Err(unfit()),
                Parameter::Text(text) => {
                    let items = array_items(text).ok_or_else(unfit)?;
                    let read = |item: Option<String>| match item {
                        Some(text) => key.parse(&text).ok_or_else(unfit),
                        None => Ok(KeyValue::Null),
                    };
                    items.into_iter().map(read).collect()
                }
            },
        }
    }
}

/// The value of an expression that needs no server; `None` for any other.
pub(super) fn source_of(expression: &Json, key: KeyType) -> Option<Source> {
    let (kind, content) = node(expression)?;
    match kind {
        "AConst" => literal_of(content, key).map(Source::Literal),
        "ParamRef" => usize::try_from(number(content, "number") - 1).ok().map(Source::Parameter),
        "TypeCast" => {
            let target = field(content, "type_name")?;
            let is_same = items(target, "typmods").is_empty()
                && items(target, "array_bounds").is_empty()
                && names(target, "names").last().is_some_and(|name| key.is_called(name));
            let source = source_of(field(content, "arg")?, key)?;
            is_same.then_some(source)
        }
        _ => None,
    }
}

/// The values of `= ANY (…)`.
pub(super) fn elements_of(expression: &Json, key: KeyType) -> Option<Vec<Source>> {
    let (kind, content) = node(expression)?;
    match kind {
        "ParamRef" => Some(vec![Source::Elements(usize::try_from(number(content, "number") - 1).ok()?)]),
        "AArrayExpr" => items(content, "elements").iter().map(|element| source_of(element, key)).collect(),
        "TypeCast" => {
            let target = field(content, "type_name")?;
            let is_same = items(target, "typmods").is_empty()
                && items(target, "array_bounds").len() == 1
                && names(target, "names").last().is_some_and(|name| key.is_called(name));
            let elements = elements_of(field(content, "arg")?, key)?;
            is_same.then_some(elements)
        }
        _ => None,
    }
}

fn literal_of(content: &Json, key: KeyType) -> Option<KeyValue> {
    if flag(content, "isnull") {
        return Some(KeyValue::Null);
    }
    let (kind, value) = field(content, "val")?.as_object()?.iter().next()?;
    match kind.as_str() {
        "Ival" => key.parse(&number(value, "ival").to_string()),
        // A text would be what the server makes of the number.
        "Fval" if key != KeyType::Text => key.parse(text(value, "fval")),
        "Boolval" => key.parse(if flag(value, "boolval") { "true" } else { "false" }),
        "Sval" => key.parse(text(value, "sval")),
        _ => None,
    }
}
