//! What a commit has touched: tables, and of those with a primary key of one column the rows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use wire::replication::pgoutput::{Message, OldTuple, Relation, ReplicaIdentity, Tuple, TupleValue};

use super::sources::Sources;

/// A commit that touches more rows of a table counts as one that touches all of it.
const MOST_ROWS: usize = 2_000;

/// What has become of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Touch {
    /// Any of its rows may be another.
    Table,
    /// The rows of these keys.
    Rows(HashSet<Arc<[u8]>>),
}

/// A transaction of the log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Commit {
    pub(crate) xid: u32,
    /// The position after it.
    pub(crate) end: u64,
    pub(crate) tables: HashMap<u32, Touch>,
}

impl Commit {
    /// Takes note of a change.
    pub(super) fn note(&mut self, message: &Message, sources: &Sources) {
        match message {
            Message::Insert(insert) => self.touch(&insert.relation, &[&insert.new], sources),
            Message::Update(update) => match &update.old {
                Some(old) => self.touch(&update.relation, &[old.tuple(), &update.new], sources),
                None if update.relation.replica_identity == ReplicaIdentity::Index => {
                    // The key told of is another than the primary key, which may have changed.
                    self.touch_all(update.relation.oid);
                }
                None => self.touch(&update.relation, &[&update.new], sources),
            },
            Message::Delete(delete) => match &delete.old {
                OldTuple::Key(tuple) | OldTuple::Full(tuple) => {
                    self.touch(&delete.relation, &[tuple], sources)
                }
            },
            Message::Truncate(truncate) => {
                truncate.relations.iter().for_each(|relation| self.touch_all(relation.oid));
            }
            _ => {}
        }
    }

    fn touch_all(&mut self, table: u32) {
        self.tables.insert(table, Touch::Table);
    }

    fn touch(&mut self, relation: &Relation, tuples: &[&Tuple], sources: &Sources) {
        let Some(keys) = keys_of(relation, tuples, sources) else { return self.touch_all(relation.oid) };
        let touched = self.tables.entry(relation.oid).or_insert_with(|| Touch::Rows(HashSet::new()));
        if let Touch::Rows(rows) = touched {
            rows.extend(keys);
            if rows.len() > MOST_ROWS {
                *touched = Touch::Table;
            }
        }
    }
}

fn keys_of(relation: &Relation, tuples: &[&Tuple], sources: &Sources) -> Option<Vec<Arc<[u8]>>> {
    if relation.replica_identity == ReplicaIdentity::Index {
        return None;
    }
    let (name, key_type) = sources.key_column(relation.oid)?;
    let column = relation.columns.iter().position(|column| column.name == name)?;
    let key = |tuple: &&Tuple| match tuple.get(column)? {
        TupleValue::Text(text) => key_type.canonical(str::from_utf8(text).ok()?),
        TupleValue::Null | TupleValue::Unchanged | TupleValue::Binary(_) => None,
    };
    tuples.iter().map(key).collect()
}
