//! Tables as the database itself knows them, with or without a registered entity: the layer replication works on.

mod coerce;
mod column_change;
mod column_type;
mod overlay;
mod packed;
mod packing;
mod store;
mod stored_form;
mod stream;
mod transaction;

pub use coerce::{Coerced, Limits, Loss, coerce, json_loss};
pub use column_change::ColumnChange;
pub use column_type::ColumnType;
pub use overlay::{declared_value, overlay_schema};
pub use packed::PackedRows;
pub(crate) use packed::{Cell, PackedValue, Place};
pub use packing::Packing;
pub(crate) use packing::{Field, Form, MomentForm};
pub use store::{ChangedSince, KeyRange, ReadSnapshot, Row, RowBatch, ScanOptions, TableStore};
pub use stored_form::{IntervalPart, StoredForm};
pub use stream::{BatchSender, BatchStream, spawn_scan};
pub use transaction::{RowPatch, TableTransaction};

use crate::error::{Error, ErrorKind, Result};
use crate::value::Value;

/// The prefix of the tables that this library keeps for itself; they are never replicated.
pub const OWN_TABLE_PREFIX: &str = "replicaverse_";

/// A table or collection, as its database's catalogue describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name, with the schema before a dot where it lies outside the connection's own.
    pub name: String,
    /// The columns, in the order of every [`Row`].
    pub columns: Vec<TableColumn>,
    /// Positions in `columns` of the primary key; empty where there is none.
    pub key: Vec<usize>,
    /// The tables that its foreign keys point to.
    pub references: Vec<String>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub column_type: ColumnType,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// Whether the database computes it, so that it cannot be written.
    pub generated: bool,
}

impl Table {
    /// The position of a column.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The position of the column that holds what no other one does, if there is one.
    pub fn rest(&self) -> Option<usize> {
        self.columns.iter().position(|column| column.column_type == ColumnType::Rest)
    }

    /// The table with a column of this name for what no other one holds; another column of that name gives way.
    #[must_use]
    pub fn with_rest(mut self, name: &str) -> Self {
        self.retain_columns(|column| {
            column.column_type != ColumnType::Rest && !column.name.eq_ignore_ascii_case(name)
        });
        self.columns.push(TableColumn {
            name: name.to_owned(),
            column_type: ColumnType::Rest,
            nullable: true,
            generated: false,
        });
        self
    }

    /// Leaves out columns; those of the primary key stay.
    pub fn retain_columns(&mut self, keep: impl Fn(&TableColumn) -> bool) {
        let mut kept = Vec::with_capacity(self.columns.len());
        let mut moved = vec![None; self.columns.len()];
        for (position, column) in std::mem::take(&mut self.columns).into_iter().enumerate() {
            if self.key.contains(&position) || keep(&column) {
                if let Some(moved) = moved.get_mut(position) {
                    *moved = Some(kept.len());
                }
                kept.push(column);
            }
        }
        self.columns = kept;
        self.key = self.key.iter().filter_map(|position| moved.get(*position).copied().flatten()).collect();
    }

    /// The values of the primary key of a row.
    pub fn key_of(&self, row: &[Value]) -> Vec<Value> {
        self.key.iter().map(|position| row.get(*position).cloned().unwrap_or_default()).collect()
    }

    /// Fails if there is no primary key.
    ///
    /// # Errors
    /// [`ErrorKind::NoPrimaryKey`] with what to do.
    pub fn require_key(&self) -> Result<()> {
        if !self.key.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::NoPrimaryKey,
            format!("table \"{}\" has no primary key; add one, as rows could not be told apart", self.name),
        ))
    }
}
