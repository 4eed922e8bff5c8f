//! One `$group` of an aggregation, and the names that the stages after it may use.

use indexmap::IndexMap;
use mongodb::bson::{Bson, Document, RawDocument, doc};

use super::bson::value_of;
use super::error::malformed;
use super::expression::{has_value, value_at};
use super::fields::{FieldRole, KEY, Names, Place};
use super::record::{shown, shown_id};
use crate::aggregate::{Accumulator, Group, GroupKey};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::FieldPath;
use crate::record::Record;
use crate::schema::{EntitySchema, FieldType};
use crate::value::Value;

/// A group as MongoDB is told of it.
pub(super) struct Grouped {
    entity: String,
    /// The documents by whose `_id` rows are grouped.
    key: Document,
    accumulators: Document,
    /// What comes out, by the application's names.
    outputs: IndexMap<String, Output>,
    /// Whether all rows are one group, which is there even without any row.
    single: bool,
}

/// A key or a result of a group.
struct Output {
    /// Its field in the documents of the group.
    field: String,
    role: FieldRole,
    result: Option<Numeric>,
    /// Its value where no row was there to be grouped.
    of_nothing: Value,
}

/// A result that is a number of a certain kind.
#[derive(Clone, Copy, PartialEq)]
enum Numeric {
    Count,
    Double,
}

impl Grouped {
    /// # Errors
    /// [`ErrorKind::Filter`] for a field that does not exist, or whose values cannot be added up.
    pub(super) fn of(schema: &EntitySchema, names: &dyn Names, group: &Group) -> Result<Self> {
        let mut grouped = Self {
            entity: schema.name.clone(),
            key: Document::new(),
            accumulators: Document::new(),
            outputs: IndexMap::new(),
            single: group.by == GroupKey::Nothing,
        };
        for (name, path) in group.by.named() {
            grouped.add_key(name, names.place(path)?);
        }
        for (name, accumulator) in &group.fields {
            grouped.add_result(name, names, accumulator)?;
        }
        Ok(grouped)
    }

    fn add_key(&mut self, name: String, place: Place) {
        let field = format!("k{}", self.key.len());
        self.key.insert(field.clone(), value_at(&place));
        let output = Output { field, role: role_of(&place), result: None, of_nothing: Value::Null };
        self.outputs.insert(name, output);
    }

    fn add_result(&mut self, name: &str, names: &dyn Names, accumulator: &Accumulator) -> Result<()> {
        const NUMBER: FieldRole = FieldRole::Declared(FieldType::Number);
        let (expression, role, result) = match accumulator {
            Accumulator::Count => (doc! {"$sum": 1}, NUMBER, Some(Numeric::Count)),
            Accumulator::CountOf(path) => {
                let counted = doc! {"$cond": [has_value(value_at(&names.place(path)?)), 1, 0]};
                (doc! {"$sum": counted}, NUMBER, Some(Numeric::Count))
            }
            Accumulator::SumOf(number) => (doc! {"$sum": *number}, NUMBER, Some(Numeric::Double)),
            Accumulator::Sum(path) => {
                (doc! {"$sum": self.number_at(names, path)?}, NUMBER, Some(Numeric::Double))
            }
            Accumulator::Average(path) => {
                (doc! {"$avg": self.number_at(names, path)?}, NUMBER, Some(Numeric::Double))
            }
            Accumulator::Min(path) => {
                let place = names.place(path)?;
                (doc! {"$min": value_at(&place)}, role_of(&place), None)
            }
            Accumulator::Max(path) => {
                let place = names.place(path)?;
                (doc! {"$max": value_at(&place)}, role_of(&place), None)
            }
        };
        let of_nothing = match accumulator {
            Accumulator::Count | Accumulator::CountOf(_) => Value::Int32(0),
            Accumulator::Sum(_) | Accumulator::SumOf(_) => Value::Float(0.0),
            Accumulator::Average(_) | Accumulator::Min(_) | Accumulator::Max(_) => Value::Null,
        };
        let field = format!("r{}", self.accumulators.len());
        self.accumulators.insert(field.clone(), expression);
        self.outputs.insert(name.to_owned(), Output { field, role, result, of_nothing });
        Ok(())
    }

    /// A value to add up: that of a number field, or within JSON, where MongoDB passes over what is no number.
    fn number_at(&self, names: &dyn Names, path: &FieldPath) -> Result<Bson> {
        let place = names.place(path)?;
        match role_of(&place) {
            FieldRole::Undeclared | FieldRole::Declared(FieldType::Number | FieldType::Json) => {
                Ok(value_at(&place))
            }
            FieldRole::Declared(other) => Err(self.no_number(path, other.name())),
            FieldRole::Identity => Err(self.no_number(path, "string")),
        }
    }

    fn no_number(&self, path: &FieldPath, field_type: &str) -> Error {
        let message =
            format!("{}: \"{path}\" is a {field_type} field, and only numbers can be added up", self.entity);
        Error::new(ErrorKind::Filter, message)
    }

    /// The stages that make the groups, as documents of the keys and results.
    pub(super) fn stages(&self) -> Vec<Document> {
        let by = if self.single { Bson::Null } else { Bson::Document(self.key.clone()) };
        let mut group = doc! {KEY: by};
        group.extend(self.accumulators.clone());
        let mut shape = doc! {KEY: 0};
        shape.extend(self.key.keys().map(|key| (key.clone(), Bson::String(format!("${KEY}.{key}")))));
        shape.extend(self.accumulators.keys().map(|result| (result.clone(), Bson::Int32(1))));
        if self.single {
            return self.single_stages(group);
        }
        vec![doc! {"$group": group}, doc! {"$project": shape}]
    }

    /// A facet gives a document even where no row came in; MongoDB's own `$group` would give none.
    fn single_stages(&self, group: Document) -> Vec<Document> {
        let mut empty = Document::new();
        for output in self.outputs.values() {
            let value = match (&output.result, &output.of_nothing) {
                (_, Value::Null) => Bson::Null,
                (Some(Numeric::Double), _) => Bson::Double(0.0),
                _ => Bson::Int32(0),
            };
            empty.insert(output.field.clone(), value);
        }
        let only = doc! {"$ifNull": [{"$arrayElemAt": ["$all", 0]}, {}]};
        vec![
            doc! {"$facet": {"all": [{"$group": group}]}},
            doc! {"$replaceRoot": {"newRoot": {"$mergeObjects": [{"$literal": empty}, only]}}},
            doc! {"$unset": KEY},
        ]
    }

    /// The record of one group.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if the bytes are no BSON.
    pub(super) fn record(&self, document: &RawDocument) -> Result<Record> {
        self.outputs
            .iter()
            .map(|(name, output)| {
                let value = match document.get(&output.field).map_err(malformed)? {
                    Some(element) => value_of(element)?,
                    None => Value::Null,
                };
                Ok((name.clone(), output.shown(value)))
            })
            .collect()
    }
}

impl Output {
    fn shown(&self, value: Value) -> Value {
        match (self.result, self.role) {
            (Some(Numeric::Double), _) => value.as_f64().map_or(Value::Null, Value::Float),
            (None, FieldRole::Identity) => shown_id(value),
            _ => shown(value),
        }
    }
}

impl Names for Grouped {
    /// After a group, the names are those of its keys and results. A name with a dot may be one of them as a whole.
    fn place(&self, path: &FieldPath) -> Result<Place> {
        let whole = path.to_string();
        if let Some(output) = self.outputs.get(&whole) {
            return Ok(Place { stored: output.field.clone(), role: output.role, below: Vec::new() });
        }
        if let Some(output) = self.outputs.get(&path.field)
            && matches!(
                output.role,
                FieldRole::Undeclared | FieldRole::Declared(FieldType::Json | FieldType::Array)
            )
        {
            return Ok(Place { stored: output.field.clone(), role: output.role, below: path.below.clone() });
        }
        let known = self.outputs.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let message = format!("{}: the group has no \"{whole}\"; it has {known}", self.entity);
        Err(Error::new(ErrorKind::Filter, message))
    }
}

/// Below a field there may be anything that JSON knows.
fn role_of(place: &Place) -> FieldRole {
    if place.below.is_empty() { place.role } else { FieldRole::Declared(FieldType::Json) }
}
