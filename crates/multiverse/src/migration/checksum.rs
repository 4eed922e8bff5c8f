//! Checksums of migrations, by which it shows that one was changed after it was applied.

use ring::digest::{Context, Digest, SHA256, digest};

use super::definition::{Migration, Source};
use super::state::StateRow;
use super::statements::{Statement, split};

/// Stands before a checksum that was made of a file's text. The others are made of the texts of both functions.
const OF_FILE: &str = "file:";
/// Stands before a checksum of the statements that have run of a migration that stopped half-way.
const OF_STATEMENTS: &str = "statements:";

/// The checksum that the history records. Functions of JavaScript have a text that anybody can read again; a transpiler
/// may put TypeScript in other words one day, so there the file counts, as it does for SQL.
pub(crate) fn of_migration(migration: &Migration) -> String {
    match (&migration.source, &migration.function_text, &migration.file_text) {
        (Source::Script, Some(functions), _) if !is_type_script(migration) => hex(functions),
        (_, _, Some(file)) => of_file(file),
        (_, Some(functions), None) => hex(functions),
        _ => String::new(),
    }
}

/// Whether a recorded checksum is that of the migration as it is now.
pub(crate) fn fits(migration: &Migration, recorded: &str) -> bool {
    let of_functions = || migration.function_text.as_deref().map(hex);
    let of_file = || migration.file_text.as_deref().map(of_file);
    Some(recorded.to_owned()) == of_file() || Some(recorded.to_owned()) == of_functions()
}

/// Whether nobody can tell if a recorded checksum was that of this migration: it was made of what another transpiler put
/// its functions into.
pub(crate) fn is_unknowable(migration: &Migration, recorded: &str) -> bool {
    is_type_script(migration) && !recorded.starts_with(OF_FILE)
}

fn is_type_script(migration: &Migration) -> bool {
    let extension = migration.file.as_deref().and_then(|file| file.rsplit('.').next());
    matches!(extension, Some("ts" | "mts" | "cts"))
}

/// Line ends do not count, as version control may change them.
fn of_file(text: &str) -> String {
    format!("{OF_FILE}{}", hex(&text.replace("\r\n", "\n")))
}

/// Whether a sum in the state table is that of a file which was adopted, and not of statements that have run.
pub(crate) fn is_adopted(sum: &str) -> bool {
    sum.starts_with(OF_FILE)
}

/// The checksum of statements as one after the other has run.
#[derive(Clone)]
pub(crate) struct StatementSum(Context);

impl StatementSum {
    pub(crate) fn of(statements: &[Statement]) -> Self {
        let mut sum = Self(Context::new(&SHA256));
        statements.iter().for_each(|statement| sum.add(statement));
        sum
    }

    pub(crate) fn add(&mut self, statement: &Statement) {
        self.0.update(statement.text.replace("\r\n", "\n").as_bytes());
        // No statement holds this character.
        self.0.update(&[0]);
    }

    pub(crate) fn text(&self) -> String {
        format!("{OF_STATEMENTS}{}", in_hex(&self.0.clone().finish()))
    }
}

/// Whether the statements that have run of a migration which stopped half-way are not those with which it begins now, so
/// that nobody can tell where it is to be continued.
pub(crate) fn has_other_beginning(state: &StateRow, sql: &str) -> bool {
    let recorded = state.checksum.as_deref().filter(|sum| sum.starts_with(OF_STATEMENTS));
    let statements = split(sql);
    let ran = statements.get(..state.statement);
    recorded.is_some_and(|recorded| ran.is_none_or(|ran| StatementSum::of(ran).text() != recorded))
}

fn hex(text: &str) -> String {
    in_hex(&digest(&SHA256, text.as_bytes()))
}

fn in_hex(digest: &Digest) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(file: &str, text: &str) -> Migration {
        Migration {
            file: Some(file.to_owned()),
            function_text: Some("up(){}down(){}".to_owned()),
            file_text: Some(text.to_owned()),
            ..Migration::default()
        }
    }

    #[test]
    fn a_history_that_holds_the_sum_of_both_functions_fits() {
        let migration = script("1_a.js", "module.exports = {}");
        assert_eq!(of_migration(&migration), hex("up(){}down(){}"));
        assert!(fits(&migration, &hex("up(){}down(){}")));
        assert!(!fits(&migration, &hex("up(){ }down(){}")));
        assert_eq!(hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_typescript_file_is_told_by_its_text_whatever_its_line_ends() {
        let (unix, windows) = (script("1_a.ts", "a\nb"), script("1_a.ts", "a\r\nb"));
        assert_eq!(of_migration(&unix), of_migration(&windows));
        assert!(of_migration(&unix).starts_with("file:"));
        assert!(is_unknowable(&unix, &hex("in other words")));
        assert!(!is_unknowable(&unix, "file:00") && !is_unknowable(&script("1_a.js", ""), "00"));
    }
}
