//! Prepared statements, and the bounded cache of those that a connection keeps.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use super::parameter::ResultFormat;
use crate::protocol::row::Column;

/// A statement the server has parsed.
#[derive(Debug)]
pub struct Statement {
    name: String,
    parameter_types: Vec<u32>,
    columns: Arc<[Column]>,
    /// The columns with the formats they were last asked for in, as the same are asked for again and again.
    formatted: Mutex<Option<(ResultFormat, Arc<[Column]>)>>,
}

impl Statement {
    pub(super) fn new(name: String, parameter_types: Vec<u32>, columns: Vec<Column>) -> Self {
        Self { name, parameter_types, columns: columns.into(), formatted: Mutex::new(None) }
    }

    /// The oids of the types of its parameters, as given or inferred.
    pub fn parameter_types(&self) -> &[u32] {
        &self.parameter_types
    }

    /// The columns of its result; empty when it returns no rows.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn columns_in(&self, format: &ResultFormat) -> Arc<[Column]> {
        if matches!(format, ResultFormat::Text | ResultFormat::BinaryTypes(_)) || self.columns.is_empty() {
            return Arc::clone(&self.columns);
        }
        let mut formatted = self.formatted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, columns)) = &*formatted
            && known == format
        {
            return Arc::clone(columns);
        }
        let columns: Arc<[Column]> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| Column { format: format.of_column(index), ..column.clone() })
            .collect();
        *formatted = Some((format.clone(), Arc::clone(&columns)));
        columns
    }
}

/// What tells statements apart: the SQL, and the types given for parameters. SQL holds no zero byte.
pub(super) fn cache_key<'a>(sql: &'a str, types: &[u32]) -> Cow<'a, str> {
    if types.is_empty() {
        return Cow::Borrowed(sql);
    }
    let mut key = sql.to_owned();
    for oid in types {
        // Writing to a String cannot fail.
        let _ = write!(key, "\0{oid}");
    }
    Cow::Owned(key)
}

/// The statements of one connection; the one unused for longest gives way.
#[derive(Debug)]
pub(super) struct StatementCache {
    capacity: usize,
    entries: HashMap<String, Entry>,
    /// Counts uses, and so says which came last.
    clock: u64,
    names: u64,
    /// Statements that were sent to be parsed and that the server has not confirmed.
    unconfirmed: Vec<String>,
    /// Statements to close with the next request.
    closing: Vec<String>,
}

#[derive(Debug)]
struct Entry {
    statement: Arc<Statement>,
    last_use: u64,
}

impl StatementCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: HashMap::new(),
            clock: 0,
            names: 0,
            unconfirmed: Vec::new(),
            closing: Vec::new(),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.capacity > 0
    }

    pub(super) fn get(&mut self, key: &str) -> Option<Arc<Statement>> {
        let entry = self.entries.get_mut(key)?;
        self.clock += 1;
        entry.last_use = self.clock;
        Some(Arc::clone(&entry.statement))
    }

    /// A name for a statement that is about to be parsed. Names are never used twice.
    pub(super) fn new_name(&mut self) -> String {
        self.names += 1;
        let name = format!("s{}", self.names);
        self.unconfirmed.push(name.clone());
        name
    }

    /// Keeps a statement that the server has parsed.
    pub(super) fn insert(&mut self, key: String, statement: Arc<Statement>) {
        self.unconfirmed.retain(|name| name != statement.name());
        while self.entries.len() >= self.capacity {
            let oldest =
                self.entries.iter().min_by_key(|(_, entry)| entry.last_use).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.remove(&oldest);
        }
        self.clock += 1;
        let entry = Entry { statement, last_use: self.clock };
        if let Some(replaced) = self.entries.insert(key, entry) {
            self.closing.push(replaced.statement.name().to_owned());
        }
    }

    /// Forgets a statement. Returns whether it was there.
    pub(super) fn remove(&mut self, key: &str) -> bool {
        let removed = self.entries.remove(key);
        let found = removed.is_some();
        self.closing.extend(removed.map(|entry| entry.statement.name().to_owned()));
        found
    }

    /// Forgets all, because the server has deallocated all.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.closing.clear();
    }

    /// Has those closed whose parsing was interrupted or failed. Closing what does not exist is no error.
    pub(super) fn abandon_unconfirmed(&mut self) {
        self.closing.append(&mut self.unconfirmed);
    }

    pub(super) fn take_closing(&mut self) -> Vec<String> {
        std::mem::take(&mut self.closing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(cache: &mut StatementCache, key: &str) -> String {
        let name = cache.new_name();
        cache.insert(key.to_owned(), Arc::new(Statement::new(name.clone(), vec![], vec![])));
        name
    }

    #[test]
    fn the_statement_unused_for_longest_gives_way_and_is_closed() {
        let mut cache = StatementCache::new(2);
        insert(&mut cache, "a");
        let name = insert(&mut cache, "b");
        assert!(cache.get("a").is_some());
        insert(&mut cache, "c");
        assert!(cache.get("b").is_none());
        assert!(cache.get("a").is_some() && cache.get("c").is_some());
        assert_eq!(cache.take_closing(), [name]);
    }

    #[test]
    fn a_statement_whose_parsing_was_interrupted_is_closed() {
        let mut cache = StatementCache::new(2);
        let name = cache.new_name();
        cache.abandon_unconfirmed();
        assert_eq!(cache.take_closing(), [name]);
    }

    #[test]
    fn given_types_tell_statements_with_the_same_text_apart() {
        assert_ne!(cache_key("a", &[1]), cache_key("a", &[]));
        assert_ne!(cache_key("a", &[1, 2]), cache_key("a", &[12]));
    }
}
