//! Rights, roles and settings of servers.

use pg_query::protobuf::node::Node as NodeKind;
use pg_query::protobuf::{AlterTableType, CreateFunctionStmt, Node, RoleSpecType};

use super::super::hits::Hits;
use super::super::locks::commands;
use super::super::names::{object_name, relation_name, spelled};
use super::super::rule::Rule;

static ALTER_SYSTEM: Rule = Rule::error(
    "alter-system",
    "The setting holds for the whole server and every database on it, and survives restarts.",
    "Configure servers outside of migrations.",
);
static ALTER_DATABASE: Rule = Rule::warning(
    "alter-database",
    "The setting holds for every new session of the database or role, and is no part of the schema that is migrated.",
    "Configure databases and roles outside of migrations.",
);
static GRANT_TO_PUBLIC: Rule = Rule::warning(
    "grant-to-public",
    "Every role gets the right, also those that are made later.",
    "Grant it to a role that those who need it belong to.",
);
static PASSWORD_IN_MIGRATION: Rule = Rule::error(
    "password-in-migration",
    "The password stands in the file and its history, and in the log of the server.",
    "Make roles with passwords outside of migrations.",
);
static SUPERUSER_ROLE: Rule = Rule::error(
    "superuser-role",
    "The role may do everything on the whole server.",
    "Grant the rights that are needed.",
);
static DISABLE_ROW_SECURITY: Rule = Rule::warning(
    "disable-row-security",
    "Everybody with a right to the table sees all of its rows from that moment on.",
    "Change the policies.",
);
static SECURITY_DEFINER: Rule = Rule::warning(
    "security-definer-search-path",
    "Whoever calls the function decides by his search path what its names mean, with the rights of its owner.",
    "SET search_path in its definition.",
);
static DROP_OWNED: Rule = Rule::error(
    "drop-owned",
    "Everything that the role owns is dropped, without being named.",
    "REASSIGN OWNED, or drop what is meant by its name.",
);
static CREATE_EXTENSION: Rule = Rule::notice(
    "create-extension",
    "The extension must be installed on every server, and some need the rights of a superuser.",
    "Make sure of it by pgm lint --measure on each cluster.",
);
static CHANGE_OWNER: Rule = Rule::notice(
    "change-owner",
    "Who runs later migrations must belong to the new owner, and the table is locked against reads and writes for a moment.",
    "Bound the wait by lock_timeout.",
);

pub(super) static RULES: [&Rule; 10] = [
    &ALTER_SYSTEM,
    &ALTER_DATABASE,
    &GRANT_TO_PUBLIC,
    &PASSWORD_IN_MIGRATION,
    &SUPERUSER_ROLE,
    &DISABLE_ROW_SECURITY,
    &SECURITY_DEFINER,
    &DROP_OWNED,
    &CREATE_EXTENSION,
    &CHANGE_OWNER,
];

pub(super) fn check(statement: &NodeKind, hits: &mut Hits) {
    match statement {
        NodeKind::AlterSystemStmt(system) => {
            hits.add(&ALTER_SYSTEM, system.setstmt.as_ref().map(|set| set.name.clone()).unwrap_or_default());
        }
        NodeKind::AlterDatabaseSetStmt(set) => hits.add(&ALTER_DATABASE, &set.dbname),
        NodeKind::AlterRoleSetStmt(set) => {
            hits.add(
                &ALTER_DATABASE,
                set.role.as_ref().map(|role| role.rolename.clone()).unwrap_or_default(),
            );
        }
        NodeKind::GrantStmt(grant) if grant.is_grant && grant.grantees.iter().any(is_public) => {
            hits.add(&GRANT_TO_PUBLIC, grant.objects.first().map(granted).unwrap_or_default());
        }
        NodeKind::AlterDefaultPrivilegesStmt(defaults) => {
            let action = defaults.action.as_ref();
            if action.is_some_and(|grant| grant.is_grant && grant.grantees.iter().any(is_public)) {
                hits.add(&GRANT_TO_PUBLIC, "default privileges");
            }
        }
        NodeKind::CreateRoleStmt(role) => check_role(&role.options, &role.role, hits),
        NodeKind::AlterRoleStmt(role) => {
            let name = role.role.as_ref().map(|role| role.rolename.as_str()).unwrap_or_default();
            check_role(&role.options, name, hits);
        }
        NodeKind::AlterTableStmt(alter) => {
            let table = alter.relation.as_ref().map(relation_name).unwrap_or_default();
            for command in commands(alter) {
                match AlterTableType::try_from(command.subtype) {
                    Ok(AlterTableType::AtDisableRowSecurity | AlterTableType::AtNoForceRowSecurity) => {
                        hits.add(&DISABLE_ROW_SECURITY, &table);
                    }
                    Ok(AlterTableType::AtChangeOwner) => hits.add(&CHANGE_OWNER, &table),
                    _ => {}
                }
            }
        }
        NodeKind::CreateFunctionStmt(function) if is_unguarded(function) => {
            hits.add(&SECURITY_DEFINER, spelled(&function.funcname));
        }
        NodeKind::DropOwnedStmt(owned) => {
            hits.add(&DROP_OWNED, owned.roles.first().and_then(role_name).unwrap_or_default());
        }
        NodeKind::CreateExtensionStmt(extension) => hits.add(&CREATE_EXTENSION, &extension.extname),
        _ => {}
    }
}

fn is_public(node: &Node) -> bool {
    matches!(&node.node, Some(NodeKind::RoleSpec(role)) if role.roletype == RoleSpecType::RolespecPublic as i32)
}

fn role_name(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeKind::RoleSpec(role) => Some(role.rolename.clone()),
        _ => None,
    }
}

fn granted(node: &Node) -> String {
    match node.node.as_ref() {
        Some(NodeKind::RangeVar(relation)) => relation_name(relation),
        _ => object_name(node),
    }
}

fn options(nodes: &[Node]) -> impl Iterator<Item = &pg_query::protobuf::DefElem> {
    nodes.iter().filter_map(|node| match node.node.as_ref()? {
        NodeKind::DefElem(option) => Some(&**option),
        _ => None,
    })
}

fn value_of(option: &pg_query::protobuf::DefElem) -> Option<&NodeKind> {
    option.arg.as_deref().and_then(|value| value.node.as_ref())
}

fn check_role(nodes: &[Node], role: &str, hits: &mut Hits) {
    for option in options(nodes) {
        match (option.defname.as_str(), value_of(option)) {
            ("password", Some(_)) => hits.add(&PASSWORD_IN_MIGRATION, role),
            ("superuser", Some(NodeKind::Boolean(is))) if is.boolval => hits.add(&SUPERUSER_ROLE, role),
            _ => {}
        }
    }
}

/// A function with the rights of its owner whose names the caller's search path decides.
fn is_unguarded(function: &CreateFunctionStmt) -> bool {
    let is_definer = options(&function.options).any(|option| {
        option.defname == "security" && matches!(value_of(option), Some(NodeKind::Boolean(is)) if is.boolval)
    });
    let sets_path = options(&function.options).any(|option| {
        option.defname == "set"
            && matches!(value_of(option), Some(NodeKind::VariableSetStmt(set)) if set.name == "search_path")
    });
    // A body of SQL statements, unlike a text, has its names looked up when it is made.
    is_definer && !sets_path && function.sql_body.is_none()
}
