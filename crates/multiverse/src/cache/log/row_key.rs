//! Queries that read only the row of one key: `WHERE key = value`, whatever else is demanded.

use std::sync::Arc;

use bytes::Buf;
use pg_query::NodeEnum;
use pg_query::protobuf::{
    AExpr, AExprKind, BoolExprType, Node, ParseResult, SelectStmt, SetOperation, a_const,
};

use crate::request::BindParameters;
use crate::route::with_syntax_tree;

/// Integers and texts of more bytes than this are not worth it.
const LONGEST_VALUE: usize = 256;

/// The types of keys whose values can be compared as texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyType {
    /// int2, int4, int8.
    Integer,
    /// text, varchar.
    Text,
    /// uuid.
    Uuid,
}

impl KeyType {
    pub(super) fn of(oid: u32) -> Option<Self> {
        match oid {
            20 | 21 | 23 => Some(Self::Integer),
            25 | 1043 => Some(Self::Text),
            2950 => Some(Self::Uuid),
            _ => None,
        }
    }

    /// The one form of a value that may be written in several.
    pub(super) fn canonical(self, value: &str) -> Option<Arc<[u8]>> {
        if value.len() > LONGEST_VALUE {
            return None;
        }
        match self {
            Self::Integer => Some(value.trim().parse::<i64>().ok()?.to_string().into_bytes().into()),
            Self::Text => Some(value.as_bytes().into()),
            Self::Uuid => {
                let digits: String = value
                    .chars()
                    .filter(|c| !matches!(c, '-' | '{' | '}'))
                    .collect::<String>()
                    .to_lowercase();
                let is_whole = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                is_whole.then(|| digits.into_bytes().into())
            }
        }
    }
}

/// What a query demands of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowKey {
    pub(crate) column: Box<str>,
    value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    /// That of a parameter, from 0.
    Parameter(usize),
    Literal(Box<str>),
}

impl RowKey {
    /// The value in a call, in its one form.
    pub(crate) fn value(&self, key_type: KeyType, parameters: &BindParameters) -> Option<Arc<[u8]>> {
        match &self.value {
            Value::Literal(text) => key_type.canonical(text),
            Value::Parameter(at) => key_type.canonical(text_parameter(parameters.section(), *at)?),
        }
    }
}

/// The parameter at a place, if it is text and not NULL.
fn text_parameter(mut section: &[u8], at: usize) -> Option<&str> {
    // Parameters in binary form are rare, and never keys.
    if section.try_get_u16().ok()? != 0 {
        return None;
    }
    let count = usize::from(section.try_get_u16().ok()?);
    if at >= count {
        return None;
    }
    for _ in 0..at {
        let length = section.try_get_i32().ok()?;
        section = section.get(usize::try_from(length).unwrap_or(0)..)?;
    }
    let length = usize::try_from(section.try_get_i32().ok()?).ok()?;
    str::from_utf8(section.get(..length)?).ok()
}

/// What the only query of a text demands by `column = value` of the only table that it reads, if it does.
pub(crate) fn find(sql: &str) -> Vec<RowKey> {
    if has_subquery(sql) {
        return Vec::new();
    }
    with_syntax_tree(sql, |tree| find_in(&tree)).flatten().unwrap_or_default()
}

/// A query within the query reads more than the one row. Words count wherever they stand, which at worst makes a query one
/// of the whole table.
fn has_subquery(sql: &str) -> bool {
    let words = sql.split(|character: char| !character.is_alphanumeric() && character != '_');
    let is_query = |word: &&str| {
        ["select", "table", "values", "with"].iter().any(|query| word.eq_ignore_ascii_case(query))
    };
    words.filter(is_query).count() != 1
}

fn find_in(tree: &ParseResult) -> Option<Vec<RowKey>> {
    let [statement] = tree.stmts.as_slice() else { return None };
    let Some(NodeEnum::SelectStmt(select)) = &statement.stmt.as_ref()?.node else { return None };
    let SelectStmt { from_clause, where_clause, op, .. } = &**select;
    let [from] = from_clause.as_slice() else { return None };
    let Some(NodeEnum::RangeVar(table)) = &from.node else { return None };
    if *op != SetOperation::SetopNone as i32 {
        return None;
    }
    let name = match &table.alias {
        Some(alias) if !alias.colnames.is_empty() => return None,
        Some(alias) => &alias.aliasname,
        None => &table.relname,
    };
    let mut keys = Vec::new();
    demands(where_clause.as_ref()?, name, &mut keys);
    Some(keys)
}

fn demands(node: &Node, table: &str, keys: &mut Vec<RowKey>) {
    match &node.node {
        Some(NodeEnum::BoolExpr(all)) if all.boolop == BoolExprType::AndExpr as i32 => {
            all.args.iter().for_each(|arg| demands(arg, table, keys));
        }
        Some(NodeEnum::AExpr(comparison)) if comparison.kind == AExprKind::AexprOp as i32 => {
            keys.extend(demand(comparison, table));
        }
        _ => {}
    }
}

fn demand(comparison: &AExpr, table: &str) -> Option<RowKey> {
    let [operator] = comparison.name.as_slice() else { return None };
    let Some(NodeEnum::String(operator)) = &operator.node else { return None };
    let (left, right) = (comparison.lexpr.as_deref()?, comparison.rexpr.as_deref()?);
    if operator.sval != "=" {
        return None;
    }
    let one_way = column(left, table).zip(value(right));
    let (column, value) = one_way.or_else(|| column(right, table).zip(value(left)))?;
    Some(RowKey { column, value })
}

fn column(node: &Node, table: &str) -> Option<Box<str>> {
    let NodeEnum::ColumnRef(column) = node.node.as_ref()? else { return None };
    let name = |node: &Node| match &node.node {
        Some(NodeEnum::String(text)) => Some(text.sval.clone()),
        _ => None,
    };
    match column.fields.as_slice() {
        [only] => name(only).map(Into::into),
        [of, column] if name(of)? == table => name(column).map(Into::into),
        _ => None,
    }
}

fn value(node: &Node) -> Option<Value> {
    match node.node.as_ref()? {
        NodeEnum::ParamRef(parameter) => {
            Some(Value::Parameter(usize::try_from(parameter.number).ok()?.checked_sub(1)?))
        }
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Ival(integer) => Some(Value::Literal(integer.ival.to_string().into())),
            a_const::Val::Sval(text) => Some(Value::Literal(text.sval.as_str().into())),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_one_form_however_they_are_written() {
        let integer = |text| KeyType::Integer.canonical(text);
        assert_eq!(integer(" 042 "), integer("42"));
        assert_eq!(integer("4.2"), None);
        let uuid = |text| KeyType::Uuid.canonical(text);
        let one = uuid("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11");
        assert!(one.is_some());
        assert_eq!(one, uuid("{a0eebc999c0b4ef8bb6d6bb9bd380a11}"));
        assert_ne!(KeyType::Text.canonical("a"), KeyType::Text.canonical("A"));
    }

    #[test]
    fn the_value_is_that_of_the_call() {
        let [key] = &find("SELECT * FROM t WHERE a > $1 AND id = $2")[..] else { panic!("one demand") };
        let parameters = BindParameters::from_texts(&[None, Some("7")]);
        assert_eq!(key.value(KeyType::Integer, &parameters).as_deref(), Some(&b"7"[..]));
        let null = BindParameters::from_texts(&[Some("1"), None]);
        assert_eq!(key.value(KeyType::Integer, &null), None);
    }
}
