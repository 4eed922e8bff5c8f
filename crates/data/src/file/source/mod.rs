//! Files that are read: the tables they hold, and their rows in batches.

mod describe;
mod parts;
mod scan;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::spec::FileSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{Discriminator, EntitySchema};
use crate::table::{BatchStream, Limits, ReadSnapshot, Row, RowBatch, ScanOptions, Table, TableStore};
use crate::value::Value;
use describe::Described;
use parts::{Part, find_parts};

/// Batches that wait for their reader.
const BATCHES_AHEAD: usize = 2;

/// A file or folder that is read as tables. It is read again for every scan, and never held as a whole.
pub struct FileSource {
    files: Arc<Files>,
}

/// What the tasks that read share.
struct Files {
    spec: FileSpec,
    schemas: Vec<Arc<EntitySchema>>,
    parts: Vec<Part>,
    /// Statements of dumps that were passed over.
    passed_over: u64,
    described: Mutex<HashMap<String, Arc<Described>>>,
    /// Under which name the only part was asked for, where nothing in the file names it.
    only_name: Mutex<Option<String>>,
}

impl FileSource {
    /// Opens a file or folder. A SQL dump is read through once.
    ///
    /// # Errors
    /// [`ErrorKind::File`] or [`ErrorKind::Format`], naming the file and, where there is one, the line.
    pub async fn open(spec: FileSpec, schemas: Vec<Arc<EntitySchema>>) -> Result<Self> {
        let files = blocking(move || {
            let found = find_parts(&spec, &schemas)?;
            Ok(Files {
                parts: found.parts,
                passed_over: found.passed_over,
                spec,
                schemas,
                described: Mutex::default(),
                only_name: Mutex::default(),
            })
        });
        Ok(Self { files: Arc::new(files.await?) })
    }

    /// What a person should know of how the files are read: types that were found from values, and what was passed
    /// over.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.files.passed_over > 0 {
            notes.push(format!("{} statements that bring no rows were passed over", self.files.passed_over));
        }
        let described = locked(&self.files.described);
        let mut guessed: Vec<_> = described.values().filter_map(|table| table.note()).collect();
        guessed.sort();
        notes.append(&mut guessed);
        notes
    }
}

impl Files {
    /// The part that holds a table: by its name there, by its entity's, or the only one if it has no name of its own.
    fn part(&self, table: &str) -> Option<&Part> {
        let named = |part: &&Part| part.name == table || part.table == table;
        let mut found = self.parts.iter().filter(named);
        if let Some(first) = found.next() {
            let exact = self.parts.iter().find(|part| part.name == table);
            return exact.or(Some(first));
        }
        match self.parts.as_slice() {
            [only] if !only.is_named => {
                let mut name = locked(&self.only_name);
                (name.get_or_insert_with(|| table.to_owned()) == table).then_some(only)
            }
            _ => None,
        }
    }
}

#[async_trait]
impl TableStore for FileSource {
    fn limits(&self) -> Limits {
        Limits { nan: true, infinity: true, microseconds: true, infinite_timestamp: true }
    }

    fn is_untyped(&self) -> bool {
        true
    }

    async fn list_tables(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = self.files.parts.iter().map(|part| part.table.clone()).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    async fn describe(&self, name: &str) -> Result<Option<Table>> {
        if let Some(known) = locked(&self.files.described).get(name) {
            return Ok(Some(known.table.clone()));
        }
        let (files, owned) = (Arc::clone(&self.files), name.to_owned());
        let described = blocking(move || match files.part(&owned) {
            Some(part) => describe::describe(&files, part, &owned).map(Some),
            None => Ok(None),
        });
        let Some(described) = described.await? else { return Ok(None) };
        let table = described.table.clone();
        locked(&self.files.described).insert(name.to_owned(), Arc::new(described));
        Ok(Some(table))
    }

    async fn create_like(&self, _source: &Table) -> Result<Table> {
        Err(read_only())
    }

    async fn snapshot(&self) -> Result<Box<dyn ReadSnapshot>> {
        Ok(Box::new(FileSnapshot { files: Arc::clone(&self.files) }))
    }

    async fn estimate_rows(&self, table: &Table) -> Result<Option<u64>> {
        Ok(locked(&self.files.described).get(&table.name).and_then(|known| known.rows))
    }

    async fn is_empty(&self, _table: &Table, _discriminator: Option<&Discriminator>) -> Result<bool> {
        Err(no_lookup())
    }

    async fn fetch(&self, _table: &Table, _keys: &[Vec<Value>]) -> Result<Vec<Row>> {
        Err(no_lookup())
    }

    async fn insert(&self, _table: &Table, _batch: &RowBatch) -> Result<()> {
        Err(read_only())
    }

    async fn upsert(&self, _table: &Table, _rows: &[Row]) -> Result<()> {
        Err(read_only())
    }

    async fn delete(&self, _table: &Table, _keys: &[Vec<Value>]) -> Result<u64> {
        Err(read_only())
    }
}

/// The files as they are when they are read; whoever writes to them meanwhile is seen.
struct FileSnapshot {
    files: Arc<Files>,
}

#[async_trait]
impl ReadSnapshot for FileSnapshot {
    async fn scan(&self, table: Arc<Table>, options: ScanOptions) -> Result<BatchStream> {
        if options.keys_only {
            return Err(no_lookup());
        }
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        let files = Arc::clone(&self.files);
        let batches = sender.clone();
        tokio::spawn(async move {
            let read = blocking(move || scan::scan(&files, &table, &options, &batches)).await;
            if let Err(error) = read {
                // Whoever dropped the receiver does not want to know.
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(receiver)
    }
}

/// Runs what waits for the disk away from the tasks that must not.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Internal, format!("reading a file ended early: {error}")))
    })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_only() -> Error {
    Error::new(ErrorKind::Unsupported, "a file that is read from cannot be written to")
}

fn no_lookup() -> Error {
    Error::new(ErrorKind::Unsupported, "files are read from end to end; rows cannot be looked up in them")
}
