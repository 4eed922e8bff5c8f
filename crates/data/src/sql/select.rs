//! SELECT and count: reading rows of an entity.

use std::sync::Arc;

use indexmap::IndexMap;

use super::condition::{Scope, push_where};
use super::dialect::SqlDialect;
use super::fields::{Fields, mentioned, sort_path, unknown_field};
use super::restoring::Restoring;
use super::session::{Access, Fetched};
use super::statement::Statement;
use crate::error::Result;
use crate::filter::{Condition, Direction, Filter, FindOptions};
use crate::record::{Record, implied_filter};
use crate::rows::CellSink;
use crate::schema::{EntitySchema, FieldType, ID, Index, RelationKind};
use crate::value::Value;

/// The statement of a read, and what its columns are.
struct Selection {
    access: Access,
    sql: Statement,
    fields: Arc<Fields>,
}

impl SqlDialect {
    pub(super) async fn select(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        options: &FindOptions,
    ) -> Result<Vec<Record>> {
        let Selection { access, sql, fields } = self.selection(schema, filter, options).await?;
        let fetched = self.fetch(access, &sql).await?;
        Ok(self.records(schema, &fields, fetched, options))
    }

    /// As [`select`](Self::select), with the rows handed on as they are read.
    pub(super) async fn select_into(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        options: &FindOptions,
        rows: &mut dyn CellSink,
    ) -> Result<()> {
        let Selection { access, sql, fields } = self.selection(schema, filter, options).await?;
        self.fetch_into(access, &sql, &mut Restoring::new(schema, &fields, options, self.syntax, rows)).await
    }

    async fn selection(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        options: &FindOptions,
    ) -> Result<Selection> {
        let id = named_row(filter);
        let access = if id.is_some() { Access::ReadRow } else { Access::Read };
        let whole = id.filter(|_| options.ask_for_a_whole_row());
        if let Some(id) = whole {
            let fields = self.fields(schema, &[]).await?;
            if let Some(sql) = fields.by_id(id) {
                return Ok(Selection { access, sql, fields });
            }
        }
        let filter = implied_filter(schema, filter.clone(), options.include_deleted);
        let fields = self.fields(schema, &mentioned(&filter, Some(options))).await?;
        let scope = self.scope(schema, &fields);
        let mut sql = Statement::new(self.syntax, "SELECT ");
        push_projection(&mut sql, &scope, options)?;
        sql.push(" FROM ").name(&self.table(schema));
        push_where(&mut sql, &scope, &filter)?;
        let by_index = self.orders_by_index(&scope, &options.sort).await?;
        push_order(&mut sql, &scope, &options.sort, by_index)?;
        push_range(&mut sql, &scope, options);
        if options.lock {
            sql.push(self.syntax.lock_rows());
        }
        if let Some(id) = whole {
            fields.keep_by_id(id, &sql);
        }
        Ok(Selection { access, sql, fields })
    }

    pub(super) async fn select_count(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        include_deleted: bool,
    ) -> Result<u64> {
        let filter = implied_filter(schema, filter.clone(), include_deleted);
        let fields = self.fields(schema, &mentioned(&filter, None)).await?;
        let scope = self.scope(schema, &fields);
        let mut sql = Statement::new(self.syntax, "SELECT count(*) FROM ");
        sql.name(&self.table(schema));
        push_where(&mut sql, &scope, &filter)?;
        let count = self.fetch(Access::Read, &sql).await?.into_scalar();
        Ok(count
            .and_then(|count| count.as_integer())
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or(0))
    }

    /// Whether the first field to order by is one of dates that has an index, and all its dates are in the order of the
    /// index. A large table is then not ordered anew for its first rows.
    async fn orders_by_index(&self, scope: &Scope<'_>, sort: &IndexMap<String, Direction>) -> Result<bool> {
        let Some((key, _)) = sort.first() else { return Ok(false) };
        let path = sort_path(key);
        let (column, _) = scope.fields.resolve(scope.schema, &path)?;
        if column.field_type != FieldType::Date || !is_indexed(scope.schema, &column.name) {
            return Ok(false);
        }
        let quote = |name: &str| self.syntax.quote(name);
        let table = quote(&self.table(scope.schema));
        let Some(query) = self.syntax.has_unordered_dates(&table, &quote(&column.name)) else {
            return Ok(false);
        };
        let fetched = self.fetch(Access::Read, &Statement::new(self.syntax, &query)).await?;
        Ok(fetched.into_scalar().and_then(|found| found.as_integer()) == Some(0))
    }

    /// The fields of an entity: those it declares, and further columns of its table. A name that is among neither has
    /// the table looked at again.
    pub(super) async fn fields(&self, schema: &EntitySchema, names: &[&str]) -> Result<Arc<Fields>> {
        let table = self.table(schema);
        let Some(live) = self.columns.get(&*self.session, &table).await? else {
            return Ok(Arc::new(Fields::declared(schema)));
        };
        let fields = self.columns.fields(schema, &live);
        let is_list =
            |name: &str| schema.relations.get(name).is_some_and(|relation| !relation.kind.has_column());
        if names.iter().all(|name| fields.get(name).is_some() || is_list(name)) {
            return Ok(fields);
        }
        let live = self.columns.reload(&*self.session, &table).await?.unwrap_or_default();
        Ok(self.columns.fields(schema, &live))
    }

    /// What a filter on the rows of an entity is compiled against.
    pub(super) fn scope<'a>(&'a self, schema: &'a EntitySchema, fields: &'a Fields) -> Scope<'a> {
        Scope { schema, fields, syntax: self.syntax, prefix: &self.shared.config.table_prefix }
    }

    /// Rows with values in the types of their fields, and empty lists for many-to-many relations.
    pub(super) fn records(
        &self,
        schema: &EntitySchema,
        fields: &Fields,
        fetched: Fetched,
        options: &FindOptions,
    ) -> Vec<Record> {
        let Fetched { columns, mut rows } = fetched;
        let wanted: Vec<bool> = columns.iter().map(|name| is_wanted(schema, options, name)).collect();
        for (at, name) in columns.iter().enumerate().filter(|(at, _)| wanted[*at]) {
            let field_type = fields.get(name).map(|field| field.field_type);
            for value in rows.iter_mut().filter_map(|row| row.get_mut(at)) {
                let stored = std::mem::take(value);
                let shown = match field_type {
                    Some(field_type) => self.syntax.restore(field_type, stored),
                    None => stored,
                };
                *value = if name == ID { id_text(shown) } else { shown };
            }
        }
        let mut names = columns;
        if wanted.contains(&false) {
            names = only(names, &wanted);
            rows = rows.into_iter().map(|row| only(row, &wanted)).collect();
        }
        for (name, relation) in &schema.relations {
            let is_list = relation.kind == RelationKind::ManyToMany && options.returns(name);
            if is_list && !names.contains(name) {
                names.push(name.clone());
                rows.iter_mut().for_each(|row| row.push(Value::Array(Vec::new())));
            }
        }
        Fetched { columns: names, rows }.into_records()
    }
}

/// Whether the entity declares an index that begins with this column.
fn is_indexed(schema: &EntitySchema, column: &str) -> bool {
    let leads = |index: &Index| index.fields.first().is_some_and(|(name, _)| name == column);
    schema.indexes.iter().any(leads) || schema.fields.get(column).is_some_and(|field| field.unique)
}

/// The items that are wanted.
fn only<T>(items: Vec<T>, wanted: &[bool]) -> Vec<T> {
    items.into_iter().zip(wanted).filter_map(|(item, wanted)| wanted.then_some(item)).collect()
}

/// The id of the row that the filter asks for, if it asks for one.
fn named_row(filter: &Filter) -> Option<&Value> {
    match filter {
        Filter::Field(path, Condition::Eq(id)) if path.field == ID && path.below.is_empty() => {
            (!id.is_null()).then_some(id)
        }
        _ => None,
    }
}

/// A column is also wanted or left out under the name of its relation.
pub(super) fn is_wanted(schema: &EntitySchema, options: &FindOptions, column: &str) -> bool {
    let relation = schema
        .relations
        .iter()
        .find(|(name, relation)| relation.kind.has_column() && relation.column(name) == column)
        .map(|(name, _)| name.as_str());
    match relation {
        Some(relation) if column != ID => {
            let named = |names: &[String]| names.iter().any(|name| name == column || name == relation);
            (options.select.is_empty() || named(&options.select)) && !named(&options.exclude)
        }
        _ => options.returns(column),
    }
}

/// An id is always shown as text.
pub(super) fn id_text(id: Value) -> Value {
    match id {
        Value::Int32(number) => Value::Text(number.to_string()),
        Value::Int64(number) => Value::Text(number.to_string()),
        Value::Decimal(text) => Value::Text(text.into()),
        other => other,
    }
}

/// The selected columns, or all.
fn push_projection(sql: &mut Statement, scope: &Scope<'_>, options: &FindOptions) -> Result<()> {
    if options.select.is_empty() {
        push_columns(sql, scope.fields);
        return Ok(());
    }
    let mut columns = vec![ID];
    for name in &options.select {
        match scope.fields.get(name) {
            Some(field) if !columns.contains(&field.name.as_str()) => columns.push(&field.name),
            Some(_) => {}
            None if scope.schema.relations.contains_key(name) => {}
            None => return Err(unknown_field(scope.schema, name)),
        }
    }
    sql.list(columns, ", ", |sql, name| {
        sql.name(name);
    });
    Ok(())
}

/// Every column of the table, by name.
pub(super) fn push_columns(sql: &mut Statement, fields: &Fields) {
    let list = fields.list(sql.syntax());
    sql.push(list);
}

/// Appends ` ORDER BY …` unless any order will do. `by_index` says that the first column itself has the order of its
/// values.
pub(super) fn push_order(
    sql: &mut Statement,
    scope: &Scope<'_>,
    sort: &IndexMap<String, Direction>,
    by_index: bool,
) -> Result<()> {
    for (i, (key, direction)) in sort.iter().enumerate() {
        sql.push(if i == 0 { " ORDER BY " } else { ", " });
        let path = sort_path(key);
        let (column, below) = scope.fields.resolve(scope.schema, &path)?;
        let quoted = scope.syntax.quote(&column.name);
        if column.is_json() {
            scope.syntax.json_order(sql, &quoted, below, *direction);
        } else if i == 0 && by_index {
            sql.push(&quoted).push(scope.syntax.order(*direction));
        } else {
            scope.syntax.order_by(sql, &quoted, column.field_type, *direction);
        }
    }
    Ok(())
}

fn push_range(sql: &mut Statement, scope: &Scope<'_>, options: &FindOptions) {
    let skip = options.skip.filter(|skip| *skip > 0);
    match (options.limit, scope.syntax.unlimited()) {
        (Some(limit), _) => {
            sql.push(&format!(" LIMIT {limit}"));
        }
        (None, Some(unlimited)) if skip.is_some() => {
            sql.push(" LIMIT ").push(unlimited);
        }
        (None, _) => {}
    }
    if let Some(skip) = skip {
        sql.push(&format!(" OFFSET {skip}"));
    }
}
