//! The servers' types and the column types of this crate.

use crate::schema::FieldType;
use crate::table::ColumnType;

/// A column as `information_schema.columns` has it.
#[derive(Debug, Clone, Default)]
pub(super) struct Declared {
    /// The bare type, such as `varchar`.
    pub(super) data_type: String,
    /// The whole type, such as `varchar(20)` or `int(10) unsigned`.
    pub(super) column_type: String,
    pub(super) characters: Option<u32>,
    pub(super) precision: Option<u32>,
    pub(super) scale: Option<u32>,
    /// Whether a check sees to it that the text is JSON, as MariaDB does in place of a type.
    pub(super) is_json: bool,
}

/// The column type of a column.
pub(super) fn column_type(declared: &Declared) -> ColumnType {
    let whole = declared.column_type.to_ascii_lowercase();
    let is_unsigned = whole.contains("unsigned");
    match declared.data_type.to_ascii_lowercase().as_str() {
        _ if declared.is_json => ColumnType::Json,
        "tinyint" if whole.starts_with("tinyint(1)") => ColumnType::Bool,
        "tinyint" | "year" => ColumnType::Int16,
        "smallint" if !is_unsigned => ColumnType::Int16,
        "smallint" | "mediumint" => ColumnType::Int32,
        "int" if !is_unsigned => ColumnType::Int32,
        "bigint" if is_unsigned => ColumnType::Decimal(Some((20, 0))),
        "int" | "bigint" => ColumnType::Int64,
        "bit" if whole == "bit(1)" => ColumnType::Bool,
        "bit" if whole != "bit(64)" => ColumnType::Int64,
        "bit" => ColumnType::Decimal(Some((20, 0))),
        "decimal" => ColumnType::Decimal(declared.precision.zip(declared.scale)),
        "float" => ColumnType::Float32,
        "double" => ColumnType::Float64,
        "char" | "varchar" => ColumnType::Text(declared.characters),
        "tinytext" | "text" | "mediumtext" | "longtext" => ColumnType::Text(None),
        "date" => ColumnType::Date,
        "time" => ColumnType::Time,
        "datetime" => ColumnType::Timestamp { zoned: false },
        "timestamp" => ColumnType::Timestamp { zoned: true },
        "json" => ColumnType::Json,
        "uuid" => ColumnType::Uuid,
        "enum" | "set" | "inet4" | "inet6" => ColumnType::Native(declared.column_type.clone()),
        // Shapes are exchanged in the servers' own form, which both sides know.
        _ => ColumnType::Bytes,
    }
}

/// The field type nearest to a column type.
pub(super) fn field_type(column_type: &ColumnType) -> FieldType {
    match column_type {
        ColumnType::Bool => FieldType::Boolean,
        ColumnType::Int16
        | ColumnType::Int32
        | ColumnType::Int64
        | ColumnType::Decimal(_)
        | ColumnType::Float32
        | ColumnType::Float64 => FieldType::Number,
        ColumnType::Timestamp { .. } => FieldType::Date,
        ColumnType::Json => FieldType::Json,
        _ => FieldType::Text,
    }
}

/// The digits that a decimal can have, and those of them after the point.
const MOST_DIGITS: u32 = 65;
const MOST_SCALE: u32 = 30;

/// The type in DDL of a column that is no key. A type of another database's own is kept as text.
pub(super) fn ddl_type(column_type: &ColumnType) -> String {
    match column_type {
        ColumnType::Bool => "TINYINT(1)".to_owned(),
        ColumnType::Int16 => "SMALLINT".to_owned(),
        ColumnType::Int32 => "INT".to_owned(),
        ColumnType::Int64 => "BIGINT".to_owned(),
        ColumnType::Decimal(Some((precision, scale)))
            if (1..=MOST_DIGITS).contains(precision) && *scale <= MOST_SCALE && scale <= precision =>
        {
            format!("DECIMAL({precision},{scale})")
        }
        ColumnType::Decimal(None) => format!("DECIMAL({MOST_DIGITS},{MOST_SCALE})"),
        ColumnType::Float32 | ColumnType::Float64 => "DOUBLE".to_owned(),
        ColumnType::Timestamp { .. } => "DATETIME(6)".to_owned(),
        ColumnType::Date => "DATE".to_owned(),
        ColumnType::Time => "TIME(6)".to_owned(),
        ColumnType::Interval => "VARCHAR(64)".to_owned(),
        ColumnType::Uuid => "VARCHAR(36)".to_owned(),
        ColumnType::ObjectId => "VARCHAR(24)".to_owned(),
        ColumnType::Json | ColumnType::Array(_) | ColumnType::Any | ColumnType::Rest => "JSON".to_owned(),
        ColumnType::Bytes => "LONGBLOB".to_owned(),
        // A decimal with more digits than MySQL's is kept with all of them.
        ColumnType::Text(_) | ColumnType::Native(_) | ColumnType::Decimal(Some(_)) => "LONGTEXT".to_owned(),
    }
}

/// The type in DDL of a key column, which has at most so many characters.
pub(super) fn key_type(column_type: &ColumnType, most: u32) -> String {
    match column_type {
        ColumnType::Text(Some(longest)) => format!("VARCHAR({})", (*longest).clamp(1, most)),
        ColumnType::Bytes => format!("VARBINARY({most})"),
        ColumnType::Text(None)
        | ColumnType::Json
        | ColumnType::Array(_)
        | ColumnType::Any
        | ColumnType::Native(_) => format!("VARCHAR({most})"),
        column_type => match ddl_type(column_type) {
            long if long == "LONGTEXT" => format!("VARCHAR({most})"),
            fixed => fixed,
        },
    }
}

/// Whether a key column of this type is as long as the key allows.
pub(super) fn is_long(column_type: &ColumnType) -> bool {
    let type_in_key = key_type(column_type, 1);
    type_in_key.ends_with("CHAR(1)") || type_in_key.ends_with("BINARY(1)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(column_type: &str) -> ColumnType {
        let data_type = column_type.split(['(', ' ']).next().unwrap().to_owned();
        let declared = Declared { data_type, column_type: column_type.to_owned(), ..Declared::default() };
        super::column_type(&declared)
    }

    #[test]
    fn no_type_is_read_into_a_narrower_one() {
        for (declared, expected) in [
            ("tinyint(1)", ColumnType::Bool),
            ("tinyint(3) unsigned", ColumnType::Int16),
            ("smallint(5) unsigned", ColumnType::Int32),
            ("int(10) unsigned", ColumnType::Int64),
            ("bigint(20)", ColumnType::Int64),
            ("bigint unsigned", ColumnType::Decimal(Some((20, 0)))),
            ("bit(1)", ColumnType::Bool),
            ("bit(8)", ColumnType::Int64),
            ("year(4)", ColumnType::Int16),
            ("timestamp(3)", ColumnType::Timestamp { zoned: true }),
            ("enum('a','b')", ColumnType::Native("enum('a','b')".to_owned())),
        ] {
            assert_eq!(of(declared), expected, "{declared}");
        }
    }

    #[test]
    fn a_key_has_a_length() {
        assert_eq!(key_type(&ColumnType::Text(None), 512), "VARCHAR(512)");
        assert_eq!(key_type(&ColumnType::Text(Some(20)), 512), "VARCHAR(20)");
        assert_eq!(key_type(&ColumnType::Int64, 512), "BIGINT");
        assert_eq!(key_type(&ColumnType::Decimal(Some((100, 0))), 512), "VARCHAR(512)");
        assert!(is_long(&ColumnType::Bytes) && is_long(&ColumnType::Any) && !is_long(&ColumnType::Uuid));
    }
}
