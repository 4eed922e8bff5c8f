//! Documents on their way to whoever wants the rows of an entity: as rows of shared columns while they have the same
//! fields, which most do, else as records.

use mongodb::bson::{RawBsonRef, RawDocument};

use super::bson::value_of;
use super::error::malformed;
use super::fields::KEY;
use super::plain_json::plain_json;
use super::record::{is_hidden, record, shown, shown_id};
use crate::error::Result;
use crate::filter::FindOptions;
use crate::rows::{Cell, RowSink};
use crate::schema::{EntitySchema, ID, RelationKind};
use crate::value::Timestamp;

/// Documents whose fields change more often are told as records.
const MOST_CHANGES: usize = 8;

/// Takes documents and hands them on as rows.
pub(super) struct DocumentRows<'a> {
    schema: &'a EntitySchema,
    options: &'a FindOptions,
    rows: &'a mut dyn RowSink,
    columns: Vec<Column>,
    changes: usize,
    /// The JSON of an embedded document.
    json: Vec<u8>,
}

struct Column {
    name: String,
    /// What a document without the field shows; without that, it has other columns.
    missing: Option<Cell<'static>>,
}

impl<'a> DocumentRows<'a> {
    pub(super) fn new(schema: &'a EntitySchema, options: &'a FindOptions, rows: &'a mut dyn RowSink) -> Self {
        Self { schema, options, rows, columns: Vec::new(), changes: 0, json: Vec::new() }
    }

    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the bytes are no BSON, or what the rows' taker says.
    pub(super) fn take(&mut self, document: &RawDocument) -> Result<()> {
        if let Some(cells) = self.placed(document)? {
            return self.row(cells);
        }
        if self.changes < MOST_CHANGES {
            self.changes += 1;
            self.reshape(document)?;
            if let Some(cells) = self.placed(document)? {
                return self.row(cells);
            }
        }
        self.rows.record(record(self.schema, document, self.options)?)
    }

    /// The elements of a document in the order of the columns; `None` if it has others.
    fn placed<'d>(&self, document: &'d RawDocument) -> Result<Option<Vec<Option<RawBsonRef<'d>>>>> {
        if self.columns.is_empty() {
            return Ok(None);
        }
        let mut cells = vec![None; self.columns.len()];
        // Fields mostly come in the same order.
        let mut next = 0;
        for entry in document {
            let (name, element) = entry.map_err(malformed)?;
            let Some(name) = shown_name(self.schema, name.as_str()) else { continue };
            let is_named = |column: &Column| column.name == name;
            let at = match self.columns.get(next) {
                Some(column) if is_named(column) => Some(next),
                _ => self.columns.iter().position(is_named),
            };
            let Some((at, cell)) = at.and_then(|at| Some((at, cells.get_mut(at)?))) else { return Ok(None) };
            *cell = Some(element);
            next = at + 1;
        }
        let is_whole =
            cells.iter().zip(&self.columns).all(|(cell, column)| cell.is_some() || column.missing.is_some());
        Ok(is_whole.then_some(cells))
    }

    /// Takes the fields of a document, and those that every row of the entity has, for the columns.
    fn reshape(&mut self, document: &RawDocument) -> Result<()> {
        let record = record(self.schema, document, self.options)?;
        self.columns = record.into_iter().map(|(name, _)| self.column(name)).collect();
        self.rows.columns(&self.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>())
    }

    fn column(&self, name: String) -> Column {
        let is_list = self
            .schema
            .relations
            .get(&name)
            .is_some_and(|relation| relation.kind == RelationKind::ManyToMany);
        let missing = match self.schema.column(&name) {
            _ if !self.options.returns(&name) => None,
            Some(_) => Some(Cell::Null),
            None => is_list.then_some(Cell::Json("[]")),
        };
        Column { name, missing }
    }

    fn row(&mut self, cells: Vec<Option<RawBsonRef<'_>>>) -> Result<()> {
        for (cell, column) in cells.into_iter().zip(&self.columns) {
            match cell {
                None => self.rows.cell(column.missing.unwrap_or(Cell::Null)),
                Some(element) if column.name == ID => hand_on_id(element, self.rows)?,
                Some(element) => hand_on(element, &mut self.json, self.rows)?,
            }
        }
        self.rows.end_row()
    }
}

/// The name under which a field is shown, if it is.
fn shown_name<'n>(schema: &EntitySchema, name: &'n str) -> Option<&'n str> {
    match name {
        KEY => Some(ID),
        name => (!is_hidden(schema, name)).then_some(name),
    }
}

fn hand_on(element: RawBsonRef<'_>, json: &mut Vec<u8>, rows: &mut dyn RowSink) -> Result<()> {
    rows.cell(match element {
        RawBsonRef::Null => Cell::Null,
        RawBsonRef::Boolean(flag) => Cell::Bool(flag),
        RawBsonRef::Int32(number) => Cell::Integer(number.into()),
        RawBsonRef::Int64(number) => Cell::Integer(number),
        RawBsonRef::Double(number) => Cell::Float(number),
        RawBsonRef::String(text) => Cell::Text(text),
        RawBsonRef::DateTime(moment) => Cell::Timestamp(Timestamp::from_millis(moment.timestamp_millis())),
        element => match plain_json(element, json) {
            Some(text) => Cell::Json(text),
            None => {
                rows.cell(Cell::from(&shown(value_of(element)?)));
                return Ok(());
            }
        },
    });
    Ok(())
}

fn hand_on_id(id: RawBsonRef<'_>, rows: &mut dyn RowSink) -> Result<()> {
    match id {
        RawBsonRef::String(text) => rows.cell(Cell::Text(text)),
        id => rows.cell(Cell::from(&shown_id(value_of(id)?))),
    }
    Ok(())
}
