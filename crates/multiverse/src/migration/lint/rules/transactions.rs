//! Transactions: what cannot run in one, what is held in one, and how long is waited.

use pg_query::protobuf::node::Node as NodeKind;
use pg_query::protobuf::{TransactionStmtKind, VariableSetKind, VariableSetStmt};

use super::super::hits::Hits;
use super::super::locks::locks_of;
use super::super::rule::Rule;
use super::super::scope::Scope;
use super::indexes::is_concurrent;

static CONCURRENTLY_IN_TRANSACTION: Rule = Rule::error(
    "concurrently-in-transaction",
    "The server refuses it in a transaction: a file of SQL is not run, and a function commits what it has done so far first.",
    "Put it into a migration of its own with -- no-transaction, or transaction: false.",
);
static EXPLICIT_TRANSACTION: Rule = Rule::warning(
    "explicit-transaction",
    "A migration has a transaction already; one that ends it is half-done when it fails afterwards.",
    "Leave BEGIN and COMMIT out, and make several migrations of it.",
);
static MISSING_LOCK_TIMEOUT: Rule = Rule::warning(
    "missing-lock-timeout",
    "The statement waits for every query on the table, and all later queries wait behind it, however long.",
    "SET LOCAL lock_timeout = '2s' before it, or the option ddlLockTimeout, with which it is tried again.",
);
static SEVERAL_LOCKS: Rule = Rule::warning(
    "several-locks",
    "The first table stays locked while the next is waited for, and two transactions that lock in different orders end in a deadlock.",
    "One table for each migration.",
);
static SET_WITHOUT_LOCAL: Rule = Rule::warning(
    "set-without-local",
    "The setting outlives the transaction, also for others where a pooler stands between.",
    "SET LOCAL.",
);
static SET_LOCAL_OUTSIDE: Rule = Rule::warning(
    "set-local-outside-transaction",
    "SET LOCAL holds for the transaction that is open, and there is none, so it does nothing.",
    "SET.",
);
static TIMEOUT_DISABLED: Rule = Rule::warning(
    "timeout-disabled",
    "Without a limit the statement may hold, or wait for, its lock for ever.",
    "A limit that the statement needs, and no more.",
);
static SEARCH_PATH: Rule = Rule::warning(
    "search-path",
    "The search path begins with the schema that the migration runs in; another one makes it do something else for each schema.",
    "Leave the search path as it is.",
);
static MIXED_WITHOUT_TRANSACTION: Rule = Rule::notice(
    "mixed-without-transaction",
    "The statement could run in a transaction, and shares a migration with others that cannot: each is committed by itself.",
    "Keep migrations with -- no-transaction to the statements that need it.",
);
static ADDED_VALUE_USED: Rule = Rule::error(
    "enum-value-used",
    "A value that the same transaction added to an enumeration is used, which the server refuses.",
    "Use it in a later migration.",
);

pub(super) static RULES: [&Rule; 10] = [
    &CONCURRENTLY_IN_TRANSACTION,
    &EXPLICIT_TRANSACTION,
    &MISSING_LOCK_TIMEOUT,
    &SEVERAL_LOCKS,
    &SET_WITHOUT_LOCAL,
    &SET_LOCAL_OUTSIDE,
    &TIMEOUT_DISABLED,
    &SEARCH_PATH,
    &MIXED_WITHOUT_TRANSACTION,
    &ADDED_VALUE_USED,
];

/// Holds the rules against a statement, and follows the transaction that is open.
pub(super) fn check(statement: &NodeKind, scope: &mut Scope<'_>, hits: &mut Hits) {
    match statement {
        NodeKind::TransactionStmt(control) => return follow(control.kind, scope, hits),
        NodeKind::VariableSetStmt(set) => check_set(set, scope, hits),
        _ => {}
    }
    if stands_alone(statement) {
        if scope.in_transaction {
            hits.add(&CONCURRENTLY_IN_TRANSACTION, "");
            scope.set_transaction(false);
        }
    } else if !scope.in_transaction && is_definition(statement) {
        hits.add(&MIXED_WITHOUT_TRANSACTION, "");
    }
    check_locks(statement, scope, hits);
    check_values(statement, scope, hits);
}

fn follow(kind: i32, scope: &mut Scope<'_>, hits: &mut Hits) {
    let begins = matches!(
        TransactionStmtKind::try_from(kind),
        Ok(TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart)
    );
    let ends = matches!(
        TransactionStmtKind::try_from(kind),
        Ok(TransactionStmtKind::TransStmtCommit
            | TransactionStmtKind::TransStmtRollback
            | TransactionStmtKind::TransStmtPrepare)
    );
    if begins || ends {
        hits.add(&EXPLICIT_TRANSACTION, if begins { "BEGIN" } else { "COMMIT" });
        scope.set_transaction(begins);
    }
}

fn check_set(set: &VariableSetStmt, scope: &mut Scope<'_>, hits: &mut Hits) {
    let is_timeout = matches!(set.name.as_str(), "lock_timeout" | "statement_timeout");
    if set.kind != VariableSetKind::VarSetValue as i32 {
        return;
    }
    if is_timeout && set.args.first().is_some_and(is_zero) {
        hits.add(&TIMEOUT_DISABLED, &set.name);
    } else if set.name == "lock_timeout" && (!set.is_local || scope.in_transaction) {
        scope.has_lock_timeout = true;
    }
    if set.name == "search_path" {
        hits.add(&SEARCH_PATH, &set.name);
    }
    match (set.is_local, scope.in_transaction) {
        (false, true) => hits.add(&SET_WITHOUT_LOCAL, &set.name),
        (true, false) => hits.add(&SET_LOCAL_OUTSIDE, &set.name),
        _ => {}
    }
}

fn is_zero(value: &pg_query::protobuf::Node) -> bool {
    use pg_query::protobuf::a_const::Val;
    match value.node.as_ref() {
        Some(NodeKind::AConst(constant)) => match constant.val.as_ref() {
            Some(Val::Ival(number)) => number.ival == 0,
            Some(Val::Sval(text)) => {
                text.sval.trim_start_matches('0').chars().all(|sign| sign.is_ascii_alphabetic())
                    && text.sval.starts_with('0')
            }
            _ => false,
        },
        _ => false,
    }
}

fn check_locks(statement: &NodeKind, scope: &mut Scope<'_>, hits: &mut Hits) {
    let blocking: Vec<String> = locks_of(statement)
        .into_iter()
        .filter(|(table, mode)| mode.blocks_writes() && !scope.is_new(table))
        .map(|(table, _)| table)
        .collect();
    let Some(first) = blocking.first() else { return };
    if !scope.has_lock_timeout && !scope.was_told_of_timeout {
        scope.was_told_of_timeout = true;
        hits.add(&MISSING_LOCK_TIMEOUT, first);
    }
    if !scope.in_transaction {
        return;
    }
    if let Some(before) = scope.locked_before(first) {
        hits.add(&SEVERAL_LOCKS, format!("{before}, {first}"));
    }
}

fn check_values(statement: &NodeKind, scope: &Scope<'_>, hits: &mut Hits) {
    if scope.added_values().is_empty()
        || !matches!(statement, NodeKind::InsertStmt(_) | NodeKind::UpdateStmt(_))
    {
        return;
    }
    let text = format!("{statement:?}");
    for value in scope.added_values() {
        if text.contains(&format!("sval: {value:?}")) {
            hits.add(&ADDED_VALUE_USED, value);
        }
    }
}

/// Whether the server refuses a statement within a transaction.
fn stands_alone(statement: &NodeKind) -> bool {
    match statement {
        NodeKind::IndexStmt(index) => index.concurrent,
        NodeKind::DropStmt(drop) => drop.concurrent,
        NodeKind::ReindexStmt(reindex) => is_concurrent(reindex),
        NodeKind::VacuumStmt(vacuum) => vacuum.is_vacuumcmd,
        NodeKind::AlterSystemStmt(_)
        | NodeKind::CreatedbStmt(_)
        | NodeKind::DropdbStmt(_)
        | NodeKind::CreateSubscriptionStmt(_)
        | NodeKind::DropSubscriptionStmt(_)
        | NodeKind::CreateTableSpaceStmt(_)
        | NodeKind::DropTableSpaceStmt(_) => true,
        NodeKind::AlterTableStmt(alter) => alter.cmds.iter().any(|node| match node.node.as_ref() {
            Some(NodeKind::AlterTableCmd(command)) => matches!(
                command.def.as_deref().and_then(|def| def.node.as_ref()),
                Some(NodeKind::PartitionCmd(partition)) if partition.concurrent
            ),
            _ => false,
        }),
        _ => false,
    }
}

/// A change of the schema that could run in a transaction.
fn is_definition(statement: &NodeKind) -> bool {
    matches!(
        statement,
        NodeKind::CreateStmt(_)
            | NodeKind::AlterTableStmt(_)
            | NodeKind::IndexStmt(_)
            | NodeKind::DropStmt(_)
            | NodeKind::RenameStmt(_)
            | NodeKind::ViewStmt(_)
            | NodeKind::CreateFunctionStmt(_)
            | NodeKind::CreateTrigStmt(_)
    )
}
