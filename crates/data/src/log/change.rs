//! What a log says: transactions, and the changes of rows in them.

use std::sync::Arc;

use super::Position;
use crate::table::{Row, Table};
use crate::value::{Timestamp, Value};

/// What a stream delivers. Changes stand between the [`Begin`](Self::Begin) and the [`Commit`](Self::Commit) of their
/// transaction; transactions never overlap.
#[derive(Debug)]
pub enum LogEvent {
    /// A transaction begins.
    Begin(LoggedTransaction),
    /// Changes of the transaction, in their order; a large transaction comes in many events of bounded size.
    Changes(Vec<Change>),
    /// A message that the application put into the log, within or outside of a transaction.
    Message {
        /// Its prefix.
        prefix: String,
        /// Its content.
        content: Vec<u8>,
    },
    /// The transaction has ended. Reading resumes from this position.
    Commit(Position),
    /// Nothing that concerns the reader lies up to here.
    Idle(Position),
}

/// A transaction of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedTransaction {
    /// Where its commit lies.
    pub position: Position,
    /// When it was committed, by the clock of the source.
    pub committed_at: Timestamp,
    /// The source's name for it, such as a transaction number.
    pub id: String,
    /// Where it came from, if it was itself replicated.
    pub origin: Option<String>,
}

/// A change of a table.
#[derive(Debug, Clone)]
pub struct Change {
    /// The table, with the columns that the rows of this change have. Another `Arc` than before, if its columns changed.
    pub table: Arc<Table>,
    /// What happened.
    pub operation: Operation,
}

/// What happened to a table. Rows are in the order of the table's columns, keys in the order of its primary key.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// A row was inserted.
    Insert {
        /// The row.
        row: Row,
    },
    /// A row was updated.
    Update {
        /// Its key before, if that changed.
        old_key: Option<Vec<Value>>,
        /// The row as it is now.
        row: Row,
        /// The columns whose values the log left out because they did not change; they hold NULL in `row`.
        unchanged: Unchanged,
    },
    /// A row was deleted.
    Delete {
        /// Its key.
        key: Vec<Value>,
    },
    /// Every row was removed.
    Truncate,
}

impl Operation {
    /// About how many bytes of memory its values take.
    pub fn weight(&self) -> usize {
        match self {
            Self::Insert { row } | Self::Update { row, .. } => weight_of(row),
            Self::Delete { key } => weight_of(key),
            Self::Truncate => 0,
        }
    }
}

fn weight_of(values: &[Value]) -> usize {
    let of = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Decimal(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(items) => weight_of(items),
        Value::Object(object) => {
            object.iter().map(|(name, value)| name.len() + weight_of(std::slice::from_ref(value))).sum()
        }
        _ => 0,
    };
    values.iter().map(|value| size_of::<Value>() + of(value)).sum()
}

/// Positions of columns that an update left as they were and whose values the log does not tell; ascending.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unchanged(Vec<usize>);

impl Unchanged {
    /// These columns, in ascending order.
    pub fn columns(positions: Vec<usize>) -> Self {
        Self(positions)
    }

    /// Whether the log told every value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the value of the column at this position was left out.
    pub fn contains(&self, position: usize) -> bool {
        self.0.binary_search(&position).is_ok()
    }

    /// The positions.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().copied()
    }
}
