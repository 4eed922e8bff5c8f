//! Filters as MongoDB query documents.
//!
//! Missing and null are the same to MongoDB's `$eq`, `$ne`, `$in` and `$nin`, and its ordering operators never match
//! either, which is what the filter language asks for. Objects are compared with their keys in order.

use mongodb::bson::{Bson, Document, doc};

use super::bson::bson_of;
use super::extended::is_regular_expression;
use super::fields::{FieldRole, Fields, KEY};
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
pub(super) fn compile(fields: &Fields<'_>, filter: &Filter) -> Result<Document> {
    match filter {
        Filter::All(parts) => match parts.as_slice() {
            [] => Ok(Document::new()),
            [single] => compile(fields, single),
            parts => Ok(doc! {"$and": compile_all(fields, parts)?}),
        },
        Filter::Any(parts) => match parts.as_slice() {
            [] => Ok(nothing()),
            [single] => compile(fields, single),
            parts => Ok(doc! {"$or": compile_all(fields, parts)?}),
        },
        Filter::Field(path, condition) => compile_field(fields, path, condition),
    }
}

/// The query that no document passes.
fn nothing() -> Document {
    doc! {KEY: {"$in": []}}
}

fn compile_all(fields: &Fields<'_>, parts: &[Filter]) -> Result<Vec<Bson>> {
    parts.iter().map(|part| compile(fields, part).map(Bson::Document)).collect()
}

fn compile_field(fields: &Fields<'_>, path: &FieldPath, condition: &Condition) -> Result<Document> {
    let (stored, role) = fields.get(&path.field)?;
    let operand =
        Operand { name: &path.field, role: if path.below.is_empty() { role } else { FieldRole::Undeclared } };
    let stored = std::iter::once(stored.as_str())
        .chain(path.below.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join(".");
    // Below a list of plain values MongoDB calls a path neither null nor existing, so existence is asked for too.
    let has_value = if path.below.is_empty() {
        doc! {"$ne": null}
    } else {
        doc! {"$exists": true, "$ne": null}
    };
    let test = match condition {
        Condition::Exists(true) => has_value,
        Condition::Ne(value) if value.is_null() => has_value,
        Condition::Exists(false) => doc! {"$not": has_value},
        Condition::Eq(value) if value.is_null() && !path.below.is_empty() => doc! {"$not": has_value},
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

    /// The value as it may be stored: 24 hexadecimal digits stand for the text and for the object id.
    fn forms(&self, value: &Value) -> Result<Vec<Bson>> {
        if is_regular_expression(value) {
            // MongoDB would search with it instead of comparing it.
            let message = format!("field \"{}\": a regular expression needs the operator $regex", self.name);
            return Err(Error::new(ErrorKind::Filter, message));
        }
        let declared = match self.role {
            FieldRole::Identity => {
                let mut forms = vec![bson_of(value)?];
                if let Some(id) = value.as_text().and_then(ObjectId::parse) {
                    forms.push(bson_of(&Value::ObjectId(id))?);
                }
                return Ok(forms);
            }
            FieldRole::Declared(declared) => declared,
            FieldRole::Undeclared => return Ok(vec![bson_of(value)?]),
        };
        let fitted = match declared {
            FieldType::Json | FieldType::Array => value.clone(),
            simple => fit(&format!("field \"{}\"", self.name), simple, value.clone())
                .map_err(|error| Error::new(ErrorKind::Filter, error.to_string()))?,
        };
        let fitted = if declared == FieldType::Number { stored_number(self.name, fitted)? } else { fitted };
        Ok(vec![bson_of(&fitted)?])
    }
}
