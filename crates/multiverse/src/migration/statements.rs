//! The statements of a text: where each begins, and whether it can be part of a transaction.

use pg_query::protobuf::node::Node;
use serde::Serialize;

use crate::route::with_syntax_tree;

/// One statement.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// Its text, without comments before it.
    pub text: String,
    /// The line on which it begins, counted from 1.
    pub line: usize,
    /// Whether the server refuses it within a transaction, or it begins or ends one.
    pub stands_alone: bool,
}

impl Statement {
    /// Its first words, for messages.
    pub(crate) fn beginning(&self) -> String {
        format!("{} (line {})", self.first_words(), self.line)
    }

    /// Its first words in capitals, without names in quotes.
    pub(crate) fn first_words(&self) -> String {
        let words: Vec<_> = words(&self.text).take(4).collect();
        words.join(" ")
    }
}

/// The statements of a text, without comments before them. Where one is not SQL, or SQL that only a newer server knows, the others are
/// still statements of their own.
pub(crate) fn split(sql: &str) -> Vec<Statement> {
    let scanned = || pg_query::split_with_scanner(sql).map(|parts| with_gaps(sql, &parts));
    let parts = pg_query::split_with_parser(sql).or_else(|_| scanned());
    statements(sql, parts.unwrap_or_else(|_| vec![sql]))
}

/// The statements of a text, as they are run one after the other.
#[must_use]
pub fn split_statements(sql: &str) -> Vec<Statement> {
    split(sql)
}

/// The parts of a text with what lies between them: the scanner passes over statements without any word of SQL.
fn with_gaps<'a>(sql: &'a str, parts: &[&'a str]) -> Vec<&'a str> {
    let mut all = Vec::new();
    let mut end = 0;
    for part in parts {
        let Some(start) = (part.as_ptr() as usize).checked_sub(sql.as_ptr() as usize) else { continue };
        all.extend(sql.get(end..start));
        all.push(part);
        end = start + part.len();
    }
    all.extend(sql.get(end..));
    all.into_iter().map(|part| part.trim_end().trim_end_matches(';')).collect()
}

fn statements(sql: &str, parts: Vec<&str>) -> Vec<Statement> {
    let statements = parts.into_iter().filter_map(|part| {
        let text = after_comments(part);
        let start = (text.as_ptr() as usize).checked_sub(sql.as_ptr() as usize)?;
        let line = sql.get(..start)?.matches('\n').count() + 1;
        let stands_alone = transaction_control(text).is_some() || stands_alone(text);
        (!text.is_empty()).then(|| Statement { text: text.trim_end().to_owned(), line, stands_alone })
    });
    statements.collect()
}

/// Whether a text ends the transaction it runs in, begins one of its own, or cannot run in any.
#[must_use]
pub fn leaves_transaction(sql: &str) -> bool {
    split(sql).iter().any(|statement| statement.stands_alone)
}

/// What a statement does to transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    Begins,
    Ends,
}

/// What a statement does to transactions; nothing if it only sets a savepoint or goes back to one.
pub(crate) fn transaction_control(statement: &str) -> Option<Control> {
    let words: Vec<String> = words(statement).take(4).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match *words.as_slice() {
        ["COMMIT" | "END" | "ROLLBACK" | "ABORT", .., "AND", "CHAIN"] => Some(Control::Begins),
        ["BEGIN", ..] | ["START", "TRANSACTION", ..] => Some(Control::Begins),
        ["ROLLBACK", "TO", ..] | ["ROLLBACK", "WORK" | "TRANSACTION", "TO", ..] => None,
        ["COMMIT" | "END" | "ROLLBACK" | "ABORT", ..] | ["PREPARE", "TRANSACTION", ..] => Some(Control::Ends),
        _ => None,
    }
}

/// Whether a statement sets something for the session: a search path, a role, a limit.
pub(crate) fn sets_session(statement: &str) -> bool {
    let words: Vec<String> = words(statement).take(2).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match *words.as_slice() {
        ["SET", second] => !matches!(second, "LOCAL" | "CONSTRAINTS" | "TRANSACTION"),
        ["RESET", _] => true,
        _ => false,
    }
}

/// Whether the server refuses a statement within a transaction.
pub(crate) fn stands_alone(statement: &str) -> bool {
    let words: Vec<String> = words(statement).take(64).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let is_concurrent = words.contains(&"CONCURRENTLY");
    match *words.as_slice() {
        ["CREATE", "INDEX" | "UNIQUE", ..] | ["DROP", "INDEX", ..] => is_concurrent,
        ["REINDEX", ..] => {
            is_concurrent || words.iter().any(|word| matches!(*word, "DATABASE" | "SYSTEM" | "SCHEMA"))
        }
        ["ALTER", "TABLE", ..] => is_concurrent && words.contains(&"DETACH"),
        ["ALTER", "DATABASE", ..] => words.contains(&"TABLESPACE"),
        ["VACUUM", ..] | ["ALTER", "SYSTEM", ..] | ["CLUSTER"] => true,
        ["CREATE" | "DROP", "DATABASE" | "TABLESPACE" | "SUBSCRIPTION", ..] => true,
        _ => false,
    }
}

/// Whether a statement may end transactions itself, which it can only do outside of one: a procedure, or a block of code
/// with such a word in it.
pub(crate) fn may_commit(statement: &str) -> bool {
    let mut words = words(statement);
    match words.next().as_deref() {
        Some("CALL") => true,
        Some("DO") => {
            let code = statement.to_ascii_uppercase();
            code.contains("COMMIT") || code.contains("ROLLBACK")
        }
        _ => false,
    }
}

/// The name of the index that a statement makes without blocking writes, as SQL writes it, on the search path.
pub(crate) fn concurrent_index(statement: &str) -> Option<String> {
    let index = with_syntax_tree(statement, |tree| match tree.stmts.into_iter().next()?.stmt?.node? {
        Node::IndexStmt(index) => Some(index),
        _ => None,
    });
    let index = index.flatten().filter(|index| index.concurrent && !index.idxname.is_empty())?;
    // An index is made in the schema of its table.
    let schema = index.relation.map(|table| table.schemaname).filter(|schema| !schema.is_empty());
    let name = super::database::quoted(&index.idxname);
    Some(schema.map_or(name.clone(), |schema| format!("{}.{name}", super::database::quoted(&schema))))
}

/// The text without blanks and comments before it.
fn after_comments(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        let after = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if rest.starts_with("/*") {
            after_block_comment(rest)
        } else if let Some(after) = rest.strip_prefix(';') {
            after
        } else {
            return rest;
        };
        rest = after.trim_start();
    }
}

/// Comments in `/* */` may hold others.
fn after_block_comment(text: &str) -> &str {
    let (mut depth, mut rest) = (0_usize, text);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("/*") {
            (depth, rest) = (depth + 1, after);
        } else if let Some(after) = rest.strip_prefix("*/") {
            (depth, rest) = (depth - 1, after);
            if depth == 0 {
                return rest;
            }
        } else {
            let mut characters = rest.chars();
            characters.next();
            rest = characters.as_str();
        }
    }
    rest
}

/// The words of a statement in capitals, without names in quotes, values and signs.
fn words(statement: &str) -> impl Iterator<Item = String> {
    let mut rest = statement;
    std::iter::from_fn(move || {
        loop {
            rest = after_comments(rest);
            let first = rest.chars().next()?;
            if first == '\'' || first == '"' {
                let mut parts = rest.splitn(3, first);
                rest = parts.nth(2).unwrap_or_default();
                continue;
            }
            let end =
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end.max(first.len_utf8()));
            rest = after;
            if end > 0 {
                return Some(word.to_uppercase());
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_or_cannot_join_a_transaction_is_told() {
        for sql in [
            "CREATE INDEX CONCURRENTLY i ON t (a)",
            "create unique index /* now */ concurrently i ON t (a)",
            "-- first\nDROP INDEX CONCURRENTLY IF EXISTS i",
            "SELECT 1; COMMIT; SELECT 2",
            "begin",
            "VACUUM t",
            "REINDEX (VERBOSE) TABLE CONCURRENTLY t",
            "ALTER TABLE t DETACH PARTITION p CONCURRENTLY",
            "ROLLBACK",
        ] {
            assert!(leaves_transaction(sql), "{sql}");
        }
        for sql in [
            "CREATE INDEX i ON t (a)",
            "CREATE INDEX \"concurrently\" ON t (a)",
            "INSERT INTO t VALUES ('COMMIT; VACUUM')",
            "SAVEPOINT a; ROLLBACK TO a",
            "DO $$ BEGIN PERFORM 1; END $$",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END",
            "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
            "",
        ] {
            assert!(!leaves_transaction(sql), "{sql}");
        }
    }

    #[test]
    fn what_a_session_keeps_is_told_from_what_a_transaction_does() {
        for sql in ["SET search_path TO a", "set role = x", "RESET ALL", "-- so\nSET SESSION AUTHORIZATION y"]
        {
            assert!(sets_session(sql), "{sql}");
        }
        for sql in
            ["SET LOCAL role TO x", "SET CONSTRAINTS ALL DEFERRED", "SET TRANSACTION READ ONLY", "SELECT 1"]
        {
            assert!(!sets_session(sql), "{sql}");
        }
        assert_eq!(transaction_control("COMMIT AND CHAIN"), Some(Control::Begins));
        assert_eq!(transaction_control("ROLLBACK AND NO CHAIN"), Some(Control::Ends));
    }

    #[test]
    fn statements_that_only_another_server_knows_keep_the_others_apart() {
        let found = split("CREATE TABLE a (system_user text);\nCOMMIT;\nSELECT 1;\n");
        assert_eq!(found.iter().map(|each| each.line).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(found.iter().any(|each| each.stands_alone));
    }

    #[test]
    fn code_that_commits_in_batches_is_told() {
        assert!(may_commit("DO $$ BEGIN LOOP UPDATE t SET a = 1; commit; END LOOP; END $$"));
        assert!(may_commit("/* fill */ call fill()"));
        assert!(!may_commit("DO $$ BEGIN PERFORM 1; END $$"));
        assert!(!may_commit("INSERT INTO t VALUES ('COMMIT')"));
    }

    #[test]
    fn an_index_that_is_built_concurrently_is_named() {
        let name = |sql| concurrent_index(sql);
        assert_eq!(name("CREATE INDEX CONCURRENTLY \"A b\" ON s.t (a)").as_deref(), Some("\"s\".\"A b\""));
        assert_eq!(name("CREATE INDEX CONCURRENTLY a ON t (a)").as_deref(), Some("\"a\""));
        assert_eq!(name("CREATE INDEX a ON t (a)"), None);
    }

    #[test]
    fn statements_know_their_lines() {
        let found = split("-- one\nSELECT 1;\n\n/* two */ SELECT ';';\n");
        let found: Vec<_> = found.iter().map(|each| (each.text.as_str(), each.line)).collect();
        assert_eq!(found, [("SELECT 1", 2), ("SELECT ';'", 4)]);
    }
}
