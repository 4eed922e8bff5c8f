//! Conditions on a many-to-many relation: to which rows the links of a row lead.

use super::junction::{Junction, list_ids};
use super::statement::Statement;
use super::syntax::SqlSyntax;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Condition;
use crate::schema::ID;
use crate::value::Value;

/// Appends a condition on the ids that a relation leads to. A row without links is one without a value.
///
/// # Errors
/// [`ErrorKind::Filter`] for a condition that ids do not have, or a value that is no id.
pub(super) fn push_link_condition(
    sql: &mut Statement,
    syntax: &'static dyn SqlSyntax,
    junction: &Junction,
    relation: &str,
    condition: &Condition,
) -> Result<()> {
    let links = Links { syntax, junction };
    match condition {
        Condition::Eq(Value::Null) | Condition::Exists(false) => links.push(sql, " NOT IN (", None),
        Condition::Ne(Value::Null) | Condition::Exists(true) => links.push(sql, " IN (", None),
        Condition::Eq(value) => links.push(sql, " IN (", Some(ids(relation, std::slice::from_ref(value))?)),
        Condition::Ne(value) => {
            links.push(sql, " NOT IN (", Some(ids(relation, std::slice::from_ref(value))?))
        }
        Condition::In(values) => {
            let given = ids(relation, values)?;
            sql.push("(");
            links.push(sql, " IN (", Some(given));
            if values.iter().any(Value::is_null) {
                sql.push(" OR ");
                links.push(sql, " NOT IN (", None);
            }
            sql.push(")");
        }
        Condition::Nin(values) => {
            let given = ids(relation, values)?;
            sql.push("(");
            links.push(sql, " NOT IN (", Some(given));
            if values.iter().any(Value::is_null) {
                sql.push(" AND ");
                links.push(sql, " IN (", None);
            }
            sql.push(")");
        }
        Condition::Gt(_)
        | Condition::Gte(_)
        | Condition::Lt(_)
        | Condition::Lte(_)
        | Condition::Regex { .. } => {
            let message = format!(
                "\"{relation}\" is a list of ids, which can be tested by $eq, $ne, $in, $nin and $exists"
            );
            return Err(Error::new(ErrorKind::Filter, message));
        }
    }
    Ok(())
}

/// The ids among values, of which NULL is none.
fn ids(relation: &str, values: &[Value]) -> Result<Vec<Value>> {
    let mut ids = Vec::new();
    for value in values.iter().filter(|value| !value.is_null()) {
        match (value, list_ids(value.clone()).as_slice()) {
            (
                Value::Text(_) | Value::Int32(_) | Value::Int64(_) | Value::ObjectId(_) | Value::Object(_),
                [id],
            ) => {
                ids.push(id.clone());
            }
            _ => {
                let message =
                    format!("filter on \"{relation}\": expected an id, found {}", value.type_name());
                return Err(Error::new(ErrorKind::Filter, message));
            }
        }
    }
    Ok(ids)
}

struct Links<'a> {
    syntax: &'static dyn SqlSyntax,
    junction: &'a Junction,
}

impl Links<'_> {
    /// Appends that the row is, or is not, among those with a link: to one of these ids, or at all.
    fn push(&self, sql: &mut Statement, among: &str, to: Option<Vec<Value>>) {
        sql.name(ID).push(among).push("SELECT ").name(&self.junction.own);
        sql.push(" FROM ").name(&self.junction.table);
        match to {
            Some(ids) if ids.is_empty() => {
                sql.push(" WHERE 1 = 0");
            }
            Some(ids) => {
                sql.push(" WHERE ");
                self.syntax.one_of(sql, &self.syntax.quote(&self.junction.other), ids);
            }
            None => {}
        }
        sql.push(")");
    }
}
