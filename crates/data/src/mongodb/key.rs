//! Where the primary key of a table lives in a document.
//!
//! A key of the single column `id` (or `_id`) is the document's `_id` and nothing else. Any other single key column
//! is the `_id` and a field as well; several are an `_id` document of those columns in order, and fields as well. A
//! A document with another `_id` is none of the table's rows; its `_id` is then the first part of its key, and the others are NULL. A
//! single key of 24 lower-case hexadecimal digits came from MongoDB and goes back as that object id, unless a document
//! with the text itself as its `_id` exists; looking it up finds either.

use mongodb::bson::spec::ElementType;

use super::bson::Writer;
use super::fields::KEY;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::ID;
use crate::table::{ColumnType, Table};
use crate::value::{ObjectId, Value, json_text};

/// How the rows of a table are laid out in documents.
pub(super) struct Layout<'a> {
    table: &'a Table,
    /// The position of the column that is the `_id` alone.
    only_key: Option<usize>,
}

impl<'a> Layout<'a> {
    /// # Errors
    /// [`ErrorKind::NoPrimaryKey`], or [`ErrorKind::Schema`] for a column whose name no document can hold.
    pub(super) fn of(table: &'a Table) -> Result<Self> {
        table.require_key()?;
        let only_key = match table.key.as_slice() {
            [single] => table
                .columns
                .get(*single)
                .filter(|column| column.name == ID || column.name == KEY)
                .map(|_| *single),
            _ => None,
        };
        for (position, column) in table.columns.iter().enumerate() {
            if column.column_type == ColumnType::Rest {
                continue;
            }
            let name = &column.name;
            let taken = name == KEY && only_key != Some(position);
            if taken || name.is_empty() || name.starts_with('$') || name.contains('\0') {
                let message =
                    format!("table \"{}\": no field of a MongoDB document can be named {name:?}", table.name);
                return Err(Error::new(ErrorKind::Schema, message));
            }
        }
        Ok(Self { table, only_key })
    }

    /// The position of the column that is stored as `_id` and not as a field.
    pub(super) fn only_key(&self) -> Option<usize> {
        self.only_key
    }

    /// Writes the document of a row: its `_id`, then every field that has a value. `text_key` keeps a key of 24
    /// hexadecimal digits as text.
    ///
    /// # Errors
    /// [`ErrorKind::Value`] naming the column, for a value without an equivalent in BSON.
    pub(super) fn write_row(&self, writer: &mut Writer, row: &[Value], text_key: bool) -> Result<()> {
        match self.table.key.as_slice() {
            [single] => {
                self.write_single_key(writer, KEY, row.get(*single).unwrap_or(&Value::Null), text_key)?
            }
            several => {
                let values = several.iter().map(|position| row.get(*position).unwrap_or(&Value::Null));
                self.write_composite_key(writer, KEY, values)?;
            }
        }
        for (position, (column, value)) in self.table.columns.iter().zip(row).enumerate() {
            if value.is_null() || self.only_key == Some(position) {
                continue;
            }
            let written = match (&column.column_type, value) {
                (ColumnType::Rest, Value::Object(fields)) => writer.elements(fields),
                _ => writer.element(&column.name, value),
            };
            written.map_err(|error| error.in_context(format!("column \"{}\"", column.name)))?;
        }
        Ok(())
    }

    /// Writes a key, given in the order of the table's key, as an element.
    ///
    /// # Errors
    /// [`ErrorKind::Value`].
    pub(super) fn write_key(
        &self,
        writer: &mut Writer,
        name: &str,
        key: &[Value],
        text_key: bool,
    ) -> Result<()> {
        match key {
            [foreign, others @ ..] if !others.is_empty() && others.iter().all(Value::is_null) => {
                writer.element(name, foreign)
            }
            [single] => self.write_single_key(writer, name, single, text_key),
            several => self.write_composite_key(writer, name, several.iter()),
        }
    }

    fn write_single_key(&self, writer: &mut Writer, name: &str, value: &Value, text_key: bool) -> Result<()> {
        if value.is_null() {
            return Err(Error::new(
                ErrorKind::NotNullViolation,
                format!("table \"{}\": the key has no value", self.table.name),
            ));
        }
        match object_id_of(value).filter(|_| !text_key) {
            Some(id) => writer.element(name, &Value::ObjectId(id)),
            None => writer.element(name, value),
        }
    }

    fn write_composite_key<'v>(
        &self,
        writer: &mut Writer,
        name: &str,
        values: impl Iterator<Item = &'v Value>,
    ) -> Result<()> {
        let opened = writer.open_element(ElementType::EmbeddedDocument, name)?;
        for (position, value) in self.table.key.iter().zip(values) {
            let column = self.table.columns.get(*position).map_or("", |column| column.name.as_str());
            writer.element(column, value)?;
        }
        writer.close(opened);
        Ok(())
    }
}

/// The object id that a key of 24 hexadecimal digits stands for.
pub(super) fn object_id_of(value: &Value) -> Option<ObjectId> {
    value.as_text().and_then(ObjectId::parse)
}

/// A key for a message.
pub(super) fn describe_key(key: &[Value]) -> String {
    format!("key {}", key.iter().map(json_text).collect::<Vec<_>>().join(", "))
}
