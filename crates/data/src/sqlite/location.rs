//! Where a SQLite database lies: a path, a `file:` or `sqlite:` URI, or memory.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::error::{Error, ErrorKind, Result};

/// The place of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    /// In memory, gone when it is closed.
    Memory,
    /// A file.
    File {
        path: PathBuf,
        mode: Mode,
        /// Nobody changes the file, so that no lock is needed.
        immutable: bool,
    },
}

/// What may be done to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    ReadOnly,
    ReadWrite,
    /// As `ReadWrite`, and a missing file is created.
    Create,
}

impl Location {
    /// Reads `path`, `file:path`, `sqlite:path`, `sqlite://path` or `:memory:`; URIs may be percent-encoded and
    /// take `mode=ro|rw|rwc|memory`, `immutable=0|1` and `cache=private`.
    pub(super) fn parse(uri: &str) -> Result<Self> {
        let Some(rest) = uri.strip_prefix("sqlite:").or_else(|| uri.strip_prefix("file:")) else {
            return match uri {
                "" => Err(config_error("the path of the database is empty")),
                ":memory:" => Ok(Self::Memory),
                path => Ok(Self::file(PathBuf::from(path))),
            };
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.strip_prefix("//").unwrap_or(path);
        let path = percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| config_error("the path of the database is not UTF-8"))?
            .into_owned();
        let place = match path.as_str() {
            ":memory:" => Self::Memory,
            "" if query.contains("mode=memory") => Self::Memory,
            "" => return Err(config_error("the path of the database is empty")),
            path => Self::file(PathBuf::from(without_drive_slash(path))),
        };
        query.split('&').filter(|option| !option.is_empty()).try_fold(place, Self::with_option)
    }

    fn file(path: PathBuf) -> Self {
        Self::File { path, mode: Mode::Create, immutable: false }
    }

    fn with_option(self, option: &str) -> Result<Self> {
        let (path, mode, immutable) = match (self, option) {
            (_, "mode=memory")
            | (Self::Memory, "cache=shared" | "cache=private" | "mode=rwc" | "mode=rw") => {
                return Ok(Self::Memory);
            }
            (Self::File { path, mode, immutable }, _) => (path, mode, immutable),
            (Self::Memory, _) => {
                return Err(config_error(&format!("option \"{option}\" does not suit a database in memory")));
            }
        };
        let (mode, immutable) = match option {
            "mode=ro" => (Mode::ReadOnly, immutable),
            "mode=rw" => (Mode::ReadWrite, immutable),
            "mode=rwc" => (Mode::Create, immutable),
            "immutable=1" | "immutable=true" => (Mode::ReadOnly, true),
            "immutable=0" | "immutable=false" | "cache=private" => (mode, immutable),
            other => {
                return Err(config_error(&format!(
                    "unknown option \"{other}\"; known are mode=ro|rw|rwc|memory, immutable=0|1, cache=private"
                )));
            }
        };
        Ok(Self::File { path, mode, immutable })
    }
}

/// `/C:/data.db`, as a URI writes a Windows path, without its first slash.
fn without_drive_slash(path: &str) -> &str {
    match path.as_bytes() {
        [b'/', drive, b':', ..] if drive.is_ascii_alphabetic() => path.get(1..).unwrap_or(path),
        _ => path,
    }
}

fn config_error(message: &str) -> Error {
    Error::new(ErrorKind::Config, format!("sqlite: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_path_is_understood() {
        for (uri, path) in [
            ("data.db", "data.db"),
            ("/var/data.db", "/var/data.db"),
            ("file:data.db", "data.db"),
            ("file:///var/data.db", "/var/data.db"),
            ("sqlite:data.db", "data.db"),
            ("sqlite://data.db", "data.db"),
            ("sqlite:///var/my%20data.db", "/var/my data.db"),
            ("file:///C:/data.db", "C:/data.db"),
        ] {
            assert_eq!(Location::parse(uri).unwrap(), Location::file(PathBuf::from(path)), "{uri}");
        }
        for uri in [
            ":memory:",
            "sqlite::memory:",
            "sqlite://:memory:",
            "file::memory:?cache=shared",
            "file:x?mode=memory",
        ] {
            assert_eq!(Location::parse(uri).unwrap(), Location::Memory, "{uri}");
        }
    }

    #[test]
    fn options_say_what_may_be_done() {
        let expected = Location::File { path: "a.db".into(), mode: Mode::ReadOnly, immutable: false };
        assert_eq!(Location::parse("file:a.db?mode=ro").unwrap(), expected);
        for uri in ["", "sqlite:", "file:a.db?mode=x", "file:a.db?vfs=unix"] {
            assert_eq!(Location::parse(uri).unwrap_err().kind(), ErrorKind::Config, "{uri}");
        }
    }
}
