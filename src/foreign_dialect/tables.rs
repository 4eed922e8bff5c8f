//! The tables of a dialect that an application brings: what its registered entities declare.

use std::sync::Arc;

use async_trait::async_trait;
use data::schema::{Discriminator, FieldType, ID, RelationKind};
use data::table::{
    BatchStream, ColumnType, Limits, ReadSnapshot, Row, RowBatch, ScanOptions, Table, TableColumn,
    TableStore, spawn_scan,
};
use data::{EntitySchema, Error, ErrorKind, Record, Result, Timestamp, Value};

use super::call::{ForeignCall, Request, keys_as_rows};
use crate::value::write_records;

/// Rows of a page of a scan. Each crosses the boundary as one text.
const PAGE_ROWS: usize = 1000;
/// Rows of one call that writes or fetches.
const ROWS_PER_CALL: usize = 500;
/// Pages that wait for their reader.
const PAGES_AHEAD: usize = 1;

/// The tables of a dialect that an application brings.
pub(super) struct ForeignTables {
    call: Arc<ForeignCall>,
    schemas: Vec<Arc<EntitySchema>>,
}

impl ForeignTables {
    pub(super) fn new(call: Arc<ForeignCall>, schemas: Vec<Arc<EntitySchema>>) -> Self {
        Self { call, schemas }
    }
}

/// The table of a collection, with the columns of every entity in it. A many-to-many relation is a column that lists ids.
fn table_of(collection: &str, schemas: &[Arc<EntitySchema>]) -> Option<Table> {
    let mut columns: Vec<TableColumn> = Vec::new();
    for column in
        schemas.iter().filter(|schema| schema.collection == collection).flat_map(|own| own.columns())
    {
        if columns.iter().all(|known| known.name != column.name()) {
            columns.push(TableColumn {
                name: column.name().to_owned(),
                column_type: match column.field_type() {
                    FieldType::String | FieldType::Text => ColumnType::Text(None),
                    FieldType::Number => ColumnType::Float64,
                    FieldType::Boolean => ColumnType::Bool,
                    FieldType::Date => ColumnType::Timestamp { zoned: true },
                    FieldType::Json | FieldType::Array => ColumnType::Json,
                },
                nullable: column.name() != ID,
                generated: false,
            });
        }
    }
    for schema in schemas.iter().filter(|schema| schema.collection == collection) {
        let lists = schema.relations.iter().filter(|(_, own)| own.kind == RelationKind::ManyToMany);
        for (name, _) in lists {
            if columns.iter().all(|known| known.name != *name) {
                columns.push(TableColumn {
                    name: name.clone(),
                    column_type: ColumnType::Json,
                    nullable: true,
                    generated: false,
                });
            }
        }
    }
    let key = columns.iter().position(|column| column.name == ID)?;
    Some(Table { name: collection.to_owned(), columns, key: vec![key], references: Vec::new() })
}

/// A record in the order of the columns. A database without a type of that kind may have given what stands for it.
fn row_of(table: &Table, mut record: Record) -> Row {
    let columns = table.columns.iter();
    columns
        .map(|column| {
            let value = record.swap_remove(&column.name).unwrap_or_default();
            match (&column.column_type, value) {
                (ColumnType::Bool, Value::Int32(number @ (0 | 1))) => Value::Bool(number == 1),
                (ColumnType::Timestamp { .. }, Value::Text(text)) => {
                    Timestamp::parse_iso(&text).map_or(Value::Text(text), Value::Timestamp)
                }
                (_, value) => value,
            }
        })
        .collect()
}

fn records_of(table: &Table, rows: &[Row]) -> Vec<Record> {
    let record = |row: &Row| {
        let entries = table.columns.iter().zip(row);
        entries.map(|(column, value)| (column.name.clone(), value.clone())).collect()
    };
    rows.iter().map(record).collect()
}

#[async_trait]
impl TableStore for ForeignTables {
    /// JavaScript's dates hold milliseconds.
    fn limits(&self) -> Limits {
        Limits { nan: true, infinity: true, microseconds: false, infinite_timestamp: false }
    }

    async fn list_tables(&self) -> Result<Vec<String>> {
        let mut names: Vec<_> = self.schemas.iter().map(|schema| schema.collection.clone()).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    async fn describe(&self, name: &str) -> Result<Option<Table>> {
        Ok(table_of(name, &self.schemas))
    }

    /// A table is what its entity declares; nothing can be added to it from here.
    async fn create_like(&self, source: &Table) -> Result<Table> {
        table_of(&source.name, &self.schemas).ok_or_else(|| {
            let message = format!(
                "no entity with the collection \"{}\" is registered; a dialect of the application's own stores entities only",
                source.name
            );
            Error::new(ErrorKind::UnknownTable, message)
        })
    }

    /// Rows are read as they are when the scan gets to them.
    async fn snapshot(&self) -> Result<Box<dyn ReadSnapshot>> {
        Ok(Box::new(Pages { call: Arc::clone(&self.call) }))
    }

    async fn is_empty(&self, table: &Table, discriminator: Option<&Discriminator>) -> Result<bool> {
        let request = Request {
            collection: Some(&table.name),
            limit: Some(1),
            keys_only: true,
            discriminator: discriminator.map(|own| (own.column.as_str(), own.value.as_str())),
            ..Request::default()
        };
        Ok(self.call.rows("scan", &request).await?.is_empty())
    }

    async fn fetch(&self, table: &Table, keys: &[Vec<Value>]) -> Result<Vec<Row>> {
        let mut rows = Vec::with_capacity(keys.len());
        for keys in keys.chunks(ROWS_PER_CALL) {
            let request = Request {
                collection: Some(&table.name),
                rows: Some(keys_as_rows(keys)?),
                ..Request::default()
            };
            let found = self.call.rows("fetch", &request).await?;
            rows.extend(found.into_iter().map(|record| row_of(table, record)));
        }
        Ok(rows)
    }

    fn batch_rows(&self) -> Option<usize> {
        Some(ROWS_PER_CALL)
    }

    /// An error is followed by deleting what this call has inserted.
    async fn insert(&self, table: &Table, batch: &RowBatch) -> Result<()> {
        let rows = batch.clone().into_rows()?;
        let mut written: Vec<Vec<Value>> = Vec::new();
        for rows in rows.chunks(ROWS_PER_CALL) {
            let request = Request {
                collection: Some(&table.name),
                rows: Some(write_records(&records_of(table, rows))?),
                ..Request::default()
            };
            if let Err(error) = self.call.run("insert", &request).await {
                // The first error is the one to report; the next run finds what could not be taken back.
                drop(self.delete(table, &written).await);
                return Err(error);
            }
            written.extend(rows.iter().map(|row| table.key_of(row)));
        }
        Ok(())
    }

    /// An error leaves what was written before it; writing it again changes nothing.
    async fn upsert(&self, table: &Table, rows: &[Row]) -> Result<()> {
        for rows in rows.chunks(ROWS_PER_CALL) {
            let request = Request {
                collection: Some(&table.name),
                rows: Some(write_records(&records_of(table, rows))?),
                ..Request::default()
            };
            self.call.run("upsert", &request).await?;
        }
        Ok(())
    }

    async fn delete(&self, table: &Table, keys: &[Vec<Value>]) -> Result<u64> {
        let mut deleted = 0;
        for keys in keys.chunks(ROWS_PER_CALL) {
            let request = Request {
                collection: Some(&table.name),
                rows: Some(keys_as_rows(keys)?),
                ..Request::default()
            };
            deleted += self.call.count("delete", &request).await?;
        }
        Ok(deleted)
    }
}

/// Reads tables page by page, in the order of their ids.
struct Pages {
    call: Arc<ForeignCall>,
}

#[async_trait]
impl ReadSnapshot for Pages {
    async fn scan(&self, table: Arc<Table>, options: ScanOptions) -> Result<BatchStream> {
        let call = Arc::clone(&self.call);
        let limit = options.batch_rows.unwrap_or(PAGE_ROWS).clamp(1, PAGE_ROWS);
        Ok(spawn_scan(PAGES_AHEAD, |sender| async move {
            let mut after: Option<Vec<Value>> = None;
            loop {
                let rows = page(&call, &table, &options, limit, after.take()).await?;
                let is_last = rows.len() < limit;
                after = rows.last().map(|row| table.key_of(row));
                let rows = match options.keys_only {
                    true => rows.iter().map(|row| table.key_of(row)).collect(),
                    false => rows,
                };
                if (!rows.is_empty() && sender.send(Ok(RowBatch::Rows(rows))).await.is_err()) || is_last {
                    return Ok(());
                }
            }
        }))
    }
}

async fn page(
    call: &ForeignCall,
    table: &Table,
    options: &ScanOptions,
    limit: usize,
    after: Option<Vec<Value>>,
) -> Result<Vec<Row>> {
    let last = after.clone();
    let request = Request {
        collection: Some(&table.name),
        rows: after.map(|after| keys_as_rows(&[after])).transpose()?,
        limit: Some(limit),
        keys_only: options.keys_only,
        discriminator: options.discriminator.as_ref().map(|own| (own.column.as_str(), own.value.as_str())),
        changed_since: options
            .changed_since
            .as_ref()
            .map(|since| (since.column.as_str(), since.moment.millis())),
        or_changed_since: options.changed_since.as_ref().and_then(|since| since.or_column.as_deref()),
    };
    let records = call.rows("scan", &request).await?;
    let rows: Vec<Row> = records.into_iter().map(|record| row_of(table, record)).collect();
    // Without an order by id, or without the condition on it, the scan would never end.
    if last.is_some() && rows.last().map(|row| table.key_of(row)) == last {
        let message = format!(
            "\"{}\": the dialect's find gives the same rows again; it must heed {{id: {{$gt}}}} and sort: {{id: 1}}",
            table.name
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_what_the_entities_of_its_collection_declare() {
        let schema = |json| Arc::new(EntitySchema::from_json(&json).unwrap());
        let schemas = [
            schema(json!({"name": "Cat", "collection": "pets", "discriminator": "kind", "timestamps": true,
                "relations": {"owners": {"type": "many-to-many", "target": "Person", "through": "pet_owners"}},
                "fields": {"name": {"type": "string"}, "lives": {"type": "number"}}})),
            schema(json!({"name": "Dog", "collection": "pets", "discriminator": "kind",
                "fields": {"name": {"type": "string"}, "good": {"type": "boolean"}}})),
        ];
        let table = table_of("pets", &schemas).unwrap();
        let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["id", "name", "lives", "kind", "createdAt", "updatedAt", "good", "owners"]);
        assert!(table_of("cars", &schemas).is_none());
        let record = Record::from_iter([
            ("good".to_owned(), Value::Int32(1)),
            ("updatedAt".to_owned(), Value::from("1970-01-01T00:00:00.000Z")),
        ]);
        let row = row_of(&table, record);
        assert_eq!(row.get(6), Some(&Value::Bool(true)));
        assert_eq!(row.get(5), Some(&Value::Timestamp(Timestamp(0))));
    }
}
