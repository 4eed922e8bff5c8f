//! The junctions of a SQL database: links read by the rows they belong to, and written as the difference.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use data::schema::JunctionNames;
use data::table::{Row, Table, TableColumn, TableStore, coerce};
use data::{Dialect, Error, ErrorKind, Result, Value};

use super::{ANY, Link, link_ids, list_of};

/// A database with junctions. Handed to the tasks of scans too.
#[derive(Clone)]
pub(super) struct Junctions(pub(super) Arc<dyn Dialect>);

impl Junctions {
    pub(super) fn tables(&self) -> Result<&dyn TableStore> {
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
    pub(super) async fn by_own_id(&self, junction: &JunctionNames) -> Result<Option<Table>> {
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
    pub(super) async fn fill(&self, places: &[(usize, Link)], key: usize, rows: &mut [Row]) -> Result<()> {
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
    pub(super) async fn write(
        &self,
        link: &Link,
        lists: &BTreeMap<String, (Value, Vec<String>)>,
    ) -> Result<()> {
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
pub(super) fn own_keys(table: &Table, ids: &[Vec<Value>]) -> Vec<Vec<Value>> {
    let Some(column) = table.columns.first() else { return Vec::new() };
    let fit = |id: &Value| coerce(id.clone(), &column.column_type, &ANY).ok().map(|coerced| coerced.value);
    ids.iter().filter_map(|id| Some(vec![fit(id.first()?)?])).collect()
}

pub(super) fn id_text(id: &Value) -> String {
    link_ids(id).into_iter().next().unwrap_or_default()
}
