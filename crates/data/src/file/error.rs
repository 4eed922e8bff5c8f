//! Errors of files, which name the file and the line.

use std::fmt::Display;
use std::io;
use std::path::Path;

use crate::error::{Error, ErrorKind};

/// A file that cannot be opened, read or written.
pub(super) fn file_error(path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
        io::ErrorKind::PermissionDenied => ErrorKind::Permission,
        io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
        _ => ErrorKind::File,
    };
    Error::new(kind, format!("{}: {error}", path.display())).with_source(error)
}

/// Content that is not what the format says; `line` is counted from 1.
pub(super) fn format_error(path: &Path, line: u64, problem: impl Display) -> Error {
    Error::new(ErrorKind::Format, format!("{}:{line}: {problem}", path.display()))
}

/// A file whose content as a whole is not what the format says.
pub(super) fn content_error(path: &Path, problem: impl Display) -> Error {
    Error::new(ErrorKind::Format, format!("{}: {problem}", path.display()))
}
