//! Which column a field of a filter, sort or projection means, and what type it has.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::session::LiveColumns;
use super::statement::Statement;
use super::syntax::SqlSyntax;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{FieldPath, Filter, FindOptions};
use crate::schema::{EntitySchema, FieldType};
use crate::value::Value;

/// A column with the type of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldColumn {
    pub(super) name: String,
    pub(super) field_type: FieldType,
}

/// The fields of an entity by every name under which they may be given.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    by_name: HashMap<String, FieldColumn>,
    /// The columns that a read returns.
    columns: Vec<String>,
    /// The types of these columns, where they are known.
    types: Vec<Option<FieldType>>,
    /// Their names, quoted, with commas between them, once they were needed.
    list: OnceLock<String>,
    /// The statement that reads the row of an id, once it was needed.
    by_id: OnceLock<Statement>,
    /// The statement that inserts a row of certain columns and returns it, and these columns, once it was needed.
    insert: OnceLock<(Vec<String>, Statement)>,
    /// The names of what an aggregation made, in the order of its columns; `None` for the fields of a table.
    outputs: Option<Vec<String>>,
}

impl Fields {
    /// The fields that the schema declares; a reference is known by its column and by its relation.
    pub(super) fn declared(schema: &EntitySchema) -> Self {
        let mut by_name = HashMap::new();
        let mut columns = Vec::new();
        for column in schema.columns() {
            let field = FieldColumn { name: column.name().to_owned(), field_type: column.field_type() };
            columns.push(field.name.clone());
            by_name.insert(field.name.clone(), field);
        }
        for (name, relation) in schema.relations.iter().filter(|(_, relation)| relation.kind.has_column()) {
            let field = FieldColumn { name: relation.column(name).to_owned(), field_type: FieldType::String };
            by_name.entry(name.clone()).or_insert(field);
        }
        Self {
            by_name,
            columns,
            types: Vec::new(),
            list: OnceLock::new(),
            by_id: OnceLock::new(),
            insert: OnceLock::new(),
            outputs: None,
        }
        .with_types()
    }

    /// What an aggregation made: names with the columns that hold them.
    pub(super) fn of_outputs(outputs: Vec<(String, FieldColumn)>) -> Self {
        let columns = outputs.iter().map(|(_, column)| column.name.clone()).collect();
        let names = outputs.iter().map(|(name, _)| name.clone()).collect();
        let by_name = outputs.into_iter().collect();
        Self {
            by_name,
            columns,
            types: Vec::new(),
            list: OnceLock::new(),
            by_id: OnceLock::new(),
            insert: OnceLock::new(),
            outputs: Some(names),
        }
        .with_types()
    }

    /// The names of what an aggregation made, in the order of its columns.
    pub(super) fn outputs(&self) -> Option<&[String]> {
        self.outputs.as_deref()
    }

    /// These fields for a table that has these columns.
    pub(super) fn with_live(mut self, live: &LiveColumns) -> Self {
        self.columns = live.keys().cloned().collect();
        self.list = OnceLock::new();
        self.by_id = OnceLock::new();
        self.insert = OnceLock::new();
        for (name, field_type) in live {
            let field = FieldColumn { name: name.clone(), field_type: *field_type };
            self.by_name.entry(name.clone()).or_insert(field);
        }
        self.with_types()
    }

    fn with_types(mut self) -> Self {
        let type_of = |name: &String| self.by_name.get(name).map(|field| field.field_type);
        self.types = self.columns.iter().map(type_of).collect();
        self
    }

    /// The type of a column that a read returned at this position, where the columns that it returns mostly are.
    pub(super) fn type_of(&self, at: usize, name: &str) -> Option<FieldType> {
        match self.columns.get(at).zip(self.types.get(at)) {
            Some((column, field_type)) if column == name => *field_type,
            _ => self.get(name).map(|field| field.field_type),
        }
    }

    /// The columns that a read returns, in the order of the table.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The columns that a read returns, as they stand in a statement.
    pub(super) fn list(&self, syntax: &dyn SqlSyntax) -> &str {
        self.list
            .get_or_init(|| self.columns.iter().map(|name| syntax.quote(name)).collect::<Vec<_>>().join(", "))
    }

    /// The statement that reads the whole row of an id, if it was kept and is the same for this id.
    pub(super) fn by_id(&self, id: &Value) -> Option<Statement> {
        is_plain_text(id).then(|| Some(self.by_id.get()?.with(vec![id.clone()])))?
    }

    /// Keeps the statement that was made for an id, where that is all that is bound to it.
    pub(super) fn keep_by_id(&self, id: &Value, sql: &Statement) {
        if is_plain_text(id) && sql.params() == std::slice::from_ref(id) {
            // Another thread may have been first, with the same.
            drop(self.by_id.set(sql.with(Vec::new())));
        }
    }

    /// The statement that inserts a row of these columns and returns it: rows mostly have the same ones. `make` makes it
    /// where it is not known.
    pub(super) fn insert(
        &self,
        row: Vec<(String, Value)>,
        make: impl FnOnce(Vec<(String, Value)>) -> Statement,
    ) -> Statement {
        match self.insert.get() {
            Some((columns, sql)) if columns.iter().eq(row.iter().map(|(name, _)| name)) => {
                sql.with(row.into_iter().map(|(_, value)| value).collect())
            }
            Some(_) => make(row),
            None => {
                let columns = row.iter().map(|(name, _)| name.clone()).collect();
                let sql = make(row);
                // Another thread may have been first.
                drop(self.insert.set((columns, sql.with(Vec::new()))));
                sql
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&FieldColumn> {
        self.by_name.get(name)
    }

    /// The column of a path, and the keys below it.
    ///
    /// # Errors
    /// [`ErrorKind::Filter`] if it is unknown, or has keys below a field that holds no JSON.
    pub(super) fn resolve<'a>(
        &'a self,
        schema: &EntitySchema,
        path: &'a FieldPath,
    ) -> Result<(&'a FieldColumn, &'a [String])> {
        // What is grouped by `address.city` has this name afterwards.
        if !path.below.is_empty()
            && let Some(column) = self.get(&path.to_string())
        {
            return Ok((column, &[]));
        }
        let column = self.get(&path.field).ok_or_else(|| self.unknown(schema, &path.field))?;
        if path.below.is_empty() || column.is_json() {
            return Ok((column, &path.below));
        }
        Err(Error::new(
            ErrorKind::Filter,
            format!(
                "{}: \"{}\" is a {} field and has nothing below it; only json and array fields have",
                schema.name,
                path.field,
                column.field_type.name()
            ),
        ))
    }
}

impl Fields {
    fn unknown(&self, schema: &EntitySchema, name: &str) -> Error {
        let Some(outputs) = &self.outputs else { return unknown_field(schema, name) };
        let known = outputs.join(", ");
        let message = format!("{}: the groups have no \"{name}\"; they have {known}", schema.name);
        Error::new(ErrorKind::Filter, message)
    }
}

impl FieldColumn {
    /// Whether it holds JSON rather than one plain value.
    pub(super) fn is_json(&self) -> bool {
        matches!(self.field_type, FieldType::Json | FieldType::Array)
    }
}

/// Whether an id is a text that every database takes as it is.
fn is_plain_text(id: &Value) -> bool {
    matches!(id, Value::Text(text) if text.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// The error that a field does not exist.
pub(super) fn unknown_field(schema: &EntitySchema, name: &str) -> Error {
    let known = schema.columns().iter().map(|column| column.name().to_owned()).collect::<Vec<_>>().join(", ");
    Error::new(ErrorKind::Filter, format!("{}: unknown field \"{name}\"; known are {known}", schema.name))
}

/// Every field that a filter and options name, apart from what is left out.
pub(super) fn mentioned<'a>(filter: &'a Filter, options: Option<&'a FindOptions>) -> Vec<&'a str> {
    let mut names = Vec::new();
    collect(filter, &mut names);
    if let Some(options) = options {
        names.extend(options.sort.keys().map(|key| key.split('.').next().unwrap_or(key)));
        names.extend(options.select.iter().map(String::as_str));
    }
    names
}

fn collect<'a>(filter: &'a Filter, names: &mut Vec<&'a str>) {
    match filter {
        Filter::All(parts) | Filter::Any(parts) => parts.iter().for_each(|part| collect(part, names)),
        Filter::Field(path, _) => names.push(&path.field),
    }
}

/// The path that a key of a sort means.
pub(super) fn sort_path(key: &str) -> FieldPath {
    let mut segments = key.split('.').map(str::to_owned);
    FieldPath { field: segments.next().unwrap_or_default(), below: segments.collect() }
}
