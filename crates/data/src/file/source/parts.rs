//! Which tables the files of a source hold.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::json::{JsonPlace, lists_in};
use super::super::place::{name_of_file, source_files, table_named};
use super::super::spec::{FileFormat, FileSpec, SqlFlavor};
use super::super::sql::{DumpIndex, DumpTable};
use crate::error::Result;
use crate::schema::EntitySchema;

/// A table within the files.
pub(super) struct Part {
    /// As the file calls it.
    pub(super) name: String,
    /// As the database calls it.
    pub(super) table: String,
    /// Whether the content or the folder names it. The name of a single file says little.
    pub(super) is_named: bool,
    pub(super) path: PathBuf,
    pub(super) content: Content,
}

/// How its rows are found.
pub(super) enum Content {
    Csv,
    Json(JsonPlace),
    Ndjson,
    Sql(SqlFlavor, Box<DumpTable>),
}

/// The tables, and how many statements were passed over.
pub(super) struct Found {
    pub(super) parts: Vec<Part>,
    pub(super) passed_over: u64,
}

/// Looks into the files as far as needed to know their tables.
pub(super) fn find_parts(spec: &FileSpec, schemas: &[Arc<EntitySchema>]) -> Result<Found> {
    let files = source_files(spec)?;
    let from_folder = files.first() != Some(&spec.path);
    let mut found = Found { parts: Vec::new(), passed_over: 0 };
    for path in files {
        let mut add = |name: String, is_named: bool, path: &Path, content: Content| {
            let table = table_named(&name, schemas);
            found.parts.push(Part { name, table, is_named, path: path.to_owned(), content });
        };
        match spec.format {
            FileFormat::Csv => add(name_of_file(&path), from_folder, &path, Content::Csv),
            FileFormat::Ndjson => add(name_of_file(&path), from_folder, &path, Content::Ndjson),
            FileFormat::Json => {
                for (name, place) in lists_in(&path)? {
                    let is_named = from_folder || name.is_some();
                    add(name.unwrap_or_else(|| name_of_file(&path)), is_named, &path, Content::Json(place));
                }
            }
            FileFormat::Sql => {
                let index = DumpIndex::read(&path, spec.flavor)?;
                for table in index.tables {
                    add(table.name.clone(), true, &path, Content::Sql(index.flavor, Box::new(table)));
                }
                found.passed_over += index.passed_over;
            }
        }
    }
    Ok(found)
}
