//! What a column gives back of the values that it takes, where those are others.

use super::coerce::{Coerced, Limits, Loss, coerce, cut_second};
use super::column_type::ColumnType;
use crate::error::{Error, ErrorKind, Result};
use crate::value::{Value, json_text};

/// The form in which a column of an existing table keeps the values of its type. A value that is brought into it before it is
/// written compares equal with what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoredForm {
    /// As they are given.
    #[default]
    Same,
    /// Moments and times of day with so many digits of a second; the database would drop or round further ones in silence.
    Seconds(u32),
    /// Days, as ISO 8601 writes them. Of other text the database would make the day that it takes it for.
    Date,
    /// Times of day, as ISO 8601 writes them, without a zone, which the database would drop in silence.
    Time,
    /// Texts filled with spaces up to so many characters: `char(n)` of PostgreSQL.
    Padded(u32),
    /// Texts without the spaces at their end: `CHAR(n)` of MySQL and MariaDB.
    Trimmed,
    /// A column of SQLite without a type, which knows numbers, text and bytes alone.
    StorageClasses,
    /// A column of SQLite that makes a number, with the digits of a double, of every text that reads like one, such as one that
    /// was declared DECIMAL or DATE: <https://www.sqlite.org/datatype3.html#type_affinity>.
    NumericAffinity,
}

impl StoredForm {
    /// Brings a value that has the type of the column into this form.
    ///
    /// # Errors
    /// [`ErrorKind::Value`] if it would come back as another one.
    pub fn store(self, coerced: Coerced, limits: &Limits) -> Result<Coerced> {
        let Coerced { value, loss } = coerced;
        let value = match (self, value) {
            (Self::Same, value) => value,
            (Self::Seconds(digits), value) => return Ok(cut_second(Coerced { value, loss }, digits)),
            (Self::Date, Value::Text(text)) if !is_day(&text) => {
                return Err(misfit(&text, "a day as YYYY-MM-DD"));
            }
            (Self::Time, Value::Text(text)) if !is_time(&text) => {
                return Err(misfit(&text, "a time as HH:MM:SS, without a zone"));
            }
            (Self::Date | Self::Time, value) => value,
            (Self::Padded(length), Value::Text(text)) => Value::Text(padded(text, length)),
            (Self::Trimmed, Value::Text(text)) if text.ends_with(' ') => {
                let value = Value::from(text.trim_end_matches(' '));
                return Ok(Coerced { value, loss: Some(Loss::TrailingSpaces) });
            }
            (Self::Padded(_) | Self::Trimmed, value) => value,
            (Self::StorageClasses, Value::Decimal(text)) => Value::Text(text.into()),
            (Self::NumericAffinity, value @ (Value::Decimal(_) | Value::Text(_))) => number(value, limits)?,
            (Self::StorageClasses | Self::NumericAffinity, value) => storage_class(value),
        };
        Ok(Coerced { value, loss })
    }
}

fn misfit(text: &str, wanted: &str) -> Error {
    Error::new(ErrorKind::Value, format!("\"{text}\" is not {wanted}, which the column holds"))
}

/// A day of any year, those before Christ with that mark, or one of PostgreSQL's infinities.
fn is_day(text: &str) -> bool {
    let day = text.strip_suffix(" BC").unwrap_or(text);
    let parts: Vec<_> = day.split('-').collect();
    let is_number = |part: &&str, digits: std::ops::RangeInclusive<usize>| {
        digits.contains(&part.len()) && part.bytes().all(|digit| digit.is_ascii_digit())
    };
    match parts.as_slice() {
        [year, month, day] => is_number(year, 4..=7) && is_number(month, 2..=2) && is_number(day, 2..=2),
        _ => matches!(text, "infinity" | "-infinity"),
    }
}

fn is_time(text: &str) -> bool {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
    let parts: Vec<_> = clock.split(':').collect();
    (2..=3).contains(&parts.len())
        && parts.iter().all(|part| part.len() == 2 && is_number(part))
        && is_number(fraction)
}

fn padded(text: String, length: u32) -> String {
    let missing = (length as usize).saturating_sub(text.chars().count());
    text + &" ".repeat(missing)
}

fn storage_class(value: Value) -> Value {
    match value {
        Value::Bool(truth) => Value::Int64(i64::from(truth)),
        Value::Timestamp(moment) => Value::Text(moment.to_iso()),
        Value::ObjectId(id) => Value::Text(id.to_string()),
        value => value,
    }
}

/// The number that SQLite would make of it; other text is kept.
fn number(value: Value, limits: &Limits) -> Result<Value> {
    let (text, is_text) = match &value {
        Value::Text(text) if !reads_like_a_number(text) => return Ok(value),
        Value::Text(text) => (text.clone(), true),
        Value::Decimal(text) => (text.to_string(), false),
        _ => return Ok(value),
    };
    let whole = coerce(value.clone(), &ColumnType::Int64, limits);
    let number = whole.or_else(|_| coerce(value, &ColumnType::Float64, limits)).ok();
    let number = number.filter(|number| number.loss.is_none()).map(|number| number.value);
    // Text has to be the one that the number would be written as, while 2.50 is the number 2.5.
    let is_kept = |number: &Value| !is_text || matches!(number, Value::Int64(_)) || json_text(number) == text;
    number.filter(is_kept).ok_or_else(|| {
        let message = format!(
            "\"{text}\" would become another value in a column with numeric affinity; declare it TEXT to keep it"
        );
        Error::new(ErrorKind::Value, message)
    })
}

/// SQLite passes over spaces on both sides, and knows neither `NaN` nor `inf`.
fn reads_like_a_number(text: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_alphabetic() && !matches!(letter, 'e' | 'E');
    text.trim().parse::<f64>().is_ok() && !text.contains(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Timestamp;

    const LIMITS: Limits =
        Limits { nan: false, infinity: true, microseconds: true, infinite_timestamp: true };

    fn stored(form: StoredForm, value: impl Into<Value>) -> Option<Value> {
        form.store(value.into().into(), &LIMITS).ok().map(|stored| stored.value)
    }

    #[test]
    fn a_column_with_numeric_affinity_takes_what_comes_back_from_it() {
        let decimal = |text: &str| Value::Decimal(text.into());
        let numbers = StoredForm::NumericAffinity;
        assert_eq!(stored(numbers, decimal("12.50")), Some(Value::Float(12.5)));
        assert_eq!(stored(numbers, decimal("9223372036854775807")), Some(Value::Int64(i64::MAX)));
        assert_eq!(stored(numbers, decimal("123456789012345678.123")), None);
        assert_eq!(stored(numbers, "7"), Some(Value::Int64(7)));
        assert_eq!(stored(numbers, "2.5"), Some(Value::Float(2.5)));
        for text in ["007", "2.50", " 7", "1e2"] {
            assert_eq!(stored(numbers, text), None, "{text:?}");
        }
        for text in ["", "seven", "NaN", "inf", "2020-01-01"] {
            assert_eq!(stored(numbers, text), Some(Value::from(text)));
        }
    }

    #[test]
    fn a_column_without_a_type_keeps_storage_classes() {
        let any = StoredForm::StorageClasses;
        assert_eq!(stored(any, Value::Bool(true)), Some(Value::Int64(1)));
        assert_eq!(stored(any, Value::Decimal("1.50".into())), Some(Value::from("1.50")));
        assert_eq!(
            stored(any, Value::Timestamp(Timestamp(0))),
            Some(Value::from("1970-01-01T00:00:00.000Z"))
        );
    }

    #[test]
    fn days_and_times_are_those_that_are_meant() {
        for text in ["2020-01-31", "0044-03-15 BC", "294276-12-31", "infinity"] {
            assert_eq!(stored(StoredForm::Date, text), Some(Value::from(text)));
        }
        for text in ["01/02/2020", "today", "20200131", "2020-01-31 10:00"] {
            assert_eq!(stored(StoredForm::Date, text), None, "{text}");
        }
        for text in ["12:00", "12:00:00", "24:00:00", "12:00:00.123456"] {
            assert_eq!(stored(StoredForm::Time, text), Some(Value::from(text)));
        }
        for text in ["12:00:00+02", "noon", "now", "1:00 PM"] {
            assert_eq!(stored(StoredForm::Time, text), None, "{text}");
        }
    }

    #[test]
    fn spaces_at_the_end_of_a_char_do_not_count() {
        assert_eq!(stored(StoredForm::Padded(4), "é"), Some(Value::from("é   ")));
        assert_eq!(stored(StoredForm::Trimmed, "é  "), Some(Value::from("é")));
    }
}
