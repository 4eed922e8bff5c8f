//! Rows of the table of changes as changes.

use std::collections::HashMap;
use std::sync::Arc;

use wire::replication::pgoutput::{Relation, RelationColumn, ReplicaIdentity};
use wire::{Connection, Param};

use super::objects::Objects;
use super::record::fields;
use super::value;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Change, Operation, Unchanged};
use crate::postgres::catalog;
use crate::postgres::decode::is_list_key;
use crate::postgres::log::logged_table::LoggedTable;
use crate::postgres::text::{array_literal, decode_column_text, decode_list_key_text};
use crate::table::{Row, Table};
use crate::value::Value;

/// A row of the table of changes.
pub(super) struct ChangeRow<'a> {
    /// The oid of the table.
    pub(super) relation: u32,
    pub(super) operation: &'a str,
    /// The name of the structure that its rows had.
    pub(super) structure: &'a str,
    pub(super) old_row: Option<&'a str>,
    pub(super) new_row: Option<&'a str>,
}

/// The tables of a reader, and how their rows came at each time.
pub(super) struct Tables {
    /// As the reader knows them, later as their changes had them last, by their oids.
    tables: HashMap<u32, Arc<Table>>,
    structures: HashMap<(u32, String), Arc<LoggedTable>>,
}

fn malformed() -> Error {
    Error::new(ErrorKind::Internal, "the table of changes holds a row in a form unknown to us")
}

impl Tables {
    pub(super) async fn find(connection: &mut Connection, tables: &[Arc<Table>]) -> Result<Self> {
        let mut found = HashMap::with_capacity(tables.len());
        for table in tables {
            if let Some(relation) = catalog::find(connection, &table.name).await? {
                found.insert(relation.oid(), Arc::clone(table));
            }
        }
        Ok(Self { tables: found, structures: HashMap::new() })
    }

    /// Their oids.
    pub(super) fn oids(&self) -> Value {
        Value::Array(self.tables.keys().map(|oid| Value::Text(oid.to_string())).collect())
    }

    pub(super) async fn change(
        &mut self,
        connection: &mut Connection,
        objects: &Objects,
        row: &ChangeRow<'_>,
    ) -> Result<Change> {
        if row.operation == "TRUNCATE" {
            let table = self.tables.get(&row.relation).cloned().ok_or_else(malformed)?;
            return Ok(Change { table, operation: Operation::Truncate });
        }
        let logged = self.structure(connection, objects, row).await?;
        let old = row.old_row.map(|text| whole_row(&logged, text)).transpose()?;
        let new = row.new_row.map(|text| whole_row(&logged, text)).transpose()?;
        let operation = match (old, new) {
            (None, Some(row)) => Operation::Insert { row },
            (Some(old), Some(row)) => {
                let old_key = Some(logged.table.key_of(&old)).filter(|key| *key != logged.table.key_of(&row));
                Operation::Update { old_key, row, unchanged: Unchanged::default() }
            }
            (Some(old), None) => Operation::Delete { key: logged.table.key_of(&old) },
            (None, None) => return Err(malformed()),
        };
        Ok(Change { table: Arc::clone(&logged.table), operation })
    }

    async fn structure(
        &mut self,
        connection: &mut Connection,
        objects: &Objects,
        row: &ChangeRow<'_>,
    ) -> Result<Arc<LoggedTable>> {
        let id = (row.relation, row.structure.to_owned());
        if let Some(logged) = self.structures.get(&id) {
            return Ok(Arc::clone(logged));
        }
        let known = self.tables.get(&row.relation).cloned().ok_or_else(malformed)?;
        let sql = format!("SELECT columns FROM {} WHERE id = $1", objects.structures());
        let columns = value(connection, &sql, &[Param::text(row.structure)]).await?.ok_or_else(malformed)?;
        let relation = described(row.relation, &columns).ok_or_else(malformed)?;
        let mut logged = LoggedTable::of(connection, &relation, &known).await?;
        in_order_of(&mut logged, &known);
        self.tables.insert(row.relation, Arc::clone(&logged.table));
        let logged = Arc::new(logged);
        self.structures.insert(id, Arc::clone(&logged));
        Ok(logged)
    }
}

/// The columns of a structure in the form in which the other log describes a table.
fn described(oid: u32, columns: &str) -> Option<Relation> {
    let Some(Value::Array(columns)) = array_literal(columns) else { return None };
    let column = |column: Value| {
        let Value::Array(parts) = column else { return None };
        let [name, type_oid, type_modifier] = parts.as_slice() else { return None };
        Some(RelationColumn {
            is_key: true,
            name: name.as_text()?.to_owned(),
            type_oid: type_oid.as_text()?.parse().ok()?,
            type_modifier: type_modifier.as_text()?.parse().ok()?,
        })
    };
    Some(Relation {
        oid,
        namespace: String::new(),
        name: String::new(),
        replica_identity: ReplicaIdentity::Full,
        columns: columns.into_iter().map(column).collect::<Option<_>>()?,
    })
}

/// A partition may have the columns of its root in another order.
fn in_order_of(logged: &mut LoggedTable, known: &Arc<Table>) {
    let place = |column: &crate::table::TableColumn| {
        let position = logged.table.position(&column.name)?;
        let same = logged.table.columns.get(position)?;
        (same.column_type == column.column_type).then(|| logged.places.get(position).copied().flatten())?
    };
    let places: Option<Vec<Option<usize>>> =
        known.columns.iter().map(|column| place(column).map(Some)).collect();
    if let Some(places) = places.filter(|places| places.len() == logged.table.columns.len()) {
        logged.table = Arc::clone(known);
        logged.places = places;
    }
}

/// The values of a row, in the order of the table.
fn whole_row(logged: &LoggedTable, text: &str) -> Result<Row> {
    let fields = fields(text).ok_or_else(malformed)?;
    let columns = logged.table.columns.iter().zip(&logged.places).enumerate();
    let values = columns.map(|(position, (column, place))| {
        let field = place.and_then(|place| fields.get(place)).ok_or_else(malformed)?;
        match field.as_deref() {
            None => Ok(Value::Null),
            Some(text) if is_list_key(&logged.table, position) => {
                decode_list_key_text(&column.column_type, text)
            }
            Some(text) => decode_column_text(&column.column_type, text),
        }
    });
    values.collect()
}
