//! How the values of a table stand in the table of its changes: its columns at the time when its triggers were made.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::catalog::{self, CataloguedColumn, Described};
use super::super::pool::Link;
use super::super::session::fetch_on;
use super::own_tables::{text, values_table};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Access;
use crate::table::{ColumnType, OWN_TABLE_PREFIX, Table};
use crate::value::Value;

/// The columns that a set of triggers records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    pub(super) columns: Vec<LayoutColumn>,
    /// The names of the primary key's columns, in its order.
    pub(super) key: Vec<String>,
}

/// A column, as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LayoutColumn {
    pub(super) name: String,
    /// Its whole type.
    pub(super) column_type: String,
    pub(super) character_set: Option<String>,
    pub(super) collation: Option<String>,
    is_json: bool,
    nullable: bool,
    generated: bool,
}

impl Layout {
    /// The layout that a table has now; `None` if there is no such table.
    pub(super) async fn live(link: &mut Link, name: &str) -> Result<Option<Self>> {
        let Some(described) = catalog::describe(link, name).await?.filter(|own| own.table.name == name)
        else {
            return Ok(None);
        };
        let sql = "SELECT COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLUMNS \
                   WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION";
        let rows = fetch_on(link, Access::Read, sql, &[name.into()]).await?.rows;
        let columns = rows.into_iter().filter_map(|row| column(row, &described)).collect();
        let table = &described.table;
        let key = table.key.iter().filter_map(|position| table.columns.get(*position));
        Ok(Some(Self { columns, key: key.map(|column| column.name.clone()).collect() }))
    }

    /// The columns of the key, in its order.
    pub(super) fn key_columns(&self) -> impl Iterator<Item = &LayoutColumn> {
        self.key.iter().filter_map(|name| self.columns.iter().find(|column| &column.name == name))
    }

    /// The table that changes of this layout have, which is the one that the reader knows as long as the columns are the
    /// same, and how its columns are stored.
    pub(super) async fn table(
        &self,
        link: &mut Link,
        source: i64,
        known: &Arc<Table>,
    ) -> Result<(Arc<Table>, Described)> {
        let stored = catalog::describe(link, &values_table(source)).await?;
        let stored =
            stored.ok_or_else(|| Error::new(ErrorKind::UnknownTable, "the values of changes are missing"))?;
        let columns: Vec<CataloguedColumn> =
            self.columns.iter().enumerate().filter_map(|(i, column)| column.catalogued(i, &stored)).collect();
        let names = self.columns.iter().map(|column| &column.name);
        let table = if names.eq(known.columns.iter().map(|column| &column.name)) {
            Arc::clone(known)
        } else {
            let own = columns.iter().map(|own| {
                // What the reader knows of a column may come from an entity, and be more than its type says.
                let described = known.columns.iter().find(|described| described.name == own.column.name);
                described.cloned().unwrap_or_else(|| own.column.clone())
            });
            let key =
                self.key.iter().filter_map(|name| self.columns.iter().position(|own| &own.name == name));
            Arc::new(Table {
                name: known.name.clone(),
                columns: own.collect(),
                key: key.collect(),
                references: known.references.clone(),
            })
        };
        let described = Described { table: table.as_ref().clone(), columns };
        Ok((table, described))
    }

    /// As it is stored.
    pub(super) fn to_text(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::new(ErrorKind::Internal, "a layout cannot be stored").with_source(error))
    }

    /// From what was stored.
    pub(super) fn from_text(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            let message = "a layout of the changes cannot be read; another version of this library wrote it";
            Error::new(ErrorKind::LogLost, message).with_source(error)
        })
    }
}

impl LayoutColumn {
    /// The column as it is stored among the values, by the name that it has in its table.
    fn catalogued(&self, position: usize, stored: &Described) -> Option<CataloguedColumn> {
        let name = format!("v{position}");
        let mut own = stored.columns.iter().find(|own| own.column.name == name)?.clone();
        own.column.name.clone_from(&self.name);
        own.column.nullable = self.nullable;
        own.column.generated = self.generated;
        if self.is_json {
            own.column.column_type = ColumnType::Json;
        }
        Some(own)
    }

    /// Whether its values may be long.
    pub(super) fn is_long(&self) -> bool {
        ["text", "blob", "char", "binary", "json"].iter().any(|word| self.column_type.contains(word))
    }
}

fn column(row: Vec<Value>, described: &Described) -> Option<LayoutColumn> {
    let mut cells = row.into_iter();
    let mut next = || cells.next().and_then(text);
    let (name, column_type) = (next()?, next()?);
    if name.starts_with(OWN_TABLE_PREFIX) {
        return None;
    }
    let own = &described.columns.iter().find(|own| own.column.name == name)?.column;
    Some(LayoutColumn {
        column_type,
        character_set: next(),
        collation: next(),
        is_json: own.column_type == ColumnType::Json,
        nullable: own.nullable,
        generated: own.generated,
        name,
    })
}
