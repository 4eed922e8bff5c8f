//! The keys that are to be settled.

use data::log::Operation;
use data::table::Table;
use data::{Timestamp, Value};
use indexmap::IndexMap;

use super::side::Which;
use crate::bidirectional::Pair;
use crate::snapshot::canonical_key;

/// A key that is to be settled.
#[derive(Debug, Clone)]
pub(super) struct Touched {
    /// As the source and as the target have it.
    pub(super) key: Vec<Value>,
    pub(super) target_key: Vec<Value>,
    /// When the row was deleted at the source and at the target, if that is the last that their logs have told of it.
    pub(super) deleted_at: [Option<Timestamp>; 2],
    /// Up to where the logs of the source and of the target are to be read before the key is decided: the side lacks the row,
    /// and is to tell when that was deleted, or may tell of a change that makes room for the row at the other side.
    awaits: [Option<u64>; 2],
}

impl Touched {
    /// Up to where the log of a side is waited for, once it was.
    pub(super) fn awaited(&self, which: Which) -> Option<u64> {
        let [source, target] = self.awaits;
        if which == Which::Source { source } else { target }
    }

    /// Waits for the log of a side. Each is waited for once, so that two sides never wait for each other in turns.
    pub(super) fn wait_for(&mut self, which: Which, head: Option<u64>) {
        let [source, target] = &mut self.awaits;
        *(if which == Which::Source { source } else { target }) = head;
    }
}

/// The keys that are to be settled, for each collection.
pub(super) struct Dirty {
    pub(super) pairs: Vec<IndexMap<String, Touched>>,
}

impl Dirty {
    pub(super) fn none(pairs: usize) -> Self {
        Self { pairs: (0..pairs).map(|_| IndexMap::new()).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.iter().map(IndexMap::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pairs.iter().all(IndexMap::is_empty)
    }

    /// Whether a key of the source is to be settled.
    pub(super) fn has(&self, index: usize, key: &[Value]) -> bool {
        self.pairs.get(index).is_some_and(|keys| keys.contains_key(&canonical_key(key)))
    }

    /// Adds a key as a side has it; `false` if the other side cannot hold such a key.
    pub(super) fn touch(
        &mut self,
        index: usize,
        pair: &Pair,
        which: Which,
        key: Vec<Value>,
        deleted_at: Option<Timestamp>,
    ) -> bool {
        let mapping = &pair.to_target.mapping;
        let both = match which {
            Which::Source => mapping.target_key(&key).map(|target_key| (key, target_key)),
            Which::Target => mapping.source_key(&key).map(|source_key| (source_key, key)),
        };
        let (Some((key, target_key)), Some(keys)) = (both, self.pairs.get_mut(index)) else { return false };
        let touched = keys.entry(canonical_key(&key)).or_insert_with(|| Touched {
            key,
            target_key,
            deleted_at: [None, None],
            awaits: [None; 2],
        });
        match which {
            Which::Source => touched.deleted_at[0] = deleted_at,
            Which::Target => touched.deleted_at[1] = deleted_at,
        }
        true
    }

    /// Notes for every key of a collection when a side was emptied.
    pub(super) fn empty(&mut self, index: usize, emptied_at: [Option<Timestamp>; 2]) {
        let keys = self.pairs.get_mut(index).into_iter().flat_map(IndexMap::values_mut);
        for touched in keys {
            for (deleted_at, emptied_at) in touched.deleted_at.iter_mut().zip(emptied_at) {
                *deleted_at = emptied_at.or(*deleted_at);
            }
        }
    }

    /// Puts a key back that is to be settled once more. What its logs have told meanwhile is newer.
    pub(super) fn put_back(&mut self, index: usize, touched: Touched) {
        let Some(keys) = self.pairs.get_mut(index) else { return };
        keys.entry(canonical_key(&touched.key)).or_insert(touched);
    }
}

/// The keys that a change concerns, each with whether it has no row afterwards.
pub(super) fn keys_of(table: &Table, operation: Operation) -> Vec<(Vec<Value>, bool)> {
    match operation {
        Operation::Insert { row } => vec![(table.key_of(&row), false)],
        Operation::Update { old_key, row, .. } => {
            let moved = old_key.into_iter().map(|key| (key, true));
            moved.chain([(table.key_of(&row), false)]).collect()
        }
        Operation::Delete { key } => vec![(key, true)],
        Operation::Truncate => Vec::new(),
    }
}
