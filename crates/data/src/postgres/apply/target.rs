//! The tables that transactions write, with the types by which PostgreSQL knows their columns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use wire::{Column, Connection, Param};

use super::super::catalog::{self, Relation, quoted};
use super::super::stored::StoredTypes;
use super::super::types::selected;
use super::array::{ArrayColumn, Element};
use crate::error::{Error, ErrorKind, Result};
use crate::table::{Table, TableColumn};
use crate::value::Value;

/// The tables looked up so far, by name.
#[derive(Default)]
pub(in super::super) struct Targets(Mutex<HashMap<String, Arc<Target>>>);

/// A table as the catalogue has it.
pub(super) struct Target {
    pub(super) relation: Relation,
    table: Table,
    types: HashMap<String, OwnType>,
}

/// The type of a column; of a domain, the one that it is made of.
struct OwnType {
    oid: u32,
    /// As `format_type` writes it, without a length.
    sql: String,
}

/// The oids of `text` and `varchar`, between which text needs no cast.
const TEXT_TYPES: [u32; 2] = [25, 1043];

impl Targets {
    /// The table that a description is of.
    pub(super) async fn get(&self, connection: &mut Connection, table: &Table) -> Result<Arc<Target>> {
        let known = self.lock().get(&table.name).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let target = Arc::new(Target::look_up(connection, &table.name).await?);
        self.lock().insert(table.name.clone(), Arc::clone(&target));
        Ok(target)
    }

    /// Has a table looked up anew the next time.
    pub(in super::super) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Target>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target {
    async fn look_up(connection: &mut Connection, name: &str) -> Result<Self> {
        let relation = catalog::find(connection, name).await?;
        let unknown = || Error::new(ErrorKind::UnknownTable, format!("table \"{name}\" does not exist"));
        let relation = relation.ok_or_else(unknown)?;
        let table = catalog::describe(connection, &relation).await?.table;
        let sql = "
            SELECT a.attname, b.oid, format_type(b.oid, -1)
            FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
            JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
            WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped";
        let result = connection.query(sql, &[Param::text(relation.quoted.as_str())]).await?;
        let mut types = HashMap::with_capacity(result.rows.len());
        for row in result.rows.iter() {
            let text = |column: usize| -> Result<&str> { Ok(row.get_str(column)?.unwrap_or_default()) };
            let own = OwnType { oid: text(1)?.parse().unwrap_or_default(), sql: text(2)?.to_owned() };
            types.insert(text(0)?.to_owned(), own);
        }
        Ok(Self { relation, table, types })
    }

    /// How the columns of a description are read.
    pub(super) fn stored(&self, table: &Table) -> StoredTypes {
        StoredTypes::of(&self.table, table)
    }

    /// Whether the columns of a result still have the types by which they are decoded. Others have been cast.
    pub(super) fn reads(&self, table: &Table, columns: &[Column]) -> bool {
        table.columns.iter().zip(columns).all(|(column, read)| {
            let name = quoted(&column.name);
            let own = self.types.get(&column.name);
            selected(&name, &column.column_type) != name || own.is_some_and(|own| own.oid == read.type_oid)
        })
    }

    /// The values of one column, as an array.
    pub(super) fn array<'v>(
        &self,
        column: &TableColumn,
        values: impl ExactSizeIterator<Item = &'v Value> + Clone,
    ) -> ArrayColumn {
        let element = self.types.get(&column.name).map_or(Element::Text, |own| Element::of_type(own.oid));
        ArrayColumn::of(values, element, &column.column_type)
    }

    /// An element of an array, as a value of the column.
    pub(super) fn typed(&self, column: &TableColumn, element: Element, name: &str) -> String {
        match self.types.get(&column.name) {
            Some(own) if element == Element::Text && !TEXT_TYPES.contains(&own.oid) => {
                format!("{name}::{}", own.sql)
            }
            _ => name.to_owned(),
        }
    }

    /// Whether an array can be compared with the column as it is.
    pub(super) fn is_comparable(&self, column: &TableColumn, element: Element) -> bool {
        element != Element::Text
            || self.types.get(&column.name).is_some_and(|own| TEXT_TYPES.contains(&own.oid))
    }

    /// The names of columns, quoted.
    pub(super) fn names<'c>(columns: impl IntoIterator<Item = &'c TableColumn>) -> Vec<String> {
        columns.into_iter().map(|column| quoted(&column.name)).collect()
    }
}
