//! The SQL of MySQL and MariaDB.

use std::fmt::Display;

use super::error::{says_columns_differ, says_it_exists};
use super::json::{self, Place};
use super::server::ServerKind;
use super::text::push_match;
use super::{field, index, text};
use crate::dialect::{DialectKind, Isolation};
use crate::error::{Error, Result};
use crate::filter::Direction;
use crate::schema::{Column, FieldType};
use crate::sql::{
    JsonTest, NewIndex, Returning, SqlSyntax, Statement, extreme_of_ordered, quoted_by, shortened,
};
use crate::value::Value;

/// The characters that a name may have.
const MOST_NAME_CHARACTERS: usize = 64;

static SYNTAXES: [MysqlSyntax; 4] = [
    MysqlSyntax { kind: DialectKind::Mysql, server: ServerKind::Mysql },
    MysqlSyntax { kind: DialectKind::Mysql, server: ServerKind::Mariadb },
    MysqlSyntax { kind: DialectKind::Mariadb, server: ServerKind::Mysql },
    MysqlSyntax { kind: DialectKind::Mariadb, server: ServerKind::Mariadb },
];

/// The syntax of a server, under the name by which it is configured.
pub(super) fn syntax_of(kind: DialectKind, server: ServerKind) -> &'static dyn SqlSyntax {
    let [mysql, mysql_on_mariadb, mariadb_on_mysql, mariadb] = &SYNTAXES;
    match (kind, server) {
        (DialectKind::Mariadb, ServerKind::Mysql) => mariadb_on_mysql,
        (DialectKind::Mariadb, ServerKind::Mariadb) => mariadb,
        (_, ServerKind::Mysql) => mysql,
        (_, ServerKind::Mariadb) => mysql_on_mariadb,
    }
}

/// A name in backticks.
pub(super) fn quote(name: &str) -> String {
    quoted_by('`', name)
}

struct MysqlSyntax {
    kind: DialectKind,
    server: ServerKind,
}

impl SqlSyntax for MysqlSyntax {
    fn kind(&self) -> DialectKind {
        self.kind
    }

    fn quotation_mark(&self) -> char {
        '`'
    }

    fn returning(&self) -> Returning {
        match self.server {
            ServerKind::Mysql => Returning::Never,
            ServerKind::Mariadb => Returning::Inserted,
        }
    }

    fn transactional_ddl(&self) -> bool {
        false
    }

    /// The servers' default locks the gaps between rows, and so lets operations on different rows collide.
    fn operation_isolation(&self) -> Option<Isolation> {
        Some(Isolation::ReadCommitted)
    }

    fn placeholder(&self, text: &mut String, _position: usize) {
        text.push('?');
    }

    fn column_type(&self, column: &Column<'_>) -> &'static str {
        match column {
            Column::Id | Column::Reference(..) => "VARCHAR(36)",
            Column::Discriminator(_) => "VARCHAR(100)",
            // An index cannot hold text of any length.
            Column::Field(_, field) if field.unique && field.field_type == FieldType::Text => "VARCHAR(512)",
            Column::Field(_, field) if field.field_type == FieldType::String => "VARCHAR(255)",
            column => self.added_column_type(column.field_type()),
        }
    }

    fn added_column_type(&self, field_type: FieldType) -> &'static str {
        match field_type {
            FieldType::String | FieldType::Text => "LONGTEXT",
            FieldType::Number => "DOUBLE",
            FieldType::Boolean => "TINYINT(1)",
            FieldType::Date => "DATETIME(3)",
            FieldType::Json | FieldType::Array => "JSON",
        }
    }

    fn table_options(&self) -> &'static str {
        match self.server {
            ServerKind::Mysql => " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_bin",
            ServerKind::Mariadb => " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin",
        }
    }

    fn object_name(&self, name: String) -> String {
        shortened(name, MOST_NAME_CHARACTERS, |_| 1)
    }

    fn has_default(&self, field_type: FieldType) -> bool {
        self.server == ServerKind::Mariadb || field_type != FieldType::Text
    }

    fn create_index(&self, index: &NewIndex<'_>) -> Vec<String> {
        index::create(index)
    }

    fn is_made_already(&self, error: &Error) -> bool {
        says_it_exists(error)
    }

    fn cannot_refer(&self, error: &Error) -> bool {
        says_columns_differ(error)
    }

    fn store(&self, place: &dyn Display, field_type: FieldType, value: Value) -> Result<Value> {
        field::store(self.server, place, field_type, value)
    }

    fn restore(&self, field_type: FieldType, value: Value) -> Value {
        field::restore(field_type, value)
    }

    /// NULL is the smallest value anyway.
    fn order(&self, direction: Direction) -> &'static str {
        match direction {
            Direction::Ascending => " ASC",
            Direction::Descending => " DESC",
        }
    }

    fn unlimited(&self) -> Option<&'static str> {
        Some("18446744073709551615")
    }

    fn inline_foreign_keys(&self) -> bool {
        false
    }

    fn drop_table(&self, quoted: &str) -> String {
        format!("DROP TABLE IF EXISTS {quoted}")
    }

    /// Text is compared twice: as the column does it, so that its index is used, and then character by character.
    fn compare(&self, sql: &mut Statement, column: &str, operator: &str, value: Value) {
        text::push_compare(self.server, sql, column, operator, value);
    }

    /// `ON DUPLICATE KEY UPDATE` counts the rows it has found, and `INSERT IGNORE` also hides that a reference is broken.
    fn keep_existing(&self, _sql: &mut Statement) -> bool {
        false
    }

    fn one_of(&self, sql: &mut Statement, column: &str, values: Vec<Value>) {
        text::push_one_of(self.server, sql, column, values);
    }

    fn matches(&self, sql: &mut Statement, column: &str, pattern: &str, ignore_case: bool) {
        let mut text = sql.part();
        text.push(column);
        push_match(self.server, sql, text, pattern, ignore_case);
    }

    fn json_test(&self, sql: &mut Statement, column: &str, below: &[String], test: &JsonTest) {
        Place::new(self.server, column, below).push_test(sql, test);
    }

    fn json_order(&self, sql: &mut Statement, column: &str, below: &[String], direction: Direction) {
        Place::new(self.server, column, below).push_order(sql, direction);
    }

    fn lock_rows(&self) -> &'static str {
        " FOR UPDATE"
    }

    /// The two zeros count as different values otherwise; to add another one leaves only one of them.
    fn distinct_number(&self, column: &str) -> String {
        format!("({column} + 0)")
    }

    fn double_type(&self) -> &'static str {
        "DOUBLE"
    }

    fn json_value(&self, sql: &mut Statement, column: &str, below: &[String]) {
        Place::new(self.server, column, below).push_canonical(sql);
    }

    fn exact_json_value(&self, sql: &mut Statement, column: &str, below: &[String]) {
        Place::new(self.server, column, below).push_as_kept(sql);
    }

    fn json_number(&self, sql: &mut Statement, column: &str) {
        Place::new(self.server, column, &[]).push_number_or_null(sql);
    }

    fn extreme(&self, sql: &mut Statement, column: &str, field_type: FieldType, largest: bool) {
        match field_type {
            FieldType::Json | FieldType::Array => json::push_extreme(self.server, sql, column, largest),
            _ => extreme_of_ordered(sql, column, largest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_syntax_is_that_of_the_server_under_the_configured_name() {
        for kind in [DialectKind::Mysql, DialectKind::Mariadb] {
            for (server, returning) in
                [(ServerKind::Mysql, Returning::Never), (ServerKind::Mariadb, Returning::Inserted)]
            {
                let syntax = syntax_of(kind, server);
                assert_eq!((syntax.kind(), syntax.returning()), (kind, returning));
            }
        }
    }
}
