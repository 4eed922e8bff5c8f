//! Which file or folder is meant, and how it is read or written.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::error::{Error, ErrorKind, Result};

/// How rows are written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Comma-separated values with a header (RFC 4180).
    Csv,
    /// A list of objects, or an object of such lists.
    Json,
    /// One JSON object per line.
    Ndjson,
    /// `CREATE TABLE` and `INSERT` statements; `COPY` blocks are read too.
    Sql,
}

impl FileFormat {
    /// Every format with the name that configurations use, which is also the extension of its files.
    const NAMES: [(&'static str, Self); 6] = [
        ("csv", Self::Csv),
        ("json", Self::Json),
        ("ndjson", Self::Ndjson),
        ("sql", Self::Sql),
        ("jsonl", Self::Ndjson),
        ("sql-dump", Self::Sql),
    ];

    /// The format of this name.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the known ones.
    pub fn parse(name: &str) -> Result<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format).ok_or_else(|| {
            config_error(format!("format: unknown value \"{name}\"; known are csv, json, ndjson, sql"))
        })
    }

    /// The name that configurations use, and the extension of files that are written.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, format)| *format == self).map_or("", |(name, _)| name)
    }

    /// Whether a file with this extension may be of the format.
    pub(super) fn has_extension(self, extension: &str) -> bool {
        Self::NAMES.iter().any(|(name, format)| *format == self && name.eq_ignore_ascii_case(extension))
    }

    /// Whether one file can hold several tables.
    pub(super) fn holds_several(self) -> bool {
        matches!(self, Self::Json | Self::Sql)
    }
}

/// What an empty cell of a CSV file without quotes around it is in a text column. In a column of another type it is
/// always NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EmptyCells {
    /// NULL; a cell of two quotes is an empty text.
    #[default]
    UnquotedAreNull,
    /// NULL, with quotes or without.
    AreNull,
    /// An empty text.
    AreText,
}

/// The SQL of one kind of database, as far as dumps differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlFlavor {
    /// PostgreSQL and CockroachDB.
    Postgres,
    /// SQLite.
    Sqlite,
    /// MySQL and MariaDB, where a backslash in a string begins an escape.
    Mysql,
}

impl SqlFlavor {
    fn parse(name: &str) -> Result<Self> {
        match name {
            "postgres" | "postgresql" | "cockroachdb" | "cockroach" => Ok(Self::Postgres),
            "sqlite" => Ok(Self::Sqlite),
            "mysql" | "mariadb" => Ok(Self::Mysql),
            other => Err(config_error(format!(
                "dialect: unknown value \"{other}\"; a SQL dump is of postgres, cockroachdb, sqlite, mysql or mariadb"
            ))),
        }
    }

    /// The name that dumps of ours carry.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
            Self::Mysql => "mysql",
        }
    }
}

/// A file or folder as an end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSpec {
    /// The format.
    pub format: FileFormat,
    /// The file, or the folder with one file per table.
    pub path: PathBuf,
    /// CSV: what stands between cells.
    pub delimiter: u8,
    /// CSV: what empty cells are.
    pub empty_cells: EmptyCells,
    /// SQL: whose syntax it is; found by the content when read, PostgreSQL's when written.
    pub flavor: Option<SqlFlavor>,
    /// When read: the columns of the primary key, where neither an entity nor the target says.
    pub key: Vec<String>,
    /// JSON, when written: whether even the only list stands under the name of its entity.
    pub named_lists: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(expecting = "a file such as {format, path}")]
struct RawSpec {
    format: String,
    path: String,
    delimiter: Option<String>,
    empty_cells: Option<String>,
    dialect: Option<String>,
    #[serde(default)]
    key: Vec<String>,
    named_lists: Option<bool>,
}

impl FileSpec {
    /// A file or folder with every option at its default.
    pub fn new(format: FileFormat, path: impl Into<PathBuf>) -> Self {
        Self {
            format,
            path: path.into(),
            delimiter: b',',
            empty_cells: EmptyCells::default(),
            flavor: None,
            key: Vec::new(),
            named_lists: false,
        }
    }

    /// Reads and checks the JSON form.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the setting and what is allowed.
    pub fn from_json(json: Json) -> Result<Self> {
        let raw: RawSpec =
            serde_json::from_value(json).map_err(|error| config_error(format!("file: {error}")))?;
        let format = FileFormat::parse(&raw.format)?;
        let only_for = |setting: &str, given: bool, wanted: FileFormat| {
            if given && format != wanted {
                return Err(config_error(format!(
                    "{setting}: only a file of format {} has it",
                    wanted.name()
                )));
            }
            Ok(())
        };
        only_for("delimiter", raw.delimiter.is_some(), FileFormat::Csv)?;
        only_for("emptyCells", raw.empty_cells.is_some(), FileFormat::Csv)?;
        only_for("dialect", raw.dialect.is_some(), FileFormat::Sql)?;
        only_for("namedLists", raw.named_lists.is_some(), FileFormat::Json)?;
        if raw.path.is_empty() {
            return Err(config_error("path: is required"));
        }
        Ok(Self {
            format,
            path: raw.path.into(),
            delimiter: raw.delimiter.as_deref().map_or(Ok(b','), delimiter)?,
            empty_cells: raw.empty_cells.as_deref().map_or(Ok(EmptyCells::default()), empty_cells)?,
            flavor: raw.dialect.as_deref().map(SqlFlavor::parse).transpose()?,
            key: raw.key,
            named_lists: raw.named_lists.unwrap_or_default(),
        })
    }
}

fn delimiter(text: &str) -> Result<u8> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) => Ok(*byte),
        _ => Err(config_error(format!("delimiter: expected one ASCII character, found {text:?}"))),
    }
}

fn empty_cells(name: &str) -> Result<EmptyCells> {
    match name {
        "unquoted-null" => Ok(EmptyCells::UnquotedAreNull),
        "null" => Ok(EmptyCells::AreNull),
        "text" => Ok(EmptyCells::AreText),
        other => Err(config_error(format!(
            "emptyCells: unknown value \"{other}\"; known are unquoted-null, null, text"
        ))),
    }
}

fn config_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        let spec = FileSpec::from_json(json!({"format": "csv", "path": "users.csv"})).unwrap();
        assert_eq!(spec, FileSpec::new(FileFormat::Csv, "users.csv"));
    }

    #[test]
    fn a_wrong_setting_is_named_with_what_is_known() {
        for (spec, words) in [
            (json!({"format": "xml", "path": "a"}), "known are csv, json, ndjson, sql"),
            (json!({"format": "csv", "path": "a", "delimiter": "||"}), "delimiter"),
            (json!({"format": "csv", "path": "a", "emptyCells": "maybe"}), "emptyCells"),
            (json!({"format": "json", "path": "a", "delimiter": ";"}), "delimiter"),
            (json!({"format": "sql", "path": "a", "dialect": "oracle"}), "dialect"),
            (json!({"format": "csv", "path": "a", "nulls": "x"}), "nulls"),
        ] {
            let error = FileSpec::from_json(spec).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
