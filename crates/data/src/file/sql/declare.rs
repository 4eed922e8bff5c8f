//! What a dump says of its tables: CREATE TABLE, and primary keys that are added later.

use sqlparser::ast::{
    AlterTableOperation, ColumnDef, ColumnOption, Expr, Ident, IndexColumn, ObjectName, Statement,
    TableConstraint,
};
use sqlparser::parser::Parser;

use super::super::spec::SqlFlavor;
use super::head::table_name;
use crate::table::{ColumnType, TableColumn};

/// What a statement tells of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Declaration {
    /// Its columns and its primary key.
    Table { name: String, columns: Vec<TableColumn>, key: Vec<String> },
    /// Its primary key.
    Key { table: String, key: Vec<String> },
}

/// What a statement declares; `None` where it is another one, or is not understood.
pub(super) fn declaration(text: &str, flavor: SqlFlavor) -> Option<Declaration> {
    let begins = |word: &str| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if !begins("CREATE ") && !begins("ALTER ") {
        return None;
    }
    let statement = Parser::parse_sql(flavor.syntax(), text).ok()?.into_iter().next()?;
    match statement {
        Statement::CreateTable(table) => {
            let inline =
                table.columns.iter().filter(|column| is_key(column)).map(|column| column.name.value.clone());
            let mut key: Vec<String> = inline.collect();
            key.extend(table.constraints.iter().filter_map(key_columns).flatten());
            let columns = table.columns.iter().map(|column| declared_column(column, &key)).collect();
            Some(Declaration::Table { name: object_name(&table.name), columns, key })
        }
        Statement::AlterTable(table) => {
            let key = table.operations.iter().find_map(|operation| match operation {
                AlterTableOperation::AddConstraint { constraint, .. } => key_columns(constraint),
                _ => None,
            })?;
            Some(Declaration::Key { table: object_name(&table.name), key })
        }
        _ => None,
    }
}

fn object_name(name: &ObjectName) -> String {
    let parts: Vec<String> =
        name.0.iter().filter_map(|part| part.as_ident()).map(|part: &Ident| part.value.clone()).collect();
    table_name(&parts)
}

fn is_key(column: &ColumnDef) -> bool {
    column.options.iter().any(|option| matches!(option.option, ColumnOption::PrimaryKey(_)))
}

fn key_columns(constraint: &TableConstraint) -> Option<Vec<String>> {
    let TableConstraint::PrimaryKey(key) = constraint else { return None };
    let name = |column: &IndexColumn| match &column.column.expr {
        Expr::Identifier(name) => Some(name.value.clone()),
        _ => None,
    };
    key.columns.iter().map(name).collect()
}

fn declared_column(column: &ColumnDef, key: &[String]) -> TableColumn {
    let has = |wanted: fn(&ColumnOption) -> bool| column.options.iter().any(|option| wanted(&option.option));
    let not_null = has(|option| matches!(option, ColumnOption::NotNull)) || key.contains(&column.name.value);
    TableColumn {
        name: column.name.value.clone(),
        column_type: column_type(&column.data_type.to_string()),
        nullable: !not_null,
        generated: false,
    }
}

/// The type by its name. The words are those of all dialects: few mean different things.
fn column_type(declared: &str) -> ColumnType {
    let declared = declared.to_uppercase();
    if let Some(element) = declared.strip_suffix("[]") {
        return ColumnType::Array(Box::new(column_type(element)));
    }
    let says = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    if declared.is_empty() {
        ColumnType::Any
    } else if says(&["BOOL"]) || declared.starts_with("TINYINT(1)") {
        ColumnType::Bool
    } else if says(&["JSON"]) {
        ColumnType::Json
    } else if says(&["UUID", "UNIQUEIDENTIFIER"]) {
        ColumnType::Uuid
    } else if says(&["DATETIME", "TIMESTAMP"]) {
        ColumnType::Timestamp { zoned: true }
    } else if says(&["INTERVAL"]) {
        ColumnType::Interval
    } else if says(&["BIGINT UNSIGNED"]) {
        ColumnType::Decimal(Some((20, 0)))
    } else if says(&["INT", "SERIAL"]) {
        ColumnType::Int64
    } else if says(&["NUMERIC", "DECIMAL", "MONEY"]) {
        ColumnType::Decimal(None)
    } else if says(&["REAL", "FLOA", "DOUB"]) {
        ColumnType::Float64
    } else if says(&["BLOB", "BINARY", "BYTEA", "IMAGE"]) {
        ColumnType::Bytes
    } else if says(&["CHAR", "TEXT", "CLOB", "ENUM", "SET("]) {
        ColumnType::Text(None)
    } else if says(&["DATE"]) {
        ColumnType::Date
    } else if says(&["TIME"]) {
        ColumnType::Time
    } else {
        ColumnType::Text(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str, flavor: SqlFlavor) -> (String, Vec<(String, ColumnType)>, Vec<String>) {
        match declaration(text, flavor) {
            Some(Declaration::Table { name, columns, key }) => {
                (name, columns.into_iter().map(|column| (column.name, column.column_type)).collect(), key)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn tables_of_every_dialect_are_understood() {
        let (name, columns, key) = table(
            "CREATE TABLE public.\"Users\" (id uuid DEFAULT gen_random_uuid() NOT NULL, tags text[], \"at\" timestamp with time zone, n numeric(10,2), b bytea)",
            SqlFlavor::Postgres,
        );
        assert_eq!(name, "Users");
        assert!(key.is_empty());
        let types: Vec<_> = columns.into_iter().map(|(_, column_type)| column_type).collect();
        let text = || Box::new(ColumnType::Text(None));
        let zoned = ColumnType::Timestamp { zoned: true };
        assert_eq!(
            types,
            [
                ColumnType::Uuid,
                ColumnType::Array(text()),
                zoned,
                ColumnType::Decimal(None),
                ColumnType::Bytes
            ]
        );
        let (_, columns, key) = table(
            "CREATE TABLE `t` (`id` int(11) NOT NULL AUTO_INCREMENT, `ok` tinyint(1) DEFAULT 0, `x` varchar(255) COLLATE utf8mb4_bin DEFAULT NULL, PRIMARY KEY (`id`), KEY `k` (`x`)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
            SqlFlavor::Mysql,
        );
        assert_eq!(key, ["id"]);
        assert_eq!(columns[1].1, ColumnType::Bool);
        let (_, columns, key) =
            table("CREATE TABLE IF NOT EXISTS \"t\" (id TEXT PRIMARY KEY, n REAL, any)", SqlFlavor::Sqlite);
        assert_eq!(key, ["id"]);
        assert_eq!(columns[2].1, ColumnType::Any);
    }

    #[test]
    fn a_key_that_is_added_later_is_found() {
        let text = "ALTER TABLE ONLY public.users ADD CONSTRAINT users_pkey PRIMARY KEY (id)";
        let expected = Declaration::Key { table: "users".into(), key: vec!["id".into()] };
        assert_eq!(declaration(text, SqlFlavor::Postgres), Some(expected));
        assert_eq!(declaration("CREATE INDEX i ON t (a)", SqlFlavor::Postgres), None);
        assert_eq!(declaration("CREATE oops", SqlFlavor::Postgres), None);
    }
}
