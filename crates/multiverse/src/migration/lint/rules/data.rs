//! Rows: changing many of them at once, and while tables are locked.

use pg_query::protobuf::node::Node as NodeKind;
use pg_query::protobuf::{AExprKind, BoolExprType, Node, RangeVar, SelectStmt};

use super::super::hits::Hits;
use super::super::names::{column_of, is_constant, relation_name, spelled};
use super::super::rule::Rule;
use super::super::scope::Scope;

static UPDATE_WITHOUT_WHERE: Rule = Rule::error(
    "update-without-where",
    "Every row is locked against writes until the transaction ends, and the table doubles in size.",
    "Update in batches by ranges of the key, each in a transaction of its own.",
);
static DELETE_WITHOUT_WHERE: Rule = Rule::error(
    "delete-without-where",
    "Every row is deleted, and locked until the transaction ends.",
    "Say which rows, and delete them in batches.",
);
static UNBATCHED_CHANGE: Rule = Rule::warning(
    "unbatched-change",
    "Nothing bounds how many rows are changed: all stay locked until the transaction ends, and replicas fall behind meanwhile.",
    "Change in batches by ranges of the key, or WHERE id IN (SELECT … LIMIT 1000), each in a transaction of its own.",
);
static UNBATCHED_COPY: Rule = Rule::notice(
    "unbatched-copy",
    "INSERT … SELECT of a whole table is one transaction, however long, which holds back vacuum and makes replicas fall behind.",
    "Copy in batches by ranges of the key.",
);
static CHANGE_UNDER_LOCK: Rule = Rule::warning(
    "change-under-lock",
    "Rows are changed while an earlier statement of the transaction keeps a table locked against writes.",
    "Put changes of the schema and of rows into migrations of their own.",
);
static SERVER_FILE: Rule = Rule::warning(
    "server-file",
    "COPY with a file or a program works on the machine of the server, which differs from cluster to cluster.",
    "Send the rows through the connection.",
);
static CODE_BLOCK: Rule = Rule::notice(
    "code-block",
    "What DO runs is known to nobody before it runs, also not to these rules.",
    "Write its statements out, or look at them by pgm lint --measure.",
);

pub(super) static RULES: [&Rule; 7] = [
    &UPDATE_WITHOUT_WHERE,
    &DELETE_WITHOUT_WHERE,
    &UNBATCHED_CHANGE,
    &UNBATCHED_COPY,
    &CHANGE_UNDER_LOCK,
    &SERVER_FILE,
    &CODE_BLOCK,
];

pub(super) fn check(statement: &NodeKind, scope: &Scope<'_>, hits: &mut Hits) {
    match statement {
        NodeKind::UpdateStmt(update) => {
            let change = Change { table: &update.relation, condition: update.where_clause.as_deref() };
            change.check(&UPDATE_WITHOUT_WHERE, scope, hits);
        }
        NodeKind::DeleteStmt(delete) => {
            let change = Change { table: &delete.relation, condition: delete.where_clause.as_deref() };
            change.check(&DELETE_WITHOUT_WHERE, scope, hits);
        }
        NodeKind::InsertStmt(insert) => {
            let source = insert.select_stmt.as_deref().and_then(|node| node.node.as_ref());
            if let Some(NodeKind::SelectStmt(select)) = source
                && let Some(table) = copied_table(select).filter(|table| !scope.is_new(table))
            {
                hits.add(&UNBATCHED_COPY, &table);
                check_lock(scope, hits);
            }
        }
        NodeKind::CopyStmt(copy) if !copy.filename.is_empty() => hits.add(&SERVER_FILE, &copy.filename),
        NodeKind::DoStmt(_) => hits.add(&CODE_BLOCK, "DO"),
        _ => {}
    }
}

struct Change<'a> {
    table: &'a Option<RangeVar>,
    condition: Option<&'a Node>,
}

impl Change<'_> {
    fn check(&self, without_where: &'static Rule, scope: &Scope<'_>, hits: &mut Hits) {
        let table = self.table.as_ref().map(relation_name).unwrap_or_default();
        if scope.is_new(&table) {
            return;
        }
        match self.condition {
            None => hits.add(without_where, &table),
            Some(condition) if !is_bounded(condition) => hits.add(&UNBATCHED_CHANGE, &table),
            Some(_) => return,
        }
        check_lock(scope, hits);
    }
}

fn check_lock(scope: &Scope<'_>, hits: &mut Hits) {
    if let Some(locked) = scope.any_locked() {
        hits.add(&CHANGE_UNDER_LOCK, locked);
    }
}

/// Whether a condition lets few rows through: those of some keys, of a range, or of a limited query.
fn is_bounded(condition: &Node) -> bool {
    match condition.node.as_ref() {
        Some(NodeKind::BoolExpr(all)) if all.boolop == BoolExprType::AndExpr as i32 => {
            all.args.iter().any(is_bounded) || has_both_bounds(&all.args)
        }
        Some(NodeKind::AExpr(expression)) => {
            let (left, right) = (expression.lexpr.as_deref(), expression.rexpr.as_deref());
            let is_key = left.and_then(column_of).is_some_and(|column| {
                column == "id" || column == "ctid" || column == "key" || column.ends_with("_id")
            });
            let is_known = right.is_some_and(|value| is_constant(value) || is_limited(value));
            match AExprKind::try_from(expression.kind) {
                Ok(AExprKind::AexprOp) => is_key && is_known && spelled(&expression.name) == "=",
                Ok(AExprKind::AexprIn | AExprKind::AexprOpAny) => is_known,
                Ok(AExprKind::AexprBetween) => true,
                _ => false,
            }
        }
        Some(NodeKind::SubLink(_)) => is_limited(condition),
        Some(NodeKind::CurrentOfExpr(_)) => true,
        _ => false,
    }
}

fn is_limited(node: &Node) -> bool {
    let Some(NodeKind::SubLink(link)) = node.node.as_ref() else { return false };
    matches!(
        link.subselect.as_deref().and_then(|select| select.node.as_ref()),
        Some(NodeKind::SelectStmt(select)) if select.limit_count.is_some()
    )
}

/// `a >= 1 AND a < 100`.
fn has_both_bounds(conditions: &[Node]) -> bool {
    let bounds = |first: char| {
        conditions.iter().filter_map(move |condition| match condition.node.as_ref()? {
            NodeKind::AExpr(expression) if spelled(&expression.name).starts_with(first) => {
                expression.lexpr.as_deref().and_then(column_of)
            }
            _ => None,
        })
    };
    bounds('<').any(|column| bounds('>').any(|other| other == column))
}

/// The table that a query gives all rows of.
fn copied_table(select: &SelectStmt) -> Option<String> {
    if select.limit_count.is_some() || select.where_clause.as_deref().is_some_and(is_bounded) {
        return None;
    }
    select.from_clause.iter().find_map(|node| match node.node.as_ref()? {
        NodeKind::RangeVar(relation) => Some(relation_name(relation)),
        _ => None,
    })
}
