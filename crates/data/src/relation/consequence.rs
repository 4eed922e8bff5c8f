//! What a delete means to the rows that refer to the deleted ones, where foreign keys do not see to it.
//!
//! MongoDB has no foreign keys, so `onDelete` is carried out here: `cascade`, `set-null`, `restrict` and `no-action`,
//! and ids in many-to-many lists go with the row. In SQL the foreign keys do that, but junctions have none: rows that
//! a foreign key would delete are deleted here first if junctions may refer to them.

use std::borrow::Cow;
use std::collections::HashSet;

use super::delete::delete_rows;
use super::link::{distinct_ids, is_owning, key_of};
use super::load::{IDS_PER_QUERY, one_of};
use super::mirror::has_junction;
use super::schemas::{Declared, Schemas};
use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::FindOptions;
use crate::record::Record;
use crate::schema::{EntitySchema, ID, OnDelete};
use crate::value::Value;

/// Everything that is to be done before rows are deleted.
pub(super) struct Consequences<'a> {
    dialect: &'a dyn Dialect,
    schemas: &'a Schemas,
    /// The rows that are deleted, by entity; those to be deleted first come last.
    deleted: Vec<(&'a EntitySchema, Vec<Value>)>,
    /// References that become NULL, with the ids that they name.
    cleared: Vec<(Declared<'a>, Vec<Value>)>,
}

/// Whether a delete of rows of an entity has consequences that the database does not see to.
pub(super) fn has_consequences(dialect: &dyn Dialect, schemas: &Schemas, schema: &EntitySchema) -> bool {
    if dialect.kind().is_schemaless() {
        return schemas.leading_to(schema).any(|declared| is_owning(declared.relation));
    }
    reaches_junction(schemas, schema)
}

/// Whether foreign keys delete rows that junctions may refer to, together with rows of an entity.
fn reaches_junction(schemas: &Schemas, schema: &EntitySchema) -> bool {
    let mut known = HashSet::from([schema.name.as_str()]);
    let mut next = vec![schema];
    while let Some(schema) = next.pop() {
        for Declared { schema: referring, .. } in schemas.leading_to(schema).filter(deletes) {
            if referring.relations.values().any(has_junction)
                || schemas.leading_to(referring).any(|declared| has_junction(declared.relation))
            {
                return true;
            }
            if known.insert(&referring.name) {
                next.push(referring);
            }
        }
    }
    false
}

/// Whether a delete on the other side of a relation deletes the referring row.
fn deletes(declared: &Declared<'_>) -> bool {
    declared.relation.kind.has_column()
        && is_owning(declared.relation)
        && declared.relation.effective_on_delete() == OnDelete::Cascade
}

/// The entity without soft deletes and managed dates, as foreign keys know it.
fn bare(schema: &EntitySchema) -> Cow<'_, EntitySchema> {
    if !schema.soft_delete && !schema.timestamps {
        return Cow::Borrowed(schema);
    }
    Cow::Owned(EntitySchema { soft_delete: false, timestamps: false, ..schema.clone() })
}

impl<'a> Consequences<'a> {
    /// Finds out what a delete of these rows means.
    ///
    /// # Errors
    /// [`ErrorKind::ForeignKeyViolation`] if a row refers to them that forbids it, [`ErrorKind::NotNullViolation`] if
    /// a reference would become NULL that must not.
    pub(super) async fn of(
        dialect: &'a dyn Dialect,
        schemas: &'a Schemas,
        schema: &'a EntitySchema,
        ids: &[Value],
    ) -> Result<Self> {
        let mut found = Self { dialect, schemas, deleted: vec![(schema, ids.to_vec())], cleared: Vec::new() };
        if !has_consequences(dialect, schemas, schema) {
            return Ok(found);
        }
        let emulated = dialect.kind().is_schemaless();
        let mut gone: HashSet<(&str, String)> = keys(schema, ids).collect();
        let mut forbidden = Vec::new();
        let mut place = 0;
        while let Some((schema, ids)) = found.deleted.get(place).cloned() {
            place += 1;
            for declared in schemas.leading_to(schema) {
                let Declared { schema: referring, name, relation } = declared;
                if !relation.kind.has_column() || !is_owning(relation) {
                    continue;
                }
                match relation.effective_on_delete() {
                    OnDelete::Cascade => {
                        let mut rows = found.referring_rows(declared, &ids).await?;
                        rows.retain(|id| {
                            key_of(id).is_some_and(|key| gone.insert((referring.collection.as_str(), key)))
                        });
                        if !rows.is_empty() {
                            found.deleted.push((referring, rows));
                        }
                    }
                    OnDelete::SetNull if emulated => {
                        if !relation.is_nullable() && !found.referring_rows(declared, &ids).await?.is_empty()
                        {
                            let message = format!("{}.{name}: a value is required", referring.name);
                            return Err(Error::new(ErrorKind::NotNullViolation, message));
                        }
                        found.cleared.push((declared, ids.clone()));
                    }
                    OnDelete::Restrict | OnDelete::NoAction if emulated => {
                        forbidden.push((declared, schema, ids.clone()));
                    }
                    OnDelete::SetNull | OnDelete::Restrict | OnDelete::NoAction => {}
                }
            }
        }
        for (declared, schema, ids) in forbidden {
            let rows = found.referring_rows(declared, &ids).await?;
            if keys(declared.schema, &rows).any(|key| !gone.contains(&key)) {
                let message = format!(
                    "{}: a row cannot be deleted while {}.{} refers to it",
                    schema.name, declared.schema.name, declared.name
                );
                return Err(Error::new(ErrorKind::ForeignKeyViolation, message));
            }
        }
        Ok(found)
    }

    /// The ids of the rows that refer to these, deleted softly or not.
    async fn referring_rows(&self, declared: Declared<'_>, ids: &[Value]) -> Result<Vec<Value>> {
        let Declared { schema, name, relation } = declared;
        let options = FindOptions { select: vec![ID.to_owned()], ..FindOptions::default() };
        let mut found = Vec::new();
        for chunk in ids.chunks(IDS_PER_QUERY) {
            let filter = one_of(relation.column(name), chunk.to_vec());
            let rows = self.dialect.find(&bare(schema), &filter, &options).await?;
            found.extend(rows.into_iter().filter_map(|mut row| row.shift_remove(ID)));
        }
        Ok(distinct_ids(&found))
    }

    /// Does all of it; the rows that this began with are left to the caller.
    pub(super) async fn apply(self) -> Result<()> {
        if self.dialect.kind().is_schemaless() {
            for (declared, ids) in &self.cleared {
                self.clear(*declared, ids).await?;
            }
            for (schema, ids) in &self.deleted {
                for declared in
                    self.schemas.leading_to(schema).filter(|declared| has_junction(declared.relation))
                {
                    let referring = bare(declared.schema);
                    for chunk in ids.chunks(IDS_PER_QUERY) {
                        self.dialect.unlink(&referring, declared.name, chunk).await?;
                    }
                }
            }
        }
        for (schema, ids) in self.deleted.iter().skip(1).rev() {
            delete_rows(self.dialect, self.schemas, &bare(schema), ids).await?;
        }
        Ok(())
    }

    async fn clear(&self, declared: Declared<'_>, ids: &[Value]) -> Result<()> {
        let Declared { schema, name, relation } = declared;
        let column = relation.column(name);
        for chunk in ids.chunks(IDS_PER_QUERY) {
            let changes = Record::from_iter([(column.to_owned(), Value::Null)]);
            self.dialect.update_many(&bare(schema), &one_of(column, chunk.to_vec()), changes).await?;
        }
        Ok(())
    }
}

fn keys<'s>(schema: &'s EntitySchema, ids: &[Value]) -> impl Iterator<Item = (&'s str, String)> {
    ids.iter().filter_map(|id| key_of(id).map(|key| (schema.collection.as_str(), key)))
}
