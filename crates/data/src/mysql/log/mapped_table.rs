//! Tables as rows of the log have them, and the changes that rows tell.

use std::sync::Arc;

use super::super::pool::Pool;
use super::assemble::lost;
use super::bytes::{Bytes, bit, malformed};
use super::event::{Rows, RowsForm, RowsKind};
use super::json_diff::changed;
use super::layout::Layout;
use super::table_map::{MappedColumn, TableMap, types};
use super::value::{pass_over, value};
use crate::error::{Error, Result};
use crate::log::{Operation, Unchanged};
use crate::table::{Row, Table};
use crate::value::Value;

/// A table of the reader.
pub(super) struct ReadTable {
    known: Arc<Table>,
    layout: Option<Arc<Layout>>,
    /// Whether a statement may have changed its columns since its layout was found.
    pub(super) is_stale: bool,
    /// Whether it was dropped, or has another name now.
    pub(super) is_gone: bool,
}

/// A table as rows that follow have it.
pub(super) struct MappedTable {
    map: TableMap,
    pub(super) layout: Arc<Layout>,
    /// What the log said of it.
    event: Vec<u8>,
}

impl ReadTable {
    pub(super) fn new(known: &Arc<Table>) -> Self {
        Self { known: Arc::clone(known), layout: None, is_stale: false, is_gone: false }
    }

    /// The table as its last changes were told.
    pub(super) fn told(&self) -> Arc<Table> {
        Arc::clone(self.layout.as_ref().map_or(&self.known, |layout| &layout.table))
    }

    /// Notes the columns that the table has before the log is read, so that a change of them is known for one even where no
    /// row comes before it. What cannot be told of them is an error only when there are rows to read.
    pub(super) async fn look_ahead(&mut self, pool: &Pool) -> Result<()> {
        let live = Layout::live(&mut *pool.get().await?, &self.known, None).await;
        self.layout = live.ok().flatten().map(Arc::new);
        Ok(())
    }

    /// The layout of rows of this form: the one of before, as long as nothing says otherwise, else the one of the catalogue.
    pub(super) async fn layout_of(&mut self, pool: &Pool, map: &TableMap) -> Result<Arc<Layout>> {
        let before = self.layout.clone().filter(|layout| layout.fits(map));
        if let Some(before) = before.as_ref().filter(|_| !self.is_stale) {
            return Ok(Arc::clone(before));
        }
        let live = Layout::live(&mut *pool.get().await?, &self.told(), self.layout.as_deref()).await?;
        let found = match live {
            Some(live) if live.fits(map) => Some(Arc::new(live)),
            // The catalogue is ahead of the log.
            live => before.or_else(|| live.and_then(|live| live.by_names(map)).map(Arc::new)),
        };
        let found = found.ok_or_else(|| {
            lost(&format!(
                "table \"{}\" has had other columns, whose names the log does not tell; SET GLOBAL binlog_row_metadata = \
                 'FULL' has it tell them from now on",
                self.known.name
            ))
        })?;
        self.is_stale = false;
        self.layout = Some(Arc::clone(&found));
        Ok(found)
    }
}

impl MappedTable {
    /// A table as an event of the log says.
    pub(super) fn new(map: TableMap, layout: Arc<Layout>, event: &[u8]) -> Self {
        Self { map, layout, event: event.to_vec() }
    }

    /// Whether an event says the same.
    pub(super) fn is_told_by(&self, event: &[u8]) -> bool {
        self.event == event
    }

    /// Reads the next change.
    pub(super) fn operation(
        &self,
        rows: &Rows<'_>,
        form: RowsForm,
        bytes: &mut Bytes<'_>,
    ) -> Result<Operation> {
        if rows.columns != self.map.columns.len() {
            return Err(malformed());
        }
        let table = &self.layout.table;
        match form.kind {
            RowsKind::Insert => {
                Ok(Operation::Insert { row: self.whole_row(self.values(rows.present, true, bytes)?)? })
            }
            RowsKind::Delete => {
                let (row, missing) = self.layout.row(self.values(rows.present, false, bytes)?);
                Ok(Operation::Delete { key: self.key_of(&row, &missing)? })
            }
            RowsKind::Update => {
                // What did not change may be left out.
                let is_whole = !form.is_partial && (0..rows.columns).all(|at| bit(rows.present_after, at));
                let before = self.values(rows.present, !is_whole, bytes)?;
                let after = if form.is_partial {
                    self.partial_values(rows.present_after, &before, bytes)?
                } else {
                    self.values(rows.present_after, true, bytes)?
                };
                let after =
                    after.into_iter().zip(&before).map(|(after, before)| after.or_else(|| before.clone()));
                let row = self.whole_row(after.collect())?;
                let (before, missing) = self.layout.row(before);
                let old_key = self.key_of(&before, &missing)?;
                let has_moved = table.key_of(&row) != old_key;
                Ok(Operation::Update {
                    old_key: has_moved.then_some(old_key),
                    row,
                    unchanged: Unchanged::default(),
                })
            }
        }
    }

    /// The values of a row in the order of the log; `None` for columns that it does not have, and unless all are wanted, for
    /// those that are not of the key.
    fn values(&self, present: &[u8], wants_all: bool, bytes: &mut Bytes<'_>) -> Result<Vec<Option<Value>>> {
        let count = (0..self.map.columns.len()).filter(|at| bit(present, *at)).count();
        let nulls = bytes.take(count.div_ceil(8))?;
        let mut number = 0;
        let mut values = Vec::with_capacity(self.map.columns.len());
        for (at, (column, mapped)) in self.layout.columns.iter().zip(&self.map.columns).enumerate() {
            if !bit(present, at) {
                values.push(None);
                continue;
            }
            let is_null = bit(nulls, number);
            number += 1;
            values.push(match (is_null, wants_all || self.layout.is_key(at)) {
                (true, true) => Some(Value::Null),
                (false, true) => Some(value(&column.kind, *mapped, bytes)?),
                (false, false) => {
                    pass_over(*mapped, bytes)?;
                    None
                }
                (true, false) => None,
            });
        }
        Ok(values)
    }

    /// The values of a row of which documents may be told by their changes.
    fn partial_values(
        &self,
        present: &[u8],
        before: &[Option<Value>],
        bytes: &mut Bytes<'_>,
    ) -> Result<Vec<Option<Value>>> {
        /// That documents are told so, and bits follow that say which.
        const PARTIAL_JSON: usize = 1;
        let is_json = |mapped: &&MappedColumn| mapped.type_number == types::JSON;
        let documents = self.map.columns.iter().filter(is_json).count();
        let told = bytes.packed()?;
        let partial = if told & PARTIAL_JSON != 0 { bytes.take(documents.div_ceil(8))? } else { &[] };
        let count = (0..self.map.columns.len()).filter(|at| bit(present, *at)).count();
        let nulls = bytes.take(count.div_ceil(8))?;
        let (mut number, mut document) = (0, 0);
        let mut values = Vec::with_capacity(self.map.columns.len());
        for (at, (column, mapped)) in self.layout.columns.iter().zip(&self.map.columns).enumerate() {
            let is_partial = is_json(&mapped) && bit(partial, document);
            document += usize::from(is_json(&mapped));
            if !bit(present, at) {
                values.push(None);
                continue;
            }
            let is_null = bit(nulls, number);
            number += 1;
            values.push(Some(match (is_null, is_partial) {
                (true, _) => Value::Null,
                (false, false) => value(&column.kind, *mapped, bytes)?,
                (false, true) => {
                    let length = bytes.length(usize::from(mapped.first.clamp(1, 4)))?;
                    let own = before.get(at).cloned().flatten().ok_or_else(not_whole)?;
                    changed(own, bytes.take(length)?)?
                }
            }));
        }
        Ok(values)
    }

    fn whole_row(&self, values: Vec<Option<Value>>) -> Result<Row> {
        let (row, missing) = self.layout.row(values);
        if missing.is_empty() { Ok(row) } else { Err(not_whole()) }
    }

    fn key_of(&self, row: &[Value], missing: &[usize]) -> Result<Vec<Value>> {
        let table = &self.layout.table;
        if table.key.iter().any(|position| missing.contains(position)) {
            return Err(not_whole());
        }
        Ok(table.key_of(row))
    }
}

fn not_whole() -> Error {
    lost("a session has written rows that the log does not tell whole (binlog_row_image is not FULL there)")
}
