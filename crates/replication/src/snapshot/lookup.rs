//! Looking up rows of the target by their keys. A key that the target cannot even read takes no other one with it.

use std::collections::HashMap;

use data::table::Row;
use data::{Error, ErrorKind, Result, Value};

use super::{End, Mapping, canonical_key};

/// What the target holds under some keys.
#[derive(Default)]
pub(crate) struct Held {
    rows: HashMap<String, Row>,
    /// Why no row can be there, for keys that the target cannot read.
    unreadable: HashMap<String, String>,
}

impl Held {
    /// The row with this canonical key.
    pub(crate) fn row(&self, key: &str) -> Option<&Row> {
        self.rows.get(key)
    }

    /// Why the target can hold no row with this canonical key, if it cannot.
    pub(crate) fn problem(&self, key: &str) -> Option<&str> {
        self.unreadable.get(key).map(String::as_str)
    }
}

fn is_of_a_key(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Value | ErrorKind::NotNullViolation | ErrorKind::Statement)
}

/// Looks up keys in the form of the target; those that it cannot read are found by halving.
pub(crate) async fn held_by(target: &End, mapping: &Mapping, keys: &[Vec<Value>]) -> Result<Held> {
    let tables = target.tables()?;
    let mut held = Held::default();
    let mut pending = vec![keys];
    while let Some(keys) = pending.pop() {
        match (tables.fetch(&mapping.target, keys).await, keys) {
            (Ok(rows), _) => {
                held.rows
                    .extend(rows.into_iter().map(|row| (canonical_key(&mapping.target.key_of(&row)), row)));
            }
            (Err(error), _) if !is_of_a_key(&error) => return Err(error),
            (Err(error), [key]) => {
                held.unreadable.insert(canonical_key(key), error.to_string());
            }
            (Err(error), []) => return Err(error),
            (Err(_), keys) => {
                let (first, second) = keys.split_at(keys.len() / 2);
                pending.extend([second, first]);
            }
        }
    }
    Ok(held)
}
