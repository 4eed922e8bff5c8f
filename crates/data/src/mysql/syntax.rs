//! The SQL of MySQL and MariaDB.

use std::fmt::Display;

use super::error::{says_columns_differ, says_it_exists};
use super::json::{self, Place};
use super::parameters::datetime_text;
use super::server::ServerKind;
use crate::dialect::{DialectKind, Isolation};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Direction;
use crate::schema::{Column, FieldType};
use crate::sql::{
    Coverage, JsonTest, NewIndex, Returning, SqlSyntax, Statement, extreme_of_ordered, quoted_by,
    restore_number, store_number,
};
use crate::table::OWN_TABLE_PREFIX;
use crate::value::{Timestamp, Value, json_text, value_from_json_text};

/// More values than this are handed over as one JSON list, as a statement takes 65,535 parameters.
const MOST_PLACEHOLDERS: usize = 250;
/// The characters that a name may have.
const MOST_NAME_CHARACTERS: usize = 64;
/// The bytes that all columns of an index may have.
const MOST_INDEX_BYTES: usize = 3072;
const BYTES_OF_CHARACTER: usize = 4;
/// The characters of a `VARCHAR` of ours.
const STRING_CHARACTERS: usize = 255;
/// The bytes that an index needs for a number or a date, with something to spare.
const FIXED_BYTES: usize = 16;
/// How deep a document may be nested.
const MARIADB_JSON_DEPTH: usize = 31;
const MYSQL_JSON_DEPTH: usize = 100;

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

/// The generated column that tells rows which are not softly deleted: a unique index over a field and this column leaves
/// the others out, as NULL collides with nothing.
pub(super) fn live_marker() -> String {
    format!("{OWN_TABLE_PREFIX}live")
}

/// An expression for text of which every character counts, whatever the collation of its column.
pub(super) fn exact(server: ServerKind, expression: &str) -> String {
    format!("CONVERT({expression} USING utf8mb4) COLLATE {}", server.exact_collation())
}

/// Appends the condition that a text matches a regular expression.
pub(super) fn push_match(
    server: ServerKind,
    sql: &mut Statement,
    text: Statement,
    pattern: &str,
    ignore_case: bool,
) {
    let expression = exact(server, text.text());
    match server {
        ServerKind::Mariadb => {
            let pattern = if ignore_case { format!("(?i){pattern}") } else { pattern.to_owned() };
            sql.append(&expression, text);
            sql.push(" REGEXP ").bind(Value::Text(pattern));
        }
        ServerKind::Mysql => {
            sql.push("REGEXP_LIKE(");
            sql.append(&expression, text);
            sql.push(", ").bind(Value::from(pattern)).push(if ignore_case { ", 'i')" } else { ", 'c')" });
        }
    }
}

struct MysqlSyntax {
    kind: DialectKind,
    server: ServerKind,
}

impl MysqlSyntax {
    fn check_depth(&self, place: &dyn Display, value: &Value) -> Result<()> {
        let most = match self.server {
            ServerKind::Mysql => MYSQL_JSON_DEPTH,
            ServerKind::Mariadb => MARIADB_JSON_DEPTH,
        };
        if depth(value) <= most {
            return Ok(());
        }
        let message =
            format!("{place}: JSON is nested deeper than {most} levels, which is what this server holds");
        Err(Error::new(ErrorKind::Value, message))
    }

    /// The columns of an index. Long text is indexed by its beginning, where that does not change what is unique.
    fn index_columns(&self, index: &NewIndex<'_>) -> Vec<String> {
        let is_text =
            |field_type| !matches!(field_type, FieldType::Number | FieldType::Boolean | FieldType::Date);
        let texts = index.columns.iter().filter(|(_, field_type, _)| is_text(*field_type)).count();
        let fixed = (index.columns.len() - texts) * FIXED_BYTES;
        let most = MOST_INDEX_BYTES.saturating_sub(fixed) / BYTES_OF_CHARACTER / texts.max(1);
        let column = |(name, field_type, descending): &(&str, FieldType, bool)| {
            let is_whole = *field_type == FieldType::String && most >= STRING_CHARACTERS;
            let prefix = if index.unique || is_whole || !is_text(*field_type) {
                String::new()
            } else {
                format!("({})", most.min(STRING_CHARACTERS))
            };
            format!("{}{prefix}{}", quote(name), if *descending { " DESC" } else { "" })
        };
        index.columns.iter().map(column).collect()
    }
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

    /// A name that is too long keeps its beginning, and a number made of all of it.
    fn object_name(&self, name: String) -> String {
        const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const FNV_PRIME: u64 = 0x0100_0000_01b3;
        if name.chars().count() <= MOST_NAME_CHARACTERS {
            return name;
        }
        let hash =
            name.bytes().fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
        let kept: String = name.chars().take(MOST_NAME_CHARACTERS - 17).collect();
        format!("{kept}_{hash:016x}")
    }

    fn has_default(&self, field_type: FieldType) -> bool {
        self.server == ServerKind::Mariadb || field_type != FieldType::Text
    }

    /// There are no indexes over a part of the rows. A missing value collides with nothing anyway; those of softly
    /// deleted rows are left out by a further column.
    fn create_index(&self, index: &NewIndex<'_>) -> Vec<String> {
        let mut columns = self.index_columns(index);
        let mut statements = Vec::new();
        let table = quote(index.table);
        if let Coverage::Without(column) = index.coverage {
            let marker = quote(&live_marker());
            statements.push(format!(
                "ALTER TABLE {table} ADD COLUMN {marker} TINYINT(1) AS (IF({} IS NULL, 1, NULL)) VIRTUAL INVISIBLE",
                quote(column)
            ));
            columns.push(marker);
        }
        statements.push(format!(
            "CREATE {}INDEX {} ON {table} ({})",
            if index.unique { "UNIQUE " } else { "" },
            quote(&index.name),
            columns.join(", ")
        ));
        statements
    }

    fn is_made_already(&self, error: &Error) -> bool {
        says_it_exists(error)
    }

    fn cannot_refer(&self, error: &Error) -> bool {
        says_columns_differ(error)
    }

    fn store(&self, place: &dyn Display, field_type: FieldType, value: Value) -> Result<Value> {
        let refuse = |what: &str| Err(Error::new(ErrorKind::Value, format!("{place}: {what}")));
        Ok(match (field_type, value) {
            (_, Value::Null) => Value::Null,
            (FieldType::Boolean, Value::Bool(flag)) => Value::Int32(i32::from(flag)),
            (FieldType::Date, Value::Timestamp(moment)) => {
                datetime_text(moment).map_err(|error| error.in_context(place.to_string()))?;
                if moment.sub_millis() != 0 {
                    return refuse("digits beyond milliseconds would be lost");
                }
                Value::Timestamp(moment)
            }
            (FieldType::Json | FieldType::Array, value) => {
                self.check_depth(place, &value)?;
                Value::Text(json_text(&value))
            }
            (FieldType::Number, value) => match store_number(place, value)? {
                Value::Float(number) if !number.is_finite() => {
                    return refuse("NaN and Infinity cannot be held by MySQL");
                }
                number => number,
            },
            (field_type, value) => crate::record::fit(place, field_type, value)?,
        })
    }

    fn restore(&self, field_type: FieldType, value: Value) -> Value {
        match (field_type, value) {
            (FieldType::Boolean, Value::Int32(number)) => Value::Bool(number != 0),
            (FieldType::Boolean, Value::Int64(number)) => Value::Bool(number != 0),
            (FieldType::Number, number) => restore_number(number),
            (FieldType::Date, Value::Text(text)) => match Timestamp::parse_iso(&text) {
                Some(moment) => Value::Timestamp(moment),
                None => Value::Text(text),
            },
            (FieldType::Json | FieldType::Array, Value::Text(text)) => {
                match value_from_json_text(text.as_bytes()) {
                    Ok(json) => json,
                    Err(_) => Value::Text(text),
                }
            }
            (_, value) => value,
        }
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
        match value {
            Value::Text(_) if operator.trim() == "=" => {
                let exact = exact(self.server, column);
                sql.push("(").push(column).push(" = ").bind(value.clone());
                sql.push(" AND ").push(&exact).push(" = ").bind(value).push(")");
            }
            Value::Text(_) => {
                let collation = self.server.exact_collation();
                sql.push(column).push(operator).bind(value).push(" COLLATE ").push(collation);
            }
            value => drop(sql.push(column).push(operator).bind(value)),
        }
    }

    /// `ON DUPLICATE KEY UPDATE` counts the rows it has found, and `INSERT IGNORE` also hides that a reference is broken.
    fn keep_existing(&self, _sql: &mut Statement) -> bool {
        false
    }

    fn one_of(&self, sql: &mut Statement, column: &str, values: Vec<Value>) {
        let is_text = values.iter().any(|value| matches!(value, Value::Text(_)));
        if values.len() > MOST_PLACEHOLDERS && values.iter().all(survives_json) {
            // As text, or as the number that MySQL makes of it where it compares numbers with text.
            let expression = if is_text { exact(self.server, "j.v") } else { "j.v".to_owned() };
            let column_type = if is_text { "LONGTEXT" } else { "DOUBLE" };
            sql.push(column).push(" IN (SELECT ").push(&expression).push(" FROM JSON_TABLE(");
            sql.bind(Value::Text(json_text(&Value::Array(values))));
            sql.push(&format!(", '$[*]' COLUMNS (v {column_type} PATH '$')) AS j)"));
            return;
        }
        let push_list = |sql: &mut Statement, column: &str| {
            sql.push(column).push(" IN (");
            sql.list(&values, ", ", |sql, value| {
                sql.bind(value.clone());
            });
            sql.push(")");
        };
        if is_text {
            sql.push("(");
            push_list(sql, column);
            sql.push(" AND ");
            push_list(sql, &exact(self.server, column));
            sql.push(")");
        } else {
            push_list(sql, column);
        }
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

fn survives_json(value: &Value) -> bool {
    match value {
        Value::Text(_) | Value::Int32(_) => true,
        Value::Float(number) => number.is_finite(),
        _ => false,
    }
}

/// How many lists and objects lie within each other.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(object) => 1 + object.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn syntax() -> &'static dyn SqlSyntax {
        syntax_of(DialectKind::Mariadb, ServerKind::Mariadb)
    }

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

    #[test]
    fn long_names_stay_different() {
        let long = |end: &str| format!("{}{end}", "é".repeat(100));
        let (one, other) = (syntax().object_name(long("a")), syntax().object_name(long("b")));
        assert_ne!(one, other);
        assert_eq!(one.chars().count(), MOST_NAME_CHARACTERS);
        assert_eq!(syntax().object_name("short".to_owned()), "short");
    }

    #[test]
    fn an_index_stays_within_what_the_server_allows() {
        let column = |field_type| ("c", field_type, false);
        let index = |columns, unique| {
            let name = "i".to_owned();
            let index = NewIndex { name, table: "t", columns, unique, coverage: Coverage::All };
            syntax().create_index(&index).remove(0)
        };
        let whole = index(vec![column(FieldType::String), column(FieldType::Number)], false);
        assert_eq!(whole, "CREATE INDEX `i` ON `t` (`c`, `c`)");
        assert!(index(vec![column(FieldType::Text)], false).contains("`c`(255)"));
        assert!(index(vec![column(FieldType::String); 4], false).contains("`c`(192)"));
        assert!(!index(vec![column(FieldType::String); 4], true).contains("(192)"));
    }
}
