//! What a write has left to do on the other side of relations after its own row is stored.

use std::collections::HashSet;

use super::cascade::Cascade;
use super::delete::Remover;
use super::link::{distinct_ids, key_of};
use super::load::one_of;
use super::mirror::linked_to;
use super::nested::{id_of, needs_cascade, no_such_row};
use super::schemas::Declared;
use super::write::{Pending, Writer};
use crate::error::Result;
use crate::filter::FindOptions;
use crate::record::{Record, identity_filter};
use crate::schema::{EntitySchema, ID, RelationKind};
use crate::value::Value;

impl Writer<'_> {
    /// Does what was left to be done for a row that has been stored.
    pub(super) async fn after(
        &self,
        stored: &Record,
        pending: Vec<Pending<'_>>,
        updated: bool,
    ) -> Result<()> {
        let own = stored.get(ID).cloned().unwrap_or_default();
        for work in pending {
            match work {
                Pending::Children { declared, column, items } => {
                    let target = self.schemas.target(declared.schema, declared.name, declared.relation)?;
                    let children = Children { writer: self, declared, target, column: &column, parent: &own };
                    if updated {
                        children.let_go(&items).await?;
                    }
                    for item in items {
                        children.write(item).await?;
                    }
                }
                Pending::Listed { declared, list, ids } => self.list_in(declared, &list, &own, &ids).await?,
                Pending::Orphan { declared, former } => {
                    let Declared { schema, name, relation } = declared;
                    let present = stored.get(relation.column(name)).and_then(key_of);
                    if key_of(&former).is_some() && key_of(&former) != present {
                        let target = self.schemas.target(schema, name, relation)?;
                        self.remove(target, former).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes the rows of the other side whose list holds the id `own` those of these ids.
    async fn list_in(&self, declared: Declared<'_>, list: &str, own: &Value, ids: &[Value]) -> Result<()> {
        let Declared { schema, name, relation } = declared;
        let target = self.schemas.target(schema, name, relation)?;
        let pairs = linked_to(self.dialect, target, list, schema, std::slice::from_ref(own)).await?;
        let listed = distinct_ids(pairs.iter().map(|(_, other)| other));
        let wanted = distinct_ids(ids);
        for id in absent(&listed, &wanted) {
            self.dialect.pull(target, id, list, own).await?;
        }
        for id in absent(&wanted, &listed) {
            let found = self.dialect.add_to_set(target, id, list, own.clone()).await?;
            found.ok_or_else(|| no_such_row(schema, name, relation, id))?;
        }
        Ok(())
    }

    async fn remove(&self, target: &EntitySchema, id: Value) -> Result<()> {
        let mut remover = Remover::new(self.dialect, self.schemas);
        remover.remove(target, vec![id]).await
    }
}

/// Those of the ids that are not among others.
fn absent<'v>(ids: &'v [Value], others: &[Value]) -> Vec<&'v Value> {
    let others: HashSet<_> = others.iter().filter_map(key_of).collect();
    ids.iter().filter(|id| key_of(id).is_some_and(|key| !others.contains(&key))).collect()
}

/// The rows of the other side whose column refers to one row.
struct Children<'c> {
    writer: &'c Writer<'c>,
    declared: Declared<'c>,
    target: &'c EntitySchema,
    column: &'c str,
    parent: &'c Value,
}

impl Children<'_> {
    /// Lets go of the children that are not listed any more: with `orphanRemoval` they are deleted, and the former one
    /// of a one-to-one relation gives up its reference.
    async fn let_go(&self, items: &[Value]) -> Result<()> {
        let relation = self.declared.relation;
        let replaced = relation.kind == RelationKind::OneToOne && Cascade::of(relation).writes();
        if !relation.orphan_removal && !replaced {
            return Ok(());
        }
        let listed = items.iter().filter_map(|item| match item {
            Value::Object(row) => id_of(row),
            id => Some(id),
        });
        let listed = distinct_ids(listed);
        let options = FindOptions { select: vec![ID.to_owned()], ..FindOptions::default() };
        let filter = one_of(self.column, vec![self.parent.clone()]);
        let children = self.writer.dialect.find(self.target, &filter, &options).await?;
        let children = distinct_ids(children.iter().filter_map(|row| row.get(ID)));
        for orphan in absent(&children, &listed) {
            if relation.orphan_removal {
                self.writer.remove(self.target, orphan.clone()).await?;
            } else {
                self.refer(orphan, Value::Null).await?;
            }
        }
        Ok(())
    }

    /// Writes one child, given as a row or as an id, as far as the relation passes writes on.
    async fn write(&self, item: Value) -> Result<()> {
        let Declared { schema, name, relation } = self.declared;
        let cascade = Cascade::of(relation);
        match item {
            Value::Object(mut child) => {
                let id = id_of(&child).cloned();
                let Some(id) = id else {
                    if !cascade.persist {
                        return Err(needs_cascade(schema, name));
                    }
                    self.adopt(&mut child);
                    return self.writer.create(self.target, *child).await.map(drop);
                };
                if !cascade.writes() {
                    return Ok(());
                }
                let changed = child.len() > 1;
                self.adopt(&mut child);
                let found = if cascade.merge && changed {
                    self.writer.update(self.target, &id, (*child).clone()).await?.is_some()
                } else {
                    self.refer(&id, self.parent.clone()).await?
                };
                if !found {
                    self.writer.create(self.target, *child).await?;
                }
                Ok(())
            }
            id if cascade.writes() => {
                if self.refer(&id, self.parent.clone()).await? {
                    return Ok(());
                }
                Err(no_such_row(schema, name, relation, &id))
            }
            _ => Ok(()),
        }
    }

    /// Puts the reference into a child, in place of any other that was given.
    fn adopt(&self, child: &mut Record) {
        for (name, back) in &self.target.relations {
            if back.kind.has_column() && back.column(name) == self.column {
                child.shift_remove(name);
            }
        }
        child.insert(self.column.to_owned(), self.parent.clone());
    }

    /// Changes nothing but the reference of a child; whether there is one of this id.
    async fn refer(&self, id: &Value, reference: Value) -> Result<bool> {
        let dialect = self.writer.dialect;
        let filter = identity_filter(self.target, id)?;
        let Some(child) = self.writer.first(self.target, &filter, false).await? else { return Ok(false) };
        if child.get(self.column).and_then(key_of) == key_of(&reference) {
            return Ok(true);
        }
        let changes = Record::from_iter([(self.column.to_owned(), reference)]);
        Ok(dialect.update(self.target, id, changes).await?.is_some())
    }
}
