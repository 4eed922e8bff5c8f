//! The rules by subject, and the list of all.

mod columns;
mod constraints;
mod data;
mod indexes;
mod maintenance;
mod names;
mod partitions;
mod rights;
mod storage;
mod tables;
mod transactions;
mod triggers;
mod types;

use pg_query::protobuf::node::Node as NodeKind;

use super::hits::Hits;
use super::rule::Rule;
use super::scope::Scope;

pub(super) use constraints::{FOREIGN_KEY_WITHOUT_INDEX, ForeignKey, foreign_keys};

/// What PostgreSQL's parser does not understand.
pub(super) static SYNTAX_ERROR: Rule = Rule::error(
    "syntax-error",
    "PostgreSQL's parser does not understand the statement, so the migration would fail at it.",
    "Correct the statement.",
);

/// A migration that cannot be taken back.
pub(super) static NO_ROLLBACK: Rule = Rule::notice(
    "no-rollback",
    "The file has no section -- down, so pgm rollback refuses to take the migration back.",
    "Write a section -- down, or accept that the way back is another migration.",
);

/// A comment with a mistake in it.
pub(super) static UNKNOWN_RULE: Rule = Rule::warning(
    "unknown-rule",
    "A comment turns off a rule that there is none of, so it does nothing.",
    "Write the rule as pgm lint --rules names it.",
);

static GENERAL: [&Rule; 3] = [&SYNTAX_ERROR, &NO_ROLLBACK, &UNKNOWN_RULE];

/// All rules, by subject.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    let groups: [&[&Rule]; 14] = [
        &GENERAL,
        &indexes::RULES,
        &columns::RULES,
        &constraints::RULES,
        &tables::RULES,
        &names::RULES,
        &types::RULES,
        &storage::RULES,
        &partitions::RULES,
        &maintenance::RULES,
        &data::RULES,
        &triggers::RULES,
        &transactions::RULES,
        &rights::RULES,
    ];
    groups.into_iter().flatten().copied()
}

/// Holds all rules against a statement. The scope does not know of the statement yet.
pub(super) fn check(statement: &NodeKind, scope: &mut Scope<'_>, hits: &mut Hits) {
    indexes::check(statement, scope, hits);
    columns::check(statement, scope, hits);
    constraints::check(statement, scope, hits);
    tables::check(statement, scope, hits);
    names::check(statement, scope, hits);
    types::check(statement, scope, hits);
    storage::check(statement, scope, hits);
    partitions::check(statement, scope, hits);
    maintenance::check(statement, scope, hits);
    data::check(statement, scope, hits);
    triggers::check(statement, scope, hits);
    rights::check(statement, hits);
    transactions::check(statement, scope, hits);
}
