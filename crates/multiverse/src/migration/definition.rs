//! A migration as it was found: its name, where it belongs, what it needs, and what it does.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::error::Error;
use super::host::Direction;
use super::sql_file::SqlFile;

/// A schema on a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The schema.
    #[serde(serialize_with = "serialize_name")]
    pub schema: Arc<str>,
    /// The cluster's id.
    #[serde(serialize_with = "serialize_name")]
    pub cluster: Arc<str>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.schema, self.cluster)
    }
}

/// Writes a shared name as text.
pub(crate) fn serialize_name<S: Serializer>(name: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name)
}

/// What a migration does.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// Functions of the application.
    #[default]
    Script,
    /// A text of SQL.
    Sql(SqlFile),
}

/// A migration.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Migration {
    /// What tells it apart, and its place in the order.
    pub version: String,
    /// What people call it.
    pub name: String,
    /// The schemas it belongs to.
    pub target_schemas: Vec<String>,
    /// The clusters it is kept to; all that have its schemas when not given.
    pub target_clusters: Option<Vec<String>>,
    /// The versions that must be applied before it.
    pub dependencies: Vec<String>,
    /// Whether it runs in one transaction, as long as nothing in it ends that.
    pub transaction: bool,
    /// Whether it is applied to all of its places or to none, by two-phase commit.
    pub atomic: bool,
    /// What it does.
    pub source: Source,
    /// The texts of its functions, one after the other.
    pub function_text: Option<String>,
    /// The text of its file.
    pub file_text: Option<String>,
    /// The name of its file.
    pub file: Option<String>,
}

impl Migration {
    /// Checks what is told of it.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what is missing.
    pub fn check(&self) -> Result<(), Error> {
        let missing = if self.version.is_empty() {
            "Migration version is required"
        } else if self.name.is_empty() {
            "Migration name is required"
        } else if self.target_schemas.is_empty() {
            "Migration must target at least one schema"
        } else {
            return match &self.source {
                Source::Sql(file) => file.check(self.transaction),
                Source::Script => Ok(()),
            };
        };
        Err(Error::Invalid(missing.to_owned()))
    }

    /// Fails if it is a file of SQL that does not say how it is taken back.
    pub(crate) fn check_reversible(&self) -> Result<(), Error> {
        match &self.source {
            Source::Sql(file) if file.down.is_none() => Err(Error::Invalid(format!(
                "Migration {} cannot be taken back: {} has no section -- down",
                self.version,
                self.label()
            ))),
            _ => Ok(()),
        }
    }

    /// The SQL that applies it or takes it back; `None` if a function does.
    pub(crate) fn sql(&self, direction: Direction) -> Result<Option<&str>, Error> {
        match (&self.source, direction) {
            (Source::Script, _) => Ok(None),
            (Source::Sql(file), Direction::Up) => Ok(Some(&file.up)),
            (Source::Sql(file), Direction::Down) => {
                self.check_reversible()?;
                Ok(file.down.as_deref())
            }
        }
    }

    /// How people find it.
    pub(crate) fn label(&self) -> &str {
        self.file.as_deref().unwrap_or("its functions")
    }
}

/// The order of versions: that of their text, in which a `T` between date and time does not count.
pub(crate) fn compare_versions(one: &str, other: &str) -> Ordering {
    plain(one).cmp(plain(other)).then_with(|| one.cmp(other))
}

/// The characters of a version without that `T`.
fn plain(version: &str) -> impl Iterator<Item = u8> {
    let bytes = version.as_bytes();
    let has_mark = bytes.get(8) == Some(&b'T')
        && bytes.get(..8).is_some_and(|date| date.iter().all(u8::is_ascii_digit))
        && bytes.get(9).is_some_and(u8::is_ascii_digit);
    bytes.iter().copied().enumerate().filter(move |(at, _)| !(has_mark && *at == 8)).map(|(_, byte)| byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_with_and_without_a_mark_before_the_time_stand_in_one_order() {
        let mut versions = ["20260101T130000_c", "20260101120000_b", "20251231T235959_a", "2_x", "T"];
        versions.sort_by(|one, other| compare_versions(one, other));
        assert_eq!(versions, ["20251231T235959_a", "20260101120000_b", "20260101T130000_c", "2_x", "T"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let check = |change: fn(&mut Migration)| {
            let mut migration = Migration {
                version: "1".to_owned(),
                name: "a".to_owned(),
                target_schemas: vec!["s".to_owned()],
                ..Migration::default()
            };
            change(&mut migration);
            migration.check().map_err(|error| error.to_string())
        };
        assert_eq!(check(|_| {}), Ok(()));
        assert_eq!(check(|m| m.version.clear()), Err("Migration version is required".to_owned()));
        assert_eq!(check(|m| m.name.clear()), Err("Migration name is required".to_owned()));
        let no_schema = "Migration must target at least one schema";
        assert_eq!(check(|m| m.target_schemas.clear()), Err(no_schema.to_owned()));
    }
}
