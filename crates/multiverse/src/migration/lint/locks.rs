//! Which locks a statement takes on tables, as PostgreSQL's documentation of explicit locking says.

use pg_query::protobuf::node::Node as NodeKind;
use pg_query::protobuf::{
    AlterTableCmd, AlterTableStmt, AlterTableType, ConstrType, Node, ObjectType, RangeVar, RenameStmt,
};
use serde::Serialize;

use super::names::{object_name, relation_name};

/// A mode in which a table is locked, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum LockMode {
    /// Of SELECT.
    #[serde(rename = "ACCESS SHARE")]
    AccessShare,
    /// Of SELECT … FOR UPDATE.
    #[serde(rename = "ROW SHARE")]
    RowShare,
    /// Of writing.
    #[serde(rename = "ROW EXCLUSIVE")]
    RowExclusive,
    /// Blocks neither reads nor writes, but other changes of the table.
    #[serde(rename = "SHARE UPDATE EXCLUSIVE")]
    ShareUpdateExclusive,
    /// Blocks writes.
    #[serde(rename = "SHARE")]
    Share,
    /// Blocks writes.
    #[serde(rename = "SHARE ROW EXCLUSIVE")]
    ShareRowExclusive,
    /// Blocks writes, and reads that lock rows.
    #[serde(rename = "EXCLUSIVE")]
    Exclusive,
    /// Blocks everything.
    #[serde(rename = "ACCESS EXCLUSIVE")]
    AccessExclusive,
}

impl LockMode {
    /// Whether applications that write have to wait.
    pub(super) fn blocks_writes(self) -> bool {
        self >= Self::Share
    }

    /// The mode of LOCK TABLE, by the number that the grammar gives it.
    fn numbered(number: i32) -> Self {
        match number {
            1 => Self::AccessShare,
            2 => Self::RowShare,
            3 => Self::RowExclusive,
            4 => Self::ShareUpdateExclusive,
            5 => Self::Share,
            6 => Self::ShareRowExclusive,
            7 => Self::Exclusive,
            _ => Self::AccessExclusive,
        }
    }
}

/// The tables that a statement locks more than reading and writing do, each with the strongest mode.
pub(super) fn locks_of(statement: &NodeKind) -> Vec<(String, LockMode)> {
    let on = |relation: &Option<RangeVar>, mode| {
        relation.iter().map(|relation| (relation_name(relation), mode)).collect()
    };
    match statement {
        NodeKind::AlterTableStmt(alter) => of_alter_table(alter),
        NodeKind::IndexStmt(index) => {
            let mode = if index.concurrent { LockMode::ShareUpdateExclusive } else { LockMode::Share };
            on(&index.relation, mode)
        }
        NodeKind::CreateTrigStmt(trigger) => on(&trigger.relation, LockMode::ShareRowExclusive),
        NodeKind::RuleStmt(rule) => on(&rule.relation, LockMode::AccessExclusive),
        NodeKind::CreatePolicyStmt(policy) => on(&policy.table, LockMode::AccessExclusive),
        NodeKind::RenameStmt(rename) => of_rename(rename),
        NodeKind::AlterObjectSchemaStmt(moved) => on(&moved.relation, LockMode::AccessExclusive),
        NodeKind::ClusterStmt(cluster) => on(&cluster.relation, LockMode::AccessExclusive),
        NodeKind::ReindexStmt(reindex) => on(&reindex.relation, LockMode::Share),
        NodeKind::RefreshMatViewStmt(refresh) => {
            let mode = if refresh.concurrent { LockMode::Exclusive } else { LockMode::AccessExclusive };
            on(&refresh.relation, mode)
        }
        NodeKind::TruncateStmt(truncate) => relations(&truncate.relations, LockMode::AccessExclusive),
        NodeKind::LockStmt(lock) => relations(&lock.relations, LockMode::numbered(lock.mode)),
        NodeKind::DropStmt(drop) if is_table(drop.remove_type) => {
            drop.objects.iter().map(|object| (object_name(object), LockMode::AccessExclusive)).collect()
        }
        _ => Vec::new(),
    }
}

fn relations(nodes: &[Node], mode: LockMode) -> Vec<(String, LockMode)> {
    let named = |node: &Node| match node.node.as_ref() {
        Some(NodeKind::RangeVar(relation)) => Some((relation_name(relation), mode)),
        _ => None,
    };
    nodes.iter().filter_map(named).collect()
}

fn is_table(object: i32) -> bool {
    object == ObjectType::ObjectTable as i32 || object == ObjectType::ObjectMatview as i32
}

fn of_rename(rename: &RenameStmt) -> Vec<(String, LockMode)> {
    let is_of_table = is_table(rename.rename_type) || is_table(rename.relation_type);
    let relation = rename.relation.as_ref().filter(|_| is_of_table);
    relation.map(|relation| (relation_name(relation), LockMode::AccessExclusive)).into_iter().collect()
}

fn of_alter_table(alter: &AlterTableStmt) -> Vec<(String, LockMode)> {
    let Some(relation) = alter.relation.as_ref().filter(|_| is_table(alter.objtype)) else {
        return Vec::new();
    };
    let commands = commands(alter);
    let mode = commands.iter().map(|command| of_command(command)).max().unwrap_or(LockMode::AccessExclusive);
    let mut locks = vec![(relation_name(relation), mode)];
    for command in commands {
        let referenced = match command.def.as_deref().and_then(|node| node.node.as_ref()) {
            Some(NodeKind::Constraint(constraint)) => constraint.pktable.iter().collect(),
            Some(NodeKind::ColumnDef(column)) => {
                column.constraints.iter().filter_map(referenced_table).collect()
            }
            Some(NodeKind::PartitionCmd(partition)) => partition.name.iter().collect(),
            _ => Vec::new(),
        };
        let is_partition = command.subtype == AlterTableType::AtAttachPartition as i32
            || command.subtype == AlterTableType::AtDetachPartition as i32;
        let mode = if is_partition { LockMode::AccessExclusive } else { LockMode::ShareRowExclusive };
        locks.extend(referenced.into_iter().map(|table: &RangeVar| (relation_name(table), mode)));
    }
    locks
}

fn referenced_table(node: &Node) -> Option<&RangeVar> {
    match node.node.as_ref()? {
        NodeKind::Constraint(constraint) => constraint.pktable.as_ref(),
        _ => None,
    }
}

/// The commands of an ALTER TABLE.
pub(super) fn commands(alter: &AlterTableStmt) -> Vec<&AlterTableCmd> {
    alter.cmds.iter().filter_map(command_in).collect()
}

fn command_in(node: &Node) -> Option<&AlterTableCmd> {
    match node.node.as_ref()? {
        NodeKind::AlterTableCmd(command) => Some(command),
        _ => None,
    }
}

fn of_command(command: &AlterTableCmd) -> LockMode {
    use AlterTableType as Kind;
    let Ok(kind) = Kind::try_from(command.subtype) else { return LockMode::AccessExclusive };
    let def = command.def.as_deref().and_then(|node| node.node.as_ref());
    match kind {
        Kind::AtSetStatistics
        | Kind::AtSetOptions
        | Kind::AtResetOptions
        | Kind::AtValidateConstraint
        | Kind::AtSetRelOptions
        | Kind::AtResetRelOptions
        | Kind::AtClusterOn
        | Kind::AtDropCluster
        | Kind::AtAttachPartition
        | Kind::AtDetachPartitionFinalize => LockMode::ShareUpdateExclusive,
        Kind::AtDetachPartition => match def {
            Some(NodeKind::PartitionCmd(partition)) if partition.concurrent => LockMode::ShareUpdateExclusive,
            _ => LockMode::AccessExclusive,
        },
        Kind::AtEnableTrig
        | Kind::AtEnableAlwaysTrig
        | Kind::AtEnableReplicaTrig
        | Kind::AtEnableTrigAll
        | Kind::AtEnableTrigUser
        | Kind::AtDisableTrig
        | Kind::AtDisableTrigAll
        | Kind::AtDisableTrigUser => LockMode::ShareRowExclusive,
        Kind::AtAddConstraint => match def {
            Some(NodeKind::Constraint(constraint))
                if constraint.contype == ConstrType::ConstrForeign as i32 =>
            {
                LockMode::ShareRowExclusive
            }
            _ => LockMode::AccessExclusive,
        },
        _ => LockMode::AccessExclusive,
    }
}
