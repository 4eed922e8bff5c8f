//! The junction table of a many-to-many relation.

use super::dialect::SqlDialect;
use super::session::Access;
use super::statement::Statement;
use crate::error::Result;
use crate::schema::{EntitySchema, ID, RelationKind};
use crate::value::Value;

/// A junction table seen from one of its sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Junction {
    pub(super) table: String,
    /// The column that refers to this side.
    pub(super) own: String,
    /// The column that refers to the other side.
    pub(super) other: String,
}

impl Junction {
    /// The junction of the many-to-many relation of this name.
    pub(super) fn of(schema: &EntitySchema, name: &str, prefix: &str) -> Option<Self> {
        let relation =
            schema.relations.get(name).filter(|relation| relation.kind == RelationKind::ManyToMany)?;
        let column = |entity: &str| format!("{}Id", entity.to_lowercase());
        let own = relation.join_column.clone().unwrap_or_else(|| column(&schema.name));
        let other = match &relation.inverse_join_column {
            Some(column) => column.clone(),
            // An entity related to itself needs a second name.
            None if column(&relation.target) == own => column(name),
            None => column(&relation.target),
        };
        let through = relation.through.clone().unwrap_or_else(|| format!("{}_{}", schema.collection, name));
        Some(Self { table: format!("{prefix}{through}"), own, other })
    }

    /// Every junction of an entity.
    pub(super) fn all(schema: &EntitySchema, prefix: &str) -> Vec<Self> {
        schema.relations.keys().filter_map(|name| Self::of(schema, name, prefix)).collect()
    }
}

/// The ids in the value of a many-to-many relation: a list of ids or rows, ids with commas between them, or one.
pub(super) fn list_ids(value: Value) -> Vec<Value> {
    let mut ids: Vec<Value> = Vec::new();
    let mut add = |id: String| {
        if !id.is_empty() && !ids.iter().any(|known| known.as_text() == Some(&id)) {
            ids.push(Value::Text(id));
        }
    };
    match value {
        Value::Array(items) => items.into_iter().filter_map(id_of).for_each(add),
        Value::Text(text) => text.split(',').for_each(|id| add(id.trim().to_owned())),
        one => id_of(one).into_iter().for_each(add),
    }
    ids
}

fn id_of(value: Value) -> Option<String> {
    match value {
        Value::Object(mut row) => row.shift_remove(ID).and_then(id_of),
        Value::Text(id) => Some(id.trim().to_owned()),
        Value::Int32(number) => Some(number.to_string()),
        Value::Int64(number) => Some(number.to_string()),
        Value::ObjectId(id) => Some(id.to_string()),
        _ => None,
    }
}

impl SqlDialect {
    /// Makes the junction rows of `id` those that refer to `ids`, touching only the difference.
    pub(super) async fn write_list(&self, junction: &Junction, id: &Value, ids: &[Value]) -> Result<()> {
        let mut delete = Statement::new(self.syntax, "DELETE FROM ");
        delete.name(&junction.table).push(" WHERE ").name(&junction.own).push(" = ").bind(id.clone());
        if !ids.is_empty() {
            delete.push(" AND (");
            self.syntax.one_of(&mut delete, &self.syntax.quote(&junction.other), ids.to_vec());
            delete.push(") IS NOT TRUE");
        }
        self.execute(Access::Write, &delete).await?;
        for other in ids {
            let mut insert = Statement::new(self.syntax, "INSERT INTO ");
            insert.name(&junction.table).push(" (").name(&junction.own).push(", ").name(&junction.other);
            insert.push(") VALUES (").bind(id.clone()).push(", ").bind(other.clone()).push(")");
            self.syntax.keep_existing(&mut insert, &self.syntax.quote(&junction.own));
            self.execute(Access::Write, &insert).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_may_be_an_array_comma_separated_text_or_one_id() {
        let ids = |value| {
            list_ids(value).iter().filter_map(|id| id.as_text().map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(
            ids(Value::Array(vec!["a".into(), Value::object([("id", Value::from("b"))])])),
            ["a", "b"]
        );
        assert_eq!(ids("a, b,,a".into()), ["a", "b"]);
        assert_eq!(ids(7.into()), ["7"]);
        assert!(ids(Value::Null).is_empty() && ids("".into()).is_empty());
    }
}
