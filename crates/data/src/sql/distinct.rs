//! The different values of a field.

use super::condition::push_where;
use super::dialect::SqlDialect;
use super::fields::mentioned;
use super::select::id_text;
use super::session::Access;
use super::statement::Statement;
use crate::error::Result;
use crate::filter::{FieldPath, Filter};
use crate::record::implied_filter;
use crate::schema::{EntitySchema, FieldType, ID};
use crate::value::Value;

impl SqlDialect {
    /// The values in ascending order, which is ours: databases order text by rules of their own.
    pub(super) async fn distinct_values(
        &self,
        schema: &EntitySchema,
        field: &str,
        filter: &Filter,
    ) -> Result<Vec<Value>> {
        let path = FieldPath::parse(field)?;
        let filter = implied_filter(schema, filter.clone(), false);
        let mut names = mentioned(&filter, None);
        names.push(&path.field);
        let fields = self.fields(schema, &names).await?;
        let (column, below) = fields.resolve(schema, &path)?;
        let mut sql = Statement::new(self.syntax, "SELECT DISTINCT ");
        if column.is_json() {
            self.syntax.exact_json_value(&mut sql, &self.syntax.quote(&column.name), below);
        } else if column.field_type == FieldType::Number {
            sql.push(&self.syntax.distinct_number(&self.syntax.quote(&column.name)));
        } else {
            sql.name(&column.name);
        }
        sql.push(" FROM ").name(&self.table(schema));
        push_where(&mut sql, &self.scope(schema, &fields), &filter)?;
        let rows = self.fetch(Access::Read, &sql).await?.rows;
        let field_type = if column.is_json() { FieldType::Json } else { column.field_type };
        let cells = rows.into_iter().filter_map(|row| row.into_iter().next());
        let values = cells.map(|cell| self.syntax.restore(field_type, cell));
        let is_id = column.name == ID;
        Ok(sorted_items(values.map(|value| if is_id { id_text(value) } else { value })))
    }
}

/// The values, of lists their items, each once.
fn sorted_items(values: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut items = Vec::new();
    for value in values {
        match value {
            Value::Array(list) => items.extend(list),
            value => items.push(value),
        }
    }
    items.retain(|item| !item.is_null());
    items.sort_by(Value::order);
    items.dedup_by(|a, b| a.same_as(b));
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_count_by_their_items() {
        let values = [
            Value::Array(vec!["b".into(), 2.into(), Value::Null]),
            Value::Null,
            Value::Float(2.0),
            "a".into(),
            Value::Array(vec![Value::Array(vec!["b".into()])]),
        ];
        let expected = [Value::from(2), "a".into(), "b".into(), Value::Array(vec!["b".into()])];
        assert_eq!(sorted_items(values.into_iter()), expected);
    }
}
