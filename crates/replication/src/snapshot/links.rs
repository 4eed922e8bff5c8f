//! Links of many-to-many relations as part of the rows they belong to.
//!
//! In MongoDB a document lists the ids that it is linked to; in SQL each link is a row of a junction table. Here a table
//! of SQL is given the list as a further column, filled from the junction when rows are read and carried back into it
//! when they are written, so that whoever compares and copies rows need not know of junctions.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use data::schema::{Discriminator, JunctionNames};
use data::table::{
    BatchStream, ColumnType, Limits, ReadSnapshot, Row, RowBatch, ScanOptions, Table, TableColumn,
    TableStore, coerce, spawn_scan,
};
use data::{Dialect, Error, ErrorKind, ObjectId, Result, Timestamp, Value};

/// Batches of rows that wait for their reader.
const BATCHES_AHEAD: usize = 1;

/// A relation whose links are listed in a column.
#[derive(Clone)]
pub(crate) struct Link {
    /// The column.
    pub(super) field: String,
    pub(super) junction: JunctionNames,
}

/// The column that lists links.
pub(super) fn list_column(field: &str) -> TableColumn {
    TableColumn { name: field.to_owned(), column_type: ColumnType::Json, nullable: true, generated: false }
}

/// A list of links in the form of one side: no id twice, in one order. 24 hexadecimal digits are an object id in a
/// document, as the keys that they point to are. A document without links has no list.
pub(super) fn list_of(value: Value, in_document: bool) -> Value {
    let ids = link_ids(&value);
    if in_document && ids.is_empty() {
        return Value::Null;
    }
    let form = |id: String| match ObjectId::parse(&id).filter(|_| in_document) {
        Some(id) => Value::ObjectId(id),
        None => Value::Text(id),
    };
    Value::Array(ids.into_iter().map(form).collect())
}

/// Whether two lists hold the same links.
pub(super) fn same_links(a: &Value, b: &Value) -> bool {
    link_ids(a) == link_ids(b)
}

/// The ids of a list as text, in order.
fn link_ids(value: &Value) -> Vec<String> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        Value::Null => &[],
        single => std::slice::from_ref(single),
    };
    let text = |item: &Value| coerce(item.clone(), &ColumnType::Text(None), &ANY).ok();
    let mut ids: Vec<String> = items
        .iter()
        .filter_map(text)
        .filter_map(|coerced| coerced.value.as_text().map(str::to_owned))
        .filter(|id| !id.is_empty())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

const ANY: Limits = Limits { nan: true, infinity: true, microseconds: true, infinite_timestamp: true };

/// The tables of a SQL database, of which one has links as further columns.
#[derive(Clone)]
pub(crate) struct LinkedTables {
    inner: Inner,
    table: String,
    links: Vec<Link>,
}

/// What is handed to the tasks of scans too.
#[derive(Clone)]
struct Inner(Arc<dyn Dialect>);

impl Inner {
    fn tables(&self) -> Result<&dyn TableStore> {
        self.0.tables().ok_or_else(|| Error::new(ErrorKind::Internal, "the end of a rule has no tables"))
    }

    /// The links of rows with these ids: the ids listed, by the text of the own one.
    async fn read(
        &self,
        junction: &JunctionNames,
        ids: &[Vec<Value>],
    ) -> Result<HashMap<String, Vec<Value>>> {
        let mut lists: HashMap<String, Vec<Value>> = HashMap::new();
        let Some(table) = self.by_own_id(junction).await? else {
            return Ok(lists);
        };
        let keys = own_keys(&table, ids);
        for row in self.tables()?.fetch(&table, &keys).await? {
            if let [own, other] = row.as_slice() {
                lists.entry(id_text(own)).or_default().push(other.clone());
            }
        }
        Ok(lists)
    }

    /// The junction as a table of two columns that is looked up by the own one; `None` if there is none.
    async fn by_own_id(&self, junction: &JunctionNames) -> Result<Option<Table>> {
        let Some(table) = self.tables()?.describe(&junction.table).await? else {
            return Ok(None);
        };
        let column = |name: &str| {
            let found = table.columns.iter().find(|column| column.name == name);
            found.cloned().ok_or_else(|| {
                let message = format!("junction \"{}\" has no column \"{name}\"", junction.table);
                Error::new(ErrorKind::Schema, message)
            })
        };
        let columns = vec![column(&junction.own)?, column(&junction.other)?];
        Ok(Some(Table { name: table.name.clone(), columns, key: vec![0], references: Vec::new() }))
    }

    /// Fills in the lists of rows. `places` says where each link's list goes.
    async fn fill(&self, places: &[(usize, Link)], key: usize, rows: &mut [Row]) -> Result<()> {
        let ids: Vec<Vec<Value>> = rows.iter().filter_map(|row| Some(vec![row.get(key)?.clone()])).collect();
        for (place, link) in places {
            let mut lists = self.read(&link.junction, &ids).await?;
            for row in rows.iter_mut() {
                let list = row.get(key).and_then(|id| lists.remove(&id_text(id))).unwrap_or_default();
                if let Some(slot) = row.get_mut(*place) {
                    *slot = list_of(Value::Array(list), false);
                }
            }
        }
        Ok(())
    }

    /// Makes the links of rows those listed, touching only the difference.
    async fn write(&self, link: &Link, lists: &BTreeMap<String, (Value, Vec<String>)>) -> Result<()> {
        let ids: Vec<Vec<Value>> = lists.values().map(|(id, _)| vec![id.clone()]).collect();
        let existing = self.read(&link.junction, &ids).await?;
        let Some(table) = self.by_own_id(&link.junction).await? else {
            let message = format!("junction \"{}\" does not exist", link.junction.table);
            return Err(Error::new(ErrorKind::UnknownTable, message));
        };
        let table = Table { key: vec![0, 1], ..table };
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        for (own, (id, wanted)) in lists {
            let held: HashSet<String> = existing.get(own).into_iter().flatten().map(id_text).collect();
            let row = |other: &String| as_row(&table, id, other);
            for other in held.iter().filter(|other| !wanted.contains(other)) {
                gone.push(row(other)?);
            }
            for other in wanted.iter().filter(|other| !held.contains(*other)) {
                new.push(row(other)?);
            }
        }
        if !gone.is_empty() {
            self.tables()?.delete(&table, &gone).await?;
        }
        if !new.is_empty() {
            // Another process may have made the same link meanwhile.
            self.tables()?.upsert(&table, &new).await?;
        }
        Ok(())
    }
}

/// A row of a junction, in the types of its columns.
fn as_row(table: &Table, own: &Value, other: &str) -> Result<Row> {
    let values = [own.clone(), Value::from(other)];
    let fit = |(value, column): (Value, &TableColumn)| {
        coerce(value, &column.column_type, &ANY)
            .map(|coerced| coerced.value)
            .map_err(|error| error.in_context(format!("column \"{}\"", column.name)))
    };
    values.into_iter().zip(&table.columns).map(fit).collect()
}

/// Keys in the type of the junction's own column. What does not fit it has no links.
fn own_keys(table: &Table, ids: &[Vec<Value>]) -> Vec<Vec<Value>> {
    let Some(column) = table.columns.first() else { return Vec::new() };
    let fit = |id: &Value| coerce(id.clone(), &column.column_type, &ANY).ok().map(|coerced| coerced.value);
    ids.iter().filter_map(|id| Some(vec![fit(id.first()?)?])).collect()
}

fn id_text(id: &Value) -> String {
    link_ids(id).into_iter().next().unwrap_or_default()
}

impl LinkedTables {
    pub(super) fn new(dialect: Arc<dyn Dialect>, table: String, links: Vec<Link>) -> Self {
        Self { inner: Inner(dialect), table, links }
    }

    /// Where the lists stand in rows of a table, if it is the one that has links.
    fn places(&self, table: &Table) -> Vec<(usize, Link)> {
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

fn single_key(table: &Table) -> Option<usize> {
    match table.key.as_slice() {
        [single] => Some(*single),
        _ => None,
    }
}

/// A table without the columns at these places.
fn without(table: &Table, places: &[(usize, Link)]) -> Table {
    let is_list = |position: usize| places.iter().any(|(place, _)| *place == position);
    let before = |position: usize| places.iter().filter(|(place, _)| *place < position).count();
    Table {
        name: table.name.clone(),
        columns: table
            .columns
            .iter()
            .enumerate()
            .filter(|(position, _)| !is_list(*position))
            .map(|(_, column)| column.clone())
            .collect(),
        key: table.key.iter().map(|position| position - before(*position)).collect(),
        references: table.references.clone(),
    }
}

/// Rows without the values at these places.
fn rows_without(rows: &[Row], places: &[(usize, Link)]) -> Vec<Row> {
    let is_list = |position: usize| places.iter().any(|(place, _)| *place == position);
    let cut = |row: &Row| -> Row {
        let values = row.iter().enumerate().filter(|(position, _)| !is_list(*position));
        values.map(|(_, value)| value.clone()).collect()
    };
    rows.iter().map(cut).collect()
}

/// Makes room for the lists in rows that were read without them.
fn make_room(rows: &mut [Row], places: &[(usize, Link)]) {
    let mut positions: Vec<usize> = places.iter().map(|(place, _)| *place).collect();
    positions.sort_unstable();
    for row in rows {
        for position in &positions {
            row.insert((*position).min(row.len()), Value::Null);
        }
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
        Ok(Box::new(LinkedSnapshot { inner, tables: self.clone() }))
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

/// A view of the rows in which lists are filled in as the junctions are now.
struct LinkedSnapshot {
    inner: Box<dyn ReadSnapshot>,
    tables: LinkedTables,
}

#[async_trait]
impl ReadSnapshot for LinkedSnapshot {
    async fn scan(&self, table: Arc<Table>, options: ScanOptions) -> Result<BatchStream> {
        self.tables.scan_in(self.inner.as_ref(), table, options).await
    }
}

impl LinkedTables {
    /// Reads a table in a snapshot of the plain tables, and fills in the lists.
    pub(super) async fn scan_in(
        &self,
        snapshot: &dyn ReadSnapshot,
        table: Arc<Table>,
        options: ScanOptions,
    ) -> Result<BatchStream> {
        let places = self.places(&table);
        let plain = Arc::new(without(&table, &places));
        let Some(key) = single_key(&table).filter(|_| !places.is_empty() && !options.keys_only) else {
            return snapshot.scan(plain, options).await;
        };
        let options = ScanOptions { binary_tuples: false, ..options };
        let mut batches = snapshot.scan(plain, options).await?;
        let tables = self.inner.clone();
        Ok(spawn_scan(BATCHES_AHEAD, |sender| async move {
            while let Some(batch) = batches.recv().await {
                let mut rows = batch?.into_rows()?;
                make_room(&mut rows, &places);
                tables.fill(&places, key, &mut rows).await?;
                if sender.send(Ok(RowBatch::Rows(rows))).await.is_err() {
                    break;
                }
            }
            Ok(())
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_links_are_equal_in_any_order_and_form() {
        let hex = "65a1f0c2d4e5b6a798897766";
        let id = Value::ObjectId(ObjectId::parse(hex).unwrap());
        let in_sql = Value::Array(vec![hex.into(), "b".into()]);
        assert!(same_links(&in_sql, &Value::Array(vec!["b".into(), id.clone(), "b".into()])));
        assert!(same_links(&Value::Null, &Value::Array(Vec::new())));
        assert!(!same_links(&in_sql, &Value::Array(vec![id.clone()])));
        assert_eq!(list_of(in_sql, true), Value::Array(vec![id, "b".into()]));
        assert_eq!(list_of(Value::Array(Vec::new()), true), Value::Null);
    }

    #[test]
    fn a_row_keeps_its_columns_around_the_lists() {
        let junction = JunctionNames { table: "j".into(), own: "a".into(), other: "b".into() };
        let link = |field: &str| Link { field: field.to_owned(), junction: junction.clone() };
        let places = [(1, link("x")), (3, link("y"))];
        let row = vec![Value::Int32(0), Value::Null, Value::Int32(2), Value::Null];
        let mut rows = rows_without(std::slice::from_ref(&row), &places);
        assert_eq!(rows, [vec![Value::Int32(0), Value::Int32(2)]]);
        make_room(&mut rows, &places);
        assert_eq!(rows, [row]);
        let columns = ["x", "k"].map(list_column).to_vec();
        let table = Table { name: "t".into(), columns, key: vec![1], references: Vec::new() };
        assert_eq!(without(&table, &places[..1]).key, [1]);
        assert_eq!(without(&table, &[(0, link("x"))]).key, [0]);
    }
}
