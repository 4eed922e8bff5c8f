//! How the rows of a table stand in the log, matched with the catalogue.
//!
//! The log tells how columns are stored, and their names only where the server is set so (`binlog_row_metadata = FULL`). The
//! catalogue is that of the present: a log that is read late may have been written when the table had other columns.

use std::sync::Arc;

use super::super::catalog::{self, CataloguedColumn, Described, text};
use super::super::pool::Link;
use super::super::session::fetch_on;
use super::super::store::{Declaration, StoredTable};
use super::charset::Charset;
use super::table_map::{MappedColumn, TableMap, types};
use super::value::Kind;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Access;
use crate::table::{OWN_TABLE_PREFIX, Row, Table};
use crate::value::Value;

/// The columns of a table as the log has them.
#[derive(Debug)]
pub(super) struct Layout {
    /// The table that its changes are told with.
    pub(super) table: Arc<Table>,
    described: Described,
    declaration: Declaration,
    /// In the order of the log.
    pub(super) columns: Vec<LoggedColumn>,
}

/// A column of the log.
#[derive(Debug, Clone)]
pub(super) struct LoggedColumn {
    name: String,
    /// The bare type that the catalogue has for it.
    data_type: String,
    pub(super) kind: Kind,
    /// Where it stands in the table; `None` for one that is not told.
    position: Option<usize>,
}

impl Layout {
    /// The layout that a table has now; `None` if there is no such table. What the reader knows of a column counts as long as it
    /// is the one that it was before.
    ///
    /// # Errors
    /// [`ErrorKind::Capture`](crate::ErrorKind::Capture) for a column whose values the log does not tell.
    pub(super) async fn live(
        link: &mut Link,
        known: &Arc<Table>,
        before: Option<&Self>,
    ) -> Result<Option<Self>> {
        let Some(described) = catalog::describe(link, &known.name).await? else { return Ok(None) };
        let sql = "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, CHARACTER_OCTET_LENGTH \
                   FROM information_schema.COLUMNS \
                   WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION";
        let rows = fetch_on(link, Access::Read, sql, &[known.name.as_str().into()]).await?.rows;
        let mut columns = Vec::with_capacity(rows.len());
        for row in rows {
            let own = CatalogueRow::of(row);
            let place = || format!("column \"{}\" of table \"{}\"", own.name, known.name);
            let kind = own.kind(link).await.map_err(|error| error.in_context(place()))?;
            columns.push(LoggedColumn { name: own.name, data_type: own.data_type, kind, position: None });
        }
        Ok(Some(Self::told_as(known, before.map(|before| &before.described), &described, columns)))
    }

    /// The layout with the table that the reader knows, as long as the columns are the same, else another one.
    fn told_as(
        known: &Arc<Table>,
        before: Option<&Described>,
        described: &Described,
        mut columns: Vec<LoggedColumn>,
    ) -> Self {
        let is_as_before = |own: &CataloguedColumn| {
            let same = before.and_then(|before| {
                before.columns.iter().find(|column| column.column.name == own.column.name)
            });
            same.is_none_or(|same| same.column.column_type == own.column.column_type)
        };
        let told: Vec<CataloguedColumn> = columns
            .iter()
            .filter(|own| !own.name.starts_with(OWN_TABLE_PREFIX))
            .filter_map(|own| described.columns.iter().find(|column| column.column.name == own.name).cloned())
            .collect();
        let names = told.iter().map(|own| &own.column.name);
        let is_known = names.eq(known.columns.iter().map(|column| &column.name));
        let table = if is_known && told.iter().all(is_as_before) {
            Arc::clone(known)
        } else {
            let own = told.iter().map(|own| {
                // What the reader knows of a column may come from an entity, and be more than its type says.
                let same = known.columns.iter().find(|column| column.name == own.column.name);
                same.filter(|_| is_as_before(own)).cloned().unwrap_or_else(|| own.column.clone())
            });
            let key =
                described.table.key.iter().filter_map(|position| described.table.columns.get(*position));
            let place = |name: &str| told.iter().position(|own| own.column.name == name);
            Arc::new(Table {
                name: known.name.clone(),
                columns: own.collect(),
                key: key.filter_map(|column| place(&column.name)).collect(),
                references: known.references.clone(),
            })
        };
        for column in &mut columns {
            column.position = table.position(&column.name);
        }
        let described = Described { table: table.as_ref().clone(), columns: told };
        let declaration = StoredTable::new(&table, &described).declaration();
        Self { table, described, declaration, columns }
    }

    /// Whether rows of this form are of this layout.
    pub(super) fn fits(&self, map: &TableMap) -> bool {
        let is_same = |(own, mapped): (&LoggedColumn, &MappedColumn)| is_stored_as(&own.data_type, *mapped);
        let has_names = |names: &Vec<String>| names.iter().eq(self.columns.iter().map(|own| &own.name));
        self.columns.len() == map.columns.len()
            && self.columns.iter().zip(&map.columns).all(is_same)
            && map.names.as_ref().is_none_or(has_names)
    }

    /// The layout of rows that the log names the columns of: those that are there still are told. `None` where there are no
    /// names, or a column of a name has another type by now.
    pub(super) fn by_names(&self, map: &TableMap) -> Option<Self> {
        let names = map.names.as_ref()?;
        let mut columns = Vec::with_capacity(names.len());
        for (name, mapped) in names.iter().zip(&map.columns) {
            columns.push(match self.columns.iter().find(|own| &own.name == name) {
                Some(own) if is_stored_as(&own.data_type, *mapped) => own.clone(),
                Some(_) => return None,
                None => LoggedColumn {
                    name: name.clone(),
                    data_type: String::new(),
                    kind: passed_over(*mapped),
                    position: None,
                },
            });
        }
        let has_key = self.table.key.iter().filter_map(|at| self.table.columns.get(*at));
        let is_told = |name: &String| columns.iter().any(|own| &own.name == name);
        if !has_key.map(|key| &key.name).all(is_told) {
            return None;
        }
        Some(Self::told_as(&self.table, None, &self.described, columns))
    }

    /// Whether a column of the log is one of the primary key.
    pub(super) fn is_key(&self, at: usize) -> bool {
        let position = self.columns.get(at).and_then(|column| column.position);
        position.is_some_and(|position| self.table.key.contains(&position))
    }

    /// Brings values in the order of the log into the row of the table. Those that are not there are NULL, and their
    /// positions come along.
    pub(super) fn row(&self, values: Vec<Option<Value>>) -> (Row, Vec<usize>) {
        let mut row: Vec<Option<Value>> = vec![None; self.table.columns.len()];
        for (column, value) in self.columns.iter().zip(values) {
            if let Some(slot) = column.position.and_then(|position| row.get_mut(position)) {
                *slot = value;
            }
        }
        let missing = row.iter().enumerate().filter(|(_, value)| value.is_none()).map(|(at, _)| at).collect();
        let row = row.into_iter().map(Option::unwrap_or_default).collect();
        (self.declaration.declare(row), missing)
    }
}

/// A column of the catalogue.
struct CatalogueRow {
    name: String,
    data_type: String,
    column_type: String,
    character_set: Option<String>,
    bytes: Option<usize>,
}

impl CatalogueRow {
    fn of(row: Vec<Value>) -> Self {
        let mut cells = row.into_iter();
        let mut next = || cells.next().and_then(text);
        let (name, data_type, column_type, character_set) = (next(), next(), next(), next());
        let bytes = cells.next().and_then(|value| match value {
            Value::Decimal(digits) => digits.parse().ok(),
            value => value.as_integer().and_then(|bytes| usize::try_from(bytes).ok()),
        });
        Self {
            name: name.unwrap_or_default(),
            data_type: data_type.unwrap_or_default().to_ascii_lowercase(),
            column_type: column_type.unwrap_or_default(),
            character_set,
            bytes,
        }
    }

    async fn kind(&self, link: &mut Link) -> Result<Kind> {
        let is_listed = matches!(self.data_type.as_str(), "enum" | "set");
        if !is_listed && self.column_type.to_ascii_uppercase().contains("COMPRESSED") {
            let message = format!(
                "the binary log tells the compressed values of column \"{}\" as they are stored",
                self.name
            );
            return Err(Error::new(ErrorKind::Capture, message));
        }
        Ok(match self.data_type.as_str() {
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint"
                if self.column_type.to_ascii_lowercase().contains("unsigned") =>
            {
                Kind::Unsigned
            }
            "enum" => Kind::Enum(listed(&self.column_type)),
            "set" => Kind::Set(listed(&self.column_type)),
            "binary" => Kind::FixedBytes(self.bytes.unwrap_or(0)),
            "uuid" => Kind::Uuid,
            "inet4" => Kind::Inet4,
            "inet6" => Kind::Inet6,
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => match &self.character_set
            {
                Some(name) => Kind::Text(Charset::find(link, name).await?),
                None => Kind::Plain,
            },
            _ => Kind::Plain,
        })
    }
}

/// The values of an enumeration or set, as its type lists them.
fn listed(column_type: &str) -> Vec<String> {
    let (mut values, mut characters) = (Vec::new(), column_type.chars().peekable());
    while let Some(character) = characters.next() {
        if character != '\'' {
            continue;
        }
        let mut value = String::new();
        while let Some(character) = characters.next() {
            if character == '\'' && characters.next_if_eq(&'\'').is_none() {
                break;
            }
            value.push(character);
        }
        values.push(value);
    }
    values
}

/// The kind of a column whose values are read only to get to the next one.
fn passed_over(mapped: MappedColumn) -> Kind {
    match mapped.type_number {
        types::ENUM => Kind::Enum(Vec::new()),
        types::SET => Kind::Set(Vec::new()),
        _ => Kind::Plain,
    }
}

/// Whether columns of a type are stored in the log so.
fn is_stored_as(data_type: &str, mapped: MappedColumn) -> bool {
    match mapped.type_number {
        types::TINY => data_type == "tinyint",
        types::SHORT => data_type == "smallint",
        types::INT24 => data_type == "mediumint",
        types::LONG => data_type == "int",
        types::LONGLONG => data_type == "bigint",
        types::FLOAT => data_type == "float",
        types::DOUBLE => data_type == "double",
        types::NEWDECIMAL => data_type == "decimal",
        types::YEAR => data_type == "year",
        types::DATE | types::NEWDATE => data_type == "date",
        types::TIME | types::TIME2 => data_type == "time",
        types::DATETIME | types::DATETIME2 => data_type == "datetime",
        types::TIMESTAMP | types::TIMESTAMP2 => data_type == "timestamp",
        types::BIT => data_type == "bit",
        types::ENUM => data_type == "enum",
        types::SET => data_type == "set",
        types::JSON => data_type == "json",
        types::VARCHAR | types::VAR_STRING => matches!(data_type, "varchar" | "varbinary"),
        types::STRING => matches!(data_type, "char" | "binary" | "uuid" | "inet4" | "inet6"),
        types::TINY_BLOB..=types::BLOB => data_type.ends_with("text") || data_type.ends_with("blob"),
        types::GEOMETRY => {
            data_type.starts_with("geom")
                || ["point", "linestring", "polygon"].iter().any(|shape| data_type.ends_with(shape))
        }
        types::VECTOR => data_type == "vector",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_an_enumeration_are_listed_as_they_are() {
        assert_eq!(listed("enum('it''s','b,c','')"), ["it's", "b,c", ""]);
        assert_eq!(listed("set()"), Vec::<String>::new());
    }
}
