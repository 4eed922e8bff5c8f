//! Rows of the stream as rows of the table.

use wire::replication::pgoutput::{Delete, Insert, OldTuple, Tuple, TupleValue, Update};

use super::logged_table::LoggedTable;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Operation, Unchanged};
use crate::postgres::decode::{decode, decode_list_key, is_list_key};
use crate::postgres::text::{decode_column_text, decode_list_key_text};
use crate::table::{Row, Table};
use crate::value::Value;

/// A value as the stream sends it; `None` where it leaves it out.
fn value(table: &Table, position: usize, value: TupleValue<'_>) -> Result<Option<Value>> {
    let column_type = &table.columns.get(position).ok_or_else(malformed)?.column_type;
    let is_list_key = is_list_key(table, position);
    match value {
        TupleValue::Null => Ok(Some(Value::Null)),
        TupleValue::Unchanged => Ok(None),
        TupleValue::Binary(field) if is_list_key => decode_list_key(column_type, field).map(Some),
        TupleValue::Binary(field) => decode(column_type, field).map(Some),
        TupleValue::Text(field) => {
            let text = std::str::from_utf8(field).map_err(|_| malformed())?;
            match is_list_key {
                true => decode_list_key_text(column_type, text).map(Some),
                false => decode_column_text(column_type, text).map(Some),
            }
        }
    }
}

fn malformed() -> Error {
    Error::new(ErrorKind::Internal, "the server sent a value in a form unknown to us")
}

impl LoggedTable {
    pub(super) fn insert(&self, insert: &Insert) -> Result<Operation> {
        Ok(Operation::Insert { row: self.row(&insert.new, None)?.0 })
    }

    pub(super) fn update(&self, update: &Update) -> Result<Operation> {
        let old = update.old.as_ref();
        let (row, unchanged) = self.row(&update.new, old.map(OldTuple::tuple))?;
        let old_key = match old {
            Some(old) => Some(self.key(old)?).filter(|key| *key != self.table.key_of(&row)),
            None => None,
        };
        Ok(Operation::Update { old_key, row, unchanged })
    }

    pub(super) fn delete(&self, delete: &Delete) -> Result<Operation> {
        Ok(Operation::Delete { key: self.key(&delete.old)? })
    }

    /// A row, and which of its values are missing. A value that was stored out of line and has not changed is taken from
    /// the old row where that has it: under the full identity all are there, else those of the key. Where the old row
    /// has NULL it does not tell the value, since only values that are not NULL are stored out of line.
    fn row(&self, new: &Tuple, old: Option<&Tuple>) -> Result<(Row, Unchanged)> {
        let mut row = Vec::with_capacity(self.table.columns.len());
        let mut unchanged = Vec::new();
        for (position, place) in self.places.iter().enumerate().take(self.table.columns.len()) {
            let Some(place) = *place else {
                // It is computed later.
                row.push(Value::Null);
                continue;
            };
            let sent = new.get(place).ok_or_else(malformed)?;
            let known = match value(&self.table, position, sent)? {
                Some(known) => Some(known),
                None => match old.and_then(|old| old.get(place)) {
                    None | Some(TupleValue::Null) => None,
                    Some(before) => value(&self.table, position, before)?,
                },
            };
            if known.is_none() {
                unchanged.push(position);
            }
            row.push(known.unwrap_or_default());
        }
        Ok((row, Unchanged::columns(unchanged)))
    }

    /// The primary key of an old row.
    fn key(&self, old: &OldTuple) -> Result<Vec<Value>> {
        let mut key = Vec::with_capacity(self.table.key.len());
        for position in &self.table.key {
            let column = self.table.columns.get(*position);
            let place = self.places.get(*position).copied().flatten();
            let sent = place.and_then(|place| old.tuple().get(place));
            let (Some(column), Some(sent)) = (column, sent) else {
                key.push(Value::Null);
                continue;
            };
            // No column of a primary key is NULL, so that one is where the log has not told it.
            let is_untold = matches!(old, OldTuple::Key(_)) && sent == TupleValue::Null && !column.nullable;
            match value(&self.table, *position, sent)? {
                Some(value) if !is_untold => key.push(value),
                _ => return Err(self.untold_key()),
            }
        }
        if key.is_empty() { Err(self.untold_key()) } else { Ok(key) }
    }

    fn untold_key(&self) -> Error {
        Error::new(
            ErrorKind::Capture,
            format!(
                "the log does not tell the primary key of a row of table \"{0}\" that was updated or deleted; run ALTER \
                 TABLE {0} REPLICA IDENTITY DEFAULT, and synchronise anew",
                self.table.name
            ),
        )
    }
}
