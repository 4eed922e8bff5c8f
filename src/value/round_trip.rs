//! Property: what is written for JavaScript holds everything that the values held.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data::{ObjectId, Record, Timestamp, Value};
use serde_json::{Value as Json, json};

use super::{read_value, write_records};

/// A small generator of values that is the same on every run (xorshift64).
struct Values(u64);

impl Values {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn text(&mut self) -> String {
        let letters = ["a", "$$", "\"", "\\", "\u{0}", "\n", "é", "😀", "\u{2028}", "date", " "];
        (0..self.below(5))
            .map(|_| letters[usize::try_from(self.below(letters.len() as u64)).unwrap()])
            .collect()
    }

    fn key(&mut self) -> String {
        let keys = ["$$date", "$$object", "$$bytes", "a", "b", "__proto__", ""];
        keys[usize::try_from(self.below(keys.len() as u64)).unwrap()].to_owned()
    }

    fn value(&mut self, depth: u32) -> Value {
        match self.below(if depth == 0 { 10 } else { 12 }) {
            0 => Value::Null,
            1 => Value::Bool(self.below(2) == 1),
            2 => Value::Int32(self.next() as i32),
            3 => Value::Int64(self.next() as i64 >> self.below(20)),
            4 => Value::Float(f64::from_bits(self.next())),
            5 => Value::Float([f64::NAN, f64::INFINITY, -0.0, 0.0, 5e-324, 1e21][self.below(6) as usize]),
            6 => Value::Text(self.text()),
            7 => Value::Bytes((0..self.below(9)).map(|_| self.next() as u8).collect()),
            8 => Value::Timestamp(Timestamp::from_millis(self.next() as i64 >> 11)),
            9 => Value::ObjectId(ObjectId([self.next() as u8; 12])),
            10 => Value::Array((0..self.below(4)).map(|_| self.value(depth - 1)).collect()),
            _ => Value::object(
                (0..self.below(4)).map(|_| (self.key(), self.value(depth - 1))).collect::<Vec<_>>(),
            ),
        }
    }
}

/// What JavaScript makes of a column's content, put back into the tagged form that it sends.
fn as_sent(finish: Option<&str>, content: Json) -> Json {
    match (finish, content) {
        (Some("date"), content @ Json::Number(_)) => json!({"$$date": content}),
        (Some("number"), Json::String(text)) if text.ends_with("NaN") || text.ends_with("Infinity") => {
            json!({"$$number": text})
        }
        (Some("number"), Json::String(digits)) => json!({"$$bigint": digits}),
        (Some("bytes"), Json::String(text)) => json!({"$$bytes": text}),
        (_, content) => content,
    }
}

/// A value as it is after one journey: JavaScript has one kind of number, and no object ids.
fn travelled(value: &Value) -> Value {
    match value {
        Value::Float(number)
            if number.fract() == 0.0
                && number.abs() < 9e15
                && (*number != 0.0 || number.is_sign_positive()) =>
        {
            travelled(&Value::Int64(*number as i64))
        }
        Value::Int64(number) => i32::try_from(*number).map_or(Value::Int64(*number), Value::Int32),
        Value::ObjectId(id) => Value::Text(id.to_string()),
        Value::Array(items) => Value::Array(items.iter().map(travelled).collect()),
        Value::Object(object) => {
            Value::object(object.iter().map(|(name, value)| (name.clone(), travelled(value))))
        }
        other => other.clone(),
    }
}

/// Equality in which NaN equals itself.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Float(left), Value::Float(right)) => {
            left.to_bits() == right.to_bits() || left.is_nan() && right.is_nan()
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right.iter())
                    .all(|(left, right)| left.0 == right.0 && same(left.1, right.1))
        }
        (left, right) => left == right,
    }
}

#[test]
fn every_row_comes_back_as_it_was() {
    let mut values = Values(0x9e37_79b9_7f4a_7c15);
    for _ in 0..3000 {
        let rows = usize::try_from(values.below(4)).unwrap();
        let records: Vec<Record> = (0..rows)
            .map(|_| {
                ["id", "a", "$$date"].map(|name| (name.to_owned(), values.value(3))).into_iter().collect()
            })
            .collect();
        let text = write_records(&records).unwrap();
        let json: Json = serde_json::from_str(&text).unwrap();
        for (record, row) in records.iter().zip(json["rows"].as_array().unwrap()) {
            for (name, value) in record {
                let finish = json["columns"][name.as_str()].as_str();
                let back = read_value(&as_sent(finish, row[name.as_str()].clone()).to_string()).unwrap();
                assert!(same(&back, &travelled(value)), "{name}: {value:?} became {back:?} in {text}");
            }
        }
    }
}

#[test]
fn bytes_are_written_in_the_base64_that_is_read() {
    let text =
        write_records(&[Record::from_iter([("b".to_owned(), Value::Bytes(vec![255, 254].into()))])]).unwrap();
    assert!(text.contains(&STANDARD.encode([255, 254])));
}
