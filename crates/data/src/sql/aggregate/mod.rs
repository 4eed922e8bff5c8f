//! Aggregation: one statement with a subquery for each level of the pipeline.
//!
//! Within the statement, what is computed has names of our own (`k0`, `o0`, `a0`); the names that the application
//! chose are only given to the results. So they need no quoting and no limit, and cannot collide with columns.

mod group;
mod plan;

use std::sync::Arc;

use super::condition::{Scope, push_where};
use super::dialect::SqlDialect;
use super::fields::{Fields, mentioned};
use super::select::{push_columns, push_order};
use super::session::{Access, Fetched};
use super::statement::Statement;
use super::syntax::SqlSyntax;
use crate::aggregate::{Pipeline, Stage};
use crate::error::Result;
use crate::filter::{Filter, FindOptions};
use crate::record::{Record, implied_filter};
use crate::schema::{DELETED_AT, EntitySchema};
use plan::Level;

impl SqlDialect {
    pub(super) async fn aggregate_rows(
        &self,
        schema: &EntitySchema,
        pipeline: &Pipeline,
    ) -> Result<Vec<Record>> {
        let on_rows = stages_on_rows(pipeline);
        let names_deleted =
            on_rows.iter().any(|stage| matches!(stage, Stage::Match(filter) if filter.mentions(DELETED_AT)));
        let implied = implied_filter(schema, Filter::everything(), names_deleted);
        let mut names = mentioned(&implied, None);
        on_rows.iter().for_each(|stage| collect_names(stage, &mut names));
        let fields = self.fields(schema, &names).await?;
        let query = Query {
            schema,
            table: self.table(schema),
            syntax: self.syntax,
            prefix: &self.shared.config.table_prefix,
            implied: &implied,
            levels: plan::levels(pipeline),
        };
        let fields = query.fields_of_levels(Arc::unwrap_or_clone(fields))?;
        let mut sql = Statement::new(self.syntax, "");
        query.push_level(&mut sql, &fields, query.levels.len())?;
        let Some(result) = fields.last() else { return Ok(Vec::new()) };
        let fetched = self.fetch(Access::Read, &sql).await?;
        Ok(match result.outputs() {
            Some(names) => self.groups(names, result, fetched),
            None => self.records(schema, result, fetched, &FindOptions::default()),
        })
    }

    /// Rows of computed values under the names of the application.
    fn groups(&self, names: &[String], fields: &Fields, fetched: Fetched) -> Vec<Record> {
        let row = |row: Vec<_>| {
            let named = names.iter().zip(row).map(|(name, value)| match fields.get(name) {
                Some(column) => (name.clone(), self.syntax.restore(column.field_type, value)),
                None => (name.clone(), value),
            });
            named.collect()
        };
        fetched.rows.into_iter().map(row).collect()
    }
}

/// The stages that see the entity's rows: those up to the first group.
fn stages_on_rows(pipeline: &Pipeline) -> &[Stage] {
    let group = pipeline.stages.iter().position(|stage| matches!(stage, Stage::Group(_)));
    group.and_then(|group| pipeline.stages.get(..=group)).unwrap_or(&pipeline.stages)
}

/// The fields that a stage names.
fn collect_names<'a>(stage: &'a Stage, names: &mut Vec<&'a str>) {
    match stage {
        Stage::Match(filter) => names.extend(mentioned(filter, None)),
        Stage::Group(group) => names.extend(group::operands(group).map(|path| path.field.as_str())),
        Stage::Sort(sort) => names.extend(sort.keys().map(|key| key.split('.').next().unwrap_or(key))),
        Stage::Limit(_) => {}
    }
}

/// An aggregation as it is written into a statement.
struct Query<'a> {
    schema: &'a EntitySchema,
    table: String,
    syntax: &'static dyn SqlSyntax,
    prefix: &'a str,
    /// What every read of the entity implies.
    implied: &'a Filter,
    levels: Vec<Level<'a>>,
}

impl Query<'_> {
    /// What each level works on, the table's fields first, and at the end what the last one leaves.
    fn fields_of_levels(&self, table: Fields) -> Result<Vec<Fields>> {
        let mut all = vec![table];
        for level in &self.levels {
            let Some(before) = all.last() else { break };
            let left = match level.group {
                Some(group) => group::outputs(self.schema, before, group)?,
                None => before.clone(),
            };
            all.push(left);
        }
        Ok(all)
    }

    /// Appends the SELECT that makes the first `count` levels, each in a subquery of the next.
    fn push_level(&self, sql: &mut Statement, fields: &[Fields], count: usize) -> Result<()> {
        let place = count.saturating_sub(1);
        let (Some(level), Some(before)) = (self.levels.get(place), fields.get(place)) else { return Ok(()) };
        if let Some(group) = level.group {
            return group::push(sql, self, before, group, |sql| self.push_source(sql, fields, place));
        }
        sql.push("SELECT ");
        if before.columns().is_empty() {
            sql.push("1");
        } else {
            push_columns(sql, before);
        }
        self.push_source(sql, fields, place)?;
        let is_last = count == self.levels.len();
        if let Some(sort) = level.sort
            && (is_last || level.limit.is_some())
        {
            push_order(sql, &self.scope(before), sort, false)?;
        }
        if let Some(limit) = level.limit {
            sql.push(&format!(" LIMIT {limit}"));
        }
        Ok(())
    }

    /// Appends ` FROM … WHERE …` of a level.
    fn push_source(&self, sql: &mut Statement, fields: &[Fields], place: usize) -> Result<()> {
        let (Some(level), Some(before)) = (self.levels.get(place), fields.get(place)) else { return Ok(()) };
        let mut filters: Vec<Filter> = level.filters.iter().map(|filter| (*filter).clone()).collect();
        sql.push(" FROM ");
        if place == 0 {
            sql.name(&self.table);
            if *self.implied != Filter::everything() {
                filters.push(self.implied.clone());
            }
        } else {
            sql.push("(");
            self.push_level(sql, fields, place)?;
            sql.push(&format!(") AS s{place}"));
        }
        push_where(sql, &self.scope(before), &Filter::All(filters))
    }

    fn scope<'s>(&'s self, fields: &'s Fields) -> Scope<'s> {
        Scope { schema: self.schema, fields, syntax: self.syntax, prefix: self.prefix }
    }
}
