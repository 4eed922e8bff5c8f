//! Changes that a first copy has already seen: those of a chunk's keys up to the position that the chunk was read at.

use std::collections::HashMap;
use std::sync::Arc;

use data::Value;
use data::log::{Change, ChangeLog, Operation, Position};
use data::table::Table;

use super::chunk::Chunk;

/// The chunks of a first copy with their positions.
#[derive(Default)]
pub(super) struct Watermarks {
    tables: HashMap<String, Marks>,
    largest: Option<u64>,
}

/// The chunks of a table.
struct Marks {
    bounds: Vec<Vec<Value>>,
    positions: Vec<u64>,
}

/// What a transaction's changes come to behind the watermarks.
#[derive(Default)]
pub(super) struct Unseen {
    pub(super) changes: Vec<Change>,
    /// A table that was truncated when only a part of it had been copied.
    pub(super) half_truncated: Option<Arc<Table>>,
    /// Tables that were truncated before they were copied. A target that was copied to before may still have the rows that
    /// went.
    pub(super) truncated: Vec<Arc<Table>>,
    /// Keys that lost their rows before the copy saw them. A target that was copied to before may still have those rows.
    pub(super) departed: Vec<(Arc<Table>, Vec<Vec<Value>>)>,
}

impl Watermarks {
    /// Those of chunks that have been copied, in the order of their tables and numbers.
    pub(super) fn of(chunks: &[Chunk]) -> Self {
        let mut marks = Self::default();
        for chunk in chunks {
            let position = chunk.position.as_ref().map_or(0, |position| position.order);
            let table = marks
                .tables
                .entry(chunk.table.clone())
                .or_insert_with(|| Marks { bounds: Vec::new(), positions: Vec::new() });
            table.bounds.extend(chunk.upper_bound.clone());
            table.positions.push(position);
            marks.largest = marks.largest.max(Some(position));
        }
        marks
    }

    /// Whether there are chunks, all of which a position lies behind.
    pub(super) fn are_passed_by(&self, position: &Position) -> bool {
        self.largest.is_some_and(|largest| position.order > largest)
    }

    /// Whether every row of a table was copied at this position or behind it.
    pub(super) fn have_copied(&self, table: &str, position: &Position) -> bool {
        self.tables.get(table).is_some_and(|marks| marks.positions.iter().all(|mark| position.order <= *mark))
    }

    /// Leaves out what the copy has seen of the changes of a transaction whose commit lies at a position.
    pub(super) async fn unseen(
        &self,
        log: &dyn ChangeLog,
        changes: Vec<Change>,
        position: &Position,
    ) -> data::Result<Unseen> {
        let mut unseen = Unseen::default();
        if self.largest.is_none_or(|largest| position.order > largest) {
            unseen.changes = changes;
            return Ok(unseen);
        }
        // Changes keep their order, so that they are looked at in runs of one table.
        let mut run: Vec<Change> = Vec::new();
        for change in changes {
            if run.first().is_some_and(|first| !Arc::ptr_eq(&first.table, &change.table)) {
                self.run(log, std::mem::take(&mut run), position, &mut unseen).await?;
            }
            run.push(change);
        }
        self.run(log, run, position, &mut unseen).await?;
        Ok(unseen)
    }

    async fn run(
        &self,
        log: &dyn ChangeLog,
        run: Vec<Change>,
        position: &Position,
        unseen: &mut Unseen,
    ) -> data::Result<()> {
        let Some(table) = run.first().map(|first| Arc::clone(&first.table)) else { return Ok(()) };
        let Some(marks) = self.tables.get(&table.name) else {
            unseen.changes.extend(run);
            return Ok(());
        };
        let seen: Vec<bool> = marks.positions.iter().map(|mark| position.order <= *mark).collect();
        if !seen.contains(&true) {
            unseen.changes.extend(run);
            return Ok(());
        }
        let is_truncated = run.iter().any(|change| change.operation == Operation::Truncate);
        if is_truncated && seen.contains(&false) {
            unseen.half_truncated = Some(table);
            return Ok(());
        }
        if is_truncated {
            unseen.truncated.push(Arc::clone(&table));
        }
        if !seen.contains(&false) {
            let keys: Vec<_> = run.iter().filter_map(|change| left_key(&change.operation)).cloned().collect();
            unseen.departed.push((table, keys));
            return Ok(());
        }
        let keys: Vec<Vec<Value>> =
            run.iter().flat_map(|change| keys_of(&table, &change.operation)).collect();
        let parts = log.locate(&table, &marks.bounds, &keys).await?;
        let mut departed = Vec::new();
        let mut seen_keys = parts.iter().map(|part| seen.get(*part).copied().unwrap_or(false));
        for change in run {
            let known: Vec<bool> =
                keys_of(&table, &change.operation).map(|_| seen_keys.next().unwrap_or(false)).collect();
            // The key that is left is the last of them.
            if known.last() == Some(&true) {
                departed.extend(left_key(&change.operation).cloned());
            }
            unseen.changes.extend(cut(change, &known));
        }
        unseen.departed.push((table, departed));
        Ok(())
    }
}

/// The key that has no row after a change.
fn left_key(operation: &Operation) -> Option<&Vec<Value>> {
    match operation {
        Operation::Delete { key } => Some(key),
        Operation::Update { old_key, .. } => old_key.as_ref(),
        Operation::Insert { .. } | Operation::Truncate => None,
    }
}

/// The keys that a change concerns: the one it leaves, then an older one.
fn keys_of(table: &Table, operation: &Operation) -> impl Iterator<Item = Vec<Value>> + use<> {
    let (key, old_key) = match operation {
        Operation::Insert { row } => (Some(table.key_of(row)), None),
        Operation::Update { old_key, row, .. } => (Some(table.key_of(row)), old_key.clone()),
        Operation::Delete { key } => (Some(key.clone()), None),
        Operation::Truncate => (None, None),
    };
    key.into_iter().chain(old_key)
}

/// What is left of a change, given for each of its keys whether the copy has seen it.
fn cut(change: Change, seen: &[bool]) -> Option<Change> {
    let Change { table, operation } = change;
    let operation = match (operation, seen) {
        (_, [true]) | (_, [true, true]) => return None,
        (Operation::Update { old_key: Some(key), .. }, [true, false]) => Operation::Delete { key },
        (Operation::Update { row, unchanged, .. }, [false, true]) => {
            Operation::Update { old_key: None, row, unchanged }
        }
        (operation, _) => operation,
    };
    Some(Change { table, operation })
}
