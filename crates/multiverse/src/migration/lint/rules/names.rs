//! Renaming: applications know the old name until they are deployed anew.

use pg_query::protobuf::node::Node as NodeKind;
use pg_query::protobuf::{ObjectType, RenameStmt};

use super::super::hits::Hits;
use super::super::names::{object_name, relation_name};
use super::super::rule::Rule;
use super::super::scope::Scope;

static RENAME_TABLE: Rule = Rule::error(
    "rename-table",
    "Applications that run know the old name, and fail from that moment on.",
    "Rename it and make a view of the old name in one transaction; drop the view when all applications know the new name.",
);
static RENAME_COLUMN: Rule = Rule::error(
    "rename-column",
    "Applications that run know the old name, and fail from that moment on.",
    "Add a column of the new name, keep both in step by a trigger, fill it in batches, and drop the old one later.",
);
static RENAME_OBJECT: Rule = Rule::warning(
    "rename-object",
    "Applications and functions that know the old name fail from that moment on.",
    "Make one of the new name beside the old, and drop the old one later.",
);
static RENAME_SCHEMA: Rule = Rule::error(
    "rename-schema",
    "Every name in it changes at once, and the configuration of the clusters no longer names what is there.",
    "Make the new schema, move tables one by one behind views, and change the configuration with the applications.",
);
static MOVE_SCHEMA: Rule = Rule::error(
    "move-to-schema",
    "Applications that name the old schema, or whose search path lacks the new one, fail from that moment on.",
    "Leave a view of the old name in the old schema in the same transaction.",
);

pub(super) static RULES: [&Rule; 5] =
    [&RENAME_TABLE, &RENAME_COLUMN, &RENAME_OBJECT, &RENAME_SCHEMA, &MOVE_SCHEMA];

pub(super) fn check(statement: &NodeKind, scope: &Scope<'_>, hits: &mut Hits) {
    match statement {
        NodeKind::RenameStmt(rename) => check_rename(rename, scope, hits),
        NodeKind::AlterObjectSchemaStmt(moved) => {
            let relation = moved.relation.as_ref().map(relation_name);
            let name =
                relation.unwrap_or_else(|| moved.object.as_deref().map(object_name).unwrap_or_default());
            if !scope.is_new(&name) {
                hits.add(&MOVE_SCHEMA, name);
            }
        }
        _ => {}
    }
}

fn check_rename(rename: &RenameStmt, scope: &Scope<'_>, hits: &mut Hits) {
    let table = rename.relation.as_ref().map(relation_name).unwrap_or_default();
    if scope.is_new(&table) {
        return;
    }
    let object = || rename.object.as_deref().map(object_name).filter(|name| !name.is_empty());
    match ObjectType::try_from(rename.rename_type) {
        Ok(ObjectType::ObjectTable | ObjectType::ObjectForeignTable) => hits.add(&RENAME_TABLE, table),
        Ok(ObjectType::ObjectColumn | ObjectType::ObjectAttribute) => {
            hits.add(&RENAME_COLUMN, format!("{table}.{}", rename.subname));
        }
        Ok(ObjectType::ObjectSchema) => hits.add(&RENAME_SCHEMA, &rename.subname),
        // Nobody names indexes, constraints, triggers and the like in queries.
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
            | ObjectType::ObjectRole,
        ) => {
            let name = object().unwrap_or(if table.is_empty() { rename.subname.clone() } else { table });
            if !scope.is_new_type(&name) {
                hits.add(&RENAME_OBJECT, name);
            }
        }
        _ => {}
    }
}
