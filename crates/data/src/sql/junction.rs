//! The junction table of a many-to-many relation.

use super::dialect::SqlDialect;
use super::select::id_text;
use super::session::Access;
use super::statement::Statement;
use super::update_many::IDS_PER_STATEMENT;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{EntitySchema, ID, JunctionNames};
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
        let JunctionNames { table, own, other } = schema.junction(name)?;
        Some(Self { table: format!("{prefix}{table}"), own, other })
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
            self.add_link(junction, id, other).await?;
        }
        Ok(())
    }

    /// Adds one junction row; whether it was new.
    pub(super) async fn add_link(&self, junction: &Junction, id: &Value, other: &Value) -> Result<bool> {
        let mut insert = Statement::new(self.syntax, "INSERT INTO ");
        insert.name(&junction.table).push(" (").name(&junction.own).push(", ").name(&junction.other);
        insert.push(") VALUES (").bind(id.clone()).push(", ").bind(other.clone()).push(")");
        let keeps_existing = self.syntax.keep_existing(&mut insert);
        match self.execute(Access::Write, &insert).await {
            Err(error) if !keeps_existing && error.kind() == ErrorKind::UniqueViolation => Ok(false),
            inserted => Ok(inserted? > 0),
        }
    }

    /// Removes one junction row; whether there was one.
    pub(super) async fn remove_link(&self, junction: &Junction, id: &Value, other: &Value) -> Result<bool> {
        let mut delete = Statement::new(self.syntax, "DELETE FROM ");
        delete.name(&junction.table).push(" WHERE ").name(&junction.own).push(" = ").bind(id.clone());
        delete.push(" AND ").name(&junction.other).push(" = ").bind(other.clone());
        Ok(self.execute(Access::Write, &delete).await? > 0)
    }

    /// The pairs of ids that a many-to-many relation holds for these rows, in their order.
    pub(super) async fn read_links(
        &self,
        schema: &EntitySchema,
        relation: &str,
        ids: &[Value],
    ) -> Result<Vec<(Value, Value)>> {
        let junction = Junction::of(schema, relation, &self.shared.config.table_prefix).ok_or_else(|| {
            let message = format!("{}: \"{relation}\" is no many-to-many relation", schema.name);
            Error::new(ErrorKind::Filter, message)
        })?;
        let mut links = Vec::new();
        for ids in ids.chunks(IDS_PER_STATEMENT) {
            let mut sql = Statement::new(self.syntax, "SELECT ");
            sql.name(&junction.own).push(", ").name(&junction.other);
            sql.push(" FROM ").name(&junction.table).push(" WHERE ");
            self.syntax.one_of(&mut sql, &self.syntax.quote(&junction.own), ids.to_vec());
            sql.push(" ORDER BY ").name(&junction.own).push(", ").name(&junction.other);
            let rows = self.fetch(Access::Read, &sql).await?.rows.into_iter();
            links.extend(rows.filter_map(|row| match <[Value; 2]>::try_from(row) {
                Ok([own, other]) => Some((id_text(own), id_text(other))),
                Err(_) => None,
            }));
        }
        Ok(links)
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
