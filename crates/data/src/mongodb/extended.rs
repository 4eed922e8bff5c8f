//! BSON types that no other database has, as objects in MongoDB Extended JSON, both ways.

use mongodb::bson::raw::{CString, cstr};
use mongodb::bson::spec::{BinarySubtype, ElementType};
use mongodb::bson::{
    Binary, RawBson, RawBsonRef, RawDocumentBuf, RawJavaScriptCodeWithScope, Regex, Timestamp,
};

use super::bson::{document_of, object_of};
use super::error::malformed;
use crate::error::Result;
use crate::value::{Object, ObjectId, Value};

/// The object that stands for an element of such a type: `{"$regularExpression": {pattern, options}}`,
/// `{"$timestamp": {t, i}}`, `{"$binary": {base64, subType}}` for bytes of another kind than the generic one,
/// `{"$code": text}` with `$scope` where there is one, `{"$symbol": text}`, `{"$dbPointer": {$ref, $id}}`,
/// `{"$minKey": 1}`, `{"$maxKey": 1}` and `{"$undefined": true}`.
pub(super) fn to_value(element: RawBsonRef<'_>) -> Result<Value> {
    Ok(match element {
        RawBsonRef::RegularExpression(regex) => Value::object([(
            "$regularExpression",
            Value::object([
                ("pattern", Value::from(regex.pattern.as_str())),
                ("options", Value::from(regex.options.as_str())),
            ]),
        )]),
        RawBsonRef::Timestamp(moment) => Value::object([(
            "$timestamp",
            Value::object([("t", unsigned(moment.time)), ("i", unsigned(moment.increment))]),
        )]),
        RawBsonRef::Binary(binary) => Value::object([(
            "$binary",
            Value::object([
                ("base64", Value::Text(base64(binary.bytes))),
                ("subType", Value::Text(format!("{:02x}", u8::from(binary.subtype)))),
            ]),
        )]),
        RawBsonRef::JavaScriptCode(code) => Value::object([("$code", Value::from(code))]),
        RawBsonRef::JavaScriptCodeWithScope(code) => Value::object([
            ("$code", Value::from(code.code)),
            ("$scope", Value::Object(Box::new(object_of(code.scope)?))),
        ]),
        RawBsonRef::Symbol(symbol) => Value::object([("$symbol", Value::from(symbol))]),
        pointer @ RawBsonRef::DbPointer(_) => {
            let (namespace, id) =
                pointer_parts(pointer).ok_or_else(|| malformed("a pointer without its parts"))?;
            Value::object([(
                "$dbPointer",
                Value::object([("$ref", Value::Text(namespace)), ("$id", Value::ObjectId(id))]),
            )])
        }
        RawBsonRef::MinKey => Value::object([("$minKey", Value::Int32(1))]),
        RawBsonRef::MaxKey => Value::object([("$maxKey", Value::Int32(1))]),
        RawBsonRef::Undefined => Value::object([("$undefined", Value::Bool(true))]),
        other => return Err(malformed(format!("unknown element type {:?}", other.element_type()))),
    })
}

/// The element, under the empty name, that an object made by [`to_value`] stands for; `None` for every other object.
pub(super) fn to_raw(object: &Object) -> Option<RawDocumentBuf> {
    let (name, value) = object.first()?;
    if !name.starts_with('$') || object.len() > 2 {
        return None;
    }
    let inner = match value {
        Value::Object(inner) => Some(inner.as_ref()),
        _ => None,
    };
    let element = match (name.as_str(), object.len(), inner) {
        ("$regularExpression", 1, Some(inner)) if inner.len() == 2 => RawBson::RegularExpression(Regex {
            pattern: CString::try_from(inner.get("pattern")?.as_text()?).ok()?,
            options: CString::try_from(inner.get("options")?.as_text()?).ok()?,
        }),
        ("$timestamp", 1, Some(inner)) if inner.len() == 2 => RawBson::Timestamp(Timestamp {
            time: u32::try_from(inner.get("t")?.as_integer()?).ok()?,
            increment: u32::try_from(inner.get("i")?.as_integer()?).ok()?,
        }),
        ("$binary", 1, Some(inner)) if inner.len() == 2 => {
            let subtype = BinarySubtype::from(u8::from_str_radix(inner.get("subType")?.as_text()?, 16).ok()?);
            let bytes = from_base64(inner.get("base64")?.as_text()?)?;
            (subtype != BinarySubtype::Generic).then_some(RawBson::Binary(Binary { subtype, bytes }))?
        }
        ("$code", 1, _) => RawBson::JavaScriptCode(value.as_text()?.to_owned()),
        ("$code", 2, _) => {
            let Value::Object(scope) = object.get("$scope")? else { return None };
            let code = value.as_text()?.to_owned();
            RawBson::JavaScriptCodeWithScope(RawJavaScriptCodeWithScope {
                code,
                scope: document_of(scope).ok()?,
            })
        }
        ("$symbol", 1, _) => RawBson::Symbol(value.as_text()?.to_owned()),
        ("$dbPointer", 1, Some(inner)) if inner.len() == 2 => {
            let Value::ObjectId(id) = inner.get("$id")? else { return None };
            return pointer_document(inner.get("$ref")?.as_text()?, *id);
        }
        ("$minKey", 1, _) if *value == Value::Int32(1) => RawBson::MinKey,
        ("$maxKey", 1, _) if *value == Value::Int32(1) => RawBson::MaxKey,
        ("$undefined", 1, _) if *value == Value::Bool(true) => RawBson::Undefined,
        _ => return None,
    };
    Some(RawDocumentBuf::from_iter([(cstr!(""), element)]))
}

/// The parts of this long-retired type, which the driver keeps to itself, from its bytes: after the length of the
/// document, the type and the empty name stand a string with its length and twelve bytes of id.
fn pointer_parts(pointer: RawBsonRef<'_>) -> Option<(String, ObjectId)> {
    let document = RawDocumentBuf::from_iter([(cstr!(""), pointer)]);
    let bytes = document.as_bytes();
    let length = usize::try_from(i32::from_le_bytes(bytes.get(6..10)?.try_into().ok()?)).ok()?;
    let namespace = std::str::from_utf8(bytes.get(10..10 + length.checked_sub(1)?)?).ok()?;
    let id = bytes.get(10 + length..22 + length)?.try_into().ok()?;
    Some((namespace.to_owned(), ObjectId(id)))
}

fn pointer_document(namespace: &str, id: ObjectId) -> Option<RawDocumentBuf> {
    let mut bytes = vec![0, 0, 0, 0, ElementType::DbPointer as u8, 0];
    bytes.extend(i32::try_from(namespace.len() + 1).ok()?.to_le_bytes());
    bytes.extend(namespace.as_bytes());
    bytes.push(0);
    bytes.extend(id.0);
    bytes.push(0);
    let length = i32::try_from(bytes.len()).ok()?.to_le_bytes();
    bytes.splice(0..4, length);
    RawDocumentBuf::from_bytes(bytes).ok()
}

/// Whether a value would be written as a regular expression.
pub(super) fn is_regular_expression(value: &Value) -> bool {
    matches!(value, Value::Object(object) if object.contains_key("$regularExpression") && to_raw(object).is_some())
}

fn unsigned(number: u32) -> Value {
    i32::try_from(number).map_or(Value::Int64(i64::from(number)), Value::Int32)
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Bson, JavaScriptCodeWithScope, doc};

    use super::*;

    #[test]
    fn types_without_an_equivalent_come_back_as_what_they_were() {
        let original = doc! {
            "regex": Bson::RegularExpression(Regex { pattern: "^a".try_into().unwrap(), options: "i".try_into().unwrap() }),
            "stamp": Bson::Timestamp(Timestamp { time: u32::MAX, increment: 1 }),
            "uuid": Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: vec![1; 16] }),
            "code": Bson::JavaScriptCode("1".to_owned()),
            "scoped": Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code: "a".to_owned(), scope: doc! {"a": 1} }),
            "symbol": Bson::Symbol("s".to_owned()),
            "min": Bson::MinKey,
            "max": Bson::MaxKey,
            "undefined": Bson::Undefined,
        };
        let raw = RawDocumentBuf::try_from(&original).unwrap();
        assert_eq!(document_of(&object_of(&raw).unwrap()).unwrap(), raw);
    }

    #[test]
    fn a_pointer_of_old_comes_back_as_what_it_was() {
        let raw = pointer_document("app.users", ObjectId([5; 12])).unwrap();
        assert_eq!(document_of(&object_of(&raw).unwrap()).unwrap(), raw);
    }

    #[test]
    fn an_object_that_only_looks_alike_stays_an_object() {
        for object in [
            Value::object([("$minKey", Value::Int32(2))]),
            Value::object([("$timestamp", Value::object([("t", Value::Int32(1))]))]),
            Value::object([("$set", Value::object([("a", Value::Int32(1))]))]),
        ] {
            let Value::Object(object) = object else { unreachable!() };
            assert_eq!(to_raw(&object), None);
        }
    }
}
