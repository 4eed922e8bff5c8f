//! Which tables of a target the collections of a run stand for, so that no two of them take each other's rows for their own.

use std::collections::HashSet;

use super::{CollectionPlan, End, Mapping};

/// The tables, or the parts of them that belong to an entity, that collections of a run have taken.
#[derive(Default)]
pub(crate) struct TakenTables {
    taken: HashSet<(String, Option<String>)>,
    /// Those of collections that could not be prepared in this run: their rows are theirs nevertheless.
    reserved: HashSet<String>,
}

impl TakenTables {
    /// Takes the rows that a collection stands for; whether they were free.
    pub(crate) fn take(&mut self, mapping: &Mapping) -> bool {
        let identity = mapping.target_identity();
        let is_reserved = identity.1.is_none() && self.reserved.contains(&identity.0);
        !is_reserved && self.taken.insert(identity)
    }

    /// Keeps the table of a collection that could not be prepared. Another one may have its name in another case.
    pub(crate) async fn reserve(&mut self, plan: &CollectionPlan, target: &End) {
        let described = match target.tables() {
            Ok(tables) => tables.describe(&plan.target_table).await.ok().flatten(),
            Err(_) => None,
        };
        self.reserved.insert(described.map_or_else(|| plan.target_table.clone(), |table| table.name));
    }
}

/// Why a collection is refused whose rows another one of the rule already stands for.
pub(crate) fn taken_reason(plan: &CollectionPlan) -> String {
    format!("another collection of the rule is already \"{}\" at the target", plan.target_table)
}
