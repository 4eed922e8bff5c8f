//! Columns: adding, changing and dropping them.

use pg_query::protobuf::node::Node as NodeKind;
use pg_query::protobuf::{AlterTableCmd, AlterTableType, ColumnDef, ConstrType, Constraint, Node};

use super::super::hits::Hits;
use super::super::locks::commands;
use super::super::names::{function_name, relation_name, type_name};
use super::super::rule::Rule;
use super::super::scope::Scope;

static NOT_NULL_WITHOUT_DEFAULT: Rule = Rule::error(
    "not-null-without-default",
    "The column is refused as soon as the table holds a row, and applications that do not know of it cannot insert.",
    "Add it with a constant default, or without NOT NULL, fill it in batches, and then set NOT NULL.",
);
static SET_NOT_NULL: Rule = Rule::error(
    "set-not-null",
    "All rows are read while the table is locked against reads and writes.",
    "ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID, VALIDATE it in the next migration, then SET NOT NULL, which takes \
     the check as proof, and drop the check.",
);
static VOLATILE_DEFAULT: Rule = Rule::error(
    "volatile-default",
    "A default that differs from row to row makes the server rewrite the table while it is locked against reads and writes.",
    "Add the column without a default, set the default for new rows, and fill old rows in batches.",
);
static ADD_SERIAL_COLUMN: Rule = Rule::error(
    "add-serial-column",
    "Every row gets a number, so the table is rewritten while it is locked against reads and writes.",
    "Add a plain column, a sequence and the default for new rows, number old rows in batches, and then set NOT NULL.",
);
static ADD_STORED_GENERATED_COLUMN: Rule = Rule::error(
    "add-stored-generated-column",
    "The value of every row is computed and stored, so the table is rewritten while it is locked against reads and writes.",
    "A plain column that a trigger fills and batches complete, a VIRTUAL generated column, or an index on the expression.",
);
static CHANGE_COLUMN_TYPE: Rule = Rule::error(
    "change-column-type",
    "Unless the old type is binary compatible, the table and its indexes are rewritten while it is locked against reads \
     and writes; applications meet another type at once.",
    "Add a column of the new type, keep both in step by a trigger, fill it in batches, let applications change over, drop the old one.",
);
static DROP_COLUMN: Rule = Rule::warning(
    "drop-column",
    "Applications that still name the column, or cached a SELECT * of it, fail; its values are gone.",
    "Deploy applications that do not use it first, and drop it in a later migration.",
);
static DROP_DEFAULT: Rule = Rule::notice(
    "drop-default",
    "Applications that leave the column out insert NULL from now on, or are refused where it is NOT NULL.",
    "Deploy applications that give the value first.",
);

pub(super) static RULES: [&Rule; 8] = [
    &NOT_NULL_WITHOUT_DEFAULT,
    &SET_NOT_NULL,
    &VOLATILE_DEFAULT,
    &ADD_SERIAL_COLUMN,
    &ADD_STORED_GENERATED_COLUMN,
    &CHANGE_COLUMN_TYPE,
    &DROP_COLUMN,
    &DROP_DEFAULT,
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
    let subject = format!("{table}.{}", command.name);
    match (AlterTableType::try_from(command.subtype), def) {
        (Ok(AlterTableType::AtAddColumn), Some(NodeKind::ColumnDef(column))) => {
            check_added(column, &format!("{table}.{}", column.colname), hits);
        }
        (Ok(AlterTableType::AtSetNotNull), _)
            if !scope.knowledge.is_proven_not_null(&scope.plain(table), &command.name) =>
        {
            hits.add(&SET_NOT_NULL, subject);
        }
        (Ok(AlterTableType::AtAlterColumnType), _) => hits.add(&CHANGE_COLUMN_TYPE, subject),
        (Ok(AlterTableType::AtDropColumn), _) => hits.add(&DROP_COLUMN, subject),
        (Ok(AlterTableType::AtColumnDefault), None) => hits.add(&DROP_DEFAULT, subject),
        _ => {}
    }
}

fn check_added(column: &ColumnDef, subject: &str, hits: &mut Hits) {
    let constraints: Vec<&Constraint> = column.constraints.iter().filter_map(constraint).collect();
    let find = |kind: ConstrType| constraints.iter().copied().find(|each| each.contype == kind as i32);
    let type_name = column.type_name.as_ref().map(type_name).unwrap_or_default();
    let is_serial = matches!(
        type_name.as_str(),
        "serial" | "serial2" | "serial4" | "serial8" | "bigserial" | "smallserial"
    );
    if is_serial || find(ConstrType::ConstrIdentity).is_some() {
        hits.add(&ADD_SERIAL_COLUMN, subject);
        return;
    }
    if let Some(generated) = find(ConstrType::ConstrGenerated) {
        // A column whose values are computed when they are read is not stored.
        if generated.generated_kind != "v" {
            hits.add(&ADD_STORED_GENERATED_COLUMN, subject);
        }
        return;
    }
    let default = find(ConstrType::ConstrDefault).and_then(|constraint| constraint.raw_expr.as_deref());
    let is_null = default.is_none_or(is_null);
    let is_required = find(ConstrType::ConstrNotnull).is_some() || find(ConstrType::ConstrPrimary).is_some();
    if is_required && is_null {
        hits.add(&NOT_NULL_WITHOUT_DEFAULT, subject);
    }
    if default.is_some_and(may_differ) {
        hits.add(&VOLATILE_DEFAULT, subject);
    }
}

pub(super) fn constraint(node: &Node) -> Option<&Constraint> {
    match node.node.as_ref()? {
        NodeKind::Constraint(constraint) => Some(constraint),
        _ => None,
    }
}

fn is_null(node: &Node) -> bool {
    match node.node.as_ref() {
        Some(NodeKind::AConst(constant)) => constant.isnull,
        Some(NodeKind::TypeCast(cast)) => cast.arg.as_deref().is_some_and(is_null),
        _ => false,
    }
}

/// Whether a default may give another value for each row. Of functions that are not known, this is said.
fn may_differ(node: &Node) -> bool {
    let of = |node: &Option<Box<Node>>| node.as_deref().is_some_and(may_differ);
    match node.node.as_ref() {
        Some(NodeKind::AConst(_) | NodeKind::SqlvalueFunction(_)) | None => false,
        Some(NodeKind::TypeCast(cast)) => of(&cast.arg),
        Some(NodeKind::CollateClause(clause)) => of(&clause.arg),
        Some(NodeKind::AExpr(expression)) => of(&expression.lexpr) || of(&expression.rexpr),
        Some(NodeKind::AArrayExpr(array)) => array.elements.iter().any(may_differ),
        Some(NodeKind::BoolExpr(expression)) => expression.args.iter().any(may_differ),
        Some(NodeKind::CoalesceExpr(expression)) => expression.args.iter().any(may_differ),
        Some(NodeKind::RowExpr(row)) => row.args.iter().any(may_differ),
        Some(NodeKind::List(list)) => list.items.iter().any(may_differ),
        Some(NodeKind::FuncCall(call)) => {
            !gives_one_value(function_name(&call.funcname)) || call.args.iter().any(may_differ)
        }
        Some(_) => true,
    }
}

/// Built-in functions that give the same value for all rows of a statement.
fn gives_one_value(function: &str) -> bool {
    matches!(
        function,
        "now"
            | "transaction_timestamp"
            | "statement_timestamp"
            | "current_setting"
            | "current_schema"
            | "current_database"
            | "version"
            | "timezone"
            | "date_trunc"
            | "date_part"
            | "make_date"
            | "make_time"
            | "make_timestamp"
            | "make_timestamptz"
            | "make_interval"
            | "to_timestamp"
            | "to_date"
            | "to_char"
            | "to_number"
            | "lower"
            | "upper"
            | "initcap"
            | "trim"
            | "btrim"
            | "concat"
            | "concat_ws"
            | "format"
            | "left"
            | "right"
            | "repeat"
            | "replace"
            | "substring"
            | "substr"
            | "length"
            | "md5"
            | "sha256"
            | "encode"
            | "decode"
            | "abs"
            | "round"
            | "floor"
            | "ceil"
            | "power"
            | "int4range"
            | "int8range"
            | "numrange"
            | "tsrange"
            | "tstzrange"
            | "daterange"
            | "array_fill"
            | "to_json"
            | "to_jsonb"
            | "json_build_object"
            | "json_build_array"
            | "jsonb_build_object"
            | "jsonb_build_array"
            | "to_tsvector"
            | "point"
    )
}
