//! Random values of every field type, from pools that are small enough for values to meet again.

use data::schema::FieldType;
use data::{Object, Timestamp, Value};

use crate::random::Random;

pub(crate) const TEXTS: [&str; 24] = [
    "",
    " ",
    "a",
    "A",
    "ab",
    "abc",
    "b",
    "é",
    "É",
    "Zürich",
    "😀",
    "日本語",
    "a'b",
    "a\"b",
    "%",
    "_",
    "\\",
    " lead",
    "trail ",
    "null",
    "1",
    "$name",
    "x.y",
    "'; DROP TABLE rows; --",
];
const NUMBERS: [f64; 17] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    2.0,
    2.5,
    -2.5,
    0.1,
    100.0,
    1e15,
    -1e15,
    9_007_199_254_740_992.0,
    -9_007_199_254_740_991.0,
    1e-7,
    1e300,
    -1e300,
    1e-300,
];
const DATES: [&str; 10] = [
    "0001-01-01T00:00:00.000Z",
    "1583-10-15T12:00:00.001Z",
    "1900-01-01T00:00:00.000Z",
    "1969-12-31T23:59:59.999Z",
    "1970-01-01T00:00:00.000Z",
    "2000-02-29T23:59:59.000Z",
    "2024-06-30T12:34:56.789Z",
    "2024-06-30T12:34:56.788Z",
    "2038-01-19T03:14:08.000Z",
    "9999-12-31T23:59:59.999Z",
];
const KEYS: [&str; 8] = ["a", "b", "c d", "é", "1", "$x", "e.f", "q\"'"];

/// A value of a field, null now and then.
pub(crate) fn random_value(random: &mut Random, field_type: FieldType) -> Value {
    if random.percent(15) { Value::Null } else { random_given(random, field_type) }
}

/// A value of a field that is not null.
pub(crate) fn random_given(random: &mut Random, field_type: FieldType) -> Value {
    match field_type {
        FieldType::String | FieldType::Text => Value::from(*random.pick(&TEXTS)),
        FieldType::Number => random_number(random),
        FieldType::Boolean => Value::Bool(random.percent(50)),
        FieldType::Date => {
            let text = *random.pick(&DATES);
            match random.percent(50) {
                true => Value::from(text),
                false => Value::Timestamp(Timestamp::parse_iso(text).unwrap()),
            }
        }
        FieldType::Json => match random_json(random, 3) {
            Value::Null => Value::object([("a", Value::Null)]),
            value => value,
        },
        FieldType::Array => random_list(random, 2),
    }
}

pub(crate) fn random_number(random: &mut Random) -> Value {
    let number = *random.pick(&NUMBERS);
    match number.fract() == 0.0 && number.abs() < 1e6 && random.percent(50) {
        #[expect(clippy::cast_possible_truncation, reason = "the guard keeps it small")]
        true => Value::Int32(number as i32),
        false => Value::Float(number),
    }
}

/// Anything that JSON knows, so deep at the most.
pub(crate) fn random_json(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 4 } else { 7 }) {
        0 => Value::Null,
        1 => Value::Bool(random.percent(50)),
        2 => match random_number(random) {
            // SQLite gives a number as small as this back from JSON with another last digit.
            Value::Float(number) if number != 0.0 && number.abs() < 1e-100 => Value::Float(0.5),
            number => number,
        },
        3 => Value::from(*random.pick(&TEXTS)),
        4 => random_list(random, depth - 1),
        _ => {
            let keys = random.some(&KEYS, 3);
            let members = keys.into_iter().map(|key| (key.to_owned(), random_json(random, depth - 1)));
            Value::Object(Box::new(members.collect::<Object>()))
        }
    }
}

fn random_list(random: &mut Random, depth: usize) -> Value {
    Value::Array((0..random.below(4)).map(|_| random_json(random, depth)).collect())
}
