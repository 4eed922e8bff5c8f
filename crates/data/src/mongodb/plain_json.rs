//! Documents and lists of BSON as JSON text, where JSON has all that they hold.

use mongodb::bson::{RawBsonRef, RawDocument};

/// Deeper documents are left to others.
const DEEPEST: u32 = 32;
/// Up to here doubles hold every integer.
const MAX_EXACT: u64 = 1 << 53;

/// The text of an element, written into `json`, such that [`Cell::Json`](crate::Cell::Json) may hold it; `None` if the
/// element holds something that JSON lacks.
pub(super) fn plain_json<'j>(element: RawBsonRef<'_>, json: &'j mut Vec<u8>) -> Option<&'j str> {
    json.clear();
    push(element, DEEPEST, json)?;
    std::str::from_utf8(json).ok()
}

fn push(element: RawBsonRef<'_>, deepest: u32, json: &mut Vec<u8>) -> Option<()> {
    match element {
        RawBsonRef::Null => json.extend_from_slice(b"null"),
        RawBsonRef::Boolean(flag) => json.extend_from_slice(if flag { b"true" } else { b"false" }),
        RawBsonRef::Int32(number) => serde_json::to_writer(json, &number).ok()?,
        RawBsonRef::Int64(number) if number.unsigned_abs() <= MAX_EXACT => {
            serde_json::to_writer(json, &number).ok()?;
        }
        RawBsonRef::Double(number) if number.is_finite() => serde_json::to_writer(json, &number).ok()?,
        RawBsonRef::String(text) => serde_json::to_writer(json, text).ok()?,
        // Object ids are shown as their digits.
        RawBsonRef::ObjectId(id) => serde_json::to_writer(json, &id.to_hex()).ok()?,
        RawBsonRef::Document(document) => push_document(document, deepest.checked_sub(1)?, json)?,
        RawBsonRef::Array(array) => {
            json.push(b'[');
            for (at, item) in array.into_iter().enumerate() {
                if at > 0 {
                    json.push(b',');
                }
                push(item.ok()?, deepest.checked_sub(1)?, json)?;
            }
            json.push(b']');
        }
        _ => return None,
    }
    Some(())
}

fn push_document(document: &RawDocument, deepest: u32, json: &mut Vec<u8>) -> Option<()> {
    json.push(b'{');
    for (at, entry) in document.into_iter().enumerate() {
        let (name, element) = entry.ok()?;
        if name.as_str().starts_with("$$") {
            return None;
        }
        if at > 0 {
            json.push(b',');
        }
        serde_json::to_writer(&mut *json, name.as_str()).ok()?;
        json.push(b':');
        push(element, deepest, json)?;
    }
    json.push(b'}');
    Some(())
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{DateTime, RawDocumentBuf, doc};

    use super::*;

    fn text_of(document: mongodb::bson::Document) -> Option<String> {
        let raw = RawDocumentBuf::try_from(&document).unwrap();
        plain_json(raw.get("v").unwrap().unwrap(), &mut Vec::new()).map(str::to_owned)
    }

    #[test]
    fn what_json_has_is_written() {
        let document = doc! {"v": {"a": [1, 2_i64, 0.5, true, null, "é\""], "b": {}, "c": []}};
        assert_eq!(text_of(document).unwrap(), r#"{"a":[1,2,0.5,true,null,"é\""],"b":{},"c":[]}"#);
    }

    #[test]
    fn what_json_lacks_is_left_to_others() {
        for value in [
            doc! {"v": {"at": DateTime::from_millis(0)}},
            doc! {"v": [1_i64 << 54]},
            doc! {"v": [f64::NAN]},
            doc! {"v": {"$$date": 1}},
        ] {
            assert_eq!(text_of(value.clone()), None, "{value}");
        }
    }
}
