//! Partitions: attaching and detaching them.

use pg_query::protobuf::AlterTableType;
use pg_query::protobuf::node::Node as NodeKind;

use super::super::hits::Hits;
use super::super::locks::commands;
use super::super::names::relation_name;
use super::super::rule::Rule;
use super::super::scope::Scope;

static ATTACH_PARTITION: Rule = Rule::warning(
    "attach-partition",
    "All rows of the partition are checked while it is locked, and with a default partition all of that one too.",
    "Give the partition a validated CHECK that says the same as its bounds first, and drop that afterwards.",
);
static DETACH_PARTITION: Rule = Rule::error(
    "detach-partition-not-concurrent",
    "The whole partitioned table is locked against reads and writes.",
    "DETACH PARTITION … CONCURRENTLY, with -- no-transaction.",
);
static CREATE_PARTITION: Rule = Rule::notice(
    "create-partition-of",
    "CREATE TABLE … PARTITION OF locks the partitioned table against reads and writes for a moment.",
    "Make the table by itself and ATTACH it, which blocks neither.",
);

pub(super) static RULES: [&Rule; 3] = [&ATTACH_PARTITION, &DETACH_PARTITION, &CREATE_PARTITION];

pub(super) fn check(statement: &NodeKind, scope: &Scope<'_>, hits: &mut Hits) {
    match statement {
        NodeKind::CreateStmt(create) if create.partbound.is_some() => {
            for parent in &create.inh_relations {
                if let Some(NodeKind::RangeVar(parent)) = parent.node.as_ref() {
                    let parent = relation_name(parent);
                    if !scope.is_new(&parent) {
                        hits.add(&CREATE_PARTITION, parent);
                    }
                }
            }
        }
        NodeKind::AlterTableStmt(alter) => {
            let table = alter.relation.as_ref().map(relation_name).unwrap_or_default();
            for command in commands(alter) {
                let Some(NodeKind::PartitionCmd(change)) =
                    command.def.as_deref().and_then(|def| def.node.as_ref())
                else {
                    continue;
                };
                let partition = change.name.as_ref().map(relation_name).unwrap_or_default();
                if command.subtype == AlterTableType::AtAttachPartition as i32 && !scope.is_new(&partition) {
                    hits.add(&ATTACH_PARTITION, partition);
                } else if command.subtype == AlterTableType::AtDetachPartition as i32
                    && !change.concurrent
                    && !scope.is_new(&table)
                {
                    hits.add(&DETACH_PARTITION, partition);
                }
            }
        }
        _ => {}
    }
}
