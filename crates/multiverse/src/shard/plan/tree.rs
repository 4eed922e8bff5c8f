//! Looking at syntax trees as JSON: the parser's types serialise themselves, and no kind of node can be forgotten.

use serde_json::Value as Json;

/// The kind and the content of a node; `None` for an empty place.
pub(super) fn node(place: &Json) -> Option<(&str, &Json)> {
    let (kind, content) = place.get("node")?.as_object()?.iter().next()?;
    Some((kind.as_str(), content))
}

/// The content of a node of this kind.
pub(super) fn node_of<'j>(place: &'j Json, kind: &str) -> Option<&'j Json> {
    node(place).filter(|(found, _)| *found == kind).map(|(_, content)| content)
}

/// The items of a list field.
pub(super) fn items<'j>(content: &'j Json, field: &str) -> &'j [Json] {
    content.get(field).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// A field that is not empty.
pub(super) fn field<'j>(content: &'j Json, field: &str) -> Option<&'j Json> {
    content.get(field).filter(|value| !value.is_null())
}

pub(super) fn text<'j>(content: &'j Json, field: &str) -> &'j str {
    content.get(field).and_then(Json::as_str).unwrap_or_default()
}

pub(super) fn number(content: &Json, field: &str) -> i64 {
    content.get(field).and_then(Json::as_i64).unwrap_or_default()
}

pub(super) fn flag(content: &Json, field: &str) -> bool {
    content.get(field).and_then(Json::as_bool).unwrap_or_default()
}

/// The parts of a name.
pub(super) fn names<'j>(content: &'j Json, field: &str) -> Vec<&'j str> {
    items(content, field).iter().filter_map(|part| Some(text(node_of(part, "String")?, "sval"))).collect()
}

/// The names of a column reference; `None` where it has a star.
pub(super) fn column_names(content: &Json) -> Option<Vec<&str>> {
    let names = names(content, "fields");
    (names.len() == items(content, "fields").len()).then_some(names)
}

/// Hears of every node, from the outside in. Where the listener says `false`, what is in the node is passed over.
pub(super) fn walk<'j>(tree: &'j Json, listener: &mut dyn FnMut(&'j str, &'j Json) -> bool) {
    match tree {
        Json::Array(list) => list.iter().for_each(|each| walk(each, listener)),
        Json::Object(fields) => match node(tree) {
            Some((kind, content)) => {
                if listener(kind, content) {
                    walk_fields(content, listener);
                }
            }
            None => fields.values().for_each(|each| walk(each, listener)),
        },
        _ => {}
    }
}

/// The same for what is in a node.
pub(super) fn walk_fields<'j>(content: &'j Json, listener: &mut dyn FnMut(&'j str, &'j Json) -> bool) {
    if let Json::Object(fields) = content {
        fields.values().for_each(|each| walk(each, listener));
    }
}

/// Whether a node of such a kind is in the tree.
pub(super) fn has(tree: &Json, mut is_wanted: impl FnMut(&str, &Json) -> bool) -> bool {
    let mut found = false;
    walk(tree, &mut |kind, content| {
        found |= is_wanted(kind, content);
        !found
    });
    found
}

/// The conditions that all must hold.
pub(super) fn conjuncts(condition: &Json) -> Vec<&Json> {
    const AND: i64 = 1;
    match node_of(condition, "BoolExpr") {
        Some(content) if number(content, "boolop") == AND => {
            items(content, "args").iter().flat_map(conjuncts).collect()
        }
        _ => vec![condition],
    }
}

/// The names of the functions that an expression calls, and their calls. Queries within it are passed over.
pub(super) fn calls<'j>(tree: &'j Json, listener: &mut dyn FnMut(&'j str, &'j Json)) {
    walk(tree, &mut |kind, content| {
        if kind == "FuncCall"
            && let Some(name) = names(content, "funcname").last()
        {
            listener(name, content);
        }
        kind != "SubLink"
    });
}
