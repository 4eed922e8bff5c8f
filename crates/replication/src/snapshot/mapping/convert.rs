//! Rows of a source in the types of its target.

use data::table::{Coerced, ColumnType, Loss, Row, StoredForm, coerce, declared_value, json_loss};
use data::{Error, ErrorKind, Result, Value, json_text, plain_value};

use super::Mapping;
use crate::snapshot::links::list_of;
use crate::snapshot::{canonical_key, key_text};
use crate::stats::CollectionStats;

/// A row in the types of the target, with what its conversion gave up.
pub(crate) type Converted = (Row, Vec<GivenUp>);

/// What a conversion gave up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// A part of the value for a column of `target`.
    Value(usize, Loss),
    /// A field that has no column.
    Field(String),
}

const NO_COLUMN: &str = "the target has no column for the field, which was left out";

impl Mapping {
    /// Brings rows into the types of the target; those that do not fit are counted as failed.
    pub(crate) fn convert(&self, rows: Vec<Row>, stats: &mut CollectionStats) -> Vec<Row> {
        let mut converted = Vec::with_capacity(rows.len());
        for row in rows {
            let key = self.source.key_of(&row);
            match self.convert_whole(row) {
                Ok((row, losses)) => {
                    self.count_losses(losses, stats);
                    converted.push(row);
                }
                Err(error) => stats.fail_row(key, error.to_string()),
            }
        }
        converted
    }

    /// Brings a row into the types of the target.
    ///
    /// # Errors
    /// [`ErrorKind::Value`] or [`ErrorKind::NotNullViolation`] naming the column that cannot hold its value.
    pub(crate) fn convert_whole(&self, row: Row) -> Result<Converted> {
        let key = self.source.key_of(&row);
        self.convert_row(row).and_then(|converted| self.check_key(&key, converted))
    }

    /// Counts what conversions gave up.
    pub(crate) fn count_losses(&self, losses: Vec<GivenUp>, stats: &mut CollectionStats) {
        for given_up in losses {
            match given_up {
                GivenUp::Value(column, loss) => {
                    stats.convert(&self.target.columns[column].name, loss.describe(), 1);
                }
                GivenUp::Field(name) => stats.convert(&name, NO_COLUMN, 1),
            }
        }
    }

    /// A key must come out of the conversion whole, or two rows of the source could become one.
    fn check_key(&self, key: &[Value], (row, losses): Converted) -> Result<Converted> {
        if key.iter().any(Value::is_null) {
            return Err(Error::new(ErrorKind::NotNullViolation, "the primary key holds NULL"));
        }
        let target_key = self.target.key_of(&row);
        let gives_up = losses.iter().any(|loss| match loss {
            GivenUp::Value(column, _) => self.target.key.contains(column),
            GivenUp::Field(_) => false,
        });
        let comes_back = || {
            (target_key == key && self.is_typed_key(key))
                || self.source_key(&target_key).is_some_and(|back| canonical_key(&back) == canonical_key(key))
        };
        if !gives_up && !target_key.iter().any(Value::is_null) && comes_back() {
            return Ok((row, losses));
        }
        let problem = "the target cannot hold this primary key as it is";
        let becomes = if target_key.iter().any(Value::is_null) { None } else { Some(key_text(&target_key)) };
        Err(Error::new(
            ErrorKind::Value,
            match becomes.filter(|becomes| *becomes != key_text(key)) {
                Some(becomes) => format!("{problem}, but would make it \"{becomes}\""),
                None => problem.to_owned(),
            },
        ))
    }

    /// Whether the values of a key of the source have the types of their columns, so that the source can be asked for them. SQLite
    /// lets a column hold anything.
    fn is_typed_key(&self, key: &[Value]) -> bool {
        let columns = self.source.key.iter().map(|position| self.source.columns.get(*position));
        columns.zip(key).all(|(column, value)| {
            let typed = column.map(|column| (&column.column_type, value));
            matches!(
                typed,
                Some(
                    (ColumnType::Any | ColumnType::Native(_), _)
                        | (ColumnType::Text(_) | ColumnType::Uuid | ColumnType::Date, Value::Text(_))
                        | (ColumnType::Int16 | ColumnType::Int32, Value::Int32(_))
                        | (ColumnType::Int64, Value::Int32(_) | Value::Int64(_))
                        | (ColumnType::ObjectId, Value::ObjectId(_))
                        | (ColumnType::Bytes, Value::Bytes(_))
                )
            )
        })
    }

    fn convert_row(&self, mut row: Row) -> Result<Converted> {
        let mut losses = Vec::new();
        let mut converted = Vec::with_capacity(self.positions.len());
        if let Some(rest) = self.source.rest().and_then(|rest| row.get_mut(rest))
            && let Value::Object(fields) = rest
        {
            let fields = self.columns.fields(std::mem::take(fields.as_mut()));
            *rest = if fields.is_empty() { Value::Null } else { Value::Object(Box::new(fields)) };
        }
        for (column, position) in self.positions.iter().enumerate() {
            if let (Some(mark), true) = (&self.source_mark, self.mark_position == Some(column)) {
                converted.push(Value::from(mark.value.as_str()));
                continue;
            }
            let value = row.get_mut(*position).map(std::mem::take).unwrap_or_default();
            let value = self.prefixed(column, value)?;
            let Coerced { value, loss } = self.convert_value(column, value)?;
            losses.extend(loss.map(|loss| GivenUp::Value(column, loss)));
            converted.push(value);
        }
        if let Some(Value::Object(fields)) =
            self.left_out.and_then(|rest| row.get_mut(rest)).map(std::mem::take)
        {
            losses.extend(fields.into_iter().map(|(name, _)| GivenUp::Field(name)));
        }
        Ok((converted, losses))
    }

    /// Brings the value for a column of `target` into its type.
    ///
    /// # Errors
    /// [`ErrorKind::Value`] naming the column.
    pub(crate) fn convert_value(&self, column: usize, value: Value) -> Result<Coerced> {
        let target = &self.target.columns[column];
        if self.lists[column] {
            return Ok(list_of(value, self.target_is_schemaless).into());
        }
        // What a transform adds has whatever type it is given.
        let source_column = self.source.columns.get(self.positions[column]);
        let keeps_json_null =
            !self.target_is_schemaless && matches!(target.column_type, ColumnType::Array(_));
        let value = if keeps_json_null { value } else { null_within(value) };
        let source_type = source_column.map_or(&ColumnType::Any, |column| &column.column_type);
        let coerced = match self.json_for(source_type, &target.column_type, value) {
            Ok(json) => Ok(json),
            Err(value) => coerce(value, &target.column_type, &self.limits),
        };
        let stored = coerced.and_then(|coerced| self.store(column, coerced));
        stored.map_err(|error| error.in_context(format!("column \"{}\"", target.name)))
    }

    /// Brings a value that has the type of a column of `target` into the form in which the column keeps it.
    pub(super) fn store(&self, column: usize, coerced: Coerced) -> Result<Coerced> {
        let form = self.forms.get(column).unwrap_or(&StoredForm::Same);
        let at_source = self.positions.get(column).and_then(|position| self.source_forms.get(*position));
        // Both servers write amounts in the same way.
        if matches!(form, StoredForm::Money(_)) && at_source == Some(form) {
            return Ok(coerced);
        }
        let stored = form.store(coerced, &self.limits)?;
        match (stored.loss, at_source) {
            // The database of the source has put the spaces there.
            (Some(Loss::TrailingSpaces), Some(StoredForm::Padded(_))) => Ok(stored.value.into()),
            _ => Ok(stored),
        }
    }

    /// JSON in the form in which the target keeps it, so that it compares equal with what the target gives back: the text
    /// of a JSON string has its quotes, and what only BSON knows becomes JSON. A value that is no JSON is handed back.
    fn json_for(&self, source: &ColumnType, target: &ColumnType, value: Value) -> Result<Coerced, Value> {
        let is_document = matches!(value, Value::Array(_) | Value::Object(_));
        let loss = if self.target_is_schemaless { None } else { json_loss(&value) };
        let value = match (source, target) {
            _ if value.is_null() => return Err(value),
            _ if value == Value::JsonNull && !self.target_holds_json_null => return Err(Value::Null),
            (ColumnType::Json, ColumnType::Json) if self.target_is_schemaless => value,
            // Bytes of another kind, which MongoDB keeps as what they are.
            (_, ColumnType::Bytes) if self.target_is_schemaless && matches!(value, Value::Object(_)) => value,
            _ if self.target_is_schemaless => return Err(value),
            // SQLite has no JSON but as text.
            (ColumnType::Text(_), ColumnType::Json)
                if self.source_keeps_json_as_text && matches!(value, Value::Text(_)) =>
            {
                declared_value(value, &ColumnType::Json)
            }
            (ColumnType::Json, ColumnType::Text(_)) => Value::Text(json_text(&value)),
            (ColumnType::Json, ColumnType::Json) => plain_value(value),
            // What only BSON knows, in a field of several types.
            (_, ColumnType::Json) if is_document || is_rare(&value) => plain_value(value),
            // A column of any type has no place for a document but as text.
            (_, ColumnType::Any | ColumnType::Text(_)) if is_document => Value::Text(json_text(&value)),
            _ => return Err(value),
        };
        Ok(Coerced { value, loss })
    }
}

fn is_rare(value: &Value) -> bool {
    matches!(value, Value::Timestamp(_) | Value::ObjectId(_) | Value::Float(_))
}

/// A list in which a JSON null is what it is within any document. Only a list of a database's own tells it from a missing value.
fn null_within(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(null_of).collect()),
        value => value,
    }
}

fn null_of(item: Value) -> Value {
    if item == Value::JsonNull { Value::Null } else { null_within(item) }
}
