//! The rows of a source, read into memory and brought into the types of the target before anything is timed.

use std::sync::Arc;

use data::table::{Row, ScanOptions, Table, TableStore, coerce};
use data::{ConnectionConfig, Dialect, Error, ErrorKind, Value};

use crate::job::{Failure, Place};

/// Rows that only need to be inserted.
pub(crate) struct Ready {
    /// The target's table, which exists and is empty.
    pub(crate) table: Table,
    /// Its rows, their values in the order of its columns.
    pub(crate) rows: Vec<Row>,
}

impl Ready {
    /// A prepared INSERT of so many rows, with names in these quotes.
    pub(crate) fn insert_of(&self, rows: usize, quote: char) -> String {
        let quoted = |name: &str| {
            let doubled = name.replace(quote, &format!("{quote}{quote}"));
            format!("{quote}{doubled}{quote}")
        };
        let names: Vec<String> = self.table.columns.iter().map(|column| quoted(&column.name)).collect();
        let tuple = format!("({})", vec!["?"; names.len()].join(", "));
        let tuples = vec![tuple; rows].join(", ");
        format!("INSERT INTO {} ({}) VALUES {tuples}", quoted(&self.table.name), names.join(", "))
    }
}

/// Makes the target's table as a replication would, and reads the source's rows for it.
pub(crate) async fn ready_rows(source: &Place, target: &Place, name: &str) -> Result<Ready, Failure> {
    let source = connect(source).await?;
    let target = connect(target).await?;
    let (source_tables, target_tables) = (tables(source.as_ref())?, tables(target.as_ref())?);
    let source_table =
        source_tables.describe(name).await?.ok_or_else(|| Failure::NoTable(name.to_owned()))?;
    let table = target_tables.create_like(&source_table).await?;
    let limits = target_tables.limits();
    let positions: Vec<Option<usize>> =
        table.columns.iter().map(|column| source_table.position(&column.name)).collect();

    let snapshot = source_tables.snapshot().await?;
    let mut batches = snapshot.scan(Arc::new(source_table), ScanOptions::default()).await?;
    let mut rows = Vec::new();
    while let Some(batch) = batches.recv().await {
        for mut row in batch?.into_rows()? {
            let values = table.columns.iter().zip(&positions).map(|(column, position)| {
                let value = position.and_then(|position| row.get_mut(position)).map(std::mem::take);
                coerce(value.unwrap_or_default(), &column.column_type, &limits).map(|coerced| coerced.value)
            });
            rows.push(values.collect::<Result<Vec<Value>, Error>>()?);
        }
    }
    source.disconnect().await?;
    target.disconnect().await?;
    Ok(Ready { table, rows })
}

async fn connect(place: &Place) -> Result<Arc<dyn Dialect>, Failure> {
    Ok(data::connect(&ConnectionConfig::new(place.kind()?, &place.uri)).await?)
}

fn tables(dialect: &dyn Dialect) -> Result<&dyn TableStore, Error> {
    dialect.tables().ok_or_else(|| Error::new(ErrorKind::Internal, "the database has no tables"))
}
