//! Columns that the database computes and the log leaves out: their values are computed at the source.
//!
//! Their expressions are immutable, so that they have the same value now as when the row was written.

use std::sync::Arc;

use wire::{Connection, Param, QueryOptions};

use super::logged_table::LoggedTable;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Change, Operation, Unchanged};
use crate::postgres::catalog::{self, Relation, quoted};
use crate::postgres::decode::decode;
use crate::postgres::encode::text_of;
use crate::postgres::load;
use crate::postgres::pool::Pool;
use crate::postgres::stored::StoredTypes;
use crate::postgres::types::selected;
use crate::table::{Row, Table, TableColumn};
use crate::value::Value;

/// How the computed columns of a table come about.
#[derive(Debug)]
pub(super) struct Generated {
    /// Positions in the table of the computed columns.
    columns: Vec<usize>,
    /// Positions of the columns that they are computed from.
    inputs: Vec<usize>,
    /// Computes them from one list for each of the inputs, all as text.
    statement: String,
}

impl Generated {
    /// Reads the expressions of the columns that have no place in the rows of the stream.
    pub(super) async fn of(
        connection: &mut Connection,
        relation: &Relation,
        table: &Table,
        places: &[Option<usize>],
    ) -> Result<Self> {
        // The dependencies of a computed column stand with itself or with its expression, by the version of the server.
        let sql = "
            SELECT a.attname, pg_get_expr(d.adbin, d.adrelid), i.attname, format_type(i.atttypid, i.atttypmod)
            FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
            LEFT JOIN pg_depend p
              ON p.refclassid = 'pg_class'::regclass AND p.refobjid = d.adrelid
             AND p.refobjsubid > 0 AND p.refobjsubid <> d.adnum
             AND ((p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid)
                  OR (p.classid = 'pg_class'::regclass AND p.objid = d.adrelid AND p.objsubid = d.adnum))
            LEFT JOIN pg_attribute i ON i.attrelid = d.adrelid AND i.attnum = p.refobjsubid
            WHERE d.adrelid = $1::oid AND a.attgenerated <> '' ORDER BY a.attnum, i.attnum";
        let result = connection.query(sql, &[Param::text(relation.oid().to_string())]).await?;
        let (mut columns, mut inputs, mut types, mut expressions) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for row in result.rows.iter() {
            let text = |column: usize| -> Result<&str> { Ok(row.get_str(column)?.unwrap_or_default()) };
            let Some(position) = table.position(text(0)?).filter(|own| places.get(*own) == Some(&None))
            else {
                continue;
            };
            if !columns.contains(&position) {
                columns.push(position);
                expressions.push(text(1)?.to_owned());
            }
            if let Some(input) = table.position(text(2)?)
                && !inputs.contains(&input)
            {
                inputs.push(input);
                types.push(text(3)?.to_owned());
            }
        }
        let statement = statement(table, &columns, &expressions, &inputs, &types);
        Ok(Self { columns, inputs, statement })
    }

    /// Computes the columns of rows from their inputs; the results are in the order of the rows.
    async fn compute(&self, connection: &mut Connection, table: &Table, rows: &[&Row]) -> Result<Vec<Row>> {
        let mut parameters: Vec<Param<'_>> = Vec::with_capacity(self.inputs.len() + 1);
        for input in &self.inputs {
            let own_type = table.columns.get(*input).map(|column| &column.column_type);
            let text = |row: &&Row| row.get(*input).and_then(|value| text_of(value, own_type)).into();
            parameters.push(text_of(&Value::Array(rows.iter().map(text).collect()), None).into());
        }
        parameters.push(Param::text(rows.len().to_string()));
        let result = connection.query_with(&self.statement, &parameters, &QueryOptions::binary()).await?;
        let mut computed = Vec::with_capacity(rows.len());
        for row in result.rows.iter() {
            let columns = self.columns.iter().filter_map(|position| table.columns.get(*position));
            let values = row.iter().zip(columns).map(|(field, column)| {
                field.map_or(Ok(Value::Null), |field| decode(&column.column_type, field))
            });
            computed.push(values.collect::<Result<Row>>()?);
        }
        if computed.len() != rows.len() {
            return Err(Error::new(ErrorKind::Internal, "computed columns came for another number of rows"));
        }
        Ok(computed)
    }
}

fn statement(
    table: &Table,
    columns: &[usize],
    expressions: &[String],
    inputs: &[usize],
    types: &[String],
) -> String {
    let name = |position: &usize| {
        table.columns.get(*position).map_or_else(String::new, |column| quoted(&column.name))
    };
    let computed: Vec<_> = columns
        .iter()
        .zip(expressions)
        .filter_map(|(position, expression)| {
            let column_type = &table.columns.get(*position)?.column_type;
            Some(selected(&format!("({expression})"), column_type))
        })
        .collect();
    let last = inputs.len() + 1;
    let lists: Vec<_> = (1..=inputs.len()).map(|number| format!("${number}::text[]")).collect();
    let from = if lists.is_empty() {
        format!("generate_series(1, ${last}::bigint) AS v(place)")
    } else {
        let names: Vec<_> = (0..inputs.len()).map(|number| format!("v{number}")).collect();
        // The number of rows is told in any case, so that the statement has as many parameters.
        format!(
            "unnest({}, ARRAY(SELECT generate_series(1, ${last}::bigint))) AS v({}, place)",
            lists.join(", "),
            names.join(", ")
        )
    };
    let casts: Vec<_> = inputs
        .iter()
        .zip(types)
        .enumerate()
        .map(|(number, (input, type_name))| format!("v{number}::{type_name} AS {}, ", name(input)))
        .collect();
    format!(
        "SELECT {} FROM (SELECT {}v.place AS \"replicaverse place\" FROM {from}) AS r ORDER BY \"replicaverse place\"",
        computed.join(", "),
        casts.concat()
    )
}

/// A change, and its table as the stream has described it.
pub(super) struct Pending {
    pub(super) change: Change,
    pub(super) logged: Arc<LoggedTable>,
}

/// Puts the computed columns into the rows of changes.
pub(super) async fn complete(pool: &Pool, pending: &mut [Pending]) -> Result<()> {
    let mut tables: Vec<(Arc<LoggedTable>, Vec<usize>)> = Vec::new();
    for (position, Pending { logged, .. }) in pending.iter().enumerate() {
        if logged.generated.is_none() {
            continue;
        }
        match tables.iter_mut().find(|(known, _)| Arc::ptr_eq(known, logged)) {
            Some((_, positions)) => positions.push(position),
            None => tables.push((Arc::clone(logged), vec![position])),
        }
    }
    for (logged, positions) in tables {
        if let Some(generated) = &logged.generated {
            let mut connection = pool.get().await?;
            complete_table(&mut connection, generated, &logged.table, pending, &positions).await?;
        }
    }
    Ok(())
}

/// Completes the changes of one table, which stand at these positions.
async fn complete_table(
    connection: &mut Connection,
    generated: &Generated,
    table: &Arc<Table>,
    pending: &mut [Pending],
    positions: &[usize],
) -> Result<()> {
    let mut rows = Vec::with_capacity(positions.len());
    let mut computed_of = Vec::with_capacity(positions.len());
    let mut untold = Vec::new();
    for position in positions {
        let Some(Pending { change, .. }) = pending.get(*position) else { continue };
        match &change.operation {
            Operation::Update { row, unchanged, .. }
                if generated.inputs.iter().any(|input| unchanged.contains(*input)) =>
            {
                untold.push((*position, table.key_of(row)));
            }
            Operation::Insert { row } | Operation::Update { row, .. } => {
                rows.push(row);
                computed_of.push(*position);
            }
            Operation::Delete { .. } | Operation::Truncate => {}
        }
    }
    let computed =
        if rows.is_empty() { Vec::new() } else { generated.compute(connection, table, &rows).await? };
    for (position, values) in computed_of.into_iter().zip(computed) {
        set(pending, position, &generated.columns, Some(values));
    }
    if !untold.is_empty() {
        complete_from_source(connection, generated, table, pending, untold).await?;
    }
    Ok(())
}

/// Completes updates that leave out a value from which a column is computed: it is read from the row as it is now. If the
/// row has changed since, or is gone, a later change in the log says so.
async fn complete_from_source(
    connection: &mut Connection,
    generated: &Generated,
    table: &Table,
    pending: &mut [Pending],
    untold: Vec<(usize, Vec<Value>)>,
) -> Result<()> {
    let read = Table {
        name: table.name.clone(),
        columns: table
            .key
            .iter()
            .chain(&generated.columns)
            .filter_map(|at| table.columns.get(*at))
            .cloned()
            .collect::<Vec<TableColumn>>(),
        key: (0..table.key.len()).collect(),
        references: Vec::new(),
    };
    let mut present = Vec::new();
    if let Some(relation) = catalog::find(connection, &table.name).await? {
        let catalogued = catalog::describe(connection, &relation).await?.table;
        let has_all = read.columns.iter().all(|column| catalogued.position(&column.name).is_some());
        if has_all {
            let keys: Vec<_> = untold.iter().map(|(_, key)| key.clone()).collect();
            present = load::fetch(connection, &relation, &StoredTypes::of(&catalogued, &read), &keys).await?;
        }
    }
    for (position, key) in untold {
        let found = present.iter().find(|row| row.get(..key.len()) == Some(key.as_slice()));
        let values = found.map(|row| row.get(key.len()..).unwrap_or_default().to_vec());
        set(pending, position, &generated.columns, values);
    }
    Ok(())
}

/// Sets the computed columns of a change, or says that they are not known.
fn set(pending: &mut [Pending], position: usize, columns: &[usize], values: Option<Row>) {
    let Some(Pending { change, .. }) = pending.get_mut(position) else { return };
    match (&mut change.operation, values) {
        (Operation::Insert { row } | Operation::Update { row, .. }, Some(values)) => {
            for (column, value) in columns.iter().zip(values) {
                if let Some(place) = row.get_mut(*column) {
                    *place = value;
                }
            }
        }
        (Operation::Update { unchanged, .. }, None) => {
            let mut positions: Vec<_> = unchanged.iter().chain(columns.iter().copied()).collect();
            positions.sort_unstable();
            *unchanged = Unchanged::columns(positions);
        }
        _ => {}
    }
}
