//! INSERT and UPDATE of one row.

use std::sync::Arc;

use super::condition::{Scope, push_where};
use super::dialect::SqlDialect;
use super::fields::{Fields, mentioned};
use super::junction::Junction;
use super::restoring::Restoring;
use super::select::push_columns;
use super::session::Access;
use super::statement::Statement;
use super::syntax::Returning;
use crate::config::SchemaStrategy;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Condition, Filter, FindOptions};
use crate::record::{Record, implied_filter, prepare_insert, prepare_update};
use crate::rows::RowSink;
use crate::schema::{DELETED_AT, EntitySchema, FieldType, ID, RelationKind};
use crate::value::Value;

/// A record divided by where its parts are stored.
pub(super) struct Divided {
    /// Columns of the entity's own table, with their values in stored form.
    pub(super) columns: Vec<(String, Value)>,
    /// Columns to which an update adds an amount, in stored form.
    pub(super) increments: Vec<(String, Value)>,
    /// Many-to-many relations, with the ids to refer to.
    pub(super) lists: Vec<(String, Vec<Value>)>,
    fields: Arc<Fields>,
}

impl Divided {
    /// Whether an update has nothing to write into the entity's own table.
    pub(super) fn leaves_rows_alone(&self) -> bool {
        self.columns.is_empty() && self.increments.is_empty()
    }
}

impl SqlDialect {
    /// Inserts a row, with its many-to-many lists in the same transaction.
    pub(super) async fn insert(&self, schema: &EntitySchema, record: Record) -> Result<Record> {
        let row = self.divide_new(schema, record).await?;
        self.insert_divided(schema, row).await
    }

    /// As [`insert`](Self::insert), with the row handed on.
    pub(super) async fn insert_into(
        &self,
        schema: &EntitySchema,
        record: Record,
        stored: &mut dyn RowSink,
    ) -> Result<()> {
        let row = self.divide_new(schema, record).await?;
        if !self.is_one_statement(&row) {
            return stored.record(self.insert_divided(schema, row).await?);
        }
        let fields = Arc::clone(&row.fields);
        let sql = self.insert_returning(schema, row);
        let options = FindOptions::default();
        let mut restoring = Restoring::new(schema, &fields, &options, self.syntax, stored);
        self.fetch_into(Access::WriteRow, &sql, &mut restoring).await?;
        if restoring.rows() == 0 { Err(not_inserted(schema)) } else { Ok(()) }
    }

    /// A new record divided, with an id if it has none.
    async fn divide_new(&self, schema: &EntitySchema, record: Record) -> Result<Divided> {
        let mut record = prepare_insert(schema, record)?;
        if !record.contains_key(ID) {
            record.shift_insert(0, ID.to_owned(), Value::Text(uuid::Uuid::new_v4().to_string()));
        }
        self.divide(schema, record).await
    }

    /// Whether one statement inserts a row and gives it as stored.
    fn is_one_statement(&self, row: &Divided) -> bool {
        row.lists.is_empty() && self.syntax.returning() != Returning::Never
    }

    async fn insert_divided(&self, schema: &EntitySchema, row: Divided) -> Result<Record> {
        if self.is_one_statement(&row) {
            return self.insert_row(schema, row).await;
        }
        let inner = self.begin_inner().await?;
        let stored = inner.insert_with_lists(schema, row).await;
        inner.finish(stored).await
    }

    async fn insert_with_lists(&self, schema: &EntitySchema, mut row: Divided) -> Result<Record> {
        let lists = std::mem::take(&mut row.lists);
        let mut stored = self.insert_row(schema, row).await?;
        self.write_lists(schema, &mut stored, &lists).await?;
        Ok(stored)
    }

    async fn insert_row(&self, schema: &EntitySchema, row: Divided) -> Result<Record> {
        let fields = Arc::clone(&row.fields);
        let stored = if self.syntax.returning() == Returning::Never {
            let id = row.columns.iter().find(|(name, _)| name == ID);
            let id = id.map(|(_, value)| value.clone()).unwrap_or_default();
            self.execute(Access::Write, &self.insert_statement(schema, row.columns)).await?;
            self.read_back(schema, &fields, id).await?
        } else {
            let fetched = self.fetch(Access::WriteRow, &self.insert_returning(schema, row)).await?;
            self.records(schema, &fields, fetched, &FindOptions::default()).pop()
        };
        stored.ok_or_else(|| not_inserted(schema))
    }

    /// `INSERT …` that returns every column of the row.
    fn insert_returning(&self, schema: &EntitySchema, row: Divided) -> Statement {
        let Divided { columns, fields, .. } = row;
        fields.insert(columns, |columns| {
            let mut sql = self.insert_statement(schema, columns);
            sql.push(" RETURNING ");
            push_columns(&mut sql, &fields);
            sql
        })
    }

    fn insert_statement(&self, schema: &EntitySchema, columns: Vec<(String, Value)>) -> Statement {
        let mut sql = Statement::new(self.syntax, "INSERT INTO ");
        sql.name(&self.table(schema)).push(" (");
        sql.list(&columns, ", ", |sql, (name, _)| {
            sql.name(name);
        });
        sql.push(") VALUES (");
        sql.list(columns, ", ", |sql, (_, value)| {
            sql.bind(value);
        });
        sql.push(")");
        sql
    }

    /// The row that this transaction has just written, for a database that cannot return it. It is locked already;
    /// saying so reads it as it is now, and not as it was when the transaction began.
    async fn read_back(&self, schema: &EntitySchema, fields: &Fields, id: Value) -> Result<Option<Record>> {
        let mut sql = Statement::new(self.syntax, "SELECT ");
        push_columns(&mut sql, fields);
        sql.push(" FROM ").name(&self.table(schema)).push(" WHERE ");
        self.syntax.compare(&mut sql, &self.syntax.quote(ID), " = ", id);
        sql.push(self.syntax.lock_rows());
        let fetched = self.fetch(Access::Write, &sql).await?;
        Ok(self.records(schema, fields, fetched, &FindOptions::default()).pop())
    }

    /// Changes the rows that pass the filter and returns the first; `None` if none does.
    pub(super) async fn change(
        &self,
        schema: &EntitySchema,
        filter: Filter,
        changes: Record,
    ) -> Result<Option<Record>> {
        // Who writes `deletedAt` means to revive a deleted row.
        let filter = implied_filter(schema, filter, changes.contains_key(DELETED_AT));
        let row = self.divide(schema, prepare_update(schema, changes)?).await?;
        self.change_divided(schema, &filter, &row).await
    }

    /// Changes the rows that pass a complete filter and returns the first.
    pub(super) async fn change_divided(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        row: &Divided,
    ) -> Result<Option<Record>> {
        if row.lists.is_empty() && self.syntax.returning() == Returning::Always {
            return self.update_rows(schema, filter, row, false).await;
        }
        let inner = self.begin_inner().await?;
        let stored = inner.update_with_lists(schema, filter, row, false).await;
        inner.finish(stored).await
    }

    async fn update_with_lists(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        row: &Divided,
        first: bool,
    ) -> Result<Option<Record>> {
        let Some(mut stored) = self.update_rows(schema, filter, row, first).await? else { return Ok(None) };
        self.write_lists(schema, &mut stored, &row.lists).await?;
        Ok(Some(stored))
    }

    /// As [`change`](Self::change), but only the first row. The filter is complete, and a transaction is open.
    pub(super) async fn change_first(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        changes: Record,
    ) -> Result<Option<Record>> {
        let row = self.divide(schema, prepare_update(schema, changes)?).await?;
        self.update_with_lists(schema, filter, &row, true).await
    }

    async fn update_rows(
        &self,
        schema: &EntitySchema,
        filter: &Filter,
        row: &Divided,
        first: bool,
    ) -> Result<Option<Record>> {
        let fields = self.fields(schema, &mentioned(filter, None)).await?;
        let scope = self.scope(schema, &fields);
        let table = self.table(schema);
        if row.leaves_rows_alone() {
            let options = FindOptions { limit: Some(1), include_deleted: true, ..FindOptions::default() };
            return Ok(self.select(schema, filter, &options).await?.pop());
        }
        if self.syntax.returning() != Returning::Always {
            return self.update_and_read_back(&scope, filter, row, first).await;
        }
        let mut sql = self.update_statement(schema, row);
        if first {
            sql.push(" WHERE ").name(ID).push(" = (SELECT ").name(ID).push(" FROM ").name(&table);
            push_where(&mut sql, &scope, filter)?;
            sql.push(" LIMIT 1").push(self.syntax.lock_rows()).push(")");
        } else {
            push_where(&mut sql, &scope, filter)?;
        }
        sql.push(" RETURNING ");
        push_columns(&mut sql, &fields);
        let fetched = self.fetch(Access::Write, &sql).await?;
        Ok(self.records(schema, &fields, fetched, &FindOptions::default()).into_iter().next())
    }

    /// `UPDATE … SET …`, to be completed by a condition.
    pub(super) fn update_statement(&self, schema: &EntitySchema, row: &Divided) -> Statement {
        let mut sql = Statement::new(self.syntax, "UPDATE ");
        sql.name(&self.table(schema)).push(" SET ");
        sql.list(&row.columns, ", ", |sql, (name, value)| {
            sql.name(name).push(" = ").bind(value.clone());
        });
        if !row.columns.is_empty() && !row.increments.is_empty() {
            sql.push(", ");
        }
        sql.list(&row.increments, ", ", |sql, (name, amount)| {
            sql.name(name).push(" = coalesce(").name(name).push(", 0) + ").bind(amount.clone());
        });
        sql
    }

    /// Changes rows of a database whose UPDATE returns none: they are locked, changed by their ids, and the first is read
    /// again. A transaction is open.
    async fn update_and_read_back(
        &self,
        scope: &Scope<'_>,
        filter: &Filter,
        row: &Divided,
        first: bool,
    ) -> Result<Option<Record>> {
        let Scope { schema, fields, .. } = *scope;
        if let Some(id) = named_id(filter) {
            let id = self.syntax.store(&ID, FieldType::String, id.clone())?;
            let mut change = self.update_statement(schema, row);
            push_where(&mut change, scope, filter)?;
            return match self.execute(Access::Write, &change).await? {
                0 => Ok(None),
                _ => self.read_back(schema, fields, id).await,
            };
        }
        let mut find = Statement::new(self.syntax, "SELECT ");
        find.name(ID).push(" FROM ").name(&self.table(schema));
        push_where(&mut find, scope, filter)?;
        find.push(if first { " LIMIT 1" } else { "" }).push(self.syntax.lock_rows());
        let ids: Vec<Value> = self.fetch(Access::Write, &find).await?.rows.into_iter().flatten().collect();
        let Some(id) = ids.first().cloned() else { return Ok(None) };
        let mut change = self.update_statement(schema, row);
        change.push(" WHERE ");
        self.syntax.one_of(&mut change, &self.syntax.quote(ID), ids);
        self.execute(Access::Write, &change).await?;
        self.read_back(schema, fields, id).await
    }

    async fn write_lists(
        &self,
        schema: &EntitySchema,
        stored: &mut Record,
        lists: &[(String, Vec<Value>)],
    ) -> Result<()> {
        let id = stored.get(ID).cloned().unwrap_or_default();
        for (name, ids) in lists {
            if let Some(junction) = Junction::of(schema, name, &self.shared.config.table_prefix) {
                self.write_list(&junction, &id, ids).await?;
            }
            stored.insert(name.clone(), Value::Array(ids.clone()));
        }
        Ok(())
    }

    /// Makes the columns that a record asks for, where that cannot be done in the transaction that writes it.
    pub(super) async fn prepare_columns(&self, schema: &EntitySchema, record: &Record) -> Result<()> {
        if self.is_transaction() || self.syntax.transactional_ddl() {
            return Ok(());
        }
        let values: Record = record
            .iter()
            .filter(|(key, _)| !is_list(schema, key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let fields = self.known_fields(schema, &values).await?;
        self.add_columns(schema, &fields, &values).await.map(drop)
    }

    /// Sorts the keys of a prepared record into columns and lists; a key without a column gets one where the schema
    /// strategy says so.
    ///
    /// # Errors
    /// [`ErrorKind::Value`] if a value cannot be stored or a key has no column.
    pub(super) async fn divide(&self, schema: &EntitySchema, record: Record) -> Result<Divided> {
        let mut lists = Vec::new();
        let (lists_apart, values): (Record, Record) = match schema.relations.is_empty() {
            true => (Record::new(), record),
            false => record.into_iter().partition(|(key, _)| is_list(schema, key)),
        };
        for (key, value) in lists_apart {
            // The other side of a one-to-many relation holds the reference, so there is nothing to store here.
            if schema.relations.get(&key).is_some_and(|relation| relation.kind == RelationKind::ManyToMany) {
                lists.push((key, super::junction::list_ids(value)));
            }
        }
        let mut fields = self.known_fields(schema, &values).await?;
        if self.add_columns(schema, &fields, &values).await? {
            fields = self.known_fields(schema, &values).await?;
        }
        let mut columns = Vec::with_capacity(values.len());
        for (key, value) in values {
            // What is left without a column is null, and says nothing of its type.
            let Some(field) = fields.get(&key) else { continue };
            let stored =
                self.syntax.store(&format_args!("{}.{key}", schema.name), field.field_type, value)?;
            columns.push((if field.name == key { key } else { field.name.clone() }, stored));
        }
        Ok(Divided { columns, increments: Vec::new(), lists, fields })
    }

    async fn known_fields(&self, schema: &EntitySchema, values: &Record) -> Result<Arc<Fields>> {
        let names: Vec<&str> = values.keys().map(String::as_str).collect();
        self.fields(schema, &names).await
    }

    /// Adds a column for every value whose key has none; whether there were any.
    async fn add_columns(&self, schema: &EntitySchema, fields: &Fields, values: &Record) -> Result<bool> {
        let mut added = false;
        for (key, value) in values.iter().filter(|(key, value)| fields.get(key).is_none() && !value.is_null())
        {
            let table = self.table(schema);
            if self.shared.config.schema_strategy != SchemaStrategy::Update {
                let message = format!("{}: table \"{table}\" has no column \"{key}\"", schema.name);
                return Err(Error::new(ErrorKind::Value, message));
            }
            self.add_column(&table, key, type_of(value)).await?;
            added = true;
        }
        Ok(added)
    }
}

fn not_inserted(schema: &EntitySchema) -> Error {
    Error::new(ErrorKind::Statement, format!("{}: the row was not inserted", schema.name))
}

/// Whether a name is that of a relation that has no column.
fn is_list(schema: &EntitySchema, name: &str) -> bool {
    schema.relations.get(name).is_some_and(|relation| !relation.kind.has_column())
}

/// The id that a filter asks for.
fn named_id(filter: &Filter) -> Option<&Value> {
    match filter {
        Filter::All(parts) => parts.iter().find_map(named_id),
        Filter::Field(path, Condition::Eq(id))
            if path.field == ID && path.below.is_empty() && !id.is_null() =>
        {
            Some(id)
        }
        Filter::Any(_) | Filter::Field(..) => None,
    }
}

/// The field type that holds such values.
fn type_of(value: &Value) -> FieldType {
    match value {
        Value::Bool(_) => FieldType::Boolean,
        Value::Int32(_) | Value::Int64(_) | Value::Float(_) | Value::Decimal(_) => FieldType::Number,
        Value::Timestamp(_) => FieldType::Date,
        Value::Array(_) => FieldType::Array,
        Value::JsonNull | Value::Object(_) => FieldType::Json,
        Value::Null | Value::Text(_) | Value::Bytes(_) | Value::ObjectId(_) => FieldType::Text,
    }
}
