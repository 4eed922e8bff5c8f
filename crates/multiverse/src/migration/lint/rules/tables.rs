//! Tables and other objects as a whole: making, dropping and emptying them.

use pg_query::protobuf::node::Node as NodeKind;
use pg_query::protobuf::{ConstrType, CreateStmt, DropBehavior, DropStmt, Node, ObjectType, TruncateStmt};

use super::super::hits::Hits;
use super::super::names::{object_name, relation_name};
use super::super::rule::Rule;
use super::super::scope::Scope;
use super::columns::constraint;

static DROP_TABLE: Rule = Rule::warning(
    "drop-table",
    "Applications that still name the table fail, and its rows are gone.",
    "Deploy applications that do not use it first; rename it out of the way for a while, and keep a copy of what matters.",
);
static DROP_OBJECT: Rule = Rule::warning(
    "drop-object",
    "Applications that still use the object fail.",
    "Deploy applications that do not use it first, and drop it in a later migration.",
);
static DROP_SCHEMA: Rule = Rule::error(
    "drop-schema",
    "Everything in the schema is gone, on every cluster that has it.",
    "Drop what is in it one by one, so that each is named, and the empty schema at the end.",
);
static DROP_DATABASE: Rule = Rule::error(
    "drop-database",
    "A whole database is gone.",
    "Nothing that a migration should do: drop databases by hand.",
);
static DROP_CASCADE: Rule = Rule::error(
    "drop-cascade",
    "CASCADE also drops views, keys and functions that the statement does not name, whatever they are on each cluster.",
    "Name and drop what depends on it, and leave CASCADE out.",
);
static DROP_PUBLICATION: Rule = Rule::error(
    "drop-publication",
    "Replication that reads the publication stops, and what is written meanwhile waits in the log of the server.",
    "End the replication first.",
);
static TRUNCATE: Rule = Rule::warning(
    "truncate",
    "All rows are gone, and the table is locked against reads and writes until the transaction ends.",
    "Delete in batches, or make sure that nobody uses the table.",
);
static TRUNCATE_CASCADE: Rule = Rule::error(
    "truncate-cascade",
    "Every table with a key to this one is emptied too, without being named.",
    "Name each table that is to be emptied, and leave CASCADE out.",
);
static TABLE_WITHOUT_PRIMARY_KEY: Rule = Rule::notice(
    "table-without-primary-key",
    "Rows cannot be told apart: logical replication refuses updates and deletes, and batches have nothing to go by.",
    "Give the table a primary key.",
);
static UNLOGGED_TABLE: Rule = Rule::warning(
    "unlogged-table",
    "The table is empty after a crash, and on replicas always.",
    "Leave UNLOGGED out, unless the rows can be made again.",
);
static FOREIGN_SCHEMA: Rule = Rule::notice(
    "other-schema",
    "The statement changes a schema that the migration does not name, so it does the same once for each schema it runs in, and \
     no order with that schema's own migrations is kept.",
    "Leave the schema out of the name, or put the statement into a migration of that schema.",
);

pub(super) static RULES: [&Rule; 11] = [
    &DROP_TABLE,
    &DROP_OBJECT,
    &DROP_SCHEMA,
    &DROP_DATABASE,
    &DROP_CASCADE,
    &DROP_PUBLICATION,
    &TRUNCATE,
    &TRUNCATE_CASCADE,
    &TABLE_WITHOUT_PRIMARY_KEY,
    &UNLOGGED_TABLE,
    &FOREIGN_SCHEMA,
];

pub(super) fn check(statement: &NodeKind, scope: &Scope<'_>, hits: &mut Hits) {
    match statement {
        NodeKind::DropStmt(drop) => check_drop(drop, scope, hits),
        NodeKind::DropdbStmt(drop) => hits.add(&DROP_DATABASE, &drop.dbname),
        NodeKind::TruncateStmt(truncate) => check_truncate(truncate, scope, hits),
        NodeKind::CreateStmt(create) => check_made(create, hits),
        _ => {}
    }
    if let Some(schema) = changed_schema(statement) {
        let is_own = scope.schemas.iter().any(|each| each == schema) || scope.is_new_schema(schema);
        if !is_own && !schema.is_empty() && !scope.schemas.is_empty() && schema != "pg_temp" {
            hits.add(&FOREIGN_SCHEMA, schema);
        }
    }
}

/// The schema in the name of the table that a statement makes or changes.
fn changed_schema(statement: &NodeKind) -> Option<&str> {
    let relation = match statement {
        NodeKind::CreateStmt(create) => &create.relation,
        NodeKind::AlterTableStmt(alter) => &alter.relation,
        NodeKind::IndexStmt(index) => &index.relation,
        NodeKind::ViewStmt(view) => &view.view,
        NodeKind::CreateSeqStmt(sequence) => &sequence.sequence,
        _ => return None,
    };
    relation.as_ref().map(|relation| relation.schemaname.as_str())
}

fn check_drop(drop: &DropStmt, scope: &Scope<'_>, hits: &mut Hits) {
    let rule = match ObjectType::try_from(drop.remove_type) {
        Ok(ObjectType::ObjectTable | ObjectType::ObjectForeignTable) => &DROP_TABLE,
        Ok(ObjectType::ObjectSchema) => &DROP_SCHEMA,
        Ok(ObjectType::ObjectPublication) => &DROP_PUBLICATION,
        Ok(
            ObjectType::ObjectView
            | ObjectType::ObjectMatview
            | ObjectType::ObjectSequence
            | ObjectType::ObjectType
            | ObjectType::ObjectDomain
            | ObjectType::ObjectFunction
            | ObjectType::ObjectProcedure
            | ObjectType::ObjectRoutine
            | ObjectType::ObjectAggregate
            | ObjectType::ObjectOperator
            | ObjectType::ObjectExtension,
        ) => &DROP_OBJECT,
        _ => {
            if drop.behavior == DropBehavior::DropCascade as i32 {
                hits.add(&DROP_CASCADE, drop.objects.first().map(object_name).unwrap_or_default());
            }
            return;
        }
    };
    for object in &drop.objects {
        let name = object_name(object);
        if scope.is_new(&name) || scope.is_new_type(&name) || scope.is_new_schema(&name) {
            continue;
        }
        hits.add(rule, &name);
        if drop.behavior == DropBehavior::DropCascade as i32 {
            hits.add(&DROP_CASCADE, name);
        }
    }
}

fn check_truncate(truncate: &TruncateStmt, scope: &Scope<'_>, hits: &mut Hits) {
    let is_cascade = truncate.behavior == DropBehavior::DropCascade as i32;
    for node in &truncate.relations {
        let Some(NodeKind::RangeVar(relation)) = node.node.as_ref() else { continue };
        let table = relation_name(relation);
        if !scope.is_new(&table) {
            hits.add(if is_cascade { &TRUNCATE_CASCADE } else { &TRUNCATE }, table);
        }
    }
}

fn check_made(create: &CreateStmt, hits: &mut Hits) {
    let Some(relation) = create.relation.as_ref() else { return };
    let persistence = relation.relpersistence.as_str();
    if persistence == "u" {
        hits.add(&UNLOGGED_TABLE, relation_name(relation));
    }
    // Partitions and tables like others may get their key from those.
    let is_derived = create.partbound.is_some()
        || create.of_typename.is_some()
        || !create.inh_relations.is_empty()
        || create.table_elts.iter().any(|node| matches!(node.node, Some(NodeKind::TableLikeClause(_))));
    if persistence != "t" && !is_derived && !create.table_elts.iter().any(is_primary_key) {
        hits.add(&TABLE_WITHOUT_PRIMARY_KEY, relation_name(relation));
    }
}

fn is_primary_key(element: &Node) -> bool {
    match element.node.as_ref() {
        Some(NodeKind::ColumnDef(column)) => column.constraints.iter().any(is_primary_key),
        _ => constraint(element).is_some_and(|each| each.contype == ConstrType::ConstrPrimary as i32),
    }
}
