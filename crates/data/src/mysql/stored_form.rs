//! In which form columns keep their values.

use std::sync::Arc;

use super::types::Declared;
use crate::table::StoredForm;

/// The form of a column, which has so many digits of a second if it holds times.
pub(super) fn stored_form(declared: &Declared, second_digits: Option<u32>) -> StoredForm {
    let digits = second_digits.unwrap_or_default();
    match declared.data_type.to_ascii_lowercase().as_str() {
        "datetime" | "timestamp" if digits < 6 => StoredForm::Seconds(digits),
        "time" => StoredForm::Span(digits),
        "date" => StoredForm::Date,
        "year" => StoredForm::Year,
        "char" => StoredForm::Trimmed,
        "uuid" => StoredForm::Uuid,
        "inet4" | "inet6" => StoredForm::Address,
        "float" | "double" => {
            let digits = declared.precision.zip(declared.scale);
            digits.map_or(StoredForm::Same, |(precision, scale)| StoredForm::Digits(precision, scale))
        }
        "binary" => declared.characters.map_or(StoredForm::Same, StoredForm::FilledBytes),
        "enum" => StoredForm::OneOf(labels(&declared.column_type)),
        "set" => StoredForm::SomeOf(labels(&declared.column_type)),
        _ => StoredForm::Same,
    }
}

/// The labels of a type such as `enum('a','it''s')`, in which quotes are doubled and others have a backslash.
fn labels(column_type: &str) -> Arc<[String]> {
    let mut labels: Vec<String> = Vec::new();
    let mut letters = column_type.chars().peekable();
    while letters.any(|letter| letter == '\'') {
        let mut label = String::new();
        while let Some(letter) = letters.next() {
            match letter {
                '\'' if letters.next_if_eq(&'\'').is_none() => break,
                '\\' => label.extend(letters.next().map(unescaped)),
                letter => label.push(letter),
            }
        }
        labels.push(label);
    }
    Arc::from(labels)
}

fn unescaped(letter: char) -> char {
    match letter {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        'Z' => '\u{1a}',
        letter => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_they_were_declared() {
        assert_eq!(*labels(r"enum('a','it''s','b\\c','x,y','')"), ["a", "it's", "b\\c", "x,y", ""]);
    }
}
