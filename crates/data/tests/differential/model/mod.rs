//! The rows in memory, and what every operation does with them.

mod aggregate;
mod filter;
mod order;

use data::schema::{DELETED_AT, FieldType, ID};
use data::{Condition, EntitySchema, ErrorKind, Filter, FindOptions, Record, Timestamp, Value};

pub(crate) use self::order::ordered;
use self::order::sort_rows;
use crate::operations::{Expected, Operation, Outcome};

/// Stands for a moment that the dialect chooses.
const SOME_MOMENT: Value = Value::Timestamp(Timestamp(0));

/// The rows of one entity.
pub(crate) struct Model {
    pub(crate) schema: std::sync::Arc<EntitySchema>,
    pub(crate) rows: Vec<Record>,
}

impl Model {
    pub(crate) fn apply(&mut self, operation: &Operation) -> Expected {
        Ok(match operation {
            Operation::Create(record) => Outcome::Row(Some(self.create(record)?)),
            Operation::Find(filter, options) => Outcome::Rows(self.find(filter, options)?),
            Operation::Count(filter, deleted) => Outcome::Count(self.passing(filter, *deleted)?.len() as u64),
            Operation::Update(id, changes) => Outcome::Row(match self.living(id) {
                Some(row) => {
                    self.change(&[row], changes)?;
                    Some(self.rows[row].clone())
                }
                None => None,
            }),
            Operation::Upsert(filter, record) => match self.passing(filter, false)?.first() {
                Some(row) => {
                    self.change(&[*row], record)?;
                    Outcome::Upserted(self.rows[*row].clone(), false)
                }
                None => {
                    let mut record = record.clone();
                    if let Filter::Field(path, Condition::Eq(value)) = filter {
                        record.insert(path.field.clone(), value.clone());
                    }
                    Outcome::Upserted(self.create(&record)?, true)
                }
            },
            Operation::UpdateMany(filter, changes) => {
                let rows = self.passing(filter, false)?;
                self.change(&rows, changes)?;
                Outcome::Count(rows.len() as u64)
            }
            Operation::Delete(id) => {
                let found: Vec<usize> =
                    (0..self.rows.len()).filter(|row| self.rows[*row][ID] == *id).collect();
                self.remove(&found);
                Outcome::Flag(!found.is_empty())
            }
            Operation::DeleteMany(filter) => {
                let mut rows = self.passing(filter, true)?;
                rows.retain(|row| !self.is_deleted(*row));
                self.remove(&rows);
                Outcome::Count(rows.len() as u64)
            }
            Operation::Distinct(field, filter) => Outcome::Values(self.distinct(field, filter)?),
            Operation::Increment(id, field, amount) => self.on_field(id, field, |value| {
                Value::Float(value.as_f64().unwrap_or(0.0) + amount.as_f64().unwrap())
            }),
            Operation::AddToSet(id, field, item) => self.on_field(id, field, |value| {
                let mut items = list(value);
                if !items.iter().any(|known| known.same_as(item)) {
                    items.push(item.clone());
                }
                Value::Array(items)
            }),
            Operation::Pull(id, field, item) => self.on_field(id, field, |value| match value {
                Value::Array(mut items) => {
                    items.retain(|known| !known.same_as(item));
                    Value::Array(items)
                }
                other => other,
            }),
            Operation::Search(text, fields, options) => Outcome::Rows(self.search(text, fields, options)?),
            Operation::Aggregate(pipeline) => Outcome::Computed(self.aggregate(pipeline)?),
        })
    }

    fn create(&mut self, given: &Record) -> Result<Record, ErrorKind> {
        let mut row = Record::from_iter([(ID.to_owned(), given[ID].clone())]);
        for (name, field) in &self.schema.fields {
            let value = match given.get(name) {
                None | Some(Value::Null) => field.default.clone().unwrap_or_default(),
                Some(value) => value.clone(),
            };
            row.insert(name.clone(), self.normal(name, value));
        }
        if let Some(discriminator) = &self.schema.discriminator {
            row.insert(discriminator.column.clone(), discriminator.value.as_str().into());
        }
        if self.schema.timestamps {
            row.insert("createdAt".to_owned(), SOME_MOMENT);
            row.insert("updatedAt".to_owned(), SOME_MOMENT);
        }
        if self.schema.soft_delete {
            row.insert(DELETED_AT.to_owned(), Value::Null);
        }
        if self.rows.iter().any(|known| known[ID] == row[ID]) {
            return Err(ErrorKind::UniqueViolation);
        }
        self.rows.push(row.clone());
        let new = self.rows.len() - 1;
        if self.has_duplicates() {
            self.rows.remove(new);
            return Err(ErrorKind::UniqueViolation);
        }
        Ok(row)
    }

    fn change(&mut self, rows: &[usize], changes: &Record) -> Result<(), ErrorKind> {
        let before = self.rows.clone();
        for row in rows {
            for (name, value) in changes {
                let value = self.normal(name, value.clone());
                self.rows[*row].insert(name.clone(), value);
            }
        }
        if self.has_duplicates() {
            self.rows = before;
            return Err(ErrorKind::UniqueViolation);
        }
        Ok(())
    }

    fn remove(&mut self, rows: &[usize]) {
        if self.schema.soft_delete {
            rows.iter().for_each(|row| drop(self.rows[*row].insert(DELETED_AT.to_owned(), SOME_MOMENT)));
            return;
        }
        rows.iter().rev().for_each(|row| drop(self.rows.remove(*row)));
    }

    fn on_field(&mut self, id: &Value, field: &str, change: impl FnOnce(Value) -> Value) -> Outcome {
        let Some(row) = self.living(id) else { return Outcome::Row(None) };
        let value = change(self.rows[row][field].clone());
        self.rows[row].insert(field.to_owned(), value);
        Outcome::Row(Some(self.rows[row].clone()))
    }

    fn find(&self, filter: &Filter, options: &FindOptions) -> Result<Vec<Record>, ErrorKind> {
        let passing = self.passing(filter, options.include_deleted)?;
        let mut rows: Vec<Record> = passing.into_iter().map(|row| self.rows[row].clone()).collect();
        sort_rows(&mut rows, &options.sort);
        let skip = usize::try_from(options.skip.unwrap_or(0)).unwrap();
        let limit = options.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap());
        let wanted = |name: &str| {
            name == ID
                || ((options.select.is_empty() || options.select.iter().any(|known| known == name))
                    && !options.exclude.iter().any(|known| known == name))
        };
        let part = |row: Record| row.into_iter().filter(|(name, _)| wanted(name)).collect();
        Ok(rows.into_iter().skip(skip).take(limit).map(part).collect())
    }

    fn search(&self, text: &str, fields: &[String], options: &FindOptions) -> Result<Vec<Record>, ErrorKind> {
        let is_text =
            |name: &str| matches!(self.schema.fields[name].field_type, FieldType::String | FieldType::Text);
        let names: Vec<&String> = match fields {
            [] => self.schema.fields.keys().filter(|name| is_text(name)).collect(),
            fields => fields.iter().collect(),
        };
        let text = text.to_lowercase();
        let mut rows = self.find(&Filter::everything(), options)?;
        rows.retain(|row| {
            names
                .iter()
                .any(|name| row[*name].as_text().is_some_and(|value| value.to_lowercase().contains(&text)))
        });
        Ok(rows)
    }

    fn distinct(&self, field: &str, filter: &Filter) -> Result<Vec<Value>, ErrorKind> {
        let mut segments = field.split('.');
        let name = segments.next().unwrap();
        let below: Vec<&str> = segments.collect();
        let mut values: Vec<Value> = Vec::new();
        for row in self.passing(filter, false)? {
            let value = below
                .iter()
                .fold(self.rows[row][name].clone(), |value, key| crate::filters::member(&value, key));
            for item in if matches!(value, Value::Array(_)) { list(value) } else { vec![value] } {
                if !item.is_null() && !values.iter().any(|known| known.same_as(&item)) {
                    values.push(item);
                }
            }
        }
        values.sort_by(ordered);
        Ok(values)
    }

    /// The rows that pass a filter and what every read implies.
    pub(self) fn passing(&self, filter: &Filter, deleted_too: bool) -> Result<Vec<usize>, ErrorKind> {
        self.check(filter)?;
        let deleted_too = deleted_too || filter.mentions(DELETED_AT);
        let passes = |row: &usize| {
            (deleted_too || !self.is_deleted(*row)) && filter::passes(&self.schema, &self.rows[*row], filter)
        };
        Ok((0..self.rows.len()).filter(passes).collect())
    }

    fn check(&self, filter: &Filter) -> Result<(), ErrorKind> {
        match filter {
            Filter::All(parts) | Filter::Any(parts) => parts.iter().try_for_each(|part| self.check(part)),
            Filter::Field(path, _) if self.schema.column(&path.field).is_none() => Err(ErrorKind::Filter),
            Filter::Field(..) => Ok(()),
        }
    }

    fn living(&self, id: &Value) -> Option<usize> {
        (0..self.rows.len()).find(|row| self.rows[*row][ID] == *id && !self.is_deleted(*row))
    }

    fn is_deleted(&self, row: usize) -> bool {
        self.rows[row].get(DELETED_AT).is_some_and(|moment| !moment.is_null())
    }

    /// Whether two rows that are not deleted have the same unique value.
    fn has_duplicates(&self) -> bool {
        let unique = self.schema.fields.iter().filter(|(_, field)| field.unique);
        unique.into_iter().any(|(name, _)| {
            let living = (0..self.rows.len()).filter(|row| !self.is_deleted(*row));
            let values: Vec<&Value> =
                living.map(|row| &self.rows[row][name]).filter(|value| !value.is_null()).collect();
            values.iter().enumerate().any(|(i, value)| values[..i].contains(value))
        })
    }

    /// The value in the one form that a field keeps.
    fn normal(&self, name: &str, value: Value) -> Value {
        let field = &self.schema.fields[name];
        match (field.field_type, value) {
            (FieldType::Number, value) => value.as_f64().map_or(Value::Null, Value::Float),
            (FieldType::Date, Value::Text(text)) => Value::Timestamp(Timestamp::parse_iso(&text).unwrap()),
            (FieldType::String, Value::Text(text)) if field.lowercase => {
                Value::Text(text.trim().to_lowercase())
            }
            (_, value) => value,
        }
    }
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}
