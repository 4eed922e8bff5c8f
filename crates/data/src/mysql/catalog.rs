//! What the servers' catalogue says of tables.

use std::collections::HashSet;

use super::pool::Link;
use super::server::ServerKind;
use super::session::fetch_on;
use super::stored_form::stored_form;
use super::syntax::quote;
use super::text::exact;
use super::types::{Declared, column_type, field_type};
use crate::error::Result;
use crate::sql::{Access, LiveColumns};
use crate::table::{ColumnType, OWN_TABLE_PREFIX, StoredForm, Table, TableColumn};
use crate::value::Value;

/// A column as the catalogue has it.
#[derive(Debug, Clone)]
pub(super) struct CataloguedColumn {
    pub(super) column: TableColumn,
    /// How many digits of a second it keeps; `None` where it holds no time.
    pub(super) second_digits: Option<u32>,
    /// In which form it keeps its values.
    pub(super) form: StoredForm,
    /// Whether it is a string of bits, into which text would go as its bytes.
    pub(super) is_bits: bool,
    /// Whether it holds text that it compares otherwise than character by character.
    pub(super) is_lax: bool,
}

/// A table as the catalogue has it.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub(super) table: Table,
    /// What [`Table`] does not say of its columns, in the same order.
    pub(super) columns: Vec<CataloguedColumn>,
}

/// The names of the application's tables.
pub(super) async fn list_tables(link: &mut Link) -> Result<Vec<String>> {
    let sql = "SELECT TABLE_NAME FROM information_schema.TABLES
               WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')";
    let rows = rows(link, sql, &[]).await?;
    let names = rows.into_iter().filter_map(|row| row.into_iter().next().and_then(text));
    let mut names: Vec<String> = names.filter(|name| !name.starts_with(OWN_TABLE_PREFIX)).collect();
    names.sort();
    Ok(names)
}

/// The columns of a table with the field types nearest to them.
pub(super) async fn live_columns(link: &mut Link, table: &str) -> Result<Option<LiveColumns>> {
    let columns = describe_columns(link, table).await?;
    let live: LiveColumns = columns
        .into_iter()
        .map(|CataloguedColumn { column, .. }| (column.name, field_type(&column.column_type)))
        .collect();
    Ok((!live.is_empty()).then_some(live))
}

/// The description of a table.
pub(super) async fn describe(link: &mut Link, name: &str) -> Result<Option<Described>> {
    let own = own_table(link);
    // The server may write the name in another case.
    let sql = format!("SELECT TABLE_NAME FROM information_schema.TABLES WHERE {own}");
    let found = rows(link, &sql, &twice(name)).await?.into_iter().flatten().next().and_then(text);
    let Some(name) = found else { return Ok(None) };
    let columns = describe_columns(link, &name).await?;
    let sql = format!(
        "SELECT CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE
         WHERE {own} AND (CONSTRAINT_NAME = 'PRIMARY' OR REFERENCED_TABLE_SCHEMA = DATABASE())
         ORDER BY ORDINAL_POSITION"
    );
    let (mut key, mut references) = (Vec::new(), Vec::new());
    for row in rows(link, &sql, &twice(&name)).await? {
        let mut cells = row.into_iter();
        let mut next = || cells.next().and_then(text);
        match (next(), next(), next()) {
            (_, _, Some(target)) if target != name && !references.contains(&target) => {
                references.push(target)
            }
            (Some(constraint), Some(column), None) if constraint == "PRIMARY" => {
                key.extend(columns.iter().position(|own| own.column.name == column));
            }
            _ => {}
        }
    }
    references.sort();
    let table =
        Table { name, columns: columns.iter().map(|own| own.column.clone()).collect(), key, references };
    Ok(Some(Described { table, columns }))
}

/// The columns of a table, without those that this library has added for its indexes.
async fn describe_columns(link: &mut Link, table: &str) -> Result<Vec<CataloguedColumn>> {
    let sql = format!(
        "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, EXTRA, CHARACTER_MAXIMUM_LENGTH,
                NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION, COLLATION_NAME
         FROM information_schema.COLUMNS WHERE {} ORDER BY ORDINAL_POSITION",
        own_table(link)
    );
    let server = link.server().kind;
    let described = rows(link, &sql, &twice(table)).await?;
    let json = match server {
        ServerKind::Mariadb if described.iter().any(|row| row.get(1).is_some_and(is_longtext)) => {
            json_columns(link, table).await?
        }
        _ => HashSet::new(),
    };
    let columns = described.into_iter().map(|row| catalogued(row, &json, server));
    Ok(columns.filter(|own| !own.column.name.starts_with(OWN_TABLE_PREFIX)).collect())
}

fn is_longtext(data_type: &Value) -> bool {
    data_type.as_text().is_some_and(|data_type| data_type.eq_ignore_ascii_case("longtext"))
}

fn catalogued(row: Vec<Value>, json: &HashSet<String>, server: ServerKind) -> CataloguedColumn {
    let mut cells = row.into_iter();
    let mut next = || cells.next().unwrap_or_default();
    let name = text(next()).unwrap_or_default();
    let mut declared = Declared {
        data_type: text(next()).unwrap_or_default(),
        column_type: text(next()).unwrap_or_default(),
        is_json: json.contains(&name),
        ..Declared::default()
    };
    let nullable = text(next()).is_some_and(|answer| answer == "YES");
    let extra = text(next()).unwrap_or_default().to_uppercase();
    declared.characters = number(&next());
    declared.precision = number(&next());
    declared.scale = number(&next());
    let second_digits = number(&next());
    let collation = text(next());
    let column_type = column_type(&declared);
    let is_text = matches!(column_type, ColumnType::Text(_) | ColumnType::Native(_));
    CataloguedColumn {
        is_lax: is_text && collation.is_some_and(|collation| collation != server.exact_collation()),
        form: stored_form(&declared, second_digits),
        is_bits: declared.data_type.eq_ignore_ascii_case("bit"),
        second_digits,
        column: TableColumn {
            name,
            column_type,
            nullable,
            generated: ["VIRTUAL", "STORED", "PERSISTENT"].iter().any(|word| extra.contains(word)),
        },
    }
}

/// The columns whose text a check keeps to JSON, which is what MariaDB makes of the type.
async fn json_columns(link: &mut Link, table: &str) -> Result<HashSet<String>> {
    let sql = format!(
        "SELECT CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS WHERE {}",
        own_table(link).replace("TABLE_SCHEMA", "CONSTRAINT_SCHEMA")
    );
    let checks = rows(link, &sql, &twice(table)).await?.into_iter().filter_map(|row| {
        let mut cells = row.into_iter();
        let (name, clause) = (cells.next().and_then(text)?, cells.next().and_then(text)?);
        let quoted = quote(&name);
        clause.eq_ignore_ascii_case(&format!("json_valid({quoted})")).then_some(name)
    });
    Ok(checks.collect())
}

/// The condition that a row of the catalogue is about a table of this name, which is bound twice. The catalogue compares
/// names in either case, and the server does so only where its files are not told apart by it.
fn own_table(link: &Link) -> String {
    let exact = exact(link.server().kind, "TABLE_NAME");
    format!("TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND (@@lower_case_table_names <> 0 OR {exact} = ?)")
}

fn twice(name: &str) -> [Value; 2] {
    [name.into(), name.into()]
}

async fn rows(link: &mut Link, sql: &str, params: &[Value]) -> Result<Vec<Vec<Value>>> {
    Ok(fetch_on(link, Access::Read, sql, params).await?.rows)
}

/// Some versions give the catalogue's text as bytes.
pub(super) fn text(value: Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text),
        Value::Bytes(bytes) => String::from_utf8(bytes.to_vec()).ok(),
        _ => None,
    }
}

fn number(value: &Value) -> Option<u32> {
    value.as_integer().and_then(|number| u32::try_from(number).ok())
}
