//! Rows as JavaScript's JSON text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data::{Object, Record, Timestamp, Value};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::finish::{Finish, columns_to_finish, is_exact, is_large_integer};
use super::{BIGINT, BYTES, DATE, NUMBER, OBJECT, TAG};

/// Milliseconds that a JavaScript date holds, before and after 1970.
const MAX_DATE_MS: i64 = 8_640_000_000_000_000;
/// Doubles below this are written as integers where they are whole, which JavaScript reads faster.
const WHOLE_BELOW: f64 = 9_007_199_254_740_992.0;

/// The text of rows.
///
/// # Errors
/// None is known: every value has a form in the encoding.
pub(crate) fn write_records(records: &[Record]) -> data::Result<String> {
    let columns = columns_to_finish(records);
    serde_json::to_string(&Rows { records, columns: &columns })
        .map_err(|error| data::Error::new(data::ErrorKind::Internal, format!("rows as JSON: {error}")))
}

/// The text of a list of values: rows of the one column `value`.
///
/// # Errors
/// As [`write_records`].
pub(crate) fn write_values(values: Vec<Value>) -> data::Result<String> {
    let row = |value| Record::from_iter([("value".to_owned(), value)]);
    write_records(&values.into_iter().map(row).collect::<Vec<_>>())
}

struct Rows<'a> {
    records: &'a [Record],
    columns: &'a [(&'a str, Finish)],
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("rows", &RecordList(self))?;
        if !self.columns.is_empty() {
            map.serialize_entry("columns", &ColumnMap(self.columns))?;
        }
        map.end()
    }
}

struct RecordList<'a>(&'a Rows<'a>);

impl Serialize for RecordList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Rows { records, columns } = *self.0;
        serializer.collect_seq(records.iter().map(|record| Row { record, columns }))
    }
}

struct ColumnMap<'a>(&'a [(&'a str, Finish)]);

impl Serialize for ColumnMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, finish)| (name, finish.name())))
    }
}

struct Row<'a> {
    record: &'a Record,
    columns: &'a [(&'a str, Finish)],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.record {
            match self.columns.iter().find(|(column, _)| column == name) {
                Some((_, Finish::Tagged)) => map.serialize_entry(name, &Tagged(value))?,
                _ => map.serialize_entry(name, &Bare(value))?,
            }
        }
        map.end()
    }
}

/// The bare content of a value, which its column's [`Finish`] or nothing explains.
pub(super) struct Bare<'a>(pub(super) &'a Value);

impl Serialize for Bare<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null | Value::JsonNull => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Int32(number) => serializer.serialize_i32(*number),
            Value::Int64(number) if is_exact(*number) => serializer.serialize_i64(*number),
            Value::Int64(number) => serializer.collect_str(number),
            Value::Float(number) => serialize_float(*number, serializer),
            Value::Decimal(text) => serializer.serialize_str(text),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
            Value::Timestamp(moment) => serialize_moment(*moment, serializer),
            Value::ObjectId(id) => serializer.collect_str(id),
            Value::Array(items) => serializer.collect_seq(items.iter().map(Bare)),
            Value::Object(object) => {
                serializer.collect_map(object.iter().map(|(name, value)| (name, Bare(value))))
            }
        }
    }
}

/// The content of a value, with a tag around it where JSON lacks the type.
pub(super) struct Tagged<'a>(pub(super) &'a Value);

impl Serialize for Tagged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tag = match self.0 {
            Value::Array(items) => return serializer.collect_seq(items.iter().map(Within)),
            Value::Object(object) if has_tag_key(object) => {
                return serializer.collect_map([(OBJECT, TaggedEntries(object))]);
            }
            Value::Object(object) => return TaggedEntries(object).serialize(serializer),
            Value::Timestamp(_) => DATE,
            Value::Bytes(_) => BYTES,
            Value::Int64(number) if !is_exact(*number) => BIGINT,
            Value::Float(number) if !number.is_finite() => NUMBER,
            bare => return Bare(bare).serialize(serializer),
        };
        serializer.collect_map([(tag, Bare(self.0))])
    }
}

/// A value within a list or document, where an integer of any length is a number, and not the text of a decimal column.
struct Within<'a>(&'a Value);

impl Serialize for Within<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Decimal(digits) if is_large_integer(digits) => {
                serializer.collect_map([(BIGINT, Bare(self.0))])
            }
            value => Tagged(value).serialize(serializer),
        }
    }
}

struct TaggedEntries<'a>(&'a Object);

impl Serialize for TaggedEntries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, Within(value))))
    }
}

/// Whether an object could be taken for a tag.
pub(super) fn has_tag_key(object: &Object) -> bool {
    object.keys().any(|key| key.starts_with(TAG))
}

fn serialize_float<S: Serializer>(number: f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.is_nan() {
        serializer.serialize_str("NaN")
    } else if number.is_infinite() {
        serializer.serialize_str(if number > 0.0 { "Infinity" } else { "-Infinity" })
    } else if number.fract() == 0.0
        && number.abs() < WHOLE_BELOW
        && (number != 0.0 || number.is_sign_positive())
    {
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        serializer.serialize_i64(number as i64)
    } else {
        serializer.serialize_f64(number)
    }
}

/// Milliseconds, without the microseconds that a JavaScript date cannot hold; text beyond its range.
fn serialize_moment<S: Serializer>(moment: Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    match moment {
        Timestamp::INFINITY => serializer.serialize_str("Infinity"),
        Timestamp::NEG_INFINITY => serializer.serialize_str("-Infinity"),
        _ if is_date(moment) => serializer.serialize_i64(moment.millis()),
        _ => serializer.serialize_str(&moment.to_iso()),
    }
}

/// Whether JavaScript's dates reach this moment.
pub(super) fn is_date(moment: Timestamp) -> bool {
    moment.millis().abs() <= MAX_DATE_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record<const N: usize>(entries: [(&str, Value); N]) -> Record {
        entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn written(values: &[Value]) -> String {
        let records: Vec<_> = values.iter().map(|value| record([("v", value.clone())])).collect();
        write_records(&records).unwrap()
    }

    #[test]
    fn ordinary_rows_need_nothing_but_json_parse() {
        let row = record([
            ("id", Value::from("a\"é")),
            ("n", Value::Float(3.0)),
            ("half", Value::Float(-0.5)),
            ("zero", Value::Float(-0.0)),
            ("big", Value::Int64(1 << 53)),
            ("price", Value::Decimal("1.10".into())),
            ("tags", Value::Array(vec![Value::Null, Value::Bool(true)])),
        ]);
        assert_eq!(
            write_records(&[row]).unwrap(),
            r#"{"rows":[{"id":"a\"é","n":3,"half":-0.5,"zero":-0.0,"big":9007199254740992,"price":"1.10","tags":[null,true]}]}"#
        );
        assert_eq!(write_records(&[]).unwrap(), r#"{"rows":[]}"#);
    }

    #[test]
    fn a_column_of_dates_is_written_as_milliseconds() {
        let text = written(&[
            Value::Timestamp(Timestamp(1_999)),
            Value::Null,
            Value::Timestamp(Timestamp::INFINITY),
            Value::Timestamp(Timestamp(9_000_000_000_000_000_000)),
        ]);
        assert_eq!(
            text,
            r#"{"rows":[{"v":1},{"v":null},{"v":"Infinity"},{"v":"+287168-08-24T16:00:00.000Z"}],"columns":{"v":"date"}}"#
        );
    }

    #[test]
    fn a_column_of_numbers_says_which_are_beyond_json() {
        let text = written(&[Value::Int64(i64::MAX), Value::Int32(1), Value::Float(f64::NAN)]);
        assert_eq!(
            text,
            r#"{"rows":[{"v":"9223372036854775807"},{"v":1},{"v":"NaN"}],"columns":{"v":"number"}}"#
        );
    }

    #[test]
    fn a_column_of_mixed_values_is_tagged() {
        let text = written(&[Value::from("NaN"), Value::Float(f64::NAN), Value::Bytes(vec![1].into())]);
        assert_eq!(
            text,
            r#"{"rows":[{"v":"NaN"},{"v":{"$$number":"NaN"}},{"v":{"$$bytes":"AQ=="}}],"columns":{"v":"tagged"}}"#
        );
    }

    #[test]
    fn an_object_that_looks_like_a_tag_is_kept_apart_from_tags() {
        let text = written(&[Value::object([("$$date", Value::Int32(1))])]);
        assert_eq!(text, r#"{"rows":[{"v":{"$$object":{"$$date":1}}}],"columns":{"v":"tagged"}}"#);
    }

    #[test]
    fn an_integer_of_any_length_is_one_within_documents() {
        let digits = Value::Decimal("18446744073709551615".into());
        let text = written(&[Value::object([("n", digits.clone()), ("d", Value::Decimal("1.10".into()))])]);
        assert_eq!(
            text,
            r#"{"rows":[{"v":{"n":{"$$bigint":"18446744073709551615"},"d":"1.10"}}],"columns":{"v":"tagged"}}"#
        );
        assert_eq!(written(&[digits]), r#"{"rows":[{"v":"18446744073709551615"}]}"#);
    }

    #[test]
    fn dates_within_documents_are_tagged() {
        let text = written(&[Value::object([("at", Value::Array(vec![Value::Timestamp(Timestamp(0))]))])]);
        assert_eq!(text, r#"{"rows":[{"v":{"at":[{"$$date":0}]}}],"columns":{"v":"tagged"}}"#);
    }
}
