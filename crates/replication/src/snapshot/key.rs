//! Primary keys that two databases give in different types, made comparable.

use data::{Value, json_text, normal_decimal};

/// A text that is the same for the same key in either database: integers whatever their width, an object id like its
/// hexadecimal text.
pub(crate) fn canonical_key(key: &[Value]) -> String {
    let mut text = String::new();
    for value in key {
        let (kind, part) = match value {
            Value::Int32(number) => ('i', number.to_string()),
            Value::Int64(number) => ('i', number.to_string()),
            Value::ObjectId(id) => ('t', id.to_string()),
            Value::Text(part) => ('t', part.clone()),
            // MongoDB and SQLite, which have them in one column, take whole numbers of all types for the same key.
            Value::Decimal(number) => match normal_decimal(number) {
                whole if is_whole(&whole) => ('i', whole),
                fraction => ('d', fraction),
            },
            Value::Float(number) if number.fract() == 0.0 => ('i', normal_decimal(&number.to_string())),
            // Also NaN and the infinities, which JSON lacks.
            Value::Float(number) => ('f', format!("{number:?}")),
            Value::Timestamp(moment) => ('m', moment.0.to_string()),
            other => ('v', json_text(other)),
        };
        // The length keeps two parts from running into each other.
        text.push_str(&format!("{kind}{}:{part}", part.len()));
    }
    text
}

fn is_whole(decimal: &str) -> bool {
    decimal.trim_start_matches('-').bytes().all(|digit| digit.is_ascii_digit())
}

/// The key for a person: its values joined by commas.
pub(crate) fn key_text(key: &[Value]) -> String {
    let part = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        // JSON has no words for them.
        Value::Float(number) if !number.is_finite() => number.to_string(),
        other => json_text(other).trim_matches('"').to_owned(),
    };
    key.iter().map(part).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use data::ObjectId;

    use super::*;

    #[test]
    fn the_same_key_in_other_types_is_the_same_text() {
        assert_eq!(canonical_key(&[Value::Int32(7)]), canonical_key(&[Value::Int64(7)]));
        let hex = "65a1f0c2d4e5b6a798897766";
        assert_eq!(
            canonical_key(&[Value::Decimal("1.50".into())]),
            canonical_key(&[Value::Decimal("1.5".into())])
        );
        for number in [Value::Float(7.0), Value::Decimal("7.0".into())] {
            assert_eq!(canonical_key(&[number]), canonical_key(&[Value::Int32(7)]));
        }
        assert_eq!(canonical_key(&[Value::Float(-0.0)]), canonical_key(&[Value::Int32(0)]));
        let id = Value::ObjectId(ObjectId::parse(hex).unwrap());
        assert_eq!(canonical_key(&[id]), canonical_key(&[Value::from(hex)]));
    }

    #[test]
    fn different_keys_never_collide() {
        let text =
            |key: &[&str]| canonical_key(&key.iter().map(|part| Value::from(*part)).collect::<Vec<_>>());
        assert_ne!(text(&["a", "bc"]), text(&["ab", "c"]));
        assert_ne!(text(&["1"]), canonical_key(&[Value::Int32(1)]));
        assert_ne!(canonical_key(&[Value::Float(f64::NAN)]), canonical_key(&[Value::Float(f64::INFINITY)]));
    }
}
