//! Names in syntax trees: of tables, columns, types and functions.

use pg_query::protobuf::node::Node as NodeKind;
use pg_query::protobuf::{Node, RangeVar, TypeName};

/// A table as a statement names it, with its schema where that is given.
pub(super) fn relation_name(relation: &RangeVar) -> String {
    if relation.schemaname.is_empty() {
        relation.relname.clone()
    } else {
        format!("{}.{}", relation.schemaname, relation.relname)
    }
}

/// The name that a list of parts spells, as `schema.name`.
pub(super) fn spelled(parts: &[Node]) -> String {
    let parts: Vec<&str> = parts.iter().filter_map(text_of).collect();
    parts.join(".")
}

/// The text of a node that is one.
pub(super) fn text_of(node: &Node) -> Option<&str> {
    match node.node.as_ref()? {
        NodeKind::String(text) => Some(&text.sval),
        _ => None,
    }
}

/// The names of an object of DROP and the like, which is a list of parts, a type, or a function.
pub(super) fn object_name(object: &Node) -> String {
    match object.node.as_ref() {
        Some(NodeKind::List(list)) => spelled(&list.items),
        Some(NodeKind::TypeName(name)) => spelled(&name.names),
        Some(NodeKind::ObjectWithArgs(function)) => spelled(&function.objname),
        Some(NodeKind::String(text)) => text.sval.clone(),
        _ => String::new(),
    }
}

/// A built-in type by the name that the grammar gives it, such as `int4` and `bpchar`; any other as it is written.
pub(super) fn type_name(name: &TypeName) -> String {
    let spelled = spelled(&name.names);
    spelled.strip_prefix("pg_catalog.").map(str::to_owned).unwrap_or(spelled)
}

/// The last part of a function's name.
pub(super) fn function_name(parts: &[Node]) -> &str {
    parts.last().and_then(text_of).unwrap_or_default()
}

/// The column that an expression names, and nothing else.
pub(super) fn column_of(node: &Node) -> Option<&str> {
    match node.node.as_ref()? {
        NodeKind::ColumnRef(column) => column.fields.last().and_then(text_of),
        _ => None,
    }
}

/// Whether a value is known without looking at rows.
pub(super) fn is_constant(node: &Node) -> bool {
    match node.node.as_ref() {
        Some(NodeKind::AConst(_) | NodeKind::ParamRef(_)) => true,
        Some(NodeKind::TypeCast(cast)) => cast.arg.as_deref().is_some_and(is_constant),
        Some(NodeKind::List(list)) => list.items.iter().all(is_constant),
        Some(NodeKind::AArrayExpr(array)) => array.elements.iter().all(is_constant),
        _ => false,
    }
}
