//! How the values of a table's columns are stored, which may be otherwise than they are declared.

use std::borrow::Cow;

use super::super::catalog::{CataloguedColumn, Described};
use super::super::syntax::quote;
use crate::table::{ColumnType, Form, MomentForm, Row, Table, TableColumn};
use crate::value::{Timestamp, Value, column_from_json_text, json_text};

/// A table as its user declares it, and how each of its columns is stored.
pub(in crate::mysql) struct StoredTable<'a> {
    pub(super) table: &'a Table,
    pub(super) columns: Vec<StoredColumn<'a>>,
}

/// A column as declared and as stored.
pub(super) struct StoredColumn<'a> {
    pub(super) declared: &'a TableColumn,
    stored: ColumnType,
    is_bits: bool,
    pub(super) is_lax: bool,
}

impl<'a> StoredTable<'a> {
    /// A column that the catalogue does not have counts as stored the way it is declared.
    pub(in crate::mysql) fn new(table: &'a Table, described: &Described) -> Self {
        let columns = table.columns.iter().map(|declared| {
            let known = described.columns.iter().find(|own| own.column.name == declared.name);
            StoredColumn {
                declared,
                stored: known.map_or(&declared.column_type, |own| &own.column.column_type).clone(),
                is_bits: known.is_some_and(|own| own.is_bits),
                is_lax: known.is_some_and(|CataloguedColumn { is_lax, .. }| *is_lax),
            }
        });
        Self { table, columns: columns.collect() }
    }

    /// The columns of a SELECT.
    pub(super) fn selection(&self) -> String {
        self.columns.iter().map(|column| quote(&column.declared.name)).collect::<Vec<_>>().join(", ")
    }

    /// The columns of the primary key, in its order.
    pub(super) fn key(&self) -> Vec<&StoredColumn<'a>> {
        self.table.key.iter().filter_map(|position| self.columns.get(*position)).collect()
    }

    /// Only the columns of the primary key.
    pub(in crate::mysql) fn only_key(self) -> Self {
        let Self { table, columns } = self;
        let mut columns: Vec<Option<StoredColumn<'a>>> = columns.into_iter().map(Some).collect();
        let key = table.key.iter().filter_map(|position| columns.get_mut(*position).and_then(Option::take));
        Self { table, columns: key.collect() }
    }

    /// What is to be known to bring many rows into the declared types.
    pub(in crate::mysql) fn declaration(&self) -> Declaration {
        let types = |column: &StoredColumn<'_>| (column.stored.clone(), column.declared.column_type.clone());
        Declaration(self.columns.iter().map(types).collect())
    }

    /// Brings a fetched row into the declared types. A value that does not fit stays as it is: whoever coerces it later
    /// reports the row.
    pub(in crate::mysql) fn declare(&self, row: Row) -> Row {
        self.columns.iter().zip(row).map(|(column, value)| column.declare(value)).collect()
    }
}

/// The types of columns as stored and as declared.
#[derive(Debug)]
pub(in crate::mysql) struct Declaration(Vec<(ColumnType, ColumnType)>);

impl Declaration {
    /// As [`StoredTable::declare`].
    pub(in crate::mysql) fn declare(&self, row: Row) -> Row {
        self.0.iter().zip(row).map(|((stored, declared), value)| declare(stored, declared, value)).collect()
    }
}

fn declare(stored: &ColumnType, declared: &ColumnType, value: Value) -> Value {
    let value = as_declared(stored, value);
    if stored == declared { value } else { as_declared(declared, value) }
}

impl StoredColumn<'_> {
    pub(super) fn declare(&self, value: Value) -> Value {
        declare(&self.stored, &self.declared.column_type, value)
    }

    /// The form in which a value is bound.
    pub(super) fn bound<'v>(&self, value: &'v Value) -> Cow<'v, Value> {
        let is_json = self.stored == ColumnType::Json || self.declared.column_type == ColumnType::Json;
        match value {
            Value::Null => Cow::Borrowed(value),
            value if is_json => Cow::Owned(Value::Text(json_text(value))),
            Value::Timestamp(moment) if matches!(self.stored, ColumnType::Text(_)) => {
                Cow::Owned(Value::Text(moment.to_iso()))
            }
            value => Cow::Borrowed(value),
        }
    }

    /// What becomes of values of a source's column that need not be looked at one by one.
    pub(super) fn form_of(&self, source: &ColumnType) -> Option<Form> {
        let is_json = |column_type: &ColumnType| *column_type == ColumnType::Json;
        let is_stored_so = is_json(&self.stored) == is_json(&self.declared.column_type);
        if !is_stored_so || self.is_bits || (is_json(&self.stored) && !is_json(source)) {
            return None;
        }
        let moments =
            if matches!(self.stored, ColumnType::Text(_)) { MomentForm::Iso } else { MomentForm::Datetime };
        Form::between(source, &self.declared.column_type, moments)
    }

    /// The placeholder of a value. Text is compared with a number as if both were doubles, and goes into bits as bytes.
    pub(super) fn placeholder(&self, in_comparison: bool) -> Cow<'static, str> {
        match &self.stored {
            ColumnType::Decimal(_) if self.is_bits => "CAST(? AS UNSIGNED)".into(),
            // A FLOAT is no double that has the same digits.
            ColumnType::Float32 if in_comparison => "CAST(? AS FLOAT)".into(),
            ColumnType::Decimal(Some((precision, scale))) if in_comparison => {
                format!("CAST(? AS DECIMAL({precision},{scale}))").into()
            }
            _ => "?".into(),
        }
    }
}

fn as_declared(column_type: &ColumnType, value: Value) -> Value {
    match (column_type, value) {
        (ColumnType::Bool, Value::Int32(number @ (0 | 1))) => Value::Bool(number == 1),
        (ColumnType::Bool, Value::Int64(number @ (0 | 1))) => Value::Bool(number == 1),
        (ColumnType::Int64, Value::Int32(number)) => Value::Int64(i64::from(number)),
        (ColumnType::Int16 | ColumnType::Int32, Value::Int64(number)) => {
            i32::try_from(number).map_or(Value::Int64(number), Value::Int32)
        }
        (ColumnType::Decimal(_), Value::Int32(number)) => Value::Decimal(number.to_string().into()),
        (ColumnType::Decimal(_), Value::Int64(number)) => Value::Decimal(number.to_string().into()),
        (ColumnType::Timestamp { .. }, Value::Text(text)) => match Timestamp::parse_iso(&text) {
            Some(moment) => Value::Timestamp(moment),
            None => Value::Text(text),
        },
        (ColumnType::Json, Value::Text(text)) => match column_from_json_text(text.as_bytes()) {
            Ok(json) => json,
            Err(_) => Value::Text(text),
        },
        (_, value) => value,
    }
}
