//! The tables of a SQL database, of which one has links as further columns.

use std::sync::Arc;

use async_trait::async_trait;
use data::schema::Discriminator;
use data::table::{ColumnType, Limits, ReadSnapshot, Row, RowBatch, Table, TableColumn, TableStore};
use data::{Dialect, Result, Timestamp, Value};

use super::columns::{make_room, rows_without, single_key, without};
use super::junction::{Junctions, id_text, own_keys};
use super::scan::LinkedSnapshot;
use super::{ANY, Link, link_ids, list_column};

/// The tables of a SQL database, of which one has links as further columns.
#[derive(Clone)]
pub(crate) struct LinkedTables {
    pub(super) inner: Junctions,
    table: String,
    links: Vec<Link>,
}

impl LinkedTables {
    pub(in crate::snapshot) fn new(dialect: Arc<dyn Dialect>, table: String, links: Vec<Link>) -> Self {
        Self { inner: Junctions(dialect), table, links }
    }

    /// Where the lists stand in rows of a table, if it is the one that has links.
    pub(super) fn places(&self, table: &Table) -> Vec<(usize, Link)> {
        if table.name != self.table {
            return Vec::new();
        }
        self.links.iter().filter_map(|link| Some((table.position(&link.field)?, link.clone()))).collect()
    }

    /// The description with the lists. A column of that name that the table has itself gives way.
    fn with_lists(&self, mut table: Table) -> Table {
        if table.name == self.table {
            for link in &self.links {
                match table.columns.iter_mut().find(|column| column.name == link.field) {
                    Some(column) => *column = list_column(&link.field),
                    None => table.columns.push(list_column(&link.field)),
                }
            }
        }
        table
    }

    /// Writes rows and then their links. If the links are refused the rows stay; the next run finds that they differ.
    async fn write_links(&self, table: &Table, places: &[(usize, Link)], rows: &[Row]) -> Result<()> {
        let Some(key) = single_key(table) else { return Ok(()) };
        for (place, link) in places {
            let list = |row: &Row| {
                let id = row.get(key)?;
                Some((id_text(id), (id.clone(), link_ids(row.get(*place)?))))
            };
            self.inner.write(link, &rows.iter().filter_map(list).collect()).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl TableStore for LinkedTables {
    fn limits(&self) -> Limits {
        self.inner.tables().map_or(ANY, TableStore::limits)
    }

    async fn list_tables(&self) -> Result<Vec<String>> {
        self.inner.tables()?.list_tables().await
    }

    async fn describe(&self, name: &str) -> Result<Option<Table>> {
        Ok(self.inner.tables()?.describe(name).await?.map(|table| self.with_lists(table)))
    }

    async fn create_like(&self, source: &Table) -> Result<Table> {
        let places = self.places(source);
        let table = self.inner.tables()?.create_like(&without(source, &places)).await?;
        for link in self.links.iter().filter(|_| source.name == self.table) {
            let column = |name: &str| TableColumn {
                name: name.to_owned(),
                column_type: ColumnType::Text(None),
                nullable: false,
                generated: false,
            };
            if self.inner.tables()?.describe(&link.junction.table).await?.is_none() {
                let junction = Table {
                    name: link.junction.table.clone(),
                    columns: vec![column(&link.junction.own), column(&link.junction.other)],
                    key: vec![0, 1],
                    references: Vec::new(),
                };
                self.inner.tables()?.create_like(&junction).await?;
            }
        }
        Ok(self.with_lists(table))
    }

    async fn snapshot(&self) -> Result<Box<dyn ReadSnapshot>> {
        let inner = self.inner.tables()?.snapshot().await?;
        Ok(Box::new(LinkedSnapshot::new(inner, self.clone())))
    }

    async fn estimate_rows(&self, table: &Table) -> Result<Option<u64>> {
        self.inner.tables()?.estimate_rows(&without(table, &self.places(table))).await
    }

    async fn clock(&self) -> Result<Timestamp> {
        self.inner.tables()?.clock().await
    }

    async fn is_empty(&self, table: &Table, discriminator: Option<&Discriminator>) -> Result<bool> {
        self.inner.tables()?.is_empty(&without(table, &self.places(table)), discriminator).await
    }

    async fn fetch(&self, table: &Table, keys: &[Vec<Value>]) -> Result<Vec<Row>> {
        let places = self.places(table);
        let mut rows = self.inner.tables()?.fetch(&without(table, &places), keys).await?;
        if let (false, Some(key)) = (places.is_empty(), single_key(table)) {
            make_room(&mut rows, &places);
            self.inner.fill(&places, key, &mut rows).await?;
        }
        Ok(rows)
    }

    fn batch_rows(&self) -> Option<usize> {
        self.inner.tables().ok().and_then(TableStore::batch_rows)
    }

    fn write_concurrency(&self) -> usize {
        self.inner.tables().map_or(1, TableStore::write_concurrency)
    }

    async fn insert(&self, table: &Table, batch: &RowBatch) -> Result<()> {
        let places = self.places(table);
        let rows = batch.clone().into_rows()?;
        let plain = RowBatch::Rows(rows_without(&rows, &places));
        self.inner.tables()?.insert(&without(table, &places), &plain).await?;
        self.write_links(table, &places, &rows).await
    }

    async fn upsert(&self, table: &Table, rows: &[Row]) -> Result<()> {
        let places = self.places(table);
        self.inner.tables()?.upsert(&without(table, &places), &rows_without(rows, &places)).await?;
        self.write_links(table, &places, rows).await
    }

    async fn delete(&self, table: &Table, keys: &[Vec<Value>]) -> Result<u64> {
        // Links first: if the rows cannot be deleted, the next run makes their links anew.
        for link in self.links.iter().filter(|_| table.name == self.table) {
            if let Some(junction) = self.inner.by_own_id(&link.junction).await? {
                self.inner.tables()?.delete(&junction, &own_keys(&junction, keys)).await?;
            }
        }
        self.inner.tables()?.delete(&without(table, &self.places(table)), keys).await
    }
}
