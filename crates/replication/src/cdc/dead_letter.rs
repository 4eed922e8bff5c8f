//! Rows that the target refused: kept on the target in `replicaverse_dead_letter` until they fit or are superseded.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use data::table::{Row, ScanOptions, Table, TableTransaction};
use data::{Result, Timestamp, Value};
use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use super::control_tables::{Fields, row_of, signed};
use super::event::RowOperation;
use super::identity::digest;
use super::typed_json::{from_typed_json, to_typed_json};
use crate::snapshot::{End, canonical_key};

/// What of a row is kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// The row as the source has it, which could not be brought into the types of the target.
    Source(IndexMap<String, Value>),
    /// The row in the types of the target, with the columns that were changed.
    Target(IndexMap<String, Value>),
    /// The key of a row that is to be deleted, in the types of the target.
    Key(Vec<Value>),
    /// The key at the source of a row that no change has told whole.
    Lost(Vec<Value>),
}

/// A row that is set aside.
#[derive(Debug, Clone)]
pub(super) struct DeadLetter {
    pub(super) id: String,
    /// The collection, as the rule names it.
    pub(super) collection: String,
    /// The key at the source, for a person.
    pub(super) row_key: String,
    pub(super) operation: RowOperation,
    pub(super) content: Content,
    pub(super) error_code: String,
    pub(super) error: String,
    pub(super) position: u64,
    pub(super) attempts: u64,
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
}

impl DeadLetter {
    pub(super) fn row(&self, table: &Table, reader: &str) -> Row {
        let values = [
            ("reader", Value::from(reader)),
            ("collection", Value::from(self.collection.as_str())),
            ("row_key", Value::from(self.row_key.as_str())),
            ("operation", Value::from(self.operation.name())),
            ("content", Value::from(self.content.to_text())),
            ("error_code", Value::from(self.error_code.as_str())),
            ("error", Value::from(self.error.as_str())),
            ("position", signed(self.position)),
            ("attempts", signed(self.attempts)),
            ("first_at", Value::Int64(self.first_at.0)),
            ("last_at", Value::Int64(self.last_at.0)),
        ];
        row_of(table, &self.id, &values)
    }

    /// `None` if its content is malformed, so that it can only be kept.
    fn of_row(table: &Table, row: &Row) -> Option<Self> {
        let fields = Fields::of(table, row);
        Some(Self {
            id: fields.key().to_owned(),
            collection: fields.text("collection").unwrap_or_default().to_owned(),
            row_key: fields.text("row_key").unwrap_or_default().to_owned(),
            operation: match fields.text("operation")? {
                "insert" => RowOperation::Insert,
                "update" => RowOperation::Update,
                "delete" => RowOperation::Delete,
                _ => return None,
            },
            content: Content::of_text(fields.text("content")?)?,
            error_code: fields.text("error_code").unwrap_or_default().to_owned(),
            error: fields.text("error").unwrap_or_default().to_owned(),
            position: fields.unsigned("position"),
            attempts: fields.unsigned("attempts"),
            first_at: Timestamp(fields.integer("first_at")),
            last_at: Timestamp(fields.integer("last_at")),
        })
    }
}

impl Content {
    /// Columns of a row by their names.
    pub(super) fn columns(table: &Table, row: &[Value], left_out: &[usize]) -> IndexMap<String, Value> {
        let columns = table.columns.iter().zip(row).enumerate();
        let told = columns.filter(|(position, _)| !left_out.contains(position));
        told.map(|(_, (column, value))| (column.name.clone(), value.clone())).collect()
    }

    /// A row of a table of these columns, with the positions of those that are not told.
    pub(super) fn into_row(mut columns: IndexMap<String, Value>, table: &Table) -> (Row, Vec<usize>) {
        let mut missing = Vec::new();
        let mut row = Vec::with_capacity(table.columns.len());
        for (position, column) in table.columns.iter().enumerate() {
            let value = columns.swap_remove(&column.name);
            if value.is_none() {
                missing.push(position);
            }
            row.push(value.unwrap_or_default());
        }
        (row, missing)
    }

    fn to_text(&self) -> String {
        let object = |columns: &IndexMap<String, Value>| -> Json {
            let pairs = columns.iter().map(|(name, value)| (name.clone(), to_typed_json(value)));
            Json::Object(pairs.collect())
        };
        let json = match self {
            Self::Source(columns) => json!({"source": object(columns)}),
            Self::Target(columns) => json!({"target": object(columns)}),
            Self::Key(key) => json!({"key": key.iter().map(to_typed_json).collect::<Vec<_>>()}),
            Self::Lost(key) => json!({"lost": key.iter().map(to_typed_json).collect::<Vec<_>>()}),
        };
        json.to_string()
    }

    fn of_text(text: &str) -> Option<Self> {
        let json: Json = serde_json::from_str(text).ok()?;
        let columns = |json: &Json| -> Option<IndexMap<String, Value>> {
            let pair = |(name, json): (&String, &Json)| Some((name.clone(), from_typed_json(json)?));
            json.as_object()?.iter().map(pair).collect()
        };
        if let Some(row) = json.get("source") {
            return Some(Self::Source(columns(row)?));
        }
        if let Some(row) = json.get("target") {
            return Some(Self::Target(columns(row)?));
        }
        let values = |json: &Json| json.as_array()?.iter().map(from_typed_json).collect::<Option<Vec<_>>>();
        if let Some(key) = json.get("lost") {
            return Some(Self::Lost(values(key)?));
        }
        Some(Self::Key(values(json.get("key")?)?))
    }
}

/// The dead letters of one reader, known by their ids, so that changes of other rows need not look for them.
pub(super) struct Letters {
    reader: String,
    /// The collection of each.
    known: HashMap<String, String>,
    /// What the transaction at hand has added and removed.
    added: HashMap<String, String>,
    removed: Vec<String>,
}

impl Letters {
    /// Of a reader that has none yet.
    pub(super) fn none(reader: &str) -> Self {
        Self { reader: reader.to_owned(), known: HashMap::new(), added: HashMap::new(), removed: Vec::new() }
    }

    /// Finds those that there are.
    pub(super) async fn load(target: &End, table: &Table, reader: &str) -> Result<Self> {
        let mut known = HashMap::new();
        for_each_letter(target, table, reader, |fields, _| {
            let collection = fields.text("collection").unwrap_or_default();
            known.insert(fields.key().to_owned(), collection.to_owned());
        })
        .await?;
        Ok(Self { known, ..Self::none(reader) })
    }

    /// The id of the letter of a row.
    pub(super) fn id(&self, collection: &str, source_key: &[Value]) -> String {
        format!("{}:{}", self.reader, digest(&[collection, &canonical_key(source_key)]))
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty() && self.added.is_empty()
    }

    /// Whether a row may have a letter.
    pub(super) fn has(&self, id: &str) -> bool {
        self.known.contains_key(id) || self.added.contains_key(id)
    }

    /// Writes letters.
    pub(super) async fn store(
        &mut self,
        transaction: &mut dyn TableTransaction,
        table: &Table,
        letters: &[DeadLetter],
    ) -> Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let rows: Vec<Row> = letters.iter().map(|letter| letter.row(table, &self.reader)).collect();
        transaction.upsert(table, &rows).await?;
        self.added.extend(letters.iter().map(|letter| (letter.id.clone(), letter.collection.clone())));
        Ok(())
    }

    /// Removes the letters of rows that have newer changes or have been written.
    pub(super) async fn remove(
        &mut self,
        transaction: &mut dyn TableTransaction,
        table: &Table,
        ids: Vec<String>,
    ) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = ids.iter().map(|id| vec![Value::from(id.as_str())]).collect();
        transaction.delete(table, &keys).await?;
        for id in &ids {
            self.added.remove(id);
        }
        self.removed.extend(ids);
        Ok(())
    }

    /// Removes every letter of a collection.
    pub(super) async fn remove_all(
        &mut self,
        transaction: &mut dyn TableTransaction,
        table: &Table,
        collection: &str,
    ) -> Result<()> {
        let letters = self.known.iter();
        let letters = letters.chain(&self.added);
        let ids = letters.filter(|(_, own)| *own == collection).map(|(id, _)| id.clone()).collect();
        self.remove(transaction, table, ids).await
    }

    /// The transaction was committed.
    pub(super) fn committed(&mut self) {
        for id in self.removed.drain(..) {
            self.known.remove(&id);
        }
        self.known.extend(self.added.drain());
    }

    /// The transaction was undone.
    pub(super) fn undone(&mut self) {
        self.removed.clear();
        self.added.clear();
    }

    /// The letters of a kind whose ids lie behind this one, in the order of their ids, at most so many.
    pub(super) async fn read_behind(
        &self,
        target: &End,
        table: &Table,
        behind: Option<&str>,
        is_meant: impl Fn(&DeadLetter) -> bool,
        most: usize,
    ) -> Result<Vec<DeadLetter>> {
        let mut letters = BTreeMap::new();
        if self.known.is_empty() {
            return Ok(Vec::new());
        }
        for_each_letter(target, table, &self.reader, |_, row| {
            let letter = DeadLetter::of_row(table, row).filter(|letter| is_meant(letter));
            if let Some(letter) = letter.filter(|letter| behind.is_none_or(|behind| *letter.id > *behind)) {
                letters.insert(letter.id.clone(), letter);
            }
            if letters.len() > most {
                letters.pop_last();
            }
        })
        .await?;
        Ok(letters.into_values().collect())
    }

    /// The letters themselves, at most so many.
    pub(super) async fn read(&self, target: &End, table: &Table, most: usize) -> Result<Vec<DeadLetter>> {
        let mut letters = Vec::new();
        if self.known.is_empty() {
            return Ok(letters);
        }
        for_each_letter(target, table, &self.reader, |_, row| {
            if letters.len() < most {
                letters.extend(DeadLetter::of_row(table, row));
            }
        })
        .await?;
        Ok(letters)
    }
}

pub(super) async fn for_each_letter(
    target: &End,
    table: &Table,
    reader: &str,
    mut visit: impl FnMut(Fields<'_>, &Row),
) -> Result<()> {
    let snapshot = target.tables()?.snapshot().await?;
    let mut batches = snapshot.scan(Arc::new(table.clone()), ScanOptions::default()).await?;
    while let Some(batch) = batches.recv().await {
        for row in batch?.into_rows()? {
            let fields = Fields::of(table, &row);
            if fields.text("reader") == Some(reader) {
                visit(Fields::of(table, &row), &row);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_of_a_letter_comes_back_as_it_was() {
        let columns: IndexMap<String, Value> =
            [("id".to_owned(), Value::Int64(7)), ("name".to_owned(), Value::Null)].into_iter().collect();
        for content in [
            Content::Source(columns.clone()),
            Content::Target(columns),
            Content::Key(vec![Value::from("k")]),
            Content::Lost(vec![Value::Int32(1)]),
        ] {
            assert_eq!(Content::of_text(&content.to_text()), Some(content));
        }
        assert_eq!(Content::of_text("{}"), None);
    }
}
