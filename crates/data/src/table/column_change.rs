//! Changes of a table's columns that follow those of its source.

use super::ColumnType;

/// One change of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnChange {
    /// A column is new. It takes NULL, as rows are there already.
    Add {
        /// Its name.
        name: String,
        /// What it holds.
        column_type: ColumnType,
    },
    /// A column is gone.
    Drop {
        /// Its name.
        name: String,
    },
    /// A column has another name.
    Rename {
        /// The old name.
        from: String,
        /// The new one.
        to: String,
    },
    /// A column holds another type; its values are converted.
    Retype {
        /// Its name.
        name: String,
        /// What it holds now.
        column_type: ColumnType,
    },
}
