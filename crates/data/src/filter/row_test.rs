//! What a filter asks of one value, and how values compare in the database they come from.

use std::cmp::Ordering;

use super::Condition;
use crate::dialect::DialectKind;
use crate::table::ColumnType;
use crate::value::{Timestamp, Value, order_decimals};

/// Characters that mean something else than themselves in some dialect of regular expressions.
const SPECIAL: &str = r"\^$.|?*+()[]{}";

/// What is asked of the values that a row has at one place.
#[derive(Debug, Clone)]
pub(super) struct Test {
    question: Question,
    kind: DialectKind,
    /// Whether values are days.
    days: bool,
}

#[derive(Debug, Clone)]
enum Question {
    HasValue(bool),
    OneOf { values: Vec<Value>, or_none: bool, negated: bool },
    Ordered { holds_for: [Option<Ordering>; 2], operand: Value },
    Contains { text: String, at_start: bool },
    Never,
}

/// Whether this is a value at all; the null of JSON is none.
pub(super) fn has_value(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::JsonNull)
}

impl Test {
    /// What no row can be asked in memory, and why.
    pub(super) fn check(condition: &Condition) -> Result<(), String> {
        if let Condition::Regex { pattern, ignore_case } = condition {
            plain_pattern(pattern, *ignore_case)?;
        }
        let is_whole = |value: &&Value| matches!(value, Value::Array(_) | Value::Object(_));
        match condition.operands().iter().find(is_whole) {
            Some(whole) => {
                Err(format!("a filter of rows compares with single values, found {}", whole.type_name()))
            }
            None => Ok(()),
        }
    }

    pub(super) fn of(condition: &Condition, column: &ColumnType, kind: DialectKind) -> Result<Self, String> {
        Self::check(condition)?;
        if condition.orders() {
            check_order(column, kind)?;
        }
        let operand = |value: &Value| fit(value, column, kind);
        let one_of = |values: &[Value], negated| {
            let given =
                values.iter().filter(|value| has_value(value)).map(operand).collect::<Result<Vec<_>, _>>()?;
            Ok::<_, String>(Question::OneOf { or_none: given.len() < values.len(), values: given, negated })
        };
        let ordered = |holds_for, value: &Value| {
            Ok::<_, String>(Question::Ordered { holds_for, operand: operand(value)? })
        };
        let (less, equal, greater) = (Some(Ordering::Less), Some(Ordering::Equal), Some(Ordering::Greater));
        let question = match condition {
            Condition::Exists(exists) => Question::HasValue(*exists),
            Condition::Eq(value) => one_of(std::slice::from_ref(value), false)?,
            Condition::Ne(value) => one_of(std::slice::from_ref(value), true)?,
            Condition::In(values) => one_of(values, false)?,
            Condition::Nin(values) => one_of(values, true)?,
            Condition::Gt(value) => ordered([greater, None], value)?,
            Condition::Gte(value) => ordered([greater, equal], value)?,
            Condition::Lt(value) => ordered([less, None], value)?,
            Condition::Lte(value) => ordered([less, equal], value)?,
            Condition::Regex { pattern, ignore_case } if is_text(column, kind) => {
                let (text, at_start) = plain_pattern(pattern, *ignore_case)?;
                Question::Contains { text: text.to_owned(), at_start }
            }
            Condition::Regex { .. } => Question::Never,
        };
        Ok(Self { question, kind, days: *column == ColumnType::Date })
    }

    /// Whether a list counts by its items as well as by itself.
    pub(super) fn looks_into_lists(&self) -> bool {
        self.kind.is_schemaless()
    }

    /// Whether it holds for one of the values; there are none where the field has no value.
    pub(super) fn holds(&self, values: &[&Value]) -> bool {
        match &self.question {
            Question::HasValue(wanted) => values.is_empty() != *wanted,
            Question::OneOf { values: given, or_none, negated } => {
                let is_given = |value: &&Value| {
                    given.iter().any(|own| self.compare(value, own) == Some(Ordering::Equal))
                };
                let found = if values.is_empty() { *or_none } else { values.iter().any(is_given) };
                found != *negated
            }
            Question::Ordered { holds_for, operand } => values.iter().any(|value| {
                let order = self.compare(value, operand);
                order.is_some() && holds_for.contains(&order)
            }),
            Question::Contains { text, at_start } => values.iter().any(|value| {
                value
                    .as_text()
                    .is_some_and(|own| if *at_start { own.starts_with(text) } else { own.contains(text) })
            }),
            Question::Never => false,
        }
    }

    /// How a value of the row compares with an operand; `None` where the database has no order between them.
    fn compare(&self, own: &Value, operand: &Value) -> Option<Ordering> {
        let is_sqlite = self.kind == DialectKind::Sqlite;
        match (own, operand) {
            (Value::Text(a), Value::Text(b)) if self.days => Some(day(a).cmp(&day(b))),
            (Value::Text(a), Value::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
            (Value::Timestamp(a), Value::Text(b)) => Some(a.cmp(&Timestamp::parse_iso(b)?)),
            (Value::Text(a), Value::Timestamp(b)) => Some(Timestamp::parse_iso(a)?.cmp(b)),
            (Value::ObjectId(a), Value::Text(b)) => Some(a.to_string().cmp(b)),
            // Booleans are numbers in some databases.
            (Value::Bool(a), b) if !self.kind.is_schemaless() => {
                self.compare(&Value::Int32(i32::from(*a)), b)
            }
            (a, Value::Bool(b)) if !self.kind.is_schemaless() => {
                self.compare(a, &Value::Int32(i32::from(*b)))
            }
            (a, b) if is_number(a) && is_number(b) => compare_numbers(a, b, self.kind),
            // There, text comes behind numbers, and bytes behind text.
            (Value::Text(_), b) if is_sqlite && is_number(b) => Some(Ordering::Greater),
            (a, Value::Text(_)) if is_sqlite && is_number(a) => Some(Ordering::Less),
            (Value::Bytes(_), b) if is_sqlite && (is_number(b) || b.as_text().is_some()) => {
                Some(Ordering::Greater)
            }
            _ => None,
        }
    }
}

/// A regular expression that is nothing but text, which may have to stand at the start: engines agree on those.
fn plain_pattern(pattern: &str, ignore_case: bool) -> Result<(&str, bool), String> {
    let text = pattern.strip_prefix('^').unwrap_or(pattern);
    if ignore_case || text.is_empty() || text.contains(|character| SPECIAL.contains(character)) {
        return Err(format!(
            "databases do not agree on the regular expression \"{pattern}\"; a filter of rows takes plain text, with ^ before \
             it or not, and no flags"
        ));
    }
    Ok((text, text.len() < pattern.len()))
}

fn is_text(column: &ColumnType, kind: DialectKind) -> bool {
    kind.is_schemaless() || matches!(column, ColumnType::Text(_) | ColumnType::Any | ColumnType::Native(_))
}

/// Text has the order of a collation, which only the database knows.
fn check_order(column: &ColumnType, kind: DialectKind) -> Result<(), String> {
    let is_by_bytes = kind.is_schemaless() || kind == DialectKind::Sqlite;
    match column {
        ColumnType::Text(_) | ColumnType::Native(_) | ColumnType::Uuid if !is_by_bytes => Err(
            "text is in an order that only its database knows; a filter of rows can ask whether it is equal"
                .to_owned(),
        ),
        _ => Ok(()),
    }
}

/// An operand in the form in which the column holds its values.
fn fit(value: &Value, column: &ColumnType, kind: DialectKind) -> Result<Value, String> {
    let misfit = |holds: &str| Err(format!("the column holds {holds}, and never {}", value.type_name()));
    let is_decimal = |text: &str| order_decimals(text, "0").is_some();
    match (column, value) {
        (ColumnType::Timestamp { .. }, Value::Text(text)) => match Timestamp::parse_iso(text) {
            Some(moment) => Ok(Value::Timestamp(moment)),
            None => misfit("moments"),
        },
        _ if kind.is_schemaless() => Ok(value.clone()),
        (ColumnType::Any | ColumnType::Timestamp { .. }, Value::Timestamp(_)) | (ColumnType::Any, _) => Ok(value.clone()),
        (ColumnType::Timestamp { .. }, _) => misfit("moments"),
        (ColumnType::Bool, Value::Bool(_) | Value::Int32(0 | 1)) => Ok(value.clone()),
        (ColumnType::Bool, _) => misfit("booleans"),
        (
            ColumnType::Int16
            | ColumnType::Int32
            | ColumnType::Int64
            | ColumnType::Decimal(_)
            | ColumnType::Float32
            | ColumnType::Float64,
            _,
        ) => match value {
            // Integers beyond 2^53 are given as text.
            Value::Text(text) if is_decimal(text) => Ok(Value::Decimal(text.as_str().into())),
            Value::Bool(_) => Ok(value.clone()),
            value if is_number(value) => Ok(value.clone()),
            _ => misfit("numbers"),
        },
        (ColumnType::Uuid, Value::Text(text)) => Ok(Value::from(text.to_lowercase())),
        (ColumnType::Date, Value::Text(text)) if is_plain_day(text) => Ok(value.clone()),
        (ColumnType::Date, _) => misfit("days such as 2026-01-31"),
        (ColumnType::Text(_) | ColumnType::Native(_) | ColumnType::ObjectId, Value::Text(_)) => Ok(value.clone()),
        (ColumnType::Text(_) | ColumnType::Native(_) | ColumnType::Uuid | ColumnType::ObjectId, _) => misfit("text"),
        (
            ColumnType::Time
            | ColumnType::Interval
            | ColumnType::Json
            | ColumnType::Array(_)
            | ColumnType::Bytes
            | ColumnType::Rest,
            _,
        ) => Err("only its database can compare values of this type; a filter of rows can ask whether there is one".to_owned()),
    }
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int32(_) | Value::Int64(_) | Value::Float(_) | Value::Decimal(_))
}

fn is_plain_day(text: &str) -> bool {
    let is_shaped =
        |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == 10 && text.bytes().enumerate().all(is_shaped)
}

/// A day in PostgreSQL's notation, as what orders it.
fn day(text: &str) -> (i64, &str) {
    let (day, is_before_christ) = text.strip_suffix(" BC").map_or((text, false), |day| (day, true));
    match (day, day.split_once('-')) {
        ("infinity", _) => (i64::MAX, ""),
        ("-infinity", _) => (i64::MIN, ""),
        (_, Some((year, rest))) => {
            let year = year.parse::<i64>().unwrap_or_default();
            (if is_before_christ { -year } else { year }, rest)
        }
        (other, None) => (0, other),
    }
}

/// Numbers by their exact worth. What is no number is the greatest to PostgreSQL, and compares with nothing elsewhere.
fn compare_numbers(own: &Value, operand: &Value, kind: DialectKind) -> Option<Ordering> {
    let is_nan = match own {
        Value::Float(number) => number.is_nan(),
        Value::Decimal(text) => text.eq_ignore_ascii_case("nan"),
        _ => false,
    };
    if is_nan {
        let sorts = matches!(kind, DialectKind::Postgres | DialectKind::Cockroachdb);
        return sorts.then_some(Ordering::Greater);
    }
    match (own.as_integer(), operand.as_integer(), own, operand) {
        (Some(a), Some(b), ..) => Some(a.cmp(&b)),
        (_, _, Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        _ => {
            let infinite = own.as_f64().filter(|number| number.is_infinite());
            let infinite = infinite.map(|number| number.total_cmp(&0.0));
            infinite.or_else(|| order_decimals(&decimal_text(own)?, &decimal_text(operand)?))
        }
    }
}

fn decimal_text(value: &Value) -> Option<String> {
    match value {
        Value::Int32(number) => Some(number.to_string()),
        Value::Int64(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Decimal(text) => Some(text.to_string()),
        _ => None,
    }
}
