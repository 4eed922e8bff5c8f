//! What is copied from where to where, and how.

use std::sync::Arc;

use data::file::{FileSource, FileSpec, FileTarget};
use data::{Dialect, EntitySchema, Result};

use crate::rule::ConflictResolution;
use crate::snapshot::End;

/// One end of a copy.
#[derive(Clone)]
pub enum CopyEnd {
    /// A connected database and the entities known on it.
    Database {
        /// The database.
        dialect: Arc<dyn Dialect>,
        /// The entities.
        schemas: Vec<Arc<EntitySchema>>,
    },
    /// A file or folder and the entities whose types its rows have.
    Files {
        /// The file or folder.
        spec: FileSpec,
        /// The entities.
        schemas: Vec<Arc<EntitySchema>>,
    },
}

/// A destination with the name that reports use for it.
#[derive(Clone)]
pub struct CopyTarget {
    /// Its name, without a password.
    pub label: String,
    /// The database or files.
    pub end: CopyEnd,
    /// Whether tables and columns that it lacks are made; else they are errors. Files are always made.
    pub create_tables: bool,
}

/// How rows are copied.
#[derive(Debug, Clone)]
pub struct CopyOptions {
    /// Entities or tables; `*` is every table of the source.
    pub collections: Vec<String>,
    /// Rows of a batch at the most.
    pub batch_rows: Option<usize>,
    /// What happens to rows that a destination has under the same key with other values.
    pub existing: ConflictResolution,
    /// Whether the tables of a destination are emptied first.
    pub truncate: bool,
    /// Whether everything is read and converted, but nothing is written.
    pub dry_run: bool,
}

/// The source, opened.
pub(super) struct OpenSource {
    pub(super) end: End,
    files: Option<Arc<FileSource>>,
}

impl OpenSource {
    pub(super) async fn open(source: CopyEnd) -> Result<Self> {
        match source {
            CopyEnd::Database { dialect, schemas } => {
                Ok(Self { end: End::database(dialect, schemas), files: None })
            }
            CopyEnd::Files { spec, schemas } => {
                let files = Arc::new(FileSource::open(spec, schemas.clone()).await?);
                let end = End::files(Arc::clone(&files) as Arc<_>, schemas);
                Ok(Self { end, files: Some(files) })
            }
        }
    }

    /// What a person should know of how the source was read.
    pub(super) fn notes(&self) -> Vec<String> {
        self.files.as_ref().map(|files| files.notes()).unwrap_or_default()
    }
}

/// A destination, opened.
pub(super) struct OpenTarget {
    pub(super) end: End,
    pub(super) files: Option<Arc<FileTarget>>,
    pub(super) create_tables: bool,
}

impl OpenTarget {
    pub(super) fn open(target: CopyEnd, create_tables: bool) -> Self {
        match target {
            CopyEnd::Database { dialect, schemas } => {
                Self { end: End::database(dialect, schemas), files: None, create_tables }
            }
            CopyEnd::Files { spec, schemas } => {
                let files = Arc::new(FileTarget::new(spec, schemas.clone()));
                Self {
                    end: End::files(Arc::clone(&files) as Arc<_>, schemas),
                    files: Some(files),
                    create_tables,
                }
            }
        }
    }
}
