//! The entities that are related to each other, by name.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::error::{Error, ErrorKind, Result};
use crate::schema::{EntitySchema, Relation};

/// Entities by name, in the order in which they were given.
#[derive(Debug, Default)]
pub(super) struct Schemas(IndexMap<String, Arc<EntitySchema>>);

/// A relation, with the entity that declares it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declared<'a> {
    pub(super) schema: &'a EntitySchema,
    pub(super) name: &'a str,
    pub(super) relation: &'a Relation,
}

impl Schemas {
    /// These entities; of two with one name the later counts.
    pub(super) fn of<'a>(schemas: impl IntoIterator<Item = &'a Arc<EntitySchema>>) -> Self {
        Self(schemas.into_iter().map(|schema| (schema.name.clone(), Arc::clone(schema))).collect())
    }

    /// The entity on the other side of a relation.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownEntity`] naming both sides.
    pub(super) fn target(
        &self,
        schema: &EntitySchema,
        name: &str,
        relation: &Relation,
    ) -> Result<&EntitySchema> {
        self.0.get(&relation.target).map(AsRef::as_ref).ok_or_else(|| {
            let message = format!(
                "{}.{name}: the target entity \"{}\" is not registered",
                schema.name, relation.target
            );
            Error::new(ErrorKind::UnknownEntity, message)
        })
    }

    /// Every relation that leads to the rows of an entity, also when it names another entity of the same collection.
    pub(super) fn leading_to<'a>(&'a self, schema: &'a EntitySchema) -> impl Iterator<Item = Declared<'a>> {
        let relations = self.0.values().flat_map(|schema| {
            schema.relations.iter().map(move |(name, relation)| Declared { schema, name, relation })
        });
        relations.filter(|declared| {
            let target = self.0.get(&declared.relation.target);
            target.is_some_and(|target| target.collection == schema.collection)
        })
    }
}
