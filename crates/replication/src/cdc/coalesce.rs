//! What a group of transactions comes to: for each key its last state, so that every row is written once.
//!
//! A group holds whole transactions, or a part of one that is too large to be held. The order of its changes is only given
//! up between different keys; what a unique index makes of that is dealt with when they are written.

use data::log::Operation;
use data::{Timestamp, Value};
use indexmap::IndexMap;

use super::choose::Chosen;
use super::routes::{Layout, Route};
use crate::snapshot::canonical_key;

/// The rows of one collection that a group changes.
#[derive(Default)]
pub(super) struct RowChanges {
    /// Whether every row was removed before these changes.
    pub(super) truncated: bool,
    /// What becomes of each key, by its canonical text.
    pub(super) nets: IndexMap<String, Net>,
    /// The keys of rows whose links changed.
    pub(super) relinked: IndexMap<String, Vec<Value>>,
    /// What has been chosen of these changes already.
    pub(super) chosen: Option<Chosen>,
}

/// What becomes of a key.
#[derive(Debug, PartialEq)]
pub(super) enum Net {
    /// It has a row.
    Write(Written),
    /// It has none.
    Delete {
        /// The key at the source.
        key: Vec<Value>,
        /// When it lost its row.
        at: Timestamp,
        /// Whether the group itself had inserted the row.
        was_new: bool,
    },
}

/// A row as a group leaves it.
#[derive(Debug, PartialEq)]
pub(super) struct Written {
    /// The row, in the order of the source table.
    pub(super) row: Vec<Value>,
    /// Columns of the source table whose values no change told, in ascending order; they hold NULL.
    pub(super) missing: Vec<usize>,
    /// The key under which the target held those values before the group; none for the row's own.
    pub(super) origin: Option<Vec<Value>>,
    /// Whether the group inserted the row.
    pub(super) is_new: bool,
}

impl Net {
    /// The key at the source.
    pub(super) fn key(&self, route: &Route) -> Vec<Value> {
        match self {
            Self::Delete { key, .. } => key.clone(),
            Self::Write(written) => route.collection.mapping.source.key_of(&written.row),
        }
    }
}

impl RowChanges {
    /// Whether nothing changes.
    pub(super) fn is_empty(&self) -> bool {
        !self.truncated && self.nets.is_empty() && self.relinked.is_empty() && self.chosen.is_none()
    }

    /// Adds a change. Rows come in the order of `layout`.
    pub(super) fn add(&mut self, route: &Route, layout: &Layout, operation: Operation, at: Timestamp) {
        let source = &route.collection.mapping.source;
        match operation {
            Operation::Insert { row } => {
                let row = layout.row(row);
                if route.is_meant(&row) {
                    let (key, untold) = (source.key_of(&row), layout.untold(std::iter::empty()));
                    if untold.is_empty() {
                        self.insert(key, row);
                    } else {
                        // It was logged before columns were added, whose values in it only a later copy knows.
                        self.update(None, key, row, untold, at);
                    }
                }
            }
            Operation::Update { old_key, row, unchanged } => {
                let row = layout.row(row);
                let key = source.key_of(&row);
                if route.is_meant(&row) {
                    self.update(old_key, key, row, layout.untold(unchanged.iter()), at);
                } else {
                    // It may have been a row of this entity before.
                    self.delete(old_key.unwrap_or(key), at);
                }
            }
            Operation::Delete { key } => self.delete(key, at),
            Operation::Truncate => {
                self.nets.clear();
                self.relinked.clear();
                self.truncated = true;
            }
        }
    }

    fn insert(&mut self, key: Vec<Value>, row: Vec<Value>) {
        let canonical = canonical_key(&key);
        let is_new = match self.nets.get(&canonical) {
            Some(Net::Write(before)) => before.is_new,
            Some(Net::Delete { was_new, .. }) => *was_new,
            None => true,
        };
        let written = Written { row, missing: Vec::new(), origin: None, is_new };
        self.nets.insert(canonical, Net::Write(written));
    }

    fn update(
        &mut self,
        old_key: Option<Vec<Value>>,
        key: Vec<Value>,
        mut row: Vec<Value>,
        unchanged: Vec<usize>,
        at: Timestamp,
    ) {
        let canonical = canonical_key(&key);
        let moved_from = old_key.filter(|old| canonical_key(old) != canonical);
        let before = moved_from.as_deref().map_or_else(|| canonical.clone(), canonical_key);
        let (mut missing, mut origin, mut is_new) = (unchanged, None, false);
        if let Some(Net::Write(earlier)) = self.nets.get(&before) {
            // What an earlier change of the group told need not be looked up.
            missing.retain(|column| {
                if earlier.missing.binary_search(column).is_ok() {
                    return true;
                }
                if let (Some(slot), Some(value)) = (row.get_mut(*column), earlier.row.get(*column)) {
                    slot.clone_from(value);
                }
                false
            });
            origin.clone_from(&earlier.origin);
            is_new = earlier.is_new;
        }
        if missing.is_empty() {
            origin = None;
        } else if origin.is_none() {
            origin.clone_from(&moved_from);
        }
        if let Some(old) = moved_from {
            self.nets.insert(before, Net::Delete { key: old, at, was_new: is_new });
            is_new = !matches!(self.nets.get(&canonical), Some(Net::Delete { was_new: false, .. }));
        }
        self.nets.insert(canonical, Net::Write(Written { row, missing, origin, is_new }));
    }

    fn delete(&mut self, key: Vec<Value>, at: Timestamp) {
        let canonical = canonical_key(&key);
        let was_new = match self.nets.get(&canonical) {
            Some(Net::Write(before)) => before.is_new,
            Some(Net::Delete { was_new, .. }) => *was_new,
            None => false,
        };
        self.nets.insert(canonical, Net::Delete { key, at, was_new });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp(0);

    fn key(number: i32) -> Vec<Value> {
        vec![Value::Int32(number)]
    }

    fn row(number: i32, text: &str) -> Vec<Value> {
        vec![Value::Int32(number), Value::from(text), Value::Null]
    }

    fn toast(number: i32, text: &str, toast: &str) -> Vec<Value> {
        vec![Value::Int32(number), Value::from(text), Value::from(toast)]
    }

    fn written(changes: &RowChanges, number: i32) -> &Written {
        match changes.nets.get(&canonical_key(&key(number))) {
            Some(Net::Write(written)) => written,
            other => panic!("{other:?} is no row"),
        }
    }

    fn is_deleted(changes: &RowChanges, number: i32) -> bool {
        matches!(changes.nets.get(&canonical_key(&key(number))), Some(Net::Delete { .. }))
    }

    #[test]
    fn an_unchanged_value_comes_from_the_insert_of_the_same_group() {
        let mut changes = RowChanges::default();
        changes.insert(key(1), toast(1, "a", "long"));
        changes.update(None, key(1), row(1, "b"), vec![2], AT);
        let written = written(&changes, 1);
        assert_eq!(
            (&written.row, written.missing.is_empty(), written.is_new),
            (&toast(1, "b", "long"), true, true)
        );
    }

    #[test]
    fn an_unchanged_value_that_nobody_told_is_missing_under_the_first_key() {
        let mut changes = RowChanges::default();
        changes.update(Some(key(1)), key(2), row(2, "a"), vec![2], AT);
        changes.update(Some(key(2)), key(3), row(3, "b"), vec![2], AT);
        let written = written(&changes, 3);
        assert_eq!((&written.missing, &written.origin), (&vec![2], &Some(key(1))));
        assert!(is_deleted(&changes, 1) && is_deleted(&changes, 2));
    }

    #[test]
    fn keys_that_are_swapped_keep_their_rows() {
        let mut changes = RowChanges::default();
        changes.update(Some(key(1)), key(9), row(9, "one"), vec![2], AT);
        changes.update(Some(key(2)), key(1), row(1, "two"), vec![2], AT);
        changes.update(Some(key(9)), key(2), row(2, "one"), vec![2], AT);
        assert_eq!(
            (&written(&changes, 1).row, &written(&changes, 1).origin),
            (&row(1, "two"), &Some(key(2)))
        );
        assert_eq!(
            (&written(&changes, 2).row, &written(&changes, 2).origin),
            (&row(2, "one"), &Some(key(1)))
        );
        assert!(is_deleted(&changes, 9));
    }

    #[test]
    fn the_last_change_of_a_key_decides() {
        let mut changes = RowChanges::default();
        changes.insert(key(1), row(1, "a"));
        changes.delete(key(1), AT);
        assert!(is_deleted(&changes, 1));
        changes.insert(key(1), row(1, "b"));
        assert_eq!((&written(&changes, 1).row, written(&changes, 1).is_new), (&row(1, "b"), true));
        changes.delete(key(2), AT);
        changes.insert(key(2), row(2, "c"));
        assert!(!written(&changes, 2).is_new);
    }

    #[test]
    fn a_value_told_later_is_missing_no_more() {
        let mut changes = RowChanges::default();
        changes.update(None, key(1), row(1, "a"), vec![2], AT);
        changes.update(None, key(1), toast(1, "a", "new"), Vec::new(), AT);
        changes.update(None, key(1), row(1, "b"), vec![2], AT);
        assert_eq!(
            (&written(&changes, 1).row, written(&changes, 1).missing.len()),
            (&toast(1, "b", "new"), 0)
        );
    }
}
