//! Filters as MongoDB query documents.
//!
//! Missing and null are the same to MongoDB's `$eq`, `$ne`, `$in` and `$nin`, and its ordering operators never match
//! either, which is what the filter language asks for.

use mongodb::bson::{Bson, Document, doc};

use super::bson::bson_of;
use super::extended::is_regular_expression;
use super::fields::{FieldRole, KEY, Names};
use super::json_filter;
use super::record::stored_number;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Condition, FieldPath, Filter};
use crate::record::fit;
use crate::schema::FieldType;
use crate::value::{ObjectId, Value};

/// The query document of a filter.
///
/// # Errors
/// [`ErrorKind::Filter`] for an unknown field or an operand that the field cannot be compared with.
pub(super) fn compile(names: &dyn Names, filter: &Filter) -> Result<Document> {
    match filter {
        Filter::All(parts) => match parts.as_slice() {
            [] => Ok(Document::new()),
            [single] => compile(names, single),
            parts => Ok(doc! {"$and": compile_all(names, parts)?}),
        },
        Filter::Any(parts) => match parts.as_slice() {
            [] => Ok(nothing()),
            [single] => compile(names, single),
            parts => Ok(doc! {"$or": compile_all(names, parts)?}),
        },
        Filter::Field(path, condition) => compile_field(names, path, condition),
    }
}

/// The query that no document passes.
pub(super) fn nothing() -> Document {
    doc! {KEY: {"$in": []}}
}

fn compile_all(names: &dyn Names, parts: &[Filter]) -> Result<Vec<Bson>> {
    parts.iter().map(|part| compile(names, part).map(Bson::Document)).collect()
}

fn compile_field(names: &dyn Names, path: &FieldPath, condition: &Condition) -> Result<Document> {
    let place = names.place(path)?;
    if !place.below.is_empty()
        || matches!(place.role, FieldRole::Declared(FieldType::Json | FieldType::Array))
    {
        return json_filter::compile(path, &place, condition);
    }
    let operand = Operand { name: &path.field, role: place.role };
    let stored = place.stored;
    let test = match condition {
        Condition::Exists(true) => doc! {"$ne": Bson::Null},
        Condition::Exists(false) => doc! {"$eq": Bson::Null},
        Condition::Eq(value) => operand.either(value, "$eq", "$in")?,
        Condition::Ne(value) => operand.either(value, "$ne", "$nin")?,
        Condition::Gt(value) => return operand.ordered(&stored, "$gt", value),
        Condition::Gte(value) => return operand.ordered(&stored, "$gte", value),
        Condition::Lt(value) => return operand.ordered(&stored, "$lt", value),
        Condition::Lte(value) => return operand.ordered(&stored, "$lte", value),
        Condition::In(values) => return operand.membership(&stored, "$in", "$or", values),
        Condition::Nin(values) => return operand.membership(&stored, "$nin", "$nor", values),
        Condition::Regex { pattern, ignore_case } => {
            doc! {"$regex": pattern, "$options": if *ignore_case { "i" } else { "" }}
        }
    };
    Ok(doc! {stored: test})
}

/// How the operands of a field are written.
struct Operand<'a> {
    name: &'a str,
    role: FieldRole,
}

impl Operand<'_> {
    fn either(&self, value: &Value, one: &str, several: &str) -> Result<Document> {
        let mut forms = self.forms(value)?;
        Ok(if forms.len() == 1 {
            doc! {one: forms.remove(0)}
        } else {
            doc! {several: forms}
        })
    }

    /// MongoDB compares only values of one type, so that both forms of an id each find their own.
    fn ordered(&self, stored: &str, operator: &str, value: &Value) -> Result<Document> {
        if value.is_null() {
            return Ok(nothing());
        }
        let mut tests: Vec<_> =
            self.forms(value)?.into_iter().map(|form| doc! {stored: {operator: form}}).collect();
        Ok(if tests.len() == 1 {
            tests.remove(0)
        } else {
            doc! {"$or": tests}
        })
    }

    /// Within a list MongoDB would take a document with a name such as `$gt` for an operator, so that one is compared
    /// by itself.
    fn membership(&self, stored: &str, list: &str, combine: &str, values: &[Value]) -> Result<Document> {
        let mut forms = Vec::with_capacity(values.len());
        for value in values {
            forms.extend(self.forms(value)?);
        }
        let like_operator = |form: &Bson| {
            form.as_document().and_then(|d| d.keys().next()).is_some_and(|k| k.starts_with('$'))
        };
        let (alone, listed): (Vec<_>, Vec<_>) = forms.into_iter().partition(like_operator);
        if alone.is_empty() {
            return Ok(doc! {stored: {list: listed}});
        }
        let mut tests: Vec<_> = alone.into_iter().map(|form| doc! {stored: {"$eq": form}}).collect();
        tests.push(doc! {stored: {"$in": listed}});
        Ok(doc! {combine: tests})
    }

    /// The value as it may be stored.
    fn forms(&self, value: &Value) -> Result<Vec<Bson>> {
        if is_regular_expression(value) {
            // MongoDB would search with it instead of comparing it.
            let message = format!("field \"{}\": a regular expression needs the operator $regex", self.name);
            return Err(Error::new(ErrorKind::Filter, message));
        }
        let declared = match self.role {
            FieldRole::Identity => return identity_forms(self.name, value),
            FieldRole::Declared(declared) => declared,
            FieldRole::Undeclared => return Ok(vec![bson_of(value)?]),
        };
        let fitted = fit(&format!("field \"{}\"", self.name), declared, value.clone())
            .map_err(|error| Error::new(ErrorKind::Filter, error.to_string()))?;
        let fitted = if declared == FieldType::Number { stored_number(self.name, fitted)? } else { fitted };
        Ok(vec![bson_of(&fitted)?])
    }
}

/// An id as it may be stored: ids are text here, but other applications may have made object ids and numbers, which are
/// shown as text.
///
/// # Errors
/// [`ErrorKind::Filter`] for a value that is no id.
pub(super) fn identity_forms(name: &str, value: &Value) -> Result<Vec<Bson>> {
    let text = match value {
        Value::Null | Value::Array(_) | Value::Object(_) | Value::Bytes(_) => {
            return Ok(vec![bson_of(value)?]);
        }
        single => fit(&format!("field \"{name}\""), FieldType::String, single.clone())
            .map_err(|error| Error::new(ErrorKind::Filter, error.to_string()))?,
    };
    let mut forms = vec![bson_of(&text)?];
    let text = text.as_text().unwrap_or_default();
    if let Some(id) = ObjectId::parse(text) {
        forms.push(bson_of(&Value::ObjectId(id))?);
    }
    // MongoDB compares numbers by their worth, so that one form finds those of every width.
    if let Some(number) = text.parse::<i64>().ok().filter(|number| number.to_string() == text) {
        forms.push(Bson::Int64(number));
    }
    Ok(forms)
}
