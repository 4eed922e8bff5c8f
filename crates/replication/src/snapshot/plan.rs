//! From the names in a rule to the tables at both ends.

use std::sync::Arc;

use data::EntitySchema;
use data::table::OWN_TABLE_PREFIX;

use super::End;
use crate::rule::Rule;

/// A collection of a rule: what it is called at both ends, and the entities that describe it.
pub(crate) struct CollectionPlan {
    /// The name in the rule, or the table for `*`.
    pub(crate) label: String,
    /// The table at the source.
    pub(crate) source_table: String,
    /// The table at the target.
    pub(crate) target_table: String,
    /// The entity at the source, if one is registered.
    pub(crate) source_schema: Option<Arc<EntitySchema>>,
    /// The entity at the target, if one is registered.
    pub(crate) target_schema: Option<Arc<EntitySchema>>,
    /// Whether only the rows of the entity are meant, where several share the table.
    pub(crate) one_entity: bool,
}

/// The collections that a rule names, each once. `*` is resolved against the source as it is now.
pub(crate) async fn resolve(rule: &Rule, source: &End, target: &End) -> data::Result<Vec<CollectionPlan>> {
    let mut plans: Vec<CollectionPlan> = Vec::new();
    for name in &rule.collections {
        if name == "*" {
            for table in source.tables()?.list_tables().await? {
                if !table.starts_with(OWN_TABLE_PREFIX) {
                    plans.push(plan_table(&table, source, target));
                }
            }
        } else {
            plans.push(plan_name(name, source, target));
        }
    }
    let mut seen = std::collections::HashSet::new();
    plans.retain(|plan| {
        let entity = plan.one_entity.then(|| plan.label.clone());
        seen.insert((plan.source_table.clone(), entity))
    });
    Ok(plans)
}

fn plan_name(name: &str, source: &End, target: &End) -> CollectionPlan {
    let by_entity = |end: &End| end.schemas.iter().find(|schema| schema.name == name).cloned();
    let (source_schema, target_schema) = (by_entity(source), by_entity(target));
    let Some(schema) = source_schema.as_ref().or(target_schema.as_ref()) else {
        return plan_table(name, source, target);
    };
    let collection = |own: Option<&Arc<EntitySchema>>| own.unwrap_or(schema).collection.clone();
    CollectionPlan {
        label: name.to_owned(),
        source_table: collection(source_schema.as_ref()),
        target_table: collection(target_schema.as_ref()),
        one_entity: schema.discriminator.is_some(),
        source_schema,
        target_schema,
    }
}

fn plan_table(table: &str, source: &End, target: &End) -> CollectionPlan {
    let by_collection = |end: &End| end.schemas.iter().find(|schema| schema.collection == table).cloned();
    CollectionPlan {
        label: table.to_owned(),
        source_table: table.to_owned(),
        target_table: table.to_owned(),
        source_schema: by_collection(source),
        target_schema: by_collection(target),
        one_entity: false,
    }
}
