//! Triggers and rules of tables: making them, and turning them off.

use pg_query::protobuf::AlterTableType;
use pg_query::protobuf::node::Node as NodeKind;

use super::super::hits::Hits;
use super::super::locks::commands;
use super::super::names::{relation_name, text_of};
use super::super::rule::Rule;
use super::super::scope::Scope;

static DISABLE_TRIGGER: Rule = Rule::error(
    "disable-trigger",
    "What the trigger keeps true is not kept for anybody, foreign keys included; the table is locked against writes.",
    "Let the trigger look at a setting of the session, and set that by SET LOCAL.",
);
static CREATE_TRIGGER: Rule = Rule::notice(
    "create-trigger",
    "The table is locked against writes for a moment, and every write runs the trigger from then on.",
    "Bound the wait by lock_timeout, and keep the trigger short.",
);
static CREATE_RULE: Rule = Rule::warning(
    "create-rule",
    "A rule rewrites statements on the table, often to something else than meant, and locks it against reads and writes.",
    "A trigger.",
);
static SESSION_REPLICATION_ROLE: Rule = Rule::error(
    "session-replication-role",
    "Triggers and foreign keys do not count for the session, so rows may come to break them, and nothing finds that later.",
    "Change rows in an order that keeps the keys, or make the keys DEFERRABLE.",
);

pub(super) static RULES: [&Rule; 4] =
    [&DISABLE_TRIGGER, &CREATE_TRIGGER, &CREATE_RULE, &SESSION_REPLICATION_ROLE];

pub(super) fn check(statement: &NodeKind, scope: &Scope<'_>, hits: &mut Hits) {
    match statement {
        NodeKind::AlterTableStmt(alter) => {
            let table = alter.relation.as_ref().map(relation_name).unwrap_or_default();
            let disables = commands(alter).iter().any(|command| {
                matches!(
                    AlterTableType::try_from(command.subtype),
                    Ok(AlterTableType::AtDisableTrig
                        | AlterTableType::AtDisableTrigAll
                        | AlterTableType::AtDisableTrigUser)
                )
            });
            if disables && !scope.is_new(&table) {
                hits.add(&DISABLE_TRIGGER, table);
            }
        }
        NodeKind::CreateTrigStmt(trigger) => {
            let table = trigger.relation.as_ref().map(relation_name).unwrap_or_default();
            if !scope.is_new(&table) {
                hits.add(&CREATE_TRIGGER, table);
            }
        }
        NodeKind::RuleStmt(rule) => {
            let table = rule.relation.as_ref().map(relation_name).unwrap_or_default();
            if !scope.is_new(&table) {
                hits.add(&CREATE_RULE, table);
            }
        }
        NodeKind::VariableSetStmt(set) if set.name == "session_replication_role" => {
            let value = set.args.first().and_then(|value| match value.node.as_ref()? {
                NodeKind::AConst(constant) => match constant.val.as_ref()? {
                    pg_query::protobuf::a_const::Val::Sval(text) => Some(text.sval.as_str()),
                    _ => None,
                },
                _ => text_of(value),
            });
            if value == Some("replica") {
                hits.add(&SESSION_REPLICATION_ROLE, &set.name);
            }
        }
        _ => {}
    }
}
