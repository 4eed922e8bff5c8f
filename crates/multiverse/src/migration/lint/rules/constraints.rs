//! Constraints: adding them without reading all rows under a lock, and what foreign keys need.

use pg_query::protobuf::node::Node as NodeKind;
use pg_query::protobuf::{AlterTableCmd, AlterTableType, ColumnDef, ConstrType, Constraint, Node};

use super::super::hits::Hits;
use super::super::locks::commands;
use super::super::names::{relation_name, text_of};
use super::super::rule::Rule;
use super::super::scope::Scope;
use super::columns::constraint;

static FOREIGN_KEY_VALIDATED: Rule = Rule::error(
    "foreign-key-validated",
    "All rows are checked while both tables are locked against writes.",
    "ADD CONSTRAINT … FOREIGN KEY … NOT VALID, and VALIDATE CONSTRAINT in a later migration.",
);
static CHECK_VALIDATED: Rule = Rule::error(
    "check-validated",
    "All rows are checked while the table is locked against reads and writes.",
    "ADD CONSTRAINT … CHECK (…) NOT VALID, and VALIDATE CONSTRAINT in a later migration.",
);
static UNIQUE_CONSTRAINT: Rule = Rule::error(
    "unique-constraint",
    "Its index is built while the table is locked against reads and writes.",
    "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … UNIQUE USING INDEX.",
);
static PRIMARY_KEY_CONSTRAINT: Rule = Rule::error(
    "primary-key-constraint",
    "Its index is built, and its columns are checked for NULL, while the table is locked against reads and writes.",
    "CREATE UNIQUE INDEX CONCURRENTLY on columns that are NOT NULL, then ADD CONSTRAINT … PRIMARY KEY USING INDEX.",
);
static EXCLUSION_CONSTRAINT: Rule = Rule::error(
    "exclusion-constraint",
    "Its index is built while the table is locked against reads and writes, and cannot be built otherwise.",
    "Make a new table with the constraint, fill it in batches and let applications change over, or do it while nobody writes.",
);
static VALIDATE_IN_SAME_TRANSACTION: Rule = Rule::warning(
    "validate-in-same-transaction",
    "The lock of ADD CONSTRAINT is held until the transaction ends, so the check of all rows blocks as if NOT VALID were not there.",
    "VALIDATE CONSTRAINT in a migration of its own.",
);
static DROP_CONSTRAINT: Rule = Rule::notice(
    "drop-constraint",
    "Nothing keeps the rows as applications expect them any more; the table is locked for a moment.",
    "Make sure that nothing relies on it, and bound the wait by lock_timeout.",
);
pub(in super::super) static FOREIGN_KEY_WITHOUT_INDEX: Rule = Rule::warning(
    "foreign-key-without-index",
    "Deleting or changing a referenced row reads the whole referencing table, as no index begins with the key's column.",
    "CREATE INDEX CONCURRENTLY on the referencing column, before the key is added.",
);

pub(super) static RULES: [&Rule; 8] = [
    &FOREIGN_KEY_VALIDATED,
    &CHECK_VALIDATED,
    &UNIQUE_CONSTRAINT,
    &PRIMARY_KEY_CONSTRAINT,
    &EXCLUSION_CONSTRAINT,
    &VALIDATE_IN_SAME_TRANSACTION,
    &DROP_CONSTRAINT,
    &FOREIGN_KEY_WITHOUT_INDEX,
];

pub(super) fn check(statement: &NodeKind, scope: &Scope<'_>, hits: &mut Hits) {
    let NodeKind::AlterTableStmt(alter) = statement else { return };
    let Some(table) = alter.relation.as_ref().map(relation_name) else { return };
    if scope.is_new(&table) {
        return;
    }
    for command in commands(alter) {
        check_command(command, &table, scope, hits);
    }
}

fn check_command(command: &AlterTableCmd, table: &str, scope: &Scope<'_>, hits: &mut Hits) {
    let def = command.def.as_deref().and_then(|node| node.node.as_ref());
    match (AlterTableType::try_from(command.subtype), def) {
        (Ok(AlterTableType::AtAddConstraint), Some(NodeKind::Constraint(constraint))) => {
            check_added(constraint, table, hits);
        }
        (Ok(AlterTableType::AtAddColumn), Some(NodeKind::ColumnDef(column))) => {
            check_of_column(column, table, hits);
        }
        (Ok(AlterTableType::AtValidateConstraint), _) if scope.is_unvalidated_here(table, &command.name) => {
            hits.add(&VALIDATE_IN_SAME_TRANSACTION, &command.name);
        }
        (Ok(AlterTableType::AtDropConstraint), _) => hits.add(&DROP_CONSTRAINT, &command.name),
        _ => {}
    }
}

fn check_added(added: &Constraint, table: &str, hits: &mut Hits) {
    let subject = if added.conname.is_empty() { table } else { &added.conname };
    let uses_index = !added.indexname.is_empty();
    match ConstrType::try_from(added.contype) {
        Ok(ConstrType::ConstrForeign) if !added.skip_validation => hits.add(&FOREIGN_KEY_VALIDATED, subject),
        Ok(ConstrType::ConstrCheck | ConstrType::ConstrNotnull) if !added.skip_validation => {
            hits.add(&CHECK_VALIDATED, subject);
        }
        Ok(ConstrType::ConstrUnique) if !uses_index => hits.add(&UNIQUE_CONSTRAINT, subject),
        Ok(ConstrType::ConstrPrimary) if !uses_index => hits.add(&PRIMARY_KEY_CONSTRAINT, subject),
        Ok(ConstrType::ConstrExclusion) => hits.add(&EXCLUSION_CONSTRAINT, subject),
        _ => {}
    }
}

/// The constraints that a new column brings along. A key of another table need not be checked for rows that hold NULL.
fn check_of_column(column: &ColumnDef, table: &str, hits: &mut Hits) {
    let subject = format!("{table}.{}", column.colname);
    let constraints: Vec<&Constraint> = column.constraints.iter().filter_map(constraint).collect();
    let has_default = constraints.iter().any(|each| each.contype == ConstrType::ConstrDefault as i32);
    for added in constraints {
        match ConstrType::try_from(added.contype) {
            Ok(ConstrType::ConstrForeign) if has_default => hits.add(&FOREIGN_KEY_VALIDATED, &subject),
            Ok(ConstrType::ConstrCheck) => hits.add(&CHECK_VALIDATED, &subject),
            Ok(ConstrType::ConstrUnique) => hits.add(&UNIQUE_CONSTRAINT, &subject),
            Ok(ConstrType::ConstrPrimary) => hits.add(&PRIMARY_KEY_CONSTRAINT, &subject),
            _ => {}
        }
    }
}

/// A foreign key that a statement makes: whether an index serves it can be told when all statements are known.
#[derive(Debug)]
pub(in super::super) struct ForeignKey {
    /// As [`Scope::plain`] gives it.
    pub(in super::super) table: String,
    pub(in super::super) column: String,
}

/// The foreign keys that a statement makes.
pub(in super::super) fn foreign_keys(statement: &NodeKind, scope: &Scope<'_>) -> Vec<ForeignKey> {
    let (relation, elements): (_, Vec<&Node>) = match statement {
        NodeKind::CreateStmt(create) => (create.relation.as_ref(), create.table_elts.iter().collect()),
        NodeKind::AlterTableStmt(alter) => {
            let elements = commands(alter).into_iter().filter_map(|command| command.def.as_deref());
            (alter.relation.as_ref(), elements.collect())
        }
        _ => return Vec::new(),
    };
    let table = scope.plain(&relation.map(relation_name).unwrap_or_default());
    let column = |element: &Node| match element.node.as_ref()? {
        NodeKind::ColumnDef(column) => {
            let mut constraints = column.constraints.iter().filter_map(constraint);
            let is_key = constraints.any(|each| each.contype == ConstrType::ConstrForeign as i32);
            is_key.then(|| column.colname.clone())
        }
        NodeKind::Constraint(each) if each.contype == ConstrType::ConstrForeign as i32 => {
            each.fk_attrs.first().and_then(text_of).map(str::to_owned)
        }
        _ => None,
    };
    let columns = elements.into_iter().filter_map(column);
    columns.map(|column| ForeignKey { table: table.clone(), column }).collect()
}
