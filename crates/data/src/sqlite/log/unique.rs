//! By what constraints a row may replace others: the primary key, the rowid, and every unique index.

use serde::{Deserialize, Serialize};
use sqlparser::ast::{CreateIndex, Statement};
use sqlparser::dialect::SQLiteDialect;
use sqlparser::parser::Parser;
use sqlx::sqlite::SqliteConnection;

use super::super::session::fetch_on;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::double_quoted as quote;
use crate::table::Table;
use crate::value::Value;

/// A constraint that no two rows of a table fulfil with the same values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unique {
    pub(super) terms: Vec<Term>,
    /// The condition of rows that a partial index holds.
    pub(super) predicate: Option<String>,
}

/// A value that a constraint compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Term {
    /// That of a column, by a collation.
    Column { name: String, collation: String },
    /// That of an expression on the columns, by a collation.
    Expression { sql: String, collation: String },
}

impl Unique {
    /// The columns that are compared; `None` if there are expressions among them, which may read any column.
    pub(super) fn columns(&self) -> Option<Vec<&str>> {
        let names = self.terms.iter().map(|term| match term {
            Term::Column { name, .. } => Some(name.as_str()),
            Term::Expression { .. } => None,
        });
        names.collect()
    }
}

/// Every constraint of a table.
pub(super) async fn constraints(connection: &mut SqliteConnection, table: &Table) -> Result<Vec<Unique>> {
    let mut found = Vec::new();
    let sql = "SELECT name, origin FROM pragma_index_list(?) WHERE \"unique\" = 1 ORDER BY name";
    let mut has_key = false;
    for row in fetch_on(connection, sql, &[table.name.as_str().into()]).await?.rows {
        let [Value::Text(index), Value::Text(origin)] = row.as_slice() else { continue };
        has_key |= origin == "pk";
        found.push(constraint(connection, index).await?);
    }
    let column = |name: &str| Term::Column { name: name.to_owned(), collation: "BINARY".to_owned() };
    if !has_key {
        // An INTEGER PRIMARY KEY is the rowid, and has no index.
        let terms = table.key.iter().filter_map(|position| table.columns.get(*position));
        let terms = terms.map(|key| column(&key.name)).collect();
        found.push(Unique { terms, predicate: None });
    } else if has_rowid(connection, table).await? {
        found.push(Unique { terms: vec![column("rowid")], predicate: None });
    }
    Ok(found)
}

/// Whether rows can be addressed by a rowid that is no column.
async fn has_rowid(connection: &mut SqliteConnection, table: &Table) -> Result<bool> {
    let sql = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?";
    let without = fetch_on(connection, sql, &[table.name.as_str().into()]).await?.into_scalar();
    let is_shadowed = table.columns.iter().any(|column| column.name.eq_ignore_ascii_case("rowid"));
    Ok(without.and_then(|flag| flag.as_integer()) == Some(0) && !is_shadowed)
}

async fn constraint(connection: &mut SqliteConnection, index: &str) -> Result<Unique> {
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?";
    let text = fetch_on(connection, sql, &[index.into()]).await?.into_scalar();
    // An index that comes from a constraint of the table has no SQL, and neither expressions nor a condition.
    let parsed = match &text {
        Some(Value::Text(text)) => Some(parse(index, text)?),
        _ => None,
    };
    let sql = "SELECT name, coll FROM pragma_index_xinfo(?) WHERE key = 1 ORDER BY seqno";
    let mut terms = Vec::new();
    for (position, row) in fetch_on(connection, sql, &[index.into()]).await?.rows.into_iter().enumerate() {
        let collation = row.get(1).and_then(Value::as_text).unwrap_or("BINARY").to_owned();
        terms.push(match row.first() {
            Some(Value::Text(name)) => Term::Column { name: name.clone(), collation },
            _ => Term::Expression { sql: expression(index, parsed.as_ref(), position)?, collation },
        });
    }
    let predicate = parsed.and_then(|index| index.predicate).map(|condition| condition.to_string());
    Ok(Unique { terms, predicate })
}

fn expression(index: &str, parsed: Option<&CreateIndex>, position: usize) -> Result<String> {
    let column = parsed.and_then(|index| index.columns.get(position));
    column.map(|column| column.column.expr.to_string()).ok_or_else(|| not_understood(index))
}

fn parse(index: &str, sql: &str) -> Result<CreateIndex> {
    match Parser::parse_sql(&SQLiteDialect {}, sql).map(|mut statements| statements.pop()) {
        Ok(Some(Statement::CreateIndex(parsed))) => Ok(parsed),
        _ => Err(not_understood(index)),
    }
}

fn not_understood(index: &str) -> Error {
    Error::new(
        ErrorKind::Capture,
        format!(
            "the unique index {0} cannot be captured, as its definition is not understood, and rows that REPLACE removes \
             through it would be missed; write it in a simpler form or drop it: DROP INDEX {0}",
            quote(index)
        ),
    )
}
