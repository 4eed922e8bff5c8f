//! What SQLite's catalogue says of tables.

use sqlx::sqlite::SqliteConnection;

use super::session::fetch_on;
use crate::error::Result;
use crate::schema::FieldType;
use crate::sql::{Fetched, LiveColumns};
use crate::table::{ColumnType, OWN_TABLE_PREFIX, StoredForm, Table, TableColumn};
use crate::value::Value;

/// The columns of a table with the field types nearest to them.
pub(super) async fn live_columns(
    connection: &mut SqliteConnection,
    table: &str,
) -> Result<Option<LiveColumns>> {
    let sql = "SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden <> 1";
    let columns: LiveColumns = texts(fetch_on(connection, sql, &[table.into()]).await?)
        .map(|[name, declared]| (name, field_type(&column_type(&declared))))
        .collect();
    Ok((!columns.is_empty()).then_some(columns))
}

/// The names of the application's tables.
pub(super) async fn list_tables(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    let sql = "SELECT name, '' FROM pragma_table_list WHERE schema = 'main' AND type = 'table'";
    let mut names: Vec<String> = texts(fetch_on(connection, sql, &[]).await?)
        .map(|[name, _]| name)
        .filter(|name| !name.starts_with("sqlite_") && !name.starts_with(OWN_TABLE_PREFIX))
        .collect();
    names.sort();
    Ok(names)
}

/// A table as the catalogue has it.
pub(super) struct Described {
    pub(super) table: Table,
    /// In which form each of its columns keeps its values.
    pub(super) forms: Vec<StoredForm>,
}

/// The description of a table.
pub(super) async fn describe(connection: &mut SqliteConnection, name: &str) -> Result<Option<Table>> {
    Ok(describe_whole(connection, name).await?.map(|described| described.table))
}

/// The description of a table, with what [`Table`] does not say.
pub(super) async fn describe_whole(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<Option<Described>> {
    let sql = "SELECT name, '' FROM pragma_table_list \
               WHERE schema = 'main' AND type IN ('table', 'virtual') AND name = ? COLLATE NOCASE";
    let Some([name, _]) = texts(fetch_on(connection, sql, &[name.into()]).await?).next() else {
        return Ok(None);
    };
    let sql = "SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid";
    let (mut columns, mut forms) = (Vec::new(), Vec::new());
    let mut key: Vec<(i64, usize)> = Vec::new();
    for row in fetch_on(connection, sql, &[name.as_str().into()]).await?.rows {
        let [Value::Text(column), declared, not_null, place, hidden] = row.as_slice() else { continue };
        let place = place.as_integer().unwrap_or(0);
        if place > 0 {
            key.push((place, columns.len()));
        }
        let declared = declared.as_text().unwrap_or("");
        forms.push(stored_form(declared));
        columns.push(TableColumn {
            name: column.clone(),
            column_type: column_type(declared),
            nullable: not_null.as_integer() == Some(0) && place == 0,
            generated: hidden.as_integer() != Some(0),
        });
    }
    key.sort_unstable();
    let sql = "SELECT DISTINCT \"table\", '' FROM pragma_foreign_key_list(?)";
    let mut references: Vec<String> = texts(fetch_on(connection, sql, &[name.as_str().into()]).await?)
        .map(|[table, _]| table)
        .filter(|table| !table.eq_ignore_ascii_case(&name))
        .collect();
    references.sort();
    let key = key.into_iter().map(|(_, position)| position).collect();
    Ok(Some(Described { table: Table { name, columns, key, references }, forms }))
}

fn texts(fetched: Fetched) -> impl Iterator<Item = [String; 2]> {
    fetched.rows.into_iter().filter_map(|row| match <[Value; 2]>::try_from(row) {
        Ok([Value::Text(first), Value::Text(second)]) => Some([first, second]),
        _ => None,
    })
}

/// What a column holds by its declared type. SQLite takes any word there; these are the ones in use.
pub(super) fn column_type(declared: &str) -> ColumnType {
    let declared = declared.to_uppercase();
    let says = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    if declared.is_empty() {
        ColumnType::Any
    } else if says(&["BOOL"]) {
        ColumnType::Bool
    } else if says(&["JSON"]) {
        ColumnType::Json
    } else if says(&["DATETIME", "TIMESTAMP"]) {
        ColumnType::Timestamp { zoned: true }
    } else if says(&["INT"]) && !says(&["INTERVAL"]) {
        ColumnType::Int64
    } else if says(&["REAL", "FLOA", "DOUB"]) {
        ColumnType::Float64
    } else if says(&["BLOB", "BINARY"]) {
        ColumnType::Bytes
    } else if says(&["CHAR", "CLOB", "TEXT"]) {
        ColumnType::Text(None)
    } else if says(&["DATE"]) {
        ColumnType::Date
    } else if says(&["TIME"]) {
        ColumnType::Time
    } else {
        ColumnType::Any
    }
}

/// The form in which a column of this declared type keeps values. Without a type it takes them as they are; a word of which
/// SQLite makes nothing else, such as DECIMAL, gives it numeric affinity.
fn stored_form(declared: &str) -> StoredForm {
    match column_type(declared) {
        ColumnType::Any if declared.is_empty() => StoredForm::StorageClasses,
        ColumnType::Any | ColumnType::Date | ColumnType::Time => StoredForm::NumericAffinity,
        _ => StoredForm::Same,
    }
}

fn field_type(column_type: &ColumnType) -> FieldType {
    match column_type {
        ColumnType::Bool => FieldType::Boolean,
        ColumnType::Int64 | ColumnType::Float64 => FieldType::Number,
        ColumnType::Timestamp { .. } => FieldType::Date,
        ColumnType::Json => FieldType::Json,
        _ => FieldType::Text,
    }
}
