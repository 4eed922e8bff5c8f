//! Deleting rows together with what their relations take along.

use std::collections::{HashSet, VecDeque};

use super::cascade::Cascade;
use super::consequence::Consequences;
use super::link::{Link, distinct_ids, key_of, link_of};
use super::load::{IDS_PER_QUERY, one_of};
use super::mirror::{linked_to, with_mirrored_junctions};
use super::schemas::{Declared, Schemas};
use crate::dialect::Dialect;
use crate::error::Result;
use crate::filter::{Filter, FindOptions};
use crate::schema::{EntitySchema, ID};
use crate::value::Value;

/// Deletes rows with those that their relations take along. It is used within a transaction.
pub(super) struct Remover<'a> {
    dialect: &'a dyn Dialect,
    schemas: &'a Schemas,
    /// Collection and id of the rows that are gone or going.
    gone: HashSet<(String, String)>,
}

/// Rows of an entity, by their ids.
type Rows<'a> = (&'a EntitySchema, Vec<Value>);

/// Rows of the other side of a relation that may have lost the last row that refers to them.
struct Candidates<'a> {
    declared: Declared<'a>,
    target: &'a EntitySchema,
    link: Link,
    ids: Vec<Value>,
}

impl<'a> Remover<'a> {
    pub(super) fn new(dialect: &'a dyn Dialect, schemas: &'a Schemas) -> Self {
        Self { dialect, schemas, gone: HashSet::new() }
    }

    /// Deletes the rows of these ids, softly where the entity says so. First go the rows that refer to them through a
    /// relation with cascade `remove`; then the rows themselves; then those that they referred to through such a
    /// relation, unless another row of the entity still does.
    pub(super) async fn remove(&mut self, schema: &'a EntitySchema, ids: Vec<Value>) -> Result<()> {
        let mut next = vec![(schema, ids)];
        while !next.is_empty() {
            let (going, candidates) = self.with_children(next).await?;
            for (schema, ids) in going.iter().rev() {
                self.delete(schema, ids).await?;
            }
            next = Vec::new();
            for candidate in &candidates {
                next.push((candidate.target, self.unused(candidate).await?));
            }
        }
        Ok(())
    }

    /// These rows with those that refer to them through relations with cascade `remove`, at any distance, which stand
    /// behind them; and what all of these refer to.
    async fn with_children(&mut self, rows: Vec<Rows<'a>>) -> Result<(Vec<Rows<'a>>, Vec<Candidates<'a>>)> {
        let mut waiting = VecDeque::from(rows);
        let (mut going, mut candidates) = (Vec::new(), Vec::new());
        while let Some((schema, mut ids)) = waiting.pop_front() {
            ids.retain(|id| key_of(id).is_some_and(|key| self.gone.insert((schema.collection.clone(), key))));
            if ids.is_empty() {
                continue;
            }
            for (name, relation) in &schema.relations {
                if !Cascade::of(relation).remove {
                    continue;
                }
                let declared = Declared { schema, name, relation };
                let target = self.schemas.target(schema, name, relation)?;
                let link = link_of(self.schemas, schema, name, relation)?;
                let others = self.others(declared, target, &link, &ids).await?;
                match link {
                    Link::TargetColumn(_) => waiting.push_back((target, others)),
                    // A row that is deleted softly keeps its many-to-many relations.
                    Link::List | Link::TargetList(_) if schema.soft_delete => {}
                    link => candidates.push(Candidates { declared, target, link, ids: others }),
                }
            }
            going.push((schema, ids));
        }
        Ok((going, candidates))
    }

    /// The ids on the other side of a relation of these rows.
    async fn others(
        &self,
        declared: Declared<'_>,
        target: &EntitySchema,
        link: &Link,
        ids: &[Value],
    ) -> Result<Vec<Value>> {
        let Declared { schema, name, .. } = declared;
        let mut found = Vec::new();
        for chunk in ids.chunks(IDS_PER_QUERY) {
            match link {
                Link::Column(column) => {
                    let rows = self.read(schema, ID, chunk, column, true).await?;
                    found.extend(rows);
                }
                Link::TargetColumn(column) => {
                    found.extend(self.read(target, column, chunk, ID, false).await?)
                }
                Link::List => {
                    found.extend(
                        self.dialect.links(schema, name, chunk).await?.into_iter().map(|(_, other)| other),
                    );
                }
                Link::TargetList(list) => {
                    let pairs = linked_to(self.dialect, target, list, schema, chunk).await?;
                    found.extend(pairs.into_iter().map(|(_, other)| other));
                }
            }
        }
        Ok(distinct_ids(&found))
    }

    /// The values of a field of the rows in which another field is one of these ids.
    async fn read(
        &self,
        schema: &EntitySchema,
        field: &str,
        ids: &[Value],
        wanted: &str,
        include_deleted: bool,
    ) -> Result<Vec<Value>> {
        let options =
            FindOptions { select: vec![wanted.to_owned()], include_deleted, ..FindOptions::default() };
        let rows = self.dialect.find(schema, &one_of(field, ids.to_vec()), &options).await?;
        Ok(rows.into_iter().filter_map(|mut row| row.shift_remove(wanted)).collect())
    }

    /// Those of the candidates that no row refers to any more.
    async fn unused(&self, candidates: &Candidates<'_>) -> Result<Vec<Value>> {
        let Candidates { declared: Declared { schema, name, .. }, target, link, ids } = candidates;
        let mut used = HashSet::new();
        for chunk in ids.chunks(IDS_PER_QUERY) {
            let still: Vec<Value> = match link {
                Link::Column(column) => self.read(schema, column, chunk, column, false).await?,
                Link::List => {
                    let pairs = linked_to(self.dialect, schema, name, target, chunk).await?;
                    pairs.into_iter().map(|(own, _)| own).collect()
                }
                Link::TargetList(list) => {
                    let pairs = self.dialect.links(target, list, chunk).await?;
                    pairs.into_iter().map(|(own, _)| own).collect()
                }
                Link::TargetColumn(_) => Vec::new(),
            };
            used.extend(still.iter().filter_map(key_of));
        }
        Ok(ids.iter().filter(|id| key_of(id).is_some_and(|key| !used.contains(&key))).cloned().collect())
    }

    /// Deletes the rows themselves, with what that means to the rows that refer to them.
    async fn delete(&self, schema: &EntitySchema, ids: &[Value]) -> Result<()> {
        if !schema.soft_delete {
            Consequences::of(self.dialect, self.schemas, schema, ids).await?.apply().await?;
        }
        delete_rows(self.dialect, self.schemas, schema, ids).await
    }
}

/// Deletes rows, with every junction row that refers to them.
pub(super) async fn delete_rows(
    dialect: &dyn Dialect,
    schemas: &Schemas,
    schema: &EntitySchema,
    ids: &[Value],
) -> Result<()> {
    let schema = with_mirrored_junctions(schemas, schema);
    match ids {
        [] => Ok(()),
        [id] => dialect.delete(&schema, id).await.map(drop),
        ids => {
            for chunk in ids.chunks(IDS_PER_QUERY) {
                let filter: Filter = one_of(ID, chunk.to_vec());
                dialect.delete_many(&schema, &filter).await?;
            }
            Ok(())
        }
    }
}
