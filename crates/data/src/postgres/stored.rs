//! The types a table is stored in, where its entity declares others.

use super::catalog::quoted;
use super::types::selected;
use crate::table::{ColumnType, Row, Table, declared_value};

/// A table as it is read, and what its values are to become: an entity may declare a date over text, or a boolean over
/// an integer.
#[derive(Debug)]
pub(super) struct StoredTypes {
    table: Table,
    /// The columns whose declared type is another than the stored one.
    declared: Vec<(usize, ColumnType)>,
}

impl StoredTypes {
    /// The stored types of the columns of `declared`; a column that the catalogue does not have keeps its own.
    pub(super) fn of(catalogued: &Table, declared: &Table) -> Self {
        let mut table = declared.clone();
        let mut differing = Vec::new();
        for (position, column) in table.columns.iter_mut().enumerate() {
            let stored = catalogued.columns.iter().find(|stored| stored.name == column.name);
            if let Some(stored) = stored.filter(|stored| stored.column_type != column.column_type) {
                differing
                    .push((position, std::mem::replace(&mut column.column_type, stored.column_type.clone())));
            }
        }
        Self { table, declared: differing }
    }

    /// The table with the types its tuples are decoded by.
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// Whether the declared types are the stored ones.
    pub(super) fn are_declared(&self) -> bool {
        self.declared.is_empty()
    }

    /// What to select so that the tuples can be decoded.
    pub(super) fn selection(&self) -> String {
        let columns = self.table.columns.iter();
        columns
            .map(|column| selected(&quoted(&column.name), &column.column_type))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Brings rows into the declared types. A value that does not fit stays as it is: whoever coerces it later reports
    /// the row.
    pub(super) fn declare(&self, mut rows: Vec<Row>) -> Vec<Row> {
        for row in &mut rows {
            for (position, column_type) in &self.declared {
                if let Some(value) = row.get_mut(*position) {
                    *value = declared_value(std::mem::take(value), column_type);
                }
            }
        }
        rows
    }
}
