//! Many-to-many relations seen from the side that does not declare them.

use std::borrow::Cow;

use super::link::{distinct_ids, is_owning, key_of};
use super::load::one_of;
use super::schemas::{Declared, Schemas};
use crate::dialect::Dialect;
use crate::error::Result;
use crate::filter::FindOptions;
use crate::schema::{EntitySchema, ID, JunctionNames, Relation, RelationKind};
use crate::value::Value;

/// The relation that reads the junction of a many-to-many relation from its other side.
fn mirrored(owner: &EntitySchema, name: &str) -> Option<Relation> {
    let JunctionNames { table, own, other } = owner.junction(name)?;
    let relation = owner.relations.get(name)?;
    Some(Relation {
        target: owner.name.clone(),
        through: Some(table),
        join_column: Some(other),
        inverse_join_column: Some(own),
        mapped_by: None,
        ..relation.clone()
    })
}

/// The name of a mirrored relation, which no declared one can have.
fn mirrored_name(owner: &EntitySchema, name: &str) -> String {
    format!("{}.{name}", owner.name)
}

/// The entity, with the junctions of other entities that refer to its rows as if they were its own: a delete of a row
/// then clears them as well.
pub(super) fn with_mirrored_junctions<'s>(
    schemas: &Schemas,
    schema: &'s EntitySchema,
) -> Cow<'s, EntitySchema> {
    let own: Vec<JunctionNames> = schema.relations.keys().filter_map(|name| schema.junction(name)).collect();
    let mut whole = Cow::Borrowed(schema);
    for Declared { schema: owner, name, .. } in schemas.leading_to(schema) {
        let Some(relation) = mirrored(owner, name) else { continue };
        let key = mirrored_name(owner, name);
        let whole = whole.to_mut();
        whole.relations.insert(key.clone(), relation);
        // The same junction may be declared on both sides.
        if whole.junction(&key).is_none_or(|junction| own.contains(&junction)) {
            whole.relations.shift_remove(&key);
        }
    }
    whole
}

/// Pairs of ids that the many-to-many relation `name` of `owner` lists, those of its other side first. `schema` is the
/// other side, and `ids` are of its rows.
pub(super) async fn linked_to(
    dialect: &dyn Dialect,
    owner: &EntitySchema,
    name: &str,
    schema: &EntitySchema,
    ids: &[Value],
) -> Result<Vec<(Value, Value)>> {
    if !dialect.kind().is_schemaless() {
        let mut seen_from_there = schema.clone();
        let key = mirrored_name(owner, name);
        seen_from_there.relations.extend(mirrored(owner, name).map(|relation| (key.clone(), relation)));
        return dialect.links(&seen_from_there, &key, ids).await;
    }
    let only_ids = FindOptions { select: vec![ID.to_owned()], ..FindOptions::default() };
    let owners = dialect.find(owner, &one_of(name, ids.to_vec()), &only_ids).await?;
    let owners = distinct_ids(owners.iter().filter_map(|row| row.get(ID)));
    let asked_for: std::collections::HashSet<_> = ids.iter().filter_map(key_of).collect();
    let pairs = dialect.links(owner, name, &owners).await?;
    let pairs = pairs.into_iter().map(|(owner, other)| (other, owner));
    Ok(pairs.filter(|(other, _)| key_of(other).is_some_and(|key| asked_for.contains(&key))).collect())
}

/// Whether a relation is stored as a list of this side, which in SQL is a junction.
pub(super) fn has_junction(relation: &Relation) -> bool {
    relation.kind == RelationKind::ManyToMany && is_owning(relation)
}
