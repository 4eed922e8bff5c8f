//! What a read of many rows gives: the rows under shared columns where all have the same, else records.

use crate::record::Record;
use crate::value::Value;

/// The rows of a read.
#[derive(Debug, Clone, PartialEq)]
pub enum Rows {
    /// Every row has the same columns.
    Uniform(RowSet),
    /// Rows may have any fields.
    Records(Vec<Record>),
}

/// Rows that have the same columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowSet {
    /// The names of the columns, each once.
    pub columns: Vec<String>,
    /// The rows, their values in the order of the columns.
    pub rows: Vec<Vec<Value>>,
}

impl RowSet {
    /// Each row with the names of its columns.
    pub fn into_records(self) -> Vec<Record> {
        let Self { columns, rows } = self;
        rows.into_iter().map(|row| columns.iter().cloned().zip(row).collect()).collect()
    }
}
