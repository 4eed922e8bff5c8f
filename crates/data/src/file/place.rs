//! Which file holds which table, and how names of tables become names of files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::error::file_error;
use super::spec::{FileFormat, FileSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::EntitySchema;

/// What cannot stand in the name of a file on some system, or would lead elsewhere.
const UNFIT: &AsciiSet = &CONTROLS
    .add(b'/')
    .add(b'\\')
    .add(b':')
    .add(b'*')
    .add(b'?')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'|')
    .add(b'%');

/// The name of the file of a table or entity.
pub(super) fn file_name(name: &str, format: FileFormat) -> String {
    let encoded = utf8_percent_encode(name, UNFIT).to_string();
    // A name of dots only is a folder, and one with a leading dot is hidden.
    let encoded = match encoded.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => encoded,
    };
    format!("{encoded}.{}", format.name())
}

/// The name that a file stands for.
pub(super) fn name_of_file(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match percent_decode_str(&stem).decode_utf8() {
        Ok(name) => name.into_owned(),
        Err(_) => stem,
    }
}

/// The files of a source: the one that is named, or those of the folder with the format's extension, by name.
///
/// # Errors
/// [`ErrorKind::File`] if there is none.
pub(super) fn source_files(spec: &FileSpec) -> Result<Vec<PathBuf>> {
    let about = |error| file_error(&spec.path, error);
    if !fs::metadata(&spec.path).map_err(about)?.is_dir() {
        return Ok(vec![spec.path.clone()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(&spec.path).map_err(about)? {
        let path = entry.map_err(about)?.path();
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_file() && !hidden && spec.format.has_extension(&extension) {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        let message = format!("{}: the folder holds no .{} file", spec.path.display(), spec.format.name());
        return Err(Error::new(ErrorKind::File, message));
    }
    Ok(files)
}

/// Whether a path that is written to is one file; else it is a folder. A path that does not exist is a file if it has
/// an extension.
pub(super) fn is_one_file(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(found) => !found.is_dir(),
        Err(_) => {
            let is_marked_folder = path.as_os_str().to_string_lossy().ends_with(['/', '\\']);
            path.extension().is_some() && !is_marked_folder
        }
    }
}

/// The table that a name in a file means: the collection of the entity of that name, else the name itself.
pub(super) fn table_named(name: &str, schemas: &[Arc<EntitySchema>]) -> String {
    let entity = schemas.iter().find(|schema| schema.name == name);
    entity.map_or_else(|| name.to_owned(), |schema| schema.collection.clone())
}

/// The name by which files other than SQL call a table: that of its only entity, else its own.
pub(super) fn shown_name(label: &str, table: &str, schemas: &[Arc<EntitySchema>]) -> String {
    let mut entities = schemas.iter().filter(|schema| schema.collection == table);
    match (entities.next(), entities.next()) {
        (Some(only), None) if label == table => only.name.clone(),
        _ => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_becomes_a_file_of_its_folder_and_comes_back() {
        for name in
            ["users", "shop.orders", "../../etc/passwd", "..", "a/b\\c:d", "é \"x\"", "100%", ".hidden"]
        {
            let file = file_name(name, FileFormat::Csv);
            assert!(!file.contains(['/', '\\']) && !file.starts_with('.'), "{file}");
            assert_eq!(name_of_file(Path::new(&file)), name);
        }
    }
}
