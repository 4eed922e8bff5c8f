//! Which field of a document a name in a filter, sort or projection means.

use std::collections::BTreeSet;

use mongodb::bson::doc;

use super::MongoDialect;
use super::transaction::Loan;
use crate::config::SchemaStrategy;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{FieldPath, Filter, FindOptions};
use crate::schema::{Column, EntitySchema, FieldType, ID, RelationKind};

/// The field that holds the key of every document.
pub(super) const KEY: &str = "_id";

/// What the values of a field are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum FieldRole {
    /// Ids: the key itself, or references to other documents.
    Identity,
    /// Values of a declared type.
    Declared(FieldType),
    /// Anything.
    Undeclared,
}

/// The fields that an operation may name.
pub(super) struct Fields<'a> {
    schema: &'a EntitySchema,
    undeclared: BTreeSet<String>,
}

/// Where a path of the filter language leads to in documents.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// The stored field.
    pub(super) stored: String,
    /// What its values are.
    pub(super) role: FieldRole,
    /// The keys below it.
    pub(super) below: Vec<String>,
}

/// What the names of a filter or a sort mean at some point.
pub(super) trait Names {
    /// # Errors
    /// [`ErrorKind::Filter`] for a name that means nothing.
    fn place(&self, path: &FieldPath) -> Result<Place>;
}

impl<'a> Fields<'a> {
    /// Checks every name of a filter and of options. A name that the schema lacks is accepted only under the strategy
    /// `update`, and only if some document has that field.
    ///
    /// # Errors
    /// [`ErrorKind::Filter`] naming the field and the known ones.
    pub(super) async fn resolve(
        dialect: &MongoDialect,
        loan: &mut Loan<'_>,
        schema: &'a EntitySchema,
        filter: &Filter,
        options: &FindOptions,
    ) -> Result<Self> {
        let mut names = BTreeSet::new();
        collect_names(filter, &mut names);
        names.extend(options.sort.keys().chain(&options.select).map(|path| first_segment(path)));
        Self::resolve_names(dialect, loan, schema, names).await
    }

    /// As [`resolve`](Self::resolve), for names that were collected already.
    pub(super) async fn resolve_names(
        dialect: &MongoDialect,
        loan: &mut Loan<'_>,
        schema: &'a EntitySchema,
        names: BTreeSet<&str>,
    ) -> Result<Self> {
        let mut fields = Self { schema, undeclared: BTreeSet::new() };
        for name in names {
            if declared(schema, name).is_some() || name.is_empty() || name.starts_with('$') {
                continue;
            }
            if dialect.connection.strategy == SchemaStrategy::Update
                && some_document_has(dialect, loan, schema, name).await?
            {
                fields.undeclared.insert(name.to_owned());
            }
        }
        Ok(fields)
    }

    /// The stored name and the role of a field.
    ///
    /// # Errors
    /// [`ErrorKind::Filter`].
    pub(super) fn get(&self, name: &str) -> Result<(String, FieldRole)> {
        if let Some((stored, role)) = declared(self.schema, name) {
            return Ok((stored.to_owned(), role));
        }
        if self.undeclared.contains(name) {
            return Ok((name.to_owned(), FieldRole::Undeclared));
        }
        let known = self.schema.columns().iter().map(Column::name).collect::<Vec<_>>().join(", ");
        let message = format!("{}: unknown field \"{name}\"; known are {known}", self.schema.name);
        Err(Error::new(ErrorKind::Filter, message))
    }

    /// The stored form of a dotted path, as sorts and projections have it.
    ///
    /// # Errors
    /// [`ErrorKind::Filter`].
    pub(super) fn path(&self, path: &str) -> Result<String> {
        let (name, below) = path.split_once('.').map_or((path, None), |(name, below)| (name, Some(below)));
        if below.is_some_and(|below| below.split('.').any(|key| key.is_empty() || key.starts_with('$'))) {
            return Err(Error::new(ErrorKind::Filter, format!("{path:?} is no field name")));
        }
        let (stored, _) = self.get(name)?;
        Ok(below.map_or_else(|| stored.clone(), |below| format!("{stored}.{below}")))
    }
}

impl Names for Fields<'_> {
    fn place(&self, path: &FieldPath) -> Result<Place> {
        let (stored, role) = self.get(&path.field)?;
        if let FieldRole::Declared(field_type) = role
            && !path.below.is_empty()
            && !matches!(field_type, FieldType::Json | FieldType::Array)
        {
            let message = format!(
                "{}: \"{}\" is a {} field and has nothing below it; only json and array fields have",
                self.schema.name,
                path.field,
                field_type.name()
            );
            return Err(Error::new(ErrorKind::Filter, message));
        }
        Ok(Place { stored, role, below: path.below.clone() })
    }
}

/// The stored name and role of a field that the schema declares. A relation may be named in place of its column.
pub(super) fn declared<'a>(schema: &'a EntitySchema, name: &'a str) -> Option<(&'a str, FieldRole)> {
    if name == ID {
        return Some((KEY, FieldRole::Identity));
    }
    if let Some(relation) = schema.relations.get(name)
        && relation.kind != RelationKind::OneToMany
    {
        let stored = if relation.kind.has_column() { relation.column(name) } else { name };
        return Some((stored, FieldRole::Identity));
    }
    match schema.column(name)? {
        Column::Id | Column::Reference(..) => Some((name, FieldRole::Identity)),
        column => Some((name, FieldRole::Declared(column.field_type()))),
    }
}

/// Collects the fields that a filter names.
pub(super) fn collect_names<'f>(filter: &'f Filter, names: &mut BTreeSet<&'f str>) {
    match filter {
        Filter::All(parts) | Filter::Any(parts) => parts.iter().for_each(|part| collect_names(part, names)),
        Filter::Field(path, _) => drop(names.insert(&path.field)),
    }
}

/// The field that a dotted path begins with.
pub(super) fn first_segment(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

async fn some_document_has(
    dialect: &MongoDialect,
    loan: &mut Loan<'_>,
    schema: &EntitySchema,
    name: &str,
) -> Result<bool> {
    let collection = dialect.connection.collection(&dialect.connection.collection_name(schema));
    let mut query = collection.find_one(doc! {name: {"$exists": true}}).projection(doc! {KEY: 1});
    if let Some(session) = loan.session() {
        query = query.session(session);
    }
    let found = query.await;
    Ok(loan.check(found)?.is_some())
}
