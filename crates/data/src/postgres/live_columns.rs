//! The columns that a table has now, as the dialect needs them.

use wire::{Connection, Param};

use super::types::column_type;
use crate::error::Result;
use crate::schema::FieldType;
use crate::sql::LiveColumns;
use crate::table::ColumnType;

/// The columns of a table of the search path; a domain counts as its base type.
pub(super) async fn live_columns(connection: &mut Connection, table: &str) -> Result<Option<LiveColumns>> {
    let sql = "
        SELECT a.attname, CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = to_regclass(quote_ident($1)) AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum";
    let result = connection.query(sql, &[Param::text(table)]).await?;
    let mut columns = LiveColumns::new();
    for row in result.rows.iter() {
        let name = row.get_str(0)?.unwrap_or_default();
        let oid = row.get_str(1)?.and_then(|oid| oid.parse().ok()).unwrap_or_default();
        columns.insert(name.to_owned(), field_type(&column_type(oid, -1, "")));
    }
    Ok((!columns.is_empty()).then_some(columns))
}

fn field_type(column_type: &ColumnType) -> FieldType {
    match column_type {
        ColumnType::Bool => FieldType::Boolean,
        ColumnType::Int16
        | ColumnType::Int32
        | ColumnType::Int64
        | ColumnType::Float32
        | ColumnType::Float64
        | ColumnType::Decimal(_) => FieldType::Number,
        ColumnType::Timestamp { .. } => FieldType::Date,
        ColumnType::Json => FieldType::Json,
        _ => FieldType::Text,
    }
}
