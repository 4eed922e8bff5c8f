//! What each kind of node means for routing.

use crate::route::verdict::{Access, StatementKind};

/// What a kind of statement means, whatever else stands in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct StatementClass {
    pub(super) kind: StatementKind,
    pub(super) access: Access,
    pub(super) changes_session: bool,
    pub(super) changes_definitions: bool,
    pub(super) locks: bool,
}

impl StatementClass {
    const fn new(kind: StatementKind, access: Access) -> Self {
        Self { kind, access, changes_session: false, changes_definitions: false, locks: false }
    }

    const fn changing_session(self) -> Self {
        Self { changes_session: true, ..self }
    }

    const fn changing_definitions(self) -> Self {
        Self { changes_definitions: true, ..self }
    }
}

/// The class of a statement; `None` when the node is not a statement.
///
/// A statement that is not named here changes definitions, as do most kinds, and in any case needs the primary.
pub(super) fn class_of(node: &str) -> Option<StatementClass> {
    use Access::{Read, Uncertain, Write};
    let class = StatementClass::new;
    Some(match node {
        "SelectStmt" => class(StatementKind::Select, Read),
        "InsertStmt" => class(StatementKind::Insert, Write),
        "UpdateStmt" => class(StatementKind::Update, Write),
        "DeleteStmt" => class(StatementKind::Delete, Write),
        "MergeStmt" => class(StatementKind::Merge, Write),
        // Whether it reads is told by its direction, its target and its query.
        "CopyStmt" => class(StatementKind::Copy, Read),
        // What it explains tells whether it may run on a replica, also when nothing is executed.
        "ExplainStmt" => class(StatementKind::Explain, Read),
        "VariableShowStmt" => class(StatementKind::Session, Read),
        "TransactionStmt" => class(StatementKind::TransactionControl, Uncertain).changing_session(),
        // Whether it outlives its transaction is told by its field `is_local`.
        "VariableSetStmt" => class(StatementKind::Session, Uncertain),
        "ConstraintsSetStmt" => class(StatementKind::Session, Uncertain),
        "ListenStmt" | "UnlistenStmt" | "DiscardStmt" => {
            class(StatementKind::Session, Write).changing_session()
        }
        "NotifyStmt" => class(StatementKind::Session, Write),
        "PrepareStmt" | "DeallocateStmt" | "DeclareCursorStmt" | "FetchStmt" | "ClosePortalStmt" => {
            class(StatementKind::Session, Uncertain).changing_session()
        }
        "LockStmt" => StatementClass { locks: true, ..class(StatementKind::Session, Write) },
        "LoadStmt" => class(StatementKind::Session, Uncertain).changing_session(),
        "ExecuteStmt" => class(StatementKind::Code, Uncertain),
        "CallStmt" => class(StatementKind::Code, Write).changing_session(),
        "DoStmt" => class(StatementKind::Code, Write).changing_session().changing_definitions(),
        "VacuumStmt" | "ClusterStmt" | "ReindexStmt" | "CheckPointStmt" | "RefreshMatViewStmt"
        | "AlterSystemStmt" => class(StatementKind::Maintenance, Write),
        "RawStmt" => return None,
        // Definitions that do not decide what a read does.
        "GrantStmt"
        | "GrantRoleStmt"
        | "CommentStmt"
        | "SecLabelStmt"
        | "IndexStmt"
        | "CreateStatsStmt"
        | "AlterStatsStmt"
        | "CreateRoleStmt"
        | "AlterRoleStmt"
        | "AlterRoleSetStmt"
        | "DropRoleStmt"
        | "CreatedbStmt"
        | "DropdbStmt"
        | "AlterDatabaseStmt"
        | "AlterDatabaseSetStmt" => class(StatementKind::Definition, Write),
        // The data of a table, not its definition.
        "TruncateStmt" => class(StatementKind::Delete, Write),
        _ if node.ends_with("Stmt") => class(StatementKind::Definition, Write).changing_definitions(),
        _ => return None,
    })
}

/// Whether a node that is no statement belongs to what only reads. Nodes that are not named here make a text uncertain.
pub(super) fn is_harmless_part(node: &str) -> bool {
    matches!(
        node,
        "ParseResult" | "RawStmt" | "Node" | "List"
        // Values and names
        | "Integer" | "Float" | "Boolean" | "String" | "BitString" | "AConst" | "ParamRef" | "ColumnRef" | "AStar"
        | "TypeName" | "TypeCast" | "CollateClause" | "AIndices" | "AIndirection"
        // Expressions
        | "AExpr" | "BoolExpr" | "NullTest" | "BooleanTest" | "CaseExpr" | "CaseWhen" | "CoalesceExpr" | "MinMaxExpr"
        | "AArrayExpr" | "ArrayExpr" | "RowExpr" | "SubLink" | "FuncCall" | "NamedArgExpr" | "SqlValueFunction"
        | "XmlExpr" | "XmlSerialize" | "GroupingFunc"
        // Clauses
        | "ResTarget" | "Alias" | "RangeVar" | "RangeSubselect" | "RangeFunction" | "RangeTableFunc"
        | "RangeTableFuncCol" | "RangeTableSample" | "JoinExpr" | "SortBy" | "WindowDef" | "GroupingSet" | "WithClause"
        | "CommonTableExpr" | "CteSearchClause" | "CteCycleClause" | "ColumnDef" | "DefElem"
        // JSON
        | "JsonFormat" | "JsonReturning" | "JsonValueExpr" | "JsonIsPredicate" | "JsonBehavior" | "JsonOutput"
        | "JsonArgument" | "JsonFuncExpr" | "JsonTablePathSpec" | "JsonTable" | "JsonTableColumn" | "JsonKeyValue"
        | "JsonParseExpr" | "JsonScalarExpr" | "JsonSerializeExpr" | "JsonObjectConstructor" | "JsonArrayConstructor"
        | "JsonArrayQueryConstructor" | "JsonAggConstructor" | "JsonObjectAgg" | "JsonArrayAgg"
    )
}

/// Whether a built-in function leaves something in the session behind: a setting, a lock, a seed.
pub(super) fn changes_session(function: &str) -> bool {
    matches!(
        function,
        "set_config" | "setseed" | "pg_export_snapshot" | "dblink_connect" | "dblink_connect_u"
    ) || (function.contains("advisory") && !function.contains("xact"))
}
