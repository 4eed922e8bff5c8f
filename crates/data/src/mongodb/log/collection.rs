//! Changes of documents as changes of the rows of their collection.

use std::sync::Arc;

use mongodb::bson::{RawBsonRef, RawDocument};

use crate::error::Result;
use crate::log::{Change, Operation, Unchanged};
use crate::mongodb::bson::value_of;
use crate::mongodb::error::malformed;
use crate::mongodb::fields::KEY;
use crate::mongodb::scan::{Decoder, Unknown};
use crate::table::{Row, Table};
use crate::value::Value;

/// A collection that is read from the log.
pub(super) struct LoggedCollection {
    table: Arc<Table>,
    decoder: Decoder,
}

/// What an update tells of its row.
pub(super) enum Told {
    /// New values of whole columns.
    Columns(Operation),
    /// Parts of values, of which only the document tells the whole.
    Parts,
}

impl LoggedCollection {
    /// Fields that the table has no column for are left out, unless it has one for the rest.
    pub(super) fn new(table: &Arc<Table>) -> Result<Self> {
        Ok(Self { table: Arc::clone(table), decoder: Decoder::new(table, Unknown::Ignore)? })
    }

    pub(super) fn table(&self) -> &Arc<Table> {
        &self.table
    }

    pub(super) fn change(&self, operation: Operation) -> Change {
        Change { table: Arc::clone(&self.table), operation }
    }

    pub(super) fn insert(&self, document: &RawDocument) -> Result<Operation> {
        Ok(Operation::Insert { row: self.row(document)? })
    }

    /// The document as it is now, all of it.
    pub(super) fn replace(&self, document: &RawDocument) -> Result<Operation> {
        Ok(Operation::Update { old_key: None, row: self.row(document)?, unchanged: Unchanged::default() })
    }

    pub(super) fn delete(&self, key: &RawDocument) -> Result<Operation> {
        let mut own = self.decoder.key_row(key)?;
        if let ([key_value], Some(id)) = (own.as_mut_slice(), self.whole_id(key)?) {
            *key_value = id;
        }
        Ok(Operation::Delete { key: own })
    }

    /// What the description of an update tells. A field below another one, or an array that was cut, is a part of a value;
    /// and of the fields without a column only the document tells the whole.
    pub(super) fn update(&self, key: &RawDocument, description: &RawDocument) -> Result<Told> {
        let mut row = vec![Value::Null; self.table.columns.len()];
        let mut told = vec![false; row.len()];
        if let Ok(cut) = description.get_array("truncatedArrays")
            && !cut.is_empty()
        {
            return Ok(Told::Parts);
        }
        if let Ok(updated) = description.get_document("updatedFields") {
            for entry in updated {
                let (name, element) = entry.map_err(malformed)?;
                match self.place(name.as_str()) {
                    Place::Column(position) => {
                        self.decoder.put(&mut row, position, element)?;
                        mark(&mut told, position);
                    }
                    Place::Nowhere => {}
                    Place::Part => return Ok(Told::Parts),
                }
            }
        }
        if let Ok(removed) = description.get_array("removedFields") {
            for name in removed {
                match self
                    .place(name.map_err(malformed)?.as_str().ok_or_else(|| malformed("a name of a field"))?)
                {
                    Place::Column(position) => mark(&mut told, position),
                    Place::Nowhere => {}
                    Place::Part => return Ok(Told::Parts),
                }
            }
        }
        let own_key = self.key_positions(key, &mut row)?;
        for position in own_key {
            mark(&mut told, position);
        }
        let unchanged = told.iter().enumerate().filter(|(_, told)| !**told).map(|(position, _)| position);
        let unchanged = Unchanged::columns(unchanged.collect());
        Ok(Told::Columns(Operation::Update { old_key: None, row, unchanged }))
    }

    fn row(&self, document: &RawDocument) -> Result<Row> {
        let mut row = self.decoder.row(document)?;
        if let (Some(position), Some(id)) = (self.decoder.only_key(), self.whole_id(document)?)
            && let Some(slot) = row.get_mut(position)
        {
            *slot = id;
        }
        Ok(row)
    }

    /// Puts the key into a row; the positions of its columns.
    fn key_positions(&self, key: &RawDocument, row: &mut Row) -> Result<Vec<usize>> {
        let Operation::Delete { key } = self.delete(key)? else { return Ok(Vec::new()) };
        for (position, value) in self.table.key.iter().zip(key) {
            if let Some(slot) = row.get_mut(*position) {
                *slot = value;
            }
        }
        Ok(self.table.key.clone())
    }

    /// The key with its own type, by which the parts of a collection are told apart.
    fn whole_id(&self, document: &RawDocument) -> Result<Option<Value>> {
        if self.decoder.only_key().is_none() {
            return Ok(None);
        }
        document.get(KEY).map_err(malformed)?.map(value_of).transpose()
    }

    fn place(&self, path: &str) -> Place {
        if path.contains('.') {
            return Place::Part;
        }
        match self.decoder.position(path) {
            Some(position) => Place::Column(position),
            None if self.decoder.has_rest() => Place::Part,
            None => Place::Nowhere,
        }
    }
}

/// Where the value of a path goes.
enum Place {
    Column(usize),
    /// It is a part of what a column holds.
    Part,
    Nowhere,
}

fn mark(told: &mut [bool], position: usize) {
    if let Some(told) = told.get_mut(position) {
        *told = true;
    }
}

/// The `_id` of a document, by its bytes.
pub(super) fn id_bytes(document: &RawDocument) -> Result<Vec<u8>> {
    let id = document.get(KEY).map_err(malformed)?.unwrap_or(RawBsonRef::Null);
    let mut alone = mongodb::bson::RawDocumentBuf::new();
    alone.append(mongodb::bson::cstr!("v"), id);
    Ok(alone.into_bytes())
}
