//! Where SQL databases differ in what they understand.

use std::fmt::Display;

use super::statement::{Statement, quoted_by};
use crate::dialect::{DialectKind, Isolation};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Direction;
use crate::record;
use crate::rows::Cell;
use crate::schema::{Column, FieldType};
use crate::value::Value;

/// A question to a JSON value: a column, or a place within one.
#[derive(Debug, Clone)]
pub(crate) enum JsonTest {
    /// It is there and not null.
    HasValue,
    /// It is the same document, numbers compared by worth and keys in any order.
    Equals(Value),
    /// It is a list, and one of its items equals this.
    Contains(Value),
    /// It has the type of this value and compares so with it.
    Compare(&'static str, Value),
    /// It is text that matches, or a list with such a text.
    Matches { pattern: String, ignore_case: bool },
}

/// Which statements can return the rows they have written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returning {
    /// INSERT and UPDATE.
    Always,
    /// Only INSERT.
    Inserted,
    /// None: rows are read again.
    Never,
}

/// The rows that an index is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coverage<'a> {
    /// All of them.
    All,
    /// Those with a value in every column of the index.
    Present,
    /// Those without a value in this column.
    Without(&'a str),
}

/// A secondary index to be made.
#[derive(Debug)]
pub(crate) struct NewIndex<'a> {
    pub(crate) name: String,
    pub(crate) table: &'a str,
    /// Columns, outermost first: name, type, and whether it is in descending order.
    pub(crate) columns: Vec<(&'a str, FieldType, bool)>,
    pub(crate) unique: bool,
    pub(crate) coverage: Coverage<'a>,
}

/// The SQL of one kind of database. Conditions that are written here may be NULL where they do not hold.
pub(crate) trait SqlSyntax: Send + Sync + 'static {
    fn kind(&self) -> DialectKind;

    /// What stands on both sides of an identifier, and is doubled within it.
    fn quotation_mark(&self) -> char {
        '"'
    }

    /// An identifier, quoted.
    fn quote(&self, name: &str) -> String {
        quoted_by(self.quotation_mark(), name)
    }

    /// Which statements can return rows.
    fn returning(&self) -> Returning {
        Returning::Always
    }

    /// Whether a change of the schema is part of its transaction. Else it ends the transaction, and cannot be made in one.
    fn transactional_ddl(&self) -> bool {
        true
    }

    /// The isolation of the transactions that one operation of ours runs in; `None` for the database's own default.
    fn operation_isolation(&self) -> Option<Isolation> {
        None
    }

    /// Appends the placeholder of a parameter, counted from 1.
    fn placeholder(&self, text: &mut String, position: usize);

    /// The type of a new column.
    fn column_type(&self, column: &Column<'_>) -> &'static str;

    /// The type of a column that is added because a written value has none.
    fn added_column_type(&self, field_type: FieldType) -> &'static str;

    /// What follows the columns of a new table.
    fn table_options(&self) -> &'static str {
        ""
    }

    /// The name of an index or constraint, as the database can hold it.
    fn object_name(&self, name: String) -> String {
        name
    }

    /// The bytes to which the database cuts longer names of tables and columns without a word.
    fn longest_name(&self) -> Option<usize> {
        None
    }

    /// Whether a column of this type can have a default.
    fn has_default(&self, _field_type: FieldType) -> bool {
        true
    }

    /// The statements that make an index, unless it exists.
    fn create_index(&self, index: &NewIndex<'_>) -> Vec<String> {
        let quoted = |name: &str| self.quote(name);
        let columns: Vec<_> = index
            .columns
            .iter()
            .map(|(name, _, descending)| {
                format!("{}{}", quoted(name), if *descending { " DESC" } else { "" })
            })
            .collect();
        let condition = match index.coverage {
            Coverage::All => String::new(),
            Coverage::Present => {
                let present = index.columns.iter().map(|(name, ..)| format!("{} IS NOT NULL", quoted(name)));
                format!(" WHERE {}", present.collect::<Vec<_>>().join(" AND "))
            }
            Coverage::Without(column) => format!(" WHERE {} IS NULL", quoted(column)),
        };
        vec![format!(
            "CREATE {}INDEX IF NOT EXISTS {} ON {} ({}){condition}",
            if index.unique { "UNIQUE " } else { "" },
            quoted(&index.name),
            quoted(index.table),
            columns.join(", ")
        )]
    }

    /// Whether an error of a statement that makes something only says that it exists.
    fn is_made_already(&self, _error: &Error) -> bool {
        false
    }

    /// Whether an error of a statement that makes a foreign key says that the columns do not fit each other.
    fn cannot_refer(&self, _error: &Error) -> bool {
        false
    }

    /// The form in which a field of this type is bound.
    ///
    /// # Errors
    /// [`ErrorKind::Value`] if the database cannot hold it; the place is named.
    fn store(&self, place: &dyn Display, field_type: FieldType, value: Value) -> Result<Value>;

    /// The value of a field as it was fetched.
    fn restore(&self, field_type: FieldType, value: Value) -> Value;

    /// As [`restore`](Self::restore), where that needs neither a copy nor a closer look.
    fn restore_cell<'a>(&self, _field_type: FieldType, _cell: Cell<'a>) -> Option<Cell<'a>> {
        None
    }

    /// What follows an ordered expression so that NULL comes first in ascending order and last in descending.
    fn order(&self, direction: Direction) -> &'static str;

    /// Appends a column that holds plain values, to order by, with the direction.
    fn order_by(&self, sql: &mut Statement, column: &str, _field_type: FieldType, direction: Direction) {
        sql.push(column).push(self.order(direction));
    }

    /// A query for whether a date column holds dates in another order than that of the column itself, in which its
    /// indexes are; `None` where there are no such dates.
    fn has_unordered_dates(&self, _table: &str, _column: &str) -> Option<String> {
        None
    }

    /// What stands for "no limit" before OFFSET, where the database insists on a limit.
    fn unlimited(&self) -> Option<&'static str>;

    /// Whether a foreign key can only be declared with its column.
    fn inline_foreign_keys(&self) -> bool;

    /// `DROP TABLE IF EXISTS` for a quoted name, also if others refer to it.
    fn drop_table(&self, quoted: &str) -> String;

    /// `column` compares so with a value that is in its stored form and not NULL.
    fn compare(&self, sql: &mut Statement, column: &str, operator: &str, value: Value) {
        sql.push(column).push(operator).bind(value);
    }

    /// As [`compare`](Self::compare), for a date field. `upper` is the operand of a further condition that holds at the
    /// same time and bounds the column from above.
    fn compare_date(
        &self,
        sql: &mut Statement,
        column: &str,
        operator: &str,
        value: Value,
        upper: Option<&Value>,
    ) {
        let _ = upper;
        self.compare(sql, column, operator, value);
    }

    /// Completes an INSERT so that a row under an existing key stays as it is and does not count. `false` if there is no
    /// such INSERT; then a plain one is refused for its key, which leaves a transaction as it was.
    fn keep_existing(&self, sql: &mut Statement) -> bool {
        sql.push(" ON CONFLICT DO NOTHING");
        true
    }

    /// `column` is one of `values`, which are not NULL and in their stored form.
    fn one_of(&self, sql: &mut Statement, column: &str, values: Vec<Value>);

    /// The text of `column` matches; the pattern was accepted by [`check_pattern`](Self::check_pattern).
    fn matches(&self, sql: &mut Statement, column: &str, pattern: &str, ignore_case: bool);

    /// Refuses a pattern that the database's own function does not report.
    ///
    /// # Errors
    /// [`ErrorKind::Filter`].
    fn check_pattern(&self, _pattern: &str) -> Result<()> {
        Ok(())
    }

    /// The JSON in `column`, below the given keys, passes the test.
    fn json_test(&self, sql: &mut Statement, column: &str, below: &[String], test: &JsonTest);

    /// Appends the condition that the JSON in `column`, below the given keys, is a list of which one item equals one of these
    /// values; `false` if the database has no such condition that takes them all at once, and nothing was appended.
    fn json_contains_any(
        &self,
        _sql: &mut Statement,
        _column: &str,
        _below: &[String],
        _values: &[Value],
    ) -> bool {
        false
    }

    /// What to order by for the JSON in `column` below the given keys, with the direction.
    fn json_order(&self, sql: &mut Statement, column: &str, below: &[String], direction: Direction);

    /// Locks rows that a query selects for an update.
    fn lock_rows(&self) -> &'static str;

    /// An expression for the number in a quoted column by which its different values are told apart.
    fn distinct_number(&self, column: &str) -> String {
        column.to_owned()
    }

    /// The type to which numbers are cast so that their sum and mean are doubles.
    fn double_type(&self) -> &'static str;

    /// Appends the JSON in `column` below the given keys in a form that is the same for equal values and that
    /// [`restore`](Self::restore) reads; NULL where there is nothing, or null.
    fn json_value(&self, sql: &mut Statement, column: &str, below: &[String]);

    /// Appends the JSON in `column` below the given keys in a form that [`restore`](Self::restore) reads to its last digit;
    /// NULL where there is nothing, or null. Equal values may have several forms.
    fn exact_json_value(&self, sql: &mut Statement, column: &str, below: &[String]) {
        self.json_value(sql, column, below);
    }

    /// Appends the number in `column`, which holds what [`json_value`](Self::json_value) gives; NULL where that is
    /// something else.
    fn json_number(&self, sql: &mut Statement, column: &str);

    /// Appends the smallest or largest value of `column` in a group. JSON is in the form of
    /// [`json_value`](Self::json_value), and remains so.
    fn extreme(&self, sql: &mut Statement, column: &str, field_type: FieldType, largest: bool);
}

/// The aggregate function for values that the database has an order for.
pub(crate) fn extreme_of_ordered(sql: &mut Statement, column: &str, largest: bool) {
    sql.push(if largest { "max(" } else { "min(" }).push(column).push(")");
}

/// Brings the value of a number field into a double, which is what every dialect stores.
///
/// # Errors
/// [`ErrorKind::Value`] where digits would be lost.
pub(crate) fn store_number(place: &dyn Display, value: Value) -> Result<Value> {
    let limits =
        crate::table::Limits { nan: true, infinity: true, microseconds: true, infinite_timestamp: true };
    crate::table::coerce(value, &crate::table::ColumnType::Float64, &limits)
        .map(|coerced| coerced.value)
        .map_err(|error| error.in_context(place.to_string()))
}

/// A number field as it is shown: a double, unless the column holds a number that no double can.
pub(crate) fn restore_number(value: Value) -> Value {
    store_number(&"", value.clone()).unwrap_or(value)
}

/// As [`restore_number`], of what is a number that a double holds.
pub(crate) fn restore_number_cell(cell: Cell<'_>) -> Option<Cell<'_>> {
    const EXACT: u64 = 1 << 53;
    match cell {
        Cell::Null | Cell::Float(_) => Some(cell),
        Cell::Integer(number) if number.unsigned_abs() <= EXACT => Some(cell),
        _ => None,
    }
}

/// Brings the operand of a filter into the type of its field.
///
/// # Errors
/// [`ErrorKind::Filter`] if it can never be a value of that field.
pub(crate) fn fit_operand(field: &str, field_type: FieldType, value: Value) -> Result<Value> {
    record::fit(&format_args!("filter on \"{field}\""), field_type, value)
        .map_err(|error| Error::new(ErrorKind::Filter, error.to_string()))
}
