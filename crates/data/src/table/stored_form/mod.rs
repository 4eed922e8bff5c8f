//! What a column gives back of the values that it takes, where those are others.

mod clock;
mod notation;

use std::sync::Arc;

use super::coerce::{Coerced, Limits, Loss, coerce, cut_second};
use super::column_type::ColumnType;
use crate::error::{Error, ErrorKind, Result};
use crate::value::{Timestamp, Value, fits_precision, json_text};

pub use clock::IntervalPart;
use clock::{interval_fault, is_day, moment_like, time};

/// The form in which a column of an existing table keeps the values of its type. A value that is brought into it before it is
/// written compares equal with what is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StoredForm {
    /// As they are given.
    #[default]
    Same,
    /// Moments with so many digits of a second; the database would drop or round further ones in silence.
    Seconds(u32),
    /// Days, as ISO 8601 writes them. Of other text the database would make the day that it takes it for.
    Date,
    /// Times of day with so many digits of a second, as ISO 8601 writes them, without a zone, which the database would drop in
    /// silence.
    Time(u32),
    /// Times of MySQL and MariaDB with so many digits of a second, which may have a sign and more hours than a day.
    Span(u32),
    /// Intervals of PostgreSQL down to a smallest part; the database would drop smaller ones in silence.
    Interval(IntervalPart),
    /// Uuids in lower case, with hyphens.
    Uuid,
    /// Texts that are uuids in capitals, with hyphens: what a source writes whose target has a column of that type.
    UuidInCapitals,
    /// Moments as texts in the notation of another one: what a source writes whose columns hold any text.
    MomentLike(Arc<str>),
    /// Addresses of hosts.
    Address,
    /// Hardware addresses of so many bytes.
    HardwareAddress(usize),
    /// Numbers of 32 bits without a sign: `oid` of PostgreSQL, which takes -1 for the greatest.
    Unsigned,
    /// A single byte: `"char"` of PostgreSQL, which drops all that follows.
    SingleByte,
    /// Bits, all of them or at the most so many.
    Bits {
        /// How many.
        length: Option<u32>,
        /// Whether there may be fewer.
        is_varying: bool,
    },
    /// `money` of PostgreSQL, by how the server writes -1234.5.
    Money(Arc<str>),
    /// A type whose values can be written in several ways, of which the database gives back one.
    Notations,
    /// Years as MySQL and MariaDB have them, which take one or two digits for another year.
    Year,
    /// Numbers with so many digits, and so many of them behind the point; the database would round further ones in silence.
    Digits(u32, u32),
    /// Bytes filled with zeros up to so many: `BINARY(n)` of MySQL and MariaDB.
    FilledBytes(u32),
    /// One of some labels. The database would take a number for the place of a label.
    OneOf(Arc<[String]>),
    /// Some of some labels, in their order.
    SomeOf(Arc<[String]>),
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
    pub fn store(&self, coerced: Coerced, limits: &Limits) -> Result<Coerced> {
        let Coerced { value, loss } = coerced;
        let value = match (self, value) {
            (Self::Same | Self::Notations, value) => value,
            (Self::Seconds(digits), value) => return Ok(cut_second(Coerced { value, loss }, *digits)),
            (Self::Padded(length), Value::Text(text)) => Value::Text(padded(text, *length)),
            (Self::Trimmed, Value::Text(text)) if text.ends_with(' ') => {
                let value = Value::from(text.trim_end_matches(' '));
                return Ok(Coerced { value, loss: Some(Loss::TrailingSpaces) });
            }
            (Self::FilledBytes(length), Value::Bytes(bytes)) if bytes.len() < *length as usize => {
                let mut filled = bytes.to_vec();
                filled.resize(*length as usize, 0);
                return Ok(Coerced { value: Value::Bytes(filled.into()), loss: Some(Loss::ZeroBytes) });
            }
            (Self::MomentLike(sample), Value::Timestamp(moment)) => match moment_like(moment, sample) {
                Some(text) => Value::Text(text),
                None => {
                    return Err(misfit(&moment.to_iso(), &format!("a moment written as \"{sample}\" is")));
                }
            },
            (Self::StorageClasses, Value::Decimal(text)) => Value::Text(text.into()),
            (Self::NumericAffinity, value @ (Value::Decimal(_) | Value::Text(_))) => number(value, limits)?,
            (Self::StorageClasses | Self::NumericAffinity, value) => storage_class(value),
            (Self::Year, Value::Int32(year)) if year != 0 && !(1901..=2155).contains(&year) => {
                return Err(misfit(&year.to_string(), "0 or a year from 1901 to 2155"));
            }
            (Self::Digits(precision, scale), Value::Float(number)) => {
                let text = number.to_string();
                if !fits_precision(&text, *precision, *scale) {
                    let wanted = format!("a number of {precision} digits, {scale} of them behind the point");
                    return Err(misfit(&text, &wanted));
                }
                Value::Float(number)
            }
            (form, Value::Text(text)) => {
                let told = form.store_text(text)?;
                return Ok(Coerced { value: told.value, loss: loss.or(told.loss) });
            }
            (_, value) => value,
        };
        Ok(Coerced { value, loss })
    }

    /// Brings the text of a column that holds no text into this form.
    fn store_text(&self, text: String) -> Result<Coerced> {
        let told = |told: Option<String>, wanted: &str| {
            told.map(|told| Value::Text(told).into()).ok_or_else(|| misfit(&text, wanted))
        };
        let kept = |fits: bool| fits.then(|| text.clone());
        match self {
            Self::Date => told(kept(is_day(&text)), "a day as YYYY-MM-DD"),
            Self::Time(digits) => {
                time(&text, *digits, false).ok_or_else(|| misfit(&text, "a time as HH:MM:SS, without a zone"))
            }
            Self::Span(digits) => {
                time(&text, *digits, true).ok_or_else(|| misfit(&text, "a time as HH:MM:SS"))
            }
            Self::Interval(smallest) => match interval_fault(&text, *smallest) {
                Some(wanted) => Err(misfit(&text, wanted)),
                None => Ok(Value::Text(text).into()),
            },
            Self::Uuid => told(notation::uuid(&text), "a uuid"),
            Self::UuidInCapitals => {
                told(notation::uuid(&text).map(|uuid| uuid.to_ascii_uppercase()), "a uuid in capitals")
            }
            Self::Address => told(notation::address(&text), "an address"),
            Self::HardwareAddress(bytes) => {
                told(notation::hardware_address(&text, *bytes), "a hardware address")
            }
            Self::Unsigned => {
                told(kept(notation::is_unsigned(&text)), "a number from 0 to 4294967295 in plain digits")
            }
            Self::SingleByte => told(kept(notation::is_single_byte(&text)), "a single byte"),
            Self::Bits { length, is_varying } => {
                let most = if *is_varying { "at the most " } else { "" };
                let wanted = match length {
                    Some(length) => format!("a string of {most}{length} bits"),
                    None => "a string of bits".to_owned(),
                };
                told(kept(notation::is_bits(&text, *length, *is_varying)), &wanted)
            }
            Self::Money(sample) => {
                told(notation::money(&text, sample), "an amount without digits that would be rounded")
            }
            Self::OneOf(labels) => told(kept(labels.contains(&text)), "one of the labels"),
            Self::SomeOf(labels) => told(notation::members(&text, labels), "some of the labels, each once"),
            _ => Ok(Value::Text(text).into()),
        }
    }

    /// The form of texts that all write moments in one notation, other than ours.
    pub fn of_moments(texts: &[&str]) -> Option<Self> {
        let sample = texts.first()?;
        let is_like = |text: &&str| {
            let moment = Timestamp::parse_iso(text);
            moment.and_then(|moment| moment_like(moment, sample)).is_some_and(|own| own == **text)
        };
        texts.iter().all(is_like).then(|| Self::MomentLike(Arc::from(*sample)))
    }

    /// Whether values can be given back in another notation than they were given in, so that no key of another type can be found
    /// again.
    pub fn has_notations(&self) -> bool {
        matches!(self, Self::Notations | Self::Money(_))
    }
}

fn misfit(text: &str, wanted: &str) -> Error {
    Error::new(ErrorKind::Value, format!("\"{text}\" is not {wanted}, which the column holds"))
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

    const LIMITS: Limits =
        Limits { nan: false, infinity: true, microseconds: true, infinite_timestamp: true };

    fn stored(form: &StoredForm, value: impl Into<Value>) -> Option<Value> {
        form.store(value.into().into(), &LIMITS).ok().map(|stored| stored.value)
    }

    #[test]
    fn a_column_with_numeric_affinity_takes_what_comes_back_from_it() {
        let decimal = |text: &str| Value::Decimal(text.into());
        let numbers = &StoredForm::NumericAffinity;
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
        let any = &StoredForm::StorageClasses;
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
            assert_eq!(stored(&StoredForm::Date, text), Some(Value::from(text)));
        }
        for text in ["01/02/2020", "today", "20200131", "2020-01-31 10:00"] {
            assert_eq!(stored(&StoredForm::Date, text), None, "{text}");
        }
        for text in ["12:00:00", "24:00:00", "12:00:00.123456"] {
            assert_eq!(stored(&StoredForm::Time(6), text), Some(Value::from(text)));
        }
        assert_eq!(stored(&StoredForm::Time(6), "12:00"), Some(Value::from("12:00:00")));
        for text in ["12:00:00+02", "noon", "now", "1:00 PM", "-12:00:00", "100:00:00"] {
            assert_eq!(stored(&StoredForm::Time(6), text), None, "{text}");
        }
        assert_eq!(stored(&StoredForm::Span(0), "-100:00:00"), Some(Value::from("-100:00:00")));
        assert_eq!(stored(&StoredForm::Span(0), "1200"), None);
    }

    #[test]
    fn digits_of_a_time_that_a_column_does_not_keep_are_dropped_and_reported() {
        for (text, digits, kept, loss) in [
            ("12:30:00.56", 1, "12:30:00.5", Some(Loss::SubSecond)),
            ("12:30:00.05", 1, "12:30:00", Some(Loss::SubSecond)),
            ("12:30:00.500", 1, "12:30:00.5", None),
            ("-00:00:00.5", 0, "00:00:00", Some(Loss::SubSecond)),
        ] {
            let cut = StoredForm::Span(digits).store(Value::from(text).into(), &LIMITS).unwrap();
            assert_eq!(cut, Coerced { value: kept.into(), loss });
        }
    }

    #[test]
    fn a_value_that_the_column_would_take_for_another_one_is_refused() {
        let labels = || Arc::from(["a".to_owned(), "2".to_owned()]);
        for (form, taken, refused) in [
            (StoredForm::Unsigned, "4294967295", "-1"),
            (StoredForm::SingleByte, "\\303", "ab"),
            (StoredForm::Bits { length: Some(3), is_varying: false }, "101", "1"),
            (StoredForm::Bits { length: None, is_varying: true }, "101", "X1F"),
            (StoredForm::OneOf(labels()), "2", "1"),
            (StoredForm::SomeOf(labels()), "a,2", "3"),
        ] {
            assert_eq!(stored(&form, taken), Some(Value::from(taken)));
            assert_eq!(stored(&form, refused), None, "{refused}");
        }
        assert_eq!(stored(&StoredForm::Year, Value::Int32(24)), None);
        assert_eq!(stored(&StoredForm::Digits(7, 2), Value::Float(1.234)), None);
        assert_eq!(stored(&StoredForm::Digits(7, 2), Value::Float(1.25)), Some(Value::Float(1.25)));
    }

    #[test]
    fn bytes_that_are_filled_up_are_reported() {
        let filled = StoredForm::FilledBytes(3).store(Value::Bytes(vec![1].into()).into(), &LIMITS).unwrap();
        let expected = Coerced { value: Value::Bytes(vec![1, 0, 0].into()), loss: Some(Loss::ZeroBytes) };
        assert_eq!(filled, expected);
    }

    #[test]
    fn spaces_at_the_end_of_a_char_do_not_count() {
        assert_eq!(stored(&StoredForm::Padded(4), "é"), Some(Value::from("é   ")));
        assert_eq!(stored(&StoredForm::Trimmed, "é  "), Some(Value::from("é")));
    }
}
