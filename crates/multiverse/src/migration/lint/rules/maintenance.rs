//! Maintenance that rewrites or locks: CLUSTER, VACUUM FULL, REFRESH, LOCK.

use pg_query::protobuf::node::Node as NodeKind;
use pg_query::protobuf::{LockStmt, VacuumStmt};

use super::super::hits::Hits;
use super::super::names::relation_name;
use super::super::rule::Rule;
use super::super::scope::Scope;
use super::indexes::is_on;

static CLUSTER: Rule = Rule::error(
    "cluster",
    "The table is rewritten in another order while it is locked against reads and writes.",
    "Make a new table in that order, fill it in batches and let applications change over.",
);
static VACUUM_FULL: Rule = Rule::error(
    "vacuum-full",
    "The table is rewritten while it is locked against reads and writes.",
    "VACUUM without FULL, which makes the room usable again.",
);
static REFRESH_NOT_CONCURRENT: Rule = Rule::warning(
    "refresh-not-concurrent",
    "The materialized view cannot be read until its query has ended.",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on it.",
);
static LOCK_TABLE: Rule = Rule::warning(
    "lock-table",
    "The table stays locked until the transaction ends, whatever else that does.",
    "Leave it to the statements to take the locks that they need, the strongest as late as can be.",
);

pub(super) static RULES: [&Rule; 4] = [&CLUSTER, &VACUUM_FULL, &REFRESH_NOT_CONCURRENT, &LOCK_TABLE];

pub(super) fn check(statement: &NodeKind, scope: &Scope<'_>, hits: &mut Hits) {
    match statement {
        NodeKind::ClusterStmt(cluster) => {
            let table = cluster.relation.as_ref().map(relation_name).unwrap_or_default();
            if !scope.is_new(&table) {
                hits.add(&CLUSTER, table);
            }
        }
        NodeKind::VacuumStmt(vacuum) if is_full(vacuum) => hits.add(&VACUUM_FULL, vacuumed(vacuum)),
        NodeKind::RefreshMatViewStmt(refresh) if !refresh.concurrent => {
            let view = refresh.relation.as_ref().map(relation_name).unwrap_or_default();
            if !scope.is_new(&view) {
                hits.add(&REFRESH_NOT_CONCURRENT, view);
            }
        }
        NodeKind::LockStmt(lock) => check_lock(lock, scope, hits),
        _ => {}
    }
}

fn is_full(vacuum: &VacuumStmt) -> bool {
    vacuum.is_vacuumcmd
        && vacuum
            .options
            .iter()
            .any(|option| matches!(&option.node, Some(NodeKind::DefElem(option)) if is_on(option, "full")))
}

fn vacuumed(vacuum: &VacuumStmt) -> String {
    let name = |node: &pg_query::protobuf::Node| match node.node.as_ref()? {
        NodeKind::VacuumRelation(relation) => relation.relation.as_ref().map(relation_name),
        _ => None,
    };
    let names: Vec<String> = vacuum.rels.iter().filter_map(name).collect();
    if names.is_empty() { "all tables".to_owned() } else { names.join(", ") }
}

fn check_lock(lock: &LockStmt, scope: &Scope<'_>, hits: &mut Hits) {
    for node in &lock.relations {
        let Some(NodeKind::RangeVar(relation)) = node.node.as_ref() else { continue };
        let table = relation_name(relation);
        // From SHARE on, a lock keeps others from writing.
        if lock.mode >= 5 && !scope.is_new(&table) {
            hits.add(&LOCK_TABLE, table);
        }
    }
}
