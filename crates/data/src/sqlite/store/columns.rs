//! Columns of a SQLite table in statements.

use crate::sql::double_quoted as quote;
use crate::table::{ColumnType, Table, TableColumn};

/// The declared type of a column that is made like one of another database. Values of any type keep their own
/// storage class only in a column without a type.
pub(super) fn declared_type(column_type: &ColumnType) -> &'static str {
    match column_type {
        ColumnType::Bool | ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => "INTEGER",
        ColumnType::Float32 | ColumnType::Float64 => "REAL",
        ColumnType::Bytes => "BLOB",
        ColumnType::Any => "",
        _ => "TEXT",
    }
}

/// The columns of a SELECT.
pub(super) fn selected<'a>(columns: impl IntoIterator<Item = &'a TableColumn>) -> String {
    columns.into_iter().map(|column| quote(&column.name)).collect::<Vec<_>>().join(", ")
}

/// The condition that the key is one of so many.
pub(super) fn key_condition(table: &Table, keys: usize) -> String {
    let names: Vec<_> = table
        .key
        .iter()
        .filter_map(|position| table.columns.get(*position))
        .map(|column| quote(&column.name))
        .collect();
    if let [name] = names.as_slice() {
        return format!("{name} IN ({})", placeholders(keys));
    }
    let tuple = format!("({})", placeholders(names.len()));
    format!("({}) IN (VALUES {})", names.join(", "), vec![tuple; keys].join(", "))
}

/// `?, ?, …`
pub(super) fn placeholders(count: usize) -> String {
    vec!["?"; count].join(", ")
}
