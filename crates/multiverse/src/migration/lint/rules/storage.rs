//! How a table is stored, and what is written of it to the log.

use pg_query::protobuf::node::Node as NodeKind;
use pg_query::protobuf::{AlterTableType, ObjectType};

use super::super::hits::Hits;
use super::super::locks::commands;
use super::super::names::relation_name;
use super::super::rule::Rule;
use super::super::scope::Scope;

static SET_LOGGED: Rule = Rule::error(
    "set-logged",
    "The table is rewritten, and all of it written to the log, while it is locked against reads and writes.",
    "Make a new table, fill it in batches and let applications change over.",
);
static SET_TABLESPACE: Rule = Rule::error(
    "set-tablespace",
    "All of it is copied to the other place while it is locked against reads and writes.",
    "Make a new table or index there, fill it beside the old one and change over.",
);
static SET_ACCESS_METHOD: Rule = Rule::error(
    "set-access-method",
    "The table is rewritten while it is locked against reads and writes.",
    "Make a new table, fill it in batches and let applications change over.",
);
static REPLICA_IDENTITY: Rule = Rule::warning(
    "replica-identity",
    "FULL writes whole old rows to the log with every change; NOTHING, or another index, changes what replication knows of old rows.",
    "Give the table a primary key, and leave the identity DEFAULT.",
);

pub(super) static RULES: [&Rule; 4] = [&SET_LOGGED, &SET_TABLESPACE, &SET_ACCESS_METHOD, &REPLICA_IDENTITY];

pub(super) fn check(statement: &NodeKind, scope: &Scope<'_>, hits: &mut Hits) {
    let NodeKind::AlterTableStmt(alter) = statement else { return };
    let Some(table) = alter.relation.as_ref().map(relation_name) else { return };
    let is_stored = matches!(
        ObjectType::try_from(alter.objtype),
        Ok(ObjectType::ObjectTable | ObjectType::ObjectIndex | ObjectType::ObjectMatview)
    );
    if !is_stored || scope.is_new(&table) {
        return;
    }
    for command in commands(alter) {
        let rule = match AlterTableType::try_from(command.subtype) {
            Ok(AlterTableType::AtSetLogged | AlterTableType::AtSetUnLogged) => &SET_LOGGED,
            Ok(AlterTableType::AtSetTableSpace) => &SET_TABLESPACE,
            Ok(AlterTableType::AtSetAccessMethod) => &SET_ACCESS_METHOD,
            Ok(AlterTableType::AtReplicaIdentity) => &REPLICA_IDENTITY,
            _ => continue,
        };
        hits.add(rule, &table);
    }
}
