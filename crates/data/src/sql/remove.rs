//! DELETE, or its soft form.

use super::condition::push_where;
use super::dialect::SqlDialect;
use super::fields::mentioned;
use super::junction::Junction;
use super::session::Access;
use super::statement::Statement;
use super::update_many::IDS_PER_STATEMENT;
use crate::error::Result;
use crate::filter::{Filter, FindOptions};
use crate::record::{identity_filter, implied_filter};
use crate::schema::{DELETED_AT, EntitySchema, FieldType, ID};
use crate::value::{Timestamp, Value};

impl SqlDialect {
    /// Deletes one row; whether there was one. A row that is softly deleted already is one.
    pub(super) async fn remove(&self, schema: &EntitySchema, id: &Value) -> Result<bool> {
        let filter = implied_filter(schema, identity_filter(schema, id)?, true);
        if schema.soft_delete {
            return Ok(self.mark_deleted(schema, &filter).await? > 0);
        }
        let junctions = Junction::all(schema, &self.shared.config.table_prefix);
        if junctions.is_empty() {
            return Ok(self.delete_rows(schema, &filter).await? > 0);
        }
        let inner = self.begin_inner().await?;
        let deleted = inner.delete_with_junctions(schema, &filter, &junctions).await;
        inner.finish(deleted).await
    }

    async fn delete_with_junctions(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        junctions: &[Junction],
    ) -> Result<bool> {
        let options =
            FindOptions { select: vec![ID.to_owned()], include_deleted: true, ..FindOptions::default() };
        let Some(row) = self.select(schema, filter, &options).await?.pop() else { return Ok(false) };
        let id = row.get(ID).cloned().unwrap_or_default();
        for junction in junctions {
            self.write_list(junction, &id, &[]).await?;
        }
        Ok(self.delete_rows(schema, filter).await? > 0)
    }

    /// Deletes every row that passes the filter; how many there were.
    pub(super) async fn remove_all(&self, schema: &EntitySchema, filter: &Filter) -> Result<u64> {
        let filter = implied_filter(schema, filter.clone(), true);
        if schema.soft_delete {
            let present = filter.and(Filter::eq(DELETED_AT, Value::Null));
            return self.mark_deleted(schema, &present).await;
        }
        let junctions = Junction::all(schema, &self.shared.config.table_prefix);
        if junctions.is_empty() {
            return self.delete_rows(schema, &filter).await;
        }
        let inner = self.begin_inner().await?;
        let deleted = inner.delete_all_with_junctions(schema, &filter, &junctions).await;
        inner.finish(deleted).await
    }

    async fn delete_all_with_junctions(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        junctions: &[Junction],
    ) -> Result<u64> {
        let table = self.table(schema);
        let mut deleted = 0;
        for ids in self.lock_ids(schema, filter).await?.chunks(IDS_PER_STATEMENT) {
            for junction in junctions {
                self.delete_where_one_of(&junction.table, &junction.own, ids).await?;
            }
            deleted += self.delete_where_one_of(&table, ID, ids).await?;
        }
        Ok(deleted)
    }

    async fn delete_where_one_of(&self, table: &str, column: &str, values: &[Value]) -> Result<u64> {
        let mut sql = Statement::new(self.syntax, "DELETE FROM ");
        sql.name(table).push(" WHERE ");
        self.syntax.one_of(&mut sql, &self.syntax.quote(column), values.to_vec());
        self.execute(Access::Write, &sql).await
    }

    async fn mark_deleted(&self, schema: &EntitySchema, filter: &Filter) -> Result<u64> {
        let now = self.syntax.store(&DELETED_AT, FieldType::Date, Value::Timestamp(Timestamp::now()))?;
        let mut sql = Statement::new(self.syntax, "UPDATE ");
        sql.name(&self.table(schema)).push(" SET ").name(DELETED_AT);
        // The moment of the first delete stands.
        sql.push(" = coalesce(").name(DELETED_AT).push(", ").bind(now).push(")");
        self.run_where(schema, sql, filter).await
    }

    async fn delete_rows(&self, schema: &EntitySchema, filter: &Filter) -> Result<u64> {
        let mut sql = Statement::new(self.syntax, "DELETE FROM ");
        sql.name(&self.table(schema));
        self.run_where(schema, sql, filter).await
    }

    async fn run_where(&self, schema: &EntitySchema, mut sql: Statement, filter: &Filter) -> Result<u64> {
        let fields = self.fields(schema, &mentioned(filter, None)).await?;
        push_where(&mut sql, &self.scope(schema, &fields), filter)?;
        self.execute(Access::Write, &sql).await
    }
}
