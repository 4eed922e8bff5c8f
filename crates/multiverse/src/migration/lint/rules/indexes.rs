//! Indexes: making, dropping and rebuilding them without blocking writes.

use pg_query::protobuf::node::Node as NodeKind;
use pg_query::protobuf::{DefElem, ObjectType, ReindexStmt};

use super::super::hits::Hits;
use super::super::names::{object_name, relation_name};
use super::super::rule::Rule;
use super::super::scope::Scope;

static INDEX_NOT_CONCURRENT: Rule = Rule::error(
    "index-not-concurrent",
    "CREATE INDEX blocks all writes to the table until the index is built.",
    "CREATE INDEX CONCURRENTLY, in a migration of its own with -- no-transaction.",
);
static DROP_INDEX_NOT_CONCURRENT: Rule = Rule::warning(
    "drop-index-not-concurrent",
    "DROP INDEX locks the table against reads and writes, and waits for every query on it while others queue behind.",
    "DROP INDEX CONCURRENTLY, in a migration of its own with -- no-transaction.",
);
static REINDEX_NOT_CONCURRENT: Rule = Rule::error(
    "reindex-not-concurrent",
    "REINDEX blocks writes to the table, and reads that would use the index, until it is rebuilt.",
    "REINDEX (CONCURRENTLY), with -- no-transaction.",
);
static CONCURRENT_INDEX_IF_NOT_EXISTS: Rule = Rule::notice(
    "concurrent-index-if-not-exists",
    "IF NOT EXISTS also passes over an invalid index that an interrupted build left behind, which no query uses.",
    "Leave IF NOT EXISTS out: pgm migrate --resume drops an invalid index before it builds again.",
);
static INDEX_WITHOUT_NAME: Rule = Rule::notice(
    "index-without-name",
    "The server chooses the name, so no later migration, and no resumed one, can be sure of it.",
    "Name the index.",
);

pub(super) static RULES: [&Rule; 5] = [
    &INDEX_NOT_CONCURRENT,
    &DROP_INDEX_NOT_CONCURRENT,
    &REINDEX_NOT_CONCURRENT,
    &CONCURRENT_INDEX_IF_NOT_EXISTS,
    &INDEX_WITHOUT_NAME,
];

pub(super) fn check(statement: &NodeKind, scope: &Scope<'_>, hits: &mut Hits) {
    match statement {
        NodeKind::IndexStmt(index) => {
            let table = index.relation.as_ref().map(relation_name).unwrap_or_default();
            if !index.concurrent && !scope.is_new(&table) {
                hits.add(&INDEX_NOT_CONCURRENT, &table);
            }
            if index.concurrent && index.if_not_exists {
                hits.add(&CONCURRENT_INDEX_IF_NOT_EXISTS, &index.idxname);
            }
            if index.idxname.is_empty() {
                hits.add(&INDEX_WITHOUT_NAME, &table);
            }
        }
        NodeKind::DropStmt(drop)
            if drop.remove_type == ObjectType::ObjectIndex as i32 && !drop.concurrent =>
        {
            for index in &drop.objects {
                hits.add(&DROP_INDEX_NOT_CONCURRENT, object_name(index));
            }
        }
        NodeKind::ReindexStmt(reindex) if !is_concurrent(reindex) => {
            let table = reindex.relation.as_ref().map_or_else(|| reindex.name.clone(), relation_name);
            if !scope.is_new(&table) {
                hits.add(&REINDEX_NOT_CONCURRENT, table);
            }
        }
        _ => {}
    }
}

pub(super) fn is_concurrent(reindex: &ReindexStmt) -> bool {
    reindex.params.iter().any(|parameter| {
        matches!(&parameter.node, Some(NodeKind::DefElem(option)) if is_on(option, "concurrently"))
    })
}

/// Whether an option is given, and not as `false` or `off`.
pub(super) fn is_on(option: &DefElem, name: &str) -> bool {
    let value = option.arg.as_deref().and_then(|value| value.node.as_ref());
    let is_off = match value {
        Some(NodeKind::String(text)) => matches!(text.sval.as_str(), "false" | "off" | "0"),
        Some(NodeKind::Integer(number)) => number.ival == 0,
        Some(NodeKind::Boolean(boolean)) => !boolean.boolval,
        _ => false,
    };
    option.defname == name && !is_off
}
