//! Keys of a source that begin with a text of its own at the target, so that those of several sources do not meet.

use data::schema::Discriminator;
use data::table::{ColumnType, Table, TableColumn, coerce};
use data::{Error, ErrorKind, Result, Value};

use super::{KeyPrefix, Mapping};

impl KeyPrefix {
    /// # Errors
    /// [`ErrorKind::Schema`] if the column cannot hold text.
    pub(super) fn new(text: &str, target: &Table) -> Result<Self> {
        let first = target.key.first().and_then(|position| Some((*position, target.columns.get(*position)?)));
        let Some((position, column)) = first else {
            return Err(Error::new(
                ErrorKind::NoPrimaryKey,
                format!("table \"{}\" has no primary key", target.name),
            ));
        };
        if !matches!(column.column_type, ColumnType::Text(_) | ColumnType::Any | ColumnType::Native(_)) {
            let message = format!(
                "keyPrefix makes keys texts, but column \"{}\" of table \"{}\" at the target is of another type",
                column.name, target.name
            );
            return Err(Error::new(ErrorKind::Schema, message));
        }
        Ok(Self { text: text.to_owned(), position })
    }

    /// Gives the first column of the key of a table that is to be made a type that holds such keys.
    pub(super) fn widen(text: &str, table: &mut Table, target_is_schemaless: bool) {
        let first: Option<&mut TableColumn> =
            table.key.first().copied().and_then(|position| table.columns.get_mut(position));
        let Some(column) = first else { return };
        let longer = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        column.column_type = match column.column_type {
            _ if target_is_schemaless => ColumnType::Any,
            ColumnType::Text(Some(length)) => ColumnType::Text(Some(length.saturating_add(longer))),
            _ => ColumnType::Text(None),
        };
    }
}

impl Mapping {
    /// The value for a column of the target, with what keys begin with there.
    pub(super) fn prefixed(&self, column: usize, value: Value) -> Result<Value> {
        match &self.key_prefix {
            Some(prefix) if prefix.position == column && !value.is_null() => {
                let text = coerce(value, &ColumnType::Text(None), &self.limits)?.value;
                let text = text.as_text().ok_or_else(|| {
                    Error::new(ErrorKind::Value, "keyPrefix is for keys that can be told as text")
                })?;
                Ok(Value::from(format!("{}{text}", prefix.text)))
            }
            _ => Ok(value),
        }
    }

    /// The first value of a key of the target as it was before; `None` if it comes from another source.
    pub(super) fn without_prefix(&self, value: &Value) -> Option<Value> {
        let Some(prefix) = &self.key_prefix else { return Some(value.clone()) };
        value.as_text()?.strip_prefix(&prefix.text).map(Value::from)
    }

    /// Whether a key of the target may be one of this source.
    pub(crate) fn is_own_key(&self, target_key: &[Value]) -> bool {
        target_key.first().is_some_and(|first| self.without_prefix(first).is_some())
    }

    /// What the keys of this source begin with at the target, and in which column.
    pub(crate) fn beginning_of_keys(&self) -> Option<Discriminator> {
        let prefix = self.key_prefix.as_ref()?;
        let column = self.target.columns.get(prefix.position)?.name.clone();
        Some(Discriminator { column, value: prefix.text.clone() })
    }
}
