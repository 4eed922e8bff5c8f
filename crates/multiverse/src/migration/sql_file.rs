//! Migrations as plain SQL: a text with sections for both directions, and what is said of it in comments.

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::statements::{leaves_transaction, split};

/// A file of SQL.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SqlFile {
    /// What applies the migration.
    pub up: String,
    /// What takes it back; `None` if nothing can.
    pub down: Option<String>,
    /// `-- no-transaction` stands in it.
    pub no_transaction: bool,
    /// `-- atomic` stands in it.
    pub atomic: bool,
    /// The names after `-- schemas:`.
    pub schemas: Vec<String>,
    /// The names after `-- clusters:`.
    pub clusters: Vec<String>,
    /// The versions after `-- depends:`.
    pub dependencies: Vec<String>,
    /// The text after `-- description:`.
    pub description: Option<String>,
}

impl SqlFile {
    /// Refuses statements that cannot do what is asked of them, before any has run.
    pub(crate) fn check(&self, in_transaction: bool) -> Result<(), Error> {
        let texts = [Some(&self.up), self.down.as_ref()];
        let culprit = texts.into_iter().flatten().find_map(|text| {
            split(text).into_iter().find(|statement| in_transaction && leaves_transaction(&statement.text))
        });
        match culprit {
            Some(statement) => Err(Error::Invalid(format!(
                "{} cannot run within the transaction of a migration: write -- no-transaction at the top of the file",
                statement.beginning()
            ))),
            None => Ok(()),
        }
    }
}

/// Reads a file. What stands before `-- up` belongs to no direction, unless there is no such line.
///
/// # Errors
/// [`Error::Invalid`] with the line, where a section comes twice, or what is outside of them is no comment.
pub fn read_sql_file(text: &str) -> Result<SqlFile, Error> {
    let mut file = SqlFile::default();
    let (mut head, mut up, mut down) = (String::new(), None::<String>, None::<String>);
    let mut section = Section::Head;
    for (number, line) in (1..).zip(text.lines()) {
        match word_of(line).as_deref() {
            Some("up") => section = open(&mut up, Section::Up, number)?,
            Some("down") => section = open(&mut down, Section::Down, number)?,
            Some("no-transaction") => file.no_transaction = true,
            Some("atomic") => file.atomic = true,
            _ => read_header(line, &mut file),
        }
        // Each section keeps the line numbers of the file, so that errors can name them.
        let text = match section {
            Section::Head => &mut head,
            Section::Up => up.get_or_insert_default(),
            Section::Down => down.get_or_insert_default(),
        };
        text.push_str(line);
        text.push('\n');
    }
    if up.is_none() && down.is_none() {
        return Ok(SqlFile { up: head, ..file });
    }
    if let Some(statement) = split(&head).first() {
        let problem = format!("line {}: SQL stands before the line -- up", statement.line);
        return Err(Error::Invalid(problem));
    }
    let Some(up) = up else {
        return Err(Error::Invalid("there is a line -- down, and none -- up".to_owned()));
    };
    Ok(SqlFile { up, down, ..file })
}

#[derive(Clone, Copy)]
enum Section {
    Head,
    Up,
    Down,
}

fn open(text: &mut Option<String>, section: Section, line: usize) -> Result<Section, Error> {
    if text.is_some() {
        return Err(Error::Invalid(format!("line {line}: this section has begun before")));
    }
    // Empty lines in place of what came before.
    *text = Some("\n".repeat(line - 1));
    Ok(section)
}

/// The only word of a comment on a line of its own.
fn word_of(line: &str) -> Option<String> {
    let comment = line.trim().strip_prefix("--")?.trim();
    let word =
        comment.strip_prefix("migrate:").or_else(|| comment.strip_prefix("+migrate ")).unwrap_or(comment);
    (!word.contains(char::is_whitespace)).then(|| word.to_ascii_lowercase())
}

fn read_header(line: &str, file: &mut SqlFile) {
    let Some((name, value)) = line.trim().strip_prefix("--").and_then(|comment| comment.split_once(':'))
    else {
        return;
    };
    let names =
        || value.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    match name.trim().to_ascii_lowercase().as_str() {
        "schemas" => file.schemas = names(),
        "clusters" => file.clusters = names(),
        "depends" => file.dependencies = names(),
        "description" => file.description = Some(value.trim().to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_keep_the_lines_of_their_file() {
        let text = "-- schemas: a, b\n-- depends: 1\n-- up\nCREATE TABLE t ();\n-- down\nDROP TABLE t;\n";
        let file = read_sql_file(text).unwrap();
        assert_eq!((file.schemas.len(), file.dependencies.as_slice()), (2, &["1".to_owned()][..]));
        assert_eq!(split(&file.up)[0].line, 4);
        assert_eq!(split(file.down.as_deref().unwrap())[0].line, 6);
        assert!(!file.no_transaction);
    }

    #[test]
    fn a_file_without_sections_only_goes_up() {
        let file = read_sql_file("-- no-transaction\nVACUUM;\n").unwrap();
        assert!(file.no_transaction && file.down.is_none() && file.up.contains("VACUUM"));
    }

    #[test]
    fn what_would_be_lost_or_could_not_run_is_refused() {
        let refused = |text: &str| read_sql_file(text).unwrap_err().to_string();
        assert!(refused("SELECT 1;\n-- up\n").contains("line 1"));
        assert!(refused("-- up\n-- up\n").contains("line 2"));
        assert!(refused("-- down\n").contains("none -- up"));
        let concurrent = read_sql_file("CREATE INDEX CONCURRENTLY i ON t (a);").unwrap();
        assert!(concurrent.check(true).unwrap_err().to_string().contains("no-transaction"));
        assert!(concurrent.check(false).is_ok());
    }
}
