//! Migrations as plain SQL: a text with sections for both directions, and what is said of it in comments.

use std::collections::HashSet;

use pg_query::protobuf::Token;
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
/// [`Error::Invalid`] with the line, where a section comes twice, what is outside of them is no comment, or what is said of
/// the migration stands within them.
pub fn read_sql_file(text: &str) -> Result<SqlFile, Error> {
    // Editors may put a mark before the text, which is no part of it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let comments = comment_lines(text);
    let mut file = SqlFile::default();
    let (mut head, mut up, mut down) = (String::new(), None::<String>, None::<String>);
    let mut section = Section::Head;
    let mut has_sql = false;
    for (number, line) in (1..).zip(text.lines()) {
        let is_comment = comments.as_ref().is_none_or(|comments| comments.lines.contains(&number));
        let comment = if is_comment { line.trim().strip_prefix("--") } else { None };
        match comment.and_then(word_of).as_deref() {
            Some("up") => section = open(&mut up, Section::Up, number)?,
            Some("down") => section = open(&mut down, Section::Down, number)?,
            Some("no-transaction") => file.no_transaction = true,
            Some("atomic") => file.atomic = true,
            _ => {
                let is_head = matches!(section, Section::Head) && !has_sql;
                read_header(comment, is_head, &mut file)
                    .map_err(|problem| Error::Invalid(format!("line {number}: {problem}")))?;
            }
        }
        let is_block = comments.as_ref().is_some_and(|comments| comments.blocks.contains(&number));
        has_sql |= comment.is_none() && !line.trim().is_empty() && !is_block;
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

/// Where comments stand: the body of a function may hold lines that only look like one.
#[derive(Default)]
struct Comments {
    /// The lines that begin with a comment to the end of the line.
    lines: HashSet<usize>,
    /// The lines over which comments in `/* */` go.
    blocks: HashSet<usize>,
}

/// The comments of a text; `None` if nobody can tell.
fn comment_lines(text: &str) -> Option<Comments> {
    let mut comments = Comments::default();
    if text.trim().is_empty() {
        // The scanner ends the process over a text without any token.
        return Some(comments);
    }
    let (mut number, mut counted) = (1, 0);
    for token in pg_query::scan_tokens(text).ok()? {
        let (start, end) = (usize::try_from(token.start).ok()?, usize::try_from(token.end).ok()?);
        number += text.get(counted..start)?.matches('\n').count();
        counted = start;
        if token.token == Token::SqlComment as i32 {
            comments.lines.insert(number);
        } else if token.token == Token::CComment as i32 {
            comments.blocks.extend(number..=number + text.get(start..end)?.matches('\n').count());
        }
    }
    Some(comments)
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

/// The only word of a comment, also as other tools write it: `migrate:up`, `+goose Up`, `Up Migration`, `up:`.
fn word_of(comment: &str) -> Option<String> {
    let comment = comment.trim().to_ascii_lowercase();
    let prefixes = ["migrate:", "+migrate ", "+goose "];
    let word = prefixes.iter().find_map(|prefix| comment.strip_prefix(prefix)).unwrap_or(&comment);
    let word = word.strip_suffix(" migration").or_else(|| word.strip_suffix(':')).unwrap_or(word).trim();
    (!word.contains(char::is_whitespace)).then(|| word.to_owned())
}

/// Takes what a comment says of the migration, which it may only do at the top.
fn read_header(comment: Option<&str>, is_head: bool, file: &mut SqlFile) -> Result<(), String> {
    let Some((name, value)) = comment.and_then(|comment| comment.split_once(':')) else { return Ok(()) };
    let name = name.trim().to_ascii_lowercase();
    let names =
        || value.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    match name.as_str() {
        "schemas" | "clusters" | "depends" if !is_head => {
            return Err(format!("-- {name}: must stand at the top of the file, before -- up and all SQL"));
        }
        "schemas" => file.schemas = names(),
        "clusters" => file.clusters = names(),
        "depends" => file.dependencies = names(),
        "description" if is_head => file.description = Some(value.trim().to_owned()),
        _ => {}
    }
    Ok(())
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
    fn sections_may_be_called_as_other_tools_call_them() {
        for [up, down] in [
            ["-- up:", "-- Down:"],
            ["-- Up Migration", "-- Down Migration"],
            ["-- +goose Up", "-- +goose Down"],
        ] {
            let file =
                read_sql_file(&format!("-- schemas: a\n{up}\nSELECT 1;\n{down}\nSELECT 2;\n")).unwrap();
            assert!(file.down.is_some_and(|down| down.contains("SELECT 2")), "{down}");
            assert!(!file.up.contains("SELECT 2"), "{up}");
        }
    }

    #[test]
    fn an_empty_file_is_read() {
        for text in ["", "\u{feff}", "\n \r\n"] {
            assert!(read_sql_file(text).unwrap().schemas.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn the_body_of_a_function_may_hold_lines_that_look_like_sections() {
        let body = "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $body$\n-- down\n  -- clusters: none\nBEGIN END\n$body$;";
        let file = read_sql_file(&format!(
            "\u{feff}-- SCHEMAS: a\r\n--UP\r\n{body}\r\n-- Down\r\nDROP FUNCTION f();\r\n"
        ));
        let file = file.unwrap();
        assert_eq!((file.schemas.as_slice(), file.clusters.len()), (&["a".to_owned()][..], 0));
        assert_eq!((split(&file.up).len(), split(file.down.as_deref().unwrap()).len()), (1, 1));
        assert!(file.up.contains("$body$;"));
    }

    #[test]
    fn what_is_said_of_the_migration_stands_at_its_top() {
        let refused = |text: &str| read_sql_file(text).unwrap_err().to_string();
        assert!(refused("-- up\n-- clusters: eu\nSELECT 1;\n").starts_with("line 2: -- clusters:"));
        assert!(refused("SELECT 1;\n-- depends: 1_a\n").starts_with("line 2: -- depends:"));
        let licensed = read_sql_file("/* a\n licence */\n-- schemas: a\nSELECT 1;\n").unwrap();
        assert_eq!(licensed.schemas, ["a"]);
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
