//! Where a relation is stored: on which side, and in which column or list.

use super::schemas::Schemas;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{EntitySchema, Relation, RelationKind};
use crate::value::Value;

/// Where a relation is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    /// A column of this side holds the id of the other.
    Column(String),
    /// A column of the other side holds the id of this one.
    TargetColumn(String),
    /// A list of this side.
    List,
    /// The list of a many-to-many relation of the other side.
    TargetList(String),
}

/// Whether a relation is stored on this side, whatever the other one is.
pub(super) fn is_owning(relation: &Relation) -> bool {
    match relation.kind {
        RelationKind::ManyToOne => true,
        RelationKind::OneToOne | RelationKind::ManyToMany => relation.mapped_by.is_none(),
        RelationKind::OneToMany => false,
    }
}

/// Where a relation is stored.
///
/// # Errors
/// [`ErrorKind::UnknownEntity`], or [`ErrorKind::Schema`] if `mappedBy` leads nowhere.
pub(super) fn link_of(
    schemas: &Schemas,
    schema: &EntitySchema,
    name: &str,
    relation: &Relation,
) -> Result<Link> {
    let owning = is_owning(relation);
    match relation.kind {
        RelationKind::ManyToOne | RelationKind::OneToOne if owning => {
            Ok(Link::Column(relation.column(name).to_owned()))
        }
        RelationKind::ManyToMany if owning => Ok(Link::List),
        RelationKind::ManyToMany => target_list(schemas, schema, name, relation),
        _ => {
            let target = schemas.target(schema, name, relation)?;
            Ok(Link::TargetColumn(target_column(schema, relation, target)))
        }
    }
}

/// `mappedBy` names the other side's relation or its column. Without it the column is named after this entity, or is
/// the one of the only relation that leads back here.
fn target_column(schema: &EntitySchema, relation: &Relation, target: &EntitySchema) -> String {
    if let Some(mapped_by) = &relation.mapped_by {
        return match target.relations.get(mapped_by) {
            Some(back) if back.kind.has_column() => back.column(mapped_by).to_owned(),
            _ => mapped_by.clone(),
        };
    }
    let default = format!("{}Id", schema.name.to_lowercase());
    if target.column(&default).is_some() {
        return default;
    }
    let mut back =
        target.relations.iter().filter(|(_, back)| back.target == schema.name && back.kind.has_column());
    match (back.next(), back.next()) {
        (Some((name, back)), None) => back.column(name).to_owned(),
        _ => default,
    }
}

fn target_list(schemas: &Schemas, schema: &EntitySchema, name: &str, relation: &Relation) -> Result<Link> {
    let target = schemas.target(schema, name, relation)?;
    let mapped_by = relation.mapped_by.clone().unwrap_or_default();
    match target.relations.get(&mapped_by) {
        Some(owner) if owner.kind == RelationKind::ManyToMany => Ok(Link::TargetList(mapped_by)),
        _ => Err(Error::new(
            ErrorKind::Schema,
            format!(
                "{}.{name}: mappedBy \"{mapped_by}\" is no many-to-many relation of {}",
                schema.name, target.name
            ),
        )),
    }
}

/// What tells the rows of one entity apart, whichever type a database gives its ids.
pub(super) fn key_of(id: &Value) -> Option<String> {
    match id {
        Value::Text(text) if text.is_empty() => None,
        Value::Text(text) => Some(text.clone()),
        Value::Int32(number) => Some(number.to_string()),
        Value::Int64(number) => Some(number.to_string()),
        Value::Decimal(text) => Some(text.to_string()),
        Value::ObjectId(id) => Some(id.to_string()),
        _ => None,
    }
}

/// Ids without those that are blank or come again.
pub(super) fn distinct_ids<'v>(ids: impl IntoIterator<Item = &'v Value>) -> Vec<Value> {
    let mut seen = std::collections::HashSet::new();
    ids.into_iter().filter(|id| key_of(id).is_some_and(|key| seen.insert(key))).cloned().collect()
}
