//! What a text of SQL is: one statement or several, a read or a write, and what it names.
//!
//! PostgreSQL's own grammar reads the text. Only what is known to read counts as a read: a kind of statement, clause or
//! expression that is not named in `statement` makes the text uncertain, and so does a text that the grammar refuses.
//! Whether the functions, operators, types and relations that it names only read is told by the catalogue.

mod collect;
mod nesting;
mod parse;
mod statement;
mod tree;

use indexmap::IndexSet;
use pg_query::protobuf::ParseResult;

use self::collect::{Collector, Findings};
use crate::route::verdict::{Access, StatementKind, Verdict};

/// Texts longer than this, in bytes, are not parsed: that would take longer than the read would gain.
const LONGEST: usize = 4 << 20;

/// Trees that may be deeper than this are not parsed. The server refuses most of them too (`stack depth limit exceeded`).
const DEEPEST: usize = 5_000;

/// The stack that one level of a syntax tree may take, from the parser to the end of the walk over it: more than twice what
/// was measured of chains of NOT, the worst.
const STACK_PER_LEVEL: usize = if cfg!(debug_assertions) { 160 << 10 } else { 16 << 10 };

/// The stack that is needed whatever the text.
const LEAST_STACK: usize = 768 << 10;

/// Reads the syntax tree of a text; `None` if it is not SQL, or nested so deeply that it is not parsed. The tree is read and
/// dropped where the stack is deep enough for it.
pub(crate) fn with_syntax_tree<T: Send>(sql: &str, read: impl FnOnce(ParseResult) -> T + Send) -> Option<T> {
    let depth = nesting::depth_bound(sql).filter(|depth| *depth <= DEEPEST && sql.len() <= LONGEST)?;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(LEAST_STACK + depth * STACK_PER_LEVEL)
            .spawn_scoped(scope, || parse::parse(sql, 0).map(read));
        thread.ok().and_then(|thread| thread.join().ok()).flatten()
    })
}

/// Parses a short text of this crate's own on the stack there is.
pub(crate) fn parse_here(sql: &str) -> Option<ParseResult> {
    parse::parse(sql, 0)
}

/// Tells what a text is.
#[must_use]
pub fn classify(sql: &str) -> Verdict {
    if sql.len() > LONGEST {
        return unknown();
    }
    let Some(depth) = nesting::depth_bound(sql).filter(|depth| *depth <= DEEPEST) else { return unknown() };
    let needed = LEAST_STACK + depth * STACK_PER_LEVEL;
    if stacker::remaining_stack().is_some_and(|remaining| remaining >= needed) {
        return classify_on_this_stack(sql);
    }
    // The parser measures the stack of its thread, so a deeper stack means another thread.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(needed)
            .spawn_scoped(scope, || classify_on_this_stack(sql));
        thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_else(unknown)
    })
}

fn classify_on_this_stack(sql: &str) -> Verdict {
    let standard = findings(sql, 0);
    // Where backslashes may be read in two ways, the session's setting decides, and the text must read in both. A text
    // that only one way can read is what that way says: in the other the server refuses it.
    let findings = if sql.contains('\\') && sql.contains('\'') {
        match (standard, findings(sql, parse::BACKSLASHES_ESCAPE)) {
            (Some(standard), Some(escaping)) => Some(either(standard, escaping)),
            (standard, escaping) => standard.or(escaping),
        }
    } else {
        standard
    };
    findings.map_or_else(unknown, verdict)
}

fn findings(sql: &str, options: std::ffi::c_int) -> Option<Findings> {
    let tree = parse::parse(sql, options)?;
    let mut collector = Collector::new();
    tree::walk(&tree, &mut collector).then(|| collector.into_findings())
}

/// What holds if the text means one or the other.
fn either(mut one: Findings, other: Findings) -> Findings {
    one.access = one.access.max(other.access);
    if one.kinds != other.kinds {
        one.kinds.extend(other.kinds);
        one.access = one.access.max(Access::Uncertain);
    }
    one.locks |= other.locks;
    one.changes_session |= other.changes_session;
    one.transaction_control |= other.transaction_control;
    one.changes_definitions |= other.changes_definitions;
    one.reads_surroundings |= other.reads_surroundings;
    one.functions.extend(other.functions);
    one.operators.extend(other.operators);
    one.types.extend(other.types);
    one.relations.extend(other.relations);
    one.attributes.extend(other.attributes);
    one.common_tables.extend(other.common_tables);
    one
}

fn verdict(findings: Findings) -> Verdict {
    let kind = match findings.kinds.as_slice() {
        [] => StatementKind::Empty,
        [first, rest @ ..] if rest.iter().all(|kind| kind == first) => *first,
        _ => StatementKind::Several,
    };
    Verdict {
        // What changes the session is no use to others on a replica either.
        access: findings.access.max(if findings.changes_session { Access::Uncertain } else { Access::Read }),
        kind,
        statements: Some(findings.kinds.len()),
        locks: findings.locks,
        changes_session: findings.changes_session,
        transaction_control: findings.transaction_control,
        changes_definitions: findings.changes_definitions
            && !(findings.makes_temporary && findings.kinds.len() == 1),
        reads_surroundings: findings.reads_surroundings,
        functions: list(findings.functions),
        operators: list(findings.operators),
        types: list(findings.types),
        relations: list(findings.relations),
        attributes: list(findings.attributes),
        common_tables: list(findings.common_tables),
    }
}

/// The verdict on a text of which nothing is known. The server may know more, so everything is possible.
fn unknown() -> Verdict {
    Verdict {
        access: Access::Uncertain,
        kind: StatementKind::Unknown,
        statements: None,
        locks: false,
        changes_session: true,
        transaction_control: false,
        changes_definitions: true,
        reads_surroundings: true,
        functions: Box::default(),
        operators: Box::default(),
        types: Box::default(),
        relations: Box::default(),
        attributes: Box::default(),
        common_tables: Box::default(),
    }
}

fn list<T>(set: IndexSet<T>) -> Box<[T]> {
    set.into_iter().collect()
}

#[cfg(test)]
mod tests;
