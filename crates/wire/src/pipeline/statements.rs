//! The prepared statements of a pipeline, found by a number, and the formats their results are asked for in.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use bytes::BufMut;

use crate::protocol::row::{Column, Format};

/// The types that are cheaper to read in binary form and mean the same in it: bool, bytea, int2, int4, oid, float8,
/// date, timestamp and timestamptz. A float4 is not among them: in JavaScript it is the number of its decimal text.
const BINARY_TYPES: [u32; 9] = [16, 17, 21, 23, 26, 701, 1082, 1114, 1184];

/// The types whose values the application reads as text, although there is a cheaper form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextTypes {
    oids: Vec<u32>,
}

impl TextTypes {
    /// The types with these oids.
    pub fn new(mut oids: Vec<u32>) -> Self {
        oids.sort_unstable();
        Self { oids }
    }

    /// Whether values of this type come as text.
    pub fn contains(&self, type_oid: u32) -> bool {
        self.oids.binary_search(&type_oid).is_ok()
    }

    fn format_of(&self, type_oid: u32) -> Format {
        if BINARY_TYPES.contains(&type_oid) && self.oids.binary_search(&type_oid).is_err() {
            Format::Binary
        } else {
            Format::Text
        }
    }
}

/// Keys are numbers given one after the other, so they need no more mixing than a multiplication.
#[derive(Debug, Default)]
pub(super) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}

/// A statement the server keeps under a name.
#[derive(Debug)]
pub(super) struct PreparedStatement {
    pub(super) name: String,
    /// What its runs return, once the server has told it.
    pub(super) result: Option<PreparedResult>,
    last_use: u64,
}

/// What runs of a statement return, and how it is asked for.
#[derive(Debug)]
pub(super) struct PreparedResult {
    /// The columns as the server described them, in text form; `None` where there are no rows.
    described: Option<Arc<[Column]>>,
    /// The columns in the formats asked for.
    pub(super) columns: Option<Arc<[Column]>>,
    /// The end of the Bind message: the number of formats, and the formats.
    pub(super) formats: Box<[u8]>,
}

impl PreparedResult {
    fn new(described: Option<Arc<[Column]>>, text_types: &TextTypes) -> Self {
        let Some(text) = &described else {
            return Self { described, columns: None, formats: Box::new([0, 0]) };
        };
        let format_of = |column: &Column| text_types.format_of(column.type_oid);
        if text.iter().all(|column| format_of(column) == Format::Text) {
            return Self { columns: described.clone(), described, formats: Box::new([0, 0]) };
        }
        let mut formats = Vec::with_capacity(2 + 2 * text.len());
        // The server counts columns in 16 bits too.
        formats.put_u16(text.len() as u16);
        for column in text.iter() {
            formats.put_i16(format_of(column).code());
        }
        let columns =
            text.iter().map(|column| Column { format: format_of(column), ..column.clone() }).collect();
        Self { described, columns: Some(columns), formats: formats.into() }
    }
}

/// The statements of one connection; the one unused for longest gives way.
#[derive(Debug)]
pub(super) struct PreparedStatements {
    capacity: usize,
    entries: HashMap<u64, PreparedStatement, BuildHasherDefault<NumberHasher>>,
    text_types: Arc<TextTypes>,
    /// Counts uses, and so says which came last.
    clock: u64,
    names: u64,
    /// The names of statements to close with the next request.
    closing: Vec<String>,
}

impl PreparedStatements {
    pub(super) fn new(capacity: usize, text_types: Arc<TextTypes>) -> Self {
        Self { capacity, entries: HashMap::default(), text_types, clock: 0, names: 0, closing: Vec::new() }
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.capacity > 0
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&mut self, key: u64) -> Option<&PreparedStatement> {
        let statement = self.entries.get_mut(&key)?;
        self.clock += 1;
        statement.last_use = self.clock;
        Some(statement)
    }

    /// Makes room for a statement that is about to be parsed, and returns its name. Names are never used twice.
    pub(super) fn insert(&mut self, key: u64) -> String {
        while self.entries.len() >= self.capacity {
            // One whose description is on its way is still needed to read the answers.
            let described = self.entries.iter().filter(|(_, statement)| statement.result.is_some());
            let oldest = described.min_by_key(|(_, statement)| statement.last_use).map(|(key, _)| *key);
            let Some(oldest) = oldest else { break };
            self.remove(oldest);
        }
        self.clock += 1;
        self.names += 1;
        let name = format!("s{}", self.names);
        let statement = PreparedStatement { name: name.clone(), result: None, last_use: self.clock };
        if let Some(replaced) = self.entries.insert(key, statement) {
            self.closing.push(replaced.name);
        }
        name
    }

    /// Keeps what the server says a statement returns.
    pub(super) fn describe(&mut self, key: u64, described: Option<Arc<[Column]>>) {
        if let Some(statement) = self.entries.get_mut(&key) {
            statement.result = Some(PreparedResult::new(described, &self.text_types));
        }
    }

    /// Forgets a statement and has it closed. Closing what does not exist is no error. Returns whether it was there.
    pub(super) fn remove(&mut self, key: u64) -> bool {
        let removed = self.entries.remove(&key);
        let found = removed.is_some();
        self.closing.extend(removed.map(|statement| statement.name));
        found
    }

    /// Forgets all, because the server has deallocated all.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.closing.clear();
    }

    /// Forgets all and has them closed. Requests on their way have what they need of them, and closing comes after them.
    pub(super) fn outdate(&mut self) {
        self.closing.extend(self.entries.drain().map(|(_, statement)| statement.name));
    }

    pub(super) fn take_closing(&mut self) -> Vec<String> {
        std::mem::take(&mut self.closing)
    }

    pub(super) fn has_closing(&self) -> bool {
        !self.closing.is_empty()
    }

    pub(super) fn set_text_types(&mut self, text_types: Arc<TextTypes>) {
        if self.text_types == text_types {
            return;
        }
        for statement in self.entries.values_mut() {
            if let Some(result) = statement.result.take() {
                statement.result = Some(PreparedResult::new(result.described, &text_types));
            }
        }
        self.text_types = text_types;
    }

    pub(super) fn share_columns(&mut self, key: u64, columns: &Arc<[Column]>) {
        let Some(statement) = self.entries.get_mut(&key) else { return };
        let Some(result) = &mut statement.result else { return };
        if result.columns.as_ref().is_some_and(|own| own == columns) {
            result.columns = Some(Arc::clone(columns));
        }
    }
}
