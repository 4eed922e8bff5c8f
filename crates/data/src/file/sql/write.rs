//! Writing a dump: CREATE TABLE and INSERT statements in the syntax of one dialect.

use super::super::cell::{number_text, text_of};
use super::super::spec::SqlFlavor;
use super::flavor::OWN_HEADER;
use crate::table::{ColumnType, Row, Table, TableColumn};
use crate::value::{Timestamp, Value};

/// Rows and bytes of one INSERT at the most.
const ROWS_PER_STATEMENT: usize = 500;
const BYTES_PER_STATEMENT: usize = 512 << 10;

/// Writes in the syntax of one dialect.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct DumpWriter {
    pub(in super::super) flavor: SqlFlavor,
}

impl DumpWriter {
    /// The first lines of a dump.
    pub(in super::super) fn header(self) -> String {
        let settings = match self.flavor {
            SqlFlavor::Postgres => "SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n",
            SqlFlavor::Sqlite => "PRAGMA foreign_keys = OFF;\n",
            SqlFlavor::Mysql => {
                "SET NAMES utf8mb4;\nSET FOREIGN_KEY_CHECKS = 0;\nSET TIME_ZONE = '+00:00';\n"
            }
        };
        format!("{OWN_HEADER}{}\n{settings}", self.flavor.name())
    }

    /// The statement that makes a table.
    pub(in super::super) fn create_table(self, table: &Table) -> String {
        let mut lines: Vec<String> = table
            .columns
            .iter()
            .enumerate()
            .map(|(position, column)| {
                let is_key = table.key.contains(&position);
                let required = if is_key || !column.nullable { " NOT NULL" } else { "" };
                format!("  {} {}{required}", self.quoted(&column.name), self.declared(column, is_key))
            })
            .collect();
        let key: Vec<_> = table
            .key
            .iter()
            .filter_map(|position| table.columns.get(*position))
            .map(|column| self.quoted(&column.name))
            .collect();
        if !key.is_empty() {
            lines.push(format!("  PRIMARY KEY ({})", key.join(", ")));
        }
        format!(
            "\nCREATE TABLE IF NOT EXISTS {} (\n{}\n);\n",
            self.table_name(&table.name),
            lines.join(",\n")
        )
    }

    /// Appends the statements that insert rows.
    pub(in super::super) fn write_rows(self, output: &mut Vec<u8>, table: &Table, rows: &[Row]) {
        let names: Vec<_> = table.columns.iter().map(|column| self.quoted(&column.name)).collect();
        let head =
            format!("\nINSERT INTO {} ({}) VALUES\n  (", self.table_name(&table.name), names.join(", "));
        let (mut count, mut start) = (0, output.len());
        for row in rows {
            if count == 0 {
                start = output.len();
                output.extend_from_slice(head.as_bytes());
            } else {
                output.extend_from_slice(b",\n  (");
            }
            for (position, (value, column)) in row.iter().zip(&table.columns).enumerate() {
                if position > 0 {
                    output.extend_from_slice(b", ");
                }
                output.extend_from_slice(self.literal(value, &column.column_type).as_bytes());
            }
            output.push(b')');
            count += 1;
            if count >= ROWS_PER_STATEMENT || output.len() - start >= BYTES_PER_STATEMENT {
                output.extend_from_slice(b";\n");
                count = 0;
            }
        }
        if count > 0 {
            output.extend_from_slice(b";\n");
        }
    }

    fn table_name(self, name: &str) -> String {
        match name.split_once('.') {
            Some((schema, table)) if self.flavor == SqlFlavor::Postgres => {
                format!("{}.{}", self.quoted(schema), self.quoted(table))
            }
            _ => self.quoted(name),
        }
    }

    fn quoted(self, name: &str) -> String {
        let quote = if self.flavor == SqlFlavor::Mysql { '`' } else { '"' };
        let doubled = name.replace(quote, &format!("{quote}{quote}"));
        format!("{quote}{doubled}{quote}")
    }

    fn literal(self, value: &Value, column_type: &ColumnType) -> String {
        match value {
            Value::Null => "NULL".to_owned(),
            Value::Bool(flag) if self.flavor == SqlFlavor::Sqlite => i32::from(*flag).to_string(),
            Value::Bool(flag) => if *flag { "TRUE" } else { "FALSE" }.to_owned(),
            // In a JSON column a number is a document.
            Value::Int32(_) | Value::Int64(_) | Value::Float(_) | Value::Decimal(_)
                if matches!(column_type, ColumnType::Json) =>
            {
                self.text(&text_of(value, column_type).unwrap_or_default())
            }
            Value::Int32(number) => number.to_string(),
            Value::Int64(number) => number.to_string(),
            Value::Float(number) => self.number(*number),
            // SQLite would take a bare number for a double.
            Value::Decimal(text)
                if self.flavor != SqlFlavor::Sqlite
                    && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) =>
            {
                text.to_string()
            }
            Value::Bytes(bytes) => {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                if self.flavor == SqlFlavor::Postgres {
                    format!("'\\x{digits}'")
                } else {
                    format!("X'{digits}'")
                }
            }
            Value::Timestamp(moment) if self.flavor == SqlFlavor::Mysql => self.text(&mysql_moment(*moment)),
            value => self.text(&text_of(value, column_type).unwrap_or_default()),
        }
    }

    fn number(self, number: f64) -> String {
        match self.flavor {
            SqlFlavor::Sqlite if number.is_infinite() => {
                if number > 0.0 { "9e999" } else { "-9e999" }.to_owned()
            }
            _ if !number.is_finite() => format!("'{}'", number_text(number)),
            _ => number_text(number),
        }
    }

    fn text(self, text: &str) -> String {
        let doubled = text.replace('\'', "''");
        if self.flavor == SqlFlavor::Mysql {
            format!("'{}'", doubled.replace('\\', "\\\\"))
        } else {
            format!("'{doubled}'")
        }
    }

    fn declared(self, column: &TableColumn, is_key: bool) -> String {
        let column_type = &column.column_type;
        match self.flavor {
            SqlFlavor::Postgres => match column_type {
                ColumnType::Bool => "boolean",
                ColumnType::Int16 => "smallint",
                ColumnType::Int32 => "integer",
                ColumnType::Int64 => "bigint",
                ColumnType::Decimal(None) => "numeric",
                ColumnType::Decimal(Some((precision, scale))) => {
                    return format!("numeric({precision}, {scale})");
                }
                ColumnType::Float32 => "real",
                ColumnType::Float64 => "double precision",
                ColumnType::Text(Some(longest)) => return format!("varchar({longest})"),
                ColumnType::Uuid => "uuid",
                ColumnType::Timestamp { zoned: true } => "timestamptz",
                ColumnType::Timestamp { zoned: false } => "timestamp",
                ColumnType::Date => "date",
                ColumnType::Time => "time",
                ColumnType::Interval => "interval",
                ColumnType::Json if !is_key => "jsonb",
                ColumnType::Bytes => "bytea",
                _ => "text",
            },
            SqlFlavor::Sqlite => match column_type {
                ColumnType::Bool => "INTEGER",
                ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => "INTEGER",
                ColumnType::Float32 | ColumnType::Float64 => "REAL",
                ColumnType::Bytes => "BLOB",
                _ => "TEXT",
            },
            SqlFlavor::Mysql => match column_type {
                ColumnType::Bool => "TINYINT(1)",
                ColumnType::Int16 => "SMALLINT",
                ColumnType::Int32 => "INT",
                ColumnType::Int64 => "BIGINT",
                ColumnType::Decimal(None) => "DECIMAL(65,30)",
                ColumnType::Decimal(Some((precision, scale))) => {
                    return format!("DECIMAL({precision},{scale})");
                }
                ColumnType::Float32 => "FLOAT",
                ColumnType::Float64 => "DOUBLE",
                ColumnType::Text(Some(longest)) if *longest <= 255 => return format!("VARCHAR({longest})"),
                ColumnType::Uuid => "VARCHAR(36)",
                ColumnType::Timestamp { .. } => "DATETIME(6)",
                ColumnType::Time => "TIME(6)",
                ColumnType::Date => "DATE",
                ColumnType::Json if !is_key => "JSON",
                ColumnType::Bytes if is_key => "VARBINARY(255)",
                ColumnType::Bytes => "LONGBLOB",
                // A key of unlimited length cannot be indexed.
                _ if is_key => "VARCHAR(255)",
                _ => "LONGTEXT",
            },
        }
        .to_owned()
    }
}

/// A moment in UTC as MySQL reads it.
fn mysql_moment(moment: Timestamp) -> String {
    moment.to_iso().replace('T', " ").trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_the_dialect_reads_them() {
        let literal = |flavor, value: Value, column_type| DumpWriter { flavor }.literal(&value, &column_type);
        let text = || ColumnType::Text(None);
        assert_eq!(literal(SqlFlavor::Postgres, Value::from("it's \\n"), text()), "'it''s \\n'");
        assert_eq!(literal(SqlFlavor::Mysql, Value::from("it's \\n"), text()), "'it''s \\\\n'");
        let bytes = || Value::Bytes(vec![0, 255].into());
        assert_eq!(literal(SqlFlavor::Postgres, bytes(), ColumnType::Bytes), "'\\x00ff'");
        assert_eq!(literal(SqlFlavor::Sqlite, bytes(), ColumnType::Bytes), "X'00ff'");
        assert_eq!(literal(SqlFlavor::Sqlite, Value::Bool(true), ColumnType::Bool), "1");
        assert_eq!(literal(SqlFlavor::Sqlite, Value::Float(f64::INFINITY), ColumnType::Float64), "9e999");
        assert_eq!(literal(SqlFlavor::Postgres, Value::Float(f64::NAN), ColumnType::Float64), "'NaN'");
        assert_eq!(literal(SqlFlavor::Postgres, Value::Int32(3), ColumnType::Json), "'3'");
        let moment = Value::Timestamp(Timestamp(1_000_001));
        let zoned = ColumnType::Timestamp { zoned: true };
        assert_eq!(literal(SqlFlavor::Mysql, moment, zoned), "'1970-01-01 00:00:01.000001'");
    }

    #[test]
    fn names_stay_names_in_every_dialect() {
        assert_eq!(DumpWriter { flavor: SqlFlavor::Postgres }.quoted("a\"; DROP"), "\"a\"\"; DROP\"");
        assert_eq!(DumpWriter { flavor: SqlFlavor::Mysql }.quoted("a`b"), "`a``b`");
    }
}
