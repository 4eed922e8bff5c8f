//! UPDATE of every row that passes a filter.

use super::condition::push_where;
use super::dialect::SqlDialect;
use super::fields::mentioned;
use super::junction::Junction;
use super::session::Access;
use super::statement::Statement;
use super::write::Divided;
use crate::error::Result;
use crate::filter::Filter;
use crate::record::{Record, implied_filter, prepare_update};
use crate::schema::{DELETED_AT, EntitySchema, ID};
use crate::value::Value;

/// Ids in one statement, few enough for the parameters that any of the databases takes.
pub(super) const IDS_PER_STATEMENT: usize = 500;

impl SqlDialect {
    /// Changes every row that passes the filter; how many there were.
    pub(super) async fn change_all(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        changes: Record,
    ) -> Result<u64> {
        // Who writes `deletedAt` means to revive deleted rows.
        let filter = implied_filter(schema, filter.clone(), changes.contains_key(DELETED_AT));
        let row = self.divide(schema, prepare_update(schema, changes)?).await?;
        if row.lists.is_empty() {
            return match row.leaves_rows_alone() {
                true => self.select_count(schema, &filter, true).await,
                false => self.update_where(schema, &row, &filter).await,
            };
        }
        let inner = self.begin_inner().await?;
        let changed = inner.change_all_with_lists(schema, &filter, &row).await;
        inner.finish(changed).await
    }

    /// Rows and lists must change together, so the rows are settled first.
    async fn change_all_with_lists(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        row: &Divided,
    ) -> Result<u64> {
        let ids = self.lock_ids(schema, filter).await?;
        for ids in ids.chunks(IDS_PER_STATEMENT).filter(|_| !row.leaves_rows_alone()) {
            let mut sql = self.update_statement(schema, row);
            sql.push(" WHERE ");
            self.syntax.one_of(&mut sql, &self.syntax.quote(ID), ids.to_vec());
            self.execute(Access::Write, &sql).await?;
        }
        for (name, list) in &row.lists {
            let Some(junction) = Junction::of(schema, name, &self.shared.config.table_prefix) else {
                continue;
            };
            for id in &ids {
                self.write_list(&junction, id, list).await?;
            }
        }
        Ok(u64::try_from(ids.len()).unwrap_or(u64::MAX))
    }

    async fn update_where(&self, schema: &EntitySchema, row: &Divided, filter: &Filter) -> Result<u64> {
        let fields = self.fields(schema, &mentioned(filter, None)).await?;
        let mut sql = self.update_statement(schema, row);
        push_where(&mut sql, &self.scope(schema, &fields), filter)?;
        self.execute(Access::Write, &sql).await
    }

    /// The ids of the rows that pass a complete filter, which stay as they are until the transaction ends. They are
    /// locked in their order, so that two transactions do not wait for each other.
    pub(super) async fn lock_ids(&self, schema: &EntitySchema, filter: &Filter) -> Result<Vec<Value>> {
        let fields = self.fields(schema, &mentioned(filter, None)).await?;
        let mut sql = Statement::new(self.syntax, "SELECT ");
        sql.name(ID).push(" FROM ").name(&self.table(schema));
        push_where(&mut sql, &self.scope(schema, &fields), filter)?;
        sql.push(" ORDER BY ").name(ID).push(self.syntax.lock_rows());
        let rows = self.fetch(Access::Write, &sql).await?.rows;
        Ok(rows.into_iter().filter_map(|row| row.into_iter().next()).collect())
    }
}
