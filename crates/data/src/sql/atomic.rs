//! Changes of one row that build on its present value: increment, addToSet and pull.

use super::condition::push_where;
use super::dialect::SqlDialect;
use super::documents::check_json;
use super::fields::{Fields, mentioned, unknown_field};
use super::junction::{Junction, list_ids};
use super::select::push_columns;
use super::session::Access;
use super::statement::Statement;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Filter, FindOptions};
use crate::record::{Record, fit, identity_filter, implied_filter, prepare_update};
use crate::schema::{EntitySchema, FieldType, ID};
use crate::value::{Value, plain_value};

/// What happens to the items of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ItemChange {
    /// One is added unless it is there.
    Add,
    /// All that are equal to one are removed.
    Pull,
}

impl SqlDialect {
    /// Adds an amount to a number field, in one UPDATE.
    pub(super) async fn add_amount(
        &self,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        amount: &Value,
    ) -> Result<Option<Record>> {
        let filter = implied_filter(schema, identity_filter(schema, id)?, false);
        let fields = self.fields(schema, &[field]).await?;
        let column = fields.get(field).ok_or_else(|| unknown_field(schema, field))?;
        let place = format!("{}.{field}", schema.name);
        if column.field_type != FieldType::Number {
            let message = format!(
                "{place}: only a number field can be incremented, this is a {} field",
                column.field_type.name()
            );
            return Err(Error::new(ErrorKind::Value, message));
        }
        let amount = fit(&place, FieldType::Number, amount.clone())?;
        if !amount.as_f64().is_some_and(f64::is_finite) {
            let message = format!("{place}: the amount of an increment must be a finite number");
            return Err(Error::new(ErrorKind::Value, message));
        }
        let amount = self.syntax.store(&place, FieldType::Number, amount)?;
        let mut row = self.divide(schema, prepare_update(schema, Record::new())?).await?;
        row.increments.push((column.name.clone(), amount));
        self.change_divided(schema, &filter, &row).await
    }

    /// Changes the items of an array field or a many-to-many relation.
    pub(super) async fn change_items(
        &self,
        schema: &EntitySchema,
        id: &Value,
        field: &str,
        change: ItemChange,
        value: Value,
    ) -> Result<Option<Record>> {
        let filter = implied_filter(schema, identity_filter(schema, id)?, false);
        if let Some(junction) = Junction::of(schema, field, &self.shared.config.table_prefix) {
            let inner = self.begin_inner().await?;
            let others = list_ids(value);
            let changed = inner.change_links(schema, &filter, field, &junction, change, &others).await;
            return inner.finish(changed).await;
        }
        let mut names = mentioned(&filter, None);
        names.push(field);
        let fields = self.fields(schema, &names).await?;
        let column = fields.get(field).ok_or_else(|| unknown_field(schema, field))?;
        if !column.is_json() {
            return Err(no_array(schema, field, column.field_type.name()));
        }
        check_json(&format!("{}.{field}", schema.name), &value, ErrorKind::Value)?;
        let inner = self.begin_inner().await?;
        let changed = inner.change_array(schema, &filter, field, change, &plain_value(value)).await;
        inner.finish(changed).await
    }

    async fn change_array(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        field: &str,
        change: ItemChange,
        value: &Value,
    ) -> Result<Option<Record>> {
        let fields = self.fields(schema, &mentioned(filter, None)).await?;
        let Some(row) = self.lock_row(schema, &fields, filter).await? else { return Ok(None) };
        let mut items = match row.get(field) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items.clone(),
            Some(other) => return Err(no_array(schema, field, other.type_name())),
        };
        let before = items.len();
        match change {
            ItemChange::Add if items.iter().any(|item| item.same_as(value)) => {}
            ItemChange::Add => items.push(value.clone()),
            ItemChange::Pull => items.retain(|item| !item.same_as(value)),
        }
        if items.len() == before {
            return Ok(Some(row));
        }
        let id = row.get(ID).cloned().unwrap_or_default();
        let changes = Record::from_iter([(field.to_owned(), Value::Array(items))]);
        self.change(schema, Filter::eq(ID, id), changes).await
    }

    /// The row that passes a complete filter, which stays as it is until the transaction ends.
    async fn lock_row(
        &self,
        schema: &EntitySchema,
        fields: &Fields,
        filter: &Filter,
    ) -> Result<Option<Record>> {
        let mut sql = Statement::new(self.syntax, "SELECT ");
        push_columns(&mut sql, fields);
        sql.push(" FROM ").name(&self.table(schema));
        push_where(&mut sql, &self.scope(schema, fields), filter)?;
        sql.push(" LIMIT 1").push(self.syntax.lock_rows());
        let fetched = self.fetch(Access::Write, &sql).await?;
        Ok(self.records(schema, fields, fetched, &FindOptions::default()).pop())
    }

    async fn change_links(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        relation: &str,
        junction: &Junction,
        change: ItemChange,
        others: &[Value],
    ) -> Result<Option<Record>> {
        let Some(id) = self.lock_ids(schema, filter).await?.into_iter().next() else { return Ok(None) };
        let mut is_changed = false;
        for other in others {
            is_changed |= match change {
                ItemChange::Add => self.add_link(junction, &id, other).await?,
                ItemChange::Pull => self.remove_link(junction, &id, other).await?,
            };
        }
        let own = Filter::eq(ID, id.clone());
        let row = match is_changed {
            // The row itself has changed only in the time of its last change.
            true => self.change(schema, own, Record::new()).await?,
            false => self.select(schema, &own, &FindOptions::default()).await?.pop(),
        };
        let Some(mut row) = row else { return Ok(None) };
        let links = self.read_links(schema, relation, std::slice::from_ref(&id)).await?;
        row.insert(relation.to_owned(), Value::Array(links.into_iter().map(|(_, other)| other).collect()));
        Ok(Some(row))
    }
}

fn no_array(schema: &EntitySchema, field: &str, found: &str) -> Error {
    let message = format!(
        "{}.{field}: items can be added to and pulled from arrays and many-to-many relations, this is {found}",
        schema.name
    );
    Error::new(ErrorKind::Value, message)
}
