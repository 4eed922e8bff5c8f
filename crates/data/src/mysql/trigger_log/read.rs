//! Reading recorded changes back, as values of their tables' columns.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::catalog::Described;
use super::super::pool::Link;
use super::super::session::fetch_on;
use super::super::store::StoredTable;
use super::capture::Source;
use super::own_tables::{CHANGE, OPERATION_DELETE, OPERATION_INSERT, number, order, values_table};
use crate::error::{Error, ErrorKind, Result};
use crate::log::change_table::{Chunk, EVENT_BYTES, EVENT_CHANGES};
use crate::log::{Change, LogReader, Operation, Unchanged};
use crate::sql::Access;
use crate::table::Table;
use crate::value::Value;

/// The layouts of a reader's tables.
pub(super) struct ReadLayouts(HashMap<i64, ReadLayout>);

/// A layout, and how its values become a row.
struct ReadLayout {
    table: Arc<Table>,
    described: Described,
    /// How many values of the key come first.
    keys: usize,
    /// The names of all values.
    names: String,
}

/// A change, before its values are read.
struct Head {
    seq: u64,
    id: u64,
    source: i64,
    operation: String,
}

impl ReadLayouts {
    /// The layouts of a reader's tables.
    pub(super) async fn new(link: &mut Link, reader: &LogReader, sources: &[Source]) -> Result<Self> {
        let mut layouts = HashMap::new();
        for source in sources {
            let Some(known) = reader.tables.iter().find(|table| table.name == source.table) else { continue };
            let (table, described) = source.layout.table(link, source.id, known).await?;
            let old = (0..source.layout.key.len()).map(|i| format!(", o{i}"));
            let names = old.chain((0..source.layout.columns.len()).map(|i| format!(", v{i}"))).collect();
            layouts.insert(source.id, ReadLayout { table, described, keys: source.layout.key.len(), names });
        }
        Ok(Self(layouts))
    }

    /// Reads changes behind one number, up to another.
    pub(super) async fn read(&self, link: &mut Link, behind: u64, up_to: u64) -> Result<Chunk> {
        let (heads, is_cut) = self.heads(link, behind, up_to).await?;
        let last = match heads.last() {
            Some(head) if is_cut => head.seq,
            _ => up_to,
        };
        let mut values = HashMap::new();
        for (source, layout) in &self.0 {
            let ids: Vec<u64> =
                heads.iter().filter(|head| head.source == *source).map(|head| head.id).collect();
            if !ids.is_empty() {
                values.extend(layout.values(link, *source, &ids).await?);
            }
        }
        let changes = heads.iter().map(|head| self.change(head, values.remove(&head.id)));
        Ok(Chunk { changes: changes.collect::<Result<_>>()?, last, is_cut })
    }

    /// As many changes as an event may hold.
    async fn heads(&self, link: &mut Link, behind: u64, up_to: u64) -> Result<(Vec<Head>, bool)> {
        if self.0.is_empty() {
            return Ok((Vec::new(), false));
        }
        let sources: Vec<String> = self.0.keys().map(ToString::to_string).collect();
        let sql = format!(
            "SELECT seq, id, source, operation, bytes FROM {CHANGE} WHERE seq > ? AND seq <= ? AND source IN ({}) \
             ORDER BY seq LIMIT {EVENT_CHANGES}",
            sources.join(", ")
        );
        let rows = fetch_on(link, Access::Read, &sql, &[number(behind), number(up_to)]).await?.rows;
        let (mut heads, mut bytes) = (Vec::with_capacity(rows.len()), 0);
        for row in rows {
            let [seq, id, source, Value::Text(operation), own_bytes] = row.as_slice() else {
                return Err(malformed());
            };
            heads.push(Head {
                seq: order(seq),
                id: order(id),
                source: source.as_integer().ok_or_else(malformed)?,
                operation: operation.clone(),
            });
            bytes += usize::try_from(order(own_bytes)).unwrap_or(EVENT_BYTES);
            if bytes >= EVENT_BYTES {
                return Ok((heads, true));
            }
        }
        let is_cut = heads.len() >= EVENT_CHANGES;
        Ok((heads, is_cut))
    }

    fn change(&self, head: &Head, values: Option<Vec<Value>>) -> Result<Change> {
        let layout = self.0.get(&head.source).ok_or_else(malformed)?;
        let stored = StoredTable::new(&layout.table, &layout.described);
        let mut values = values.ok_or_else(malformed)?;
        let row = values.split_off(layout.keys.min(values.len()));
        let old_key = || StoredTable::new(&layout.table, &layout.described).only_key().declare(values);
        let operation = match head.operation.as_str() {
            OPERATION_DELETE => Operation::Delete { key: old_key() },
            OPERATION_INSERT => Operation::Insert { row: stored.declare(row) },
            _ => {
                let (row, old_key) = (stored.declare(row), old_key());
                let has_moved = layout.table.key_of(&row) != old_key;
                Operation::Update {
                    old_key: has_moved.then_some(old_key),
                    row,
                    unchanged: Unchanged::default(),
                }
            }
        };
        Ok(Change { table: Arc::clone(&layout.table), operation })
    }
}

impl ReadLayout {
    /// The values of changes, by the numbers of those.
    async fn values(&self, link: &mut Link, source: i64, ids: &[u64]) -> Result<HashMap<u64, Vec<Value>>> {
        let places = vec!["?"; ids.len()].join(", ");
        let sql = format!("SELECT id{} FROM {} WHERE id IN ({places})", self.names, values_table(source));
        let params: Vec<Value> = ids.iter().map(|id| number(*id)).collect();
        let rows = fetch_on(link, Access::Read, &sql, &params).await?.rows;
        let values = rows.into_iter().filter_map(|row| {
            let mut cells = row.into_iter();
            Some((order(&cells.next()?), cells.collect()))
        });
        Ok(values.collect())
    }
}

fn malformed() -> Error {
    Error::new(ErrorKind::Internal, "a row of the table of changes is malformed")
}
