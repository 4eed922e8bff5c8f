//! A table as the stream describes it, matched with the catalogue: how its rows come, and how they are handed on.

use std::sync::Arc;

use wire::replication::pgoutput::{Relation, ReplicaIdentity};
use wire::{Connection, Param};

use super::generated::Generated;
use crate::error::Result;
use crate::postgres::catalog;
use crate::postgres::encode::text_of;
use crate::postgres::types::{column_type, has_binary_form};
use crate::table::{ColumnType, Table, TableColumn};
use crate::value::Value;

/// A table as it was when the changes that follow were made.
#[derive(Debug)]
pub(in crate::postgres) struct LoggedTable {
    pub(in crate::postgres) table: Arc<Table>,
    /// For each column of the table, where its values stand in the rows of the stream; `None` for those that the
    /// database computes and the stream leaves out.
    pub(in crate::postgres) places: Vec<Option<usize>>,
    /// How the columns that the stream leaves out are computed.
    pub(super) generated: Option<Generated>,
}

impl LoggedTable {
    /// Whether every column that the stream sends has a binary form that is decoded here.
    pub(super) fn has_binary_form(&self) -> bool {
        let mut sent = self.table.columns.iter().zip(&self.places).filter(|(_, place)| place.is_some());
        sent.all(|(column, _)| has_binary_form(&column.column_type))
    }

    /// Matches the description of the stream with the catalogue. The catalogue is that of the present, so that it may
    /// already differ; then what the stream says counts.
    ///
    /// `known` is the table as the reader had it before.
    pub(in crate::postgres) async fn of(
        connection: &mut Connection,
        relation: &Relation,
        known: &Arc<Table>,
    ) -> Result<Self> {
        let sent = sent_columns(connection, relation).await?;
        let found = catalog::find(connection, &known.name).await?.filter(|found| found.oid() == relation.oid);
        let present = match &found {
            Some(found) => Some(catalog::describe(connection, found).await?.table),
            None => None,
        };
        let mut columns: Vec<(TableColumn, Option<usize>)> =
            sent.into_iter().enumerate().map(|(place, column)| (column, Some(place))).collect();
        if let Some(present) = &present {
            let is_current = is_current(&columns, present);
            for (column, _) in &mut columns {
                if let Some(same) = present.columns.iter().find(|same| same.name == column.name) {
                    column.nullable = same.nullable;
                }
            }
            // A column that was computed before still is, and one that the reader has not seen belongs to a later change.
            let is_wanted = |name: &str| is_current || known.position(name).is_some();
            add_generated(&mut columns, present, is_wanted);
        }
        let (columns, places): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let key = key_positions(&columns, relation, present.as_ref(), known);
        let references = present.as_ref().unwrap_or(known).references.clone();
        let table = Table { name: known.name.clone(), columns, key, references };
        let table = if table == **known { Arc::clone(known) } else { Arc::new(table) };
        let generated = match &found {
            Some(found) if places.contains(&None) => {
                Some(Generated::of(connection, found, &table, &places).await?)
            }
            _ => None,
        };
        Ok(Self { table, places, generated })
    }
}

/// Whether the catalogue has the same columns as the stream, besides those that are computed.
fn is_current(sent: &[(TableColumn, Option<usize>)], present: &Table) -> bool {
    let described = |name: &str| present.columns.iter().find(|column| column.name == name);
    let all_known = sent.iter().all(|(column, _)| {
        described(&column.name).is_some_and(|described| described.column_type == column.column_type)
    });
    let is_sent = |name: &str| sent.iter().any(|(column, _)| column.name == name);
    all_known && present.columns.iter().all(|column| column.generated || is_sent(&column.name))
}

/// Puts the computed columns where the catalogue has them: each behind the column that stands before it there.
fn add_generated(
    columns: &mut Vec<(TableColumn, Option<usize>)>,
    present: &Table,
    is_wanted: impl Fn(&str) -> bool,
) {
    let mut next = 0;
    for column in &present.columns {
        if let Some(position) = columns.iter().position(|(sent, _)| sent.name == column.name) {
            if let Some((sent, _)) = columns.get_mut(position) {
                sent.generated = column.generated;
            }
            next = position + 1;
        } else if column.generated && is_wanted(&column.name) {
            columns.insert(next, (column.clone(), None));
            next += 1;
        }
    }
}

/// The primary key, in its own order; every column where there is none and rows are told apart by all of them.
fn key_positions(
    columns: &[TableColumn],
    relation: &Relation,
    present: Option<&Table>,
    known: &Table,
) -> Vec<usize> {
    let identity: Vec<&str> =
        relation.columns.iter().filter(|column| column.is_key).map(|column| column.name.as_str()).collect();
    let is_full = relation.replica_identity == ReplicaIdentity::Full;
    for candidate in present.into_iter().chain([known]) {
        let names: Vec<&str> = candidate
            .key
            .iter()
            .filter_map(|position| candidate.columns.get(*position))
            .map(|key| key.name.as_str())
            .collect();
        // Under the default identity the columns of the key are told, though not their order.
        let is_told = !names.is_empty() && names.iter().all(|name| identity.contains(name));
        if is_told && (relation.replica_identity != ReplicaIdentity::Default || names.len() == identity.len())
        {
            return positions(columns, &names);
        }
    }
    if is_full { (0..columns.len()).collect() } else { positions(columns, &identity) }
}

fn positions(columns: &[TableColumn], names: &[&str]) -> Vec<usize> {
    names.iter().filter_map(|name| columns.iter().position(|column| column.name == *name)).collect()
}

/// The columns that the stream sends, with the types that the catalogue has under their oids.
async fn sent_columns(connection: &mut Connection, relation: &Relation) -> Result<Vec<TableColumn>> {
    let sql = "
        SELECT b.oid, m.modifier, format_type(b.oid, m.modifier),
               CASE WHEN b.typcategory = 'A' AND b.typlen = -1 THEN b.typelem ELSE 0 END,
               CASE WHEN b.typcategory = 'A' AND b.typlen = -1 THEN format_type(b.typelem, NULL) END
        FROM unnest($1::oid[], $2::int[]) WITH ORDINALITY AS k(oid, modifier, place)
        LEFT JOIN pg_type t ON t.oid = k.oid
        LEFT JOIN LATERAL (SELECT CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END AS base,
                                  CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE k.modifier END AS modifier) m ON true
        LEFT JOIN pg_type b ON b.oid = m.base ORDER BY k.place";
    let list = |number: fn(&wire::replication::pgoutput::RelationColumn) -> String| -> Param<'static> {
        let items = relation.columns.iter().map(|column| Value::Text(number(column))).collect();
        text_of(&Value::Array(items), None).into()
    };
    let parameters =
        [list(|column| column.type_oid.to_string()), list(|column| column.type_modifier.to_string())];
    let result = connection.query(sql, &parameters).await?;
    let mut columns = Vec::with_capacity(relation.columns.len());
    for (row, column) in result.rows.iter().zip(&relation.columns) {
        let text = |column: usize| -> Result<&str> { Ok(row.get_str(column)?.unwrap_or_default()) };
        let (oid, modifier) = (text(0)?.parse().unwrap_or_default(), text(1)?.parse().unwrap_or(-1));
        let own_type = match text(3)?.parse::<u32>().unwrap_or_default() {
            0 => column_type(oid, modifier, text(2)?),
            element => ColumnType::Array(Box::new(column_type(element, modifier, text(4)?))),
        };
        columns.push(TableColumn {
            name: column.name.clone(),
            column_type: own_type,
            nullable: true,
            generated: false,
        });
    }
    Ok(columns)
}
