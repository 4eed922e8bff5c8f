//! How the values of a table stand in the change table: its columns at the time when its triggers were made.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::catalog;
use super::unique::Unique;
use crate::error::{Error, ErrorKind, Result};
use crate::table::{Table, TableColumn};

/// The columns that a set of triggers records, and by what constraints rows of the table replace each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    pub(super) columns: Vec<LayoutColumn>,
    /// Positions in `columns` of the primary key, in its order.
    pub(super) key: Vec<usize>,
    pub(super) unique: Vec<Unique>,
}

/// A column, as the catalogue described it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LayoutColumn {
    pub(super) name: String,
    declared: String,
    nullable: bool,
    generated: bool,
    /// Whether the table has lost it since. What was recorded after that holds NULL for it.
    #[serde(default)]
    pub(super) is_gone: bool,
}

impl Layout {
    /// The layout of a table with columns of these declared types.
    pub(super) fn new(table: &Table, declared: Vec<String>, unique: Vec<Unique>) -> Self {
        let columns = table.columns.iter().zip(declared).map(|(column, declared)| LayoutColumn {
            name: column.name.clone(),
            declared,
            nullable: column.nullable,
            generated: column.generated,
            is_gone: false,
        });
        Self { columns: columns.collect(), key: table.key.clone(), unique }
    }

    /// Whether the columns and the key are the same; rows may replace each other by other constraints.
    pub(super) fn has_columns_of(&self, other: &Self) -> bool {
        self.columns == other.columns && self.key == other.key
    }

    /// How many values a change has: those of the key, and behind them those of the row.
    pub(super) fn width(&self) -> usize {
        self.key.len() + self.columns.len()
    }

    /// The names of the key's columns.
    pub(super) fn key_names(&self) -> impl Iterator<Item = &str> {
        self.key.iter().filter_map(|position| self.columns.get(*position)).map(|column| column.name.as_str())
    }

    /// The table that changes of this layout have: the one that the reader knows, as long as the columns are the same.
    pub(super) fn table(&self, known: &Arc<Table>) -> Arc<Table> {
        let kept: Vec<&LayoutColumn> = self.columns.iter().filter(|column| !column.is_gone).collect();
        let names = kept.iter().map(|column| &column.name);
        if names.eq(known.columns.iter().map(|column| &column.name)) {
            return Arc::clone(known);
        }
        let columns: Vec<TableColumn> = kept
            .iter()
            .map(|column| {
                // What the reader knows of a column may come from an entity, and be more than its declared type says.
                let described = known.columns.iter().find(|described| described.name == column.name);
                described.cloned().unwrap_or_else(|| TableColumn {
                    name: column.name.clone(),
                    column_type: catalog::column_type(&column.declared),
                    nullable: column.nullable,
                    generated: column.generated,
                })
            })
            .collect();
        let key = self.key_names().filter_map(|name| columns.iter().position(|column| column.name == name));
        let key = key.collect();
        Arc::new(Table { name: known.name.clone(), columns, key, references: known.references.clone() })
    }

    /// As it is stored.
    pub(super) fn to_text(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::new(ErrorKind::Internal, "a layout cannot be stored").with_source(error))
    }

    /// From what was stored.
    pub(super) fn from_text(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            let message =
                "a layout of the change table cannot be read; another version of this library wrote it";
            Error::new(ErrorKind::LogLost, message).with_source(error)
        })
    }
}
